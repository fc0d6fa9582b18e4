//! `[expect]`: what must come out.

use super::condition::{HostPort, SegmentPattern};
use super::decode::{Decode, Fields, Sink, Spanned, state, states};
use super::error::{Fact, Kind};
use super::fault::PacketRef;
use super::quantity::{Compare, bytes};
use super::script::{Outcome, outcome};
use super::tree::{Node, Table, Value};
use crate::endpoint::{DropReason, Errno, State};
use crate::time::{SimTime, Span};

/// Everything a sim expects besides the results of its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// The states of connections, all run long.
    pub always: Vec<StatePath>,
    /// The first segments of the run, exactly these in this order, until the end of the list.
    pub segments: Vec<SegmentPattern>,
    /// What is looked at once.
    pub at: Vec<Check>,
    /// The oracles that must fire, and no others.
    pub violates: Vec<Violation>,
}

/// `state = "client c1", path = "CLOSED SYN-SENT ESTABLISHED"`: these states and no others, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePath {
    /// On which host.
    pub host: Spanned<String>,
    /// The connection: the name of the step that opened it.
    pub conn: Spanned<String>,
    /// The states.
    pub path: Vec<State>,
}

/// One thing looked at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// When; what happens at the same instant has happened.
    pub time: Moment,
    /// What.
    pub what: What,
}

/// When something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At this instant.
    At(SimTime),
    /// When nothing happens any more.
    End,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// `netstat = "server", LISTEN = 1`: a host's connections by state; a state that is not listed has none.
    Netstat {
        /// The host.
        host: Spanned<String>,
        /// How many are in each state.
        counts: Vec<(State, Compare<u64>)>,
    },
    /// `queue = "server:80", syn = 8, accept = 0`: the queues of a listener.
    Queue {
        /// Which listener.
        listener: HostPort,
        /// Half-open connections.
        syn: Option<Compare<u64>>,
        /// Connections that wait for `accept`.
        accept: Option<Compare<u64>>,
    },
    /// `load = "shop", ok = 0, of = 20, error = "ETIMEDOUT"`: how a load fared.
    Load {
        /// Which.
        load: Spanned<String>,
        /// How many succeeded.
        ok: Option<Compare<u64>>,
        /// How many there were.
        of: Option<Compare<u64>>,
        /// The error of all that failed.
        error: Option<Errno>,
    },
    /// `counter = "server", TcpExt.ListenDrops = "> 0"`: a host's counters.
    Counter {
        /// The host.
        host: Spanned<String>,
        /// By whole name.
        counts: Vec<(Spanned<String>, Compare<u64>)>,
    },
    /// `stream = "c2.peer", received = "new!"`: everything a socket has received.
    Stream {
        /// The socket.
        socket: Spanned<String>,
        /// What it received.
        received: Received,
    },
    /// `dropped = "held", why = "PAWS"`: a packet arrived and was not taken.
    Dropped {
        /// Which.
        packet: PacketRef,
        /// Why.
        why: Option<DropReason>,
    },
    /// `fate = "held", is = "expired"`: what the network did with a packet.
    Fate {
        /// Which.
        packet: PacketRef,
        /// What.
        is: FateWord,
    },
    /// `segment = "server > client R", count = 1`: how many such segments were sent.
    Segment {
        /// Which.
        pattern: SegmentPattern,
        /// How many.
        count: Compare<u64>,
    },
    /// `step = "c1", result = 0, took = "40ms"`: what a step has returned.
    Step {
        /// Which.
        step: Spanned<String>,
        /// Its result.
        result: Option<Outcome>,
        /// How long it took.
        took: Option<Compare<Span>>,
    },
    /// `unread = "c1.peer", bytes = 0`: what waits in a socket to be read.
    Unread {
        /// The socket.
        socket: Spanned<String>,
        /// How many bytes.
        bytes: Compare<u64>,
    },
    /// `elapsed = "<= 300s"`: how much time has passed.
    Elapsed(Compare<Span>),
}

/// What a socket received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// `received = "hello"`: exactly this.
    Text(String),
    /// `bytes = 100_000`: so much, whatever it is.
    Bytes(Compare<u64>),
    /// `all = "c1"`: exactly what was written to that socket.
    All(Spanned<String>),
}

/// What the network did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FateWord {
    /// It arrived.
    Delivered,
    /// An impairment or a fault lost it.
    Lost,
    /// It arrived with a bit flipped.
    Corrupted,
    /// It arrived twice.
    Duplicated,
    /// It outlived the lifetime of the link.
    Expired,
    /// The queue was full.
    QueueFull,
    /// It was larger than the MTU.
    TooBig,
    /// Nobody owns its address.
    NoHost,
    /// Its address lies in a prefix where packets vanish.
    Blackhole,
    /// Its address lies in a prefix that is answered by ICMP.
    Unreachable,
    /// The link was down or cut.
    LinkDown,
    /// It is still held.
    Held,
}

impl FateWord {
    /// Every word with its fate.
    pub const ALL: [(&str, FateWord); 12] = [
        ("delivered", FateWord::Delivered),
        ("lost", FateWord::Lost),
        ("corrupted", FateWord::Corrupted),
        ("duplicated", FateWord::Duplicated),
        ("expired", FateWord::Expired),
        ("queue full", FateWord::QueueFull),
        ("too big", FateWord::TooBig),
        ("no host", FateWord::NoHost),
        ("blackhole", FateWord::Blackhole),
        ("unreachable", FateWord::Unreachable),
        ("link down", FateWord::LinkDown),
        ("held", FateWord::Held),
    ];
}

/// `oracle = "stream-integrity", at = "90.120s", packet = "held"`: an oracle that must fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which oracle. Which there are, the builder knows.
    pub oracle: Spanned<String>,
    /// When.
    pub at: Option<SimTime>,
    /// On which packet.
    pub packet: Option<PacketRef>,
}

impl Decode for Expect {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Expect> {
        let mut fields = Fields::of(node, "`[expect]`", sink)?;
        let expect = Expect {
            always: fields.or("always", Vec::new()),
            segments: fields.or("segments", Vec::new()),
            at: fields.or("at", Vec::new()),
            violates: fields.or("violates", Vec::new()),
        };
        fields.finish();
        if let Some(Value::List(list)) = node.table().and_then(|table| table.get("segments")).map(|node| &node.value) {
            for (pattern, node) in expect.segments.iter().zip(list) {
                if pattern.text.is_none() {
                    sink.bad::<()>(node, "a whole segment, like `\"client > server S 0:0(0)\"`");
                }
            }
        }
        Some(expect)
    }
}

impl Decode for StatePath {
    fn decode(node: &Node, sink: &mut Sink) -> Option<StatePath> {
        let mut fields = Fields::of(node, "a path of states", sink)?;
        if !fields.has("state") {
            fields.missing("`state`, a host and a connection");
        }
        let ends = fields.node("state").and_then(|node| {
            const EXPECTED: &str = "a host and a connection, like `\"client c1\"`";
            let text = fields.sink.text(node, EXPECTED)?;
            match text.split_once(' ') {
                Some((host, conn)) => {
                    let host = fields.sink.uses(Kind::Host, host, node);
                    Some((host, fields.sink.uses(Kind::Socket, conn.trim(), node)))
                }
                None => fields.sink.bad(node, EXPECTED),
            }
        });
        if !fields.has("path") {
            fields.missing("`path`");
        }
        let path = fields.node("path").and_then(|node| {
            let text = fields.sink.text(node, "states, like `\"CLOSED SYN-SENT ESTABLISHED\"`")?;
            text.split_whitespace().map(|name| state(node, name, fields.sink)).collect::<Option<Vec<_>>>()
        });
        fields.finish();
        let (host, conn) = ends?;
        Some(StatePath { host, conn, path: path? })
    }
}

impl Decode for SimTime {
    fn decode(node: &Node, sink: &mut Sink) -> Option<SimTime> {
        Span::decode(node, sink).map(|span| SimTime::ZERO + span)
    }
}

impl Decode for Moment {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Moment> {
        if node.text() == Some("end") { Some(Moment::End) } else { SimTime::decode(node, sink).map(Moment::At) }
    }
}

const WHAT: [&str; 11] =
    ["netstat", "queue", "load", "counter", "stream", "dropped", "fate", "segment", "step", "unread", "elapsed"];

impl Decode for Check {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Check> {
        let mut fields = Fields::of(node, "an expectation", sink)?;
        let time = fields.need("time");
        let Some(key) = fields.one_of(&WHAT) else {
            let unknown = fields.rest().next().is_some();
            if unknown {
                fields.finish();
            } else {
                fields.missing(&format!("one of {}", WHAT.map(|word| format!("`{word}`")).join(", ")));
            }
            return None;
        };
        fields.rename(format!("the expectation `{key}`"));
        let what = match key {
            "netstat" => return netstat(fields).and_then(|what| Some(Check { time: time?, what })),
            "counter" => return counter(fields).and_then(|what| Some(Check { time: time?, what })),
            "queue" => queue(&mut fields),
            "load" => load(&mut fields),
            "stream" => stream(&mut fields),
            "dropped" => {
                let (packet, why) = (fields.need("dropped"), fields.get("why"));
                packet.map(|packet| What::Dropped { packet, why })
            }
            "fate" => fate(&mut fields),
            "segment" => {
                let (pattern, count) = (fields.need("segment"), fields.need("count"));
                pattern.zip(count).map(|(pattern, count)| What::Segment { pattern, count })
            }
            "step" => step(&mut fields),
            "unread" => {
                let (socket, bytes) = (fields.need_name("unread", Kind::Socket), fields.need("bytes"));
                socket.zip(bytes).map(|(socket, bytes)| What::Unread { socket, bytes })
            }
            _ => fields.need("elapsed").map(What::Elapsed),
        };
        fields.finish();
        Some(Check { time: time?, what: what? })
    }
}

fn netstat(mut fields: Fields<'_>) -> Option<What> {
    let host = fields.need_name("netstat", Kind::Host);
    let mut counts = Vec::new();
    let rest: Vec<_> = fields.rest().collect();
    for entry in rest {
        let Some(state) = State::from_name(&entry.key) else {
            let of = "the expectation `netstat`".to_owned();
            fields.sink.place(entry.span.clone(), Fact::UnknownKey { key: entry.key.clone(), of, known: states() });
            continue;
        };
        if let Some(count) = Compare::decode(&entry.node, fields.sink) {
            counts.push((state, count));
        }
    }
    host.map(|host| What::Netstat { host, counts })
}

fn counter(mut fields: Fields<'_>) -> Option<What> {
    let host = fields.need_name("counter", Kind::Host);
    let rest = Table { entries: fields.rest().cloned().collect() };
    if rest.entries.is_empty() {
        fields.missing("a counter, like `TcpExt.ListenDrops = \"> 0\"`");
    }
    let mut counts = Vec::new();
    read_counters("", &rest, &mut counts, fields.sink);
    host.map(|host| What::Counter { host, counts })
}

/// Names with dots are tables in tables.
fn read_counters(prefix: &str, table: &Table, into: &mut Vec<(Spanned<String>, Compare<u64>)>, sink: &mut Sink) {
    for entry in &table.entries {
        let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        if let Value::Table(table) = &entry.node.value {
            read_counters(&name, table, into, sink);
        } else if let Some(count) = Compare::decode(&entry.node, sink) {
            into.push((Spanned::new(name, entry.span.clone()), count));
        }
    }
}

fn queue(fields: &mut Fields<'_>) -> Option<What> {
    let (listener, syn, accept) = (fields.need("queue"), fields.get("syn"), fields.get("accept"));
    if !fields.has("syn") && !fields.has("accept") {
        fields.missing("`syn` or `accept`");
    }
    listener.map(|listener| What::Queue { listener, syn, accept })
}

fn load(fields: &mut Fields<'_>) -> Option<What> {
    let load = fields.need_name("load", Kind::Load);
    let (ok, of, error) = (fields.get("ok"), fields.get("of"), fields.get("error"));
    if ["ok", "of", "error"].iter().all(|key| !fields.has(key)) {
        fields.missing("one of `ok`, `of` and `error`");
    }
    load.map(|load| What::Load { load, ok, of, error })
}

fn stream(fields: &mut Fields<'_>) -> Option<What> {
    let socket = fields.need_name("stream", Kind::Socket);
    let received = match fields.one_of(&["received", "bytes", "all"]) {
        Some("received") => fields.get("received").map(Received::Text),
        Some("bytes") => amount(fields).map(Received::Bytes),
        Some(_) => fields.name("all", Kind::Socket).map(Received::All),
        None => {
            fields.missing("one of `received`, `bytes` and `all`");
            None
        }
    };
    socket.zip(received).map(|(socket, received)| What::Stream { socket, received })
}

/// A comparison, or an amount with its unit.
fn amount(fields: &mut Fields<'_>) -> Option<Compare<u64>> {
    match fields.node("bytes").and_then(Node::text).and_then(bytes) {
        Some(bytes) => Some(Compare::exactly(bytes)),
        None => fields.get("bytes"),
    }
}

fn fate(fields: &mut Fields<'_>) -> Option<What> {
    let packet = fields.need("fate");
    if !fields.has("is") {
        fields.missing("`is`");
    }
    let node = fields.node("is")?;
    let is = fields.sink.word(node, "fate", &FateWord::ALL)?;
    packet.map(|packet| What::Fate { packet, is })
}

fn step(fields: &mut Fields<'_>) -> Option<What> {
    let step = fields.need_name("step", Kind::Step);
    let result = fields.node("result").and_then(|node| outcome(node, true, fields.sink));
    let took = fields.get("took");
    if !fields.has("result") && !fields.has("took") {
        fields.missing("`result` or `took`");
    }
    step.map(|step| What::Step { step, result, took })
}

impl Decode for Violation {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Violation> {
        let mut fields = Fields::of(node, "a violation", sink)?;
        let (oracle, at, packet) = (fields.need("oracle"), fields.get("at"), fields.get("packet"));
        fields.finish();
        Some(Violation { oracle: oracle?, at, packet })
    }
}
