use super::{Impairment, Loss, Transit};
use crate::choice::Choices;
use crate::time::{SimTime, Span, ns};
use std::collections::VecDeque;

/// Sends packets one after the other at a given rate; those that find the queue full are lost (drop-tail).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    bits_per_second: u64,
    queue: usize,
    /// When each queued packet, the one being sent included, leaves.
    leaving: VecDeque<SimTime>,
}

impl Rate {
    pub(super) fn new(bits_per_second: u64, queue: usize) -> Rate {
        Rate { bits_per_second: bits_per_second.max(1), queue, leaving: VecDeque::new() }
    }

    fn transmission(&self, bytes: u32) -> Span {
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.bits_per_second);
        ns(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Impairment for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn apply(&mut self, transit: &mut Transit<'_>, _choices: &mut Choices) {
        if transit.lost.is_some() {
            return;
        }
        while self.leaving.front().is_some_and(|&leaves| leaves <= transit.arrive) {
            self.leaving.pop_front();
        }
        // One packet is being sent; the queue is what waits behind it.
        if self.leaving.len() > self.queue {
            return transit.lose(Loss::Impairment("queue"));
        }
        let start = self.leaving.back().copied().unwrap_or(transit.arrive).max(transit.arrive);
        let leaves = start + self.transmission(transit.packet.len());
        self.leaving.push_back(leaves);
        transit.delay(leaves.since(transit.arrive));
    }
}
