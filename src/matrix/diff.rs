use super::cell::{Kind, Outcome, SegAck, SegSeq, View};
use super::experiment::{Block, Matrix};
use super::fold::{Row, fold};
use super::source::{DELAYED_ACK, Source, named, rule, sources};
use crate::endpoint::State;
use crate::host::Profile;
use std::fmt;

/// Where two endpoints do otherwise.
#[derive(Clone, Debug)]
pub struct Diff {
    /// What the two are called.
    pub names: (String, String),
    /// Rows of experiments that came to something else, in the order of the states.
    pub differences: Vec<Difference>,
    /// States that only one of them, or neither, could be brought into, and why.
    pub missing: Vec<String>,
    /// How many experiments differ, and how many were made with both.
    pub counts: (usize, usize),
}

/// Experiments in which two endpoints differ in the same way.
#[derive(Clone, Debug)]
pub struct Difference {
    /// In which state.
    pub state: State,
    /// The state as the table calls it: `SYN-RECEIVED after SYN-SENT`.
    pub title: String,
    /// Which segments, and what either makes of them.
    pub row: Row<(Outcome, Outcome)>,
    /// The passage that says what is to happen.
    pub rule: String,
    /// Lines of the two profiles that say why it does not, where there are any.
    pub sources: Vec<Source>,
    /// Whether the two answer alike, and one of them later.
    pub is_delay: bool,
    before: (Option<View>, Option<View>),
}

impl Diff {
    /// Holds two matrices against each other.
    ///
    /// An application's view counts as far as it changed: where one system shows another readiness in a state before
    /// anything comes, not every row of that state differs.
    pub fn of(left: (&str, &Matrix), right: (&str, &Matrix)) -> Diff {
        let names = (left.0.to_owned(), right.0.to_owned());
        let mut diff = Diff { names, differences: Vec::new(), missing: Vec::new(), counts: (0, 0) };
        for (left, right) in left.1.blocks.iter().zip(&right.1.blocks) {
            diff.block(left, right);
        }
        diff
    }

    /// The same, for two profiles, with what they say about themselves.
    pub fn of_profiles(left: (Profile, &Matrix), right: (Profile, &Matrix)) -> Diff {
        let mut diff = Diff::of((left.0.name(), left.1), (right.0.name(), right.1));
        for difference in &mut diff.differences {
            let (row, pair) = (&difference.row, (left.0, right.0));
            difference.sources = match difference.is_delay {
                true => named(pair, DELAYED_ACK),
                false => sources(pair, difference.state, &row.kinds),
            };
        }
        diff
    }

    fn block(&mut self, left: &Block, right: &Block) {
        let state = left.state;
        let (ours, theirs) = match (&left.start, &right.start) {
            (Ok(ours), Ok(theirs)) => (ours.view, theirs.view),
            (ours, theirs) => {
                for (name, start) in [(&self.names.0, ours), (&self.names.1, theirs)] {
                    self.missing.extend(start.as_ref().err().map(|error| format!("{}: {name}: {error}", left.title())));
                }
                return;
            }
        };
        let before = (ours, theirs);
        self.counts.1 += left.cells.len();
        let at = |kind: Kind, seq: SegSeq, ack: SegAck| {
            let find = |block: &Block| {
                let cell = block.cells.iter().find(|cell| (cell.kind, cell.seq, cell.ack) == (kind, seq, ack));
                cell.map(|cell| cell.outcome.clone())
            };
            let (left, right) = (find(left)?, find(right)?);
            (!same(&left, &right, before)).then_some((left, right))
        };
        for row in fold(at) {
            self.counts.0 += row.kinds.len() * row.seqs.len() * row.acks.len();
            let is_delay = is_delay(&row.value.0, &row.value.1);
            let rule = match is_delay {
                true => "RFC 9293 3.8.6.3 (SHLD-18, MUST-40)".to_owned(),
                false => rule(state, &row.kinds, &row.seqs),
            };
            let (title, sources) = (left.title(), Vec::new());
            self.differences.push(Difference { state, title, row, rule, sources, is_delay, before });
        }
    }
}

fn same(left: &Outcome, right: &Outcome, before: (Option<View>, Option<View>)) -> bool {
    let news = |outcome: &Outcome, before| if outcome.view == before { None } else { outcome.view };
    // An endpoint that shows no state agrees with any.
    let states = left.state.is_none() || right.state.is_none() || left.state == right.state;
    states
        && left.replies == right.replies
        && left.restarts == right.restarts
        && news(left, before.0) == news(right, before.1)
}

/// Whether both give the same answers, and one of them later.
fn is_delay(left: &Outcome, right: &Outcome) -> bool {
    let texts = |outcome: &Outcome| outcome.replies.iter().map(|reply| reply.text.clone()).collect::<Vec<_>>();
    left.replies != right.replies && texts(left) == texts(right) && left.state == right.state
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = &self.names;
        let (differ, all) = self.counts;
        writeln!(f, "{left} and {right}: {differ} of {all} experiments differ, in {} rows", self.differences.len())?;
        for missing in &self.missing {
            writeln!(f, "\n{missing}")?;
        }
        let wide = left.len().max(right.len()).max("source".len());
        let mut cited: Vec<String> = Vec::new();
        for difference in self.differences.iter().filter(|difference| !difference.is_delay) {
            let Difference { state, title, row, rule, sources, before, .. } = difference;
            let (kinds, seqs, acks) = (row.kinds_text(), row.seqs_text(), row.acks_text());
            writeln!(f, "\n{title}  {kinds}  SEG.SEQ {seqs}  SEG.ACK {acks}")?;
            for (name, outcome, before) in [(left, &row.value.0, before.0), (right, &row.value.1, before.1)] {
                let (replies, view) = (outcome.replies_text(), outcome.view_text(before));
                let view = if view == "-" { String::new() } else { format!("; {view}") };
                writeln!(f, "  {name:wide$}  {replies}; {}{view}", outcome.state_text(*state))?;
            }
            writeln!(f, "  {:wide$}  {rule}", "rule")?;
            self.write_sources(f, sources, wide, &mut cited)?;
        }
        self.write_delays(f, wide, &mut cited)
    }
}

impl Diff {
    /// The lines of the profiles, each in full once and by its name after that.
    fn write_sources(
        &self,
        f: &mut fmt::Formatter<'_>,
        sources: &[Source],
        wide: usize,
        cited: &mut Vec<String>,
    ) -> fmt::Result {
        for source in sources {
            let text = source.to_string();
            if cited.contains(&text) {
                writeln!(f, "  {:wide$}  {}: {} (above)", "source", source.profile, source.behaviour.name)?;
            } else {
                writeln!(f, "  {:wide$}  {text}", "source")?;
                cited.push(text);
            }
        }
        Ok(())
    }

    /// What is only answered later, by one line a state.
    fn write_delays(&self, f: &mut fmt::Formatter<'_>, wide: usize, cited: &mut Vec<String>) -> fmt::Result {
        let delays: Vec<&Difference> = self.differences.iter().filter(|difference| difference.is_delay).collect();
        let Some(first) = delays.first() else { return Ok(()) };
        writeln!(f, "\nthe same answer at another time")?;
        let when = |outcome: &Outcome| {
            let times: Vec<String> = outcome.replies.iter().map(|reply| reply.after.to_string()).collect();
            times.join(", ")
        };
        for Difference { title, row, .. } in &delays {
            let (ours, theirs) = (when(&row.value.0), when(&row.value.1));
            let place = format!("{}  SEG.SEQ {}  SEG.ACK {}", row.kinds_text(), row.seqs_text(), row.acks_text());
            writeln!(f, "  {title}  {place}: after {ours}, {theirs}")?;
        }
        writeln!(f, "  {:wide$}  {}", "rule", first.rule)?;
        self.write_sources(f, &first.sources, wide, cited)
    }
}
