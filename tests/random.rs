//! Many random runs: random hosts, links, applications and disturbances, every oracle on.
//!
//! `cargo test --release --test random` makes all 10,000 runs; a debug build makes the first 1,000 of them. A run that
//! fails is reported with its seed and the command that replays it. In the end a table (`--nocapture` shows it) says how
//! often each transition, drop reason, timer, fate, impairment and error has been seen; each must have been, and what happens
//! at hosts at those of every profile, unless it stands in a list of exceptions with its reason.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

mod random {
    pub(crate) mod clumsy;
    pub(crate) mod coverage;
    pub(crate) mod draw;
    pub(crate) mod exceptions;
    pub(crate) mod load;
    pub(crate) mod resets;
    pub(crate) mod story;
    pub(crate) mod system;
    pub(crate) mod trouble;
    pub(crate) mod world;
}

use random::coverage::{Coverage, OF_HOSTS, Observer, wanted};
use random::exceptions::{EXCEPTIONS, LACKS};
use random::resets::ExactReset;
use random::story::story;
use std::sync::{Mutex, PoisonError};
use wirefate::explore;
use wirefate::host::Profile;
use wirefate::sim::Sim;
use wirefate::trace::Keep;

/// How many runs there are.
const RUNS: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
/// How often everything must be seen at least: ten times in 10,000 runs.
const LEAST: u64 = RUNS / 1_000;

static COVERAGE: Mutex<Coverage> = Mutex::new(Coverage::NONE);

#[test]
fn random_runs_hold() {
    wirefate::check(0..RUNS, |sim| {
        let mut oracles = wirefate::oracle::all();
        oracles.push(Box::new(ExactReset::new(sim.seed())));
        oracles.push(Box::new(Observer::new(&COVERAGE, sim.seed())));
        sim.set_oracles(oracles);
        if sim.seed() % 8 == 0 {
            sim.record_choices();
        }
        let (world, stopped) = story(sim);
        COVERAGE.lock().unwrap_or_else(PoisonError::into_inner).finish(sim, &world.apps, stopped);
    });
    let coverage = COVERAGE.lock().unwrap_or_else(PoisonError::into_inner);
    show(&coverage);
    // With WIREFATE_SEED there is one run, which covers little.
    if coverage.runs == RUNS {
        assert_complete(&coverage);
    }
}

#[test]
fn a_second_run_is_the_same() {
    let differs = explore::each(0..RUNS, 2, |seed| {
        let digest = |keep: Keep| {
            let mut sim = Sim::with(seed, keep);
            story(&mut sim);
            sim.digest()
        };
        let (first, second) = (digest(Keep::Nothing), digest(Keep::Full));
        (first != second).then_some((first, second))
    });
    assert_eq!(differs, None, "a seed and its two digests");
}

#[expect(clippy::print_stdout, reason = "the table is what the runs are for; `--nocapture` shows it")]
fn show(coverage: &Coverage) {
    println!("{coverage}");
}

/// Everything has been seen, or is excepted and has not.
fn assert_complete(coverage: &Coverage) {
    let excepted = |group: &str, name: &str| EXCEPTIONS.iter().any(|&(g, n, _)| (g, n) == (group, name));
    let wanted = wanted();
    let mut wrong = Vec::new();
    for (group, name) in &wanted {
        let hits = coverage.hits(group, name);
        match (excepted(group, name), hits >= LEAST) {
            (false, false) => wrong.push(format!("{group} {name}: seen {hits} times, not {LEAST}")),
            (true, true) => wrong.push(format!("{group} {name}: an exception, but seen {hits} times")),
            _ => {}
        }
    }
    for (group, name) in &wanted {
        if !OF_HOSTS.contains(group) || excepted(group, name) {
            continue;
        }
        for profile in Profile::ALL {
            let has_none = LACKS.iter().any(|&(of, g, n, _)| of.contains(&profile) && (g, n) == (*group, name));
            match (has_none, coverage.hits_of(profile, group, name)) {
                (false, hits) if hits < LEAST => wrong.push(format!("{profile}: {group} {name}: seen {hits} times")),
                (true, hits @ 1..) => wrong.push(format!("{profile}: {group} {name}: lacking, but seen {hits} times")),
                _ => {}
            }
        }
    }
    for (group, name, _) in EXCEPTIONS {
        if !wanted.iter().any(|(g, n)| (g, n.as_str()) == (group, name)) {
            wrong.push(format!("{group} {name}: an exception from nothing"));
        }
    }
    assert!(wrong.is_empty(), "after {RUNS} runs:\n  {}", wrong.join("\n  "));
}
