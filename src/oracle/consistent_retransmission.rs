use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::few::Few;
use crate::trace::{LinkId, Record};
use crate::wire::{Flags, Payload, Seq};

pub(super) const NAME: &str = "consistent-retransmission";

/// A sequence number stands for one byte, however often it is sent.
///
/// What was sent is kept until an acknowledgment of it reaches the sender.
#[derive(Default)]
pub struct ConsistentRetransmission {
    senders: Ends<Log>,
}

/// What one end has sent and nobody acknowledged: pieces side by side, the oldest first.
#[derive(Default)]
struct Log {
    pieces: Few<Piece>,
    /// How many bytes the log has ever begun or skipped: places in it grow without wrapping.
    end: u64,
    /// The sequence number at `end`.
    end_seq: Seq,
    is_reported: bool,
}

struct Piece {
    start: u64,
    data: Payload,
    packet: (LinkId, u64),
}

/// A byte that was sent with two values.
struct Clash {
    seq: Seq,
    first: u8,
    first_in: (LinkId, u64),
    now: u8,
}

impl Oracle for ConsistentRetransmission {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.4"
    }

    fn hears(&self) -> Hears {
        Hears::COMINGS | Hears::TELLING | Hears::DONE
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        let seq = segment.seq + u32::from(segment.has(Flags::SYN));
        if segment.has(Flags::SYN) {
            let fresh = || Log { end_seq: seq, ..Log::default() };
            self.senders.get_or_insert_with(sending.end, fresh);
        }
        // RFC 9293 3.5.3: the data of a RST is text for people.
        if segment.payload.is_empty() || segment.has(Flags::RST) {
            return;
        }
        let Some(log) = self.senders.get_mut(&sending.end) else { return };
        let Some(clash) = log.take(seq, &segment.payload, sending.packet).filter(|_| !log.is_reported) else { return };
        log.is_reported = true;
        sending.violates(self, seen, |seen| {
            format!(
                "{} sent byte {} as {:?} in {} and as {:?} in {}",
                sending.end.describe(seen),
                sending.end.relative(seen, clash.seq),
                char::from(clash.first),
                packet_name(seen, clash.first_in),
                char::from(clash.now),
                packet_name(seen, sending.packet),
            )
        });
    }

    fn on_coming(&mut self, coming: &Coming<'_>, _seen: &mut Seen<'_>) {
        if coming.segment.has(Flags::ACK)
            && let Some(log) = self.senders.get_mut(&coming.end)
        {
            log.forget_below(coming.segment.ack);
        }
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        self.senders.discard(&end);
    }
}

impl Log {
    /// Where `seq` lies; nothing if it is before everything the log has ever held.
    fn place(&self, seq: Seq) -> Option<u64> {
        self.end.checked_add_signed(i64::from(seq.diff(self.end_seq)))
    }

    fn forget_below(&mut self, ack: Seq) {
        let Some(below) = self.place(ack).filter(|&place| place <= self.end) else { return };
        while let Some(piece) = self.pieces.front_mut().filter(|piece| piece.start < below) {
            let n = u32::try_from(below - piece.start).unwrap_or(u32::MAX).min(piece.data.len());
            piece.data.split_to(n);
            piece.start += u64::from(n);
            if piece.data.is_empty() {
                self.pieces.pop_front();
            }
        }
    }

    /// Compares `data` with what was sent at its place before, and remembers what is new of it.
    fn take(&mut self, seq: Seq, data: &Payload, packet: (LinkId, u64)) -> Option<Clash> {
        let clash = if seq.lt(self.end_seq) { self.compare(seq, data) } else { None };
        if seq.gt(self.end_seq) {
            // A sender that skips has lost its place; what it sent before says nothing any more.
            self.pieces.clear();
            self.end += u64::from(seq.since(self.end_seq));
            self.end_seq = seq;
        }
        let end = seq + data.len();
        if end.gt(self.end_seq) {
            let known = self.end_seq.since(seq);
            let new = data.slice(known..data.len());
            self.pieces.push_back(Piece { start: self.end, data: new, packet });
            self.end += u64::from(end.since(self.end_seq));
            self.end_seq = end;
        }
        clash
    }

    fn compare(&self, seq: Seq, data: &Payload) -> Option<Clash> {
        let start = self.place(seq)?;
        let mut at = self.pieces.partition_point(|piece| piece.start + u64::from(piece.data.len()) <= start);
        while let Some(piece) = self.pieces.get(at).filter(|piece| piece.start < start + u64::from(data.len())) {
            let from = start.max(piece.start);
            let to = (start + u64::from(data.len())).min(piece.start + u64::from(piece.data.len()));
            let old = cut(&piece.data, piece.start, from, to);
            let new = cut(data, start, from, to);
            if !old.same_bytes(&new) {
                let (offset, (&first, &now)) = (0u32..).zip(old.iter().zip(new.iter())).find(|(_, (a, b))| a != b)?;
                let seq = seq + u32::try_from(from - start).unwrap_or(0) + offset;
                return Some(Clash { seq, first, first_in: piece.packet, now });
            }
            at += 1;
        }
        None
    }
}

/// The part of `data`, which lies at `start`, between two places.
fn cut(data: &Payload, start: u64, from: u64, to: u64) -> Payload {
    let offset = |place: u64| u32::try_from(place - start).expect("a place within one payload");
    data.slice(offset(from)..offset(to))
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, ack, data};
    use super::*;

    fn open() -> Plant<ConsistentRetransmission> {
        let mut plant = Plant::new(ConsistentRetransmission::default());
        plant.handshake();
        plant.send(Dir::Up, data(1, 1, "abcd"));
        plant.send(Dir::Up, data(5, 1, "efgh"));
        plant
    }

    #[test]
    fn the_same_bytes_may_come_in_other_pieces() {
        let mut plant = open();
        plant.send(Dir::Up, data(1, 1, "abcdefghij"));
        plant.send(Dir::Up, data(3, 1, "cdef"));
        plant.send(Dir::Up, data(9, 1, "ij"));
        plant.holds();
        plant.send(Dir::Up, data(3, 1, "cdeX"));
        plant.breaks(&["byte 6", "'f' in client > server #4", "'X' in client > server #8"]);
    }

    #[test]
    fn a_byte_changes_in_the_last_piece_too() {
        let mut plant = open();
        plant.send(Dir::Up, data(1, 1, "abcdefghij"));
        plant.send(Dir::Up, data(9, 1, "ik"));
        plant.breaks(&["byte 10", "client > server #5", "client > server #6"]);
    }

    #[test]
    fn what_is_acknowledged_may_be_garbage() {
        let mut plant = open();
        plant.pass(Dir::Down, ack(1, 3));
        plant.send(Dir::Up, data(2, 1, "\0"));
        plant.send(Dir::Up, data(1, 1, "\0\0cd"));
        plant.holds();
        plant.send(Dir::Up, data(2, 1, "\0C"));
        plant.breaks(&["byte 3"]);
    }

    #[test]
    fn an_acknowledgment_counts_once_it_has_arrived() {
        let mut plant = open();
        plant.send(Dir::Down, ack(1, 9));
        plant.send(Dir::Up, data(8, 1, "\0"));
        plant.breaks(&["byte 8"]);
    }

    #[test]
    fn a_middlebox_sends_no_second_version() {
        let mut plant = open();
        plant.forward(Dir::Up, data(1, 1, "ABCD"));
        plant.inject(Dir::Up, data(1, 1, "ABCD"));
        plant.holds();
    }
}
