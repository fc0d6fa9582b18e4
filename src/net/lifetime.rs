use super::{Impairment, Loss, Transit};
use crate::choice::Choices;
use crate::time::Span;

/// Loses packets that would be older on arrival than the network lets them become: what RFC 9293 3.4.2 calls the
/// maximum segment lifetime. It is asked last, when the delay is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime(pub(super) Span);

impl Impairment for Lifetime {
    fn name(&self) -> &'static str {
        "lifetime"
    }

    fn apply(&mut self, transit: &mut Transit<'_>, _choices: &mut Choices) {
        transit.settle();
        let (sent, lifetime) = (transit.sent, self.0);
        transit.copies.retain(|copy| copy.since(sent) <= lifetime);
        if transit.arrive.since(sent) > lifetime {
            transit.lose(Loss::Expired { lifetime });
        }
    }
}
