//! Values in place of `$name`.

use super::decode::Sink;
use super::error::{Fact, Kind};
use super::header::ParamValue;
use super::tree::{Node, Table, Value};
use std::collections::BTreeMap;

/// What each parameter is in a run.
pub(super) type Values = BTreeMap<String, ParamValue>;

/// The parts of a file that are shown to people and hold no parameters.
const PLAIN: [&str; 4] = ["format", "title", "source", "topic"];

/// Puts values in for the parameters in all of a file, and a plain `$` for `$$`.
pub(super) fn substitute(root: &mut Table, values: &Values, sink: &mut Sink) {
    for entry in root.entries.iter_mut().filter(|entry| !PLAIN.contains(&entry.key.as_str())) {
        if entry.key == "story" {
            // A story may speak of dollars without meaning a parameter.
            if let Value::Text(text) = &mut entry.node.value {
                *text = expand(text, values, &mut Vec::new(), &mut Vec::new());
            }
        } else {
            walk(&mut entry.node, &mut |node| replace(node, values, sink));
        }
    }
}

/// Writes `$$` for each `$` in a file whose parameters have values, so that it reads as what it is.
pub(super) fn escape(root: &mut Table) {
    for entry in root.entries.iter_mut().filter(|entry| !PLAIN.contains(&entry.key.as_str())) {
        walk(&mut entry.node, &mut |node| {
            if let Value::Text(text) = &mut node.value {
                *text = text.replace('$', "$$");
            }
        });
    }
}

fn walk(node: &mut Node, visit: &mut impl FnMut(&mut Node)) {
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|node| walk(node, visit)),
        Value::Table(table) => table.entries.iter_mut().for_each(|entry| walk(&mut entry.node, visit)),
        Value::Text(_) | Value::Int(_) | Value::Bool(_) => visit(node),
    }
}

fn replace(node: &mut Node, values: &Values, sink: &mut Sink) {
    let Some(text) = node.text().filter(|text| text.contains('$')) else { return };
    let (mut used, mut unknown) = (Vec::new(), Vec::new());
    let expanded = expand(text, values, &mut used, &mut unknown);
    for name in unknown {
        let known = values.keys().cloned().collect();
        sink.at(node, Fact::UnknownName { kind: Kind::Param, name, known });
    }
    let whole = text.strip_prefix('$').filter(|name| ident(name) == name.len()).and_then(|name| values.get(name));
    let value = match (whole, sum(text, values)) {
        (Some(value), _) => value.to_value(),
        (None, Some(Ok(n))) => Value::Int(n),
        (None, Some(Err(()))) => {
            sink.at(node, Fact::TooMuch { what: "the sum", found: expanded, max: i64::MAX.to_string() });
            return;
        }
        (None, None) => Value::Text(expanded),
    };
    let notes: Vec<String> =
        used.iter().filter_map(|name| Some(format!("`${name}` is `{}` in this run", values.get(name)?))).collect();
    node.origin = (!notes.is_empty()).then(|| notes.join(", "));
    node.value = value;
}

/// Length of the name that `text` begins with.
fn ident(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_alphabetic()) {
        return 0;
    }
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// `text` with the text of each value in place of its parameter.
fn expand(text: &str, values: &Values, used: &mut Vec<String>, unknown: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (name, after) = rest.split_at(ident(rest));
        match values.get(name) {
            Some(value) => {
                out.push_str(&value.to_string());
                used.push(name.to_owned());
            }
            None => {
                out.push('$');
                out.push_str(name);
                if !name.is_empty() {
                    unknown.push(name.to_owned());
                }
            }
        }
        rest = after;
    }
    out + rest
}

/// The integer that `"$backlog + 1"` is; `None` if `text` is no sum of integers, an error where it is out of range.
/// `*` binds tighter than `+` and `-`.
fn sum(text: &str, values: &Values) -> Option<Result<i64, ()>> {
    let mut terms: Vec<(bool, Result<i64, ()>)> = Vec::new();
    let mut rest = text.trim();
    let mut operator = '+';
    loop {
        let (operand, after) = operand(rest, values)?;
        match (operator, terms.last_mut()) {
            ('*', Some((_, product))) => *product = product.and_then(|n| n.checked_mul(operand).ok_or(())),
            (sign, _) => terms.push((sign == '-', Ok(operand))),
        }
        rest = after.trim_start();
        let Some(next) = rest.chars().next() else { break };
        operator = ['+', '-', '*'].into_iter().find(|known| *known == next)?;
        rest = rest[1..].trim_start();
    }
    Some(terms.into_iter().try_fold(0i64, |sum, (minus, term)| {
        let term = term?;
        if minus { sum.checked_sub(term) } else { sum.checked_add(term) }.ok_or(())
    }))
}

/// The integer or integer parameter that `text` begins with, and what follows it.
fn operand<'a>(text: &'a str, values: &Values) -> Option<(i64, &'a str)> {
    if let Some(name) = text.strip_prefix('$') {
        let (name, after) = name.split_at(ident(name));
        return match values.get(name) {
            Some(ParamValue::Int(n)) => Some((*n, after)),
            _ => None,
        };
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let text = |text: &str| ParamValue::Text(text.to_owned());
        [("n", ParamValue::Int(128)), ("held", text("90s")), ("on", ParamValue::Bool(true))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn replaced(text: &str) -> Value {
        let mut node = Node::new(Value::Text(text.to_owned()), 0..0);
        let mut sink = Sink::default();
        replace(&mut node, &values(), &mut sink);
        assert!(sink.mistakes.is_empty(), "{text}: {:?}", sink.mistakes);
        node.value
    }

    #[test]
    fn a_parameter_alone_keeps_its_type() {
        assert_eq!(replaced("$n"), Value::Int(128));
        assert_eq!(replaced("$on"), Value::Bool(true));
        assert_eq!(replaced("$held"), Value::Text("90s".into()));
    }

    #[test]
    fn sums_are_integers() {
        for (text, expected) in [("$n + 1", 129), ("2*$n-1", 255), ("1 - $n * 2 + $n", -127)] {
            assert_eq!(replaced(text), Value::Int(expected), "{text}");
        }
    }

    #[test]
    fn elsewhere_the_text_is_put_in() {
        for (text, expected) in [("$n/s", "128/s"), ("+$held", "+90s"), ("$$n", "$n"), ("5 $", "5 $"), ("$5", "$5")] {
            assert_eq!(replaced(text), Value::Text(expected.into()), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_or_too_large_is_a_mistake() {
        for text in ["$m", "$n + $m", "$n * 9223372036854775807"] {
            let mut node = Node::new(Value::Text(text.to_owned()), 0..0);
            let mut sink = Sink::default();
            replace(&mut node, &values(), &mut sink);
            assert_eq!(sink.mistakes.len(), 1, "{text}");
        }
    }
}
