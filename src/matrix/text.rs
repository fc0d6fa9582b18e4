//! The table as text.

use super::cell::{Outcome, View};
use super::experiment::{Block, Matrix, Numbers, Start};
use super::fold::{Columns, Row, fold};
use crate::endpoint::State;
use std::fmt;

impl Block {
    /// The state, and which of two where there are two.
    pub fn title(&self) -> String {
        let way = if self.crossed { " after SYN-SENT" } else { "" };
        format!("{}{way}", self.state)
    }

    /// Its experiments, those of the same outcome in one row.
    pub fn rows(&self) -> Vec<Row<Outcome>> {
        fold(|kind, seq, ack| {
            let cell = self.cells.iter().find(|cell| (cell.kind, cell.seq, cell.ack) == (kind, seq, ack));
            cell.map(|cell| cell.outcome.clone())
        })
    }

    /// What the endpoint calls the segments of a row.
    fn why(&self, row: &Row<Outcome>) -> String {
        let mut names: Vec<&str> = Vec::new();
        for cell in self.cells.iter().filter(|cell| row.has(cell.kind, cell.seq, cell.ack)) {
            names.extend(cell.why.filter(|why| !names.contains(why)));
        }
        match names[..] {
            [] => String::new(),
            [a, b, c, _, ..] => format!("({a}; {b}; {c}; …)"),
            _ => format!("({})", names.join("; ")),
        }
    }
}

impl Outcome {
    /// What came back: `-` for nothing.
    pub(super) fn replies_text(&self) -> String {
        let replies: Vec<String> = self.replies.iter().map(ToString::to_string).collect();
        if replies.is_empty() { "-".to_owned() } else { replies.join("; ") }
    }

    /// `stays`, or where it goes.
    pub(super) fn state_text(&self, from: State) -> String {
        match self.state {
            None => "?".to_owned(),
            Some(state) if state == from && self.restarts => "stays, 2MSL anew".to_owned(),
            Some(state) if state == from => "stays".to_owned(),
            Some(state) => format!("-> {state}"),
        }
    }

    /// What the application sees; `-` where that is what it saw `before`.
    pub(super) fn view_text(&self, before: Option<View>) -> String {
        match self.view {
            Some(view) if self.view != before => view.to_string(),
            _ => "-".to_owned(),
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = match &self.start {
            Err(error) => return writeln!(f, "{}: not reached: {error}", self.title()),
            Ok(start) => start,
        };
        writeln!(f, "{}{start}", self.title())?;
        let mut columns = Columns::default();
        let heads = ["segment", "SEG.SEQ", "SEG.ACK", "reply", "state", "application", ""];
        columns.line(heads.map(str::to_owned).to_vec());
        for row in self.rows() {
            let outcome = &row.value;
            let place = [row.kinds_text(), row.seqs_text(), row.acks_text()];
            let came = [outcome.replies_text(), outcome.state_text(self.state), outcome.view_text(start.view)];
            columns.line(place.into_iter().chain(came).chain([self.why(&row)]).collect());
        }
        columns.write(f)
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numbers { snd, rcv } = self.numbers;
        let snd = snd.map(|(una, nxt)| format!("snd.una {una}, snd.nxt {nxt}"));
        let rcv = rcv.map(|(nxt, end)| format!("rcv.nxt {nxt}, window to {end}"));
        let view = self.view.map(|view| format!("application: {view}"));
        let parts: Vec<String> = [snd, rcv, view].into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, ": {}", parts.join(", ")) }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, block) in self.blocks.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{block}")?;
        }
        Ok(())
    }
}
