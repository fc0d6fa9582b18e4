//! Packets on their way: onto a link, off it, into an endpoint.

use super::budget::Exceeded;
use super::node::{Held, Presence};
use super::topology::{Hop, Void};
use super::{Class, Sim};
use crate::endpoint::{Arrival, DropReason, Effect, Event, IfaceId};
use crate::net::{Facts, Fate, Fault};
use crate::trace::{Arrived, Belongs, LinkId, NodeId, Sent, What};
use crate::wire::{Body, Icmp, IcmpKind, Packet, Payload, codec};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The faults that are forced on chosen packets, each with the number of packets that its selector has met.
#[derive(Default)]
pub(super) struct Faults {
    list: Vec<(Fault, u32)>,
}

impl Sim {
    /// Forces a fate on the packets that `fault` selects.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.list.push((fault, 0));
    }

    /// Sends `packet` from an interface of `node`: decides its fate and puts it on its link.
    pub(super) fn transmit(&mut self, node: NodeId, iface: IfaceId, packet: Packet) {
        match self.next_hop(node, iface, packet.dst) {
            Hop::Link(link) => self.put_on(node, link, packet),
            hop => self.lose_outside(node, hop, packet),
        }
    }

    /// Puts `packet` on `link`.
    pub(super) fn put_on(&mut self, node: NodeId, link: LinkId, packet: Packet) {
        let conn = self.recorder.conns.sent(&packet);
        let place = &mut self.topology.links[link.0 as usize];
        let n = place.wire.sent() + 1;
        let before = place.wire.in_flight();
        let fate = if self.faults.list.is_empty() {
            place.wire.send(self.now, packet.clone(), &[])
        } else {
            let name = self.recorder.names.link(link);
            let conn = conn.map(|belongs| self.recorder.conns.name(belongs.conn));
            let forced = self.faults.forced((&name.from, &name.to), conn.as_deref(), &packet, n);
            self.topology.links[link.0 as usize].wire.send(self.now, packet.clone(), &forced)
        };
        let place = &self.topology.links[link.0 as usize];
        self.topology.in_flight = self.topology.in_flight + place.wire.in_flight() - before;
        self.agenda.set(Class::Delivery, link.0, place.wire.next_arrival());
        let forwarded = !self.nodes[node.0 as usize].owns(packet.src);
        let too_big = fate.too_big();
        let sent = Sent { link, n, packet: Cow::Borrowed(&packet), conn, fate: Cow::Borrowed(&fate), forwarded };
        self.record(Some(node), What::Sent(sent));
        if let Some(mtu) = too_big
            && packet.dont_fragment
        {
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            self.answer_with_icmp(node, link, &packet, IcmpKind::TooBig { mtu });
        }
    }

    /// A packet that finds no link: it is sent on a link to nowhere, so that it has a name and a fate.
    fn lose_outside(&mut self, node: NodeId, hop: Hop, packet: Packet) {
        let (fate, to) = match hop {
            Hop::Void(Void::Blackhole) => (Fate::blackhole(), "blackhole"),
            Hop::Void(Void::Unreachable) => (Fate::unreachable(), "unreachable"),
            _ => (Fate::no_host(), "nowhere"),
        };
        let link = self.nowhere(node, to);
        let conn = self.recorder.conns.sent(&packet);
        let n = self.topology.links[link.0 as usize].wire.count();
        let forwarded = !self.nodes[node.0 as usize].owns(packet.src);
        let sent = Sent { link, n, packet: Cow::Borrowed(&packet), conn, fate: Cow::Borrowed(&fate), forwarded };
        self.record(Some(node), What::Sent(sent));
        if hop == Hop::Void(Void::Unreachable) {
            self.answer_with_icmp(node, link, &packet, IcmpKind::HostUnreachable);
        }
    }

    /// The network tells the sender why `packet` was lost: the answer comes over the loopback of the sender's own
    /// interface, from the address that could not be reached, after no time.
    fn answer_with_icmp(&mut self, node: NodeId, _link: LinkId, packet: &Packet, kind: IcmpKind) {
        if matches!(packet.body, Body::Icmp(_)) || !self.nodes[node.0 as usize].owns(packet.src) {
            // RFC 1122 3.2.2: no ICMP error about an ICMP error.
            return;
        }
        let quote = crate::wire::quote_of(packet);
        let answer = Packet::new(packet.dst, packet.src, Body::Icmp(Icmp { kind, quote }));
        let back = self.nowhere_back(node);
        self.put_on(node, back, answer);
    }

    /// The next packet of `link` arrives.
    pub(super) fn deliver(&mut self, link: u32) {
        let place = &mut self.topology.links[link as usize];
        let before = place.wire.in_flight();
        let arrived = place.wire.pop();
        self.topology.in_flight = self.topology.in_flight + place.wire.in_flight() - before;
        self.agenda.set(Class::Delivery, link, place.wire.next_arrival());
        let (to, iface) = (place.to, place.to_iface);
        let Some(arrived) = arrived else { return };
        let packet = match arrived.corrupt_bit {
            Some(bit) => corrupted(&arrived.packet, bit),
            None => arrived.packet,
        };
        let (n, copy, sent) = (arrived.n, arrived.copy, arrived.sent);
        let held = Held { link: LinkId(link), n, copy, sent, iface, packet };
        match self.nodes[to.0 as usize].presence {
            Presence::Paused => self.nodes[to.0 as usize].held.push(held),
            Presence::Up | Presence::Down => self.hand_over(to, held),
        }
    }

    /// Gives a packet to its endpoint, and records what that made of it before anything that follows from it.
    pub(super) fn hand_over(&mut self, node: NodeId, held: Held) {
        let Held { link, n, copy, sent, iface, packet } = held;
        let conn = self.recorder.conns.sent_in(&packet, sent);
        let here = conn.and_then(|conn| self.other_view(&packet, conn));
        let mut effects = std::mem::take(&mut self.effects);
        let detail = self.recorder.wants_detail();
        let place = &mut self.nodes[node.0 as usize];
        let now = place.clock.to_host(self.now);
        let mut cx = crate::endpoint::Cx::new(now, &mut effects, &mut place.streams, detail);
        place.endpoint.on_packet(&mut cx, iface, packet.clone());
        let outcome = effects.iter().find_map(|effect| match effect {
            Effect::Note(Event::Arrival(arrival)) => Some(*arrival),
            _ => None,
        });
        let packet = Cow::Borrowed(&packet);
        self.record(Some(node), What::Arrived(Arrived { link, n, copy, packet, sent, conn, here, outcome }));
        effects.retain(|effect| !matches!(effect, Effect::Note(Event::Arrival(_))));
        self.carry_out(node, &mut effects);
        self.effects = effects;
    }

    /// The incarnation that the receiver is in, where the packet was sent in another.
    fn other_view(&self, packet: &Packet, conn: Belongs) -> Option<Belongs> {
        let (src_port, dst_port) = packet.ports()?;
        let (local, remote) = (SocketAddr::new(packet.dst, dst_port), SocketAddr::new(packet.src, src_port));
        self.recorder.conns.of(local, remote).filter(|here| here.conn != conn.conn)
    }

    pub(super) fn check_network_budget(&self) -> Result<(), Exceeded> {
        if self.topology.in_flight > self.budget.in_flight {
            return Err(Exceeded::InFlight(self.budget.in_flight));
        }
        if self.ledger.kept > self.budget.memory {
            return Err(Exceeded::Memory(self.budget.memory));
        }
        Ok(())
    }
}

impl Faults {
    /// The faults that meet this packet; counts it for each selector that names an occurrence.
    fn forced(&mut self, link: (&str, &str), conn: Option<&str>, packet: &Packet, n: u64) -> Vec<&Fault> {
        let flags = packet.segment().map(|segment| segment.flags);
        let payload = packet.segment().is_some_and(|segment| !segment.payload.is_empty());
        let mut forced = Vec::new();
        for (fault, met) in &mut self.list {
            let facts = Facts { link, conn, flags, packet: n, payload };
            if fault.selector.matches(&facts) {
                *met += 1;
                if fault.selector.nth.is_none_or(|nth| nth == *met) {
                    forced.push(&*fault);
                }
            }
        }
        forced
    }
}

/// The packet with one bit of it flipped, as the receiver's checksum code sees it.
fn corrupted(packet: &Packet, bit: u32) -> Packet {
    let mut bytes = codec::emit(packet);
    let index = (bit / 8) as usize % bytes.len();
    bytes[index] ^= 0x80 >> (bit % 8);
    match codec::parse(&bytes) {
        Ok(parsed) => parsed,
        Err(_) => Packet { body: Body::Raw(Payload::from(bytes)), ..packet.clone() },
    }
}

impl super::node::Node {
    /// Whether `addr` is one of its own.
    pub(super) fn owns(&self, addr: std::net::IpAddr) -> bool {
        addr.is_loopback() || self.ifaces.iter().any(|iface| iface.addrs.contains(&addr))
    }
}

/// What an endpoint that is down says to every packet.
pub(super) const DOWN: Arrival = Arrival::Dropped(DropReason::HostDown);
