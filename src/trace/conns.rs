//! Which connection a packet belongs to, from the packets alone.
//!
//! An incarnation is one life of a connection on a 4-tuple. It begins with a SYN whose sequence number is new; the
//! other end joins it with its own SYN. Every later segment belongs to the incarnation its *sender* is in.

use crate::endpoint::{State, Tuple};
use crate::map::Map;
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
    name: Option<String>,
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
    all: Vec<Incarnation>,
    current: Map<(SocketAddr, SocketAddr), Current>,
    names: Map<(SocketAddr, SocketAddr), String>,
}

/// The incarnations that the two ends of a 4-tuple are in, lower address first.
#[derive(Clone, Copy, Debug, Default)]
struct Current([Option<ConnId>; 2]);

fn ordered(a: SocketAddr, b: SocketAddr) -> ((SocketAddr, SocketAddr), usize) {
    if a <= b { ((a, b), 0) } else { ((b, a), 1) }
}

impl Conns {
    /// Gives the next incarnation that `local` opens to `remote` a name of its own.
    pub fn name_next(&mut self, local: SocketAddr, remote: SocketAddr, name: &str) {
        self.names.insert((local, remote), name.to_owned());
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
        match self.get(conn).and_then(|c| c.name.clone()) {
            Some(name) => name,
            None => format!("c{}", conn.0 + 1),
        }
    }

    /// The numbers that a segment sent in `sent` counts from: the initial sequence numbers of its sender and of its
    /// receiver, 0 where one is not known.
    pub fn bases(&self, sent: Option<Belongs>) -> (Seq, Seq) {
        let iss = |side: Side| sent.and_then(|sent| self.get(sent.conn)?.iss(side)).unwrap_or_default();
        sent.map_or((Seq(0), Seq(0)), |sent| (iss(sent.from), iss(sent.from.flipped())))
    }

    /// The incarnation that the end `local` of this 4-tuple is in.
    pub fn of(&self, local: SocketAddr, remote: SocketAddr) -> Option<Belongs> {
        let (key, end) = ordered(local, remote);
        let current = self.current.get(&key)?;
        let conn = current.0[end].or(current.0[1 - end])?;
        Some(self.belongs(conn, local))
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
        self.of(local, remote)
    }

    fn syn(&mut self, local: SocketAddr, remote: SocketAddr, segment: &Segment) -> Belongs {
        let (key, end) = ordered(local, remote);
        let current = self.current.get(&key).copied().unwrap_or_default();
        // A retransmission, or the SYN of a connection whose state changed before it was sent.
        if let Some(conn) = current.0[end] {
            let belongs = self.belongs(conn, local);
            let iss = self.all[conn.0 as usize].iss[belongs.from as usize].get_or_insert(segment.seq);
            if *iss == segment.seq {
                return belongs;
            }
        }
        // The other end's SYN waits for ours: an answer to it, or both opened at once.
        if let Some(conn) = current.0[1 - end]
            && self.iss_of(conn, local).is_none()
            && self.answers(conn, remote, segment)
        {
            return self.join(key, end, conn, local, segment.seq);
        }
        self.open(local, remote, Some(segment.seq))
    }

    /// The state of `tuple` is about to become `to`, before the SYN that goes with it is sent.
    pub fn transition(&mut self, tuple: Tuple, from: State, to: State) -> Option<Belongs> {
        let (key, end) = ordered(tuple.local, tuple.remote);
        match (from, to) {
            (State::Closed, State::SynSent) => Some(self.active_open(key, end, tuple)),
            (State::Closed | State::Listen, State::SynReceived | State::Established) => {
                let conn = self.current.get(&key)?.0[1 - end]?;
                self.current.get_mut(&key)?.0[end] = Some(conn);
                Some(self.belongs(conn, tuple.local))
            }
            _ => self.of(tuple.local, tuple.remote),
        }
    }

    /// An active open begins an incarnation, or joins the one that the other end has opened towards it meanwhile.
    fn active_open(&mut self, key: (SocketAddr, SocketAddr), end: usize, tuple: Tuple) -> Belongs {
        let theirs = self.current.get(&key).and_then(|current| current.0[1 - end]);
        match theirs.filter(|conn| self.iss_of(*conn, tuple.local).is_none()) {
            Some(conn) => {
                self.current.get_or_insert_with(key, Current::default).0[end] = Some(conn);
                self.belongs(conn, tuple.local)
            }
            None => self.open(tuple.local, tuple.remote, None),
        }
    }

    fn open(&mut self, local: SocketAddr, remote: SocketAddr, iss: Option<Seq>) -> Belongs {
        let (key, end) = ordered(local, remote);
        let conn = ConnId(u32::try_from(self.all.len()).expect("fewer than 2^32 connections"));
        let name = self.names.remove(&(local, remote));
        self.all.push(Incarnation { opener: local, other: remote, iss: [iss, None], name });
        let slot = self.current.get_or_insert_with(key, Current::default);
        slot.0[end] = Some(conn);
        Belongs { conn, from: Side::Opener }
    }

    fn join(
        &mut self,
        key: (SocketAddr, SocketAddr),
        end: usize,
        conn: ConnId,
        local: SocketAddr,
        iss: Seq,
    ) -> Belongs {
        let belongs = self.belongs(conn, local);
        self.all[conn.0 as usize].iss[belongs.from as usize] = Some(iss);
        let slot = self.current.get_or_insert_with(key, Current::default);
        slot.0[end] = Some(conn);
        belongs
    }

    /// Whether a SYN from the end that has none yet belongs to `conn`, which `remote` opened.
    fn answers(&self, conn: ConnId, remote: SocketAddr, segment: &Segment) -> bool {
        !segment.has(Flags::ACK) || self.iss_of(conn, remote).is_some_and(|iss| segment.ack == iss + 1)
    }

    fn iss_of(&self, conn: ConnId, end: SocketAddr) -> Option<Seq> {
        let belongs = self.belongs(conn, end);
        self.all[conn.0 as usize].iss(belongs.from)
    }

    fn belongs(&self, conn: ConnId, end: SocketAddr) -> Belongs {
        let from = if self.all[conn.0 as usize].opener == end { Side::Opener } else { Side::Other };
        Belongs { conn, from }
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
