//! `[[load]]`: many calls or packets under one name.

use super::condition::Start;
use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::limit;
use super::link::cidr;
use super::quantity::Rate;
use super::tree::{Node, Value};
use super::verb::{Target, size};
use crate::time::{Span, secs};
use std::net::IpAddr;

/// One load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What the expectations call it.
    pub name: Spanned<String>,
    /// The host, or the group of hosts, it comes from.
    pub on: Spanned<String>,
    /// The server.
    pub to: Target,
    /// When it begins.
    pub start: Start,
    /// What it does.
    pub traffic: Traffic,
}

/// What a load does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// `syn-flood`: SYNs from spoofed addresses.
    SynFlood {
        /// The first address, and how many leading bits are fixed; the rest and the port are drawn for each SYN.
        from: (IpAddr, u8),
        /// How often.
        rate: Rate,
        /// How many.
        count: u64,
    },
    /// `request-response`: connects, asks, reads the answer, closes. The members of a group begin one after the other.
    RequestResponse {
        /// The time from the beginning of one to that of the next: the next member's, then the next round's.
        every: Span,
        /// How many each host does.
        count: u64,
        /// How long each waits for all of it; then it counts as `ETIMEDOUT`.
        timeout: Option<Span>,
        /// Bytes of a request.
        request: u64,
        /// Bytes of an answer.
        response: u64,
    },
    /// `churn`: opens and closes connections.
    Churn {
        /// How often.
        rate: Rate,
        /// How many.
        count: u64,
        /// How many bytes go over each.
        bytes: u64,
        /// How long each waits to be open.
        timeout: Option<Span>,
    },
    /// `pool`: a pool of connections that are kept open and used again for one request after the other.
    Pool {
        /// How many connections it keeps.
        size: u32,
        /// The time from one request to the next.
        every: Span,
        /// How many requests.
        count: u64,
        /// A connection not used for so long is closed by the pool.
        idle: Option<Span>,
        /// How long a request waits for its answer.
        timeout: Option<Span>,
        /// Bytes of a request.
        request: u64,
        /// Bytes of an answer.
        response: u64,
    },
}

/// Reads all of `[[load]]`.
pub(super) fn loads(node: &Node, sink: &mut Sink) -> Vec<Load> {
    match &node.value {
        Value::List(list) => list.iter().filter_map(|node| Load::decode(node, sink)).collect(),
        _ => sink.wrong_type(node, "loads, each under `[[load]]`").unwrap_or_default(),
    }
}

impl Decode for Load {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Load> {
        let mut fields = Fields::of(node, "a load", sink)?;
        if !fields.has("name") {
            fields.missing("`name`");
        }
        let name = fields.node("name").and_then(|node| {
            let text = fields.sink.text(node, "a name")?;
            fields.sink.gives(Kind::Load, text, node.span.clone());
            Some(Spanned::new(text.to_owned(), node.span.clone()))
        });
        let on = fields.need_name("on", Kind::Host);
        let (to, start) = (fields.need("to"), Start::need(&mut fields));
        if !fields.has("do") {
            fields.missing("`do`");
        }
        let node = fields.node("do")?;
        let text = fields.sink.text(node, "what the load does, like `\"syn-flood\"`")?;
        let Some((word, reader)) = LOADS.iter().find(|(word, _)| *word == text) else {
            let known = LOADS.iter().map(|(word, _)| (*word).to_owned()).collect();
            fields.sink.at(node, Fact::UnknownName { kind: Kind::Verb, name: text.to_owned(), known });
            return None;
        };
        fields.rename(format!("the load `{word}`"));
        let traffic = reader(&mut fields);
        fields.finish();
        Some(Load { name: name?, on: on?, to: to?, start: start?, traffic: traffic? })
    }
}

type Reader = fn(&mut Fields<'_>) -> Option<Traffic>;

const LOADS: [(&str, Reader); 4] = [
    ("syn-flood", syn_flood),
    ("request-response", request_response),
    ("churn", |fields| {
        let rate = fields.need("rate");
        let (bytes, timeout) = (size(fields, "bytes", 0), fields.get("timeout"));
        let count = count_at(fields, rate);
        Some(Traffic::Churn { rate: rate?, count: count?, bytes, timeout })
    }),
    ("pool", pool),
];

fn syn_flood(fields: &mut Fields<'_>) -> Option<Traffic> {
    if !fields.has("from") {
        fields.missing("`from`, the spoofed addresses");
    }
    let rate = fields.need("rate");
    let count = count_at(fields, rate);
    let node = fields.node("from")?;
    let text = fields.sink.text(node, "a range of addresses, like `\"203.0.113.0/24\"`")?;
    match cidr(text) {
        Some(from) => Some(Traffic::SynFlood { from, rate: rate?, count: count? }),
        None => fields.sink.bad(node, "a range of addresses, like `\"203.0.113.0/24\"`"),
    }
}

fn request_response(fields: &mut Fields<'_>) -> Option<Traffic> {
    let every = fields.or("every", secs(1));
    let count = if fields.has("for") { count_every(fields, every) } else { some_count(fields).or(Some(1)) };
    let timeout = fields.get("timeout");
    let (request, response) = (size(fields, "request", 100), size(fields, "response", 1_000));
    Some(Traffic::RequestResponse { every, count: count?, timeout, request, response })
}

fn pool(fields: &mut Fields<'_>) -> Option<Traffic> {
    let (connections, every): (Option<u32>, Option<Span>) = (fields.need("size"), fields.need("every"));
    if connections.is_some_and(|size| size == 0 || size > 10_000) {
        let node = fields.node("size")?;
        return fields.sink.bad(node, "a number of connections from 1 to 10000");
    }
    let count = every.and_then(|every| count_every(fields, every));
    let (idle, timeout) = (fields.get("idle"), fields.get("timeout"));
    let (request, response) = (size(fields, "request", 100), size(fields, "response", 1_000));
    Some(Traffic::Pool { size: connections?, every: every?, count: count?, idle, timeout, request, response })
}

/// How many things happen: `count`, or what `rate` makes in `for`.
fn count_at(fields: &mut Fields<'_>, rate: Option<Rate>) -> Option<u64> {
    if fields.one_of(&["count", "for"]) != Some("for") {
        return count_needed(fields);
    }
    let (lasts, rate): (Span, Rate) = (fields.get("for")?, rate?);
    let product = u128::from(lasts.as_nanos()) * u128::from(rate.count) / u128::from(rate.per.as_nanos());
    bounded("for", u64::try_from(product).unwrap_or(u64::MAX), fields)
}

/// How many things happen: `count`, or one `every` so often in `for`.
fn count_every(fields: &mut Fields<'_>, every: Span) -> Option<u64> {
    if fields.one_of(&["count", "for"]) != Some("for") {
        return count_needed(fields);
    }
    let lasts: Span = fields.get("for")?;
    if every == Span::ZERO {
        let node = fields.node("every")?;
        return fields.sink.bad(node, "a time above 0, or a `count` in place of `for`");
    }
    bounded("for", lasts.as_nanos() / every.as_nanos(), fields)
}

fn count_needed(fields: &mut Fields<'_>) -> Option<u64> {
    if !fields.has("count") {
        fields.missing("`count` or `for`");
    }
    some_count(fields)
}

fn some_count(fields: &mut Fields<'_>) -> Option<u64> {
    let count = fields.get::<u64>("count")?;
    bounded("count", count, fields)
}

fn bounded(key: &'static str, count: u64, fields: &mut Fields<'_>) -> Option<u64> {
    if count <= limit::COUNT {
        return Some(count);
    }
    let node = fields.node(key)?;
    let max = limit::COUNT.to_string();
    fields.sink.at(node, Fact::TooMuch { what: "the number of repetitions", found: count.to_string(), max });
    None
}
