use super::{Impairment, Loss, Transit};
use crate::choice::Choices;
use crate::time::{SimTime, Span, ns};
use std::collections::VecDeque;

/// Sends packets one after the other at a given rate; those that find the queue full are lost (drop-tail).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    bits_per_second: u64,
    queue: Queue,
    /// When each queued packet, the one being sent included, leaves, and its size.
    leaving: VecDeque<(SimTime, u32)>,
    /// The sizes of all of them.
    bytes: u64,
}

/// How much may wait behind the packet that is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Packets(usize),
    Bytes(u64),
}

impl Rate {
    pub(super) fn new(bits_per_second: u64, queue: Queue) -> Rate {
        Rate { bits_per_second: bits_per_second.max(1), queue, leaving: VecDeque::new(), bytes: 0 }
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
        while let Some((_, size)) = self.leaving.pop_front_if(|(leaves, _)| *leaves <= transit.arrive) {
            self.bytes -= u64::from(size);
        }
        let size = transit.packet.len();
        // One packet is being sent; the queue is what waits behind it.
        let sending = self.leaving.front().map_or(0, |&(_, size)| u64::from(size));
        let full = match self.queue {
            Queue::Packets(most) => self.leaving.len() > most,
            Queue::Bytes(most) => !self.leaving.is_empty() && self.bytes - sending + u64::from(size) > most,
        };
        if full {
            return transit.lose(Loss::Impairment("queue"));
        }
        let start = self.leaving.back().map_or(transit.arrive, |&(leaves, _)| leaves.max(transit.arrive));
        let leaves = start + self.transmission(size);
        self.leaving.push_back((leaves, size));
        self.bytes += u64::from(size);
        transit.delay(leaves.since(transit.arrive));
    }
}
