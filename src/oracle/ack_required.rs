use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::time::{SimTime, Span, ms};
use crate::trace::{Disturbance, LinkId, NodeId, Record, What};
use crate::wire::{Flags, Seq};
use std::collections::VecDeque;

pub(super) const NAME: &str = "ack-required";

/// Data that is in order is acknowledged within half a second of the receiver's clock.
///
/// In order is what begins where the receiver's last acknowledgment ends. Any segment with an acknowledgment settles
/// the debt, as does a reset, the end of the connection, and anything that happens to the host.
#[derive(Default)]
pub struct AckRequired {
    receivers: Ends<Receiver>,
    /// Debts in the order of their making; settled ones are left to expire.
    debts: VecDeque<Debt>,
    /// How many parts per million each host's clock has been too slow at worst.
    slow: Vec<u64>,
}

#[derive(Default)]
struct Receiver {
    /// The last acknowledgment after the handshake, where its window was open.
    acked: Option<Seq>,
    /// When the data came that waits for an acknowledgment.
    owes_since: Option<SimTime>,
}

struct Debt {
    end: End,
    node: NodeId,
    since: SimTime,
    packet: (LinkId, u64),
    seq: Seq,
    len: u32,
}

/// RFC 5681 4.2 and RFC 9293 3.8.6.3: within 500 ms; an eighth for the kernel's timer wheel, and two ticks of 100 Hz.
const LIMIT: Span = ms(500 + 500 / 8 + 20);
const MILLION: u64 = 1_000_000;

impl Oracle for AckRequired {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.8.6.3"
    }

    fn hears(&self) -> Hears {
        Hears::SENT | Hears::TELLING | Hears::DONE | Hears::DISTURBED
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        self.collect_overdue(seen);
        if let (What::Disturbed(Disturbance::Skew(ppm)), Some(node)) = (&record.what, record.node) {
            self.skew(node, *ppm);
        }
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        self.collect_overdue(seen);
        self.sent(sending);
    }

    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        self.collect_overdue(seen);
        self.came(coming, seen.now);
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, seen: &mut Seen<'_>) {
        self.collect_overdue(seen);
        self.receivers.discard(&end);
    }

    fn at_quiescence(&mut self, _nodes: &[super::NodeView], seen: &mut Seen<'_>) {
        self.collect(None, seen);
    }
}

impl AckRequired {
    /// Looks whether the oldest debt has come due.
    #[inline]
    fn collect_overdue(&mut self, seen: &mut Seen<'_>) {
        if self.debts.front().is_some_and(|debt| seen.now.since(debt.since) > LIMIT) {
            self.collect(Some(seen.now), seen);
        }
    }

    fn skew(&mut self, node: NodeId, ppm: i32) {
        let index = node.0 as usize;
        if self.slow.len() <= index {
            self.slow.resize(index + 1, 0);
        }
        let slow = if ppm < 0 { u64::from(ppm.unsigned_abs()).min(MILLION - 1) } else { 0 };
        self.slow[index] = self.slow[index].max(slow);
    }

    fn sent(&mut self, sending: &Sending<'_>) {
        let segment = sending.segment;
        if segment.has(Flags::SYN) {
            self.receivers.get_or_insert_with(sending.end, Receiver::default);
        }
        let Some(receiver) = self.receivers.get_mut(&sending.end) else { return };
        if segment.has(Flags::RST) {
            self.receivers.discard(&sending.end);
        } else if segment.has(Flags::ACK) {
            // Before the handshake is over, and with its window closed, a receiver may drop data in silence.
            let is_ready = !segment.has(Flags::SYN) && segment.window > 0;
            *receiver = Receiver { acked: is_ready.then_some(segment.ack), owes_since: None };
        }
    }

    fn came(&mut self, coming: &Coming<'_>, now: SimTime) {
        let segment = coming.segment;
        if segment.has(Flags::RST) {
            self.receivers.discard(&coming.end);
            return;
        }
        let Some(receiver) = self.receivers.get_mut(&coming.end) else { return };
        // RFC 9293 3.10.7.4, fifth: without ACK it is dropped; what the receiver itself refused is not acceptable.
        let is_plain = segment.flags.intersection(Flags::SYN | Flags::ACK) == Flags::ACK
            && coming.outcome.is_none()
            && !coming.forged
            && coming.copy == 0
            && coming.from == coming.end.peer();
        if !is_plain
            || segment.payload.is_empty()
            || receiver.acked != Some(segment.seq)
            || receiver.owes_since.is_some()
        {
            return;
        }
        receiver.owes_since = Some(now);
        let (seq, len) = (segment.seq, segment.payload.len());
        self.debts.push_back(Debt { end: coming.end, node: coming.node, since: now, packet: coming.packet, seq, len });
    }

    /// Looks at the debts that are due before `now`, all of them at the end of the run.
    fn collect(&mut self, now: Option<SimTime>, seen: &mut Seen<'_>) {
        while let Some(debt) = self.debts.front() {
            let slow = self.slow.get(debt.node.0 as usize).copied().unwrap_or(0);
            let limit = LIMIT * MILLION / (MILLION - slow);
            if now.is_some_and(|now| now.since(debt.since) <= limit) {
                return;
            }
            let Some(debt) = self.debts.pop_front() else { return };
            self.due(&debt, seen);
        }
    }

    fn due(&mut self, debt: &Debt, seen: &mut Seen<'_>) {
        let Some(receiver) = self.receivers.get_mut(&debt.end) else { return };
        if receiver.owes_since != Some(debt.since) {
            return;
        }
        receiver.owes_since = None;
        if seen.evidence.stirred_since(debt.node, debt.since) || seen.evidence.is_clouded(debt.end.conn) {
            return;
        }
        let text = format!(
            "{} has not acknowledged {} bytes at {} ({}), which came in order at {}, within 500ms",
            debt.end.describe(seen),
            debt.len,
            debt.end.peer().relative(seen, debt.seq),
            packet_name(seen, debt.packet),
            debt.since,
        );
        seen.violated(self, Some(debt.node), Some(debt.packet), text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, SERVER, ack, data};
    use super::*;
    use crate::endpoint::{Arrival, DropReason, HostFault};
    use crate::wire::Segment;

    fn open() -> Plant<AckRequired> {
        let mut plant = Plant::new(AckRequired::default());
        plant.handshake();
        plant.pass(Dir::Down, ack(1, 1));
        plant
    }

    fn later(plant: &mut Plant<AckRequired>, millis: u64) {
        plant.wait(ms(millis));
        plant.send(Dir::Up, ack(5, 1));
    }

    #[test]
    fn data_is_acknowledged_in_half_a_second() {
        let mut plant = open();
        plant.pass(Dir::Up, data(1, 1, "abcd"));
        plant.wait(ms(500));
        plant.send(Dir::Down, ack(1, 5));
        later(&mut plant, 1000);
        plant.holds();
        plant.pass(Dir::Up, data(5, 1, "efgh"));
        later(&mut plant, 600);
        plant.breaks(&["server:80 in c1", "4 bytes at 5", "client > server #5"]);
    }

    #[test]
    fn the_end_of_the_run_collects_too() {
        let mut plant = open();
        plant.pass(Dir::Up, data(1, 1, "abcd"));
        plant.holds();
        plant.rest(&[]);
        plant.breaks(&["4 bytes at 1"]);
    }

    #[test]
    fn what_is_refused_out_of_order_or_early_needs_none() {
        let mut plant = open();
        let n = plant.send(Dir::Up, data(1, 1, "abcd"));
        plant.arrive_as(Dir::Up, n, Some(Arrival::Dropped(DropReason::BufferFull)));
        plant.pass(Dir::Up, data(5, 1, "efgh"));
        let n = plant.inject(Dir::Up, data(1, 1, "evil"));
        plant.arrive(Dir::Up, n);
        later(&mut plant, 1000);
        plant.send(Dir::Down, Segment { window: 0, ..ack(1, 1) });
        plant.pass(Dir::Up, data(1, 1, "a"));
        later(&mut plant, 1000);
        plant.holds();
    }

    #[test]
    fn a_host_that_stands_still_or_has_a_slow_clock_owes_nothing_yet() {
        let mut plant = open();
        plant.pass(Dir::Up, data(1, 1, "abcd"));
        plant.disturb(SERVER, Disturbance::Host(HostFault::Pause));
        later(&mut plant, 1000);
        plant.holds();
        let mut plant = open();
        plant.disturb(SERVER, Disturbance::Skew(-500_000));
        plant.wait(ms(1));
        plant.pass(Dir::Up, data(1, 1, "abcd"));
        later(&mut plant, 1100);
        plant.holds();
        later(&mut plant, 100);
        plant.breaks(&["4 bytes at 1"]);
    }
}
