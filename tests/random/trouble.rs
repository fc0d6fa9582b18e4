use super::draw::Draw;
use super::load::serve;
use super::world::{NOWHERE, World};
use std::net::SocketAddr;
use wirefate::endpoint::ConnView;
use wirefate::net::{Action, Fault, Selector};
use wirefate::sim::Sim;
use wirefate::sim::apps::pattern;
use wirefate::time::SimTime;
use wirefate::trace::NodeId;
use wirefate::wire::{Body, Flags, Icmp, IcmpKind, Options, Packet, Payload, Segment, Seq, quote_of};
use wirefate::{Span, ms, secs};

/// The longest that a packet is held back, well below the MSL of 2 minutes (RFC 9293 3.4.2).
const LONGEST_HOLD: Span = secs(60);

/// What has been done to the world and is still to be undone.
#[derive(Default)]
pub(crate) struct Trouble {
    undo: Vec<Undo>,
    /// Names of holding faults, with the instant from which they hold.
    held: Vec<(String, SimTime)>,
    faults: u32,
    /// The last scheduled disturbance.
    until: SimTime,
}

#[derive(Clone, Copy)]
enum Undo {
    Mend(NodeId, NodeId),
    Resume(NodeId),
    Reboot(NodeId),
    Skew(NodeId),
}

impl Trouble {
    /// Something bad happens.
    pub(crate) fn happen(&mut self, sim: &mut Sim, world: &mut World, draw: &mut Draw) {
        let links = World::links(sim);
        if links.is_empty() {
            return;
        }
        let (a, b) = draw.of(&links);
        let both = links.contains(&(b, a));
        match draw.below(24) {
            0 | 1 if both => {
                sim.partition(a, b);
                self.undo.extend([Undo::Mend(a, b), Undo::Mend(b, a)]);
            }
            2 => {
                sim.cut(a, b);
                self.undo.push(Undo::Mend(a, b));
            }
            3 if both => {
                let (at, down, times) =
                    (sim.now() + draw.span(ms(0), secs(2)), draw.span(ms(1), secs(5)), draw.small(1, 5));
                let every = down + draw.span(ms(1), secs(5));
                sim.flap(a, b, at, down, every, times);
                self.until = self.until.max(at + every * u64::from(times) + down);
            }
            4 => self.pause(sim, world, draw),
            5 | 6 => self.crash(sim, world, draw),
            7 => {
                let host = world.any_host(draw);
                if !self.is_troubled(host) {
                    sim.kill(host);
                    serve(sim, world, draw, host);
                }
            }
            8 => {
                let (host, ppm) = (world.any_host(draw), i32::try_from(draw.below(100_001)).expect("small") - 50_000);
                sim.skew(host, ppm);
                self.undo.push(Undo::Skew(host));
            }
            9..13 => self.fault(sim, draw, (a, b)),
            13 if !world.middleboxes.is_empty() => {
                // The box starts anew, with nothing in its tables.
                let middlebox = draw.of(&world.middleboxes);
                sim.crash(middlebox);
                sim.reboot(middlebox, Span::ZERO);
            }
            _ => inject(sim, world, draw),
        }
    }

    /// Something gets better again; what was held too long is let go.
    pub(crate) fn ease(&mut self, sim: &mut Sim, world: &mut World, draw: &mut Draw) {
        if !self.undo.is_empty() && draw.chance(50) {
            let undo = self.undo.swap_remove(draw.index(self.undo.len()));
            undo.carry_out(sim, world, draw);
        }
        let (now, early) = (sim.now(), draw.chance(25));
        self.held.retain(|(name, since)| {
            let is_due = early || now.since(*since) + secs(20) > LONGEST_HOLD;
            if is_due {
                sim.release(name);
            }
            !is_due
        });
    }

    /// Everything is well again, and stays so.
    pub(crate) fn end(mut self, sim: &mut Sim, world: &mut World, draw: &mut Draw) {
        let names: Vec<String> = (0..self.faults).map(|n| format!("f{n}")).collect();
        for undo in std::mem::take(&mut self.undo) {
            undo.carry_out(sim, world, draw);
        }
        names.iter().for_each(|name| sim.release(name));
        sim.run_until(self.until);
        names.iter().for_each(|name| sim.release(name));
    }

    fn is_troubled(&self, host: NodeId) -> bool {
        self.undo.iter().any(|undo| matches!(undo, Undo::Resume(n) | Undo::Reboot(n) if *n == host))
    }

    fn pause(&mut self, sim: &mut Sim, world: &World, draw: &mut Draw) {
        let host = world.any_host(draw);
        if !self.is_troubled(host) {
            sim.pause(host);
            self.undo.push(Undo::Resume(host));
        }
    }

    fn crash(&mut self, sim: &mut Sim, world: &World, draw: &mut Draw) {
        let host = world.any_host(draw);
        if !self.is_troubled(host) {
            sim.crash(host);
            self.undo.push(Undo::Reboot(host));
        }
    }

    /// Forces a fate on some packets.
    fn fault(&mut self, sim: &mut Sim, draw: &mut Draw, (from, to): (NodeId, NodeId)) {
        let names = sim.names();
        let link = (names.node(from).to_owned(), names.node(to).to_owned());
        let flags = [Flags::SYN, Flags::SYN | Flags::ACK, Flags::ACK, Flags::FIN | Flags::ACK, Flags::PSH | Flags::ACK];
        let selector = Selector {
            link: draw.chance(70).then_some(link),
            conn: None,
            flags: draw.chance(50).then(|| draw.of(&flags)),
            payload: draw.chance(30).then(|| draw.chance(50)),
            nth: draw.chance(20).then(|| draw.small(1, 5)),
            packet: None,
        };
        let name = format!("f{}", self.faults);
        self.faults += 1;
        let action = match draw.below(6) {
            0 => Action::Drop,
            1 => Action::Delay(draw.span(ms(1), LONGEST_HOLD)),
            2 => Action::Duplicate { times: draw.small(1, 4), by: draw.span(ms(0), secs(10)) },
            3 => Action::Corrupt(draw.small(0, 400)),
            _ => Action::Hold,
        };
        let now = sim.now().since(SimTime::ZERO);
        let until = now + draw.span(ms(1), secs(10));
        if action == Action::Hold {
            self.held.push((name.clone(), sim.now()));
        }
        self.until = self.until.max(SimTime::ZERO + until + ms(1));
        let fault = Fault { name: Some(name), selector, action, stage: None };
        sim.fault_within(fault, Some(draw.small(1, 10)), now, until);
    }
}

impl Undo {
    fn carry_out(self, sim: &mut Sim, world: &mut World, draw: &mut Draw) {
        match self {
            Undo::Mend(from, to) => sim.mend(from, to),
            Undo::Resume(host) => sim.resume(host),
            Undo::Reboot(host) => {
                let quiet = if draw.chance(50) { draw.span(ms(1), secs(150)) } else { Span::ZERO };
                sim.reboot(host, quiet);
                serve(sim, world, draw, host);
            }
            Undo::Skew(host) => sim.skew(host, 0),
        }
    }
}

/// Puts a packet on a link that no stack has sent.
fn inject(sim: &mut Sim, world: &World, draw: &mut Draw) {
    let links: Vec<_> = World::links(sim).into_iter().filter(|(_, to)| world.hosts.contains(to)).collect();
    if links.is_empty() {
        return;
    }
    let (from, to) = draw.of(&links);
    for _ in 0..draw.between(1, 3) {
        let views = sim.connections(to);
        let view = (!views.is_empty()).then(|| draw.of(&views));
        let packet = match (draw.below(20), view) {
            (0..13, Some(view)) => forged(draw, &view),
            (13..16, Some(view)) => icmp(draw, &view),
            (16, _) => garbage(sim, draw, from, to),
            _ => stray(sim, world, draw, to),
        };
        sim.inject(from, to, packet);
    }
}

/// A segment for a connection: in its window, at the window's edges, or far away.
fn forged(draw: &mut Draw, view: &ConnView) -> Packet {
    let any = |draw: &mut Draw| draw.small(0, u32::MAX);
    let seq = match view.rcv {
        None => Seq(any(draw)),
        Some(rcv) => match draw.below(8) {
            0 | 1 => rcv.nxt,
            2 => rcv.nxt - 1,
            3 => rcv.nxt + rcv.wnd,
            4 => rcv.nxt + rcv.wnd.saturating_sub(1),
            5 => rcv.nxt + draw.small(0, rcv.wnd),
            6 => rcv.nxt - draw.small(1, 100_000),
            _ => Seq(any(draw)),
        },
    };
    let ack = match view.snd {
        None => Seq(any(draw)),
        Some(snd) => match draw.below(7) {
            0 | 1 => snd.nxt,
            2 => snd.una,
            3 => snd.nxt + draw.small(1, 100_000),
            4 => snd.una - draw.small(1, 100_000),
            5 => snd.iss,
            _ => Seq(any(draw)),
        },
    };
    let flags = draw.of(&[
        Flags::RST,
        Flags::RST,
        Flags::RST | Flags::ACK,
        Flags::SYN,
        Flags::SYN | Flags::ACK,
        Flags::ACK,
        Flags::PSH | Flags::ACK,
        Flags::FIN | Flags::ACK,
        Flags::FIN,
        Flags::URG | Flags::ACK,
        Flags::SYN | Flags::FIN,
        Flags::SYN | Flags::RST,
        Flags::empty(),
        Flags::all() - Flags::RST,
    ]);
    // Data that fits would be read, as blind data injection goes (RFC 5961 5), and break the integrity of the stream.
    // What comes with data is old, or has no ACK, or a RST. A FIN that fits leaves each end outside the other's window.
    let payload = Payload::from(pattern(draw.size(0, 1_000)));
    let is_old = view.rcv.is_some_and(|rcv| (seq + payload.len() + 1).le(rcv.nxt));
    let is_harmless = is_old || !flags.contains(Flags::ACK) || flags.contains(Flags::RST);
    let payload = if is_harmless && draw.chance(30) { payload } else { Payload::EMPTY };
    let (src_port, dst_port) = (view.tuple.remote.port(), view.tuple.local.port());
    let urgent = if flags.contains(Flags::URG) { draw.port(0, 2_000) } else { 0 };
    let window = draw.of(&[0, 1, 1_000, 65_535]);
    let segment = Segment { src_port, dst_port, seq, ack, flags, window, urgent, options: Options::default(), payload };
    Packet::new(view.tuple.remote.ip(), view.tuple.local.ip(), Body::Tcp(segment))
}

/// An ICMP error about a segment that the connection has sent, or may have sent.
fn icmp(draw: &mut Draw, view: &ConnView) -> Packet {
    let seq = match view.snd {
        Some(snd) if draw.chance(60) => draw.of(&[snd.una, snd.nxt - 1]),
        Some(snd) => snd.nxt + draw.small(0, 1_000),
        None => Seq(0),
    };
    let (src_port, dst_port) = (view.tuple.local.port(), view.tuple.remote.port());
    let segment = Segment { src_port, dst_port, seq, flags: Flags::ACK, ..Segment::default() };
    let quoted = Packet::new(view.tuple.local.ip(), view.tuple.remote.ip(), Body::Tcp(segment));
    let kind = draw.of(&[
        IcmpKind::NetUnreachable,
        IcmpKind::HostUnreachable,
        IcmpKind::ProtocolUnreachable,
        IcmpKind::PortUnreachable,
        IcmpKind::AdminProhibited,
        IcmpKind::TimeExceeded,
        IcmpKind::TooBig { mtu: 0 },
        IcmpKind::TooBig { mtu: 68 },
        IcmpKind::TooBig { mtu: 1_300 },
        IcmpKind::TooBig { mtu: 60_000 },
    ]);
    let icmp = Icmp { kind, quote: quote_of(&quoted) };
    Packet::new(view.tuple.remote.ip(), view.tuple.local.ip(), Body::Icmp(icmp))
}

/// Bytes that are no segment.
fn garbage(sim: &Sim, draw: &mut Draw, from: NodeId, to: NodeId) -> Packet {
    let v6 = draw.chance(30);
    let addr = |node| sim.addr_of(node, v6).expect("an address of each family");
    let bytes: Vec<u8> = (0..draw.size(0, 200)).map(|_| u8::try_from(draw.below(256)).expect("a byte")).collect();
    Packet::new(addr(from), addr(to), Body::Raw(Payload::from(bytes)))
}

/// A segment of no connection, at times to an address that is not the host's.
fn stray(sim: &Sim, world: &World, draw: &mut Draw, to: NodeId) -> Packet {
    let other = world.any_host(draw);
    let addr = |node| sim.addr_of(node, false).expect("an address");
    let flags = draw.of(&[
        Flags::SYN,
        Flags::ACK,
        Flags::RST,
        Flags::FIN | Flags::ACK,
        Flags::SYN | Flags::ACK,
        Flags::empty(),
    ]);
    let src = SocketAddr::new(if draw.chance(70) { addr(other) } else { NOWHERE }, draw.port(1, 65_535));
    let dst = if draw.chance(80) { addr(to) } else { NOWHERE };
    let segment = Segment {
        src_port: src.port(),
        dst_port: draw.port(78, 90),
        seq: Seq(draw.small(0, u32::MAX)),
        ack: Seq(draw.small(0, u32::MAX)),
        flags,
        window: 1_000,
        ..Segment::default()
    };
    Packet::new(src.ip(), dst, Body::Tcp(segment))
}
