//! What a story asks about its run: verdict, trace, connections, counters.

use super::Sim;
use super::budget::Exceeded;
use super::node::Presence;
use super::recorder::Recorder;
use crate::endpoint::{ConnView, ListenView};
use crate::oracle::{NodeView, Oracle, Violation};
use crate::time::{HostTime, SimTime};
use crate::trace::{Conns, Digest, Header, Keep, Names, NodeId, Record, Trace, Verdict, What};
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing more would happen.
    Quiescent,
    /// A budget was exceeded.
    Exceeded(Exceeded),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended; nothing if it was not run to its end.
    pub ended: Option<Ended>,
    /// Rules that were broken, in the order of time.
    pub violations: Vec<Violation>,
    /// Oracles that looked.
    pub oracles: usize,
    /// Oracles that had nothing to look at, since no endpoint shows its state.
    pub not_applicable: Vec<&'static str>,
    /// Packets sent.
    pub packets: u64,
    /// Packets that arrived nowhere.
    pub lost: u64,
    /// Events.
    pub events: u64,
    /// Events that another source's event shared its instant with.
    pub ties: u64,
    /// When it ended.
    pub at: SimTime,
}

impl Outcome {
    /// Whether no rule was broken and no budget exceeded.
    pub fn held(&self) -> bool {
        self.violations.is_empty() && !matches!(self.ended, Some(Ended::Exceeded(_)))
    }

    /// The last line of the trace.
    pub fn verdict(&self) -> Verdict {
        let broken = self.violations.iter().map(|v| format!("{} at {}: {}", v.oracle, v.at, v.text));
        Verdict {
            at: self.at,
            held: self.held(),
            oracles: self.oracles,
            not_applicable: self.not_applicable.clone(),
            expectations: 0,
            broken: broken.collect(),
            packets: self.packets,
            lost: self.lost,
            ended: self.ended.map_or_else(|| "not finished".to_owned(), |ended| ended.to_string()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Quiescent => f.write_str("quiescent"),
            Ended::Exceeded(exceeded) => write!(f, "{exceeded}"),
        }
    }
}

impl Sim {
    /// The run is over where nothing more will happen: the oracles look at what is left.
    pub(super) fn finish(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(Ended::Quiescent);
        let views: Vec<NodeView> = (0u32..).map(NodeId).take(self.nodes.len()).map(|n| self.view(n)).collect();
        self.recorder.quiescent(self.now, &views);
    }

    pub(super) fn exceed(&mut self, exceeded: Exceeded) {
        self.ended = Some(Ended::Exceeded(exceeded));
        self.record(None, What::Violated { rule: "budget", text: exceeded.to_string() });
    }

    fn view(&self, node: NodeId) -> NodeView {
        let up = self.nodes[node.0 as usize].presence != Presence::Down;
        NodeView { node, up, connections: self.connections(node), listeners: self.listeners(node) }
    }

    /// What came of the run so far.
    pub fn outcome(&self) -> Outcome {
        let hosts = self.nodes.iter().any(|node| node.endpoint.shows_state());
        let idle = |oracle: &&dyn Oracle| oracle.needs_state() && !hosts;
        let not_applicable: Vec<_> = self.recorder.oracles().filter(idle).map(Oracle::name).collect();
        Outcome {
            ended: self.ended,
            violations: self.recorder.violations.clone(),
            oracles: self.recorder.oracles().count() - not_applicable.len(),
            not_applicable,
            packets: self.recorder.packets,
            lost: self.recorder.lost,
            events: self.used.events,
            ties: self.used.ties,
            at: self.now,
        }
    }

    /// What is run: the first lines of its trace.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Says what is run.
    pub fn set_header(&mut self, header: Header) {
        self.header = header;
    }

    /// The digest of the run so far.
    pub fn digest(&self) -> Digest {
        self.recorder.digest()
    }

    /// What is kept of the run, ready to be rendered.
    pub fn trace(&self) -> Trace<'_> {
        let Recorder { names, conns, .. } = &self.recorder;
        let verdict = self.ended.map(|_| self.outcome().verdict());
        Trace { header: &self.header, names, conns, records: self.recorder.records(), verdict }
    }

    /// What the clock of `node` shows now.
    pub fn host_now(&self, node: NodeId) -> HostTime {
        self.nodes[node.0 as usize].clock.to_host(self.now)
    }

    /// The names behind the numbers of records.
    pub fn names(&self) -> &Names {
        &self.recorder.names
    }

    /// The connections behind the numbers of records.
    pub fn conns(&self) -> &Conns {
        &self.recorder.conns
    }

    /// Whether `addr` is one of the addresses of `node`.
    pub fn owns(&self, node: NodeId, addr: IpAddr) -> bool {
        self.nodes[node.0 as usize].owns(addr)
    }

    /// The records that are kept.
    pub fn records(&self) -> &VecDeque<Record<'static>> {
        self.recorder.records()
    }

    /// Keeps this much from now on.
    pub fn keep(&mut self, keep: Keep) {
        self.recorder.keep(keep);
    }

    /// Replaces the oracles; an empty list for none.
    pub fn set_oracles(&mut self, oracles: Vec<Box<dyn Oracle>>) {
        self.recorder.set_oracles(oracles);
    }

    /// The connections of `node`, as its endpoint shows them.
    pub fn connections(&self, node: NodeId) -> Vec<ConnView> {
        let mut views = Vec::new();
        self.nodes[node.0 as usize].endpoint.connections(&mut |view| views.push(view));
        views
    }

    /// The listeners of `node`, as its endpoint shows them.
    pub fn listeners(&self, node: NodeId) -> Vec<ListenView> {
        let mut views = Vec::new();
        self.nodes[node.0 as usize].endpoint.listeners(&mut |view| views.push(view));
        views
    }

    /// A counter of `node` by its name (`TcpExt.ListenDrops`); nothing if the endpoint keeps no such counter.
    pub fn counter(&self, node: NodeId, name: &str) -> Option<u64> {
        let mut found = None;
        self.nodes[node.0 as usize].endpoint.counters(&mut |counter, value| {
            if counter == name {
                found = Some(value);
            }
        });
        found
    }
}
