//! Packets on their way: onto a link, off it, into an endpoint.

use super::budget::Exceeded;
use super::node::{Held, Presence};
use super::recorder::Recorder;
use super::topology::Topology;
use super::topology::{Hop, Void};
use super::{Class, Sim};
use crate::endpoint::{Effect, Event, IfaceId};
use crate::map::Map;
use crate::net::{self, Action, Facts, Fate, Fault, Lane, Loss, Selector};
use crate::time::{SimTime, Span};
use crate::trace::{Arrived, Belongs, ConnId, Conns, LinkId, NodeId, Sent, Side, What};
use crate::wire::{self, Body, Icmp, IcmpKind, Packet, Payload};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The faults that are forced on chosen packets, each with the number of packets that its selector has met.
#[derive(Default)]
pub(super) struct Faults {
    list: Vec<Forced>,
    /// Packets that named faults have met: the name, the link, the number.
    hits: Vec<(String, LinkId, u64)>,
    /// Whether choices that are not harmless are taken down.
    pub(super) recording: bool,
    pub(super) recorded: Vec<Fault>,
    /// How many packets of each link, connection and control bits there have been, while recording.
    met: Map<(LinkId, Option<ConnId>, Option<u16>), u32>,
}

/// One fault, and how far it is used up.
struct Forced {
    fault: Fault,
    /// Packets that its selector has met.
    met: u32,
    /// Packets that it may still change.
    left: Option<u32>,
    from: SimTime,
    until: SimTime,
}

impl Sim {
    /// Forces a fate on the packets that `fault` selects.
    pub fn fault(&mut self, fault: Fault) {
        self.fault_within(fault, None, Span::ZERO, Span::MAX);
    }

    /// Forces a fate on the packets that `fault` selects, on at most `times` of them, sent in `from..=until`.
    pub fn fault_within(&mut self, fault: Fault, times: Option<u32>, from: Span, until: Span) {
        let (from, until) = (SimTime::ZERO + from, SimTime::ZERO + until);
        self.faults.list.push(Forced { fault, met: 0, left: times, from, until });
    }

    /// The packets that the fault called `name` has met, each by its link and its number there.
    pub fn hit_by(&self, name: &str) -> Vec<(LinkId, u64)> {
        let hits = self.faults.hits.iter().filter(|(by, ..)| by == name);
        hits.map(|&(_, link, n)| (link, n)).collect()
    }

    /// Lets the packets go that the fault called `name` holds.
    pub fn release(&mut self, name: &str) {
        for (place, link) in self.topology.links.iter_mut().zip(0u32..) {
            place.lane.release(name, self.now);
            self.agenda.set(Class::Delivery, link, place.lane.next_arrival());
        }
    }

    /// Takes down the network's choices from now on; [`Sim::choices`] gives them.
    pub fn record_choices(&mut self) {
        self.faults.recording = true;
    }

    /// The choices of the network that were not harmless, as faults that bring them back.
    pub fn choices(&self) -> Vec<Fault> {
        self.faults.recorded.clone()
    }

    /// Makes every choice of the network harmless but for these, which [`Sim::choices`] of another run gave.
    pub fn replay(&mut self, faults: &[Fault]) {
        for fault in faults {
            self.fault(fault.clone());
        }
        self.topology.replay = true;
        for place in &mut self.topology.links {
            place.lane.replay();
        }
    }

    /// Takes the impairments called `name` out of action on every link; nothing else changes by it.
    pub fn mask(&mut self, name: &str) {
        self.topology.masked.push(name.to_owned());
        for place in &mut self.topology.links {
            place.lane.mask(name);
        }
    }

    /// Sends `packet` from an interface of `node`: decides its fate and puts it on its link.
    pub(super) fn transmit(&mut self, node: NodeId, iface: IfaceId, packet: Box<Packet>) {
        match self.next_hop(node, iface, packet.dst) {
            Hop::Link(link) => self.put_on(node, link, packet),
            hop => self.lose_outside(node, hop, &packet),
        }
    }

    /// Puts `packet` on `link`.
    pub(super) fn put_on(&mut self, node: NodeId, link: LinkId, packet: Box<Packet>) {
        let conn = self.recorder.conns.sent(&packet);
        let forced = match self.faults.list.is_empty() {
            true => Vec::new(),
            false => self.faults.forced(self.now, &self.recorder, link, conn, &packet, &self.topology),
        };
        let lane = &mut self.topology.links[link.0 as usize].lane;
        let decision = lane.decide(self.now, &packet, &forced);
        if self.faults.recording {
            self.faults.take_down(&self.recorder, link, conn, &packet, lane);
        }
        let forwarded = !self.nodes[node.0 as usize].owns(packet.src);
        let (shown, fate) = (Cow::Borrowed(&*packet), Cow::Borrowed(&decision.fate));
        let what = What::Sent(Sent { link, n: decision.n, packet: shown, conn, fate, forwarded });
        self.recorder.show(self.now, node, what);
        if let Some(mtu) = decision.fate.too_big()
            && packet.dont_fragment
        {
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            return self.answer_with_icmp(node, &packet, IcmpKind::TooBig { mtu });
        }
        let len = u64::from(packet.len());
        let launched = lane.launch(decision, packet, label(conn));
        self.topology.in_flight += launched;
        self.topology.bytes_in_flight += launched * len;
        self.agenda.set(Class::Delivery, link.0, lane.next_arrival());
    }

    /// A packet that finds no link: it is sent on a link to nowhere, so that it has a name and a fate.
    #[cold]
    fn lose_outside(&mut self, node: NodeId, hop: Hop, packet: &Packet) {
        let (loss, to) = match hop {
            Hop::Void(Void::Blackhole) => (Loss::Blackhole, "blackhole"),
            Hop::Void(Void::Unreachable) => (Loss::Unreachable, "unreachable"),
            _ => (Loss::NoHost, "nowhere"),
        };
        let link = self.nowhere(node, to);
        let conn = self.recorder.conns.sent(packet);
        let n = self.topology.links[link.0 as usize].lane.count();
        let forwarded = !self.nodes[node.0 as usize].owns(packet.src);
        let (shown, fate) = (Cow::Borrowed(packet), Cow::Owned(Fate::Lost(loss)));
        self.record(Some(node), What::Sent(Sent { link, n, packet: shown, conn, fate, forwarded }));
        if hop == Hop::Void(Void::Unreachable) {
            self.answer_with_icmp(node, packet, IcmpKind::HostUnreachable);
        }
    }

    /// The network tells the sender why `packet` was lost: the answer comes on a link of its own, from the address
    /// that could not be reached, after no time.
    #[cold]
    fn answer_with_icmp(&mut self, node: NodeId, packet: &Packet, kind: IcmpKind) {
        // RFC 1122 3.2.2: no ICMP error about an ICMP error.
        if matches!(packet.body, Body::Icmp(_)) {
            return;
        }
        let quote = wire::quote_of(packet);
        let answer = Packet::new(packet.dst, packet.src, Body::Icmp(Icmp { kind, quote }));
        let back = self.network_link(node);
        self.put_on(node, back, Box::new(answer));
    }

    /// The next packet of `link` arrives.
    pub(super) fn deliver(&mut self, link: u32) {
        let place = &mut self.topology.links[link as usize];
        let arrived = place.lane.pop();
        let (to, iface, next) = (place.to, place.to_iface, place.lane.next_arrival());
        self.agenda.set(Class::Delivery, link, next);
        let Some(arrived) = arrived else { return };
        self.topology.in_flight -= 1;
        self.topology.bytes_in_flight -= u64::from(arrived.packet.len());
        let link = LinkId(link);
        match self.nodes[to.0 as usize].presence {
            Presence::Paused => self.nodes[to.0 as usize].held.push(Held { link, iface, arrived }),
            Presence::Up | Presence::Down => self.hand_over(to, (link, iface), &arrived),
        }
    }

    /// Gives a packet to its endpoint, and records what that made of it before anything that follows from it.
    pub(super) fn hand_over(&mut self, node: NodeId, (link, iface): (LinkId, IfaceId), arrived: &net::Arrived) {
        let net::Arrived { n, copy, sent, .. } = *arrived;
        let (mut packet, mut conn) = (Cow::Borrowed(&*arrived.packet), belongs(arrived.label));
        let conns = &mut self.recorder.conns;
        let here = if let Some(bit) = arrived.corrupt_bit {
            // A bit that is flipped for the second time makes the packet what it was before the first.
            packet = Cow::Owned(corrupted(&packet, bit));
            let (sender, receiver) = views(conns, &packet);
            conn = conn.or(sender);
            receiver
        } else {
            conn.and_then(|conn| conns.came(conn))
        };
        // The incarnation that the receiver is in, where the packet was sent in another.
        let here = here.filter(|here| conn.is_some_and(|conn| conn.conn != here.conn));
        let detail = self.recorder.wants_detail();
        let place = &mut self.nodes[node.0 as usize];
        let now = place.clock.to_host(self.now);
        let mut cx = crate::endpoint::Cx::new(now, &mut self.effects, &mut place.streams, detail);
        place.endpoint.on_packet(&mut cx, iface, &packet);
        let outcome = self.effects.iter().find_map(|effect| match effect {
            Effect::Note(Event::Arrival(arrival)) => Some(*arrival),
            _ => None,
        });
        let packet = Cow::Borrowed(&*packet);
        let what = What::Arrived(Arrived { link, n, copy, packet, sent, conn, here, outcome });
        self.recorder.show(self.now, node, what);
        if outcome.is_some() {
            self.effects.retain(|effect| !matches!(effect, Effect::Note(Event::Arrival(_))));
        }
        self.carry_out(node);
    }

    pub(super) fn check_network_budget(&self) -> Result<(), Exceeded> {
        if self.topology.in_flight > self.budget.in_flight {
            return Err(Exceeded::InFlight(self.budget.in_flight));
        }
        if self.topology.bytes_in_flight + self.ledger.kept + self.recorder.kept() > self.budget.memory {
            return Err(Exceeded::Memory(self.budget.memory));
        }
        Ok(())
    }
}

impl Faults {
    /// The faults that meet this packet; counts it for each selector that names an occurrence.
    #[inline(never)]
    fn forced<'a>(
        &'a mut self,
        now: SimTime,
        recorder: &Recorder,
        link: LinkId,
        conn: Option<Belongs>,
        packet: &Packet,
        topology: &Topology,
    ) -> Vec<&'a Fault> {
        let name = recorder.names.link(link);
        let conn = conn.map(|belongs| recorder.conns.name(belongs.conn));
        let segment = packet.segment();
        let facts = Facts {
            link: (&name.from, &name.to),
            conn: conn.as_deref(),
            flags: segment.map(|segment| segment.flags),
            payload: segment.is_some_and(|segment| !segment.payload.is_empty()),
            packet: topology.links[link.0 as usize].lane.sent() + 1,
        };
        let mut forced = Vec::new();
        for Forced { fault, met, left, from, until } in &mut self.list {
            if now < *from || now > *until || *left == Some(0) || !fault.selector.matches(&facts) {
                continue;
            }
            *met += 1;
            if fault.selector.nth.is_none_or(|nth| nth == *met) {
                *left = left.map(|left| left - 1);
                let hit = |name: &String| (name.clone(), link, facts.packet);
                self.hits.extend(fault.name.as_ref().map(hit));
                forced.push(&*fault);
            }
        }
        forced
    }

    /// Takes down the choices about the packet just sent that were not harmless, as faults that bring them back.
    #[cold]
    fn take_down(&mut self, recorder: &Recorder, link: LinkId, conn: Option<Belongs>, packet: &Packet, lane: &Lane) {
        let flags = packet.segment().map(|segment| segment.flags);
        let key = (link, conn.map(|belongs| belongs.conn), flags.map(|flags| flags.bits()));
        let nth = self.met.get_or_insert_with(key, || 0);
        *nth += 1;
        let name = recorder.names.link(link);
        for (stage, action) in lane.recorded() {
            let selector = Selector {
                link: Some((name.from.clone(), name.to.clone())),
                conn: conn.map(|belongs| recorder.conns.name(belongs.conn)),
                flags,
                payload: None,
                nth: Some(*nth),
                packet: Some(lane.sent()),
            };
            let (action, stage): (Action, _) = (action.clone(), Some((*stage).to_owned()));
            self.recorded.push(Fault { name: None, selector, action, stage });
        }
    }
}

/// A packet's incarnation and sending side as one number, and back.
fn label(conn: Option<Belongs>) -> u64 {
    conn.map_or(0, |belongs| (u64::from(belongs.conn.0) << 1 | belongs.from as u64) + 1)
}

fn belongs(label: u64) -> Option<Belongs> {
    let code = label.checked_sub(1)?;
    let from = if code & 1 == Side::Opener as u64 { Side::Opener } else { Side::Other };
    Some(Belongs { conn: ConnId(u32::try_from(code >> 1).ok()?), from })
}

/// The incarnations that the ends with the packet's source and destination addresses are in.
#[cold]
fn views(conns: &Conns, packet: &Packet) -> (Option<Belongs>, Option<Belongs>) {
    let Some(segment) = packet.segment() else { return (None, None) };
    let src = SocketAddr::new(packet.src, segment.src_port);
    let dst = SocketAddr::new(packet.dst, segment.dst_port);
    (conns.of(src, dst), conns.of(dst, src))
}

/// The packet with one bit behind its IP header flipped, as the receiver's checksum code sees it.
#[cold]
fn corrupted(packet: &Packet, bit: u32) -> Packet {
    let mut bytes = wire::emit(packet);
    let header = packet.ip_header_len() as usize;
    let index = header + (bit / 8) as usize % bytes.len().saturating_sub(header).max(1);
    if let Some(byte) = bytes.get_mut(index) {
        *byte ^= 0x80 >> (bit % 8);
    }
    let raw = |bytes: Vec<u8>| Packet { body: Body::Raw(Payload::from(bytes)), ..packet.clone() };
    wire::parse(&bytes).unwrap_or_else(|_| raw(bytes))
}

impl super::node::Node {
    /// Whether `addr` is one of its own.
    pub(super) fn owns(&self, addr: std::net::IpAddr) -> bool {
        // The loopback, which is the first and rarely asked for, comes last.
        self.ifaces.iter().rev().any(|iface| iface.addrs.contains(&addr)) || addr.is_loopback()
    }
}
