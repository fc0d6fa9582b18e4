//! Which connection a packet belongs to, from the packets alone.
//!
//! An incarnation is one life of a connection on a 4-tuple. It begins with a SYN whose sequence number is new; the
//! other end joins it with its own SYN. Every later segment belongs to the incarnation its *sender* is in.

use super::tuples::{Seat, Tuples, number};
use crate::endpoint::{State, Tuple};
use crate::map::Map;
use crate::shelf::Shelf;
use crate::wire::{Flags, Packet, Segment, Seq};
use std::net::SocketAddr;

/// One incarnation, numbered from 0 in the order of their first SYNs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// One end of an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that sent the first SYN.
    Opener,
    /// The other end.
    Other,
}

impl Side {
    /// The opposite end.
    pub const fn flipped(self) -> Side {
        match self {
            Side::Opener => Side::Other,
            Side::Other => Side::Opener,
        }
    }
}

/// What is known of one incarnation.
#[derive(Clone, Debug)]
pub struct Incarnation {
    /// Address of the end that sent the first SYN.
    pub opener: SocketAddr,
    /// Address of the other end.
    pub other: SocketAddr,
    /// Initial sequence numbers: the opener's, the other's.
    pub iss: [Option<Seq>; 2],
    /// The opener says that it is in SYN-SENT.
    is_waiting: bool,
    /// Which side is the first end of its 4-tuple, and where that is in [`Conns::current`].
    first: Side,
    slot: u32,
}

impl Incarnation {
    /// The initial sequence number of one end.
    pub fn iss(&self, side: Side) -> Option<Seq> {
        self.iss[side as usize]
    }

    /// The side of the end with this address.
    pub fn side_of(&self, end: SocketAddr) -> Side {
        if self.opener == end { Side::Opener } else { Side::Other }
    }

    /// Which end of its 4-tuple this side is.
    const fn end_of(&self, side: Side) -> usize {
        self.first as usize ^ side as usize
    }
}

/// A segment's place: its incarnation and the end that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// The incarnation.
    pub conn: ConnId,
    /// The sender's end.
    pub from: Side,
}

/// All incarnations of a run.
#[derive(Clone, Debug, Default)]
pub struct Conns {
    all: Shelf<Incarnation>,
    tuples: Tuples,
    /// By the slots of [`Conns::tuples`].
    current: Shelf<Current>,
    /// Names that were given, and those that the next incarnations shall have.
    names: Map<ConnId, String>,
    next_names: Map<(SocketAddr, SocketAddr), String>,
}

/// The incarnations that the two ends of a 4-tuple are in, the lesser address first.
#[derive(Clone, Copy, Debug, Default)]
struct Current([Option<Life>; 2]);

/// An incarnation of a 4-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    conn: ConnId,
    /// The side that is the first end.
    first: Side,
}

impl Life {
    const fn belongs(self, end: usize) -> Belongs {
        Belongs { conn: self.conn, from: if end == 0 { self.first } else { self.first.flipped() } }
    }
}

impl Conns {
    /// Gives the next incarnation that `local` opens to `remote` a name of its own.
    pub fn name_next(&mut self, local: SocketAddr, remote: SocketAddr, name: &str) {
        self.next_names.insert((local, remote), name.to_owned());
    }

    /// The incarnation with this number.
    pub fn get(&self, conn: ConnId) -> Option<&Incarnation> {
        self.all.get(conn.0 as usize)
    }

    /// How many there have been.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there has been none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Its name: the one given, or `c1`, `c2`, … in the order of their first SYNs.
    pub fn name(&self, conn: ConnId) -> String {
        self.names.get(&conn).cloned().unwrap_or_else(|| format!("c{}", conn.0 + 1))
    }

    /// The numbers that a segment sent in `sent` counts from: the initial sequence numbers of its sender and of its
    /// receiver, 0 where one is not known.
    pub fn bases(&self, sent: Option<Belongs>) -> (Seq, Seq) {
        let iss = |side: Side| sent.and_then(|sent| self.get(sent.conn)?.iss(side)).unwrap_or_default();
        sent.map_or((Seq(0), Seq(0)), |sent| (iss(sent.from), iss(sent.from.flipped())))
    }

    /// The incarnation that the end `local` of this 4-tuple is in.
    pub fn of(&self, local: SocketAddr, remote: SocketAddr) -> Option<Belongs> {
        self.of_end(self.tuples.find(&local, &remote)?)
    }

    /// The incarnation that the receiver of a segment that was sent in `sent` is in. What the receiver does next is mostly
    /// about it.
    pub fn came(&mut self, sent: Belongs) -> Option<Belongs> {
        let incarnation = self.all.get(sent.conn.0 as usize)?;
        let &Incarnation { opener, other, slot, .. } = incarnation;
        // Both ends of a connection to itself are one.
        let is_to_itself = opener.port() == other.port() && opener == other;
        let end = if is_to_itself { 0 } else { 1 - incarnation.end_of(sent.from) };
        self.tuples.remember(&opener, &other, Seat { slot, end: incarnation.end_of(Side::Opener) });
        self.of_end(Seat { slot, end })
    }

    /// The end that `belongs` says, the same for every incarnation of its 4-tuple.
    pub(crate) fn seat(&self, belongs: Belongs) -> Option<Seat> {
        let incarnation = self.get(belongs.conn)?;
        Some(Seat { slot: incarnation.slot, end: incarnation.end_of(belongs.from) })
    }

    #[inline]
    fn of_end(&self, Seat { slot, end }: Seat) -> Option<Belongs> {
        let current = self.current[slot as usize].0;
        Some(current[end].or(current[1 - end])?.belongs(end))
    }

    /// Looks at a packet as it is sent, and says where it belongs; nothing for what is not TCP, and for segments
    /// of no connection that was ever opened here.
    pub fn sent(&mut self, packet: &Packet) -> Option<Belongs> {
        let segment = packet.segment()?;
        let local = SocketAddr::new(packet.src, segment.src_port);
        let remote = SocketAddr::new(packet.dst, segment.dst_port);
        if segment.has(Flags::SYN) {
            return Some(self.syn(local, remote, segment));
        }
        let seat = self.tuples.look(&local, &remote)?;
        self.of_end(seat)
    }

    fn syn(&mut self, local: SocketAddr, remote: SocketAddr, segment: &Segment) -> Belongs {
        let Seat { slot, end } = self.slot(local, remote);
        let current = self.current[slot as usize];
        // A retransmission, or the SYN of a connection whose state changed before it was sent.
        if let Some(life) = current.0[end] {
            let (conn, belongs) = (life.conn, life.belongs(end));
            let iss = self.all[conn.0 as usize].iss[belongs.from as usize].get_or_insert(segment.seq);
            if *iss == segment.seq {
                return belongs;
            }
            // A listener that has forgotten its first answer, or never knew it, as a SYN cookie is made anew each time.
            let opener = &self.all[conn.0 as usize];
            let forgot = belongs.from == Side::Other && opener.is_waiting && current.0[1 - end] == Some(life);
            if forgot && self.answers(life, 1 - end, segment) {
                self.all[conn.0 as usize].iss[belongs.from as usize] = Some(segment.seq);
                return belongs;
            }
        }
        // The other end's SYN waits for ours: an answer to it, or both opened at once.
        if let Some(life) = current.0[1 - end]
            && self.iss_of(life, end).is_none()
            && self.answers(life, 1 - end, segment)
        {
            let belongs = life.belongs(end);
            self.all[belongs.conn.0 as usize].iss[belongs.from as usize] = Some(segment.seq);
            self.current[slot as usize].0[end] = Some(life);
            return belongs;
        }
        self.open(local, remote, Some(segment.seq))
    }

    /// The state of `tuple` is about to become `to`, before the SYN that goes with it is sent.
    pub fn transition(&mut self, tuple: Tuple, from: State, to: State) -> Option<Belongs> {
        match (from, to) {
            (State::Closed, State::SynSent) => Some(self.active_open(tuple.local, tuple.remote)),
            (State::SynSent, _) => {
                let seat = self.tuples.look(&tuple.local, &tuple.remote)?;
                let belongs = self.of_end(seat)?;
                self.all[belongs.conn.0 as usize].is_waiting = false;
                Some(belongs)
            }
            (State::Closed | State::Listen, State::SynReceived | State::Established) => {
                let Seat { slot, end } = self.tuples.look(&tuple.local, &tuple.remote)?;
                let current = &mut self.current[slot as usize];
                let life = current.0[1 - end]?;
                current.0[end] = Some(life);
                Some(life.belongs(end))
            }
            // TIME-WAIT ends long after anybody spoke, and nothing follows from it.
            (State::TimeWait, State::Closed) => self.of(tuple.local, tuple.remote),
            _ => {
                let seat = self.tuples.look(&tuple.local, &tuple.remote)?;
                self.of_end(seat)
            }
        }
    }

    /// `local` sends the first SYN; or, where the other end waits for an answer to its own, both open at once (RFC 9293
    /// 3.5, figure 7), which makes one connection.
    fn active_open(&mut self, local: SocketAddr, remote: SocketAddr) -> Belongs {
        let Seat { slot, end } = self.slot(local, remote);
        let crossing = self.current[slot as usize].0[1 - end].filter(|&life| {
            self.all[life.conn.0 as usize].is_waiting && self.iss_of(life, end).is_none() && local != remote
        });
        let Some(life) = crossing else { return self.open(local, remote, None) };
        self.next_names.remove(&(local, remote));
        self.current[slot as usize].0[end] = Some(life);
        life.belongs(end)
    }

    fn open(&mut self, local: SocketAddr, remote: SocketAddr, iss: Option<Seq>) -> Belongs {
        let Seat { slot, end } = self.slot(local, remote);
        let conn = ConnId(number(self.all.len()));
        if !self.next_names.is_empty()
            && let Some(name) = self.next_names.remove(&(local, remote))
        {
            self.names.insert(conn, name);
        }
        let (opener, other, is_waiting) = (local, remote, iss.is_none());
        let first = if end == 0 { Side::Opener } else { Side::Other };
        self.all.push(Incarnation { opener, other, iss: [iss, None], is_waiting, first, slot });
        self.current[slot as usize].0[end] = Some(Life { conn, first });
        Belongs { conn, from: Side::Opener }
    }

    /// The place of a 4-tuple, made at its first use, and which of its ends `local` is.
    fn slot(&mut self, local: SocketAddr, remote: SocketAddr) -> Seat {
        let seat = self.tuples.slot(&local, &remote);
        if seat.slot as usize == self.current.len() {
            self.current.push(Current::default());
        }
        seat
    }

    /// Whether a SYN from the end that has none yet belongs to `life`, which the end `opener` opened.
    fn answers(&self, life: Life, opener: usize, segment: &Segment) -> bool {
        !segment.has(Flags::ACK) || self.iss_of(life, opener).is_some_and(|iss| segment.ack == iss + 1)
    }

    fn iss_of(&self, life: Life, end: usize) -> Option<Seq> {
        let Belongs { conn, from } = life.belongs(end);
        self.all[conn.0 as usize].iss(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;

    fn packet(reverse: bool, flags: Flags, seq: u32, ack: u32) -> Packet {
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let (src, dst, src_port, dst_port) = if reverse { (b, a, 80, 5000) } else { (a, b, 5000, 80) };
        let segment = Segment { src_port, dst_port, seq: Seq(seq), ack: Seq(ack), flags, ..Segment::default() };
        Packet::new(src, dst, Body::Tcp(segment))
    }

    fn sides(conns: &mut Conns, packets: &[(bool, Flags, u32, u32)]) -> Vec<Option<(u32, Side)>> {
        let place = |&(reverse, flags, seq, ack): &(bool, Flags, u32, u32)| {
            conns.sent(&packet(reverse, flags, seq, ack)).map(|b| (b.conn.0, b.from))
        };
        packets.iter().map(place).collect()
    }

    #[test]
    fn a_handshake_is_one_incarnation_and_a_new_isn_the_next() {
        let mut conns = Conns::default();
        let (syn, ack) = (Flags::SYN, Flags::ACK);
        let got = sides(
            &mut conns,
            &[
                (true, ack, 9, 9),
                (false, syn, 100, 0),
                (false, syn, 100, 0),
                (true, syn | ack, 300, 101),
                (false, ack, 101, 301),
            ],
        );
        let (opener, other) = (Some((0, Side::Opener)), Some((0, Side::Other)));
        assert_eq!(got, [None, opener, opener, other, opener]);
        // The other end still speaks for the old incarnation until it answers the new SYN.
        let got = sides(&mut conns, &[(false, syn, 900, 0), (true, ack, 301, 101), (true, syn | ack, 777, 901)]);
        assert_eq!(got, [Some((1, Side::Opener)), other, Some((1, Side::Other))]);
        assert_eq!(conns.name(ConnId(1)), "c2");
    }

    #[test]
    fn two_syns_that_cross_are_one_incarnation() {
        let mut conns = Conns::default();
        let got = sides(&mut conns, &[(false, Flags::SYN, 1, 0), (true, Flags::SYN, 2, 0)]);
        assert_eq!(got, [Some((0, Side::Opener)), Some((0, Side::Other))]);
    }
}
