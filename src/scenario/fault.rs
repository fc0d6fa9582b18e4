//! `[[fault]]`: scripted disturbances.

use super::condition::Start;
use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::link::LinkEnds;
use super::tree::{Node, Value};
use super::verb::{Place, TIMED, Verb, read_verb};
use crate::net::{self, Action};
use crate::time::{Span, ns};
use crate::wire::{Flags, parse_flags};
use std::fmt;

/// One disturbance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the trace and the expectations call it.
    pub name: Option<Spanned<String>>,
    /// What it does.
    pub disturbance: Disturbance,
}

/// What a fault does: something to chosen packets, or something to a host or link at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A fate is forced on packets.
    Packets {
        /// On which.
        select: Selector,
        /// What happens to them.
        action: Action,
        /// On at most so many of them.
        times: Option<u32>,
        /// Only from then on.
        from: Option<Span>,
        /// Only until then.
        until: Option<Span>,
    },
    /// Something happens to a host or a link.
    Timed {
        /// When.
        start: Start,
        /// For how long: a crash ends in a reboot, a pause goes on, a partition heals.
        lasts: Option<Span>,
        /// The host it happens to; none for links.
        on: Option<Spanned<String>>,
        /// What.
        verb: Verb,
    },
}

/// Which packets are meant: those that are all of what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Of this connection: the name of the step that opened it.
    pub conn: Option<Spanned<String>>,
    /// On this link.
    /// The direction from the first to the second.
    pub link: Option<LinkEnds>,
    /// With exactly these control bits.
    pub flags: Option<Flags>,
    /// `data = true`: with data, or without.
    pub payload: Option<bool>,
    /// The `nth` of these, counted from 1; without it every one.
    pub nth: Option<u32>,
    /// The packet with this number on its way, whatever it is.
    pub packet: Option<u64>,
}

/// A packet by its number on its way: `client > server #3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketName {
    /// Who sent it.
    pub from: Spanned<String>,
    /// Where to.
    pub to: Spanned<String>,
    /// Counted from 1.
    pub number: u64,
}

impl fmt::Display for PacketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} #{}", self.from, self.to, self.number)
    }
}

/// A packet of which an expectation speaks: the one a fault chose, or one by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketRef {
    /// The name of the fault.
    Fault(Spanned<String>),
    /// The packet itself.
    Packet(PacketName),
}

impl Selector {
    /// The same in the one grammar of faults; `nth` and `packet` as they stand.
    pub fn to_net(&self) -> net::Selector {
        net::Selector {
            link: self.link.as_ref().map(|link| ((*link.from).clone(), (*link.to).clone())),
            conn: self.conn.as_ref().map(|conn| (**conn).clone()),
            flags: self.flags,
            payload: self.payload,
            nth: self.nth,
            packet: self.packet,
        }
    }
}

impl Fault {
    /// The fate it forces on packets, in the one grammar of faults; none where it is about hosts and links.
    pub fn to_net(&self) -> Option<net::Fault> {
        let Disturbance::Packets { select, action, .. } = &self.disturbance else { return None };
        let name = self.name.as_ref().map(|name| (**name).clone());
        Some(net::Fault { name, selector: select.to_net(), action: action.clone(), stage: None })
    }
}

/// Reads all of `[[fault]]`.
pub(super) fn faults(node: &Node, sink: &mut Sink) -> Vec<Fault> {
    match &node.value {
        Value::List(list) => list.iter().filter_map(|node| Fault::decode(node, sink)).collect(),
        _ => sink.wrong_type(node, "faults, each under `[[fault]]`").unwrap_or_default(),
    }
}

const ACTIONS: [&str; 5] = ["drop", "delay", "duplicate", "hold", "corrupt"];

impl Decode for Fault {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Fault> {
        let mut fields = Fields::of(node, "a fault", sink)?;
        let name = fields.node("name").and_then(|node| {
            let text = fields.sink.text(node, "a name")?;
            fields.sink.gives(Kind::Fault, text, node.span.clone());
            Some(Spanned::new(text.to_owned(), node.span.clone()))
        });
        if !fields.has("do") {
            fields.missing("`do`");
        }
        let node = fields.node("do")?;
        let verb = fields.sink.text(node, "what happens, like `\"drop\"`")?;
        let disturbance = if ACTIONS.contains(&verb) {
            packets(&mut fields, verb)
        } else if TIMED.contains(&verb) {
            timed(&mut fields)
        } else {
            let known = ACTIONS.iter().chain(&TIMED).map(|verb| (*verb).to_owned()).collect();
            fields.sink.at(node, Fact::UnknownName { kind: Kind::Verb, name: verb.to_owned(), known });
            return None;
        };
        fields.finish();
        Some(Fault { name, disturbance: disturbance? })
    }
}

fn packets(fields: &mut Fields<'_>, verb: &str) -> Option<Disturbance> {
    fields.rename(format!("the fault `{verb}`"));
    let select = fields.need("packet");
    let action = match verb {
        "drop" => Some(Action::Drop),
        "delay" => fields.need("by").map(Action::Delay),
        "duplicate" => {
            let (times, by) = (fields.or("copies", 1), fields.or("by", ns(1)));
            Some(Action::Duplicate { times, by })
        }
        "hold" => Some(Action::Hold),
        _ => Some(Action::Corrupt(fields.or("bit", 0))),
    };
    if let Some(Action::Duplicate { times: copies @ 1_001.., .. }) = action {
        let node = fields.node("copies")?;
        let (found, max) = (copies.to_string(), "1000".to_owned());
        fields.sink.at(node, Fact::TooMuch { what: "the number of copies", found, max });
    }
    let (times, from, until) = (fields.get("times"), fields.get("from"), fields.get("until"));
    Some(Disturbance::Packets { select: select?, action: action?, times, from, until })
}

fn timed(fields: &mut Fields<'_>) -> Option<Disturbance> {
    let start = Start::need(fields);
    let read = read_verb(fields)?;
    let on = match read.place {
        Place::Host => fields.need_name("on", Kind::Host),
        _ => None,
    };
    // A flap has read its own `for`.
    let ends = matches!(read.verb, Some(Verb::Crash | Verb::Pause | Verb::Partition(_)));
    let lasts = if ends { fields.get("for") } else { None };
    Some(Disturbance::Timed { start: start?, lasts, on, verb: read.verb? })
}

impl Decode for Selector {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Selector> {
        let mut fields = Fields::of(node, "`packet`", sink)?;
        let conn = fields.name("conn", Kind::Socket);
        let link: Option<LinkEnds> = fields.get("link");
        if link.as_ref().is_some_and(|link| link.both) {
            let node = fields.node("link")?;
            fields.sink.bad::<()>(node, "one direction, like `\"client > server\"`");
        }
        let payload = fields.get("data");
        let flags = fields.node("flags").and_then(|node| {
            let text = fields.sink.text(node, "control bits, like `\"S.\"`")?;
            match parse_flags(text) {
                Ok(flags) => Some(flags),
                Err(_) => fields.sink.bad(node, "control bits, each of `FSRPUEWA.` once, like `\"S.\"`, or `\"-\"`"),
            }
        });
        let (nth, packet) = (fields.get::<Ordinal>("nth"), fields.get::<Ordinal>("packet"));
        if ["conn", "link", "flags", "data", "nth", "packet"].iter().all(|key| !fields.has(key)) {
            fields.missing("one of `conn`, `link`, `flags`, `data`, `nth` and `packet`");
        }
        fields.finish();
        let nth = nth.and_then(|nth| u32::try_from(nth.0).ok());
        Some(Selector { conn, link, flags, payload, nth, packet: packet.map(|packet| packet.0) })
    }
}

/// Counted from 1.
struct Ordinal(u64);

impl Decode for Ordinal {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Ordinal> {
        match node.value {
            Value::Int(n @ 1..=0xffff_ffff) => Some(Ordinal(n.unsigned_abs())),
            Value::Int(_) => sink.bad(node, "a number counted from 1"),
            _ => sink.wrong_type(node, "a number counted from 1"),
        }
    }
}

impl Decode for PacketName {
    fn decode(node: &Node, sink: &mut Sink) -> Option<PacketName> {
        const EXPECTED: &str = "a packet by its number, like `\"client > server #3\"`";
        let text = sink.text(node, EXPECTED)?;
        let parts = text.split_once('>').and_then(|(from, rest)| {
            let (to, number) = rest.split_once('#')?;
            Some((from.trim(), to.trim(), number.trim().parse::<u64>().ok().filter(|n| *n > 0)?))
        });
        let Some((from, to, number)) = parts else { return sink.bad(node, EXPECTED) };
        Some(PacketName { from: sink.uses(Kind::Host, from, node), to: sink.uses(Kind::Host, to, node), number })
    }
}

impl Decode for PacketRef {
    fn decode(node: &Node, sink: &mut Sink) -> Option<PacketRef> {
        let text = sink.text(node, "the name of a fault, or a packet, like `\"client > server #3\"`")?;
        if text.contains('>') {
            return PacketName::decode(node, sink).map(PacketRef::Packet);
        }
        Some(PacketRef::Fault(sink.uses(Kind::Fault, text, node)))
    }
}
