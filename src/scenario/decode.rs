//! From tree to types: one value at a time, every mistake noted, none of them the end.

use super::error::{Fact, Kind};
use super::limit;
use super::tree::{Node, Table, Value};
use crate::choice::Ratio;
use crate::endpoint::{DropReason, Errno, State};
use crate::time::Span;
use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, Range};

/// A value and its place in the file, for errors that are found later. Two are equal if their values are.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    value: T,
    span: Range<usize>,
}

impl<T> Spanned<T> {
    pub(super) fn new(value: T, span: Range<usize>) -> Spanned<T> {
        Spanned { value, span }
    }

    /// The bytes of the file it stands in.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Spanned<T>) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A mistake with its place, and where the offending value came from.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) fact: Fact,
    pub(super) span: Range<usize>,
    pub(super) note: Option<String>,
}

/// A name that was used or given.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) span: Range<usize>,
    pub(super) note: Option<String>,
}

/// The mistakes so far, and the names, which are compared when all are known.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) used: Vec<Mention>,
    pub(super) given: Vec<Mention>,
}

impl Sink {
    /// Notes a mistake about `node`.
    pub(super) fn at(&mut self, node: &Node, fact: Fact) {
        self.mistakes.push(Mistake { fact, span: node.span.clone(), note: node.origin.clone() });
    }

    /// Notes a mistake about a place.
    pub(super) fn place(&mut self, span: Range<usize>, fact: Fact) {
        self.mistakes.push(Mistake { fact, span, note: None });
    }

    /// Notes that `node` speaks of the thing of this `kind` called `name`.
    pub(super) fn uses(&mut self, kind: Kind, name: &str, node: &Node) -> Spanned<String> {
        let (span, note) = (node.span.clone(), node.origin.clone());
        self.used.push(Mention { kind, name: name.to_owned(), span: span.clone(), note });
        Spanned::new(name.to_owned(), span)
    }

    /// Notes that the thing of this `kind` called `name` is declared at `span`. A name is letters, digits, `-`, `_`.
    pub(super) fn gives(&mut self, kind: Kind, name: &str, span: Range<usize>) {
        if !is_name(name) {
            let expected = "a name of letters, digits, `-` and `_` that begins with a letter".to_owned();
            self.place(span, Fact::BadValue { found: name.to_owned(), expected });
            return;
        }
        self.given.push(Mention { kind, name: name.to_owned(), span, note: None });
    }

    pub(super) fn wrong_type<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        self.at(node, Fact::WrongType { found: node.described(), expected: expected.to_owned() });
        None
    }

    pub(super) fn bad<T>(&mut self, node: &Node, expected: impl Into<String>) -> Option<T> {
        self.at(node, Fact::BadValue { found: node.shown(), expected: expected.into() });
        None
    }

    pub(super) fn unknown<T>(&mut self, node: &Node, what: &'static str, known: Vec<String>) -> Option<T> {
        self.at(node, Fact::UnknownWord { found: node.shown(), what, known });
        None
    }

    /// The text of `node`, or a mistake.
    pub(super) fn text<'a>(&mut self, node: &'a Node, expected: &str) -> Option<&'a str> {
        match node.text() {
            Some(text) => Some(text),
            None => self.wrong_type(node, expected),
        }
    }

    /// The word of `node`, which is one of `words`.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, &format!("the name of a {what}"))?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(*value),
            None => self.unknown(node, what, words.iter().map(|(word, _)| (*word).to_owned()).collect()),
        }
    }
}

/// Whether `text` can name something.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_alphabetic())
        && text.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

/// What can be read from one value. The mistake is noted where it is `None`.
pub(super) trait Decode: Sized {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Self>;
}

/// The keys of one table, asked for one by one; what nobody asked for is unknown.
pub(super) struct Fields<'a> {
    table: &'a Table,
    span: Range<usize>,
    /// What has these keys, with its article: `a link`.
    of: String,
    known: Vec<&'static str>,
    /// Whether keys exclude each other, so that nobody can say which others belong here.
    torn: bool,
    pub(super) sink: &'a mut Sink,
}

impl<'a> Fields<'a> {
    /// The keys of `node`, which must be a table.
    pub(super) fn of(node: &'a Node, of: impl Into<String>, sink: &'a mut Sink) -> Option<Fields<'a>> {
        let of = of.into();
        match node.table() {
            Some(table) => Some(Fields { table, span: node.span.clone(), of, known: Vec::new(), torn: false, sink }),
            None => sink.wrong_type(node, &format!("a table with the keys of {of}")),
        }
    }

    pub(super) fn rename(&mut self, of: String) {
        self.of = of;
    }

    /// The value under `key`, unread.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The value under `key`, if it is there.
    pub(super) fn get<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        let node = self.node(key)?;
        T::decode(node, self.sink)
    }

    /// The value under `key`, or this one.
    pub(super) fn or<T: Decode>(&mut self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// The value under `key`, which must be there.
    pub(super) fn need<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        if self.has(key) {
            return self.get(key);
        }
        self.known.push(key);
        self.missing(&format!("`{key}`"));
        None
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Notes that `key` should be there.
    pub(super) fn missing(&mut self, key: &str) {
        let fact = Fact::Missing { key: key.to_owned(), of: self.of.clone() };
        self.sink.place(self.span.clone(), fact);
    }

    /// The name under `key` of a thing of this `kind`, if it is there.
    pub(super) fn name(&mut self, key: &'static str, kind: Kind) -> Option<Spanned<String>> {
        let node = self.node(key)?;
        let text = self.sink.text(node, "a name")?;
        Some(self.sink.uses(kind, text, node))
    }

    /// The name under `key` of a thing of this `kind`, which must be there.
    pub(super) fn need_name(&mut self, key: &'static str, kind: Kind) -> Option<Spanned<String>> {
        if !self.has(key) {
            self.missing(&format!("`{key}`"));
        }
        self.name(key, kind)
    }

    /// Of `keys` at most one may be there; gives it.
    pub(super) fn one_of(&mut self, keys: &[&'static str]) -> Option<&'static str> {
        self.known.extend(keys);
        let mut there = keys.iter().copied().filter(|key| self.table.get(key).is_some());
        let first = there.next()?;
        if let Some(entry) = there.next().and_then(|second| self.table.entry(second)) {
            let fact = Fact::Conflict { key: entry.key.clone(), with: first.to_owned() };
            self.sink.place(entry.span.clone(), fact);
            self.torn = true;
        }
        Some(first)
    }

    /// Says that further keys would be known, without reading them.
    pub(super) fn knows(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The entries nobody asked for.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a super::tree::Entry> {
        self.table.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str()))
    }

    /// Notes the keys that nobody asked for as unknown.
    pub(super) fn finish(self) {
        let mut known: Vec<String> = self.known.iter().map(|key| (*key).to_owned()).collect();
        known.sort();
        known.dedup();
        let unknown: Vec<_> = self.rest().collect();
        for entry in unknown.into_iter().filter(|_| !self.torn) {
            let fact = Fact::UnknownKey { key: entry.key.clone(), of: self.of.clone(), known: known.clone() };
            self.sink.place(entry.span.clone(), fact);
        }
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Spanned<T>> {
        T::decode(node, sink).map(|value| Spanned::new(value, node.span.clone()))
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Vec<T>> {
        match &node.value {
            Value::List(list) => Some(list.iter().filter_map(|item| T::decode(item, sink)).collect()),
            _ => sink.wrong_type(node, "a list"),
        }
    }
}

impl Decode for String {
    fn decode(node: &Node, sink: &mut Sink) -> Option<String> {
        sink.text(node, "a text").map(str::to_owned)
    }
}

impl Decode for bool {
    fn decode(node: &Node, sink: &mut Sink) -> Option<bool> {
        match &node.value {
            Value::Bool(b) => Some(*b),
            Value::Int(n @ (0 | 1)) => Some(*n == 1),
            _ => sink.wrong_type(node, "true or false"),
        }
    }
}

fn integer(node: &Node, min: i64, max: i64, sink: &mut Sink) -> Option<i64> {
    match node.value {
        Value::Int(n) if (min..=max).contains(&n) => Some(n),
        Value::Int(_) => sink.bad(node, format!("an integer from {min} to {max}")),
        _ => sink.wrong_type(node, "an integer"),
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, sink: &mut Sink) -> Option<$type> {
                let max = i64::try_from(<$type>::MAX).unwrap_or(i64::MAX);
                integer(node, 0, max, sink).and_then(|n| <$type>::try_from(n).ok())
            }
        }
    )*};
}

integers!(u8, u16, u32, u64);

impl Decode for i64 {
    fn decode(node: &Node, sink: &mut Sink) -> Option<i64> {
        integer(node, i64::MIN, i64::MAX, sink)
    }
}

/// The length of time that `text` says, within the limit.
pub(super) fn span(node: &Node, text: &str, sink: &mut Sink) -> Option<Span> {
    match text.trim().parse::<Span>() {
        Ok(span) if span > limit::TIME => {
            let fact = Fact::TooMuch { what: "the time", found: text.to_owned(), max: "100 years".to_owned() };
            sink.at(node, fact);
            None
        }
        Ok(span) => Some(span),
        Err(_) if text.trim().starts_with('-') => sink.bad(node, "a time that is not negative, like `\"20ms\"`"),
        Err(error) => {
            let why = error.to_string();
            sink.bad(node, format!("a length of time, like `\"20ms\"` or `\"1.5s\"` ({why})"))
        }
    }
}

impl Decode for Span {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Span> {
        let text = sink.text(node, "a length of time with its unit, like `\"20ms\"`")?;
        span(node, text, sink)
    }
}

impl Decode for Ratio {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Ratio> {
        let text = sink.text(node, "a probability, like `\"2%\"` or `\"1/3\"`")?;
        match text.parse() {
            Ok(ratio) => Some(ratio),
            Err(_) => sink.bad(node, "a probability between 0 and 1, like `\"2%\"`, `\"0.05%\"` or `\"1/3\"`"),
        }
    }
}

impl Decode for IpAddr {
    fn decode(node: &Node, sink: &mut Sink) -> Option<IpAddr> {
        let text = sink.text(node, "an address, like `\"192.0.2.1\"` or `\"2001:db8::1\"`")?;
        match text.parse() {
            Ok(addr) => Some(addr),
            Err(_) => sink.bad(node, "an address, like `\"192.0.2.1\"` or `\"2001:db8::1\"`"),
        }
    }
}

impl Decode for Errno {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Errno> {
        let text = sink.text(node, "the name of an error, like `\"ECONNREFUSED\"`")?;
        match Errno::from_name(text) {
            Some(errno) => Some(errno),
            None => sink.unknown(node, "error", Errno::ALL.iter().map(|e| e.name().to_owned()).collect()),
        }
    }
}

impl Decode for State {
    fn decode(node: &Node, sink: &mut Sink) -> Option<State> {
        let text = sink.text(node, "a state, like `\"ESTABLISHED\"`")?;
        state(node, text, sink)
    }
}

/// The state called `name`, which `node` mentions.
pub(super) fn state(node: &Node, name: &str, sink: &mut Sink) -> Option<State> {
    let state = State::from_name(name);
    if state.is_none() {
        let fact = Fact::UnknownWord { found: name.to_owned(), what: "state", known: states() };
        sink.at(node, fact);
    }
    state
}

pub(super) fn states() -> Vec<String> {
    State::ALL.iter().map(|state| state.name().to_owned()).collect()
}

impl Decode for DropReason {
    fn decode(node: &Node, sink: &mut Sink) -> Option<DropReason> {
        let words = DropReason::ALL.map(|reason| (reason.name(), reason));
        sink.word(node, "reason for a drop", &words)
    }
}
