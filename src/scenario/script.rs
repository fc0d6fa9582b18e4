//! `[script]`: what is done, in order, with the results that are expected.

use super::condition::Start;
use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::limit;
use super::quantity::Compare;
use super::tree::{Node, Value};
use super::verb::{Place, Verb, read_verb};
use crate::endpoint::Errno;
use crate::time::Span;

/// One step. Steps on one socket run one after the other, each when the former returned.
///
/// A step on a socket that was never made, because the step that should have named it failed as expected, is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What others call it: `as` where it makes a socket, `name` elsewhere.
    pub name: Option<Spanned<String>>,
    /// When it starts.
    pub start: Start,
    /// The host or the socket it is done on; none where it concerns the network.
    pub on: Option<Spanned<String>>,
    /// What is done.
    pub verb: Verb,
    /// What it must return.
    pub result: Option<Spanned<Outcome>>,
    /// How long it must take until it returns.
    pub took: Option<Compare<Span>>,
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A number: 0 for success, or how many bytes were sent or received.
    Number(i64),
    /// The bytes received, as text.
    Text(String),
    /// The error.
    Error(Errno),
}

/// Reads `[script]`.
pub(super) fn script(node: &Node, sink: &mut Sink) -> Vec<Step> {
    let Some(mut fields) = Fields::of(node, "`[script]`", sink) else { return Vec::new() };
    let steps = match fields.node("steps").map(|node| (&node.value, node)) {
        Some((Value::List(list), _)) => steps(list, fields.sink),
        Some((_, node)) => {
            fields.sink.wrong_type::<()>(node, "a list of steps");
            Vec::new()
        }
        None => {
            fields.missing("`steps`");
            Vec::new()
        }
    };
    fields.finish();
    steps
}

fn steps(list: &[Node], sink: &mut Sink) -> Vec<Step> {
    if let Some(node) = list.get(limit::ENTRIES) {
        let max = limit::ENTRIES.to_string();
        sink.at(node, Fact::TooMuch { what: "the number of steps", found: list.len().to_string(), max });
        return Vec::new();
    }
    list.iter().filter_map(|node| Step::decode(node, sink)).collect()
}

impl Decode for Step {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Step> {
        let mut fields = Fields::of(node, "a step", sink)?;
        let start = Start::need(&mut fields);
        let read = read_verb(&mut fields);
        let place = read.as_ref().map(|read| read.place);
        let on = match place {
            Some(Place::Host) => fields.need_name("on", Kind::Host),
            Some(Place::Socket) => fields.need_name("on", Kind::Socket),
            Some(Place::AnyHost) => fields.name("on", Kind::Host),
            Some(Place::Network) => None,
            None => {
                fields.knows(&["on"]);
                None
            }
        };
        let name = name(&mut fields, read.as_ref().is_some_and(|read| read.makes_socket));
        let result = fields.node("result").and_then(|node| {
            let gives_data = read.as_ref().is_none_or(|read| read.gives_data);
            outcome(node, gives_data, fields.sink).map(|outcome| Spanned::new(outcome, node.span.clone()))
        });
        let took = fields.get("took");
        if let Some(read) = read {
            // With an unknown verb every key would be unknown: one mistake is enough.
            let verb = read.verb;
            fields.finish();
            return Some(Step { name, start: start?, on, verb: verb?, result, took });
        }
        None
    }
}

/// `as` for what makes a socket, `name` for any step.
fn name(fields: &mut Fields<'_>, makes_socket: bool) -> Option<Spanned<String>> {
    let key = if makes_socket { fields.one_of(&["as", "name"])? } else { "name" };
    let node = fields.node(key)?;
    let text = fields.sink.text(node, "a name")?;
    fields.sink.gives(Kind::Step, text, node.span.clone());
    if key == "as" {
        fields.sink.given.extend(
            fields.sink.given.last().cloned().map(|given| super::decode::Mention { kind: Kind::Socket, ..given }),
        );
    }
    Some(Spanned::new(text.to_owned(), node.span.clone()))
}

/// A number, the name of an error, or text where the call gives data.
pub(super) fn outcome(node: &Node, gives_data: bool, sink: &mut Sink) -> Option<Outcome> {
    match &node.value {
        Value::Int(n) => Some(Outcome::Number(*n)),
        Value::Text(text) if !gives_data || looks_like_errno(text) => Errno::decode(node, sink).map(Outcome::Error),
        Value::Text(text) => Some(Outcome::Text(text.clone())),
        _ => sink.wrong_type(node, "a number, the name of an error, or text that was received"),
    }
}

fn looks_like_errno(text: &str) -> bool {
    text.len() > 3 && text.starts_with('E') && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
