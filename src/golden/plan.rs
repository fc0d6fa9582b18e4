//! What the wire is to do, read off the recorded segments: the fate of each by direction, flow and ordinal, and what
//! is injected when.

use super::field::{Act, Dir, Side};
use super::flow::{Flow, wrapped};
use super::recording::{Call, Outcome, Recording, Seg, SegBody, Tcp};
use super::verb::Flood;
use crate::time::{SimTime, Span, ns};
use crate::wire::{IcmpKind, Seq};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What the wire does with one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) act: Act,
    /// How long it takes; nothing where it is lost.
    pub(super) delay: Option<Span>,
    /// Whether it arrives before one that its side forwarded earlier.
    pub(super) overtakes: bool,
    /// What is added to SEG.SEQ and SEG.ACK.
    pub(super) shift: Option<(u32, u32)>,
    /// An ICMP error about it that goes back, and how long that takes.
    pub(super) icmp: Option<(IcmpKind, Span)>,
}

/// Something that neither host sends.
#[derive(Clone, Debug)]
pub(super) struct Injection {
    pub(super) at: SimTime,
    pub(super) seg: Seg,
    /// Nothing for an ICMP error about nothing in particular.
    pub(super) flow: Option<Flow>,
}

/// Everything that the wire is to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Span,
    pub(super) fates: BTreeMap<(Flow, Dir), Vec<Fate>>,
    /// In the order of time.
    pub(super) injections: Vec<Injection>,
    /// Recorded flows whose client port the host chose, in the order of their first segments.
    pub(super) free: Vec<Flow>,
    /// Recorded flows of the client whose port an application chose.
    pub(super) bound: BTreeSet<Flow>,
    /// Addresses of neither host.
    pub(super) elsewhere: Vec<IpAddr>,
    /// The first sequence numbers of each side of each flow, one an incarnation.
    pub(super) iss: BTreeMap<(Flow, Dir), Vec<Seq>>,
    /// Addresses from which a flood comes.
    pub(super) spoofed: Vec<Flood>,
}

impl Plan {
    /// Reads a recording; what it asks for and cannot be done is said.
    pub(super) fn of(recording: &Recording) -> Result<Plan, String> {
        let mut plan = Plan { delay: recording.delay(), ..Plan::default() };
        let mut bases: BTreeMap<(Flow, Dir), u32> = BTreeMap::new();
        let mut latest: BTreeMap<(Flow, Dir), SimTime> = BTreeMap::new();
        let mut last_lost: Option<(Flow, Dir, SimTime)> = None;
        for seg in &recording.segments {
            let flow = recording.flow(seg);
            let (Some(flow), SegBody::Tcp(tcp)) = (flow, &seg.body) else {
                plan.icmp(recording, seg, last_lost)?;
                continue;
            };
            if let Some(abs) = tcp.seq_abs {
                bases.insert((flow, seg.dir), abs.wrapping_sub(wrapped(tcp.seq)));
            }
            plan.look_elsewhere(recording, flow);
            if seg.act == Act::Inject {
                plan.injections.push(Injection { at: seg.at, seg: seg.clone(), flow: Some(flow) });
                continue;
            }
            plan.note_iss(flow, seg.dir, tcp);
            plan.note_free(recording, flow, seg);
            let delay = seg.arrived.map(|arrived| arrived.since(seg.at));
            let base = |dir| bases.get(&(flow, dir)).copied().unwrap_or(0);
            let shift = seg.rewritten.map(|new| {
                let seq = base(seg.dir).wrapping_add(wrapped(tcp.seq));
                let ack = tcp.ack.map_or(0, |ack| base(seg.dir.back()).wrapping_add(wrapped(ack)));
                (new.seq_abs.wrapping_sub(seq), new.ack_abs.wrapping_sub(ack))
            });
            last_lost = delay.is_none().then_some((flow, seg.dir, seg.at));
            let mut overtakes = false;
            if let (Act::Forward, Some(arrived)) = (&seg.act, seg.arrived) {
                let latest = latest.entry((flow, seg.dir)).or_insert(arrived);
                overtakes = arrived < *latest;
                *latest = arrived.max(*latest);
            }
            let fate = Fate { act: seg.act.clone(), delay, overtakes, shift, icmp: None };
            plan.fates.entry((flow, seg.dir)).or_default().push(fate);
        }
        for call in &recording.script {
            if let Some(flood) = Flood::read(call)? {
                plan.flood(recording, flood, call);
            }
        }
        plan.injections.sort_by_key(|injection| injection.at);
        Ok(plan)
    }

    /// What becomes of the `n`th segment of a flow that goes this way. Beyond what was recorded, what became of the
    /// last one: a link that was cut stays cut.
    pub(super) fn fate(&self, flow: Flow, dir: Dir, n: usize) -> Fate {
        let fates = self.fates.get(&(flow, dir)).map_or(&[][..], Vec::as_slice);
        if let Some(fate) = fates.get(n) {
            return fate.clone();
        }
        let lost = fates.last().map_or_else(|| self.is_elsewhere(flow, dir), |last| last.delay.is_none());
        let (act, delay) = if lost { (Act::Drop, None) } else { (Act::Forward, Some(self.delay)) };
        Fate { act, delay, overtakes: false, shift: None, icmp: None }
    }

    /// Nobody is there to take what goes to an address of neither host.
    fn is_elsewhere(&self, flow: Flow, dir: Dir) -> bool {
        self.elsewhere.contains(&flow.ends(dir).1.ip())
    }

    /// An ICMP error answers the segment lost at the same instant, if there is one.
    fn icmp(&mut self, recording: &Recording, seg: &Seg, lost: Option<(Flow, Dir, SimTime)>) -> Result<(), String> {
        let SegBody::Icmp(kind, code) = seg.body else { return Ok(()) };
        let kind = icmp_kind(kind, code, recording, seg.at)?;
        match lost {
            Some((flow, dir, at)) if dir == seg.dir.back() && seg.at.since(at) < ns(500_000) => {
                let fates = self.fates.entry((flow, dir)).or_default();
                let took = seg.arrived.unwrap_or(seg.at).since(at);
                if let Some(fate) = fates.last_mut() {
                    fate.icmp = Some((kind, took));
                }
            }
            _ => return Err("an ICMP error that answers no segment".to_owned()),
        }
        Ok(())
    }

    fn look_elsewhere(&mut self, recording: &Recording, flow: Flow) {
        for addr in [flow.client.ip(), flow.server.ip()] {
            let known = [recording.client, recording.server].contains(&addr) || self.elsewhere.contains(&addr);
            if !known {
                self.elsewhere.push(addr);
            }
        }
    }

    fn note_iss(&mut self, flow: Flow, dir: Dir, tcp: &Tcp) {
        let Some(abs) = tcp.seq_abs else { return };
        let all = self.iss.entry((flow, dir)).or_default();
        if all.last() != Some(&Seq(abs)) {
            all.push(Seq(abs));
        }
    }

    /// A client port that no `bind` asked for before its first segment was chosen by the host.
    fn note_free(&mut self, recording: &Recording, flow: Flow, seg: &Seg) {
        let new = seg.dir == Dir::ToServer && !self.fates.contains_key(&(flow, Dir::ToServer));
        if !new || flow.client.ip() != recording.client || self.fates.contains_key(&(flow, Dir::ToClient)) {
            return;
        }
        let binds = |call: &&Call| call.side == Side::Client && call.call == "bind" && call.at.0 <= seg.at;
        let port = |call: &Call| call.args.parse::<SocketAddr>().ok().map(|addr| addr.port());
        if recording.script.iter().filter(binds).any(|call| port(call) == Some(flow.client.port())) {
            self.bound.insert(flow);
        } else {
            self.free.push(flow);
        }
    }

    /// A flood: of its segments only the first few are recorded, which show how it goes on.
    fn flood(&mut self, recording: &Recording, flood: Flood, call: &Call) {
        let of = |injection: &&Injection| injection.flow.is_some_and(|flow| flood.contains(flow.client.ip()));
        let first: Vec<Injection> = self.injections.iter().filter(of).cloned().collect();
        self.spoofed.push(flood);
        let [.., before, last] = &first[..] else { return };
        let step = last.at.since(first[0].at).as_nanos() / (first.len() as u64 - 1);
        let end = recording.script.iter().map(|call| call.at.0).find(|&at| at > call.at.0);
        let start = first[0].at;
        for n in first.len() as u64..u64::from(flood.count) {
            let at = start + ns(step * n);
            if end.is_some_and(|end| at >= end) {
                break;
            }
            let Some(injection) = continued(before, last, n + 1 - first.len() as u64, at, flood.address(n)) else {
                return;
            };
            if let Some(flow) = injection.flow {
                self.look_elsewhere(recording, flow);
            }
            self.injections.push(injection);
        }
    }
}

/// The `n`th injection after `last`, whose numbers go on as they went from `before` to `last`.
fn continued(before: &Injection, last: &Injection, n: u64, at: SimTime, from: IpAddr) -> Option<Injection> {
    let (SegBody::Tcp(a), SegBody::Tcp(b)) = (&before.seg.body, &last.seg.body) else { return None };
    let n32 = u32::try_from(n).ok()?;
    let signed = i64::from(n32);
    let mut tcp = b.clone();
    tcp.sport = b.sport.wrapping_add(u16::try_from(n % 65_536).ok()?.wrapping_mul(b.sport.wrapping_sub(a.sport)));
    tcp.seq = b.seq + signed * (b.seq - a.seq);
    let abs = |tcp: &Tcp| tcp.seq_abs.unwrap_or(0);
    tcp.seq_abs = Some(abs(b).wrapping_add(n32.wrapping_mul(abs(b).wrapping_sub(abs(a)))));
    for (option, old) in tcp.options.iter_mut().zip(&a.options) {
        if let (super::Opt::Timestamps(val, _), super::Opt::Timestamps(was, _)) = (option, old) {
            *val += signed * (*val - was);
        }
    }
    let flow = last.flow?;
    let flow = Flow { client: SocketAddr::new(from, tcp.sport), server: flow.server };
    let delay = last.seg.arrived?.since(last.seg.at);
    let ip = Some((from, flow.server.ip()));
    let seg = Seg { at, arrived: Some(at + delay), ip, body: SegBody::Tcp(tcp), ..last.seg.clone() };
    Some(Injection { at, seg, flow: Some(flow) })
}

/// The error of this type and code. The MTU of a "fragmentation needed" is no field of a recorded segment: it stands
/// in the rule that made it, `icmp 3/4 mtu 1000`.
fn icmp_kind(kind: u8, code: u8, recording: &Recording, at: SimTime) -> Result<IcmpKind, String> {
    Ok(match (kind, code) {
        (3, 0) => IcmpKind::NetUnreachable,
        (3, 1) => IcmpKind::HostUnreachable,
        (3, 2) => IcmpKind::ProtocolUnreachable,
        (3, 3) => IcmpKind::PortUnreachable,
        (3, 13) => IcmpKind::AdminProhibited,
        (11, 0) => IcmpKind::TimeExceeded,
        (3, 4) => {
            let rules = recording.script.iter().filter(|call| call.call == "rule" && call.at.0 <= at);
            let mtu = |call: &Call| call.args.split_once("mtu ")?.1.split(' ').next()?.parse().ok();
            let mtu = rules.rev().find_map(mtu);
            IcmpKind::TooBig { mtu: mtu.ok_or("an ICMP error 3/4 without an MTU")? }
        }
        _ => return Err(format!("ICMP {kind}/{code}")),
    })
}

/// The socket that each `connect` and `accept` gave a connection, and its flow.
pub(super) fn flows_of_sockets(recording: &Recording) -> BTreeMap<(Side, String), Flow> {
    let mut flows = BTreeMap::new();
    let mut bound: BTreeMap<(Side, &str), SocketAddr> = BTreeMap::new();
    let mut taken: Vec<Flow> = Vec::new();
    for call in &recording.script {
        let Some(sock) = call.sock.as_deref() else { continue };
        let addr = call.args.parse::<SocketAddr>().ok();
        match (call.call.as_str(), addr, &call.result) {
            ("bind", Some(addr), Some(Outcome::Number(0))) => drop(bound.insert((call.side, sock), addr)),
            ("connect", Some(remote), _) => {
                let Some(dir) = Dir::from_side(call.side) else { continue };
                let local = bound.get(&(call.side, sock)).copied().filter(|local| local.port() != 0);
                let flow = match local {
                    Some(local) => Some(Flow::new(dir, local, remote)),
                    None => chosen_flow(recording, call, dir, remote, &taken),
                };
                taken.extend(flow);
                if let Some(flow) = flow {
                    flows.entry((call.side, sock.to_owned())).or_insert(flow);
                }
            }
            ("accept", _, Some(Outcome::Text(text))) => {
                let (Some((name, peer)), Some(dir)) = (accepted(text), Dir::from_side(call.side)) else { continue };
                if let Some(&local) = bound.get(&(call.side, sock)) {
                    let ip = if call.side == Side::Server { recording.server } else { recording.client };
                    let local = if local.ip().is_unspecified() { SocketAddr::new(ip, local.port()) } else { local };
                    flows.insert((call.side, name.to_owned()), Flow::new(dir, local, peer));
                }
            }
            _ => {}
        }
    }
    flows
}

/// The flow of a `connect` whose port the host chose: the next one to that address.
fn chosen_flow(recording: &Recording, call: &Call, dir: Dir, remote: SocketAddr, taken: &[Flow]) -> Option<Flow> {
    let mut later = recording.segments.iter().filter(|seg| seg.dir == dir && seg.at >= call.at.0);
    later.find_map(|seg| recording.flow(seg).filter(|flow| flow.ends(dir).1 == remote && !taken.contains(flow)))
}

/// `S peer=10.0.0.1:40000`.
pub(super) fn accepted(text: &str) -> Option<(&str, SocketAddr)> {
    let (name, peer) = text.split_once(" peer=")?;
    Some((name, peer.parse().ok()?))
}
