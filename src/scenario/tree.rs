//! A file as a tree that knows the place of every key and value, and which parameter a value came from.

use super::error::Fact;
use super::limit;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A value and its place. Two nodes are equal if their values are.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
    /// `$name = value`, if a parameter gave the value.
    pub(super) origin: Option<String>,
}

/// What a file can hold. Fractions are written as text with a unit, so that nothing is ever rounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
}

/// Keys with their values, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) span: Range<usize>,
    pub(super) node: Node,
}

impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        self.value == other.value
    }
}

impl Eq for Node {}

/// The order of keys means something in `[params]`, `[hosts]` and `[links]` for what is printed, and nothing for what
/// is run: tables are equal whatever it is.
impl PartialEq for Table {
    fn eq(&self, other: &Table) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|entry| other.get(&entry.key) == Some(&entry.node))
    }
}

impl Eq for Table {}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    pub(super) fn set(&mut self, key: &str, node: Node) {
        if let Some(place) = self.get_mut(key) {
            *place = node;
        } else {
            self.entries.push(Entry { key: key.to_owned(), span: node.span.clone(), node });
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.entries.retain(|entry| entry.key != key);
    }

    /// The table under `key`, made if there is none.
    pub(super) fn table_mut(&mut self, key: &str, span: &Range<usize>) -> Option<&mut Table> {
        if self.get(key).is_none() {
            self.set(key, Node::new(Value::Table(Table::default()), span.clone()));
        }
        match &mut self.get_mut(key)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Node {
    pub(super) fn new(value: Value, span: Range<usize>) -> Node {
        Node { value, span, origin: None }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The value with its type, as an error says it.
    pub(super) fn described(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("the text \"{text}\""),
            Value::Int(n) => format!("the integer {n}"),
            Value::Bool(b) => b.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    /// The value as a person would write it, for an error; empty for lists and tables.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Text(text) => text.clone(),
            Value::Int(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::List(_) | Value::Table(_) => String::new(),
        }
    }
}

/// A mistake and its place in the file.
pub(super) type Misplaced = (Fact, Option<Range<usize>>);

/// Reads a whole file.
pub(super) fn read(text: &str) -> Result<Table, Vec<Misplaced>> {
    let root = DeTable::parse(text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        vec![(Fact::Syntax(message), error.span().or(Some(0..0)))]
    })?;
    let mut errors = Vec::new();
    let table = convert_table(root.get_ref(), &mut errors);
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

fn convert_table(table: &DeTable<'_>, errors: &mut Vec<Misplaced>) -> Table {
    if let Some((key, _)) = table.iter().nth(limit::ENTRIES) {
        errors.push((too_many("the number of keys of a table", table.len()), Some(key.span())));
        return Table::default();
    }
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        span: key.span(),
        node: convert(value.get_ref(), value.span(), errors),
    });
    Table { entries: entries.collect() }
}

fn convert(value: &DeValue<'_>, span: Range<usize>, errors: &mut Vec<Misplaced>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Integer(n) => Value::Int(i64::from_str_radix(n.as_str(), n.radix()).unwrap_or_else(|_| {
            let fact = Fact::TooMuch { what: "the integer", found: n.to_string(), max: i64::MAX.to_string() };
            errors.push((fact, Some(span.clone())));
            0
        })),
        DeValue::Float(n) => {
            let expected = "an integer, or a text with a unit, like `\"1.5s\"` or `\"0.5%\"`".to_owned();
            errors.push((Fact::BadValue { found: n.as_str().to_owned(), expected }, Some(span.clone())));
            Value::Int(0)
        }
        DeValue::Datetime(date) => {
            let expected = "a time since the start of the run, like `\"1.5s\"`".to_owned();
            errors.push((Fact::BadValue { found: date.to_string(), expected }, Some(span.clone())));
            Value::Int(0)
        }
        DeValue::Array(list) if list.len() > limit::ENTRIES => {
            errors.push((too_many("the length of a list", list.len()), Some(span.start..span.start + 1)));
            Value::List(Vec::new())
        }
        DeValue::Array(list) => {
            Value::List(list.iter().map(|item| convert(item.get_ref(), item.span(), errors)).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, errors)),
    };
    Node::new(value, span)
}

fn too_many(what: &'static str, found: usize) -> Fact {
    Fact::TooMuch { what, found: found.to_string(), max: limit::ENTRIES.to_string() }
}
