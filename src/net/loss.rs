use super::fault::Action;
use super::{Impairment, Loss, Transit};
use crate::choice::{Choices, Ratio, Taken};

/// Loses each packet with the same probability, whatever became of the others (Bernoulli).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RandomLoss(pub(super) Ratio);

impl Impairment for RandomLoss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn words(&self) -> u8 {
        1
    }

    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        if choices.chance(self.0) {
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
