//! What can only be judged when all of a file is known: names, ports, links, circles.

use super::condition::{Condition, Start};
use super::decode::{Mention, Mistake, Sink, Spanned};
use super::error::{Fact, Kind, Source};
use super::expect::What;
use super::fault::Disturbance;
use super::host::Nature;
use super::instance::Instance;
use super::limit;
use super::link::LinkEnds;
use super::load::Traffic;
use super::script::Step;
use super::verb::{Target, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Checks a whole instance; `sink` knows the names it gives and uses.
pub(super) fn check(instance: &Instance, sink: &mut Sink) {
    let given = std::mem::take(&mut sink.given);
    let used = std::mem::take(&mut sink.used);
    check_used(instance, &used, &given, sink);
    check_unique(given, &instance.file, sink);
    check_links(instance, sink);
    check_addresses(instance, sink);
    check_hosts(instance, sink);
    check_floods(instance, sink);
    check_ports(instance, sink);
    check_circles(&instance.steps, sink);
}

/// No two things of one kind have the same name. Sockets are steps, and reported as such.
pub(super) fn check_unique(given: Vec<Mention>, file: &Source, sink: &mut Sink) {
    let mut seen: BTreeMap<(&'static str, String), Range<usize>> = BTreeMap::new();
    for mention in given {
        let Mention { kind, name, span, .. } = mention;
        let key = (kind.name(), name.clone());
        match seen.get(&key) {
            Some(first) if kind != Kind::Socket => {
                let first = file.place(first.start).0;
                sink.place(span, Fact::Duplicate { kind, name, first });
            }
            _ => {
                seen.insert(key, span);
            }
        }
    }
}

/// Every name that is used is given somewhere.
fn check_used(instance: &Instance, used: &[Mention], given: &[Mention], sink: &mut Sink) {
    let names: BTreeSet<(&str, &str)> = given.iter().map(|given| (given.kind.name(), given.name.as_str())).collect();
    let counts: BTreeMap<&str, Option<u32>> =
        instance.hosts.iter().map(|host| (host.name.as_str(), host.count)).collect();
    for mention in used {
        let name = mention.name.as_str();
        let is_known = match mention.kind {
            Kind::Host => is_host(&counts, name),
            Kind::Socket => names.contains(&(mention.kind.name(), name.strip_suffix(".peer").unwrap_or(name))),
            kind => names.contains(&(kind.name(), name)),
        };
        if !is_known && sink.mistakes.len() < limit::ENTRIES {
            let same_kind = given.iter().filter(|given| given.kind == mention.kind);
            let known = same_kind.take(MOST_NAMES).map(|given| given.name.clone()).collect();
            let fact = Fact::UnknownName { kind: mention.kind, name: mention.name.clone(), known };
            sink.mistakes.push(Mistake { fact, span: mention.span.clone(), note: mention.note.clone() });
        }
    }
}

/// As many names as are searched for the nearest.
const MOST_NAMES: usize = 200;

/// Whether `name` is a host, a group or a member of one.
fn is_host(counts: &BTreeMap<&str, Option<u32>>, name: &str) -> bool {
    match name.split_once('.') {
        None => counts.contains_key(name),
        Some((group, member)) => counts.get(group).copied().flatten().is_some_and(|count| {
            member.parse::<u32>().is_ok_and(|n| (1..=count).contains(&n) && n.to_string() == member)
        }),
    }
}

/// One link at most for each direction; links that are cut exist.
fn check_links(instance: &Instance, sink: &mut Sink) {
    let mut seen: BTreeMap<(String, String), Range<usize>> = BTreeMap::new();
    for link in &instance.links {
        let LinkEnds { from, to, both } = &link.ends;
        let forth = ((**from).clone(), (**to).clone());
        let back = both.then(|| (forth.1.clone(), forth.0.clone()));
        for direction in [Some(forth), back].into_iter().flatten() {
            if let Some(first) = seen.get(&direction) {
                let first = instance.file.place(first.start).0;
                let name = format!("{} > {}", direction.0, direction.1);
                sink.place(from.span(), Fact::Duplicate { kind: Kind::Link, name, first });
                break;
            }
            seen.insert(direction, from.span());
        }
    }
    if instance.default_link.is_some() {
        return;
    }
    for ends in mentioned_links(instance) {
        let exists = |from: &str, to: &str| instance.links.iter().any(|link| link.ends.covers(from, to));
        if !exists(&ends.from, &ends.to) || (ends.both && !exists(&ends.to, &ends.from)) {
            let known = instance.links.iter().map(|link| link.ends.to_string()).collect();
            sink.place(ends.from.span(), Fact::UnknownName { kind: Kind::Link, name: ends.to_string(), known });
        }
    }
}

/// The links that steps and faults speak of.
fn mentioned_links(instance: &Instance) -> Vec<&LinkEnds> {
    fn of_verb(verb: &Verb) -> Option<&LinkEnds> {
        match verb {
            Verb::Partition(link) | Verb::Heal(link) | Verb::Flap { link, .. } => Some(link),
            _ => None,
        }
    }
    let steps = instance.steps.iter().filter_map(|step| of_verb(&step.verb));
    let faults = instance.faults.iter().filter_map(|fault| match &fault.disturbance {
        Disturbance::Packets { select, .. } => select.link.as_ref(),
        Disturbance::Timed { verb, .. } => of_verb(verb),
    });
    steps.chain(faults).collect()
}

/// No two hosts have the same address.
fn check_addresses(instance: &Instance, sink: &mut Sink) {
    let mut seen = BTreeMap::new();
    for host in &instance.hosts {
        for addr in &host.addrs {
            let span: Range<usize> = host.name.span();
            if let Some(first) = seen.insert(*addr, span.start) {
                let first = instance.file.place(first).0;
                sink.place(span, Fact::Duplicate { kind: Kind::Address, name: addr.to_string(), first });
            }
        }
    }
}

/// Steps and expectations speak of one host, and of one that can do it.
fn check_hosts(instance: &Instance, sink: &mut Sink) {
    let mut one = |name: &Spanned<String>, sockets: bool| {
        let Some(host) = instance.host(name) else { return };
        let why = match (&host.nature, host.count) {
            (_, Some(count)) if !name.contains('.') => {
                format!("it is a group of {count} hosts; one of them is `{name}.1`")
            }
            (Nature::Mute, _) if sockets => "it has no sockets: its stack is `none`".to_owned(),
            (Nature::Middlebox(_), _) if sockets => "it has no sockets: it is a middlebox".to_owned(),
            _ => return,
        };
        sink.place(name.span(), Fact::NotApplicable { what: (**name).clone(), why });
    };
    for step in &instance.steps {
        let sockets =
            matches!(step.verb, Verb::Serve { .. } | Verb::Listen { .. } | Verb::Accept { .. } | Verb::Bind { .. });
        let connects = matches!(step.verb, Verb::Connect { .. });
        let on = step.on.as_ref().filter(|on| instance.host(on).is_some());
        if let Some(on) = on {
            one(on, sockets || connects);
        }
        if let Verb::Connect { to: Target::Host { host, .. }, .. }
        | Verb::SendTo { to: Target::Host { host, .. }, .. } = &step.verb
        {
            one(host, false);
        }
    }
    for load in &instance.loads {
        if let Target::Host { host, .. } = &load.to {
            one(host, false);
        }
    }
    for check in &instance.expect.at {
        match &check.what {
            What::Netstat { host, .. } | What::Counter { host, .. } => one(host, true),
            What::Queue { listener, .. } => one(&listener.host, true),
            _ => {}
        }
    }
}

/// Spoofed addresses are of the family of the address that they are to reach; a host's is chosen to fit.
fn check_floods(instance: &Instance, sink: &mut Sink) {
    for load in &instance.loads {
        if let (Traffic::SynFlood { from: (from, _), .. }, Target::Addr(to)) = (&load.traffic, &load.to)
            && from.is_ipv4() != to.is_ipv4()
        {
            let why = format!("no SYN goes from {from} to {to}, which is of the other family");
            sink.place(load.name.span(), Fact::NotApplicable { what: load.name.to_string(), why });
        }
    }
}

/// Two listeners of a host have two ports, unless something ends the first.
fn check_ports(instance: &Instance, sink: &mut Sink) {
    let ends = |verb: &Verb| matches!(verb, Verb::Crash | Verb::Reboot { .. } | Verb::Kill);
    let restarts = |host: &str| {
        let step = instance.steps.iter().any(|step| {
            let on = step.on.as_ref().map(|on| on.as_str());
            (on == Some(host) && ends(&step.verb)) || matches!(step.verb, Verb::Close | Verb::Abort)
        });
        step || instance.faults.iter().any(|fault| match &fault.disturbance {
            Disturbance::Timed { on, verb, .. } => on.as_ref().is_some_and(|on| **on == host) && ends(verb),
            Disturbance::Packets { .. } => false,
        })
    };
    let mut seen: BTreeMap<(String, u16), Range<usize>> = BTreeMap::new();
    for step in &instance.steps {
        let (Some(on), Verb::Serve { port, .. } | Verb::Listen { port, .. }) = (&step.on, &step.verb) else { continue };
        let (host, port) = ((**on).clone(), *port);
        if let Some(first) = seen.get(&(host.clone(), port)).filter(|_| !restarts(&host)) {
            let first = instance.file.place(first.start).0;
            sink.place(on.span(), Fact::PortTaken { host, port, first });
            continue;
        }
        seen.insert((host, port), on.span());
    }
}

/// No steps wait for each other. Each waits for one other at most, so a circle is found by walking on.
fn check_circles(steps: &[Step], sink: &mut Sink) {
    let names: BTreeMap<&str, usize> =
        steps.iter().enumerate().filter_map(|(n, step)| Some((step.name.as_ref()?.as_str(), n))).collect();
    let named = |name: &str| names.get(name).copied();
    let before: Vec<Option<usize>> = steps
        .iter()
        .enumerate()
        .map(|(n, step)| match &step.start {
            Start::Next(_) => n.checked_sub(1),
            Start::After { step, .. } => named(step),
            Start::When { condition: Condition::State { conn, .. }, .. } => named(conn),
            Start::At(_) | Start::When { .. } => None,
        })
        .collect();
    let mut done = vec![false; steps.len()];
    for start in 0..steps.len() {
        let mut way: Vec<usize> = Vec::new();
        let mut at = Some(start);
        while let Some(n) = at.filter(|n| !done[*n]) {
            done[n] = true;
            way.push(n);
            at = before[n];
        }
        let Some(ring) = at.and_then(|n| way.iter().position(|step| *step == n)).map(|first| &way[first..]) else {
            continue;
        };
        let label = |n: &usize| match &steps[*n].name {
            Some(name) => format!("`{name}`"),
            None => format!("step {}", n + 1),
        };
        let names: Vec<String> = ring.iter().chain(ring.first()).map(label).collect();
        let span = ring.iter().find_map(|n| match &steps[*n].start {
            Start::After { step, .. } => Some(step.span()),
            Start::When { condition: Condition::State { conn, .. }, .. } => Some(conn.span()),
            _ => None,
        });
        sink.place(span.unwrap_or(0..0), Fact::Circle { steps: names });
    }
}
