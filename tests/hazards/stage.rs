//! Two hosts and a script. The script is its own expected transcript:
//!
//! | line | meaning |
//! |---|---|
//! | `A open`, `A listen`, `A accept`, `A send N`, `A read`, `A close`, `A crash` | socket calls of the one host, its fate |
//! | `A > SEGMENT` | expected: a segment leaves A |
//! | `B takes`, `B takes 3` | the oldest segment of A that nobody took arrives at B; the third of all, once more |
//! | `lost A` | the oldest segment of A is lost |
//! | `B < SEGMENT` | a segment arrives at B that bears A's address, and that A did not send now |
//! | `wait SPAN` | time passes, timers fire |
//! | `A = FROM -> TO` | expected: a transition, with the error if there is one |
//! | `A ! REASON` | expected: a drop |
//! | `A got TEXT` | expected: what `read` gave, or the error of a call |
//!
//! A is port 5000, B is port 80; their initial sequence numbers are given, so that figures have the numbers of their RFC.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wirefate::choice::MakerId;
use wirefate::endpoint::{
    Arrival, Attach, Cx, Effect, Endpoint, Errno, Event, Family, HostFault, IfaceId, MsgFlags, SockOpt, SocketId,
    SocketKind, Sockets, Streams, Tuple,
};
use wirefate::host::{Confidence, Host, HostConfig, Profile};
use wirefate::time::{HostTime, Span};
use wirefate::wire::{Body, Notation, Packet, Payload, Rope, Segment, SegmentText, Seq};

const PORTS: [u16; 2] = [5_000, 80];

/// How the two hosts are made.
#[derive(Clone)]
pub(crate) struct Setting {
    profiles: [Profile; 2],
    sysctls: [Vec<(&'static str, u64)>; 2],
    iss: [Vec<u32>; 2],
}

/// Both hosts have this profile; their initial sequence numbers, one for each incarnation.
pub(crate) fn both(profile: Profile, a: &[u32], b: &[u32]) -> Setting {
    Setting { profiles: [profile; 2], sysctls: [vec![], vec![]], iss: [a.to_vec(), b.to_vec()] }
}

impl Setting {
    /// The same, with a sysctl on both.
    pub(crate) fn sysctl(mut self, name: &'static str, value: u64) -> Setting {
        self.sysctls.iter_mut().for_each(|sysctls| sysctls.push((name, value)));
        self
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profiles[0]
    }

    /// The same without timestamps, which the RFC at hand does not know.
    pub(crate) fn plain(self) -> Setting {
        match self.profiles[0] {
            Profile::Rfc9293 | Profile::Windows => self,
            Profile::Linux => self.sysctl("net.ipv4.tcp_timestamps", 0),
            Profile::FreeBsd => self.sysctl("net.inet.tcp.rfc1323", 2),
        }
    }
}

/// Runs the script and compares the transcript with it.
#[track_caller]
pub(crate) fn check(setting: &Setting, script: &str) {
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut stage = Stage::new(setting);
    for line in &lines {
        if !is_expected(line) {
            stage.said.push((*line).to_owned());
            stage.perform(line);
        }
    }
    let said = stage.said.join("\n");
    assert_eq!(said, lines.join("\n"), "{:?}: left: what happened, right: the script", setting.profiles);
}

/// The same for a system of which nobody has verified what it does: its profile must say so in the line `behaviour`.
#[track_caller]
pub(crate) fn check_believed(setting: &Setting, behaviour: &str, script: &str) {
    let named = setting.profiles[0].behaviours().iter().find(|line| line.name == behaviour);
    let line = named.unwrap_or_else(|| panic!("the profile has no line `{behaviour}`"));
    assert_eq!(line.confidence, Confidence::Unverified, "what is verified is checked as a fact");
    check(setting, script);
}

/// What came of the last line of a script that says nothing about what is expected.
pub(crate) fn last(setting: &Setting, script: &str) -> Vec<String> {
    let mut stage = Stage::new(setting);
    for line in script.lines().map(str::trim) {
        stage.said.clear();
        stage.perform(line);
    }
    stage.said
}

fn is_expected(line: &str) -> bool {
    matches!(line.split(' ').nth(1), Some(">" | "=" | "!" | "got"))
}

struct Stage {
    hosts: [Host; 2],
    streams: [Streams; 2],
    now: HostTime,
    sockets: [Option<SocketId>; 2],
    listeners: [Option<SocketId>; 2],
    sent: [Vec<Packet>; 2],
    /// How many of what each has sent were taken or lost.
    taken: [usize; 2],
    said: Vec<String>,
}

fn addr(host: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, [1, 2][host]))
}

fn at(host: usize) -> SocketAddr {
    SocketAddr::new(addr(host), PORTS[host])
}

impl Stage {
    fn new(setting: &Setting) -> Stage {
        let host = |which: usize| {
            let tuple = Tuple { local: at(which), remote: at(1 - which) };
            let config = HostConfig {
                profile: setting.profiles[which],
                iss: setting.iss[which].iter().map(|&iss| (tuple, Seq(iss))).collect(),
                ..HostConfig::named(["a", "b"][which])
            };
            let sysctls = &setting.sysctls[which];
            let config = sysctls.iter().fold(config, |config, (name, value)| config.sysctl(name, value));
            Host::new(config, 1).unwrap()
        };
        let mut stage = Stage {
            hosts: [host(0), host(1)],
            streams: ["a", "b"].map(|name| Streams::new(1, name, MakerId(0))),
            now: HostTime::ZERO,
            sockets: [None; 2],
            listeners: [None; 2],
            sent: [vec![], vec![]],
            taken: [0; 2],
            said: Vec::new(),
        };
        for host in [0, 1] {
            let iface = Attach::Iface { iface: IfaceId(1), addrs: vec![addr(host)], mtu: 1_500 };
            let route = Attach::Route { prefix: addr(1 - host), prefix_len: 32, iface: IfaceId(1) };
            stage.with(host, |host, cx| [iface, route].iter().for_each(|attach| host.on_attach(cx, attach)));
        }
        stage
    }

    fn perform(&mut self, line: &str) {
        let (who, rest) = line.split_once(' ').unwrap_or((line, ""));
        let which = match who {
            "#" => return,
            "wait" => return self.wait(rest.parse().unwrap()),
            "lost" => return self.taken[which(rest)] += 1,
            _ => which(who),
        };
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "open" => self.open(which),
            "listen" => self.listen(which),
            "accept" => {
                let listener = self.listeners[which].unwrap();
                let accepted = self.call(which, |s, cx| s.accept(cx, listener)).unwrap();
                self.sockets[which] = Some(accepted.0);
            }
            "send" => {
                let data = Payload::from(vec![b'x'; rest.parse().unwrap()]);
                let id = self.sockets[which].unwrap();
                let sent = self.call(which, |s, cx| s.send(cx, id, &data, MsgFlags::empty()));
                self.tell_error(which, sent.err());
            }
            "read" => self.read(which),
            "close" => {
                let id = self.sockets[which].take().unwrap();
                self.call(which, |s, cx| s.close(cx, id)).unwrap();
            }
            "crash" => {
                self.with(which, |host, cx| host.on_fault(cx, HostFault::Crash));
                self.with(which, |host, cx| host.on_fault(cx, HostFault::Reboot { quiet: Span::ZERO }));
                (self.sockets[which], self.listeners[which]) = (None, None);
            }
            "takes" => {
                let number = rest.parse::<usize>().map_or(self.taken[1 - which], |number| number - 1);
                if rest.is_empty() {
                    self.taken[1 - which] += 1;
                }
                let packet = self.sent[1 - which].get(number).unwrap_or_else(|| panic!("`{line}`: nothing is there"));
                self.arrive(which, packet.clone());
            }
            "<" => {
                let text: SegmentText = rest.parse().unwrap_or_else(|error| panic!("`{line}`: {error}"));
                let payload = Payload::from(vec![b'o'; text.len as usize]);
                let seg = text.into_segment(Seq(0), Seq(0), payload).unwrap();
                let seg = Segment { src_port: PORTS[1 - which], dst_port: PORTS[which], ..seg };
                self.arrive(which, Packet::new(addr(1 - which), addr(which), Body::Tcp(seg)));
            }
            _ => panic!("`{line}`: no such verb"),
        }
    }

    fn open(&mut self, which: usize) {
        let id = self.socket(which);
        let result = self.call(which, |s, cx| s.connect(cx, id, at(1 - which)));
        self.tell_error(which, result.err().filter(|&errno| errno != Errno::EINPROGRESS));
        self.sockets[which] = Some(id);
    }

    fn listen(&mut self, which: usize) {
        let id = self.socket(which);
        self.call(which, |s, cx| s.listen(cx, id, 8)).unwrap();
        self.listeners[which] = Some(id);
    }

    fn socket(&mut self, which: usize) -> SocketId {
        let id = self.call(which, |s, cx| s.socket(cx, Family::V4, SocketKind::Stream)).unwrap();
        self.call(which, |s, cx| s.set_option(cx, id, SockOpt::ReuseAddr(true))).unwrap();
        self.call(which, |s, cx| s.bind(cx, id, at(which))).unwrap();
        id
    }

    fn read(&mut self, which: usize) {
        let id = self.sockets[which].unwrap();
        let mut got = Rope::new();
        let result = self.call(which, |s, cx| s.recv(cx, id, 65_536, MsgFlags::empty(), &mut got));
        let text = match result {
            Ok(_) => String::from_utf8(got.to_payload().to_vec()).unwrap(),
            Err(errno) => errno.name().to_owned(),
        };
        self.said.push(format!("{} got {text}", name(which)));
    }

    fn tell_error(&mut self, which: usize, error: Option<Errno>) {
        self.said.extend(error.map(|errno| format!("{} got {}", name(which), errno.name())));
    }

    fn arrive(&mut self, which: usize, packet: Packet) {
        self.with(which, |host, cx| host.on_packet(cx, IfaceId(1), &packet));
    }

    fn call<R>(&mut self, which: usize, f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> R) -> R {
        self.with(which, |host, cx| f(host.sockets().unwrap(), cx))
    }

    fn wait(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            let next = |which: usize| self.hosts[which].next_timeout().map(|due| (due, which));
            let Some((due, which)) = next(0).into_iter().chain(next(1)).min().filter(|(due, _)| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.with(which, |host, cx| host.on_timeout(cx));
        }
        self.now = end;
    }

    /// Calls `f` with a host, and writes down what comes of it.
    fn with<R>(&mut self, which: usize, f: impl FnOnce(&mut Host, &mut Cx<'_>) -> R) -> R {
        let mut effects = Vec::new();
        let mut cx = Cx::new(self.now, &mut effects, &mut self.streams[which], false);
        let result = f(&mut self.hosts[which], &mut cx);
        let name = name(which);
        for effect in effects {
            match effect {
                Effect::Send(_, packet) => {
                    let notation = Notation { options: false, window: false, ..Notation::ABSOLUTE };
                    let text = SegmentText::of(packet.segment().unwrap(), notation);
                    self.said.push(format!("{name} > {text}"));
                    self.sent[which].push(*packet);
                }
                Effect::Note(Event::Transition { from, to, error, .. }) => {
                    let why = error.map(|errno| format!(" {}", errno.name())).unwrap_or_default();
                    self.said.push(format!("{name} = {from} -> {to}{why}"));
                }
                Effect::Note(Event::Arrival(Arrival::Dropped(reason))) => {
                    self.said.push(format!("{name} ! {reason}"));
                }
                Effect::Note(_) | Effect::Ready(..) => {}
            }
        }
        result
    }
}

fn which(name: &str) -> usize {
    match name {
        "A" => 0,
        "B" => 1,
        _ => panic!("`{name}`: there are A and B"),
    }
}

fn name(which: usize) -> &'static str {
    ["A", "B"][which]
}
