//! The wire and the hosts on it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wirefate::choice::MakerId;
use wirefate::endpoint::{
    Attach, ConnView, Cx, DropReason, Effect, Endpoint, Errno, Event, Family, HostFault, IfaceId, MsgFlags, Readiness,
    SocketId, SocketKind, Sockets, State, Streams,
};
use wirefate::host::{Host, HostConfig, Profile};
use wirefate::time::{HostTime, Span};
use wirefate::wire::{Body, Flags, Icmp, IcmpKind, Packet, Payload, Rope, Segment, quote_of};

/// The client of [`World::pair`].
pub(crate) const C: usize = 0;
/// Its server.
pub(crate) const S: usize = 1;

type Filter = Box<dyn FnMut(&Packet) -> bool>;

pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    streams: Vec<Streams>,
    pub(crate) now: HostTime,
    wire: VecDeque<(usize, IfaceId, Packet)>,
    /// Every segment sent between hosts since the last [`World::sent`]: sender, flags, bytes of data.
    sent: Vec<(usize, Flags, u32)>,
    ready: Vec<(usize, SocketId, Readiness)>,
    pub(crate) events: Vec<(usize, Event)>,
    /// Packets for which it says true are lost.
    pub(crate) lose: Option<Filter>,
}

pub(crate) fn v4(host: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(host).unwrap() + 1))
}

pub(crate) fn v6(host: usize) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::try_from(host).unwrap() + 1))
}

pub(crate) fn at(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(v4(host), port)
}

pub(crate) fn any(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

pub(crate) fn any6(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// A host of the profile `rfc9293`.
pub(crate) fn rfc9293(name: &str) -> HostConfig {
    HostConfig::named(name).profile(Profile::Rfc9293)
}

impl World {
    pub(crate) fn new(configs: Vec<HostConfig>) -> World {
        let count = configs.len();
        let mut world = World {
            streams: configs.iter().map(|config| Streams::new(1, &config.name, MakerId(0))).collect(),
            hosts: configs.into_iter().map(|config| Host::new(config, 1).unwrap()).collect(),
            now: HostTime::ZERO,
            wire: VecDeque::new(),
            sent: Vec::new(),
            ready: Vec::new(),
            events: Vec::new(),
            lose: None,
        };
        for host in 0..count {
            let addrs = vec![v4(host), v6(host)];
            let mut attaches = vec![Attach::Iface { iface: IfaceId(1), addrs, mtu: 1_500 }];
            for peer in (0..count).filter(|&peer| peer != host) {
                attaches.push(Attach::Route { prefix: v4(peer), prefix_len: 32, iface: IfaceId(1) });
                attaches.push(Attach::Route { prefix: v6(peer), prefix_len: 128, iface: IfaceId(1) });
            }
            for attach in attaches {
                world.with(host, |host, cx| host.on_attach(cx, &attach));
            }
        }
        world
    }

    pub(crate) fn pair(client: HostConfig, server: HostConfig) -> World {
        World::new(vec![client, server])
    }

    pub(crate) fn plain() -> World {
        World::pair(rfc9293("client"), rfc9293("server"))
    }

    /// Calls `f` with a host; what it sends stays on the wire until [`World::run`].
    pub(crate) fn with<R>(&mut self, host: usize, f: impl FnOnce(&mut Host, &mut Cx<'_>) -> R) -> R {
        let mut effects = Vec::new();
        let mut cx = Cx::new(self.now, &mut effects, &mut self.streams[host], true);
        let result = f(&mut self.hosts[host], &mut cx);
        for effect in effects {
            match effect {
                Effect::Send(iface, packet) => self.put(host, iface, *packet),
                Effect::Note(event) => self.events.push((host, event)),
                Effect::Ready(socket, readiness) => self.ready.push((host, socket, readiness)),
            }
        }
        result
    }

    fn put(&mut self, from: usize, iface: IfaceId, packet: Packet) {
        if iface == IfaceId(0) {
            return self.wire.push_back((from, iface, packet));
        }
        if let Some(segment) = packet.segment() {
            self.sent.push((from, segment.flags, segment.payload.len()));
        }
        if self.lose.as_mut().is_some_and(|lose| lose(&packet)) {
            return;
        }
        let owner = (0..self.hosts.len()).find(|&host| v4(host) == packet.dst || v6(host) == packet.dst);
        if let Some(owner) = owner {
            self.wire.push_back((owner, IfaceId(1), packet));
        }
    }

    /// Delivers until nothing is on the wire.
    pub(crate) fn run(&mut self) {
        while let Some((to, iface, packet)) = self.wire.pop_front() {
            self.with(to, |host, cx| host.on_packet(cx, iface, &packet));
        }
    }

    /// Lets `span` pass, with every timeout in it.
    pub(crate) fn advance(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            self.run();
            let next = |host: &usize| self.hosts[*host].next_timeout().map(|due| (due, *host));
            let Some((due, host)) = (0..self.hosts.len()).filter_map(|host| next(&host)).min() else { break };
            if due > end {
                break;
            }
            self.now = self.now.max(due);
            let events = self.events.len();
            self.with(host, |host, cx| host.on_timeout(cx));
            let moved = self.hosts[host].next_timeout() != Some(due) || self.events.len() > events;
            assert!(moved, "a timeout of host {host} at {due} does nothing");
        }
        self.now = end;
    }

    pub(crate) fn call<R>(&mut self, host: usize, f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> R) -> R {
        self.with(host, |host, cx| f(host.sockets().unwrap(), cx))
    }

    pub(crate) fn stream(&mut self, host: usize) -> SocketId {
        self.call(host, |s, cx| s.socket(cx, Family::V4, SocketKind::Stream)).unwrap()
    }

    pub(crate) fn listen(&mut self, host: usize, local: SocketAddr, backlog: u32) -> SocketId {
        let family = if local.is_ipv4() { Family::V4 } else { Family::V6 };
        let id = self.call(host, |s, cx| s.socket(cx, family, SocketKind::Stream)).unwrap();
        self.call(host, |s, cx| s.bind(cx, id, local)).unwrap();
        self.call(host, |s, cx| s.listen(cx, id, backlog)).unwrap();
        id
    }

    pub(crate) fn connect(&mut self, host: usize, id: SocketId, remote: SocketAddr) -> Result<(), Errno> {
        self.call(host, |s, cx| s.connect(cx, id, remote))
    }

    pub(crate) fn accept(&mut self, host: usize, id: SocketId) -> Result<SocketId, Errno> {
        self.call(host, |s, cx| s.accept(cx, id)).map(|(id, _)| id)
    }

    pub(crate) fn send(&mut self, host: usize, id: SocketId, data: &str) -> Result<u32, Errno> {
        self.call(host, |s, cx| s.send(cx, id, &Payload::from(data), MsgFlags::empty()))
    }

    pub(crate) fn recv(&mut self, host: usize, id: SocketId) -> Result<String, Errno> {
        let mut got = Rope::new();
        self.call(host, |s, cx| s.recv(cx, id, 65_536, MsgFlags::empty(), &mut got))?;
        Ok(String::from_utf8(got.to_payload().to_vec()).unwrap())
    }

    pub(crate) fn close(&mut self, host: usize, id: SocketId) {
        self.call(host, |s, cx| s.close(cx, id)).unwrap();
    }

    /// The server accepts what comes next at `listener`, a connection from the socket `id` of `client`; that closes first,
    /// the server when it has heard of it.
    pub(crate) fn accept_and_part(&mut self, client: usize, id: SocketId, listener: SocketId) {
        let accepted = self.accept(S, listener).unwrap();
        self.close(client, id);
        self.run();
        self.close(S, accepted);
        self.run();
    }

    pub(crate) fn poll(&mut self, host: usize, id: SocketId) -> Readiness {
        self.call(host, |s, _| s.readiness(id))
    }

    pub(crate) fn fault(&mut self, host: usize, fault: HostFault) {
        self.with(host, |host, cx| host.on_fault(cx, fault));
    }

    /// A connection from the client to `port` of the server, accepted there: the client's socket, the listener, and
    /// the server's socket.
    pub(crate) fn connected(&mut self, port: u16) -> (SocketId, SocketId, SocketId) {
        let listener = self.listen(S, any(port), 8);
        let client = self.stream(C);
        assert_eq!(self.connect(C, client, at(S, port)), Err(Errno::EINPROGRESS));
        self.run();
        assert_eq!(self.connect(C, client, at(S, port)), Ok(()));
        let server = self.accept(S, listener).unwrap();
        self.told();
        self.sent();
        (client, listener, server)
    }

    /// What readiness was told since the last time.
    pub(crate) fn told(&mut self) -> Vec<(usize, SocketId, Readiness)> {
        std::mem::take(&mut self.ready)
    }

    /// What was sent since the last time.
    pub(crate) fn sent(&mut self) -> Vec<(usize, Flags, u32)> {
        std::mem::take(&mut self.sent)
    }

    /// Why packets were not taken since the last time.
    pub(crate) fn drops(&mut self) -> Vec<(usize, DropReason)> {
        let events = std::mem::take(&mut self.events);
        let reason = |(host, event)| match event {
            Event::Arrival(wirefate::endpoint::Arrival::Dropped(reason)) => Some((host, reason)),
            _ => None,
        };
        events.into_iter().filter_map(reason).collect()
    }

    /// The states of a host's connections, in the order of their addresses.
    pub(crate) fn states(&self, host: usize) -> Vec<State> {
        let mut states = Vec::new();
        self.hosts[host].connections(&mut |view| states.push(view.state));
        states
    }

    pub(crate) fn counter(&self, host: usize, name: &str) -> u64 {
        let mut found = None;
        self.hosts[host].counters(&mut |counter, value| {
            if counter == name {
                found = Some(value);
            }
        });
        found.unwrap()
    }

    /// Half-open and waiting connections of the first listener.
    pub(crate) fn queues(&self, host: usize) -> (u32, u32) {
        let mut queues = Vec::new();
        self.hosts[host].listeners(&mut |view| queues.push((view.syn, view.accept)));
        queues[0]
    }

    /// A packet arrives at a host, from wherever.
    pub(crate) fn arrive(&mut self, host: usize, packet: Packet) {
        self.wire.push_back((host, IfaceId(1), packet));
        self.run();
    }

    /// Every connection of a host.
    pub(crate) fn views(&self, host: usize) -> Vec<ConnView> {
        let mut views = Vec::new();
        self.hosts[host].connections(&mut |view| views.push(view));
        views
    }

    /// An ICMP error about what the client's connection `view` has sent and nobody has acknowledged.
    pub(crate) fn icmp(&mut self, view: &ConnView, kind: IcmpKind) {
        let (tuple, seq) = (view.tuple, view.snd.unwrap().una);
        let (src_port, dst_port) = (tuple.local.port(), tuple.remote.port());
        let about = Segment { src_port, dst_port, seq, flags: Flags::ACK, ..Segment::default() };
        let quote = quote_of(&Packet::new(v4(C), v4(S), Body::Tcp(about)));
        self.arrive(C, Packet::new(v4(S), v4(C), Body::Icmp(Icmp { kind, quote })));
    }

    /// Puts a segment to `to` on the wire as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, segment: Segment) {
        let segment = Segment { src_port: from.port(), dst_port: to.port(), ..segment };
        let packet = Packet::new(from.ip(), to.ip(), Body::Tcp(segment));
        let owner = (0..self.hosts.len()).find(|&host| v4(host) == to.ip() || v6(host) == to.ip()).unwrap();
        self.wire.push_back((owner, IfaceId(1), packet));
        self.run();
    }
}
