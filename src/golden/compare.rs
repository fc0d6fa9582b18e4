use super::field::{Dir, Side};
use super::flow::Flow;
use super::manifest::Repeat;
use super::picture::{call_line, state_line};
use super::recording::{Call, Recording, StateChange};
use super::rule::{Fit, Rule, Timing, signed};
use super::segments::{Segments, misfit};
use super::timeline::{Event, Timeline};
use super::verdict::Difference;
use crate::endpoint::State;
use crate::time::{SimTime, Span, ms};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What differs, in the order of time.
    pub differences: Vec<Difference>,
    /// Windows that differ where a few may.
    pub windows: Vec<Difference>,
    /// Gaps in time that fit the wider rule only, where a few may.
    pub wide: Vec<Difference>,
    /// How many segments of hosts were recorded.
    pub segments: usize,
}

/// How much later than it came a state may have been seen: states are polled.
const POLLED: Span = ms(12);

/// Holds `ours` against `recorded`, as far as a second recording of the case was the same; `timing` says which timers
/// ours had.
pub fn compare(recorded: &Recording, ours: &Recording, repeat: &Repeat, timing: Timing) -> Comparison {
    let (a, b) = (Timeline::new(recorded), Timeline::new(ours));
    let (found, windows) = (Found::default(), Vec::new());
    let mut segments = Segments { recorded: &a, ours: &b, repeat, timing, found, windows, count: 0 };
    segments.compare();
    let Segments { mut found, windows, count, .. } = segments;
    let timed = (*repeat == Repeat::Identical).then_some(timing);
    calls(&a, &b, timed, &mut found);
    states(&a, &b, (timing, timed.is_some()), &mut found);
    spoofed(recorded, ours, &mut found);
    let Found { mut differences, mut wide } = found;
    differences.sort_by_key(|difference| difference.at);
    wide.sort_by_key(|difference| difference.at);
    // Where windows are not fixed, no two runs need to share them.
    let windows = if timed.is_some() { windows } else { Vec::new() };
    Comparison { differences, windows, wide, segments: count }
}

/// What differs, as it is found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) differences: Vec<Difference>,
    pub(super) wide: Vec<Difference>,
}

impl Found {
    pub(super) fn push(&mut self, difference: Difference) {
        self.differences.push(difference);
    }

    /// A gap that does not fit.
    pub(super) fn push_gap(&mut self, fit: Fit, difference: Difference) {
        if fit == Fit::OnlyWider { self.wide.push(difference) } else { self.differences.push(difference) }
    }
}

fn calls(recorded: &Timeline<'_>, ours: &Timeline<'_>, timed: Option<Timing>, found: &mut Found) {
    let (a, b) = (&recorded.recording.script, &ours.recording.script);
    for n in 0..a.len().max(b.len()) {
        let differ = |what: &str, a: Option<&Call>, b: Option<&Call>| {
            let at = a.or(b).map(|call| call.returned.unwrap_or(call.at).0).unwrap_or_default();
            Difference { at, what: what.to_owned(), recorded: a.map(call_line), ours: b.map(call_line) }
        };
        let (Some(a), Some(b)) = (a.get(n), b.get(n)) else {
            found.push(differ("call", a.get(n), b.get(n)));
            continue;
        };
        let same = |a: &Call, b: &Call| (a.side, &a.sock, &a.call, &a.args) == (b.side, &b.sock, &b.call, &b.args);
        if !same(a, b) {
            found.push(differ("call", Some(a), Some(b)));
        } else if (&a.result, &a.errno) != (&b.result, &b.errno) {
            found.push(differ("result", Some(a), Some(b)));
        } else if let Some((fit, text)) =
            timed.filter(|_| a.result.is_some()).and_then(|timing| differ_in_time(recorded, ours, timing, n))
        {
            found.push_gap(fit, differ(&text, Some(a), Some(b)));
        }
    }
}

/// When a call returned, since the last thing that concerns its connection.
fn differ_in_time(recorded: &Timeline<'_>, ours: &Timeline<'_>, timing: Timing, n: usize) -> Option<(Fit, String)> {
    let (a, b) = (&recorded.recording.script[n], &ours.recording.script[n]);
    let flow = recorded.flow_of(a)?;
    let end = |call: &Call| call.returned.unwrap_or(call.at).0;
    // A loop is written down when it has ended; any other call begins when the script says.
    let own = if a.returned.is_none() && b.returned.is_none() { Event::Called(n) } else { Event::Returned(n) };
    let begins = own == Event::Called(n) && a.call != "recv loop";
    // It waited for something that with us had come before it was called; that has a time of its own.
    let came = match recorded.before(flow, a.side, end(a), Some(own)) {
        Some((event @ (Event::Arrived(..) | Event::Forged(..) | Event::Icmp(_)), _)) => ours.time(a.side, event),
        _ => None,
    };
    let too_late = b.returned.is_none() && a.call != "recv loop" && came.is_some_and(|came| came <= b.at.0);
    let rule = Rule { timing, ..Rule::default() };
    if begins || too_late { None } else { misfit(recorded, ours, (flow, a.side), (end(a), end(b)), own, rule) }
}

type Chain = (Side, SocketAddr, SocketAddr);

fn chains(recording: &Recording) -> BTreeMap<Chain, Vec<&StateChange>> {
    let mut chains: BTreeMap<Chain, Vec<&StateChange>> = BTreeMap::new();
    for state in &recording.states {
        chains.entry((state.side, state.local, state.peer)).or_default().push(state);
    }
    chains
}

/// The states that were seen are among ours, in their order, and the last ones are the same.
fn states(recorded: &Timeline<'_>, ours: &Timeline<'_>, (timing, timed): (Timing, bool), found: &mut Found) {
    let rule = Rule { timing, seen_late: POLLED };
    let (a, b) = (chains(recorded.recording), chains(ours.recording));
    let hosts = [recorded.recording.client, recorded.recording.server];
    let all: BTreeSet<Chain> = a.keys().chain(b.keys()).copied().collect();
    for chain in all {
        let (seen, had) = (a.get(&chain).cloned().unwrap_or_default(), b.get(&chain).cloned().unwrap_or_default());
        // What a flood leaves behind is counted, not looked at one by one.
        if seen.is_empty() && !(hosts.contains(&chain.1.ip()) && hosts.contains(&chain.2.ip())) {
            continue;
        }
        let flow = Dir::from_side(chain.0).map(|dir| Flow::new(dir, chain.1, chain.2));
        let mut next = 0;
        for state in &seen {
            let Some(place) = had[next..].iter().position(|ours| ours.to == state.to) else {
                let line = Some(state_line(state));
                found.push(Difference { at: state.at, what: "state".to_owned(), recorded: line, ours: None });
                break;
            };
            let mine = had[next + place];
            next += place + 1;
            let Some(flow) = flow.filter(|_| timed) else { continue };
            let own = Event::Called(usize::MAX);
            if let Some((fit, what)) = misfit(recorded, ours, (flow, chain.0), (state.at, mine.at), own, rule) {
                let (recorded, ours) = (Some(state_line(state)), Some(state_line(mine)));
                found.push_gap(fit, Difference { at: state.at, what: format!("state {what}"), recorded, ours });
            }
        }
        last_states(recorded, ours, &seen, &had, rule).into_iter().for_each(|difference| found.push(difference));
    }
}

fn last_states(
    recorded: &Timeline<'_>,
    ours: &Timeline<'_>,
    seen: &[&StateChange],
    had: &[&StateChange],
    rule: Rule,
) -> Option<Difference> {
    let end = recorded.recording.end();
    let expected = seen.last().map_or(State::Closed, |state| state.to);
    // What a real timer might have done only after the end, or what was not seen before it, need not be there.
    let allowed = |n: usize| {
        let state = had[n];
        let flow = Flow::new(Dir::from_side(state.side)?, state.local, state.peer);
        let before = ours.before(flow, state.side, state.at, None);
        let gap = before.map_or(0, |(_, time)| signed(state.at.since(time)));
        Some(rule.is_past(state.at + POLLED, gap, end))
    };
    let mut last = had.len();
    loop {
        let state = last.checked_sub(1).map_or(State::Closed, |n| had[n].to);
        if state == expected {
            return None;
        }
        if last == 0 || allowed(last - 1) != Some(true) {
            let at = had.last().map_or(SimTime::ZERO, |state| state.at);
            let recorded = Some(seen.last().map_or_else(|| "no connection seen".to_owned(), |s| state_line(s)));
            let ours = had.last().map(|state| state_line(state));
            return Some(Difference { at, what: "last state".to_owned(), recorded, ours });
        }
        last -= 1;
    }
}

/// How much of the traffic of which only the first segments are kept there was.
fn spoofed(recorded: &Recording, ours: &Recording, found: &mut Found) {
    let (a, b) = (recorded.spoofed(), ours.spoofed());
    for (kind, n) in &a {
        let (kind, theirs) = (kind.trim_end_matches(' '), b.get(kind).copied().unwrap_or(0));
        if *n != theirs {
            let line = |n: u64| Some(format!("{kind}: {n}"));
            let what = "spoofed traffic".to_owned();
            found.push(Difference { at: recorded.end(), what, recorded: line(*n), ours: line(theirs) });
        }
    }
}
