//! Two ends and a network between them, in one thread and one loop.

use super::end::{End, Machine};
use wirefate::endpoint::State;
use wirefate::tcp::{Knobs, Setup};
use wirefate::time::{HostTime, Span, ms};
use wirefate::wire::{Segment, Seq};

/// What the network does with a segment: each entry is a copy and its delay.
pub(crate) type Network<'a> = dyn FnMut(usize, &Segment) -> Vec<Span> + 'a;

pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    pub(crate) now: HostTime,
    /// `(when, number, to, segment)`, unsorted.
    flying: Vec<(HostTime, u64, usize, Segment)>,
    sent: u64,
    /// Segments sent by both ends.
    pub(crate) segments: u64,
}

impl Pair {
    pub(crate) fn new(knobs: &Knobs, setup: &Setup) -> Pair {
        let end = |ports, iss| End::new(ports, Seq(iss), knobs.clone(), setup.clone());
        let mut ends = [end((1000, 80), u32::MAX - 700), end((80, 1000), 5_000_000)];
        ends[1].machine = Machine::Listen;
        Pair { ends, now: HostTime::ZERO, flying: Vec::new(), sent: 0, segments: 0 }
    }

    pub(crate) fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }

    /// Collects what both ends have to send.
    pub(crate) fn flush(&mut self, network: &mut Network<'_>) {
        for from in [0, 1] {
            for seg in std::mem::take(&mut self.ends[from].out) {
                self.segments += 1;
                for delay in network(from, &seg) {
                    self.flying.push((self.now + delay, self.sent, 1 - from, seg.clone()));
                    self.sent += 1;
                }
            }
        }
    }

    /// One event, not later than `until`; whether there was one.
    pub(crate) fn step(&mut self, until: HostTime, network: &mut Network<'_>) -> bool {
        self.flush(network);
        let packet = self.flying.iter().map(|f| (f.0, f.1)).min();
        let timer = self.ends.iter().filter_map(End::next_timeout).min();
        let at = packet.map(|p| p.0).into_iter().chain(timer).min();
        let Some(at) = at.filter(|at| *at <= until) else { return false };
        assert!(at >= self.now || timer == Some(at), "time goes forward");
        self.now = self.now.max(at);
        for end in &mut self.ends {
            end.now = self.now;
        }
        match packet.filter(|p| p.0 <= at) {
            Some(first) => {
                let place = self.flying.iter().position(|f| (f.0, f.1) == first).unwrap();
                let (_, _, to, seg) = self.flying.swap_remove(place);
                self.ends[to].arrive(&seg);
            }
            None => {
                for end in &mut self.ends {
                    if end.next_timeout().is_some_and(|t| t <= at) {
                        end.on_timeout();
                    }
                }
            }
        }
        true
    }

    /// Runs until nothing is left or `span` has passed.
    pub(crate) fn run(&mut self, span: Span, network: &mut Network<'_>) {
        let until = self.now + span;
        let mut steps = 0;
        while self.step(until, network) {
            steps += 1;
            assert!(steps < 1_000_000, "the two never come to rest");
        }
        self.flush(network);
        self.now = self.now.max(until);
        for end in &mut self.ends {
            end.now = self.now;
        }
    }
}

/// Everything arrives, in order, after 10 ms.
pub(crate) fn perfect(_from: usize, _seg: &Segment) -> Vec<Span> {
    vec![ms(10)]
}
