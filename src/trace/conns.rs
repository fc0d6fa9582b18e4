//! Which connection a packet belongs to, from the packets alone.
//!
//! An incarnation is one life of a connection on a 4-tuple. It begins with a SYN whose sequence number is new; the
//! other end joins it with its own SYN. Every later segment belongs to the incarnation its *sender* is in.

use crate::endpoint::{State, Tuple};
use crate::map::Map;
use crate::wire::{Flags, Packet, Segment, Seq};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

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
    /// The opener says that it is in SYN-SENT.
    is_waiting: bool,
    /// Where its 4-tuple is in [`Conns::current`], and which end of that the opener is.
    slot: u32,
    opener_end: usize,
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
    slots: Map<Pair, u32>,
    current: Vec<Current>,
    names: Map<(SocketAddr, SocketAddr), String>,
    recent: Recent,
}

/// Ends that packets and transitions were about: what comes next is mostly about one of these.
#[derive(Clone, Debug)]
struct Recent(Box<[Option<Looked>; RECENT]>);

/// By their ports; a power of two.
const RECENT: usize = 64;

/// An end that was looked up, and what was found.
#[derive(Clone, Copy, Debug)]
struct Looked {
    local: SocketAddr,
    remote: SocketAddr,
    slot: u32,
    end: usize,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent(Box::new([None; RECENT]))
    }
}

impl Recent {
    /// The place of a 4-tuple, the same from both ends.
    fn place(local: SocketAddr, remote: SocketAddr) -> usize {
        usize::from(local.port() ^ remote.port()) % RECENT
    }

    fn find(&self, local: SocketAddr, remote: SocketAddr) -> Option<(u32, usize)> {
        let known = self.0[Recent::place(local, remote)].as_ref()?;
        if known.local == local && known.remote == remote {
            Some((known.slot, known.end))
        } else if known.local == remote && known.remote == local {
            Some((known.slot, 1 - known.end))
        } else {
            None
        }
    }

    /// Whether the 4-tuple, which has this slot, is found from either end.
    fn knows(&self, local: SocketAddr, remote: SocketAddr, slot: u32) -> bool {
        self.0[Recent::place(local, remote)].as_ref().is_some_and(|known| known.slot == slot)
    }

    fn remember(&mut self, looked: Looked) {
        self.0[Recent::place(looked.local, looked.remote)] = Some(looked);
    }
}

/// The incarnations that the two ends of a 4-tuple are in, the lesser address first.
#[derive(Clone, Copy, Debug, Default)]
struct Current([Option<ConnId>; 2]);

/// A 4-tuple, the same from both ends, as plain numbers: it is looked up with every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    addrs: [[u64; 2]; 2],
    ports: u64,
}

impl Pair {
    /// The pair, and whether `local` is its first end or its second.
    pub(crate) fn of(local: SocketAddr, remote: SocketAddr) -> (Pair, usize) {
        let ((a, a_port), (b, b_port)) = (numbers(local), numbers(remote));
        let pair = |addrs, first: u64, second: u64| Pair { addrs, ports: first << 32 | second };
        if (a, a_port) <= (b, b_port) { (pair([a, b], a_port, b_port), 0) } else { (pair([b, a], b_port, a_port), 1) }
    }
}

/// Two words tell nearly all pairs apart: the low halves of the addresses, and the ports.
impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [[_, low], [_, other]] = self.addrs;
        state.write_u64(low ^ other.rotate_left(32));
        state.write_u64(self.ports);
    }
}

/// Address and port; the port tells the family too.
fn numbers(addr: SocketAddr) -> ([u64; 2], u64) {
    match addr.ip() {
        IpAddr::V4(ip) => ([0, u64::from(ip.to_bits())], u64::from(addr.port())),
        IpAddr::V6(ip) => {
            let bytes = ip.octets();
            let half = |half: &[u8]| half.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            let (high, low) = (half(&bytes[..8]), half(&bytes[8..]));
            ([high, low], 1 << 16 | u64::from(addr.port()))
        }
    }
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
        let (slot, end) = self.find(local, remote)?;
        self.of_end(slot, end)
    }

    /// The slot of a 4-tuple that has one, and which of its ends `local` is.
    fn find(&self, local: SocketAddr, remote: SocketAddr) -> Option<(u32, usize)> {
        self.recent.find(local, remote).or_else(|| self.search(local, remote))
    }

    fn search(&self, local: SocketAddr, remote: SocketAddr) -> Option<(u32, usize)> {
        let (pair, end) = Pair::of(local, remote);
        Some((*self.slots.get(&pair)?, end))
    }

    /// The slot of a 4-tuple, remembered for the next time.
    fn look(&mut self, local: SocketAddr, remote: SocketAddr) -> Option<(u32, usize)> {
        if let Some(found) = self.recent.find(local, remote) {
            return Some(found);
        }
        let (slot, end) = self.search(local, remote)?;
        self.recent.remember(Looked { local, remote, slot, end });
        Some((slot, end))
    }

    /// The incarnation that the receiver of `packet`, which was sent in `sent`, is in. What the receiver does next is
    /// mostly about it.
    pub fn came(&mut self, packet: &Packet, sent: Belongs) -> Option<Belongs> {
        let (src_port, dst_port) = packet.ports()?;
        let (local, remote) = (SocketAddr::new(packet.dst, dst_port), SocketAddr::new(packet.src, src_port));
        let Incarnation { opener, other, slot, opener_end, .. } = self.get(sent.conn)?;
        let (from, to, end) = match sent.from {
            Side::Opener => (opener, other, 1 - opener_end),
            Side::Other => (other, opener, *opener_end),
        };
        // Ports may have been changed on the way; and both ends of a connection to itself are one.
        if (*to, *from) != (local, remote) || to == from {
            return self.of(local, remote);
        }
        let slot = *slot;
        if !self.recent.knows(local, remote, slot) {
            self.recent.remember(Looked { local, remote, slot, end });
        }
        self.of_end(slot, end)
    }

    /// A small number for the end that `belongs` says, the same for every incarnation of its 4-tuple.
    pub(crate) fn seat(&self, belongs: Belongs) -> Option<usize> {
        let Incarnation { slot, opener_end, .. } = self.get(belongs.conn)?;
        let end = if belongs.from == Side::Opener { *opener_end } else { 1 - opener_end };
        Some(*slot as usize * 2 + end)
    }

    fn of_end(&self, slot: u32, end: usize) -> Option<Belongs> {
        let current = self.current[slot as usize].0;
        let conn = current[end].or(current[1 - end])?;
        Some(self.belongs(conn, end))
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
        let (slot, end) = self.look(local, remote)?;
        self.of_end(slot, end)
    }

    fn syn(&mut self, local: SocketAddr, remote: SocketAddr, segment: &Segment) -> Belongs {
        let (slot, end) = self.slot(local, remote);
        let current = self.current[slot as usize];
        // A retransmission, or the SYN of a connection whose state changed before it was sent.
        if let Some(conn) = current.0[end] {
            let belongs = self.belongs(conn, end);
            let iss = self.all[conn.0 as usize].iss[belongs.from as usize].get_or_insert(segment.seq);
            if *iss == segment.seq {
                return belongs;
            }
            // A listener that has forgotten its first answer, or never knew it, as a SYN cookie is made anew each time.
            let opener = &self.all[conn.0 as usize];
            let forgot = belongs.from == Side::Other && opener.is_waiting && current.0[1 - end] == Some(conn);
            if forgot && self.answers(conn, 1 - end, segment) {
                self.all[conn.0 as usize].iss[belongs.from as usize] = Some(segment.seq);
                return belongs;
            }
        }
        // The other end's SYN waits for ours: an answer to it, or both opened at once.
        if let Some(conn) = current.0[1 - end]
            && self.iss_of(conn, end).is_none()
            && self.answers(conn, 1 - end, segment)
        {
            let belongs = self.belongs(conn, end);
            self.all[conn.0 as usize].iss[belongs.from as usize] = Some(segment.seq);
            self.current[slot as usize].0[end] = Some(conn);
            return belongs;
        }
        self.open(local, remote, Some(segment.seq))
    }

    /// The state of `tuple` is about to become `to`, before the SYN that goes with it is sent.
    pub fn transition(&mut self, tuple: Tuple, from: State, to: State) -> Option<Belongs> {
        match (from, to) {
            (State::Closed, State::SynSent) => Some(self.active_open(tuple.local, tuple.remote)),
            (State::SynSent, _) => {
                let (slot, end) = self.look(tuple.local, tuple.remote)?;
                let belongs = self.of_end(slot, end)?;
                self.all[belongs.conn.0 as usize].is_waiting = false;
                Some(belongs)
            }
            (State::Closed | State::Listen, State::SynReceived | State::Established) => {
                let (slot, end) = self.look(tuple.local, tuple.remote)?;
                let current = &mut self.current[slot as usize];
                let conn = current.0[1 - end]?;
                current.0[end] = Some(conn);
                Some(self.belongs(conn, end))
            }
            // TIME-WAIT ends long after anybody spoke, and nothing follows from it.
            (State::TimeWait, State::Closed) => self.of(tuple.local, tuple.remote),
            _ => {
                let (slot, end) = self.look(tuple.local, tuple.remote)?;
                self.of_end(slot, end)
            }
        }
    }

    /// `local` sends the first SYN; or, where the other end waits for an answer to its own, both open at once (RFC 9293
    /// 3.5, figure 7), which makes one connection.
    fn active_open(&mut self, local: SocketAddr, remote: SocketAddr) -> Belongs {
        let (slot, end) = self.slot(local, remote);
        let crossing = self.current[slot as usize].0[1 - end].filter(|&conn| {
            self.all[conn.0 as usize].is_waiting && self.iss_of(conn, end).is_none() && local != remote
        });
        let Some(conn) = crossing else { return self.open(local, remote, None) };
        self.names.remove(&(local, remote));
        self.current[slot as usize].0[end] = Some(conn);
        self.belongs(conn, end)
    }

    fn open(&mut self, local: SocketAddr, remote: SocketAddr, iss: Option<Seq>) -> Belongs {
        let (slot, end) = self.slot(local, remote);
        let conn = ConnId(number(self.all.len()));
        let name = self.names.remove(&(local, remote));
        let (opener, other, is_waiting) = (local, remote, iss.is_none());
        self.all.push(Incarnation { opener, other, iss: [iss, None], name, is_waiting, slot, opener_end: end });
        self.current[slot as usize].0[end] = Some(conn);
        Belongs { conn, from: Side::Opener }
    }

    /// The slot of a 4-tuple, made at its first use, and which of its ends `local` is.
    fn slot(&mut self, local: SocketAddr, remote: SocketAddr) -> (u32, usize) {
        if let Some(known) = self.look(local, remote) {
            return known;
        }
        let (pair, end) = Pair::of(local, remote);
        let current = &mut self.current;
        let slot = *self.slots.get_or_insert_with(pair, || {
            current.push(Current::default());
            number(current.len() - 1)
        });
        self.recent.remember(Looked { local, remote, slot, end });
        (slot, end)
    }

    /// Whether a SYN from the end that has none yet belongs to `conn`, which the end `opener` opened.
    fn answers(&self, conn: ConnId, opener: usize, segment: &Segment) -> bool {
        !segment.has(Flags::ACK) || self.iss_of(conn, opener).is_some_and(|iss| segment.ack == iss + 1)
    }

    fn iss_of(&self, conn: ConnId, end: usize) -> Option<Seq> {
        let belongs = self.belongs(conn, end);
        self.all[conn.0 as usize].iss(belongs.from)
    }

    fn belongs(&self, conn: ConnId, end: usize) -> Belongs {
        let from = if self.all[conn.0 as usize].opener_end == end { Side::Opener } else { Side::Other };
        Belongs { conn, from }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("fewer than 2^32 connections")
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
