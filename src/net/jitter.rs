use super::fault::Action;
use super::{Impairment, Transit};
use crate::choice::{Choices, Domain, Taken};
use crate::time::{SimTime, Span, ns};

/// Adds a random span of at most `most` to the delay of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jitter {
    pub(super) most: Span,
    /// Whether a packet may overtake others; else it waits for the one before it.
    pub(super) reordering: bool,
    pub(super) last: SimTime,
}

impl Impairment for Jitter {
    fn name(&self) -> &'static str {
        "jitter"
    }

    fn words(&self) -> u8 {
        1
    }

    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        let most = self.most.as_nanos();
        let extra = choices.pick(&Domain { size: most.saturating_add(1), corners: &[0, most] });
        transit.delay(ns(extra));
        // What an earlier impairment holds back holds nobody else up.
        if self.reordering {
            transit.overtakes = true;
        } else if !transit.overtakes {
            let wait = self.last.since(transit.arrive);
            transit.delay(wait);
            if transit.lost.is_none() {
                self.last = transit.arrive;
            }
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        if let Action::Delay(span) = action { vec![(0, span.as_nanos())] } else { Vec::new() }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        Some(Action::Delay(ns(taken.first()?.alternative)))
    }
}
