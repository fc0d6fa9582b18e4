use super::fault::Action;
use super::{Impairment, Transit};
use crate::choice::{Choices, Domain, Ratio, Taken};

/// Flips one bit of some packets, behind their IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt(pub(super) Ratio);

impl Impairment for Corrupt {
    fn name(&self) -> &'static str {
        "corrupt"
    }

    fn words(&self) -> u8 {
        2
    }

    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        let bits = u64::from(transit.packet.len().saturating_sub(transit.packet.ip_header_len())) * 8;
        if !choices.chance(self.0) {
            // The bit's word is read all the same: the stream then stands at the next packet and need not seek.
            choices.word();
        } else if bits > 0 {
            let bit = choices.pick(&Domain { size: bits, corners: &[0, bits - 1] });
            transit.corrupt_bit = Some(u32::try_from(bit).unwrap_or(0));
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        if let Action::Corrupt(bit) = action { vec![(0, 1), (1, u64::from(*bit))] } else { Vec::new() }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        let bit = taken.get(1).map_or(0, |taken| taken.alternative);
        taken.first().map(|_| Action::Corrupt(u32::try_from(bit).unwrap_or(0)))
    }
}
