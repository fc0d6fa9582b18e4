use super::{Arrived, Belongs, Call, Called, ConnId, Done, NodeId, Record, Sent, StreamId, Trace, What};
use crate::endpoint::Event;
use crate::map::Map;
use crate::wire::{Body, Packet};
use std::net::SocketAddr;

/// Which connection sockets and addresses stand for, as a trace is read from its start: a 4-tuple and a socket's name
/// may serve several connections, one after the other.
pub(super) struct Following<'a> {
    trace: &'a Trace<'a>,
    ends: Map<(SocketAddr, SocketAddr), ConnId>,
    /// By host, peer and local port: what `accept` tells of its new socket.
    peers: Map<(NodeId, SocketAddr, u16), ConnId>,
    streams: Map<StreamId, ConnId>,
}

impl<'a> Following<'a> {
    pub(super) fn new(trace: &'a Trace<'a>) -> Following<'a> {
        Following { trace, ends: Map::new(), peers: Map::new(), streams: Map::new() }
    }

    /// Takes the next record; the answers are about it from now on.
    pub(super) fn see(&mut self, record: &Record<'_>) {
        match &record.what {
            What::Sent(Sent { conn: Some(belongs), packet, forwarded: false, .. }) => {
                if let Some((src, dst)) = sockets(packet) {
                    self.ends.insert((src, dst), belongs.conn);
                }
            }
            What::Noted { conn: Some(belongs), event: Event::Transition { tuple, .. } } => {
                self.ends.insert((tuple.local, tuple.remote), belongs.conn);
                if let Some(node) = record.node {
                    self.peers.insert((node, tuple.remote, tuple.local.port()), belongs.conn);
                }
            }
            What::Called(called) => {
                let stream = accepted(called).map(|(stream, _)| stream).or(called.stream);
                if let (Some(stream), Some(conn)) = (stream, self.called(record.node, called)) {
                    self.streams.insert(stream, conn);
                }
            }
            _ => {}
        }
    }

    /// The connection that `record` is about.
    pub(super) fn conn(&self, record: &Record<'_>) -> Option<ConnId> {
        match &record.what {
            What::Sent(Sent { conn, packet, .. }) | What::Arrived(Arrived { conn, packet, .. }) => {
                conn.map(|belongs| belongs.conn).or_else(|| Some(self.quoted(packet)?.conn))
            }
            What::Noted { conn, .. } => conn.map(|belongs| belongs.conn),
            What::Called(called) => self.called(record.node, called),
            What::Disturbed(_) | What::Violated { .. } => None,
        }
    }

    /// Where the packet that an ICMP error is about belongs.
    pub(super) fn quoted(&self, packet: &Packet) -> Option<Belongs> {
        let Body::Icmp(icmp) = &packet.body else { return None };
        let quoted = icmp.quoted().filter(|quoted| quoted.seq.is_some())?;
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        let remote = SocketAddr::new(quoted.dst, quoted.dst_port);
        let conn = self.at_ends(local, remote)?;
        self.trace.conns.get(conn).map(|it| Belongs { conn, from: it.side_of(local) })
    }

    fn called(&self, node: Option<NodeId>, called: &Called) -> Option<ConnId> {
        if let (Some((_, peer)), Some(node)) = (accepted(called), node) {
            let port = match (&called.call, called.tuple) {
                (_, Some(tuple)) => tuple.local.port(),
                (Call::Accept { local }, None) => local.port(),
                _ => return None,
            };
            return self.peers.get(&(node, peer, port)).copied();
        }
        let by_tuple = called.tuple.and_then(|tuple| self.at_ends(tuple.local, tuple.remote));
        by_tuple.or_else(|| self.streams.get(&called.stream?).copied())
    }

    fn at_ends(&self, local: SocketAddr, remote: SocketAddr) -> Option<ConnId> {
        // What came before the first record that was kept is known from the connections alone.
        let latest = || self.trace.conns.of(local, remote).map(|belongs| belongs.conn);
        self.ends.get(&(local, remote)).copied().or_else(latest)
    }
}

/// The new socket of a successful `accept`, and its peer.
pub(super) fn accepted(called: &Called) -> Option<(StreamId, SocketAddr)> {
    match called.result {
        Some(Ok(Done::Accepted { stream, peer })) => Some((stream, peer)),
        _ => None,
    }
}

fn sockets(packet: &Packet) -> Option<(SocketAddr, SocketAddr)> {
    let (src_port, dst_port) = packet.ports()?;
    Some((SocketAddr::new(packet.src, src_port), SocketAddr::new(packet.dst, dst_port)))
}
