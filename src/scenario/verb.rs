//! What a step can do.

use super::condition::SegmentPattern;
use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::fault::PacketName;
use super::host::Skew;
use super::link::LinkEnds;
use super::quantity::Size;
use super::tree::{Node, Value};
use crate::endpoint::{Shutdown, SockOpt};
use crate::time::Span;
use std::net::SocketAddr;

/// What is done: socket calls on a host or socket, things that happen to a host, things that happen to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Listens, accepts, and runs `app` on each connection.
    Serve {
        /// Where.
        port: u16,
        /// Of `listen()`.
        backlog: u32,
        /// What each connection gets.
        app: App,
    },
    /// `listen()`, and nobody accepts.
    Listen {
        /// Where.
        port: u16,
        /// Of `listen()`.
        backlog: u32,
    },
    /// `accept()` on the listener of this port.
    Accept {
        /// Where it listens.
        port: u16,
    },
    /// `connect()`.
    Connect {
        /// To where.
        to: Target,
        /// From this port rather than an ephemeral one.
        from: Option<u16>,
        /// Whether `SO_REUSEADDR` is set before.
        reuse_addr: bool,
    },
    /// `send()` until all is taken.
    Send {
        /// What.
        data: Data,
        /// With `MSG_MORE`.
        more: bool,
        /// With `MSG_OOB`.
        urgent: bool,
    },
    /// `recv()`.
    Recv {
        /// At most so many bytes.
        max: u64,
        /// Whether it waits for all of `max` or the end of the stream (`MSG_WAITALL`).
        all: bool,
    },
    /// `close()`.
    Close,
    /// `shutdown()`.
    Shutdown(Shutdown),
    /// A reset, as `close()` after `SO_LINGER` with time 0.
    Abort,
    /// `setsockopt()`.
    SetOption(SockOpt),
    /// A UDP socket at this port.
    Bind {
        /// The port.
        port: u16,
    },
    /// `sendto()` on a UDP socket.
    SendTo {
        /// To where.
        to: Target,
        /// What.
        data: Data,
    },
    /// `recvfrom()` on a UDP socket.
    RecvFrom,
    /// Power is cut: all state is lost, nothing is sent.
    Crash,
    /// Power is back, with fresh state.
    Reboot {
        /// How long TCP keeps quiet (RFC 9293 3.4.3).
        quiet: Span,
    },
    /// The process that owns the sockets dies; the system closes them.
    Kill,
    /// The host stands still.
    Pause,
    /// It goes on.
    Resume,
    /// Its clock goes faster by so many millionths; negative is slower.
    Skew {
        /// Millionths.
        ppm: i32,
    },
    /// The link carries nothing.
    Partition(LinkEnds),
    /// The link carries everything again.
    Heal(LinkEnds),
    /// The link carries nothing for a while, and both ends see it go down and up.
    Flap {
        /// Which.
        link: LinkEnds,
        /// For how long.
        down: Span,
    },
    /// What a fault holds goes on.
    Release {
        /// The name of the fault.
        fault: Spanned<String>,
    },
    /// A packet enters the network that no stack sent.
    Inject(Injection),
}

/// What a server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// `sink`: reads everything, closes at the end of the stream.
    Sink,
    /// `echo`: sends back what it reads, closes at the end of the stream.
    Echo,
    /// `source`: sends so many bytes and closes.
    Source {
        /// How many.
        bytes: u64,
    },
    /// `request-response`: answers each request, closes at the end of the stream.
    RequestResponse {
        /// Bytes of a request.
        request: u64,
        /// Bytes of an answer.
        response: u64,
    },
    /// `idle`: accepts, and never reads or closes.
    Idle,
    /// `acceptor`: accepts and reads, and never closes: the script does, through `NAME.peer`.
    Acceptor,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `server:80`: the host's address of the run's IP version.
    Host {
        /// The host.
        host: Spanned<String>,
        /// The port, not 0.
        port: u16,
    },
    /// `192.0.2.1:80`, `[2001:db8::1]:80`.
    Addr(SocketAddr),
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// `data = "hello"`.
    Text(String),
    /// `bytes = "100KB"`: this many, each the value `fill`, or without it a pattern in which no stretch repeats.
    Bytes {
        /// How many.
        len: u64,
        /// The value of each.
        fill: Option<u8>,
    },
}

impl Data {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Data::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Data::Bytes { len, .. } => *len,
        }
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A packet that no stack sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injection {
    /// `segment = "server > client R 1:1(0)"`, its numbers relative to the connection `conn`.
    Segment {
        /// The connection it aims at.
        conn: Spanned<String>,
        /// The segment, with its whole notation.
        segment: Box<SegmentPattern>,
        /// The bytes it carries; where there are too few, zeros.
        data: Option<String>,
    },
    /// `packet = "client > server #3"`: a packet that was sent before, once more.
    Packet(PacketName),
}

/// What `on` must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Host,
    Socket,
    /// A host may be named.
    AnyHost,
    Network,
}

/// A verb and what it says about the rest of its step.
pub(super) struct ReadVerb {
    /// `None` where a mistake in it was noted.
    pub(super) verb: Option<Verb>,
    pub(super) place: Place,
    pub(super) makes_socket: bool,
    pub(super) gives_data: bool,
}

type Reader = fn(&mut Fields<'_>) -> Option<Verb>;

/// Every verb: its name, what it is done on, its own keys.
const VERBS: [(&str, Place, Reader); 24] = [
    ("serve", Place::Host, serve),
    ("listen", Place::Host, |f| Some(Verb::Listen { port: port(f, "port")?, backlog: backlog(f) })),
    ("accept", Place::Host, |f| Some(Verb::Accept { port: port(f, "port")? })),
    ("connect", Place::Host, connect),
    ("send", Place::Socket, send),
    ("recv", Place::Socket, recv),
    ("close", Place::Socket, |_| Some(Verb::Close)),
    ("shutdown", Place::Socket, shutdown),
    ("abort", Place::Socket, |_| Some(Verb::Abort)),
    ("set-option", Place::Socket, |f| set_option(f).map(Verb::SetOption)),
    ("bind", Place::Host, |f| Some(Verb::Bind { port: port(f, "port")? })),
    ("sendto", Place::Socket, |f| {
        let (to, data) = (f.need("to"), data(f));
        Some(Verb::SendTo { to: to?, data: data? })
    }),
    ("recvfrom", Place::Socket, |_| Some(Verb::RecvFrom)),
    ("crash", Place::Host, |_| Some(Verb::Crash)),
    ("reboot", Place::Host, |f| Some(Verb::Reboot { quiet: f.or("quiet", Span::ZERO) })),
    ("kill", Place::Host, |_| Some(Verb::Kill)),
    ("pause", Place::Host, |_| Some(Verb::Pause)),
    ("resume", Place::Host, |_| Some(Verb::Resume)),
    ("skew", Place::Host, |f| f.need::<Skew>("by").map(|skew| Verb::Skew { ppm: skew.0 })),
    ("partition", Place::Network, |f| f.need("link").map(Verb::Partition)),
    ("heal", Place::Network, |f| f.need("link").map(Verb::Heal)),
    ("flap", Place::Network, |f| {
        let (link, down) = (f.need("link"), f.need("for"));
        Some(Verb::Flap { link: link?, down: down? })
    }),
    ("release", Place::Network, |f| f.need_name("fault", Kind::Fault).map(|fault| Verb::Release { fault })),
    ("inject", Place::AnyHost, inject),
];

/// The verbs that can stand in a `[[fault]]`, because they happen to hosts and links rather than sockets.
pub(super) const TIMED: [&str; 10] =
    ["crash", "reboot", "kill", "pause", "resume", "skew", "partition", "heal", "flap", "release"];

/// Reads `do` and the keys that go with it; `None` where the verb is missing or unknown.
pub(super) fn read_verb(fields: &mut Fields<'_>) -> Option<ReadVerb> {
    let Some(node) = fields.node("do") else {
        fields.missing("`do`");
        return None;
    };
    let name = fields.sink.text(node, "the name of a verb, like `\"connect\"`")?;
    let Some((name, place, reader)) = VERBS.iter().find(|(verb, ..)| *verb == name) else {
        let known = VERBS.iter().map(|(verb, ..)| (*verb).to_owned()).collect();
        fields.sink.at(node, Fact::UnknownName { kind: Kind::Verb, name: name.to_owned(), known });
        return None;
    };
    fields.rename(format!("`{name}`"));
    Some(ReadVerb {
        verb: reader(fields),
        place: *place,
        makes_socket: ["listen", "accept", "connect", "bind"].contains(name),
        gives_data: ["recv", "recvfrom"].contains(name),
    })
}

fn port(fields: &mut Fields<'_>, key: &'static str) -> Option<u16> {
    fields.need::<Port>(key).map(|port| port.0)
}

/// A port, not 0.
pub(super) struct Port(pub(super) u16);

impl Decode for Port {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Port> {
        const EXPECTED: &str = "a port from 1 to 65535";
        match node.value {
            Value::Int(n) => match u16::try_from(n) {
                Ok(port) if port > 0 => Some(Port(port)),
                _ => sink.bad(node, EXPECTED),
            },
            _ => sink.wrong_type(node, EXPECTED),
        }
    }
}

fn backlog(fields: &mut Fields<'_>) -> u32 {
    fields.or("backlog", 128)
}

fn serve(fields: &mut Fields<'_>) -> Option<Verb> {
    const APPS: [&str; 6] = ["sink", "echo", "source", "request-response", "idle", "acceptor"];
    let (port, backlog) = (port(fields, "port"), backlog(fields));
    if !fields.has("app") {
        fields.missing("`app`");
    }
    let node = fields.node("app")?;
    let name = fields.sink.word(node, "application", &APPS.map(|app| (app, app)))?;
    let app = match name {
        "sink" => App::Sink,
        "echo" => App::Echo,
        "source" => App::Source { bytes: fields.need::<Size>("bytes")?.0 },
        "request-response" => {
            App::RequestResponse { request: size(fields, "request", 100), response: size(fields, "response", 1_000) }
        }
        "idle" => App::Idle,
        _ => App::Acceptor,
    };
    Some(Verb::Serve { port: port?, backlog, app })
}

pub(super) fn size(fields: &mut Fields<'_>, key: &'static str, default: u64) -> u64 {
    fields.get::<Size>(key).map_or(default, |size| size.0)
}

fn connect(fields: &mut Fields<'_>) -> Option<Verb> {
    let to = fields.need("to");
    let from = fields.get::<Port>("from").map(|port| port.0);
    let reuse_addr = fields.or("reuseaddr", false);
    Some(Verb::Connect { to: to?, from, reuse_addr })
}

fn send(fields: &mut Fields<'_>) -> Option<Verb> {
    let data = data(fields);
    let (more, urgent) = (fields.or("more", false), fields.or("urgent", false));
    Some(Verb::Send { data: data?, more, urgent })
}

/// `data`, or `bytes` and `fill`.
fn data(fields: &mut Fields<'_>) -> Option<Data> {
    match fields.one_of(&["data", "bytes"]) {
        Some("data") => fields.get("data").map(Data::Text),
        Some(_) => {
            let fill = fields.get("fill");
            fields.get::<Size>("bytes").map(|size| Data::Bytes { len: size.0, fill })
        }
        None => {
            fields.missing("`data` or `bytes`");
            None
        }
    }
}

fn recv(fields: &mut Fields<'_>) -> Option<Verb> {
    match fields.one_of(&["max", "bytes"]) {
        Some("bytes") => fields.get::<Size>("bytes").map(|size| Verb::Recv { max: size.0, all: true }),
        _ => Some(Verb::Recv { max: size(fields, "max", 65_536), all: false }),
    }
}

fn shutdown(fields: &mut Fields<'_>) -> Option<Verb> {
    let Some(node) = fields.node("how") else { return Some(Verb::Shutdown(Shutdown::Write)) };
    let words = [("read", Shutdown::Read), ("write", Shutdown::Write), ("both", Shutdown::Both)];
    fields.sink.word(node, "half of a connection", &words).map(Verb::Shutdown)
}

fn inject(fields: &mut Fields<'_>) -> Option<Verb> {
    match fields.one_of(&["segment", "packet"]) {
        Some("packet") => fields.get("packet").map(|packet| Verb::Inject(Injection::Packet(packet))),
        Some(_) => {
            let conn = fields.need_name("conn", Kind::Socket);
            let data: Option<String> = fields.get("data");
            let node = fields.node("segment")?;
            let segment = SegmentPattern::decode(node, fields.sink)?;
            if segment.text.is_none() {
                return fields.sink.bad(node, "a whole segment, like `\"server > client R 1:1(0)\"`");
            }
            Some(Verb::Inject(Injection::Segment { conn: conn?, segment: Box::new(segment), data }))
        }
        None => {
            fields.missing("`segment` or `packet`");
            None
        }
    }
}

impl Decode for Target {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Target> {
        const EXPECTED: &str = "a host and a port from 1 to 65535, like `\"server:80\"`";
        let text = sink.text(node, EXPECTED)?;
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() > 0 { Some(Target::Addr(addr)) } else { sink.bad(node, EXPECTED) };
        }
        let super::condition::HostPort { host, port } = Decode::decode(node, sink)?;
        Some(Target::Host { host, port })
    }
}

/// `option = "SO_KEEPALIVE"` with its `value`.
fn set_option(fields: &mut Fields<'_>) -> Option<SockOpt> {
    const OFF: Span = Span::ZERO;
    const OPTIONS: [SockOpt; 20] = [
        SockOpt::ReuseAddr(true),
        SockOpt::ReusePort(true),
        SockOpt::ExclusiveAddrUse(true),
        SockOpt::KeepAlive(true),
        SockOpt::Linger(None),
        SockOpt::SendBuffer(0),
        SockOpt::ReceiveBuffer(0),
        SockOpt::OobInline(true),
        SockOpt::V6Only(true),
        SockOpt::NoDelay(true),
        SockOpt::Cork(true),
        SockOpt::MaxSeg(0),
        SockOpt::SynCount(0),
        SockOpt::UserTimeout(OFF),
        SockOpt::KeepIdle(OFF),
        SockOpt::KeepInterval(OFF),
        SockOpt::KeepCount(0),
        SockOpt::Linger2(None),
        SockOpt::DeferAccept(OFF),
        SockOpt::QuickAck(true),
    ];
    if !fields.has("option") {
        fields.missing("`option`");
    }
    fields.knows(&["value"]);
    let node = fields.node("option")?;
    let option = fields.sink.word(node, "socket option", &OPTIONS.map(|option| (option.name(), option)))?;
    Some(match option {
        SockOpt::ReuseAddr(_) => SockOpt::ReuseAddr(fields.need("value")?),
        SockOpt::ReusePort(_) => SockOpt::ReusePort(fields.need("value")?),
        SockOpt::ExclusiveAddrUse(_) => SockOpt::ExclusiveAddrUse(fields.need("value")?),
        SockOpt::KeepAlive(_) => SockOpt::KeepAlive(fields.need("value")?),
        SockOpt::Linger(_) => SockOpt::Linger(span_or_off(fields)?),
        SockOpt::SendBuffer(_) => SockOpt::SendBuffer(buffer(fields)?),
        SockOpt::ReceiveBuffer(_) => SockOpt::ReceiveBuffer(buffer(fields)?),
        SockOpt::OobInline(_) => SockOpt::OobInline(fields.need("value")?),
        SockOpt::V6Only(_) => SockOpt::V6Only(fields.need("value")?),
        SockOpt::NoDelay(_) => SockOpt::NoDelay(fields.need("value")?),
        SockOpt::Cork(_) => SockOpt::Cork(fields.need("value")?),
        SockOpt::MaxSeg(_) => SockOpt::MaxSeg(fields.need("value")?),
        SockOpt::SynCount(_) => SockOpt::SynCount(fields.need("value")?),
        SockOpt::UserTimeout(_) => SockOpt::UserTimeout(fields.need("value")?),
        SockOpt::KeepIdle(_) => SockOpt::KeepIdle(fields.need("value")?),
        SockOpt::KeepInterval(_) => SockOpt::KeepInterval(fields.need("value")?),
        SockOpt::KeepCount(_) => SockOpt::KeepCount(fields.need("value")?),
        SockOpt::Linger2(_) => SockOpt::Linger2(span_or_off(fields)?),
        SockOpt::DeferAccept(_) => SockOpt::DeferAccept(fields.need("value")?),
        SockOpt::QuickAck(_) => SockOpt::QuickAck(fields.need("value")?),
        // Scenario files do not name these.
        SockOpt::Error(_)
        | SockOpt::NotSentLowat(_)
        | SockOpt::Inq(_)
        | SockOpt::FastOpen(_)
        | SockOpt::FastOpenConnect(_)
        | SockOpt::FastOpenNoCookie(_)
        | SockOpt::FastOpenKey(_)
        | SockOpt::Congestion(_)
        | SockOpt::MaxPacingRate(_)
        | SockOpt::ReceiveLowat(_)
        | SockOpt::Tos(_)
        | SockOpt::Ttl(_)
        | SockOpt::MtuDiscover(_) => return None,
    })
}

fn buffer(fields: &mut Fields<'_>) -> Option<u32> {
    fields.need::<Size>("value").and_then(|size| u32::try_from(size.0).ok())
}

/// A time, or `"off"`.
fn span_or_off(fields: &mut Fields<'_>) -> Option<Option<Span>> {
    match fields.node("value").and_then(Node::text) {
        Some("off") => Some(None),
        _ => fields.need("value").map(Some),
    }
}
