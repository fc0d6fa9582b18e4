//! One step of a script: the call or disturbance that a verb stands for.

use super::play::Player;
use super::{App, Data, Injection, IpVersion, LinkEnds, Load, Target, Traffic, Verb};
use crate::endpoint::{MsgFlags, SockOpt};
use crate::sim::apps::{Churn, Echo, Idle, Pool, PoolPolicy, RequestResponse, Requester, Sink, Source, SynFlood};
use crate::sim::{AppId, Connect, Prefix, Stream};
use crate::time::Span;
use crate::trace::{NodeId, What};
use crate::wire::{Body, Packet, Payload};
use std::net::{IpAddr, SocketAddr};

impl Player<'_> {
    /// Does what `verb` says; gives the call that it began, where it is one.
    pub(super) fn perform(&mut self, on: Option<&str>, verb: &Verb, name: Option<String>) -> Option<(Stream, usize)> {
        if let Some(host) = on.and_then(|on| self.hosts.get(on).copied()) {
            return self.on_host(host, verb, name);
        }
        match verb {
            Verb::Partition(ends) => self.each_direction(ends, |sim, from, to| sim.cut(from, to)),
            Verb::Heal(ends) => self.each_direction(ends, |sim, from, to| sim.mend(from, to)),
            Verb::Flap { link, down } => {
                self.each_direction(link, |sim, from, to| sim.cut(from, to));
                self.endings.push((self.sim.now() + *down, None, Verb::Heal(link.clone())));
            }
            Verb::Release { fault } => self.sim.release(fault),
            Verb::Inject(injection) => self.inject(injection),
            _ => return self.on_socket(on?, verb),
        }
        None
    }

    fn on_host(&mut self, host: NodeId, verb: &Verb, name: Option<String>) -> Option<(Stream, usize)> {
        match verb {
            Verb::Serve { port, backlog, app } => {
                let (port, backlog, sim) = (*port, *backlog, &mut self.sim);
                match *app {
                    App::Sink => sim.app(host, Sink::new(port, backlog)),
                    App::Echo => sim.app(host, Echo::new(port, backlog)),
                    App::Source { bytes } => sim.app(host, Source::server(port, backlog, bytes)),
                    App::RequestResponse { request, response } => {
                        sim.app(host, RequestResponse::new(port, backlog, request, response))
                    }
                    App::Idle => sim.app(host, Idle::server(port, backlog)),
                    App::Acceptor => sim.app(host, Sink::new(port, backlog).leave_open()),
                };
            }
            Verb::Listen { port, backlog } => {
                let stream = self.sim.listener(host, *port, *backlog);
                self.listeners.insert((host, *port), stream);
                return Some(self.call(stream, name));
            }
            Verb::Accept { port } => {
                let listener = *self.listeners.get(&(host, *port))?;
                let number = self.number(listener);
                let accepted = match &name {
                    Some(name) => self.sim.accept_as(listener, name.clone()),
                    None => self.sim.accept(listener),
                };
                self.streams.extend(name.map(|name| (name, accepted)));
                return Some((listener, number));
            }
            Verb::Connect { to, from, reuse_addr } => {
                let remote = self.target(to)?;
                let options = if *reuse_addr { vec![SockOpt::ReuseAddr(true)] } else { Vec::new() };
                let how = Connect { from: *from, options, name: name.clone() };
                let stream = self.sim.connect_to(host, remote, how);
                return Some(self.call(stream, name));
            }
            Verb::Bind { port } => {
                let local = SocketAddr::new(self.unspecified(), *port);
                let stream = self.sim.bind_udp(host, local, name.clone().unwrap_or_else(|| format!("udp :{port}")));
                return Some(self.call(stream, name));
            }
            Verb::Crash => self.sim.crash(host),
            Verb::Reboot { quiet } => self.sim.reboot(host, *quiet),
            Verb::Kill => self.sim.kill(host),
            Verb::Pause => self.sim.pause(host),
            Verb::Resume => self.sim.resume(host),
            Verb::Skew { ppm } => self.sim.skew(host, *ppm),
            Verb::Inject(injection) => self.inject(injection),
            _ => {}
        }
        None
    }

    fn on_socket(&mut self, on: &str, verb: &Verb) -> Option<(Stream, usize)> {
        let stream = self.stream(on)?;
        match verb {
            Verb::Send { data, more, urgent } => {
                let mut flags = MsgFlags::empty();
                flags.set(MsgFlags::MORE, *more);
                flags.set(MsgFlags::OOB, *urgent);
                self.sim.send(stream, payload(data), flags);
            }
            Verb::Recv { max, all: false } => self.sim.read(stream, usize::try_from(*max).unwrap_or(usize::MAX)),
            Verb::Recv { max, all: true } => self.sim.read_all(stream, usize::try_from(*max).unwrap_or(usize::MAX)),
            Verb::Close => self.sim.close(stream),
            Verb::Abort => self.sim.abort(stream),
            Verb::Shutdown(how) => self.sim.shutdown(stream, *how),
            Verb::SetOption(option) => self.sim.set_option(stream, *option),
            Verb::SendTo { to, data } => {
                let to = self.target(to)?;
                self.sim.send_to(stream, payload(data), to);
            }
            Verb::RecvFrom => self.sim.recv_from(stream),
            _ => return None,
        }
        Some((stream, self.number(stream)))
    }

    /// The socket of this name: `c1`, or the other end of it as `c1.peer`.
    pub(super) fn stream(&self, name: &str) -> Option<Stream> {
        match self.streams.get(name) {
            Some(stream) => Some(*stream),
            None => self.sim.find_peer(*self.streams.get(name.strip_suffix(".peer")?)?),
        }
    }

    /// Takes down the first call on a new stream.
    fn call(&mut self, stream: Stream, name: Option<String>) -> (Stream, usize) {
        self.streams.extend(name.map(|name| (name, stream)));
        (stream, self.number(stream))
    }

    /// The number of the next call handed to `stream`.
    fn number(&mut self, stream: Stream) -> usize {
        let next = self.handed.entry(stream).or_default();
        *next += 1;
        *next - 1
    }

    /// The address of a target: a host's in the IP version of this run.
    pub(super) fn target(&self, target: &Target) -> Option<SocketAddr> {
        match target {
            Target::Addr(addr) => Some(*addr),
            Target::Host { host, port } => {
                let node = *self.hosts.get(host.as_str())?;
                let addr = self.sim.addr_of(node, self.instance.ip == IpVersion::V6).or(self.sim.addr(node))?;
                Some(SocketAddr::new(addr, *port))
            }
        }
    }

    /// The address of a target in the family of `peer`, whatever the IP version of this run.
    fn target_facing(&self, target: &Target, peer: IpAddr) -> Option<SocketAddr> {
        match target {
            Target::Addr(addr) => Some(*addr).filter(|addr| addr.is_ipv4() == peer.is_ipv4()),
            Target::Host { host, port } => {
                let addr = self.sim.addr_of(*self.hosts.get(host.as_str())?, peer.is_ipv6())?;
                Some(SocketAddr::new(addr, *port))
            }
        }
    }

    fn unspecified(&self) -> std::net::IpAddr {
        match self.instance.ip {
            IpVersion::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpVersion::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    fn each_direction(&mut self, ends: &LinkEnds, mut f: impl FnMut(&mut crate::sim::Sim, NodeId, NodeId)) {
        for (from, to) in self.directions(ends) {
            if let (Some(&from), Some(&to)) = (self.hosts.get(&from), self.hosts.get(&to)) {
                f(&mut self.sim, from, to);
            }
        }
    }

    fn inject(&mut self, injection: &Injection) {
        match injection {
            Injection::Packet(name) => {
                let found = self.sim.records().iter().find_map(|record| match &record.what {
                    What::Sent(sent) if sent.n == name.number => {
                        let link = self.sim.names().link(sent.link);
                        let same = (link.from.as_str(), link.to.as_str()) == (name.from.as_str(), name.to.as_str());
                        same.then(|| sent.packet.clone().into_owned())
                    }
                    _ => None,
                });
                if let Some(packet) = found {
                    self.inject_between(&name.from, &name.to, packet);
                }
            }
            Injection::Segment { conn, segment, data } => {
                let Some(text) = &segment.text else { return };
                let Some(packet) = self.craft(conn, &segment.from, text, data.as_deref()) else { return };
                self.inject_between(&segment.from, &segment.to, packet);
            }
        }
    }

    fn inject_between(&mut self, from: &str, to: &str, packet: Packet) {
        if let (Some(&from), Some(&to)) = (self.hosts.get(from), self.hosts.get(to)) {
            self.sim.inject(from, to, packet);
        }
    }

    /// A segment of the connection `conn` that its host `from` might have sent.
    fn craft(&self, conn: &str, from: &str, text: &crate::wire::SegmentText, data: Option<&str>) -> Option<Packet> {
        let stream = self.stream(conn)?;
        let (near, far) = self.sim.ends(stream)?;
        let owner = self.hosts.get(from)?;
        let (local, remote) = if self.sim.owns(*owner, near.ip()) { (near, far) } else { (far, near) };
        let conns = self.sim.conns();
        let (seq_base, ack_base) = conns.bases(conns.of(local, remote));
        let mut bytes = data.unwrap_or_default().as_bytes().to_vec();
        bytes.resize(text.len as usize, 0);
        let mut segment = text.clone().into_segment(seq_base, ack_base, Payload::from(bytes)).ok()?;
        (segment.src_port, segment.dst_port) = (local.port(), remote.port());
        Some(Packet::new(local.ip(), remote.ip(), Body::Tcp(segment)))
    }

    /// Starts a load on each of its hosts.
    pub(super) fn start_load(&mut self, load: &Load) {
        let Some(to) = self.target(&load.to) else { return };
        let members = self.instance.members(&load.on);
        let rounds = u64::try_from(members.len()).unwrap_or(1);
        let mut apps: Vec<AppId> = Vec::new();
        for (name, n) in members.iter().zip(0u64..) {
            let Some(&host) = self.hosts.get(name) else { continue };
            match load.traffic {
                Traffic::SynFlood { from: (addr, len), rate, count } => {
                    // Spoofed addresses have a family of their own; a server listens to both.
                    let Some(to) = self.target_facing(&load.to, addr) else { continue };
                    let (at, from) = (self.sim.host_now(host), Prefix { addr, len });
                    let flood = SynFlood { at, rate: (rate.count, rate.per), count, from, to };
                    self.sim.raw(host, |raw| raw.syn_flood(flood));
                }
                Traffic::RequestResponse { every, count, timeout, request, response } => {
                    let app = Requester::new(to, request, response).after(every * n);
                    let app = app.every(every * rounds, count).timeout(timeout.unwrap_or(Span::MAX));
                    apps.push(self.sim.app(host, app));
                }
                Traffic::Churn { rate, count, bytes, timeout } => {
                    let app = Churn::new(to, count, bytes, bytes).rate(rate.count, rate.per);
                    apps.push(self.sim.app(host, app.timeout(timeout.unwrap_or(Span::MAX))));
                }
                Traffic::Pool { size, every, count, idle, timeout, request, response } => {
                    let rules = PoolPolicy { limit: size, limit_each: size, idle, ..PoolPolicy::default() };
                    let rules = PoolPolicy { timeout: timeout.or(rules.timeout), ..rules };
                    let app = Pool::new(&[to], request, response, rules).every(every, count);
                    apps.push(self.sim.app(host, app));
                }
            }
        }
        self.loads.insert(load.name.to_string(), apps);
    }
}

/// What undoes a disturbance, where something does.
pub(super) fn ending(verb: &Verb) -> Option<Verb> {
    match verb {
        Verb::Crash => Some(Verb::Reboot { quiet: Span::ZERO }),
        Verb::Pause => Some(Verb::Resume),
        Verb::Partition(ends) => Some(Verb::Heal(ends.clone())),
        Verb::Skew { .. } => Some(Verb::Skew { ppm: 0 }),
        _ => None,
    }
}

/// The bytes of `data`; the pattern is a count in 32 bits, so that no stretch of it repeats.
pub(super) fn payload(data: &Data) -> Payload {
    match data {
        Data::Text(text) => Payload::from(text.as_str()),
        Data::Bytes { len, fill: Some(fill) } => vec![*fill; usize::try_from(*len).unwrap_or(usize::MAX)].into(),
        Data::Bytes { len, fill: None } => {
            let words = (0u32..).flat_map(u32::to_be_bytes);
            words.take(usize::try_from(*len).unwrap_or(usize::MAX)).collect::<Vec<u8>>().into()
        }
    }
}
