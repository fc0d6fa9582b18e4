//! When something happens: an instant, the end of a step, a state or a segment.

use super::decode::{Decode, Fields, Sink, Spanned, span, state};
use super::error::{Fact, Kind};
use super::tree::Node;
use crate::endpoint::State;
use crate::time::Span;
use crate::wire::{Flags, SegmentText, flags_text, parse_flags};
use std::fmt;

/// When a step, load or fault starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// `at = "1s"`: so long after the run's start.
    At(Span),
    /// `at = "+1s"`: so long after the start of the entry above it.
    Next(Span),
    /// `after = "c1"`, `after = "c1 + 10ms"`: so long after the named step returned.
    After {
        /// The name of the step.
        step: Spanned<String>,
        /// How long after.
        offset: Span,
    },
    /// `when = "client c1 ESTABLISHED"`, `when = "client > server F. + 10ms"`: so long after something was seen.
    When {
        /// What.
        condition: Condition,
        /// How long after.
        offset: Span,
    },
}

/// Something that happens on a host or on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A connection enters a state.
    State {
        /// On this host; where none is named, on the host of the step that opened it.
        host: Option<Spanned<String>>,
        /// The name of the connection.
        conn: Spanned<String>,
        /// The state.
        state: State,
    },
    /// A segment is sent, for the `nth` time.
    Segment {
        /// Which.
        pattern: SegmentPattern,
        /// Counted from 1.
        nth: u32,
    },
}

/// Segments from one host to another: `client > server F.`, `client > server P. 1:6(5) ack 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPattern {
    /// Who sends.
    pub from: Spanned<String>,
    /// Where to.
    pub to: Spanned<String>,
    /// Exactly these control bits.
    pub flags: Flags,
    /// The whole notation, where more than flags is written.
    pub text: Option<SegmentText>,
}

impl fmt::Display for SegmentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} ", self.from, self.to)?;
        match &self.text {
            Some(text) => text.fmt(f),
            None => f.write_str(&flags_text(self.flags)),
        }
    }
}

/// A host and a port of it: `server:80`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: Spanned<String>,
    /// The port, not 0.
    pub port: u16,
}

impl Start {
    /// Reads `at`, `after` or `when`, of which one must be there.
    pub(super) fn need(fields: &mut Fields<'_>) -> Option<Start> {
        let start = Start::get(fields);
        if start.is_none() && !["at", "after", "when"].iter().any(|key| fields.has(key)) {
            fields.missing("one of `at`, `after` and `when`");
        }
        start
    }

    /// Reads `at`, `after` or `when`, if one is there.
    pub(super) fn get(fields: &mut Fields<'_>) -> Option<Start> {
        match fields.one_of(&["at", "after", "when"])? {
            "at" => fields.get("at"),
            "after" => {
                let node = fields.node("after")?;
                let text = fields.sink.text(node, "the name of a step, like `\"c1\"` or `\"c1 + 10ms\"`")?;
                after(node, text, fields.sink)
            }
            _ => {
                let node = fields.node("when")?;
                let text = fields.sink.text(node, EXPECTED)?;
                let (text, offset) = split_offset(node, text, fields.sink)?;
                Some(Start::When { condition: condition(node, text, fields.sink)?, offset })
            }
        }
    }
}

/// The value of `at`. A parameter may also put `after …` or `when …` here.
impl Decode for Start {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Start> {
        let text = sink.text(node, "a time, like `\"1s\"`, or `\"+1s\"` after the step above")?.trim();
        if let Some(rest) = text.strip_prefix("after ") {
            return after(node, rest, sink);
        }
        if let Some(rest) = text.strip_prefix("when ") {
            let (text, offset) = split_offset(node, rest, sink)?;
            return Some(Start::When { condition: condition(node, text, sink)?, offset });
        }
        match text.strip_prefix('+') {
            Some(rest) => span(node, rest, sink).map(Start::Next),
            None => span(node, text, sink).map(Start::At),
        }
    }
}

const EXPECTED: &str = "a state or a segment, like `\"client c1 ESTABLISHED\"` or `\"client > server F.\"`";

/// `c1`, `c1 + 10ms`, and `c1 CLOSED` for the state.
fn after(node: &Node, text: &str, sink: &mut Sink) -> Option<Start> {
    let (text, offset) = split_offset(node, text, sink)?;
    if text.contains(' ') {
        return Some(Start::When { condition: condition(node, text, sink)?, offset });
    }
    Some(Start::After { step: sink.uses(Kind::Step, text, node), offset })
}

/// `… + 10ms`: what stands before, and the time.
fn split_offset<'a>(node: &Node, text: &'a str, sink: &mut Sink) -> Option<(&'a str, Span)> {
    match text.rsplit_once('+') {
        Some((before, time)) => Some((before.trim(), span(node, time, sink)?)),
        None => Some((text.trim(), Span::ZERO)),
    }
}

fn condition(node: &Node, text: &str, sink: &mut Sink) -> Option<Condition> {
    if text.contains('>') {
        let (text, nth) = match text.rsplit_once('#') {
            Some((text, nth)) => (text, nth.trim().parse::<u32>().ok().filter(|nth| *nth > 0)),
            None => (text, Some(1)),
        };
        let Some(nth) = nth else { return sink.bad(node, format!("{EXPECTED}; ` #2` names the second")) };
        return Some(Condition::Segment { pattern: pattern(node, text, sink)?, nth });
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (host, conn, name) = match words[..] {
        [host, conn, name] => (Some(host), conn, name),
        [conn, name] => (None, conn, name),
        _ => return sink.bad(node, EXPECTED),
    };
    let state = state(node, name, sink);
    let host = host.map(|host| sink.uses(Kind::Host, host, node));
    let conn = sink.uses(Kind::Socket, conn, node);
    Some(Condition::State { host, conn, state: state? })
}

/// The segments that `text` describes.
fn pattern(node: &Node, text: &str, sink: &mut Sink) -> Option<SegmentPattern> {
    const EXPECTED: &str = "a segment from host to host, like `\"client > server F.\"` or \
                            `\"client > server P. 1:6(5) ack 1\"`";
    let Some((from, rest)) = text.split_once('>') else { return sink.bad(node, EXPECTED) };
    let Some((to, rest)) = rest.trim().split_once(char::is_whitespace) else { return sink.bad(node, EXPECTED) };
    let from = sink.uses(Kind::Host, from.trim(), node);
    let to = sink.uses(Kind::Host, to, node);
    let rest = rest.trim();
    let read = if rest.contains(char::is_whitespace) {
        rest.parse::<SegmentText>().map(|text| (text.flags, Some(text)))
    } else {
        parse_flags(rest).map(|flags| (flags, None))
    };
    match read {
        Ok((flags, text)) => Some(SegmentPattern { from, to, flags, text }),
        Err(error) => {
            sink.at(node, Fact::Notation { found: rest.to_owned(), why: error.to_string() });
            None
        }
    }
}

impl Decode for SegmentPattern {
    fn decode(node: &Node, sink: &mut Sink) -> Option<SegmentPattern> {
        let text = sink.text(node, "a segment from host to host, like `\"client > server F.\"`")?;
        pattern(node, text, sink)
    }
}

impl Decode for HostPort {
    fn decode(node: &Node, sink: &mut Sink) -> Option<HostPort> {
        const EXPECTED: &str = "a host and a port from 1 to 65535, like `\"server:80\"`";
        let text = sink.text(node, EXPECTED)?;
        match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
            Some((host, port)) if port > 0 => Some(HostPort { host: sink.uses(Kind::Host, host, node), port }),
            _ => sink.bad(node, EXPECTED),
        }
    }
}
