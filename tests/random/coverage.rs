use super::system::{NAMES, profile};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use wirefate::endpoint::{Arrival, DropReason, Errno, Event, State, TimerChange, TimerKind};
use wirefate::host::Profile;
use wirefate::net::{Fate, Loss};
use wirefate::oracle::{NodeView, Oracle, Seen};
use wirefate::sim::{AppId, AttemptEnd, Sim};
use wirefate::trace::{Record, What};

/// How often each thing happened, by its group and name.
#[derive(Debug)]
pub(crate) struct Coverage {
    pub(crate) runs: u64,
    pub(crate) packets: u64,
    pub(crate) events: u64,
    /// Runs that went on for ever and had to be stopped.
    pub(crate) stopped: u64,
    hits: BTreeMap<(&'static str, String), u64>,
    /// The same by the profile of the host at which it happened.
    by_profile: BTreeMap<(&'static str, &'static str, String), u64>,
}

pub(crate) const TRANSITIONS: &str = "transition";
pub(crate) const DROPS: &str = "dropped";
pub(crate) const TIMERS: &str = "timer fired";
pub(crate) const FATES: &str = "fate";
pub(crate) const IMPAIRMENTS: &str = "impairment";
pub(crate) const ERRNOS: &str = "errno";

/// What happens at hosts, and is counted by their profile.
pub(crate) const OF_HOSTS: [&str; 3] = [TRANSITIONS, DROPS, TIMERS];

/// Everything that is to happen.
pub(crate) fn wanted() -> Vec<(&'static str, String)> {
    let states = State::ALL.into_iter().flat_map(|from| State::ALL.map(|to| (from, to)));
    let edges = states.filter(|&(from, to)| is_edge(from, to)).map(|(from, to)| (TRANSITIONS, edge(from, to)));
    // The profile of these runs has no `net.ipv4.tcp_mem`.
    let drops = DropReason::ALL.into_iter().filter(|&reason| reason != DropReason::NoMemory);
    let drops = drops.map(|reason| (DROPS, reason.name().to_owned()));
    let timers = TimerKind::ALL.into_iter().map(|timer| (TIMERS, timer.name().to_owned()));
    let fates = FATE_NAMES.into_iter().map(|name| (FATES, name.to_owned()));
    let impairments = IMPAIRMENT_NAMES.into_iter().map(|name| (IMPAIRMENTS, name.to_owned()));
    let errnos = Errno::ALL.iter().map(|errno| (ERRNOS, errno.name().to_owned()));
    edges.chain(drops).chain(timers).chain(fates).chain(impairments).chain(errnos).collect()
}

const FATE_NAMES: [&str; 12] = [
    "delivered",
    "duplicated",
    "corrupted",
    "impaired",
    "fault",
    "too big",
    "expired",
    "down",
    "no host",
    "blackhole",
    "unreachable",
    "held",
];

const IMPAIRMENT_NAMES: [&str; 10] =
    ["loss", "burst", "queue", "delay", "jitter", "reorder", "duplicate", "corrupt", "mtu", "lifetime"];

/// The edges of figure 5 of RFC 9293 and of the text around it.
fn is_edge(from: State, to: State) -> bool {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent, TimeWait,
    };
    match from {
        _ if to == Closed => from != Closed,
        Closed => matches!(to, Listen | SynSent | SynReceived | Established),
        Listen => matches!(to, SynSent | SynReceived | Established),
        SynSent => matches!(to, SynReceived | Established),
        SynReceived => matches!(to, Listen | Established | FinWait1 | CloseWait),
        Established => matches!(to, FinWait1 | CloseWait),
        FinWait1 => matches!(to, FinWait2 | Closing | TimeWait),
        FinWait2 | Closing => to == TimeWait,
        CloseWait => to == LastAck,
        LastAck => false,
        TimeWait => matches!(to, Listen | SynReceived),
    }
}

fn edge(from: State, to: State) -> String {
    format!("{from} -> {to}")
}

impl Coverage {
    /// Before the first run.
    pub(crate) const NONE: Coverage =
        Coverage { runs: 0, packets: 0, events: 0, stopped: 0, hits: BTreeMap::new(), by_profile: BTreeMap::new() };

    pub(crate) fn hits(&self, group: &'static str, name: &str) -> u64 {
        self.hits.get(&(group, name.to_owned())).copied().unwrap_or(0)
    }

    fn add(&mut self, group: &'static str, name: String, n: u64) {
        *self.hits.entry((group, name)).or_default() += n;
    }

    /// How often it happened at hosts of this profile; for what happens at hosts.
    pub(crate) fn hits_of(&self, profile: Profile, group: &'static str, name: &str) -> u64 {
        self.by_profile.get(&(profile.name(), group, name.to_owned())).copied().unwrap_or(0)
    }

    fn take(&mut self, tally: &Tally) {
        for ((profile, group, name), n) in &tally.by_profile {
            *self.by_profile.entry((profile, group, name.clone())).or_default() += n;
        }
        for (&(from, to), &n) in &tally.transitions {
            self.add(TRANSITIONS, edge(from, to), n);
        }
        let named = [(DROPS, &tally.drops), (TIMERS, &tally.timers), (FATES, &tally.fates)];
        let named = named.into_iter().chain([(IMPAIRMENTS, &tally.impairments), (ERRNOS, &tally.errnos)]);
        for (group, names) in named {
            for (&name, &n) in names {
                self.add(group, name.to_owned(), n);
            }
        }
    }

    /// Takes down what only the end of a run shows: choices, and errors that no record has.
    pub(crate) fn finish(&mut self, sim: &Sim, apps: &[AppId], stopped: bool) {
        let outcome = sim.outcome();
        self.runs += 1;
        self.packets += outcome.packets;
        self.events += outcome.events;
        self.stopped += u64::from(stopped);
        for fault in sim.choices() {
            if let Some(stage) = fault.stage {
                // Two impairments of one kind on a link are told apart by a number.
                let kind = stage.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_owned();
                self.add(IMPAIRMENTS, kind, 1);
            }
        }
        for &app in apps {
            let counts = sim.stats(app).counts().filter(|(name, _)| Errno::from_name(name).is_some());
            counts.for_each(|(name, n)| self.add(ERRNOS, name.to_owned(), n));
            for attempt in sim.stats(app).attempts() {
                if let AttemptEnd::Failed(errno) = attempt.end {
                    self.add(ERRNOS, errno.name().to_owned(), 1);
                }
            }
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { runs, packets, events, stopped, .. } = self;
        writeln!(f, "{runs} runs, {packets} packets, {events} events; {stopped} runs were stopped")?;
        let columns: String = Profile::ALL.iter().map(|profile| format!(" {:>10}", profile.name())).collect();
        writeln!(f, "  {:30} {:>12}{columns}", "", "all")?;
        let mut last = "";
        for (group, name) in wanted() {
            if group != last {
                writeln!(f, "{group}:")?;
            }
            last = group;
            let of = |profile: &Profile| format!(" {:>10}", self.hits_of(*profile, group, &name));
            let at_hosts = OF_HOSTS.contains(&group);
            let columns: String = if at_hosts { Profile::ALL.iter().map(of).collect() } else { String::new() };
            writeln!(f, "  {name:30} {:>12}{columns}", self.hits(group, &name))?;
        }
        let wanted = wanted();
        let others = self.hits.iter().filter(|(key, _)| !wanted.contains(key));
        others.into_iter().try_for_each(|((group, name), n)| writeln!(f, "besides, {group} {name}: {n}"))
    }
}

/// An oracle that finds no fault with anything and counts everything.
pub(crate) struct Observer {
    coverage: &'static Mutex<Coverage>,
    seed: u64,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    transitions: BTreeMap<(State, State), u64>,
    drops: BTreeMap<&'static str, u64>,
    timers: BTreeMap<&'static str, u64>,
    fates: BTreeMap<&'static str, u64>,
    impairments: BTreeMap<&'static str, u64>,
    errnos: BTreeMap<&'static str, u64>,
    by_profile: BTreeMap<(&'static str, &'static str, String), u64>,
}

impl Observer {
    pub(crate) fn new(coverage: &'static Mutex<Coverage>, seed: u64) -> Observer {
        Observer { coverage, seed, tally: Tally::default() }
    }
}

impl Oracle for Observer {
    fn name(&self) -> &'static str {
        "observer"
    }

    fn source(&self) -> &'static str {
        "none"
    }

    fn wants_detail(&self) -> bool {
        true
    }

    fn on_record(&mut self, record: &Record<'_>, _seen: &mut Seen<'_>) {
        let name = record.node.and_then(|node| NAMES.get(node.0 as usize));
        let profile = name.map(|name| profile(self.seed, name));
        let Tally { transitions, drops, timers, fates, impairments, errnos, by_profile } = &mut self.tally;
        let mut of_host = |group, name: String| {
            if let Some(profile) = profile {
                *by_profile.entry((profile.name(), group, name)).or_default() += 1;
            }
        };
        match &record.what {
            What::Sent(sent) => {
                for (fate, impairment) in describe(&sent.fate) {
                    *fates.entry(fate).or_default() += 1;
                    impairment.into_iter().for_each(|name| *impairments.entry(name).or_default() += 1);
                }
            }
            What::Arrived(arrived) => {
                if let Some(Arrival::Dropped(reason)) = arrived.outcome {
                    *drops.entry(reason.name()).or_default() += 1;
                    of_host(DROPS, reason.name().to_owned());
                }
            }
            What::Noted { event: Event::Transition { from, to, .. }, .. } => {
                *transitions.entry((*from, *to)).or_default() += 1;
                of_host(TRANSITIONS, edge(*from, *to));
            }
            What::Noted { event: Event::Timer { timer, change: TimerChange::Fired { .. }, .. }, .. } => {
                *timers.entry(timer.name()).or_default() += 1;
                of_host(TIMERS, timer.name().to_owned());
            }
            What::Called(called) => {
                if let Some(Err(errno)) = called.result {
                    *errnos.entry(errno.name()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn at_quiescence(&mut self, _nodes: &[NodeView], _seen: &mut Seen<'_>) {
        let tally = std::mem::take(&mut self.tally);
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner).take(&tally);
    }
}

/// What a fate counts as, and the impairment it shows.
fn describe(fate: &Fate) -> Vec<(&'static str, Option<&'static str>)> {
    match fate {
        Fate::Delivered(_) => vec![("delivered", None)],
        Fate::Changed { copies, corrupt_bit, .. } => {
            let copied = (!copies.is_empty()).then_some(("duplicated", None));
            copied.into_iter().chain(corrupt_bit.map(|_| ("corrupted", None))).collect()
        }
        Fate::Held(_) => vec![("held", None)],
        Fate::Lost(loss) => vec![match loss {
            // The choices of random impairments are counted where they are recorded.
            Loss::Impairment("queue") => ("impaired", Some("queue")),
            Loss::Impairment(_) => ("impaired", None),
            Loss::Fault(_) => ("fault", None),
            Loss::TooBig { .. } => ("too big", Some("mtu")),
            Loss::Expired { .. } => ("expired", Some("lifetime")),
            Loss::Down => ("down", None),
            Loss::NoHost => ("no host", None),
            Loss::Blackhole => ("blackhole", None),
            Loss::Unreachable => ("unreachable", None),
        }],
    }
}
