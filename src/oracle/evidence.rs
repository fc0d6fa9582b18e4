//! What a wire oracle may take as evidence: which packets an end sent of its own accord, and which reached it.
//!
//! Left out are packets that middleboxes pass on (a copy on the way is no retransmission, a NAT is no end), packets
//! that the script injected, connections of a host to the very same port of its own, and connections whose
//! incarnations cannot be told apart any more: because a SYN came from somewhere else, or because a SYN cookie in a late
//! segment opened again, without a SYN, what had ended (RFC 4987 3.6).

use super::Seen;
use crate::endpoint::{Arrival, Backoff, DropReason, Event, State};
use crate::map::Map;
use crate::time::{SimTime, secs};
use crate::trace::{Arrived, Belongs, ConnId, Conns, Disturbance, LinkId, Names, NodeId, Record, Sent, Side, What};
use crate::wire::{Body, Flags, Packet, Segment, Seq};
use std::net::{IpAddr, SocketAddr};

/// One end of one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) conn: ConnId,
    pub(super) side: Side,
}

impl End {
    /// The other end of the same incarnation.
    pub(super) const fn peer(self) -> End {
        End { conn: self.conn, side: self.side.flipped() }
    }

    /// `side` of `c1`, in words.
    #[cold]
    pub(super) fn describe(self, seen: &Seen<'_>) -> String {
        let addr = seen.conns.get(self.conn).map(|conn| match self.side {
            Side::Opener => conn.opener,
            Side::Other => conn.other,
        });
        let who = addr.map_or_else(|| "an unknown end".to_owned(), |addr| seen.names.socket(addr));
        format!("{who} in {}", seen.conns.name(self.conn))
    }

    /// `seq` of this end, counted from its initial sequence number where that is known.
    pub(super) fn relative(self, seen: &Seen<'_>, seq: Seq) -> u32 {
        let iss = seen.conns.get(self.conn).and_then(|conn| conn.iss(self.side));
        seq.since(iss.unwrap_or(Seq(0)))
    }
}

impl From<Belongs> for End {
    fn from(belongs: Belongs) -> End {
        End { conn: belongs.conn, side: belongs.from }
    }
}

/// A segment that proves something.
#[derive(Clone, Copy)]
pub(super) enum Sight<'a> {
    /// An end sent it of its own accord.
    Sent(Sending<'a>),
    /// It reached the end that it is addressed to.
    Came(Coming<'a>),
}

/// A segment that an end sent.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) node: NodeId,
    pub(super) end: End,
    pub(super) packet: (LinkId, u64),
    pub(super) segment: &'a Segment,
}

/// A segment that reached an end.
#[derive(Clone, Copy)]
pub(super) struct Coming<'a> {
    pub(super) node: NodeId,
    /// The end that it reached.
    pub(super) end: End,
    /// The end that it was sent by.
    pub(super) from: End,
    pub(super) packet: (LinkId, u64),
    pub(super) segment: &'a Segment,
    /// Whether the script injected it.
    pub(super) forged: bool,
    pub(super) copy: u8,
    pub(super) sent: SimTime,
    pub(super) outcome: Option<Arrival>,
}

/// Sorts records into evidence.
#[derive(Default)]
pub(super) struct Evidence {
    /// The link on which the next packet is injected.
    injecting: Option<LinkId>,
    /// Injected packets on their way, and how many copies of each.
    forged: Map<(LinkId, u64), usize>,
    nodes: Vec<NodeFacts>,
    /// Whose timers the record at hand moves; what was due before it is judged without it.
    stirring: Option<(NodeId, SimTime)>,
    homes: Map<IpAddr, NodeId>,
    homes_known: usize,
    conns_known: usize,
    /// A bit an incarnation: whether its segments are evidence no more.
    clouded: Bits,
    /// A bit an end: whether its connection has ceased to exist.
    ended: Bits,
}

/// A set of small numbers.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn has(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|bits| bits >> (n % 64) & 1 == 1)
    }

    fn set(&mut self, n: usize) {
        if self.0.len() <= n / 64 {
            self.0.resize(n / 64 + 1, 0);
        }
        self.0[n / 64] |= 1 << (n % 64);
    }
}

#[derive(Clone, Copy, Default)]
struct NodeFacts {
    /// It passes on what is not addressed to it.
    is_middlebox: bool,
    /// It tells what it makes of packets and connections.
    tells: bool,
    /// The last segment that came to it was a SYN.
    has_heard_syn: bool,
    /// When something last happened to it that moves its timers.
    stirred: Option<SimTime>,
    /// The address of its own that was looked up last.
    home: Option<IpAddr>,
    /// How its RTO grows.
    backoff: Backoff,
}

impl Evidence {
    /// What `record` proves, if it proves anything. To be called for every record.
    pub(super) fn look<'r>(&mut self, record: &'r Record<'_>, names: &Names, conns: &Conns) -> Option<Sight<'r>> {
        self.settle();
        let sight = match (&record.what, record.node) {
            (What::Sent(sent), Some(node)) => self.sent(node, sent, conns).map(Sight::Sent),
            (What::Arrived(arrived), Some(node)) => {
                if let Body::Icmp(_) = arrived.packet.body {
                    self.stirring = Some((node, record.at));
                }
                if arrived.outcome.is_some() {
                    self.facts(node).tells = true;
                }
                self.arrived(node, arrived, names).map(Sight::Came)
            }
            (What::Noted { conn, event }, Some(node)) => {
                self.facts(node).tells = true;
                if let (Some(belongs), Event::Transition { from, to, .. }) = (conn, event) {
                    self.moved(node, End::from(*belongs), *from, *to);
                }
                None
            }
            (What::Disturbed(Disturbance::Injected(link)), _) => {
                self.injecting = Some(*link);
                None
            }
            (What::Disturbed(Disturbance::Host(_) | Disturbance::Skew(_)), Some(node)) => {
                self.stirring = Some((node, record.at));
                None
            }
            _ => None,
        };
        self.conns_known = conns.len();
        sight
    }

    /// Counts what the last record was among what has happened.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Some((node, at)) = self.stirring.take() {
            self.facts(node).stirred = Some(at);
        }
    }

    /// Whether something happened to `node` at or after `since` that moves its timers: a fault, another speed of its
    /// clock, an ICMP error (RFC 6069 takes back a doubling for one).
    pub(super) fn stirred_since(&self, node: NodeId, since: SimTime) -> bool {
        self.nodes.get(node.0 as usize).and_then(|facts| facts.stirred).is_some_and(|at| at >= since)
    }

    pub(super) fn add_node(&mut self, node: NodeId, backoff: Backoff) {
        self.facts(node).backoff = backoff;
    }

    /// How the RTO of `node` has to grow: "a maximum value MAY be placed on RTO provided it is at least 60 seconds"
    /// (RFC 6298 2.5), or less where its settings say less.
    pub(super) fn backoff(&self, node: NodeId) -> Backoff {
        let said = self.nodes.get(node.0 as usize).map(|facts| facts.backoff).unwrap_or_default();
        Backoff { longest: said.longest.min(secs(60)), ..said }
    }

    /// Whether `node` has ever told what it makes of packets and connections.
    pub(super) fn tells(&self, node: NodeId) -> bool {
        self.nodes.get(node.0 as usize).is_some_and(|facts| facts.tells)
    }

    /// Whether `node` is known to pass packets on.
    pub(super) fn is_middlebox(&self, node: NodeId) -> bool {
        self.nodes.get(node.0 as usize).is_some_and(|facts| facts.is_middlebox)
    }

    /// Whether the segments of `conn` prove nothing any more.
    pub(super) fn is_clouded(&self, conn: ConnId) -> bool {
        self.clouded.has(conn.0 as usize)
    }

    /// A connection has come into another state. One that ends may begin again by the same SYN, sent once more.
    fn moved(&mut self, node: NodeId, end: End, from: State, to: State) {
        let bit = end.conn.0 as usize * 2 + end.side as usize;
        if matches!(to, State::Closed | State::Listen) {
            self.ended.set(bit);
        } else if matches!(from, State::Closed | State::Listen)
            && self.ended.has(bit)
            && !self.facts(node).has_heard_syn
        {
            self.cloud(end.conn);
        }
    }

    fn sent<'r>(&mut self, node: NodeId, sent: &'r Sent<'_>, conns: &Conns) -> Option<Sending<'r>> {
        let forged = self.injecting.take_if(|link| *link == sent.link).is_some();
        if forged && !sent.fate.is_lost() {
            self.forged.insert((sent.link, sent.n), 1 + sent.fate.copies());
        }
        // The network's own ICMP errors come from addresses that nobody has, and make no middlebox.
        let segment = sent.packet.segment()?;
        if sent.forwarded && !forged {
            self.facts(node).is_middlebox = true;
        }
        let end = End::from(sent.conn?);
        // Such a SYN moves one end of the 4-tuple into an incarnation that its host knows nothing of.
        let is_fresh = end.conn.0 as usize >= self.conns_known;
        if segment.has(Flags::SYN) && (forged || sent.forwarded && is_fresh) {
            self.cloud(end.conn);
            let (src, dst) = ends(&sent.packet, segment);
            if let Some(live) = conns.of(dst, src) {
                self.cloud(live.conn);
            }
        }
        let is_own = !forged && !sent.forwarded && !self.is_middlebox(node);
        let is_clear = !self.is_clouded(end.conn) && !is_to_itself(&sent.packet, segment);
        (is_own && is_clear).then_some(Sending { node, end, packet: (sent.link, sent.n), segment })
    }

    fn arrived<'r>(&mut self, node: NodeId, arrived: &'r Arrived<'_>, names: &Names) -> Option<Coming<'r>> {
        let forged = !self.forged.is_empty() && self.is_forged((arrived.link, arrived.n));
        if !self.is_home(node, arrived.packet.dst, names) {
            let is_mistake = [DropReason::NotMine, DropReason::HostDown]
                .map(|r| Some(Arrival::Dropped(r)))
                .contains(&arrived.outcome);
            self.facts(node).is_middlebox |= !is_mistake;
            return None;
        }
        let segment = arrived.packet.segment()?;
        self.facts(node).has_heard_syn = segment.has(Flags::SYN);
        let from = End::from(arrived.conn?);
        if self.is_middlebox(node) || is_to_itself(&arrived.packet, segment) {
            return None;
        }
        let end = arrived.here.map_or_else(|| from.peer(), End::from);
        if self.is_clouded(from.conn) || self.is_clouded(end.conn) {
            self.cloud(from.conn);
            self.cloud(end.conn);
            return None;
        }
        let &Arrived { link, n, copy, sent, outcome, .. } = arrived;
        Some(Coming { node, end, from, packet: (link, n), segment, forged, copy, sent, outcome })
    }

    /// Whether a copy of this packet that comes now was injected.
    fn is_forged(&mut self, packet: (LinkId, u64)) -> bool {
        let Some(left) = self.forged.get_mut(&packet) else { return false };
        *left -= 1;
        if *left == 0 {
            self.forged.remove(&packet);
        }
        true
    }

    fn facts(&mut self, node: NodeId) -> &mut NodeFacts {
        let index = node.0 as usize;
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, NodeFacts::default());
        }
        &mut self.nodes[index]
    }

    #[cold]
    fn cloud(&mut self, conn: ConnId) {
        self.clouded.set(conn.0 as usize);
    }

    /// Whether `addr` is an address of `node`.
    fn is_home(&mut self, node: NodeId, addr: IpAddr, names: &Names) -> bool {
        if self.facts(node).home == Some(addr) || addr.is_loopback() {
            return true;
        }
        for &(addr, node) in &names.addrs[self.homes_known..] {
            self.homes.insert(addr, node);
        }
        self.homes_known = names.addrs.len();
        let is_home = self.homes.get(&addr) == Some(&node);
        if is_home {
            self.facts(node).home = Some(addr);
        }
        is_home
    }
}

/// The end whose connection ceases to exist with `record`, where its host tells so.
pub(super) fn ended(record: &Record<'_>) -> Option<End> {
    match &record.what {
        What::Noted { conn: Some(belongs), event: Event::Transition { to: State::Closed | State::Listen, .. } } => {
            Some(End::from(*belongs))
        }
        _ => None,
    }
}

/// The end that has nothing left to send but acknowledgments with `record`, where its host tells so.
pub(super) fn done(record: &Record<'_>) -> Option<End> {
    match &record.what {
        What::Noted { conn: Some(belongs), event: Event::Transition { to: State::TimeWait, .. } } => {
            Some(End::from(*belongs))
        }
        _ => ended(record),
    }
}

/// `client > server #3`.
#[cold]
pub(super) fn packet_name(seen: &Seen<'_>, (link, n): (LinkId, u64)) -> String {
    format!("{} #{n}", seen.names.link(link))
}

fn ends(packet: &Packet, segment: &Segment) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new(packet.src, segment.src_port), SocketAddr::new(packet.dst, segment.dst_port))
}

/// A port that is connected to itself: both ends have one name.
fn is_to_itself(packet: &Packet, segment: &Segment) -> bool {
    segment.src_port == segment.dst_port && packet.src == packet.dst
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Dir, SERVER, data, syn};
    use super::super::{Oracle, plant::Plant};
    use super::*;

    /// Reports every piece of evidence, so that a test sees what passes.
    struct Tell;

    impl Oracle for Tell {
        fn name(&self) -> &'static str {
            "tell"
        }

        fn source(&self) -> &'static str {
            "this test"
        }

        fn on_record(&mut self, _record: &Record<'_>, seen: &mut Seen<'_>) {
            let text = match seen.sight {
                Some(Sight::Sent(s)) => format!("sent c{} {:?}", s.end.conn.0 + 1, s.end.side),
                Some(Sight::Came(c)) => format!("came c{} {:?} forged {}", c.end.conn.0 + 1, c.end.side, c.forged),
                None => return,
            };
            seen.violated(self, None, None, text);
        }
    }

    #[test]
    fn an_end_speaks_for_itself_and_a_router_for_nobody() {
        let mut plant = Plant::new(Tell);
        plant.handshake();
        plant.forget();
        plant.forward(Dir::Up, data(1, 1, "ab"));
        assert_eq!(plant.texts(), [""; 0]);
        plant.pass(Dir::Down, data(1, 1, "ab"));
        assert_eq!(plant.texts(), ["sent c1 Other", "came c1 Opener forged false"]);
    }

    #[test]
    fn what_a_cookie_opens_again_proves_nothing_and_what_its_syn_does_goes_on() {
        for (again, proves) in [(syn(0), true), (data(1, 1, "late"), false)] {
            let mut plant = Plant::new(Tell);
            plant.handshake();
            plant.transition(SERVER, State::Established, State::Closed);
            plant.pass(Dir::Up, again);
            plant.transition(SERVER, State::Listen, State::SynReceived);
            plant.forget();
            plant.pass(Dir::Down, data(1, 1, "ab"));
            assert_eq!(plant.texts().len(), if proves { 2 } else { 0 }, "{proves}");
        }
    }

    #[test]
    fn a_middlebox_is_no_end_even_under_its_own_address() {
        let mut plant = Plant::new(Tell);
        let n = plant.send(Dir::Up, syn(0));
        plant.forget();
        // The same packet reaches somebody it is not addressed to: from now on that one is a middlebox.
        plant.arrive_at(CLIENT, Dir::Up, n);
        plant.send(Dir::Up, syn(0));
        assert_eq!(plant.texts(), [""; 0]);
    }

    #[test]
    fn an_injected_syn_clouds_both_incarnations_and_injected_data_is_forged() {
        let mut plant = Plant::new(Tell);
        plant.handshake();
        plant.forget();
        let n = plant.inject(Dir::Up, data(1, 1, "x"));
        plant.arrive(Dir::Up, n);
        assert_eq!(plant.texts(), ["came c1 Other forged true"]);
        plant.forget();
        let n = plant.inject_twice(Dir::Up, data(1, 1, "x"));
        plant.arrive(Dir::Up, n);
        plant.arrive(Dir::Up, n);
        assert_eq!(plant.texts(), ["came c1 Other forged true"; 2]);
        plant.forget();
        plant.inject(Dir::Up, syn(5_000));
        plant.pass(Dir::Up, data(1, 1, "x"));
        plant.pass(Dir::Down, data(1, 1, "x"));
        assert_eq!(plant.texts(), [""; 0]);
    }
}
