use super::field::{Act, Dir, Side};
use super::flow::Flow;
use super::plan::{accepted, flows_of_sockets};
use super::recording::{Call, Outcome, Recording, Seg, SegBody};
use super::rule::signed;
use crate::time::SimTime;
use std::collections::BTreeMap;

/// A recording in an order in which two of them can be compared: what each side sent in each flow, by ordinal.
pub(super) struct Timeline<'a> {
    pub(super) recording: &'a Recording,
    /// What hosts sent, by flow and direction.
    pub(super) sent: BTreeMap<(Flow, Dir), Vec<&'a Seg>>,
    /// What neither host sent.
    pub(super) forged: BTreeMap<(Flow, Dir), Vec<&'a Seg>>,
    icmp: Vec<&'a Seg>,
    flows: BTreeMap<(Side, String), Flow>,
}

/// Something that happened at one side, named alike in two recordings of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The side sent its `n`th segment of a flow.
    Sent(Flow, usize),
    /// The other side's `n`th arrived.
    Arrived(Flow, usize),
    /// The `n`th forged one arrived.
    Forged(Flow, usize),
    /// The `n`th ICMP error arrived.
    Icmp(usize),
    /// The `n`th line of the script began.
    Called(usize),
    /// It returned.
    Returned(usize),
}

impl<'a> Timeline<'a> {
    pub(super) fn new(recording: &'a Recording) -> Timeline<'a> {
        let (mut sent, mut forged, mut icmp) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for seg in &recording.segments {
            match recording.flow(seg) {
                None => icmp.push(seg),
                Some(flow) => {
                    let lanes = if seg.act == Act::Inject { &mut forged } else { &mut sent };
                    let lane: &mut Vec<&Seg> = lanes.entry((flow, seg.dir)).or_default();
                    lane.push(seg);
                }
            }
        }
        Timeline { recording, sent, forged, icmp, flows: flows_of_sockets(recording) }
    }

    /// What a side sent in a flow.
    pub(super) fn lane(&self, flow: Flow, dir: Dir) -> &[&'a Seg] {
        self.sent.get(&(flow, dir)).map_or(&[], Vec::as_slice)
    }

    /// The flow that a call is about, where it is about one.
    pub(super) fn flow_of(&self, call: &Call) -> Option<Flow> {
        let sock = match (&call.result, call.call.as_str()) {
            (Some(Outcome::Text(text)), "accept") => accepted(text)?.0,
            _ => call.sock.as_deref()?,
        };
        self.flows.get(&(call.side, sock.to_owned())).copied()
    }

    /// When an event happened at `side`.
    pub(super) fn time(&self, side: Side, event: Event) -> Option<SimTime> {
        let dir = Dir::from_side(side)?;
        match event {
            Event::Sent(flow, n) => self.lane(flow, dir).get(n).map(|seg| seg.at),
            Event::Arrived(flow, n) => self.lane(flow, dir.back()).get(n)?.arrived,
            Event::Forged(flow, n) => self.forged.get(&(flow, dir.back()))?.get(n)?.arrived,
            Event::Icmp(n) => self.icmp.get(n)?.arrived,
            Event::Called(n) => self.recording.script.get(n).map(|call| call.at.0),
            Event::Returned(n) => self.recording.script.get(n)?.returned.map(|returned| returned.0),
        }
    }

    /// The last event at `side` that concerns `flow`, not later than `at` and not `but` or what follows it in its lane.
    pub(super) fn before(&self, flow: Flow, side: Side, at: SimTime, but: Option<Event>) -> Option<(Event, SimTime)> {
        let dir = Dir::from_side(side)?;
        let mut last: Option<(Event, SimTime)> = None;
        let mut consider = |event: Event, time: Option<SimTime>| {
            let Some(time) = time.filter(|&time| time <= at) else { return };
            let follows = match (event, but) {
                (Event::Sent(_, n), Some(Event::Sent(_, own))) => n >= own,
                (event, but) => Some(event) == but,
            };
            if !follows && last.is_none_or(|(_, latest)| time >= latest) {
                last = Some((event, time));
            }
        };
        let count = |lanes: &BTreeMap<(Flow, Dir), Vec<&Seg>>, dir| lanes.get(&(flow, dir)).map_or(0, Vec::len);
        for n in 0..count(&self.sent, dir.back()) {
            consider(Event::Arrived(flow, n), self.time(side, Event::Arrived(flow, n)));
        }
        for n in 0..count(&self.forged, dir.back()) {
            consider(Event::Forged(flow, n), self.time(side, Event::Forged(flow, n)));
        }
        for (n, seg) in self.icmp.iter().enumerate().filter(|(_, seg)| seg.dir == dir.back()) {
            consider(Event::Icmp(n), seg.arrived);
        }
        for n in 0..count(&self.sent, dir) {
            consider(Event::Sent(flow, n), self.time(side, Event::Sent(flow, n)));
        }
        for (n, call) in self.recording.script.iter().enumerate() {
            let concerns = call.side == side && self.flow_of(call) == Some(flow);
            if concerns || call.side == Side::All {
                consider(Event::Called(n), Some(call.at.0));
                consider(Event::Returned(n), call.returned.map(|returned| returned.0));
            }
        }
        last
    }
}

/// Nanoseconds from `from` to `to`.
pub(super) fn gap(from: SimTime, to: SimTime) -> i64 {
    if to >= from { signed(to.since(from)) } else { -signed(from.since(to)) }
}

/// The TCP segment of a line that is one.
pub(super) fn tcp(seg: &Seg) -> Option<&super::Tcp> {
    if let SegBody::Tcp(tcp) = &seg.body { Some(tcp) } else { None }
}
