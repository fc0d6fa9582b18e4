use super::cell::{Kind, Reply};
use super::experiment::Matrix;
use crate::endpoint::{Event, State};
use crate::sim::Sim;
use crate::trace::What;
use crate::wire::flags_text;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

/// The states of TCP and how an endpoint left them: the segments of its [`Matrix`], the calls of its user, its timers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagram {
    /// Every way from one state into another, in the order of the states.
    pub edges: Vec<Edge>,
    marked: bool,
}

/// The ways from one state into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From.
    pub from: State,
    /// To.
    pub to: State,
    /// Each with what is sent, as the diagram of RFC 9293 3.3.2 has them: `rcv FIN-ACK / .`, `close / F.`.
    pub labels: Vec<String>,
    /// How often a run went this way.
    pub taken: u32,
}

impl Diagram {
    /// The ways that a matrix saw.
    pub fn of(matrix: &Matrix) -> Diagram {
        let mut diagram = Diagram { edges: Vec::new(), marked: false };
        for block in &matrix.blocks {
            for step in &block.moves {
                let label = format!("{} / {}", step.event, letters(&step.replies));
                let labels = &mut diagram.edge(block.state, step.to).labels;
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        for (from, to) in State::ALL.into_iter().flat_map(|from| State::ALL.map(|to| (from, to))) {
            for label in received(matrix, from, to) {
                diagram.edge(from, to).labels.push(label);
            }
        }
        diagram
    }

    /// Marks the ways that the connections of a run took, on all its hosts, as far as its records were kept.
    ///
    /// A passive open that fails is drawn as RFC 9293 3.3.2 draws it, back to LISTEN: the connection is gone, and its
    /// listener is where it was.
    pub fn mark(&mut self, sim: &Sim) {
        let mut passive = BTreeSet::new();
        for record in sim.records() {
            let What::Noted { event: Event::Transition { tuple, from, to, .. }, .. } = record.what else { continue };
            let end = (record.node, tuple);
            if from == State::Listen {
                passive.insert(end);
            }
            let failed = passive.contains(&end) && from == State::SynReceived && to == State::Closed;
            self.take(from, if failed { State::Listen } else { to });
            if to == State::Closed {
                passive.remove(&end);
            }
        }
        self.marked = true;
    }

    fn take(&mut self, from: State, to: State) {
        let edge = self.edge(from, to);
        edge.taken += 1;
        if edge.labels.is_empty() {
            edge.labels.push("in this run only".to_owned());
        }
    }

    fn edge(&mut self, from: State, to: State) -> &mut Edge {
        let order = |state| State::ALL.iter().position(|&other| other == state);
        let key = (order(from), order(to));
        let at = match self.edges.binary_search_by_key(&key, |edge| (order(edge.from), order(edge.to))) {
            Ok(at) => at,
            Err(at) => {
                self.edges.insert(at, Edge { from, to, labels: Vec::new(), taken: 0 });
                at
            }
        };
        &mut self.edges[at]
    }

    /// The diagram in the language of graphviz: `dot -Tsvg`.
    pub fn dot(&self, title: &str) -> String {
        let mut text = String::from("digraph states {\n");
        let _ = writeln!(text, "  label={};", quoted(title));
        text += "  labelloc=t; rankdir=TB; nodesep=0.6; ranksep=0.9;\n";
        text += "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\"];\n";
        text += "  edge [fontname=\"Helvetica\", fontsize=9];\n";
        let visited = |state| self.edges.iter().any(|edge| edge.taken > 0 && (edge.from == state || edge.to == state));
        for state in State::ALL {
            let style = if visited(state) { " [fillcolor=\"#dceaf7\", penwidth=2]" } else { "" };
            let _ = writeln!(text, "  {}{style};", quoted(state.name()));
        }
        for edge in &self.edges {
            let mut labels = edge.labels.join("\n");
            if edge.taken > 1 {
                let _ = write!(labels, "\n{} times", edge.taken);
            }
            let style = match (self.marked, edge.taken) {
                (false, _) => "",
                (true, 0) => ", color=grey70, fontcolor=grey50",
                (true, _) => ", color=\"#1f5fa8\", fontcolor=\"#1f5fa8\", penwidth=3",
            };
            let (from, to) = (quoted(edge.from.name()), quoted(edge.to.name()));
            let _ = writeln!(text, "  {from} -> {to} [label={}{style}];", quoted(&labels));
        }
        text += "}\n";
        text
    }
}

/// The segments that lead from one state into another, those with the same answer in one label.
fn received(matrix: &Matrix, from: State, to: State) -> Vec<String> {
    let mut seen: Vec<(String, Vec<Kind>)> = Vec::new();
    let cells = matrix.blocks.iter().filter(|block| block.state == from && from != to).flat_map(|block| &block.cells);
    for cell in cells.filter(|cell| cell.outcome.state == Some(to)) {
        let letters = letters(&cell.outcome.replies);
        match seen.iter_mut().find(|(known, _)| *known == letters) {
            Some((_, kinds)) if kinds.contains(&cell.kind) => {}
            Some((_, kinds)) => kinds.push(cell.kind),
            None => seen.push((letters, vec![cell.kind])),
        }
    }
    let label = |(letters, mut kinds): (String, Vec<Kind>)| {
        kinds.sort_unstable();
        let kinds: Vec<&str> = kinds.into_iter().map(Kind::name).collect();
        format!("rcv {} / {letters}", kinds.join(", "))
    };
    seen.into_iter().map(label).collect()
}

/// A string of the language: quotes and newlines are what needs care.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn letters(replies: &[Reply]) -> String {
    let letters: Vec<String> = replies.iter().map(|reply| flags_text(reply.flags)).collect();
    if letters.is_empty() { "-".to_owned() } else { letters.join(" ") }
}

/// A line a way; `*` where a run went it.
impl fmt::Display for Diagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for edge in &self.edges {
            let mark = if edge.taken > 0 { "*" } else { " " };
            let way = format!("{} -> {}", edge.from, edge.to);
            let times = if edge.taken > 1 { format!("  ({} times)", edge.taken) } else { String::new() };
            writeln!(f, "{mark} {way:<28}  {}{times}", edge.labels.join("; "))?;
        }
        Ok(())
    }
}
