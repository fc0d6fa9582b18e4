use super::firewall::begins;
use super::flow::Flow;
use super::forwarder::{Forwarder, Refusal, drop_packet};
use super::requote::requote;
use super::sessions::{Limits, Sessions, Way};
use crate::endpoint::{Attach, Cx, DropReason, Endpoint, HostFault, IfaceId};
use crate::time::HostTime;
use crate::wire::{Body, Packet};
use std::net::{IpAddr, SocketAddr};

/// Network address and port translation: what goes from an inside interface to the outside one leaves under the NAT's
/// own address there.
///
/// A mapping belongs to one session (inside socket and remote socket, as Linux masquerading does it). It keeps the
/// inside port where that is free towards the remote socket, else it takes the next higher free one, wrapping within
/// 1024..=65535. A TCP mapping begins with a SYN from inside, a UDP mapping with any datagram from inside. What finds no
/// mapping is met as [`Refusal`] says; when the table is full, whatever would begin one is dropped without a word. ICMP
/// errors are translated by the packet they quote. Between two inside interfaces packets pass as they are.
#[derive(Debug)]
pub struct Nat {
    forwarder: Forwarder,
    sessions: Sessions,
    refusal: Refusal,
    outside: IfaceId,
    translated: u64,
    refused: u64,
}

/// The lowest port a mapping takes when it cannot keep the inside one.
const LOWEST_PORT: u16 = 1_024;

impl Nat {
    /// A NAT whose interface `outside` is the outside one; interfaces come with its links and are numbered in that order
    /// from 0.
    pub fn new(outside: IfaceId, limits: Limits, refusal: Refusal) -> Nat {
        let (forwarder, sessions) = (Forwarder::default(), Sessions::new(limits));
        Nat { forwarder, sessions, refusal, outside, translated: 0, refused: 0 }
    }

    /// Translates a packet on its way out.
    fn outbound(&mut self, now: HostTime, packet: &mut Packet) -> Result<(), DropReason> {
        let own = self.forwarder.addr(self.outside, packet.src).ok_or(DropReason::Policy)?;
        let Some(flow) = Flow::of(packet) else { return self.translate_error(packet, Way::Forward) };
        let found = match self.sessions.find(&flow) {
            Some(found @ (_, Way::Forward)) => found,
            Some(_) => return Err(DropReason::Policy),
            None if !begins(packet) => return Err(DropReason::NoState),
            None => {
                let reverse = self.free_mapping(flow, own).ok_or(DropReason::TableFull)?;
                self.sessions.open(flow, reverse).ok_or(DropReason::TableFull)?
            }
        };
        self.sessions.touch(now, found, packet);
        let (_, reverse) = self.sessions.flows(found.0).ok_or(DropReason::NoState)?;
        reverse.flipped().readdress(packet);
        Ok(())
    }

    /// Translates a packet that came in from outside, addressed to the NAT.
    fn inbound(&mut self, now: HostTime, packet: &mut Packet) -> Result<(), DropReason> {
        let Some(flow) = Flow::of(packet) else { return self.translate_error(packet, Way::Reverse) };
        let found = self.sessions.find(&flow).filter(|&(_, way)| way == Way::Reverse).ok_or(DropReason::NoState)?;
        self.sessions.touch(now, found, packet);
        let (forward, _) = self.sessions.flows(found.0).ok_or(DropReason::NoState)?;
        forward.flipped().readdress(packet);
        Ok(())
    }

    /// Translates an ICMP error by the packet it quotes (RFC 5508 4.2, 4.3).
    fn translate_error(&mut self, packet: &mut Packet, way: Way) -> Result<(), DropReason> {
        let Body::Icmp(icmp) = &mut packet.body else { return Err(DropReason::Checksum) };
        let flow = Flow::answered_by(icmp).ok_or(DropReason::IcmpIrrelevant)?;
        let found = self.sessions.find(&flow).filter(|found| found.1 == way).ok_or(DropReason::IcmpIrrelevant)?;
        let (forward, reverse) = self.sessions.flows(found.0).ok_or(DropReason::IcmpIrrelevant)?;
        // The quoted packet went the other way than the error; its flow is the one that the error's receiver knows.
        match way {
            Way::Forward => {
                packet.src = reverse.dst.ip();
                icmp.quote = requote(&icmp.quote, reverse);
            }
            Way::Reverse => {
                packet.dst = forward.src.ip();
                icmp.quote = requote(&icmp.quote, forward);
            }
        }
        Ok(())
    }

    /// The flow of answers to a new mapping of `flow` under the address `own`.
    fn free_mapping(&self, flow: Flow, own: IpAddr) -> Option<Flow> {
        let reverse = |port: u16| Flow { src: flow.dst, dst: SocketAddr::new(own, port), ..flow };
        let wanted = flow.src.port();
        let above = wanted.max(LOWEST_PORT)..=u16::MAX;
        let below = LOWEST_PORT..wanted.max(LOWEST_PORT);
        let mut candidates = std::iter::once(wanted).chain(above).chain(below).map(reverse);
        candidates.find(|reverse| self.sessions.find(reverse).is_none())
    }
}

impl Endpoint for Nat {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        self.forwarder.on_attach(attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        let Some(packet) = self.forwarder.age(cx, iface, packet) else { return };
        self.sessions.expire(cx.now());
        let mut passing = packet.clone();
        let own = self.forwarder.is_own(packet.dst);
        let verdict = if iface == self.outside {
            if own { self.inbound(cx.now(), &mut passing) } else { Err(DropReason::Policy) }
        } else if own {
            Err(DropReason::NoSocket)
        } else {
            match self.forwarder.way(cx, iface, &packet) {
                None => return,
                Some(out) if out == self.outside => self.outbound(cx.now(), &mut passing),
                Some(_) => Ok(()),
            }
        };
        if let Err(why) = verdict {
            self.refused += 1;
            let refusal = if why == DropReason::NoState { self.refusal } else { Refusal::Silence };
            return self.forwarder.refuse(cx, iface, &packet, refusal, why);
        }
        match self.forwarder.route(passing.dst) {
            Some(out) => {
                self.translated += 1;
                cx.send(out, passing);
            }
            None => drop_packet(cx, DropReason::NotMine),
        }
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }

    fn on_fault(&mut self, _cx: &mut Cx<'_>, fault: HostFault) {
        if matches!(fault, HostFault::Crash | HostFault::Reboot { .. }) {
            self.sessions.clear();
        }
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("forwarded", self.translated);
        visit("refused", self.refused);
        self.sessions.counters(visit);
    }

    fn forwards(&self, from: IfaceId, to: IfaceId) -> bool {
        from != self.outside && from != to
    }
}
