use super::fault::{Action, DUPLICATE_GAP};
use super::{Impairment, Transit};
use crate::choice::{Choices, Ratio, Taken};

/// Delivers some packets twice; the second comes just after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duplicate(pub(super) Ratio);

const ONCE: Action = Action::Duplicate { times: 1, by: DUPLICATE_GAP };

impl Impairment for Duplicate {
    fn name(&self) -> &'static str {
        "duplicate"
    }

    fn words(&self) -> u8 {
        1
    }

    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        if choices.chance(self.0) {
            transit.copies.push(transit.arrive + DUPLICATE_GAP);
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        if *action == ONCE { vec![(0, 1)] } else { Vec::new() }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        (!taken.is_empty()).then_some(ONCE)
    }
}
