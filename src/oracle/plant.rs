//! Records made by hand, to plant a broken rule in front of one oracle.

use super::{NodeView, Oracle, Panel, Violation};
use crate::endpoint::{Arrival, Backoff, Errno, Event, State, Tuple};
use crate::net::Fate;
use crate::time::{SimTime, Span, ms};
use crate::trace::{
    Arrived, Belongs, Call, CallKind, Called, Conns, Disturbance, Done, LinkId, LinkName, Names, NodeId, Record, Sent,
    What,
};
use crate::wire::{Body, Flags, Options, Packet, Segment, Seq, TcpOption};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) const CLIENT: NodeId = NodeId(0);
pub(super) const SERVER: NodeId = NodeId(1);

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// One oracle, and a world of two hosts for it to look at.
pub(super) struct Plant<O> {
    panel: Panel,
    names: Names,
    conns: Conns,
    found: Vec<Violation>,
    now: SimTime,
    sent: [Vec<(Packet, Option<Belongs>, SimTime)>; 2],
    of: PhantomData<O>,
}

/// Initial sequence numbers are 0, so that absolute numbers are relative ones.
pub(super) fn syn(seq: u32) -> Segment {
    segment(Flags::SYN, seq, 0, "")
}

pub(super) fn ack(seq: u32, ack: u32) -> Segment {
    segment(Flags::ACK, seq, ack, "")
}

pub(super) fn data(seq: u32, ack: u32, text: &str) -> Segment {
    segment(Flags::ACK | Flags::PSH, seq, ack, text)
}

pub(super) fn segment(flags: Flags, seq: u32, ack: u32, text: &str) -> Segment {
    Segment { seq: Seq(seq), ack: Seq(ack), flags, window: 1000, payload: text.into(), ..Segment::default() }
}

pub(super) fn with_options(segment: Segment, options: &[TcpOption<'_>]) -> Segment {
    let mut bytes = Options::NONE;
    for option in options {
        bytes.push(*option).unwrap();
    }
    Segment { options: bytes, ..segment }
}

fn addr(node: NodeId) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + u8::try_from(node.0).unwrap()))
}

/// The one connection that all of this is about, seen from `node`.
pub(super) fn tuple(node: NodeId) -> Tuple {
    let tuple = Tuple { local: SocketAddr::new(addr(CLIENT), 5000), remote: SocketAddr::new(addr(SERVER), 80) };
    if node == CLIENT { tuple } else { tuple.flipped() }
}

impl<O: Oracle + 'static> Plant<O> {
    pub(super) fn new(oracle: O) -> Plant<O> {
        let link = |from: &str, to: &str| LinkName { from: from.to_owned(), to: to.to_owned() };
        let names = Names {
            nodes: vec!["client".to_owned(), "server".to_owned()],
            links: vec![link("client", "server"), link("server", "client")],
            streams: Vec::new(),
            addrs: vec![(addr(CLIENT), CLIENT), (addr(SERVER), SERVER)],
        };
        let conns = Conns::default();
        let (panel, found, sent) = (Panel::new(vec![Box::new(oracle)]), Vec::new(), [Vec::new(), Vec::new()]);
        Plant { panel, names, conns, found, now: SimTime::ZERO, sent, of: PhantomData }
    }

    /// `node` says that its RTO grows like this.
    pub(super) fn back_off(&mut self, node: NodeId, backoff: Backoff) {
        self.panel.add_node(node, backoff);
    }

    pub(super) fn wait(&mut self, span: Span) {
        self.now += span;
    }

    /// The texts of what was found.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.found.iter().map(|violation| violation.text.as_str()).collect()
    }

    pub(super) fn forget(&mut self) {
        self.found.clear();
    }

    /// Asserts that nothing was found.
    #[track_caller]
    pub(super) fn holds(&self) {
        assert_eq!(self.texts(), [""; 0]);
    }

    /// Asserts that one rule was found broken, with all of `parts` in its text.
    #[track_caller]
    pub(super) fn breaks(&self, parts: &[&str]) {
        assert_eq!(self.found.len(), 1, "{:?}", self.texts());
        for part in parts {
            assert!(self.found[0].text.contains(part), "{part:?} is not in {:?}", self.found[0].text);
        }
    }

    /// SYN, SYN-ACK, ACK, all delivered, initial sequence numbers 0.
    pub(super) fn handshake(&mut self) {
        self.pass(Dir::Up, syn(0));
        self.pass(Dir::Down, segment(Flags::SYN | Flags::ACK, 0, 1, ""));
        self.pass(Dir::Up, ack(1, 1));
    }

    /// Sends and delivers 10 ms later.
    pub(super) fn pass(&mut self, dir: Dir, segment: Segment) {
        let n = self.send(dir, segment);
        self.wait(ms(10));
        self.arrive(dir, n);
    }

    pub(super) fn send(&mut self, dir: Dir, segment: Segment) -> u64 {
        self.put(dir, segment, false, 0)
    }

    /// Passed on by a third party.
    pub(super) fn forward(&mut self, dir: Dir, segment: Segment) -> u64 {
        self.names.nodes.resize(3, "router".to_owned());
        self.put(dir, segment, true, 0)
    }

    pub(super) fn inject(&mut self, dir: Dir, segment: Segment) -> u64 {
        self.disturb(CLIENT, Disturbance::Injected(LinkId(dir as u32)));
        self.put(dir, segment, false, 0)
    }

    /// Injected, and duplicated by the network.
    pub(super) fn inject_twice(&mut self, dir: Dir, segment: Segment) -> u64 {
        self.disturb(CLIENT, Disturbance::Injected(LinkId(dir as u32)));
        self.put(dir, segment, false, 1)
    }

    fn put(&mut self, dir: Dir, segment: Segment, forwarded: bool, copies: usize) -> u64 {
        let from = if dir == Dir::Up { CLIENT } else { SERVER };
        let Tuple { local, remote } = tuple(from);
        let segment = Segment { src_port: local.port(), dst_port: remote.port(), ..segment };
        let packet = Packet::new(local.ip(), remote.ip(), Body::Tcp(segment));
        let conn = self.conns.sent(&packet);
        self.sent[dir as usize].push((packet.clone(), conn, self.now));
        let n = self.sent[dir as usize].len() as u64;
        let fate = match copies {
            0 => Fate::Delivered(ms(10)),
            _ => Fate::Changed { after: ms(10), copies: vec![ms(20); copies], corrupt_bit: None },
        };
        let (packet, fate) = (Cow::Owned(packet), Cow::Owned(fate));
        let node = if forwarded { NodeId(2) } else { from };
        self.record(node, What::Sent(Sent { link: LinkId(dir as u32), n, packet, conn, fate, forwarded }));
        n
    }

    pub(super) fn arrive(&mut self, dir: Dir, n: u64) {
        self.arrive_as(dir, n, None);
    }

    pub(super) fn arrive_at(&mut self, node: NodeId, dir: Dir, n: u64) {
        let (packet, conn, sent) = self.sent[dir as usize][n as usize - 1].clone();
        self.arrived(node, dir, n, packet, conn, sent, None);
    }

    pub(super) fn arrive_as(&mut self, dir: Dir, n: u64, outcome: Option<Arrival>) {
        let (packet, conn, sent) = self.sent[dir as usize][n as usize - 1].clone();
        let node = if dir == Dir::Up { SERVER } else { CLIENT };
        self.arrived(node, dir, n, packet, conn, sent, outcome);
    }

    /// Something that does not parse arrives.
    pub(super) fn arrive_raw(&mut self, dir: Dir, bytes: &[u8], outcome: Option<Arrival>) {
        let (from, to) = if dir == Dir::Up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let packet = Packet::new(addr(from), addr(to), Body::Raw(bytes.into()));
        self.arrived(to, dir, 1, packet, None, self.now, outcome);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one record")]
    fn arrived(
        &mut self,
        node: NodeId,
        dir: Dir,
        n: u64,
        packet: Packet,
        conn: Option<Belongs>,
        sent: SimTime,
        outcome: Option<Arrival>,
    ) {
        let Tuple { local, remote } = tuple(node);
        let here = self.conns.of(local, remote).filter(|here| conn.is_some_and(|conn| conn.conn != here.conn));
        let (link, packet) = (LinkId(dir as u32), Cow::Owned(packet));
        self.record(node, What::Arrived(Arrived { link, n, copy: 0, packet, sent, conn, here, outcome }));
    }

    /// A socket call on the connection returns.
    pub(super) fn call(&mut self, node: NodeId, call: Call, result: Result<Done, Errno>) {
        let (tuple, kind) = (Some(tuple(node)), CallKind::Routine);
        let called = Called { stream: None, tuple, call, result: Some(result), took: Span::ZERO, kind };
        self.record(node, What::Called(Cow::Owned(called)));
    }

    pub(super) fn write(&mut self, node: NodeId, text: &str) {
        self.call(node, Call::Send(text.into()), Ok(Done::Count(text.len() as u64)));
    }

    /// `recv()` gives `text`; the end of the stream if it is empty.
    pub(super) fn read(&mut self, node: NodeId, text: &str) {
        self.call(node, Call::Recv { max: 4096 }, Ok(Done::Data(text.into())));
    }

    pub(super) fn transition(&mut self, node: NodeId, from: State, to: State) {
        let tuple = tuple(node);
        let conn = self.conns.transition(tuple, from, to);
        let event = Event::Transition { tuple, from, to, lasts: None, error: None };
        self.record(node, What::Noted { conn, event });
    }

    pub(super) fn note(&mut self, node: NodeId, event: Event) {
        self.record(node, What::Noted { conn: None, event });
    }

    pub(super) fn disturb(&mut self, node: NodeId, disturbance: Disturbance) {
        self.record(node, What::Disturbed(disturbance));
    }

    pub(super) fn rest(&mut self, nodes: &[NodeView]) {
        let found = self.panel.quiescent(nodes, &self.names, &self.conns, self.now);
        self.found.append(found);
    }

    fn record(&mut self, node: NodeId, what: What<'_>) {
        let record = Record { at: self.now, node: Some(node), what };
        let found = self.panel.take(&record, &self.names, &self.conns);
        self.found.append(found);
    }
}
