use super::fault::Action;
use super::{Impairment, Loss, Transit};
use crate::choice::{Choices, Ratio, Taken};

/// Loses packets in bursts (Gilbert–Elliott): every packet is lost while the link is in its bad state.
///
/// The two probabilities of changing state follow from what one wants to see: the mean loss p and the mean burst
/// length b. A burst ends with probability 1/b a packet, and begins with probability p / (b (1 - p)). Between two
/// bursts at least one packet arrives, so a mean loss above b / (b + 1), but for all packets, comes out as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BurstLoss {
    begin: Ratio,
    end: Ratio,
    bad: bool,
}

impl BurstLoss {
    pub(super) fn new(mean: Ratio, burst: u32) -> BurstLoss {
        let (num, den) = mean.parts();
        let end = Ratio::new(1, burst.max(1));
        if num == den {
            return BurstLoss { begin: Ratio::ONE, end: Ratio::ZERO, bad: false };
        }
        let begin = narrow(u64::from(num), u64::from(den - num) * u64::from(burst.max(1)));
        BurstLoss { begin, end, bad: false }
    }
}

impl Impairment for BurstLoss {
    fn name(&self) -> &'static str {
        "burst"
    }

    fn words(&self) -> u8 {
        1
    }

    /// One question a packet: does the link change its state? The harmless answer is that it becomes, or stays, good.
    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        self.bad = choices.chance(if self.bad { self.end.complement() } else { self.begin });
        if self.bad {
            transit.lose(Loss::Impairment(self.name()));
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        if *action == Action::Drop { vec![(0, 1)] } else { Vec::new() }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        (!taken.is_empty()).then_some(Action::Drop)
    }
}

/// `num / den`, both halved until they fit.
fn narrow(num: u64, den: u64) -> Ratio {
    let shift = (u64::BITS - den.leading_zeros()).saturating_sub(u32::BITS);
    let part = |n: u64| u32::try_from(n >> shift).unwrap_or(u32::MAX);
    Ratio::new(part(num), part(den))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{MakerId, percent};
    use crate::time::SimTime;
    use crate::wire::{Body, Datagram, Packet};

    #[test]
    fn mean_and_burst_length_are_what_was_asked_for() {
        let addr = "10.0.0.1".parse().unwrap();
        let packet = Packet::new(addr, addr, Body::Udp(Datagram::default()));
        let mut choices = Choices::random(MakerId(0), 5, "burst", 1);
        let mut impairment = BurstLoss::new(percent(4), 8);
        let (mut lost, mut bursts, mut before) = (0u32, 0u32, false);
        for n in 0..200_000 {
            choices.begin(n);
            let mut transit = Transit::new(&packet, SimTime::ZERO);
            impairment.apply(&mut transit, &mut choices);
            lost += u32::from(transit.lost.is_some());
            bursts += u32::from(transit.lost.is_some() && !before);
            before = transit.lost.is_some();
        }
        // 8,000 losses in 1,000 bursts; four standard deviations are about 1,000 and 125.
        assert!((7_000..9_000).contains(&lost), "{lost} of 200000 lost");
        assert!((7..=9).contains(&(lost / bursts)), "{lost} lost in {bursts} bursts");
    }
}
