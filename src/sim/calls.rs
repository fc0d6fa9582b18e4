//! The verbs of a story: hosts, links, and blocking socket calls.
//!
//! | verb | socket calls | takes effect | if it cannot go on |
//! |---|---|---|---|
//! | [`Sim::connect`] | `socket`, `connect` | now | the task waits for the handshake or its failure |
//! | [`Sim::write`] | `send` until all is taken | when the former call on this stream has returned | waits for room in the send buffer |
//! | [`Sim::read`] | `recv` once | likewise | waits for data or the end |
//! | [`Sim::read_to_end`] | `recv` until it gives 0 | likewise | waits for the end of the stream |
//! | [`Sim::shutdown`] | `shutdown` | likewise | never waits |
//! | [`Sim::close`] | `close` | likewise | never waits |
//! | [`Sim::abort`] | `close` after `SO_LINGER` 0 | likewise | never waits |
//! | [`Sim::listen`] | `listen`; then an application accepts, reads everything, closes at the end | now | |
//! | [`Sim::listener`] | `listen` and nothing else | now | connections wait in its accept queue |
//! | [`Sim::accept`] | `accept` | when the former call on the listener has returned | waits for a connection |

use super::ledger::{Received, Returned};
use super::node::{Kind, Pending};
use super::task::Op;
use super::{Class, Sim};
use crate::endpoint::{Endpoint, MsgFlags, Shutdown, SockOpt};
use crate::host::{ConfigError, Host, HostConfig};
use crate::net::Link;
use crate::sim::apps::Sink;
use crate::trace::{Call, Done, NodeId, StreamId};
use crate::wire::{Payload, Rope};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket of a story: `Copy`, valid for the whole run, also after the socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(pub(super) StreamId);

impl Stream {
    /// Its number in the trace.
    pub fn id(self) -> StreamId {
        self.0
    }
}

/// The backlog of [`Sim::listen`].
const BACKLOG: u32 = 128;

impl Sim {
    /// Attaches hosts of the default profile.
    ///
    /// # Panics
    /// If a name is taken.
    pub fn hosts<const N: usize>(&mut self, names: [&str; N]) -> [NodeId; N] {
        names.map(|name| self.host(HostConfig::named(name)))
    }

    /// Attaches one host.
    ///
    /// # Panics
    /// If its name is taken or its configuration is wrong; [`Host::new`] tells what.
    pub fn host(&mut self, config: HostConfig) -> NodeId {
        self.try_host(config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Attaches one host, or says what is wrong with its configuration.
    ///
    /// # Panics
    /// If its name is taken.
    pub fn try_host(&mut self, config: HostConfig) -> Result<NodeId, ConfigError> {
        let (name, addrs) = (config.name.clone(), config.addrs.clone());
        let host = Host::new(config, self.seed)?;
        Ok(self.attach_host(&name, Box::new(host), (!addrs.is_empty()).then_some(addrs)))
    }

    /// Attaches a foreign endpoint as a host: a loopback, and one interface with one address of each family.
    ///
    /// # Panics
    /// If its name is taken.
    pub fn endpoint(&mut self, name: &str, endpoint: impl Endpoint + 'static) -> NodeId {
        self.attach_host(name, Box::new(endpoint), None)
    }

    /// The same, with addresses and MTU of the caller's choice.
    ///
    /// # Panics
    /// If its name or one of the addresses is taken.
    pub fn endpoint_at(&mut self, name: &str, endpoint: Box<dyn Endpoint>, addrs: Vec<IpAddr>, mtu: u32) -> NodeId {
        self.attach_host_with(name, endpoint, addrs, mtu)
    }

    /// Attaches an endpoint that forwards: it gets an interface with each of its links.
    ///
    /// # Panics
    /// If its name is taken.
    pub fn middlebox(&mut self, name: &str, endpoint: impl Endpoint + 'static) -> NodeId {
        self.attach(name, Box::new(endpoint), Kind::Middlebox)
    }

    /// Links `a` and `b` both ways, each way with its own state and randomness.
    pub fn link(&mut self, a: NodeId, b: NodeId, link: Link) {
        self.add_link(a, b, &link);
        self.add_link(b, a, &link);
    }

    /// Links `from` to `to`, one way.
    pub fn link_one_way(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.add_link(from, to, &link);
    }

    /// An address of `node`: IPv4 unless it has none.
    pub fn addr(&self, node: NodeId) -> Option<IpAddr> {
        self.addr_of(node, false).or_else(|| self.addr_of(node, true))
    }

    /// An address of `node` of one family.
    pub fn addr_of(&self, node: NodeId, v6: bool) -> Option<IpAddr> {
        self.nodes[node.0 as usize].main_addr(v6)
    }

    /// Listens on `port` of `node`; an application accepts, reads everything and closes at the end of each stream.
    pub fn listen(&mut self, node: NodeId, port: u16) {
        self.app(node, Sink::new(port, BACKLOG));
    }

    /// Listens on `port` of `node`, both families, and accepts nothing.
    pub fn listener(&mut self, node: NodeId, port: u16, backlog: u32) -> Stream {
        let local = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        self.begin(node, format!(":{port}"), Op::Listen { local, backlog, options: Vec::new() })
    }

    /// Accepts one connection of `listener`, when there is one.
    pub fn accept(&mut self, listener: Stream) -> Stream {
        let name = self.recorder.next_accepted_name();
        self.accept_as(listener, name)
    }

    /// Accepts one connection of `listener` under a name of the caller's choice.
    pub fn accept_as(&mut self, listener: Stream, name: String) -> Stream {
        let node = self.ledger.get(listener.0).node;
        let as_stream = self.new_stream(node, name);
        self.push(listener, Op::Accept { as_stream });
        Stream(as_stream)
    }

    /// Connects `client` to `port` of `server`, now.
    ///
    /// # Panics
    /// If `server` has no address.
    pub fn connect(&mut self, client: NodeId, server: NodeId, port: u16) -> Stream {
        let addr = self.addr(server).unwrap_or_else(|| panic!("{} has no address", self.name_of(server)));
        self.connect_to(client, SocketAddr::new(addr, port), Connect::default())
    }

    /// Connects `client` to an address.
    pub fn connect_to(&mut self, client: NodeId, remote: SocketAddr, how: Connect) -> Stream {
        let any = if remote.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let local = how.from.map(|port| SocketAddr::new(any, port));
        let name = how.name.unwrap_or_else(|| self.recorder.next_connected_name());
        self.begin(client, name, Op::Connect { remote, local, options: how.options })
    }

    /// Binds a datagram socket.
    pub fn bind_udp(&mut self, node: NodeId, local: SocketAddr, name: String) -> Stream {
        self.begin(node, name, Op::BindUdp { local })
    }

    /// Writes all of `data`.
    pub fn write(&mut self, stream: Stream, data: impl Into<Payload>) {
        self.send(stream, data, MsgFlags::empty());
    }

    /// Writes all of `data`, with flags.
    pub fn send(&mut self, stream: Stream, data: impl Into<Payload>, flags: MsgFlags) {
        self.push(stream, Op::Write(data.into(), flags));
    }

    /// Reads once, at most `max` bytes.
    pub fn read(&mut self, stream: Stream, max: usize) {
        self.push(stream, Op::Read { max });
    }

    /// Reads `max` bytes, or until the end of the stream.
    pub fn read_all(&mut self, stream: Stream, max: usize) {
        self.push(stream, Op::ReadAll { max, got: Rope::new() });
    }

    /// Reads until the end of the stream.
    pub fn read_to_end(&mut self, stream: Stream) {
        self.read_all(stream, usize::MAX);
    }

    /// Sends a datagram.
    pub fn send_to(&mut self, stream: Stream, data: impl Into<Payload>, to: SocketAddr) {
        self.push(stream, Op::SendTo(data.into(), to));
    }

    /// Receives a datagram.
    pub fn recv_from(&mut self, stream: Stream) {
        self.push(stream, Op::RecvFrom);
    }

    /// Ends one half of a connection.
    pub fn shutdown(&mut self, stream: Stream, how: Shutdown) {
        self.push(stream, Op::Shutdown(how));
    }

    /// Closes a socket.
    pub fn close(&mut self, stream: Stream) {
        self.push(stream, Op::Close);
    }

    /// Aborts a connection (RFC 9293 3.9.1 ABORT).
    pub fn abort(&mut self, stream: Stream) {
        self.push(stream, Op::Abort);
    }

    /// Sets a socket option.
    pub fn set_option(&mut self, stream: Stream, option: SockOpt) {
        self.push(stream, Op::SetOption(option));
    }

    /// What was read from `stream` so far.
    pub fn received(&self, stream: Stream) -> Received {
        self.ledger.get(stream.0).received.clone()
    }

    /// The two ends of a connection: this socket's address and its peer's, once both are known.
    pub fn ends(&self, stream: Stream) -> Option<(SocketAddr, SocketAddr)> {
        let entry = self.ledger.get(stream.0);
        Some((entry.local?, entry.remote?))
    }

    /// Bytes that wait in a socket to be read, as its endpoint shows them.
    pub fn unread(&self, stream: Stream) -> u64 {
        let entry = self.ledger.get(stream.0);
        let views = self.connections(entry.node).into_iter();
        let mine = views.filter(|view| view.socket.is_some() && view.socket == entry.socket);
        mine.filter_map(|view| view.rcv).map(|rcv| rcv.queued).sum()
    }

    /// Everything that blocking calls on `stream` have written.
    pub fn written(&self, stream: Stream) -> Vec<u8> {
        let mut written = Vec::new();
        for returned in self.calls(stream) {
            if let (Call::Send(data), Ok(Done::Count(n))) = (&returned.call, &returned.result) {
                written.extend_from_slice(&data[..usize::try_from(*n).unwrap_or(0).min(data.len() as usize)]);
            }
        }
        written
    }

    /// The blocking calls on `stream` that have returned, in their order.
    pub fn calls(&self, stream: Stream) -> &[Returned] {
        &self.ledger.get(stream.0).calls
    }

    /// The other end's socket of a connection.
    ///
    /// # Panics
    /// If nothing accepted the connection. Behind a NAT the two ends have different addresses for it: use
    /// [`Sim::streams_of`] there.
    pub fn peer(&self, stream: Stream) -> Stream {
        let name = self.recorder.names.stream(stream.0);
        self.find_peer(stream).unwrap_or_else(|| panic!("no socket at the other end of {name}: nothing accepted it"))
    }

    /// The other end's socket of a connection, if anything accepted it; the latest, where a 4-tuple was used again.
    pub fn find_peer(&self, stream: Stream) -> Option<Stream> {
        let entry = self.ledger.get(stream.0);
        let (local, remote) = (entry.local?, entry.remote?);
        let entries = self.ledger.entries.iter().zip(0u32..);
        let peers = entries.filter(|(e, n)| *n != stream.0.0 && e.local == Some(remote) && e.remote == Some(local));
        peers.last().map(|(_, n)| Stream(StreamId(n)))
    }

    /// The named sockets of `node`, in the order of their making.
    pub fn streams_of(&self, node: NodeId) -> Vec<Stream> {
        let entries = self.ledger.entries.iter().zip(0u32..);
        entries.filter(|(entry, _)| entry.node == node).map(|(_, n)| Stream(StreamId(n))).collect()
    }

    fn begin(&mut self, node: NodeId, name: String, op: Op) -> Stream {
        let stream = Stream(self.new_stream(node, name));
        self.push(stream, op);
        stream
    }

    fn new_stream(&mut self, node: NodeId, name: String) -> StreamId {
        let stream = self.recorder.add_stream(name);
        self.ledger.add(node);
        stream
    }

    /// Appends a call to the task of `stream`; it begins at this instant if nothing is before it.
    fn push(&mut self, stream: Stream, op: Op) {
        let node = self.ledger.get(stream.0).node;
        let place = &mut self.nodes[node.0 as usize];
        // A socket that an application accepted may be taken over by the script.
        if let Some(socket) = self.ledger.get(stream.0).socket {
            place.tasks.adopt(stream.0, socket);
        }
        place.tasks.push(stream.0, op);
        let pending = Pending::Begin(stream.0);
        if !place.wakes.contains(&pending) {
            place.wakes.push_back(pending);
        }
        self.agenda.set(Class::Application, node.0, Some(self.now));
    }
}

/// How to connect: from which port, with which options, under which name.
#[derive(Clone, Debug, Default)]
pub struct Connect {
    /// The local port; an ephemeral one if there is none.
    pub from: Option<u16>,
    /// Options set before `connect`.
    pub options: Vec<SockOpt>,
    /// The socket's name in the trace; else `c1`, `c2`, ….
    pub name: Option<String>,
}
