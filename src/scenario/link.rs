//! `[links]` and `[network]`: what connects the hosts.

use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::quantity::{BitRate, Size, bytes};
use super::tree::{Entry, Node, Value};
use crate::choice::Ratio;
use crate::time::{Span, ms};
use std::fmt;
use std::net::IpAddr;

/// One entry of `[links]` between hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Between whom.
    pub ends: LinkEnds,
    /// What happens to packets on it; with `<>` to those of each direction by itself.
    pub path: Path,
}

/// `client > server`, or `client <> server` for both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnds {
    /// One end; the sender of a directed link.
    pub from: Spanned<String>,
    /// The other.
    pub to: Spanned<String>,
    /// Whether both directions are meant.
    pub both: bool,
}

impl LinkEnds {
    /// Whether the direction from `from` to `to` is meant.
    pub fn covers(&self, from: &str, to: &str) -> bool {
        let end = |end: &str, name: &str| end == name || name.split_once('.').is_some_and(|(group, _)| group == end);
        let forth = end(&self.from, from) && end(&self.to, to);
        forth || (self.both && end(&self.from, to) && end(&self.to, from))
    }
}

impl fmt::Display for LinkEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.from, if self.both { "<>" } else { ">" }, self.to)
    }
}

/// What happens to the packets of one direction: the impairments, in the order in which they act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// How long a packet takes.
    pub delay: Delay,
    /// A packet takes up to so much longer; order is kept.
    pub jitter: Option<Span>,
    /// How many packets are lost, each by itself.
    pub loss: Option<Ratio>,
    /// Losses in a row.
    pub burst: Option<Burst>,
    /// How many packets are overtaken.
    pub reorder: Option<Reorder>,
    /// How many packets arrive twice.
    pub duplicate: Option<Ratio>,
    /// How many packets arrive with a bit flipped.
    pub corrupt: Option<Ratio>,
    /// How fast it sends.
    pub rate: Option<BitRate>,
    /// How much waits where it sends slower than packets come.
    pub queue: Option<Queue>,
    /// The largest IP packet it takes, in bytes.
    pub mtu: Option<u32>,
    /// Packets older than this are gone.
    pub lifetime: Option<Span>,
}

/// How long a packet takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always as long.
    Fixed(Span),
    /// `dist NAME`: drawn from a table of the distributions.
    Dist(Spanned<String>),
}

impl Default for Delay {
    fn default() -> Delay {
        Delay::Fixed(Span::ZERO)
    }
}

/// Losses in a row: a link that is good or bad (Gilbert's model).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How likely each packet turns a good link bad.
    pub enter: Ratio,
    /// How likely each packet turns a bad link good.
    pub leave: Ratio,
    /// How many packets a bad link loses.
    pub loss: Ratio,
}

/// Packets that are overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// How many.
    pub chance: Ratio,
    /// By how long each is held back.
    pub by: Span,
}

/// How much waits at the head of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// So many packets.
    Packets(u32),
    /// So many bytes.
    Bytes(u64),
}

/// Addresses that no host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The first address.
    pub first: IpAddr,
    /// How many leading bits count.
    pub len: u8,
    /// What becomes of packets to it.
    pub kind: PrefixKind,
}

/// What becomes of packets to addresses that no host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixKind {
    /// They vanish.
    Blackhole,
    /// They are answered by ICMP.
    Unreachable,
}

/// Reads `[links]`: links between hosts, and prefixes.
pub(super) fn links(node: &Node, sink: &mut Sink) -> (Vec<Link>, Vec<Prefix>) {
    let (mut links, mut prefixes) = (Vec::new(), Vec::new());
    let Some(table) = node.table() else {
        sink.wrong_type::<()>(node, "a table of links, like `\"client <> server\" = { delay = \"20ms\" }`");
        return (links, prefixes);
    };
    for entry in &table.entries {
        let key = Node::new(Value::Text(entry.key.clone()), entry.span.clone());
        if entry.key.contains('>') {
            let ends = ends(&key, &entry.key, sink);
            let path = Path::decode(&entry.node, sink);
            if let (Some(ends), Some(path)) = (ends, path) {
                links.push(Link { ends, path });
            }
        } else {
            prefixes.extend(prefix(&key, entry, sink));
        }
    }
    (links, prefixes)
}

fn prefix(key: &Node, entry: &Entry, sink: &mut Sink) -> Option<Prefix> {
    let Some((first, len)) = cidr(&entry.key) else {
        return sink.bad(
            key,
            "a link, like `\"client <> server\"` or `\"client > server\"`, or a prefix, like `\"203.0.113.0/24\"`",
        );
    };
    let words = [("blackhole", PrefixKind::Blackhole), ("unreachable", PrefixKind::Unreachable)];
    let kind = sink.word(&entry.node, "kind of prefix", &words)?;
    Some(Prefix { first, len, kind })
}

/// `203.0.113.0/24`.
pub(super) fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (first, len) = text.split_once('/')?;
    let (first, len): (IpAddr, u8) = (first.parse().ok()?, len.parse().ok()?);
    (len <= if first.is_ipv4() { 32 } else { 128 }).then_some((first, len))
}

fn ends(node: &Node, text: &str, sink: &mut Sink) -> Option<LinkEnds> {
    const EXPECTED: &str = "a link between two hosts, like `\"client <> server\"` or `\"client > server\"`";
    let both = text.contains("<>");
    let Some((from, to)) = text.split_once(if both { "<>" } else { ">" }) else { return sink.bad(node, EXPECTED) };
    let (from, to) = (from.trim(), to.trim());
    if from.is_empty() || to.is_empty() || to.contains('>') {
        return sink.bad(node, EXPECTED);
    }
    if from == to {
        sink.at(node, Fact::LinkToItself { host: from.to_owned() });
        return None;
    }
    Some(LinkEnds { from: sink.uses(Kind::Host, from, node), to: sink.uses(Kind::Host, to, node), both })
}

impl Decode for LinkEnds {
    fn decode(node: &Node, sink: &mut Sink) -> Option<LinkEnds> {
        let text = sink.text(node, "a link, like `\"client > server\"`")?;
        ends(node, text, sink)
    }
}

impl Decode for Path {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Path> {
        let mut fields = Fields::of(node, "a link", sink)?;
        let path = Path {
            delay: fields.or("delay", Delay::default()),
            jitter: fields.get("jitter"),
            loss: fields.get("loss"),
            burst: fields.get("burst"),
            reorder: fields.get("reorder"),
            duplicate: fields.get("duplicate"),
            corrupt: fields.get("corrupt"),
            rate: fields.get("rate"),
            queue: fields.get("queue"),
            mtu: fields.get::<u32>("mtu"),
            lifetime: fields.get("lifetime"),
        };
        // RFC 791 3.2: every internet module must be able to forward a datagram of 68 octets.
        if let Some(mtu) = path.mtu.filter(|mtu| !(68..=65_536).contains(mtu)) {
            if let Some(node) = fields.node("mtu") {
                let expected = "an MTU from 68 to 65536".to_owned();
                fields.sink.at(node, Fact::BadValue { found: mtu.to_string(), expected });
            }
        }
        if path.queue.is_some() && path.rate.is_none() {
            fields.missing("`rate`, without which nothing waits in its `queue`,");
        }
        fields.finish();
        Some(path)
    }
}

impl Decode for Delay {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Delay> {
        match node.text().and_then(|text| text.strip_prefix("dist ")) {
            Some(name) => Some(Delay::Dist(Spanned::new(name.trim().to_owned(), node.span.clone()))),
            None => Span::decode(node, sink).map(Delay::Fixed),
        }
    }
}

impl Decode for Burst {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Burst> {
        let mut fields = Fields::of(node, "a burst, like `{ enter = \"1%\", leave = \"25%\" }`,", sink)?;
        let (enter, leave) = (fields.need("enter"), fields.need("leave"));
        let loss = fields.or("loss", Ratio::ONE);
        fields.finish();
        Some(Burst { enter: enter?, leave: leave?, loss })
    }
}

/// `"1%"`, or with the time of holding back: `{ chance = "1%", by = "10ms" }`.
impl Decode for Reorder {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Reorder> {
        if node.text().is_some() {
            return Ratio::decode(node, sink).map(|chance| Reorder { chance, by: ms(10) });
        }
        let mut fields =
            Fields::of(node, "a reordering, like `\"1%\"` or `{ chance = \"1%\", by = \"10ms\" }`,", sink)?;
        let (chance, by) = (fields.need("chance"), fields.or("by", ms(10)));
        fields.finish();
        Some(Reorder { chance: chance?, by })
    }
}

impl Decode for Queue {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Queue> {
        match &node.value {
            Value::Int(_) => u32::decode(node, sink).map(Queue::Packets),
            Value::Text(text) if bytes(text).is_some() => Size::decode(node, sink).map(|size| Queue::Bytes(size.0)),
            _ => sink.bad(node, "a number of packets, like `100`, or of bytes, like `\"64KiB\"`"),
        }
    }
}
