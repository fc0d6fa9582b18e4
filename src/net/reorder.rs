use super::fault::Action;
use super::{Impairment, Transit};
use crate::choice::{Choices, Domain, Ratio, Taken};
use crate::time::{Span, ns};

/// Holds some packets back by a random span, so that later ones overtake them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reorder {
    pub(super) share: Ratio,
    /// The longest that a packet is held back.
    pub(super) most: Span,
}

impl Impairment for Reorder {
    fn name(&self) -> &'static str {
        "reorder"
    }

    fn words(&self) -> u8 {
        2
    }

    /// Two questions: whether, and by how much beyond 1 ns. The second counts only with the first.
    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        if !choices.chance(self.share) {
            // The span's word is read all the same: the stream then stands at the next packet and need not seek.
            choices.word();
        } else {
            let most = self.most.as_nanos().max(1);
            transit.delay(ns(1 + choices.pick(&Domain { size: most, corners: &[0, most - 1] })));
            transit.overtakes = true;
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        match action {
            Action::Delay(span) if span.as_nanos() > 0 => vec![(0, 1), (1, span.as_nanos() - 1)],
            _ => Vec::new(),
        }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        let extra = taken.get(1).map_or(0, |taken| taken.alternative);
        taken.first().map(|_| Action::Delay(ns(1 + extra)))
    }
}
