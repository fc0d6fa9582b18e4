//! What is expected of a run, held against what came out.

use super::play::Player;
use super::{Condition, Expect, Moment, PacketRef, SegmentPattern, Violation};
use crate::endpoint::{Event, State};
use crate::sim::{Exceeded, Sim};
use crate::time::SimTime;
use crate::trace::{ConnId, LinkId, LinkName, NodeId, Sent, What};
use crate::wire::{BodyText, Notation};
use std::collections::BTreeMap;
use std::fmt;

/// An expectation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A budget was exceeded.
    Budget(Exceeded),
    /// A step's time or condition never came.
    NeverStarted {
        /// The step, with its line.
        step: String,
    },
    /// A step returned something else, or nothing.
    Result {
        /// The step, with its line.
        step: String,
        /// What it should have returned.
        expected: String,
        /// What it returned.
        got: String,
    },
    /// A step took longer or shorter.
    Took {
        /// The step, with its line.
        step: String,
        /// How long it should have taken.
        expected: String,
        /// How long it took.
        got: String,
    },
    /// Anything else that was looked at.
    Other {
        /// When it was looked at.
        at: SimTime,
        /// What was looked at: `netstat server`.
        what: String,
        /// What should have been there.
        expected: String,
        /// What was there.
        got: String,
    },
    /// An oracle fired that was not expected to.
    Unexpected {
        /// When.
        at: SimTime,
        /// The oracle.
        oracle: &'static str,
        /// Where its rule comes from.
        source: &'static str,
        /// What it saw.
        text: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Budget(exceeded) => write!(f, "{exceeded}"),
            Failure::NeverStarted { step } => write!(f, "{step}: it never started: what it waits for did not come"),
            Failure::Result { step, expected, got } => write!(f, "{step}: expected {expected}, got {got}"),
            Failure::Took { step, expected, got } => write!(f, "{step}: expected to take {expected}, took {got}"),
            Failure::Other { at, what, expected, got } => write!(f, "at {at}, {what}: expected {expected}, got {got}"),
            Failure::Unexpected { at, oracle, source, text } => write!(f, "at {at}, {oracle} ({source}): {text}"),
        }
    }
}

/// The expectations of one run, and how far they have been looked at.
pub(super) struct Judge<'a> {
    expect: &'a Expect,
    /// Checks at an instant, which has come or not.
    done: Vec<bool>,
    failures: Vec<Failure>,
    /// How often each entry's segment has been seen.
    met: BTreeMap<usize, u32>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(expect: &'a Expect) -> Judge<'a> {
        Judge { expect, done: vec![false; expect.at.len()], failures: Vec::new(), met: BTreeMap::new() }
    }

    /// When the next thing is to be looked at.
    pub(super) fn next_check(&self) -> Option<SimTime> {
        let waiting = self.expect.at.iter().zip(&self.done).filter(|(_, done)| !**done);
        waiting.filter_map(|(check, _)| if let Moment::At(at) = check.time { Some(at) } else { None }).min()
    }

    /// Whether record `n` is what the entry `entry` waits for.
    pub(super) fn meets(
        &mut self,
        sim: &Sim,
        hosts: &BTreeMap<String, NodeId>,
        condition: &Condition,
        entry: usize,
        n: usize,
    ) -> bool {
        let record = &sim.records()[n];
        match (condition, &record.what) {
            (Condition::State { host, conn, state }, What::Noted { conn: Some(belongs), event }) => {
                let Event::Transition { to, .. } = event else { return false };
                let here = host.as_ref().is_none_or(|host| hosts.get(host.as_str()).copied() == record.node);
                here && to == state && sim.conns().name(belongs.conn) == conn.as_str()
            }
            (Condition::Segment { pattern, nth }, What::Sent(sent)) if matches_sent(sim, pattern, sent) => {
                let met = self.met.entry(entry).or_default();
                *met += 1;
                *met == *nth
            }
            _ => false,
        }
    }
}

/// Whether a packet as it was sent is one of those that `pattern` means.
pub(super) fn matches_sent(sim: &Sim, pattern: &SegmentPattern, sent: &Sent<'_>) -> bool {
    let Some(segment) = sent.packet.segment() else { return false };
    let link = sim.names().link(sent.link);
    let ends = (link.from.as_str(), link.to.as_str()) == (pattern.from.as_str(), pattern.to.as_str());
    ends && segment.flags == pattern.flags
        && pattern.text.as_ref().is_none_or(|text| {
            let (seq, ack) = sim.conns().bases(sent.conn);
            text.matches(segment, seq, ack)
        })
}

/// A packet in the notation of patterns.
fn text_of(sim: &Sim, sent: &Sent<'_>) -> String {
    let (seq, ack) = sim.conns().bases(sent.conn);
    BodyText::of(&sent.packet.body, Notation::relative(seq, ack)).to_string()
}

impl Player<'_> {
    /// Looks at everything that is due at `at`.
    pub(super) fn look_at(&mut self, at: SimTime) {
        for n in 0..self.judge.expect.at.len() {
            let check = &self.judge.expect.at[n];
            if check.time == Moment::At(at) && !self.judge.done[n] {
                self.judge.done[n] = true;
                let failure = self.look(check);
                self.judge.failures.extend(failure);
            }
        }
    }

    /// Looks at everything that is left when nothing happens any more; gives the number of expectations.
    pub(super) fn look_at_end(&mut self, failures: &mut Vec<Failure>) -> usize {
        let expect = self.judge.expect;
        for n in 0..expect.at.len() {
            if !self.judge.done[n] {
                let failure = self.look(&expect.at[n]);
                self.judge.failures.extend(failure);
            }
        }
        failures.append(&mut self.judge.failures);
        failures.extend(expect.always.iter().filter_map(|path| self.path(path)));
        failures.extend(self.segments(&expect.segments));
        self.violations(&expect.violates, failures);
        let results =
            self.instance.steps.iter().map(|s| usize::from(s.result.is_some()) + usize::from(s.took.is_some()));
        expect.at.len() + expect.always.len() + expect.segments.len() + expect.violates.len() + results.sum::<usize>()
    }

    /// The states of one end of a connection, in their order.
    fn path(&self, expected: &super::StatePath) -> Option<Failure> {
        let node = self.hosts.get(expected.host.as_str()).copied();
        let conn = self.conn_called(expected.conn.as_str());
        let mut path: Vec<State> = Vec::new();
        for record in self.sim.records() {
            let What::Noted { conn: Some(belongs), event: Event::Transition { from, to, .. } } = &record.what else {
                continue;
            };
            if record.node == node && Some(belongs.conn) == conn {
                if path.is_empty() && *from == State::Closed && expected.path.first() == Some(&State::Closed) {
                    path.push(*from);
                }
                path.push(*to);
            }
        }
        let text = |path: &[State]| path.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ");
        (path != expected.path).then(|| Failure::Other {
            at: self.sim.now(),
            what: format!("states of {} {}", expected.host, expected.conn),
            expected: text(&expected.path),
            got: text(&path),
        })
    }

    /// The connection of this name, or the one that the socket of this name is an end of: where both ends connect, the
    /// connection bears the name of one.
    fn conn_called(&self, name: &str) -> Option<ConnId> {
        let conns = self.sim.conns();
        let mut all = (0u32..).map(ConnId).take(conns.len());
        all.find(|conn| conns.name(*conn) == name).or_else(|| {
            let (local, remote) = self.sim.ends(self.stream(name)?)?;
            conns.of(local, remote).map(|belongs| belongs.conn)
        })
    }

    /// The first segments of the run, exactly these.
    fn segments(&self, expected: &[SegmentPattern]) -> Option<Failure> {
        let sent = self.sim.records().iter().filter_map(|record| match &record.what {
            What::Sent(sent) if sent.packet.segment().is_some() => Some((record.at, sent)),
            _ => None,
        });
        let mut sent = sent;
        for (pattern, n) in expected.iter().zip(1..) {
            let found = sent.next();
            if found.as_ref().is_some_and(|(_, sent)| matches_sent(&self.sim, pattern, sent)) {
                continue;
            }
            let (at, got) = match found {
                Some((at, sent)) => (at, format!("{} {}", self.sim.names().link(sent.link), text_of(&self.sim, sent))),
                None => (self.sim.now(), "no more segments".to_owned()),
            };
            return Some(Failure::Other { at, what: format!("segment {n}"), expected: pattern.to_string(), got });
        }
        None
    }

    /// Oracles that must fire, and no others.
    fn violations(&self, expected: &[Violation], failures: &mut Vec<Failure>) {
        let outcome = self.sim.outcome();
        for wanted in expected {
            let fits = |found: &crate::oracle::Violation| {
                found.oracle == wanted.oracle.as_str()
                    && wanted.at.is_none_or(|at| at == found.at)
                    && wanted
                        .packet
                        .as_ref()
                        .is_none_or(|packet| found.packet.is_some_and(|f| self.packets(packet).contains(&f)))
            };
            if !outcome.violations.iter().any(fits) {
                let at = wanted.at.map_or_else(String::new, |at| format!(" at {at}"));
                let got = outcome.violations.iter().map(|v| format!("{} at {}", v.oracle, v.at)).collect::<Vec<_>>();
                failures.push(Failure::Other {
                    at: self.sim.now(),
                    what: "oracles".to_owned(),
                    expected: format!("{} to fire{at}", wanted.oracle),
                    got: if got.is_empty() { "none fired".to_owned() } else { got.join(", ") },
                });
            }
        }
        for found in outcome.violations {
            if !expected.iter().any(|wanted| wanted.oracle.as_str() == found.oracle) {
                let crate::oracle::Violation { at, oracle, source, text, .. } = found;
                failures.push(Failure::Unexpected { at, oracle, source, text });
            }
        }
    }

    /// The packets that an expectation speaks of.
    pub(super) fn packets(&self, packet: &PacketRef) -> Vec<(LinkId, u64)> {
        match packet {
            PacketRef::Fault(name) => self.sim.hit_by(name),
            PacketRef::Packet(name) => {
                let links = self.sim.names().all_links();
                let same =
                    |link: &LinkName| (link.from.as_str(), link.to.as_str()) == (name.from.as_str(), name.to.as_str());
                links.filter(|(_, link)| same(link)).map(|(id, _)| (id, name.number)).collect()
            }
        }
    }
}
