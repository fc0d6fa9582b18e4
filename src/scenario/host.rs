//! `[hosts]`: who takes part.

use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::limit;
use super::tree::{Node, Table, Value};
use crate::time::Span;
use std::net::IpAddr;
use std::ops::Range;

/// One host, a group of equal hosts, or a middlebox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name; the members of a group are `name.1` … `name.count`.
    pub name: Spanned<String>,
    /// How many there are, for a group.
    pub count: Option<u32>,
    /// Its addresses, where they do not follow from the name.
    pub addrs: Vec<IpAddr>,
    /// What it is.
    pub nature: Nature,
    /// How much faster its clock goes than the run's, in millionths; negative is slower.
    pub skew_ppm: i32,
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A host with sockets.
    Profile {
        /// The name of the profile. Which there are, the builder knows.
        profile: Spanned<String>,
        /// In the order of the file.
        sysctls: Vec<Sysctl>,
        /// Settings no real system has.
        teaching: Teaching,
        /// How its kernel was built.
        kernel: Kernel,
    },
    /// `stack = "none"`: sends what it is told and answers nothing.
    Mute,
    /// `middlebox = "…"`: forwards between its links.
    Middlebox(Middlebox),
}

/// `net.ipv4.tcp_fin_timeout = 30`, its value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// The whole name with its dots.
    pub name: Spanned<String>,
    /// The value as `sysctl.conf` has it.
    pub value: Spanned<String>,
}

/// How a kernel was built: of profiles with Linux's timers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `hz = 250`: ticks a second; else 1000.
    pub hz: Option<Spanned<u32>>,
    /// `timers = "wheel"`: whether its timers fire at the end of a bucket of its wheel, not at their tick.
    pub wheel: Option<Spanned<bool>>,
}

/// Settings that no real system has, by name; what is not set is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teaching {
    /// How long TIME-WAIT lasts.
    pub time_wait: Option<Span>,
    /// How initial sequence numbers are chosen: `constant`, `clock` or `rfc6528`.
    pub isn: Option<Isn>,
    /// `handshake = "two-way"`: the server takes a connection for open when it has sent its SYN-ACK.
    pub two_way_handshake: bool,
    /// `syn_queue = "none"`: a SYN goes to the accept queue at once.
    pub no_syn_queue: bool,
}

impl Teaching {
    /// Each setting as a trace shows it: `time_wait = 0s`.
    pub fn settings(&self) -> Vec<String> {
        let isn = self.isn.map(|isn| match isn {
            Isn::Constant => "isn = constant",
            Isn::Clock => "isn = clock",
            Isn::Rfc6528 => "isn = rfc6528",
        });
        let time_wait = self.time_wait.map(|span| format!("time_wait = {span}"));
        let handshake = self.two_way_handshake.then(|| "handshake = two-way".to_owned());
        let syn_queue = self.no_syn_queue.then(|| "syn_queue = none".to_owned());
        [time_wait, isn.map(str::to_owned), handshake, syn_queue].into_iter().flatten().collect()
    }
}

/// How a host chooses initial sequence numbers when taught to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isn {
    /// Always the same.
    Constant,
    /// A clock that ticks every 4 microseconds (RFC 9293 3.4.1).
    Clock,
    /// The clock and a hash of the connection's ends (RFC 6528).
    Rfc6528,
}

/// A box between links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Middlebox {
    /// Forwards, and counts the TTL down.
    Router,
    /// Forwards and translates the addresses of the hosts inside.
    Nat {
        /// The hosts behind it.
        inside: Vec<Spanned<String>>,
        /// How long it remembers a connection on which nothing moves.
        idle: Option<Span>,
        /// How many connections it remembers.
        limit: Option<u32>,
        /// What a packet without a mapping gets.
        refuse: Refusal,
    },
    /// Forwards what belongs to a connection that began inside.
    Firewall {
        /// The hosts behind it.
        inside: Vec<Spanned<String>>,
        /// How long it remembers a connection on which nothing moves.
        idle: Option<Span>,
        /// How many connections it remembers.
        limit: Option<u32>,
        /// What a packet without a connection gets.
        refuse: Refusal,
    },
}

/// What a middlebox does with a packet it does not forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing.
    #[default]
    Silence,
    /// A reset to the sender.
    Rst,
}

/// Reads `[hosts]`.
pub(super) fn hosts(node: &Node, sink: &mut Sink) -> Vec<Host> {
    let Some(table) = node.table() else {
        sink.wrong_type::<()>(node, "a table of hosts by name");
        return Vec::new();
    };
    let mut hosts = Vec::new();
    let mut total = 0;
    for entry in &table.entries {
        sink.gives(Kind::Host, &entry.key, entry.span.clone());
        let Some(host) = host(&entry.key, entry.span.clone(), &entry.node, sink) else { continue };
        let before = total;
        total += u64::from(host.count.unwrap_or(1));
        if before <= limit::HOSTS && total > limit::HOSTS {
            let at = entry.node.table().and_then(|table| table.get("count")).unwrap_or(&entry.node);
            let max = limit::HOSTS.to_string();
            sink.at(at, Fact::TooMuch { what: "the number of hosts", found: total.to_string(), max });
        }
        hosts.push(host);
    }
    hosts
}

fn host(name: &str, span: Range<usize>, node: &Node, sink: &mut Sink) -> Option<Host> {
    let mut fields = Fields::of(node, format!("host `{name}`"), sink)?;
    let kind = fields.one_of(&["profile", "stack", "middlebox"]);
    let count: Option<u32> = fields.get("count");
    if count == Some(0) {
        let node = fields.node("count")?;
        fields.sink.bad::<()>(node, "at least 1");
    }
    let addrs = match fields.node("addr") {
        Some(node) => one_or_more(node, fields.sink),
        None => Vec::new(),
    };
    let skew_ppm = fields.get::<Skew>("skew").map_or(0, |skew| skew.0);
    let nature = match kind {
        Some("profile") => profile(&mut fields),
        Some("stack") => {
            let node = fields.node("stack")?;
            fields.sink.word(node, "stack", &[("none", ())]).map(|()| Nature::Mute)
        }
        Some(_) => middlebox(&mut fields).map(Nature::Middlebox),
        None => {
            fields.knows(&["sysctl", "teaching", "hz", "timers"]);
            fields.missing("one of `profile`, `stack` and `middlebox`");
            None
        }
    };
    fields.finish();
    Some(Host { name: Spanned::new(name.to_owned(), span), count, addrs, nature: nature?, skew_ppm })
}

fn profile(fields: &mut Fields<'_>) -> Option<Nature> {
    let profile = fields.get("profile");
    let mut sysctls = Vec::new();
    if let Some(node) = fields.node("sysctl") {
        match node.table() {
            Some(table) => read_sysctls("", table, &mut sysctls, fields.sink),
            None => fields.sink.wrong_type(node, "a table of sysctls by name").unwrap_or_default(),
        }
    }
    let teaching = fields.or("teaching", Teaching::default());
    let kernel = kernel(fields);
    Some(Nature::Profile { profile: profile?, sysctls, teaching, kernel })
}

/// `CONFIG_HZ` is one of four.
const HZ: [u32; 4] = [100, 250, 300, 1_000];

fn kernel(fields: &mut Fields<'_>) -> Kernel {
    let hz = fields.node("hz").and_then(|node| match u32::decode(node, fields.sink) {
        Some(hz) if HZ.contains(&hz) => Some(Spanned::new(hz, node.span.clone())),
        Some(_) => fields.sink.bad(node, "100, 250, 300 or 1000 ticks a second"),
        None => None,
    });
    let wheel = fields.node("timers").and_then(|node| {
        let wheel = fields.sink.word(node, "kind of timers", &[("exact", false), ("wheel", true)])?;
        Some(Spanned::new(wheel, node.span.clone()))
    });
    Kernel { hz, wheel }
}

/// Names with dots are tables in tables.
fn read_sysctls(prefix: &str, table: &Table, into: &mut Vec<Sysctl>, sink: &mut Sink) {
    for entry in &table.entries {
        let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        match &entry.node.value {
            Value::Table(table) => read_sysctls(&name, table, into, sink),
            Value::List(_) => sink.wrong_type(&entry.node, "the value of a sysctl").unwrap_or_default(),
            Value::Bool(on) => {
                let value = Spanned::new(u8::from(*on).to_string(), entry.node.span.clone());
                into.push(Sysctl { name: Spanned::new(name, entry.span.clone()), value });
            }
            Value::Int(_) | Value::Text(_) => {
                let value = Spanned::new(entry.node.shown(), entry.node.span.clone());
                into.push(Sysctl { name: Spanned::new(name, entry.span.clone()), value });
            }
        }
    }
}

impl Decode for Teaching {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Teaching> {
        let mut fields = Fields::of(node, "`teaching`", sink)?;
        let time_wait = fields.get("time_wait");
        let isn = fields.node("isn").and_then(|node| {
            let words = [("constant", Isn::Constant), ("clock", Isn::Clock), ("rfc6528", Isn::Rfc6528)];
            fields.sink.word(node, "way to choose ISNs", &words)
        });
        let mut switch = |key, what, words: &[(&str, bool)]| {
            fields.node(key).and_then(|node| fields.sink.word(node, what, words)).unwrap_or(false)
        };
        let two_way_handshake = switch("handshake", "handshake", &[("two-way", true), ("three-way", false)]);
        let no_syn_queue = switch("syn_queue", "SYN queue", &[("none", true), ("normal", false)]);
        fields.finish();
        Some(Teaching { time_wait, isn, two_way_handshake, no_syn_queue })
    }
}

fn middlebox(fields: &mut Fields<'_>) -> Option<Middlebox> {
    let node = fields.node("middlebox")?;
    let kind = fields.sink.word(node, "middlebox", &[("router", 0), ("nat", 1), ("firewall", 2)])?;
    if kind == 0 {
        fields.rename("a router".to_owned());
        return Some(Middlebox::Router);
    }
    let inside = match fields.node("inside") {
        Some(node) => names(node, Kind::Host, fields.sink),
        None => {
            fields.missing("`inside`, the hosts behind it");
            Vec::new()
        }
    };
    let (idle, limit) = (fields.get("idle"), fields.get("limit"));
    let refuse = fields
        .node("refuse")
        .and_then(|node| fields.sink.word(node, "refusal", &[("silence", Refusal::Silence), ("rst", Refusal::Rst)]));
    let refuse = refuse.unwrap_or_default();
    Some(match kind {
        1 => Middlebox::Nat { inside, idle, limit, refuse },
        _ => Middlebox::Firewall { inside, idle, limit, refuse },
    })
}

/// A value, or a list of them.
fn one_or_more<T: Decode>(node: &Node, sink: &mut Sink) -> Vec<T> {
    match &node.value {
        Value::List(_) => Vec::decode(node, sink).unwrap_or_default(),
        _ => T::decode(node, sink).into_iter().collect(),
    }
}

/// One name, or a list of them.
pub(super) fn names(node: &Node, kind: Kind, sink: &mut Sink) -> Vec<Spanned<String>> {
    let one = std::slice::from_ref(node);
    let nodes = if let Value::List(list) = &node.value { list.as_slice() } else { one };
    nodes
        .iter()
        .filter_map(|node| {
            let text = sink.text(node, "a name")?;
            Some(sink.uses(kind, text, node))
        })
        .collect()
}

/// Millionths, as text: `"+50ppm"`.
pub(super) struct Skew(pub(super) i32);

impl Decode for Skew {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Skew> {
        const EXPECTED: &str = "a clock's deviation up to 100000ppm, like `\"+50ppm\"` or `\"-20ppm\"`";
        let text = sink.text(node, EXPECTED)?;
        match text.strip_suffix("ppm").and_then(|number| number.trim().parse().ok()) {
            Some(ppm @ -100_000..=100_000) => Some(Skew(ppm)),
            _ => sink.bad(node, EXPECTED),
        }
    }
}
