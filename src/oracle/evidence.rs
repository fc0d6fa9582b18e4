//! What a wire oracle may take as evidence: which packets an end sent of its own accord, and which reached it.
//!
//! Left out are packets that middleboxes pass on (a copy on the way is no retransmission, a NAT is no end), packets
//! that the script injected, connections of a host to the very same port of its own, and connections whose
//! incarnations cannot be told apart any more: because a SYN came from somewhere else, or because a SYN cookie in a late
//! segment opened again, without a SYN, what had ended (RFC 4987 3.6).

use super::{Oracle, Seen};
use crate::endpoint::{Arrival, Backoff, DropReason, Event, State};
use crate::map::Map;
use crate::time::{SimTime, secs};
use crate::trace::{Arrived, Belongs, ConnId, Conns, Disturbance, LinkId, Names, NodeId, Record, Sent, Side, What};
use crate::wire::{Body, Flags, Packet, Segment, Seq};
use std::net::{IpAddr, SocketAddr};

/// One end of one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// The incarnation.
    pub conn: ConnId,
    /// Which of its ends.
    pub side: Side,
}

impl End {
    /// The other end of the same incarnation.
    pub const fn peer(self) -> End {
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

/// What a record proves.
pub(super) enum Sight<'a> {
    /// An end sent a segment of its own accord.
    Sent(Sending<'a>),
    /// A segment reached the end that it is addressed to.
    Came(Coming<'a>),
    /// An end has nothing left to send but acknowledgments, or has ceased to exist.
    Done(End),
    /// Nothing of the kind.
    Other,
}

/// A segment that an end sent of its own accord: no middlebox passed it on, and no script injected it.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The record that tells it.
    pub record: &'a Record<'a>,
    /// The sender's host.
    pub node: NodeId,
    /// The end that sent it.
    pub end: End,
    /// Its link, and its number there.
    pub packet: (LinkId, u64),
    /// The segment itself.
    pub segment: &'a Segment,
}

impl Sending<'_> {
    /// It breaks the rule of `oracle`, in the way that `text` tells.
    #[cold]
    #[inline(never)]
    pub(super) fn violates(&self, oracle: &dyn Oracle, seen: &mut Seen<'_>, text: impl FnOnce(&Seen<'_>) -> String) {
        let text = text(seen);
        seen.violated(oracle, Some(self.node), Some(self.packet), text);
    }
}

/// A segment that reached the end that it is addressed to.
#[derive(Clone, Copy, Debug)]
pub struct Coming<'a> {
    /// The record that tells it.
    pub record: &'a Record<'a>,
    /// The receiver's host.
    pub node: NodeId,
    /// The end that it reached.
    pub end: End,
    /// The end that it was sent by, or that a script wanted it to come from.
    pub from: End,
    /// Its link, and its number there.
    pub packet: (LinkId, u64),
    /// The segment itself.
    pub segment: &'a Segment,
    /// Whether the script injected it.
    pub forged: bool,
    /// 0 for the segment itself, 1 and up for its duplicates.
    pub copy: u8,
    /// When it was sent.
    pub sent: SimTime,
    /// What the receiver made of it, where it did not simply take it.
    pub outcome: Option<Arrival>,
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
    /// What `record` proves. To be called for every record.
    #[inline]
    pub(super) fn look<'r>(&mut self, record: &'r Record<'r>, names: &Names, conns: &Conns) -> Sight<'r> {
        self.settle();
        let sight = match (&record.what, record.node) {
            (What::Sent(sent), Some(node)) => self.sent(record, node, sent, conns).map_or(Sight::Other, Sight::Sent),
            (What::Arrived(arrived), Some(node)) => {
                if let Body::Icmp(_) = arrived.packet.body {
                    self.stirring = Some((node, record.at));
                }
                if arrived.outcome.is_some() {
                    self.facts(node).tells = true;
                }
                self.arrived(record, node, arrived, names).map_or(Sight::Other, Sight::Came)
            }
            (What::Noted { conn, event }, Some(node)) => {
                self.facts(node).tells = true;
                match (conn, event) {
                    (Some(belongs), Event::Transition { from, to, .. }) => {
                        self.moved(node, End::from(*belongs), *from, *to)
                    }
                    _ => Sight::Other,
                }
            }
            (What::Disturbed(disturbance), node) => {
                self.disturbed(node, disturbance, record.at);
                Sight::Other
            }
            _ => Sight::Other,
        };
        self.conns_known = conns.len();
        sight
    }

    #[cold]
    fn disturbed(&mut self, node: Option<NodeId>, disturbance: &Disturbance, at: SimTime) {
        match (disturbance, node) {
            (Disturbance::Injected(link), _) => self.injecting = Some(*link),
            (Disturbance::Host(_) | Disturbance::Skew(_), Some(node)) => self.stirring = Some((node, at)),
            _ => {}
        }
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
    fn moved<'r>(&mut self, node: NodeId, end: End, from: State, to: State) -> Sight<'r> {
        let bit = end.conn.0 as usize * 2 + end.side as usize;
        match (from, to) {
            (_, State::Closed | State::Listen) => {
                self.ended.set(bit);
                return Sight::Done(end);
            }
            (_, State::TimeWait) => return Sight::Done(end),
            (State::Closed | State::Listen, _) if self.ended.has(bit) && !self.facts(node).has_heard_syn => {
                self.cloud(end.conn);
            }
            _ => {}
        }
        Sight::Other
    }

    fn sent<'r>(
        &mut self,
        record: &'r Record<'r>,
        node: NodeId,
        sent: &'r Sent<'r>,
        conns: &Conns,
    ) -> Option<Sending<'r>> {
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
        (is_own && is_clear).then_some(Sending { record, node, end, packet: (sent.link, sent.n), segment })
    }

    fn arrived<'r>(
        &mut self,
        record: &'r Record<'r>,
        node: NodeId,
        arrived: &'r Arrived<'r>,
        names: &Names,
    ) -> Option<Coming<'r>> {
        let forged = !self.forged.is_empty() && self.is_forged((arrived.link, arrived.n));
        let index = self.place(node);
        if self.nodes[index].home != Some(arrived.packet.dst) && !self.is_home(index, arrived.packet.dst, names) {
            let is_mistake = [DropReason::NotMine, DropReason::HostDown]
                .map(|r| Some(Arrival::Dropped(r)))
                .contains(&arrived.outcome);
            self.nodes[index].is_middlebox |= !is_mistake;
            return None;
        }
        let segment = arrived.packet.segment()?;
        let facts = &mut self.nodes[index];
        facts.has_heard_syn = segment.has(Flags::SYN);
        let from = End::from(arrived.conn?);
        if facts.is_middlebox || is_to_itself(&arrived.packet, segment) {
            return None;
        }
        let end = arrived.here.map_or_else(|| from.peer(), End::from);
        if self.is_clouded(from.conn) || self.is_clouded(end.conn) {
            self.cloud(from.conn);
            self.cloud(end.conn);
            return None;
        }
        let &Arrived { link, n, copy, sent, outcome, .. } = arrived;
        Some(Coming { record, node, end, from, packet: (link, n), segment, forged, copy, sent, outcome })
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
        let place = self.place(node);
        &mut self.nodes[place]
    }

    /// Where the facts of `node` are.
    #[inline]
    fn place(&mut self, node: NodeId) -> usize {
        let index = node.0 as usize;
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, NodeFacts::default());
        }
        index
    }

    #[cold]
    fn cloud(&mut self, conn: ConnId) {
        self.clouded.set(conn.0 as usize);
    }

    /// Whether `addr` is an address of the node with the facts at `place`, which is remembered.
    #[inline(never)]
    fn is_home(&mut self, place: usize, addr: IpAddr, names: &Names) -> bool {
        if addr.is_loopback() {
            return true;
        }
        for &(addr, node) in &names.addrs[self.homes_known..] {
            self.homes.insert(addr, node);
        }
        self.homes_known = names.addrs.len();
        let is_home = self.homes.get(&addr).is_some_and(|home| home.0 as usize == place);
        if is_home {
            self.nodes[place].home = Some(addr);
        }
        is_home
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

        fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
            let End { conn, side } = sending.end;
            seen.violated(self, None, None, format!("sent c{} {side:?}", conn.0 + 1));
        }

        fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
            let End { conn, side } = coming.end;
            seen.violated(self, None, None, format!("came c{} {side:?} forged {}", conn.0 + 1, coming.forged));
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
