use super::env::{TestName, Wishes, wishes};
use super::pool::{Panic, each, quietly};
use super::report::{Artefact, Report};
use crate::net::Fault;
use crate::sim::{Outcome, Sim};
use crate::trace::Keep;
use std::ops::Range;
use std::panic::{Location, RefUnwindSafe};
use std::path::Path;

/// How many records a run without a trace remembers.
const RING: usize = 200;

/// Runs `story` under every seed of `seeds`, side by side, with all oracles on, and panics with a report of one screen
/// if it fails under any of them: if it panics, breaks a rule that an oracle watches, or exceeds a budget.
///
/// The lowest failing seed is run again with its whole trace, which is left in `target/wirefate/`. The story may be
/// run any number of times. `WIREFATE_SEED=37` runs one seed only and `WIREFATE_SEED=100..200` these instead,
/// `WIREFATE_FAULTS=file` replays recorded faults.
///
/// # Panics
/// If the story fails, or if panics cannot be caught because the test is built with `panic = "abort"`.
#[track_caller]
pub fn check(seeds: Range<u64>, story: impl Fn(&mut Sim) + Sync + RefUnwindSafe) {
    if cfg!(panic = "abort") {
        panic!("wirefate::check catches panics a run at a time, which `panic = \"abort\"` in the profile forbids");
    }
    let (wishes, caller, name) = (wishes(), Location::caller(), TestName::current());
    let faults = wishes.faults.as_deref().map(read_faults);
    let Wishes { jobs, seeds: instead, .. } = wishes;
    let range = instead.unwrap_or_else(|| seeds.clone());
    let run = |seed: u64, keep: Keep| one_run(seed, keep, faults.as_deref(), &story);
    let found = each(range, jobs, |seed| run(seed, Keep::Last(RING)).failure());
    let Some((seed, _)) = found else { return };
    let again = run(seed, Keep::Full);
    let recorded = again.sim.choices();
    let artefact = Artefact::write(&name, seed, &again.sim, &recorded);
    let report = Report {
        seed,
        seeds,
        caller,
        name: &name,
        panic: again.panic.as_ref(),
        outcome: &again.outcome,
        recorded: &recorded,
        artefact,
        replayed: faults.is_some(),
    };
    panic!("{report}");
}

/// One run of a story.
struct Run {
    sim: Sim,
    outcome: Outcome,
    panic: Option<Panic>,
}

impl Run {
    fn failure(self) -> Option<()> {
        (self.panic.is_some() || !self.outcome.held()).then_some(())
    }
}

fn one_run(seed: u64, keep: Keep, faults: Option<&[Fault]>, story: &impl Fn(&mut Sim)) -> Run {
    let mut sim = Sim::with(seed, keep);
    if keep == Keep::Full {
        sim.record_choices();
    }
    if let Some(faults) = faults {
        sim.replay(faults);
    }
    let panic = quietly(|| story(&mut sim)).err();
    let outcome = sim.outcome();
    Run { sim, outcome, panic }
}

/// Reads a list of faults, one a line; empty lines and lines that begin with `#` are passed over.
fn read_faults(path: &Path) -> Vec<Fault> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let parse = |(n, line): (usize, &str)| {
        line.parse().unwrap_or_else(|error| panic!("{}:{n}: {error}\n  {line}", path.display()))
    };
    lines.map(parse).collect()
}
