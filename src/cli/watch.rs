//! `wirefate run --watch`.

use super::Trouble;
use super::args::{Format, RunArgs, TableFormat};
use super::netstat::{cell, known_host};
use crate::scenario::{Instance, Played};
use crate::sim::{Sim, Watch, WatchId};
use crate::time::Span;

/// What `--watch` asks for: hosts and intervals, and once the run is built, the watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    asked: Vec<(String, Span)>,
    ids: Vec<WatchId>,
}

impl Watches {
    pub(super) fn asked(args: &RunArgs, instance: &Instance) -> Result<Watches, Trouble> {
        let mut asked = Vec::new();
        for pair in args.watch.chunks(2) {
            let [host, every] = pair else { continue };
            let help = "`--watch HOST INTERVAL`, like `--watch server 500ms`";
            let span: Span =
                every.parse().map_err(|error| Trouble::usage(format!("`--watch {host} {every}`: {error}"), help))?;
            if span == Span::ZERO {
                return Err(Trouble::usage(format!("`--watch {host} {every}`: an interval takes time"), help));
            }
            asked.push((known_host(instance, host)?, span));
        }
        if args.format == Format::Json && !asked.is_empty() {
            let help = "`--format none` prints the watch alone, and `--watch-format csv` for a program";
            return Err(Trouble::usage("a table does not go between the lines of `--format json`", help));
        }
        Ok(Watches { asked, ids: Vec::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn begin(&mut self, sim: &mut Sim) {
        let nodes = self.asked.iter().filter_map(|(host, every)| Some((sim.find(host)?, *every)));
        let nodes: Vec<_> = nodes.collect();
        self.ids = nodes.into_iter().map(|(node, every)| sim.watch(node, every)).collect();
    }

    /// The tables. `head` is the last head of a CSV that was printed: one that is the same is left out.
    pub(super) fn show(&self, played: &Played, format: TableFormat, head: &mut Option<String>) -> String {
        let watches = self.ids.iter().map(|id| played.sim.watched(*id));
        match format {
            TableFormat::Text => watches.map(|watch| watch.to_string()).collect::<Vec<_>>().join("\n"),
            TableFormat::Csv => watches.map(|watch| csv(played, &watch, head)).collect(),
        }
    }
}

/// The rows with the sim and its seed before them, so that those of several runs fit into one file.
fn csv(played: &Played, watch: &Watch, head: &mut Option<String>) -> String {
    let header = played.sim.header();
    let (mut text, rows) = (String::new(), watch.csv());
    let mut lines = rows.lines();
    let first = lines.next().map(|line| format!("sim,seed,{line}\n"));
    if *head != first {
        text += first.as_deref().unwrap_or_default();
        *head = first;
    }
    for line in lines {
        text += &format!("{},{},{line}\n", cell(&header.sim), header.seed);
    }
    text
}
