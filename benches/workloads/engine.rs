//! The engine without a stack: timers alone, and endpoints that exchange segments without looking at them.

use crate::measure::{Done, Meter};
use std::net::IpAddr;
use wirefate::Link;
use wirefate::endpoint::{Attach, Cx, Endpoint, IfaceId};
use wirefate::sim::Sim;
use wirefate::time::{HostTime, Span, ms, ns};
use wirefate::wire::{Body, Flags, Options, Packet, Payload, Segment, Seq, TcpOption};

/// 10 000 endpoints whose timers fire a hundred times each, at intervals of their own.
pub(crate) fn timers(_meter: &mut Meter) -> Done {
    const ENDPOINTS: u64 = 10_000;
    const EACH: u64 = 300;
    let mut sim = crate::sim();
    for n in 0..ENDPOINTS {
        let every = ns(1_000_000 + n * 7_919 % 1_000_003);
        sim.endpoint(&format!("e{n}"), Ticker { every, next: HostTime::ZERO, left: EACH });
    }
    sim.run();
    let outcome = sim.outcome();
    Done::of(&sim, outcome.events, ENDPOINTS * EACH)
}

/// Fires `left` times.
struct Ticker {
    every: Span,
    next: HostTime,
    left: u64,
}

impl Endpoint for Ticker {
    fn on_packet(&mut self, _cx: &mut Cx<'_>, _iface: IfaceId, _packet: &Packet) {}

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {
        self.left -= 1;
        self.next += self.every;
    }

    fn next_timeout(&self) -> Option<HostTime> {
        (self.left > 0).then_some(self.next)
    }
}

/// Two million full segments over one connection, 700 under way, one acknowledgment for two.
pub(crate) fn segments(_meter: &mut Meter) -> Done {
    const SEGMENTS: u32 = 2_000_000;
    let mut sim = crate::sim();
    let sender = sim.endpoint("sender", Wire::new(SEGMENTS));
    let receiver = sim.endpoint("receiver", Wire::new(0));
    sim.link(sender, receiver, Link::new().delay(ms(10)));
    let addr = |sim: &Sim, node| sim.addr(node).expect("hosts have addresses");
    let ends = (addr(&sim, sender), addr(&sim, receiver));
    sim.with_endpoint(sender, |endpoint, cx| {
        let endpoint: &mut dyn std::any::Any = endpoint;
        endpoint.downcast_mut::<Wire>().expect("the sender").open(cx, ends);
    });
    sim.run();
    let acks = SEGMENTS / 2;
    let handshake = 3;
    Done::of(&sim, sim.outcome().packets - u64::from(acks) - handshake, SEGMENTS.into())
}

/// One end of a connection that sends what it has, and acknowledges every second segment.
struct Wire {
    iface: IfaceId,
    left: u32,
    seq: Seq,
    ack: Seq,
    unanswered: u32,
    /// Data segments that were sent and not acknowledged.
    outstanding: u32,
    data: Payload,
}

const MSS: u32 = 1_448;
const FIRST: u32 = 40;
const AT_ONCE: u32 = 700;

impl Wire {
    fn new(left: u32) -> Wire {
        let data = vec![7; MSS as usize].into();
        Wire { iface: IfaceId(0), left, seq: Seq(1), ack: Seq(0), unanswered: 0, outstanding: 0, data }
    }

    fn open(&mut self, cx: &mut Cx<'_>, (src, dst): (IpAddr, IpAddr)) {
        self.segment(cx, (src, 49_152), (dst, 80), Flags::SYN, Payload::EMPTY);
    }

    fn segment(&mut self, cx: &mut Cx<'_>, from: (IpAddr, u16), to: (IpAddr, u16), flags: Flags, payload: Payload) {
        let option = [TcpOption::Mss(1_460), TcpOption::WindowScale(7)];
        let option: &[TcpOption<'_>] = if flags.contains(Flags::SYN) { &option } else { &[] };
        let mut options = Options::default();
        for option in option {
            options.push(*option).expect("two options fit");
        }
        let (seq, ack) = (self.seq, self.ack);
        self.seq += payload.len() + u32::from(flags.contains(Flags::SYN));
        let (src_port, dst_port, window, urgent) = (from.1, to.1, 65_535, 0);
        let segment = Segment { src_port, dst_port, seq, ack, flags, window, urgent, options, payload };
        cx.send(self.iface, Packet::new(from.0, to.0, Body::Tcp(segment)));
    }
}

impl Endpoint for Wire {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        if let Attach::Iface { iface, .. } = attach {
            self.iface = *iface;
        }
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, _iface: IfaceId, packet: &Packet) {
        let Some(segment) = packet.segment() else { return };
        let (from, to) = ((packet.dst, segment.dst_port), (packet.src, segment.src_port));
        let is_syn = segment.has(Flags::SYN);
        self.ack = segment.end();
        if is_syn && !segment.has(Flags::ACK) {
            return self.segment(cx, from, to, Flags::SYN | Flags::ACK, Payload::EMPTY);
        }
        if is_syn {
            self.segment(cx, from, to, Flags::ACK, Payload::EMPTY);
        }
        if segment.seq_len() > 0 && !is_syn {
            self.unanswered += 1;
            if self.unanswered == 2 {
                self.unanswered = 0;
                self.segment(cx, from, to, Flags::ACK, Payload::EMPTY);
            }
        }
        // The window of a SYN is not scaled; behind it each acknowledgment lets three go for two.
        let room = if is_syn { FIRST } else { (AT_ONCE - self.outstanding.saturating_sub(2)).min(3) };
        self.outstanding -= self.outstanding.min(if is_syn { 0 } else { 2 });
        for _ in 0..room.min(self.left) {
            self.left -= 1;
            self.outstanding += 1;
            let data = self.data.clone();
            self.segment(cx, from, to, Flags::ACK, data);
        }
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }
}
