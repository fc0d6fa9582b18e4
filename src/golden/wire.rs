use super::field::{Act, Dir, Opt};
use super::flow::{Bases, Flow, relative, wrapped};
use super::plan::{Fate, Injection, Plan};
use super::recording::{Seg, SegBody, Tcp};
use crate::endpoint::{Cx, Endpoint, IfaceId};
use crate::time::{HostTime, SimTime};
use crate::wire::{Body, Flags, Icmp, Options, OptionsFull, Packet, Payload, Segment, TcpOption, emit, quote_of};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The interface towards the client.
const CLIENT: IfaceId = IfaceId(0);
/// The interface towards the server.
const SERVER: IfaceId = IfaceId(1);
/// Where the timestamps of a forged connection begin.
const FORGED_TS: u32 = 1_000;
/// How many segments of each kind of spoofed traffic are kept.
const KEPT: u64 = 5;

/// What stands between the two hosts: it does with each segment what was done with it in the recording, and writes
/// down what it sees.
pub(super) struct Wire {
    plan: Plan,
    client: IpAddr,
    bases: Bases,
    counts: BTreeMap<(Flow, Dir), usize>,
    /// What is under way, by its arrival and a number.
    flying: BTreeMap<(HostTime, u64), (IfaceId, Packet)>,
    launched: u64,
    /// When the last packet arrives that is only forwarded, by flow and direction.
    forwarded: BTreeMap<(Flow, Dir), HostTime>,
    injected: usize,
    log: Vec<Seg>,
    spoofed: BTreeMap<String, u64>,
    ports: Aliases,
    trouble: Option<String>,
}

/// Which recorded port stands for one that our client chose towards a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    recorded: BTreeMap<(u16, SocketAddr), u16>,
}

impl Aliases {
    /// The recorded port for one of ours.
    pub(super) fn recorded(&self, ours: u16, server: SocketAddr) -> u16 {
        self.recorded.get(&(ours, server)).copied().unwrap_or(ours)
    }

    /// Our port for a recorded one.
    pub(super) fn ours(&self, recorded: u16) -> u16 {
        self.recorded.iter().find(|&(_, &port)| port == recorded).map_or(recorded, |(&(ours, _), _)| ours)
    }
}

impl Wire {
    pub(super) fn new(plan: Plan, client: IpAddr) -> Wire {
        Wire {
            plan,
            client,
            bases: Bases::default(),
            counts: BTreeMap::new(),
            flying: BTreeMap::new(),
            launched: 0,
            forwarded: BTreeMap::new(),
            injected: 0,
            log: Vec::new(),
            spoofed: BTreeMap::new(),
            ports: Aliases::default(),
            trouble: None,
        }
    }

    /// What was seen, in the order of sending.
    pub(super) fn log(&self) -> &[Seg] {
        &self.log
    }

    /// Totals of spoofed traffic by kind.
    pub(super) fn spoofed(&self) -> &BTreeMap<String, u64> {
        &self.spoofed
    }

    /// Ports that our client chose.
    pub(super) fn ports(&self) -> &Aliases {
        &self.ports
    }

    /// What could not be injected.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn take(&mut self, now: HostTime, dir: Dir, packet: Packet) {
        let Body::Tcp(segment) = &packet.body else { return };
        let flow = self.flow(dir, &packet, segment);
        self.bases.sent(flow, dir, segment);
        let count = self.counts.entry((flow, dir)).or_default();
        let n = std::mem::replace(count, *count + 1);
        let fate = self.plan.fate(flow, dir, n);
        let at = sim(now);
        let delivered = self.delivery(now, flow, dir, &fate);
        let arrived = delivered.map(sim);
        let body = SegBody::Tcp(self.shown(flow, dir, segment, packet.tos));
        let ip =
            (flow.client.ip() != self.client || flow.server.ip() == self.client).then_some((packet.src, packet.dst));
        let seg = Seg { at, arrived, dir, act: fate.act.clone(), ip, body, note: None, rewritten: None };
        self.write(flow, seg);
        self.follow(now, (flow, dir), &fate, delivered, packet);
    }

    /// When a packet arrives that is sent now, if it does.
    fn delivery(&mut self, now: HostTime, flow: Flow, dir: Dir, fate: &Fate) -> Option<HostTime> {
        let at = now + fate.delay?;
        if fate.act != Act::Forward || fate.overtakes {
            return Some(at);
        }
        // What was forwarded in order stays so: our hosts send a burst at one instant, and the recorded delays within it
        // differ by the forwarder's pace.
        let last = self.forwarded.entry((flow, dir)).or_insert(at);
        *last = at.max(*last);
        Some(*last)
    }

    /// Delivers, loses or changes a packet as its fate says.
    fn follow(
        &mut self,
        now: HostTime,
        (flow, dir): (Flow, Dir),
        fate: &Fate,
        delivered: Option<HostTime>,
        mut packet: Packet,
    ) {
        if let Some((kind, took)) = fate.icmp {
            let icmp = Icmp { kind, quote: quote_of(&packet) };
            let back = Packet { ttl: 64, tos: 0, ..Packet::new(packet.dst, packet.src, Body::Icmp(icmp)) };
            let (at, arrived) = (sim(now), Some(sim(now) + took));
            let body = SegBody::Icmp(icmp_type(kind).0, icmp_type(kind).1);
            let dir = dir.back();
            let seg = Seg { at, arrived, dir, act: Act::Inject, ip: None, body, note: None, rewritten: None };
            self.log.push(seg);
            self.launch(now + took, dir, back);
        }
        let Some(at) = delivered else { return };
        if let (Some((seq, ack)), Body::Tcp(segment)) = (fate.shift, &mut packet.body) {
            segment.seq += seq;
            if segment.has(Flags::ACK) {
                segment.ack += ack;
            }
            let rewritten = super::recording::Rewritten { seq_abs: segment.seq.0, ack_abs: segment.ack.0 };
            if let Some(last) = self.log.last_mut() {
                last.rewritten = Some(rewritten);
            }
        }
        debug_assert!(self.counts.contains_key(&(flow, dir)), "it was counted");
        if fate.act == Act::Duplicate {
            self.launch(at, dir, packet.clone());
        }
        self.launch(at, dir, packet);
    }

    fn launch(&mut self, at: HostTime, dir: Dir, packet: Packet) {
        let iface = if dir == Dir::ToServer { SERVER } else { CLIENT };
        self.flying.insert((at, self.launched), (iface, packet));
        self.launched += 1;
    }

    /// The flow as the recording names it.
    fn flow(&mut self, dir: Dir, packet: &Packet, segment: &Segment) -> Flow {
        let (src, dst) = (SocketAddr::new(packet.src, segment.src_port), SocketAddr::new(packet.dst, segment.dst_port));
        let mut flow = Flow::new(dir, src, dst);
        if flow.client.ip() != self.client {
            return flow;
        }
        let key = (flow.client.port(), flow.server);
        let starts = dir == Dir::ToServer && segment.has(Flags::SYN) && !segment.has(Flags::ACK);
        if starts && !self.ports.recorded.contains_key(&key) && !self.plan.bound.contains(&flow) {
            // A port that our host chose stands for the next one that the recorded host chose.
            if let Some(next) = self.plan.free.iter().position(|free| free.server == flow.server) {
                let free = self.plan.free.remove(next);
                self.ports.recorded.insert(key, free.client.port());
            }
        }
        flow.client.set_port(self.ports.recorded(key.0, key.1));
        flow
    }

    /// Writes a segment down; of spoofed traffic only the first of each kind.
    fn write(&mut self, flow: Flow, seg: Seg) {
        if self.plan.spoofed.iter().any(|flood| flood.contains(flow.client.ip())) {
            let SegBody::Tcp(tcp) = &seg.body else { return };
            let flags = crate::wire::flags_text(tcp.flags);
            let inject = if seg.act == Act::Inject { "injected " } else { "" };
            let count = self.spoofed.entry(format!("{} {inject}{flags}", seg.dir)).or_default();
            *count += 1;
            if *count > KEPT {
                return;
            }
        }
        self.log.push(seg);
    }

    /// A segment with its numbers relative.
    fn shown(&self, flow: Flow, dir: Dir, segment: &Segment, tos: u8) -> Tcp {
        let (seq, ack) = (self.bases.seq(flow, dir), self.bases.seq(flow, dir.back()));
        let (ts, ts_back) = (self.bases.ts(flow, dir), self.bases.ts(flow, dir.back()));
        let shown = |option: TcpOption<'_>| match option {
            TcpOption::Mss(mss) => Opt::Mss(mss),
            TcpOption::Nop => Opt::Nop,
            TcpOption::End => Opt::End,
            TcpOption::SackPermitted => Opt::SackPermitted,
            TcpOption::WindowScale(shift) => Opt::WindowScale(shift),
            TcpOption::Timestamps { val, ecr } => {
                let back = if ecr == 0 { 0 } else { relative(ecr, ts_back.unwrap_or(0)) };
                Opt::Timestamps(relative(val, ts.unwrap_or(val)), back)
            }
            TcpOption::Sack(blocks) => {
                Opt::Sack(blocks.iter().map(|(l, r)| (relative(l.0, ack.0), relative(r.0, ack.0))).collect())
            }
            other => Opt::Other(format!("{other:?}")),
        };
        let (src, dst) = flow.ends(dir);
        Tcp {
            sport: src.port(),
            dport: dst.port(),
            flags: segment.flags,
            seq: relative(segment.seq.0, seq.0),
            ack: segment.has(Flags::ACK).then(|| relative(segment.ack.0, ack.0)),
            len: segment.payload.len(),
            win: segment.window,
            urg: if segment.has(Flags::URG) { segment.urgent } else { 0 },
            tos: tos & 3,
            options: segment.options.iter().map(shown).collect(),
            seq_abs: segment.has(Flags::SYN).then_some(segment.seq.0),
        }
    }

    /// Sends what neither host sends, its numbers relative to what ours have sent.
    fn inject(&mut self, injection: Injection) {
        let (Some(flow), SegBody::Tcp(tcp)) = (injection.flow, &injection.seg.body) else { return };
        let dir = injection.seg.dir;
        if let Some(abs) = tcp.seq_abs.filter(|_| !self.bases.is_known(flow, dir)) {
            let base = abs.wrapping_sub(wrapped(tcp.seq));
            self.bases.forged(flow, dir, Some(crate::wire::Seq(base)), FORGED_TS);
        }
        let Ok(segment) = self.forge(flow, dir, tcp) else {
            self.trouble = Some("options that do not fit into a header".to_owned());
            return;
        };
        let (src, dst) = flow.ends(dir);
        let mut packet = Packet::new(src.ip(), dst.ip(), Body::Tcp(segment));
        packet.tos = tcp.tos;
        // Nothing but its maker's note tells of a wrong checksum: the recorded fields do not hold it.
        if injection.seg.note.as_deref() == Some("bad checksum") {
            packet.body = Body::Raw(spoiled(&packet));
        }
        let arrived = injection.seg.arrived.unwrap_or(injection.at);
        self.launch(HostTime::from_nanos(arrived.as_nanos()), dir, packet);
        self.write(flow, Seg { at: injection.at, ..injection.seg });
    }

    fn forge(&self, flow: Flow, dir: Dir, tcp: &Tcp) -> Result<Segment, OptionsFull> {
        let ours = |port: u16, ip: IpAddr| if ip == self.client { self.ports.ours(port) } else { port };
        let (src, dst) = flow.ends(dir);
        let ack_base = self.bases.seq(flow, dir.back());
        Ok(Segment {
            src_port: ours(src.port(), src.ip()),
            dst_port: ours(dst.port(), dst.ip()),
            seq: self.bases.seq(flow, dir) + wrapped(tcp.seq),
            ack: tcp.ack.map_or(crate::wire::Seq(0), |ack| ack_base + wrapped(ack)),
            flags: tcp.flags,
            window: tcp.win,
            urgent: tcp.urg,
            options: self.options(flow, dir, &tcp.options)?,
            payload: Payload::from(vec![b'x'; tcp.len as usize]),
        })
    }

    fn options(&self, flow: Flow, dir: Dir, list: &[Opt]) -> Result<Options, OptionsFull> {
        let mut options = Options::NONE;
        let back = self.bases.seq(flow, dir.back());
        for option in list {
            match option {
                Opt::Mss(mss) => options.push(TcpOption::Mss(*mss))?,
                Opt::Nop => options.push(TcpOption::Nop)?,
                Opt::End => options.push(TcpOption::End)?,
                Opt::SackPermitted => options.push(TcpOption::SackPermitted)?,
                Opt::WindowScale(shift) => options.push(TcpOption::WindowScale(*shift))?,
                Opt::Timestamps(val, ecr) => {
                    let base = self.bases.ts(flow, dir).unwrap_or(FORGED_TS);
                    let back = self.bases.ts(flow, dir.back()).unwrap_or(0);
                    let ecr = if *ecr == 0 { 0 } else { back.wrapping_add(wrapped(*ecr)) };
                    options.push(TcpOption::Timestamps { val: base.wrapping_add(wrapped(*val)), ecr })?;
                }
                Opt::Sack(blocks) => {
                    let edges = blocks.iter().map(|&(left, right)| (back + wrapped(left), back + wrapped(right)));
                    options.push_sack(edges)?;
                }
                Opt::Other(_) => return Err(OptionsFull),
            }
        }
        Ok(options.padded())
    }
}

impl Endpoint for Wire {
    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        match iface {
            CLIENT => self.take(cx.now(), Dir::ToServer, packet.clone()),
            SERVER => self.take(cx.now(), Dir::ToClient, packet.clone()),
            // The addresses of neither host: nobody is there.
            _ => {}
        }
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        while let Some(injection) = self.plan.injections.get(self.injected).filter(|next| next.at <= sim(now)) {
            let injection = injection.clone();
            self.injected += 1;
            self.inject(injection);
        }
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (iface, packet) = entry.remove();
            cx.send(iface, packet);
        }
    }

    fn next_timeout(&self) -> Option<HostTime> {
        let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
        let next = self.plan.injections.get(self.injected);
        let inject = next.map(|injection| HostTime::from_nanos(injection.at.as_nanos()));
        flying.into_iter().chain(inject).min()
    }

    fn forwards(&self, _from: IfaceId, _to: IfaceId) -> bool {
        true
    }
}

/// The wire's clock is the run's.
fn sim(time: HostTime) -> SimTime {
    SimTime::from_nanos(time.as_nanos())
}

/// The bytes of a packet with a wrong TCP checksum.
fn spoiled(packet: &Packet) -> Payload {
    let mut bytes = emit(packet);
    let checksum = packet.ip_header_len() as usize + 16;
    bytes[checksum] ^= 0xFF;
    Payload::from(bytes)
}

fn icmp_type(kind: crate::wire::IcmpKind) -> (u8, u8) {
    use crate::wire::IcmpKind;
    match kind {
        IcmpKind::NetUnreachable => (3, 0),
        IcmpKind::HostUnreachable => (3, 1),
        IcmpKind::ProtocolUnreachable => (3, 2),
        IcmpKind::PortUnreachable => (3, 3),
        IcmpKind::AdminProhibited => (3, 13),
        IcmpKind::TooBig { .. } => (3, 4),
        IcmpKind::TimeExceeded => (11, 0),
    }
}
