//! Segments: order, flags, numbers, lengths, options, windows, timestamps, times.

use super::compare::Found;
use super::field::{Dir, Opt, Side};
use super::flow::Flow;
use super::manifest::Repeat;
use super::picture::{seg_line, tcp_line};
use super::recording::{Seg, Tcp};
use super::rule::{Fit, Rule, Timing, signed};
use super::timeline::{Event, Timeline, gap, tcp};
use super::verdict::Difference;
use crate::time::ms;
use crate::wire::Flags;

/// Compares what two recordings hold of one case.
pub(super) struct Segments<'a> {
    pub(super) recorded: &'a Timeline<'a>,
    pub(super) ours: &'a Timeline<'a>,
    pub(super) repeat: &'a Repeat,
    pub(super) timing: Timing,
    pub(super) found: Found,
    /// Windows that differ where the rule does not ask for the same.
    pub(super) windows: Vec<Difference>,
    /// Recorded segments of hosts.
    pub(super) count: usize,
}

/// Two events closer than this may swap: one tick.
const TICK: i64 = 4_000_000;

impl Segments<'_> {
    pub(super) fn compare(&mut self) {
        let mut lanes: Vec<(Flow, Dir)> = self.recorded.sent.keys().copied().collect();
        lanes.extend(self.ours.sent.keys().filter(|lane| !self.recorded.sent.contains_key(lane)));
        for (flow, dir) in lanes {
            self.count += self.recorded.lane(flow, dir).len();
            match self.repeat {
                Repeat::Identical => self.lane(flow, dir),
                Repeat::OtherOrder { .. } => self.unordered(flow, dir),
                Repeat::Differs { .. } => self.shared(flow, dir),
            }
        }
        match self.repeat {
            Repeat::Identical => self.order(),
            Repeat::OtherOrder { .. } => {}
            Repeat::Differs { counts } => self.counts(*counts),
        }
    }

    fn differ(&mut self, what: &str, recorded: Option<&Seg>, ours: Option<&Seg>) {
        self.found.push(difference(what, recorded, ours));
    }

    fn rule(&self) -> Rule {
        Rule { timing: self.timing, ..Rule::default() }
    }

    /// Every segment of a lane against the one of the same ordinal.
    fn lane(&mut self, flow: Flow, dir: Dir) {
        let (recorded, ours) = (self.recorded.lane(flow, dir).to_vec(), self.ours.lane(flow, dir).to_vec());
        for n in 0..recorded.len().max(ours.len()) {
            match (recorded.get(n), ours.get(n)) {
                (Some(a), Some(b)) => {
                    self.fields(a, b);
                    self.stamps(flow, dir, n);
                    self.time(flow, dir, n);
                }
                (Some(a), None) => self.differ("not sent", Some(a), None),
                (None, Some(b)) if !self.is_after_end(flow, dir, n) => self.differ("not recorded", None, Some(b)),
                (None, _) => {}
            }
        }
    }

    /// Whether a real timer might have sent our `n`th segment only after the recording had ended.
    fn is_after_end(&self, flow: Flow, dir: Dir, n: usize) -> bool {
        let at = self.ours.lane(flow, dir)[n].at;
        let before = self.ours.before(flow, dir.sender(), at, Some(Event::Sent(flow, n)));
        let gap = before.map_or(0, |(_, time)| gap(time, at));
        self.rule().is_past(at, gap, self.recorded.recording.end())
    }

    fn fields(&mut self, recorded: &Seg, ours: &Seg) {
        let (Some(a), Some(b)) = (tcp(recorded), tcp(ours)) else { return };
        let differing: Vec<&str> = [
            ("flags", a.flags != b.flags),
            ("seq", a.seq != b.seq),
            ("ack", a.ack != b.ack),
            ("length", a.len != b.len),
            ("urgent pointer", a.urg != b.urg),
            ("ECN bits", a.tos & 3 != b.tos & 3),
            ("options", unstamped(a) != unstamped(b)),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect();
        if !differing.is_empty() {
            return self.differ(&differing.join(", "), Some(recorded), Some(ours));
        }
        if a.win == b.win {
            return;
        }
        let exact = a.flags.intersects(Flags::SYN | Flags::RST) || a.win == 0 || b.win == 0;
        if exact {
            self.differ("window", Some(recorded), Some(ours));
        } else {
            let (recorded_line, ours_line) = (Some(seg_line(recorded)), Some(seg_line(ours)));
            let what = "window".to_owned();
            self.windows.push(Difference { at: recorded.at, what, recorded: recorded_line, ours: ours_line });
        }
    }

    /// TSval goes with the time; TSecr names the same segment.
    fn stamps(&mut self, flow: Flow, dir: Dir, n: usize) {
        let (recorded, ours) = (self.recorded.lane(flow, dir), self.ours.lane(flow, dir));
        let (Some((val, ecr)), Some((our_val, our_ecr))) = (stamp(recorded[n]), stamp(ours[n])) else { return };
        let (a, b) = (recorded[n], ours[n]);
        let start = (0..=n).rev().find(|&k| begins(recorded[k])).unwrap_or(0);
        let begun = ours.get(start).map_or(b.at, |seg| seg.at);
        let drift = gap(recorded[start].at, a.at) - gap(begun, b.at);
        let values = (val - our_val) * signed(ms(1));
        if (values - drift).abs() > TICK {
            self.differ("TSval", Some(a), Some(b));
        }
        let (names, our_names) = (named(self.recorded, flow, dir, a, ecr), named(self.ours, flow, dir, b, our_ecr));
        let same = if names.is_empty() && our_names.is_empty() {
            (ecr == 0) == (our_ecr == 0)
        } else {
            names.iter().any(|name| our_names.contains(name)) || (ecr == 0 && our_ecr == 0)
        };
        if !same {
            self.differ("TSecr", Some(a), Some(b));
        }
    }

    /// The gap since the last thing that concerns the sender.
    fn time(&mut self, flow: Flow, dir: Dir, n: usize) {
        let (a, b) = (self.recorded.lane(flow, dir)[n], self.ours.lane(flow, dir)[n]);
        let own = Event::Sent(flow, n);
        let misfit = misfit(self.recorded, self.ours, (flow, dir.sender()), (a.at, b.at), own, self.rule());
        if let Some((fit, text)) = misfit {
            self.found.push_gap(fit, difference(&text, Some(a), Some(b)));
        }
    }

    /// What one side sends before the other does, it sends before the other here too.
    fn order(&mut self) {
        let mut last: Vec<((Flow, Dir), usize)> = Vec::new();
        let mut counts = std::collections::BTreeMap::new();
        let mut swapped = Vec::new();
        for seg in &self.recorded.recording.segments {
            let Some(flow) = self.recorded.recording.flow(seg) else { continue };
            if seg.act == super::Act::Inject {
                continue;
            }
            let lane = (flow, seg.dir);
            let count: &mut usize = counts.entry(lane).or_default();
            let n = std::mem::replace(count, *count + 1);
            let back = (flow, seg.dir.back());
            let before = last.iter().find(|(lane, _)| *lane == back).copied();
            last.retain(|(known, _)| *known != lane);
            last.push((lane, n));
            let Some((_, k)) = before else { continue };
            let (ours, other) = (self.ours.lane(lane.0, lane.1).get(n), self.ours.lane(back.0, back.1).get(k));
            if let (Some(ours), Some(other)) = (ours, other)
                && gap(other.at, ours.at) < -TICK
            {
                swapped.push((seg, *ours));
            }
        }
        for (recorded, ours) in swapped {
            self.differ("order", Some(recorded), Some(ours));
        }
    }

    /// Two runs had the same segments in other orders: so has ours. Neither times nor windows nor stamps are fixed.
    fn unordered(&mut self, flow: Flow, dir: Dir) {
        let mut ours: Vec<&Seg> = self.ours.lane(flow, dir).to_vec();
        for recorded in self.recorded.lane(flow, dir).to_vec() {
            let same = |ours: &&Seg| match (tcp(recorded), tcp(ours)) {
                (Some(a), Some(b)) => core(a) == core(b),
                _ => false,
            };
            match ours.iter().position(same) {
                Some(n) => drop(ours.remove(n)),
                None => self.differ("not sent", Some(recorded), None),
            }
        }
        let end = self.recorded.recording.end();
        for extra in ours.into_iter().filter(|seg| seg.at + Rule::default().lateness(0) < end) {
            self.differ("not recorded", None, Some(extra));
        }
    }

    /// Two runs had other segments: what opens, ends and resets a connection, and how far its data goes, is fixed.
    fn shared(&mut self, flow: Flow, dir: Dir) {
        let turns = |seg: &&Seg| tcp(seg).is_some_and(|tcp| tcp.flags.intersects(Flags::SYN | Flags::FIN | Flags::RST));
        let pick =
            |lane: &[&'_ Seg]| -> Vec<Seg> { lane.iter().filter(|seg| turns(seg)).map(|s| (*s).clone()).collect() };
        let (recorded, ours) = (pick(self.recorded.lane(flow, dir)), pick(self.ours.lane(flow, dir)));
        for n in 0..recorded.len().max(ours.len()) {
            let (a, b) = (recorded.get(n), ours.get(n));
            let key =
                |seg: Option<&Seg>| seg.and_then(tcp).map(|tcp| (tcp.flags - Flags::PSH, tcp.seq + i64::from(tcp.len)));
            if key(a) != key(b) {
                self.differ("not the same", a, b);
            }
        }
        let reach = |lane: &[&Seg]| lane.iter().filter_map(|seg| tcp(seg)).map(|t| t.seq + i64::from(t.len)).max();
        let (a, b) = (reach(self.recorded.lane(flow, dir)), reach(self.ours.lane(flow, dir)));
        if a != b {
            let line = |end: Option<i64>| end.map(|end| format!("{flow} {dir} data up to {end}"));
            let at = self.recorded.recording.end();
            self.found.push(Difference { at, what: "data".to_owned(), recorded: line(a), ours: line(b) });
        }
    }

    /// Two runs differed in their counts by so much: ours may by as much again.
    fn counts(&mut self, (a, b): (usize, usize)) {
        let (least, most) = (a.min(b), a.max(b));
        let slack = (most - least).max(most / 50);
        let ours = self.ours.recording.segments.len();
        if (a, b) != (0, 0) && !(least.saturating_sub(slack)..=most + slack).contains(&ours) {
            let at = self.recorded.recording.end();
            let recorded = Some(format!("{a} and {b} segments"));
            let what = "number of segments".to_owned();
            self.found.push(Difference { at, what, recorded, ours: Some(format!("{ours} segments")) });
        }
    }
}

/// What is wrong with the time of an event, if anything is.
pub(super) fn misfit(
    recorded: &Timeline<'_>,
    ours: &Timeline<'_>,
    (flow, side): (Flow, Side),
    (at, our_at): (crate::time::SimTime, crate::time::SimTime),
    own: Event,
    rule: Rule,
) -> Option<(Fit, String)> {
    let (a, b) = match recorded.before(flow, side, at, Some(own)) {
        Some((event, time)) => (gap(time, at), gap(ours.time(side, event)?, our_at)),
        None => (gap(crate::time::SimTime::ZERO, at), gap(crate::time::SimTime::ZERO, our_at)),
    };
    let fit = rule.fit(a, b);
    let shown = |nanos: i64| format!("{}{}", if nanos < 0 { "-" } else { "" }, millis(nanos));
    let (a, b) = (shown(a), shown(b));
    (fit != Fit::Fits).then(|| (fit, format!("time: {a} ms after what came before, ours {b} ms: {fit}")))
}

fn difference(what: &str, recorded: Option<&Seg>, ours: Option<&Seg>) -> Difference {
    let at = recorded.or(ours).map(|seg| seg.at).unwrap_or_default();
    Difference { at, what: what.to_owned(), recorded: recorded.map(seg_line), ours: ours.map(seg_line) }
}

/// Milliseconds with two decimals.
fn millis(nanos: i64) -> String {
    let hundredths = nanos.unsigned_abs() / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Options in their order, without the values of timestamps.
fn unstamped(tcp: &Tcp) -> Vec<Opt> {
    let plain = |option: &Opt| match option {
        Opt::Timestamps(..) => Opt::Timestamps(0, 0),
        option => option.clone(),
    };
    tcp.options.iter().map(plain).collect()
}

/// What two runs share of a segment that both have.
fn core(tcp: &Tcp) -> String {
    let plain = Tcp { win: 0, options: unstamped(tcp), ..tcp.clone() };
    tcp_line(&plain)
}

fn stamp(seg: &Seg) -> Option<(i64, i64)> {
    let mut options = tcp(seg)?.options.iter();
    options.find_map(|option| if let Opt::Timestamps(val, ecr) = option { Some((*val, *ecr)) } else { None })
}

/// Whether the timestamps of an incarnation begin here.
fn begins(seg: &Seg) -> bool {
    tcp(seg).is_some_and(|tcp| tcp.flags.contains(Flags::SYN)) && stamp(seg).is_some_and(|(val, _)| val == 0)
}

/// The segments that came to the sender of `seg` with this TSval before: `(forged, ordinal)`.
fn named(timeline: &Timeline<'_>, flow: Flow, dir: Dir, seg: &Seg, ecr: i64) -> Vec<(bool, usize)> {
    let there = |lane: &[&Seg], forged: bool| -> Vec<(bool, usize)> {
        let with = |(_, other): &(usize, &&Seg)| {
            stamp(other).is_some_and(|(val, _)| val == ecr) && other.arrived.is_some_and(|arrived| arrived <= seg.at)
        };
        lane.iter().enumerate().filter(with).map(|(n, _)| (forged, n)).collect()
    };
    let forged = timeline.forged.get(&(flow, dir.back())).map_or(&[][..], Vec::as_slice);
    let mut names = there(timeline.lane(flow, dir.back()), false);
    names.extend(there(forged, true));
    names
}
