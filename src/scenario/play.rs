//! Playing an instance: its steps at their times, after each other, or when something is seen.

use super::build::{Hosts, build};
use super::excerpt::excerpt;
use super::judge::{Failure, Judge};
use super::perform::ending;
use super::{Disturbance, Error, Instance, LinkEnds, Nature, Outcome, Start, Verb};
use crate::endpoint::Errno;
use crate::net;
use crate::sim::{AppId, Ended, Returned, Sim, Stream};
use crate::time::{SimTime, Span};
use crate::trace::{Done, Header, Keep, NodeId, Trace, Verdict};
use std::collections::BTreeMap;

/// A scenario that was played to its end.
pub struct Played {
    /// The run.
    pub sim: Sim,
    /// Expectations that did not hold.
    pub failures: Vec<Failure>,
    /// How many expectations were checked.
    pub expectations: usize,
}

impl Played {
    /// The run, ready to be rendered, with the verdict that includes expectations.
    pub fn trace(&self) -> Trace<'_> {
        Trace { verdict: Some(self.verdict()), ..self.sim.trace() }
    }

    /// The story as a snapshot keeps it: whole, or the two ends of a long one with the digest of all of it between.
    pub fn snapshot(&self) -> String {
        excerpt(&self.trace().story().to_string(), &self.sim.digest().to_string())
    }

    /// The verdict, expectations included.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.sim.outcome().verdict();
        verdict.expectations = self.expectations;
        verdict.broken = self.failures.iter().map(ToString::to_string).collect();
        verdict.held = self.failures.is_empty();
        verdict
    }
}

/// Plays `instance` of the sim `name` under `seed`. Expectations are held against what is kept of the run:
/// [`Keep::Story`] or [`Keep::Full`]. Where a step waits for something to be seen, at least the story is kept.
pub fn play(name: &str, instance: &Instance, seed: u64, keep: Keep) -> Result<Played, Error> {
    play_prepared(name, instance, seed, keep, |_| {})
}

/// Like [`play`], after `prepare` has changed the run that was built: other oracles, impairments masked.
pub fn play_prepared(
    name: &str,
    instance: &Instance,
    seed: u64,
    keep: Keep,
    prepare: impl FnOnce(&mut Sim),
) -> Result<Played, Error> {
    let mut player = Player::prepared(name, instance, seed, keep, prepare)?;
    player.run(None);
    Ok(player.finish())
}

/// Like [`play_prepared`], but only until `at`: what happens at this instant has happened, and nothing is judged.
/// Past the end of the run nothing changes any more, or the time that the file ends at is the last.
pub fn play_until(
    name: &str,
    instance: &Instance,
    seed: u64,
    keep: Keep,
    at: SimTime,
    prepare: impl FnOnce(&mut Sim),
) -> Result<Sim, Error> {
    let at = instance.until.map_or(at, |until| at.min(until));
    let mut player = Player::prepared(name, instance, seed, keep, prepare)?;
    player.run(Some(at));
    player.sim.run_until(at);
    Ok(player.sim)
}

/// Whether anything starts when something is seen in the records.
fn waits(instance: &Instance) -> bool {
    let loads = instance.loads.iter().map(|load| &load.start);
    let timed = instance.faults.iter().filter_map(|fault| match &fault.disturbance {
        Disturbance::Timed { start, .. } => Some(start),
        Disturbance::Packets { .. } => None,
    });
    let mut starts = instance.steps.iter().map(|step| &step.start).chain(loads).chain(timed);
    starts.any(|start| matches!(start, Start::When { .. }))
}

/// Everything that is done at some time: steps, loads, timed faults, in the order of the file.
struct Entry<'a> {
    start: &'a Start,
    deed: Deed<'a>,
    /// When it is to start, once that is known.
    due: Option<SimTime>,
    started: Option<SimTime>,
    /// For a call: its stream, and its number among that stream's calls.
    call: Option<(Stream, usize)>,
    returned: Option<Returned>,
}

enum Deed<'a> {
    Step(&'a super::Step),
    Load(&'a super::Load),
    Timed { on: Option<&'a str>, verb: &'a Verb, lasts: Option<Span> },
}

pub(super) struct Player<'a> {
    pub(super) instance: &'a Instance,
    pub(super) sim: Sim,
    pub(super) hosts: Hosts,
    entries: Vec<Entry<'a>>,
    pub(super) streams: BTreeMap<String, Stream>,
    pub(super) listeners: BTreeMap<(NodeId, u16), Stream>,
    pub(super) loads: BTreeMap<String, Vec<AppId>>,
    /// Calls handed to each stream so far.
    pub(super) handed: BTreeMap<Stream, usize>,
    /// Disturbances that end by themselves: when, and what ends them.
    pub(super) endings: Vec<(SimTime, Option<String>, Verb)>,
    seen: usize,
    pub(super) judge: Judge<'a>,
}

impl<'a> Player<'a> {
    /// Everything is built, and nothing has happened.
    fn prepared(
        name: &str,
        instance: &'a Instance,
        seed: u64,
        keep: Keep,
        prepare: impl FnOnce(&mut Sim),
    ) -> Result<Player<'a>, Error> {
        let keep = match keep {
            Keep::Nothing | Keep::Last(_) if waits(instance) => Keep::Story,
            keep => keep,
        };
        let mut sim = Sim::with(seed, keep);
        let hosts = build(instance, &mut sim)?;
        sim.set_header(header(name, instance, seed));
        prepare(&mut sim);
        let mut player = Player::new(instance, sim, hosts);
        player.faults();
        Ok(player)
    }

    fn new(instance: &'a Instance, sim: Sim, hosts: Hosts) -> Player<'a> {
        let entry = |start, deed| Entry { start, deed, due: None, started: None, call: None, returned: None };
        let steps = instance.steps.iter().map(|step| entry(&step.start, Deed::Step(step)));
        let loads = instance.loads.iter().map(|load| entry(&load.start, Deed::Load(load)));
        let timed = instance.faults.iter().filter_map(|fault| match &fault.disturbance {
            Disturbance::Packets { .. } => None,
            Disturbance::Timed { start, lasts, on, verb } => {
                let on = on.as_ref().map(|on| on.as_str());
                Some(entry(start, Deed::Timed { on, verb, lasts: *lasts }))
            }
        });
        let entries = steps.chain(loads).chain(timed).collect();
        Player {
            instance,
            sim,
            hosts,
            entries,
            streams: BTreeMap::new(),
            listeners: BTreeMap::new(),
            loads: BTreeMap::new(),
            handed: BTreeMap::new(),
            endings: Vec::new(),
            seen: 0,
            judge: Judge::new(&instance.expect),
        }
    }

    /// Forces the fates that the file asks for.
    fn faults(&mut self) {
        for fault in &self.instance.faults {
            let Disturbance::Packets { select, action, times, from, until } = &fault.disturbance else { continue };
            let links = match &select.link {
                None => vec![None],
                Some(ends) => self.directions(ends).into_iter().map(Some).collect(),
            };
            for link in links {
                let selector = net::Selector { link, ..select.to_net() };
                let action = action.clone();
                let name = fault.name.as_ref().map(ToString::to_string);
                let fault = net::Fault { name, selector, action, stage: None };
                self.sim.fault_within(fault, *times, from.unwrap_or(Span::ZERO), until.unwrap_or(Span::MAX));
            }
        }
    }

    /// Every directed link that `ends` means, groups member by member.
    pub(super) fn directions(&self, ends: &LinkEnds) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for from in self.instance.members(&ends.from) {
            for to in self.instance.members(&ends.to) {
                all.push((from.clone(), to.clone()));
                if ends.both {
                    all.push((to.clone(), from.clone()));
                }
            }
        }
        all
    }

    /// Events first; at one instant then the script, then what is looked at. Nothing that lies after `last`.
    fn run(&mut self, last: Option<SimTime>) {
        loop {
            self.resolve();
            let script = self.next_entry();
            let ending = self.endings.iter().map(|(at, ..)| *at).min();
            let check = self.judge.next_check();
            let until = self.instance.until;
            let event = self.sim.next_event_at().filter(|at| until.is_none_or(|until| *at <= until));
            let mine = [script.map(|(at, _)| at), ending, check].into_iter().flatten().min();
            let next = [event, mine].into_iter().flatten().min();
            if last.is_some_and(|last| next.is_none_or(|next| next > last)) {
                return;
            }
            match (event, mine) {
                (Some(event), mine) if mine.is_none_or(|mine| event <= mine) => {
                    if !self.sim.step() {
                        return;
                    }
                    self.observe();
                }
                (_, None) => return,
                (_, Some(at)) => {
                    self.sim.run_until(at);
                    match script.filter(|(due, _)| *due == at) {
                        Some((_, entry)) => self.start(entry),
                        None if ending == Some(at) => self.end_one(at),
                        None => self.look_at(at),
                    }
                }
            }
        }
    }

    /// The next entry to start, and when; the earlier in the file of two at one instant.
    fn next_entry(&self) -> Option<(SimTime, usize)> {
        let waiting = self.entries.iter().enumerate().filter(|(_, entry)| entry.started.is_none());
        waiting.filter_map(|(n, entry)| Some((entry.due?.max(self.sim.now()), n))).min()
    }

    /// Finds the instants of entries whose start is known by now.
    fn resolve(&mut self) {
        let mut above = SimTime::ZERO;
        let mut above_known = true;
        for n in 0..self.entries.len() {
            if self.entries[n].due.is_none() {
                self.entries[n].due = match self.entries[n].start {
                    Start::At(span) => Some(SimTime::ZERO + *span),
                    Start::Next(span) => above_known.then(|| above + *span),
                    Start::After { step, offset } => self.returned(step).map(|at| at + *offset),
                    Start::When { .. } => None,
                };
            }
            above_known = self.entries[n].due.is_some();
            above = self.entries[n].due.unwrap_or(above);
        }
    }

    /// When the step of this name returned.
    fn returned(&self, name: &str) -> Option<SimTime> {
        let entry = self.entry_of(name)?;
        entry.returned.as_ref().map(|returned| returned.at).or(entry.call.is_none().then_some(entry.started).flatten())
    }

    fn entry_of(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| match &entry.deed {
            Deed::Step(step) => step.name.as_ref().is_some_and(|n| n.as_str() == name),
            _ => false,
        })
    }

    /// What the step of this name returned.
    pub(super) fn result_of(&self, name: &str) -> Option<&Returned> {
        self.entry_of(name)?.returned.as_ref()
    }

    /// Looks at what has happened since the last look.
    fn observe(&mut self) {
        let now = self.sim.now();
        let total = self.sim.records().len();
        for n in self.seen..total {
            for entry in 0..self.entries.len() {
                if self.entries[entry].due.is_some() {
                    continue;
                }
                let Start::When { condition, offset } = self.entries[entry].start else { continue };
                if self.judge.meets(&self.sim, &self.hosts, condition, entry, n) {
                    self.entries[entry].due = Some(now + *offset);
                }
            }
        }
        self.seen = total;
        for entry in &mut self.entries {
            if let (Some((stream, number)), None) = (entry.call, &entry.returned) {
                entry.returned = self.sim.calls(stream).get(number).cloned();
            }
        }
    }

    fn start(&mut self, n: usize) {
        self.entries[n].started = Some(self.sim.now());
        match self.entries[n].deed {
            Deed::Step(step) => {
                let on = step.on.as_ref().map(|on| on.as_str());
                let name = step.name.as_ref().map(ToString::to_string);
                self.entries[n].call = self.perform(on, &step.verb, name);
            }
            Deed::Load(load) => self.start_load(load),
            Deed::Timed { on, verb, lasts } => {
                self.perform(on, verb, None);
                if let Some(lasts) = lasts {
                    let at = self.sim.now() + lasts;
                    let end = ending(verb);
                    self.endings.extend(end.map(|end| (at, on.map(str::to_owned), end)));
                }
            }
        }
        self.observe();
    }

    fn end_one(&mut self, at: SimTime) {
        if let Some(n) = self.endings.iter().position(|(due, ..)| *due == at) {
            let (_, on, verb) = self.endings.remove(n);
            self.perform(on.as_deref(), &verb, None);
        }
    }

    /// Nothing more happens.
    fn finish(mut self) -> Played {
        if self.instance.until.is_none_or(|_| self.sim.next_event_at().is_none()) {
            self.sim.run();
        }
        self.observe();
        let ended = self.sim.outcome().ended;
        let mut failures = Vec::new();
        if let Some(Ended::Exceeded(exceeded)) = ended {
            failures.push(Failure::Budget(exceeded));
        }
        self.judge_steps(&mut failures);
        let expectations = self.look_at_end(&mut failures);
        Played { sim: self.sim, failures, expectations }
    }

    /// Every step must have started and returned what it was expected to.
    fn judge_steps(&self, failures: &mut Vec<Failure>) {
        for entry in &self.entries {
            let Deed::Step(step) = &entry.deed else { continue };
            let name = self.describe(step);
            if entry.started.is_none() {
                failures.push(Failure::NeverStarted { step: name });
                continue;
            }
            let returned = entry.returned.as_ref();
            if let Some(expected) = &step.result {
                let got = returned.map(|returned| &returned.result);
                if !got.is_some_and(|got| fits(expected, got)) {
                    let got = returned.map_or_else(|| "it never returned".to_owned(), show);
                    failures.push(Failure::Result { step: name.clone(), expected: outcome_text(expected), got });
                }
            }
            if let Some(took) = &step.took
                && !returned.is_some_and(|returned| took.holds(&returned.took))
            {
                let got = returned.map_or_else(|| "it never returned".to_owned(), |r| r.took.to_string());
                failures.push(Failure::Took { step: name, expected: took.to_string(), got });
            }
        }
    }
}

impl Player<'_> {
    /// A step as a message names it: what it does, and its name where it has one.
    fn describe(&self, step: &super::Step) -> String {
        let name = step.name.as_ref().or(step.on.as_ref());
        match name {
            Some(name) => format!("step `{}` (line {})", &**name, self.instance.place(name).0),
            None => "a step of the script".to_owned(),
        }
    }
}

/// Whether a call returned what was expected.
pub(super) fn fits(expected: &Outcome, got: &Result<Done, Errno>) -> bool {
    match (expected, got) {
        (Outcome::Error(errno), Err(got)) => errno == got,
        (Outcome::Number(n), Ok(done)) => *n == number(done),
        (Outcome::Text(text), Ok(Done::Data(data) | Done::Datagram(data, _))) => text.as_bytes() == &data[..],
        _ => false,
    }
}

/// What a C program would see as the value of the call.
fn number(done: &Done) -> i64 {
    match done {
        Done::Unit | Done::Accepted { .. } => 0,
        Done::Count(n) => i64::try_from(*n).unwrap_or(i64::MAX),
        Done::Data(data) | Done::Datagram(data, _) => i64::from(data.len()),
    }
}

pub(super) fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Number(n) => n.to_string(),
        Outcome::Text(text) => format!("{text:?}"),
        Outcome::Error(errno) => errno.to_string(),
    }
}

/// What a call returned, and when.
pub(super) fn show(returned: &Returned) -> String {
    let result = match &returned.result {
        Err(errno) => errno.to_string(),
        Ok(Done::Data(data) | Done::Datagram(data, _)) => format!("{data:?}"),
        Ok(done) => number(done).to_string(),
    };
    format!("{result} at {} after {}", returned.at, returned.took)
}

/// What another run needs to be the same.
fn header(name: &str, instance: &Instance, seed: u64) -> Header {
    let mut header = Header { sim: name.to_owned(), seed, ..Header::default() };
    if let Some(variant) = &instance.variant {
        header.sim = format!("{name} ({variant})");
    }
    header.params = instance.params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    for host in &instance.hosts {
        if let Nature::Profile { profile, teaching, .. } = &host.nature {
            header.profiles.push((host.name.to_string(), profile.to_string()));
            let settings = teaching.settings().into_iter();
            header.teaching.extend(settings.map(|setting| format!("{} {setting}", *host.name)));
        }
    }
    header
}
