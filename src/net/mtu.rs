use super::{Impairment, Loss, Transit};
use crate::choice::Choices;

/// Loses packets larger than the link carries. The engine answers those that must not be fragmented with ICMP
/// (RFC 1191 4, RFC 8201); nothing is fragmented here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mtu(pub(super) u32);

impl Impairment for Mtu {
    fn name(&self) -> &'static str {
        "mtu"
    }

    fn apply(&mut self, transit: &mut Transit<'_>, _choices: &mut Choices) {
        if transit.packet.len() > self.0 {
            transit.lose(Loss::TooBig { mtu: self.0 });
        }
    }
}
