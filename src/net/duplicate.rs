use super::fault::Action;
use super::{Impairment, Transit};
use crate::choice::{Choices, Ratio, Taken};
use crate::time::ns;

/// Delivers some packets twice; the second comes just after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duplicate(pub(super) Ratio);

impl Impairment for Duplicate {
    fn name(&self) -> &'static str {
        "duplicate"
    }

    fn words(&self) -> u8 {
        1
    }

    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices) {
        if choices.chance(self.0) {
            transit.copies.push(transit.arrive + ns(1));
        }
    }

    fn answers(&self, action: &Action) -> Vec<(u8, u64)> {
        if *action == Action::Duplicate(1) { vec![(0, 1)] } else { Vec::new() }
    }

    fn action(&self, taken: &[Taken]) -> Option<Action> {
        (!taken.is_empty()).then_some(Action::Duplicate(1))
    }
}
