use super::field::{Dir, Side};
use super::flow::Flow;
use super::manifest::Repeat;
use super::picture::{call_line, state_line};
use super::recording::{Call, Recording, StateChange};
use super::rule::{Rule, signed};
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
    /// How many segments of hosts were recorded.
    pub segments: usize,
}

/// How much later than it came a state may have been seen: states are polled.
const POLLED: Span = ms(12);

/// Holds `ours` against `recorded`, as far as a second recording of the case was the same.
pub fn compare(recorded: &Recording, ours: &Recording, repeat: &Repeat) -> Comparison {
    let (a, b) = (Timeline::new(recorded), Timeline::new(ours));
    let (differences, windows) = (Vec::new(), Vec::new());
    let mut segments = Segments { recorded: &a, ours: &b, repeat, differences, windows, count: 0 };
    segments.compare();
    let Segments { mut differences, windows, count, .. } = segments;
    let timed = *repeat == Repeat::Identical;
    calls(&a, &b, timed, &mut differences);
    states(&a, &b, timed, &mut differences);
    spoofed(recorded, ours, &mut differences);
    differences.sort_by_key(|difference| difference.at);
    // Where windows are not fixed, no two runs need to share them.
    Comparison { differences, windows: if timed { windows } else { Vec::new() }, segments: count }
}

fn calls(recorded: &Timeline<'_>, ours: &Timeline<'_>, timed: bool, differences: &mut Vec<Difference>) {
    let (a, b) = (&recorded.recording.script, &ours.recording.script);
    for n in 0..a.len().max(b.len()) {
        let mut differ = |what: String, a: Option<&Call>, b: Option<&Call>| {
            let at = a.or(b).map(|call| call.returned.unwrap_or(call.at).0).unwrap_or_default();
            differences.push(Difference { at, what, recorded: a.map(call_line), ours: b.map(call_line) });
        };
        let (Some(a), Some(b)) = (a.get(n), b.get(n)) else {
            differ("call".to_owned(), a.get(n), b.get(n));
            continue;
        };
        let same = |a: &Call, b: &Call| (a.side, &a.sock, &a.call, &a.args) == (b.side, &b.sock, &b.call, &b.args);
        if !same(a, b) {
            differ("call".to_owned(), Some(a), Some(b));
        } else if (&a.result, &a.errno) != (&b.result, &b.errno) {
            differ("result".to_owned(), Some(a), Some(b));
        } else if timed && a.result.is_some() {
            differ_in_time(recorded, ours, n).into_iter().for_each(|text| differ(text, Some(a), Some(b)));
        }
    }
}

/// When a call returned, since the last thing that concerns its connection.
fn differ_in_time(recorded: &Timeline<'_>, ours: &Timeline<'_>, n: usize) -> Option<String> {
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
    if begins || too_late { None } else { misfit(recorded, ours, (flow, a.side), (end(a), end(b)), own, Span::ZERO) }
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
fn states(recorded: &Timeline<'_>, ours: &Timeline<'_>, timed: bool, differences: &mut Vec<Difference>) {
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
            let Some(found) = had[next..].iter().position(|ours| ours.to == state.to) else {
                let line = Some(state_line(state));
                differences.push(Difference { at: state.at, what: "state".to_owned(), recorded: line, ours: None });
                break;
            };
            let mine = had[next + found];
            next += found + 1;
            let Some(flow) = flow.filter(|_| timed) else { continue };
            let own = Event::Called(usize::MAX);
            let text = misfit(recorded, ours, (flow, chain.0), (state.at, mine.at), own, POLLED);
            differences.extend(text.map(|what| {
                let (recorded, ours) = (Some(state_line(state)), Some(state_line(mine)));
                Difference { at: state.at, what: format!("state {what}"), recorded, ours }
            }));
        }
        differences.extend(last_states(recorded, ours, &seen, &had));
    }
}

fn last_states(
    recorded: &Timeline<'_>,
    ours: &Timeline<'_>,
    seen: &[&StateChange],
    had: &[&StateChange],
) -> Option<Difference> {
    let end = recorded.recording.end();
    let expected = seen.last().map_or(State::Closed, |state| state.to);
    // What a real timer might have done only after the end, or what was not seen before it, need not be there.
    let allowed = |n: usize| {
        let state = had[n];
        let flow = Flow::new(Dir::from_side(state.side)?, state.local, state.peer);
        let before = ours.before(flow, state.side, state.at, None);
        let gap = before.map_or(0, |(_, time)| signed(state.at.since(time)));
        Some(Rule::is_past(state.at + POLLED, gap, end))
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
fn spoofed(recorded: &Recording, ours: &Recording, differences: &mut Vec<Difference>) {
    let (a, b) = (recorded.spoofed(), ours.spoofed());
    for (kind, n) in &a {
        let (kind, theirs) = (kind.trim_end_matches(' '), b.get(kind).copied().unwrap_or(0));
        if *n != theirs {
            let line = |n: u64| Some(format!("{kind}: {n}"));
            let what = "spoofed traffic".to_owned();
            differences.push(Difference { at: recorded.end(), what, recorded: line(*n), ours: line(theirs) });
        }
    }
}
