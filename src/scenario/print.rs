//! A tree as TOML: one line an entry, sections as people write them.

use super::tree::{Entry, Node, Table, Value};
use std::fmt::Write;

/// The whole file, which reads back as an equal tree.
pub(super) fn print(root: &Table) -> String {
    let mut out = String::new();
    for entry in root.entries.iter().filter(|entry| !is_section(&entry.node)) {
        let _ = match &entry.node.value {
            Value::Text(text) if text.contains('\n') => writeln!(out, "{} = {}", key(&entry.key), block(text)),
            _ => writeln!(out, "{} = {}", key(&entry.key), inline(&entry.node)),
        };
    }
    for entry in root.entries.iter().filter(|entry| is_section(&entry.node)) {
        match &entry.node.value {
            Value::List(list) => {
                for table in list.iter().filter_map(Node::table) {
                    let _ = writeln!(out, "\n[[{}]]", key(&entry.key));
                    section(table, &mut out);
                }
            }
            Value::Table(table) => {
                let _ = writeln!(out, "\n[{}]", key(&entry.key));
                section(table, &mut out);
            }
            Value::Text(_) | Value::Int(_) | Value::Bool(_) => {}
        }
    }
    out
}

/// Whether it is printed under `[…]` or `[[…]]`.
fn is_section(node: &Node) -> bool {
    match &node.value {
        Value::Table(_) => true,
        Value::List(list) => !list.is_empty() && list.iter().all(|item| item.table().is_some()),
        Value::Text(_) | Value::Int(_) | Value::Bool(_) => false,
    }
}

/// The entries of a section: a list of tables has one line each.
fn section(table: &Table, out: &mut String) {
    for entry in &table.entries {
        let _ = match &entry.node.value {
            Value::List(list) if list.len() > 1 || is_section(&entry.node) => {
                let lines: String = list.iter().map(|item| format!("  {},\n", inline(item))).collect();
                writeln!(out, "{} = [\n{lines}]", key(&entry.key))
            }
            _ => writeln!(out, "{} = {}", key(&entry.key), inline(&entry.node)),
        };
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => quoted(text),
        Value::Int(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if table.entries.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entries: Vec<String> = table.entries.iter().flat_map(|entry| dotted("", entry)).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// `key = value`; tables of sysctls and counters as names with dots, as people write them.
fn dotted(prefix: &str, entry: &Entry) -> Vec<String> {
    let name = format!("{prefix}{}", key(&entry.key));
    let dots = !prefix.is_empty() || ["net", "kern"].contains(&entry.key.as_str()) || is_counter(&entry.key);
    match &entry.node.value {
        Value::Table(table) if dots && !table.entries.is_empty() => {
            table.entries.iter().flat_map(|entry| dotted(&format!("{name}."), entry)).collect()
        }
        _ => vec![format!("{name} = {}", inline(&entry.node))],
    }
}

/// Groups of counters are written with a capital letter.
fn is_counter(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_uppercase())
}

fn key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.chars().map(|c| escaped(c, false)).collect::<String>())
}

/// A text of several lines as such.
fn block(text: &str) -> String {
    format!("\"\"\"\n{}\"\"\"", text.chars().map(|c| escaped(c, true)).collect::<String>())
}

fn escaped(c: char, block: bool) -> String {
    match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' if block => "\n".to_owned(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    }
}
