use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::map::Map;
use crate::time::SimTime;
use crate::trace::{ConnId, LinkId, Record, Side};
use crate::wire::{Flags, Segment, Seq};
use std::collections::VecDeque;

pub(super) const NAME: &str = "ack-storm";

/// Two ends do not answer each other's bare acknowledgments for ever.
///
/// Only acknowledgments that were sent at the very instant at which a bare acknowledgment came are counted, and only
/// where both ends take turns and neither moves: probes and keepalives, which a timer sends, break the chain.
#[derive(Default)]
pub struct AckStorm {
    /// Where a bare acknowledgment was answered by one at once.
    chains: Map<ConnId, Chain>,
    /// The ends that bare acknowledgments reached last, and when: an answer follows at once.
    came: VecDeque<(End, SimTime)>,
}

/// A chain of acknowledgments, each the answer to the one before.
#[derive(Default)]
struct Chain {
    /// Sequence and acknowledgment number that each end sent last in this chain.
    stands: [Option<(Seq, Seq)>; 2],
    last: Option<Side>,
    length: u32,
    first: Option<(SimTime, (LinkId, u64))>,
    is_reported: bool,
}

/// So many bare acknowledgments are looked back to.
const LATEST: usize = 8;

/// Fifty round trips.
const MOST: u32 = 100;

impl Oracle for AckStorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 5961 7"
    }

    fn hears(&self) -> Hears {
        Hears::ACKS | Hears::ENDED
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let (segment, End { conn, side }) = (sending.segment, sending.end);
        let is_answer = is_bare(segment) && self.came.contains(&(sending.end, seen.now));
        if !is_answer && self.chains.is_empty() {
            return;
        }
        let chain = match self.chains.get_mut(&conn) {
            Some(chain) => chain,
            None if is_answer => self.chains.get_or_insert_with(conn, Chain::default),
            None => return,
        };
        let stand = Some((segment.seq, segment.ack));
        let moved = chain.stands[side as usize].is_some() && chain.stands[side as usize] != stand;
        if !is_answer || moved {
            *chain = Chain { is_reported: chain.is_reported, ..Chain::default() };
            return;
        }
        if chain.last == Some(side) {
            return;
        }
        chain.stands[side as usize] = stand;
        chain.last = Some(side);
        chain.length += 1;
        let (since, first) = *chain.first.get_or_insert((seen.now, sending.packet));
        if chain.length <= MOST || chain.is_reported {
            return;
        }
        chain.is_reported = true;
        sending.violates(self, seen, |seen| {
            format!(
                "the ends of {} have answered {MOST} bare acknowledgments with bare acknowledgments, from {} at {since} to \
                 {}, and neither moves",
                seen.conns.name(conn),
                packet_name(seen, first),
                packet_name(seen, sending.packet),
            )
        });
    }

    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        if !is_bare(coming.segment) {
            return;
        }
        if self.came.len() == LATEST {
            self.came.pop_front();
        }
        self.came.push_back((coming.end, seen.now));
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        if !self.chains.is_empty() {
            self.chains.remove(&end.conn);
        }
    }
}

/// An acknowledgment and nothing else.
fn is_bare(segment: &Segment) -> bool {
    segment.has(Flags::ACK) && !segment.has(Flags::RST) && segment.seq_len() == 0
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, ack};
    use super::*;
    use crate::time::{ms, secs};

    fn open() -> Plant<AckStorm> {
        let mut plant = Plant::new(AckStorm::default());
        plant.handshake();
        plant
    }

    #[test]
    fn acknowledgments_that_answer_each_other_are_a_storm() {
        let mut plant = open();
        for _ in 0..50 {
            plant.pass(Dir::Down, ack(5, 9));
            plant.pass(Dir::Up, ack(7, 3));
        }
        plant.holds();
        plant.pass(Dir::Down, ack(5, 9));
        plant.breaks(&["ends of c1", "server > client #2", "server > client #52"]);
    }

    #[test]
    fn progress_ends_the_chain() {
        let mut plant = open();
        for n in 0..200 {
            plant.pass(Dir::Down, ack(5, 9 + n / 40));
            plant.pass(Dir::Up, ack(7, 3));
        }
        plant.holds();
    }

    #[test]
    fn probes_that_a_timer_sends_may_go_on() {
        let mut plant = open();
        for _ in 0..200 {
            plant.wait(secs(1));
            plant.pass(Dir::Up, ack(0, 1));
            plant.pass(Dir::Down, ack(1, 1));
        }
        plant.holds();
    }

    #[test]
    fn one_end_may_answer_a_flood() {
        let mut plant = open();
        for _ in 0..200 {
            let n = plant.inject(Dir::Up, ack(9, 9));
            plant.arrive(Dir::Up, n);
            plant.send(Dir::Down, ack(1, 1));
            plant.wait(ms(1));
        }
        plant.holds();
    }
}
