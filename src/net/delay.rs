use super::fault::Action;
use super::{Dist, Impairment, Transit};
use crate::choice::{Choices, Domain, Taken};
use crate::time::{Span, ns};

/// Delays every packet by the same span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FixedDelay(pub(super) Span);

impl Impairment for FixedDelay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn apply(&mut self, transit: &mut Transit<'_>, _choices: &mut Choices) {
        transit.delay(self.0);
    }
}

/// Delays each packet by a span drawn from a distribution; packets overtake each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RandomDelay(pub(super) Dist);

/// Alternatives of a drawn delay: spans above the least one, in nanoseconds.
const QUANTILES: u64 = 1 << 32;

impl Impairment for RandomDelay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn words(&self) -> u8 {
        1
    }

    /// The alternative is the quantile; the harmless one, 0, is the shortest delay there is.
    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        let corners = [0, QUANTILES / 2, QUANTILES - 1];
        let quantile = choices.pick(&Domain { size: QUANTILES, corners: &corners });
        transit.overtakes = true;
        transit.delay(self.0.at(quantile));
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        match action {
            Action::Delay(span) => vec![(0, self.0.quantile_of(*span + self.0.at(0)))],
            _ => Vec::new(),
        }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        let quantile = taken.first()?.alternative;
        Some(Action::Delay(ns(self.0.at(quantile).as_nanos() - self.0.at(0).as_nanos())))
    }
}
