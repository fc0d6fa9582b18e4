//! What makes many runs of one file: `[params]`, `[[variant]]`, `[sweep]`.

use super::decode::{Decode, Fields, Sink, Spanned};
use super::error::{Fact, Kind};
use super::limit;
use super::link::dist;
use super::tree::{Node, Value};
use std::fmt;

/// A parameter: its default and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value where nothing else is said.
    pub default: ParamValue,
    /// One line on what it is.
    pub doc: String,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// An integer.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A text: a time, a rate, a word.
    Text(String),
}

impl ParamValue {
    pub(super) fn to_value(&self) -> Value {
        match self {
            ParamValue::Int(n) => Value::Int(*n),
            ParamValue::Bool(b) => Value::Bool(*b),
            ParamValue::Text(text) => Value::Text(text.clone()),
        }
    }

    /// `text`, as a command line gives it, as a value of the same type; `None` if it is none.
    pub(super) fn same_type(&self, text: &str) -> Option<ParamValue> {
        match self {
            ParamValue::Int(_) => text.trim().parse().ok().map(ParamValue::Int),
            ParamValue::Bool(_) => text.trim().parse().ok().map(ParamValue::Bool),
            ParamValue::Text(_) => Some(ParamValue::Text(text.to_owned())),
        }
    }

    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            ParamValue::Int(_) => "an integer",
            ParamValue::Bool(_) => "true or false",
            ParamValue::Text(_) => "a text",
        }
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamValue::Int(n) => n.fmt(f),
            ParamValue::Bool(b) => b.fmt(f),
            ParamValue::Text(text) => f.write_str(text),
        }
    }
}

impl Decode for ParamValue {
    fn decode(node: &Node, sink: &mut Sink) -> Option<ParamValue> {
        match &node.value {
            Value::Int(n) => Some(ParamValue::Int(*n)),
            Value::Bool(b) => Some(ParamValue::Bool(*b)),
            Value::Text(text) => Some(ParamValue::Text(text.clone())),
            _ => sink.wrong_type(node, "an integer, a text, true or false"),
        }
    }
}

/// One of the stories a file tells besides its main one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: Spanned<String>,
    /// Parameters with another value.
    pub set: Vec<(Spanned<String>, ParamValue)>,
    /// Steps with another result. The value replaces theirs.
    pub(super) result: Vec<(Spanned<String>, Node)>,
    /// Lists that replace those of `[expect]`, by key.
    pub(super) expect: Vec<(&'static str, Node)>,
}

/// `[sweep]`: many points, each run under many seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Parameters with another value than in a single run.
    pub set: Vec<(Spanned<String>, ParamValue)>,
    /// The parameters that vary; every combination is a point.
    pub over: Vec<(Spanned<String>, Axis)>,
    /// How many seeds each point is run under.
    pub seeds: u64,
    /// What is measured, by name; the sweep reads the expressions.
    pub measure: Vec<(Spanned<String>, Spanned<String>)>,
}

/// What a parameter of a sweep runs through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// These values.
    Values(Vec<ParamValue>),
    /// `dist NAME`: drawn anew in each run.
    Dist(String),
}

/// The parameter every sim has.
pub(super) const IP: &str = "ip";

/// Reads `[params]`.
pub(super) fn params(node: &Node, sink: &mut Sink) -> Vec<Param> {
    let Some(table) = node.table() else {
        sink.wrong_type::<()>(node, "a table of parameters, like `rate = { default = 10, doc = \"…\" }`");
        return Vec::new();
    };
    let mut params = Vec::new();
    for entry in &table.entries {
        sink.gives(Kind::Param, &entry.key, entry.span.clone());
        if entry.key.contains('-') {
            let expected = "a parameter's name without `-`, which is a minus in `\"$a-1\"`".to_owned();
            sink.place(entry.span.clone(), Fact::BadValue { found: entry.key.clone(), expected });
        }
        if entry.key == IP {
            let why = "every sim has this parameter; its values are 4 and 6".to_owned();
            sink.place(entry.span.clone(), Fact::NotApplicable { what: IP.to_owned(), why });
        }
        let of = format!("parameter `{}`", entry.key);
        let Some(mut fields) = Fields::of(&entry.node, of, sink) else { continue };
        let (default, doc) = (fields.need("default"), fields.need("doc"));
        fields.finish();
        let name = Spanned::new(entry.key.clone(), entry.span.clone());
        if let (Some(default), Some(doc)) = (default, doc) {
            params.push(Param { name, default, doc });
        }
    }
    params
}

/// Reads all of `[[variant]]`.
pub(super) fn variants(node: &Node, sink: &mut Sink) -> Vec<Variant> {
    match &node.value {
        Value::List(list) => list.iter().filter_map(|node| variant(node, sink)).collect(),
        _ => sink.wrong_type(node, "variants, each under `[[variant]]`").unwrap_or_default(),
    }
}

fn variant(node: &Node, sink: &mut Sink) -> Option<Variant> {
    let mut fields = Fields::of(node, "a variant", sink)?;
    let name: Option<Spanned<String>> = fields.need("name");
    if let Some(name) = &name {
        let (kind, name, span) = (Kind::Variant, (**name).clone(), name.span());
        fields.sink.given.push(super::decode::Mention { kind, name, span, note: None });
    }
    let set = settings(fields.node("set"), fields.sink);
    let mut result = Vec::new();
    if let Some(node) = fields.node("result") {
        match node.table() {
            Some(table) => {
                for entry in &table.entries {
                    let key = Node::new(Value::Text(entry.key.clone()), entry.span.clone());
                    result.push((fields.sink.uses(Kind::Step, &entry.key, &key), entry.node.clone()));
                }
            }
            None => fields.sink.wrong_type(node, "a table of results by step").unwrap_or_default(),
        }
    }
    // `expect` is what is looked at once, the list called `at` in `[expect]`.
    let keys = [("expect", "at"), ("violates", "violates"), ("always", "always"), ("segments", "segments")];
    let mut expect = Vec::new();
    for (key, replaces) in keys {
        let Some(node) = fields.node(key) else { continue };
        if matches!(node.value, Value::List(_)) {
            expect.push((replaces, node.clone()));
        } else {
            fields.sink.wrong_type::<()>(node, "a list that replaces the one in `[expect]`");
        }
    }
    fields.finish();
    Some(Variant { name: name?, set, result, expect })
}

/// `set = { NAME = value }`.
fn settings(node: Option<&Node>, sink: &mut Sink) -> Vec<(Spanned<String>, ParamValue)> {
    let Some(node) = node else { return Vec::new() };
    let Some(table) = node.table() else {
        return sink.wrong_type(node, "a table of parameters, like `{ rate = 10 }`").unwrap_or_default();
    };
    let mut set = Vec::new();
    for entry in &table.entries {
        let key = Node::new(Value::Text(entry.key.clone()), entry.span.clone());
        let name = sink.uses(Kind::Param, &entry.key, &key);
        set.extend(value_of(&name, &entry.node, sink).map(|value| (name, value)));
    }
    set
}

/// A value for the parameter called `name`.
fn value_of(name: &str, node: &Node, sink: &mut Sink) -> Option<ParamValue> {
    match ParamValue::decode(node, sink)? {
        value if name == IP && !is_ip_version(&value) => sink.bad(node, IP_VERSIONS),
        value => Some(value),
    }
}

/// Whether `value` is one for the parameter `ip`.
pub(super) fn is_ip_version(value: &ParamValue) -> bool {
    matches!(value, ParamValue::Int(4 | 6))
}

pub(super) const IP_VERSIONS: &str = "4 or 6 for the parameter `ip`";

/// Reads `[sweep]`.
pub(super) fn sweep(node: &Node, sink: &mut Sink) -> Option<Sweep> {
    let mut fields = Fields::of(node, "`[sweep]`", sink)?;
    let set = settings(fields.node("set"), fields.sink);
    if !fields.has("over") {
        fields.missing("`over`, the parameters that vary,");
    }
    let over = fields.node("over").map_or_else(Vec::new, |node| axes(node, fields.sink));
    let seeds = fields.or("seeds", 1);
    if seeds == 0 || seeds > limit::SEEDS {
        let node = fields.node("seeds")?;
        fields.sink.bad::<()>(node, format!("a number of seeds from 1 to {}", limit::SEEDS));
    }
    let mut measure = Vec::new();
    if let Some(node) = fields.node("measure") {
        match node.table() {
            Some(table) => {
                for entry in &table.entries {
                    let name = Spanned::new(entry.key.clone(), entry.span.clone());
                    measure.extend(Spanned::decode(&entry.node, fields.sink).map(|text| (name, text)));
                }
            }
            None => fields.sink.wrong_type(node, "a table of measures by name").unwrap_or_default(),
        }
    }
    fields.finish();
    Some(Sweep { set, over, seeds, measure })
}

fn axes(node: &Node, sink: &mut Sink) -> Vec<(Spanned<String>, Axis)> {
    let Some(table) = node.table() else {
        return sink.wrong_type(node, "a table of values, like `{ rate = [1, 2, 3] }`").unwrap_or_default();
    };
    let mut axes = Vec::new();
    let mut total = 0;
    for entry in &table.entries {
        let key = Node::new(Value::Text(entry.key.clone()), entry.span.clone());
        let name = sink.uses(Kind::Param, &entry.key, &key);
        let axis = match (&entry.node.value, entry.node.text().and_then(|text| text.strip_prefix("dist "))) {
            (_, Some(name)) => dist(&entry.node, name.trim(), sink).map(Axis::Dist),
            (Value::List(list), _) if !list.is_empty() => {
                total += list.len();
                list.iter().map(|node| value_of(&name, node, sink)).collect::<Option<_>>().map(Axis::Values)
            }
            (Value::List(_), _) => sink.bad(&entry.node, "at least one value"),
            _ => sink.wrong_type(&entry.node, "a list of values, or `\"dist NAME\"`"),
        };
        axes.extend(axis.map(|axis| (name, axis)));
    }
    if total > limit::SWEEP {
        let max = limit::SWEEP.to_string();
        sink.at(node, Fact::TooMuch { what: "the number of values of a sweep", found: total.to_string(), max });
    }
    axes
}
