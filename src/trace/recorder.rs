use super::digest::Digester;
use super::{Conns, Digest, LinkId, LinkName, Names, NodeId, Record, StreamId, What};
use crate::oracle::{NodeView, Oracle, Seen, Violation};
use crate::time::SimTime;
use std::collections::VecDeque;
use std::net::IpAddr;

/// How much of a run is kept for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: digest and verdict only.
    Nothing,
    /// The last so many records.
    Last(usize),
    /// Everything, without timers and queues.
    Story,
    /// Everything.
    Full,
}

/// Where every record of a run goes: digest, oracles, and as much memory of it as is wanted.
pub(crate) struct Recorder {
    pub(crate) names: Names,
    pub(crate) conns: Conns,
    pub(crate) violations: Vec<Violation>,
    oracles: Vec<Box<dyn Oracle>>,
    digester: Digester,
    keep: Keep,
    records: VecDeque<Record<'static>>,
    found: Vec<Violation>,
}

impl Recorder {
    pub(crate) fn new(keep: Keep, oracles: Vec<Box<dyn Oracle>>) -> Recorder {
        Recorder {
            names: Names::default(),
            conns: Conns::default(),
            violations: Vec::new(),
            oracles,
            digester: Digester::default(),
            keep,
            records: VecDeque::new(),
            found: Vec::new(),
        }
    }

    pub(crate) fn add_node(&mut self, name: &str) -> NodeId {
        self.digester.node(name);
        self.names.nodes.push(name.to_owned());
        NodeId(number(self.names.nodes.len() - 1))
    }

    pub(crate) fn add_link(&mut self, from: &str, to: &str) -> LinkId {
        let name = LinkName { from: from.to_owned(), to: to.to_owned() };
        self.digester.link(&name);
        self.names.links.push(name);
        LinkId(number(self.names.links.len() - 1))
    }

    pub(crate) fn add_stream(&mut self, name: String) -> StreamId {
        self.names.streams.push(name);
        StreamId(number(self.names.streams.len() - 1))
    }

    pub(crate) fn add_addr(&mut self, addr: IpAddr, node: NodeId) {
        self.names.addrs.push((addr, node));
    }

    /// Whether timers and queues are looked at.
    pub(crate) fn wants_detail(&self) -> bool {
        self.keep == Keep::Full
    }

    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    pub(crate) fn set_oracles(&mut self, oracles: Vec<Box<dyn Oracle>>) {
        self.oracles = oracles;
    }

    pub(crate) fn oracles(&self) -> impl Iterator<Item = &dyn Oracle> {
        self.oracles.iter().map(|oracle| &**oracle)
    }

    pub(crate) fn take(&mut self, record: Record<'_>) {
        self.digester.take(&record);
        let mut seen =
            Seen { names: &self.names, conns: &self.conns, now: record.at, found: &mut self.found };
        for oracle in &mut self.oracles {
            oracle.on_record(&record, &mut seen);
        }
        self.remember(record);
        self.settle();
    }

    pub(crate) fn quiescent(&mut self, now: SimTime, nodes: &[NodeView]) {
        let mut seen = Seen { names: &self.names, conns: &self.conns, now, found: &mut self.found };
        for oracle in &mut self.oracles {
            oracle.at_quiescence(nodes, &mut seen);
        }
        self.settle();
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digester.digest()
    }

    pub(crate) fn records(&self) -> &VecDeque<Record<'static>> {
        &self.records
    }

    fn remember(&mut self, record: Record<'_>) {
        match self.keep {
            Keep::Nothing => {}
            Keep::Story | Keep::Full => self.records.push_back(record.into_owned()),
            Keep::Last(most) => {
                if self.records.len() >= most {
                    self.records.pop_front();
                }
                self.records.push_back(record.into_owned());
            }
        }
    }

    /// Moves what the oracles found into the list of violations and into the trace.
    fn settle(&mut self) {
        while !self.found.is_empty() {
            let violation = self.found.remove(0);
            let what = What::Violated { rule: violation.oracle, text: violation.text.clone() };
            self.remember(Record { at: violation.at, node: violation.node, what });
            self.violations.push(violation);
        }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("fewer than 2^32 of a kind in one run")
}
