use super::kept::Kept;
use crate::endpoint::{Backoff, Event};
use crate::oracle::{NodeView, Oracle, Panel, Violation};
use crate::time::SimTime;
use crate::trace::{Conns, Digest, Digester, Keep, LinkId, LinkName, Names, NodeId, Record, StreamId, What};
use crate::wire::{BodyText, Notation};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::net::IpAddr;

/// Where every record of a run goes: digest, oracles, and as much memory of it as is wanted.
pub(super) struct Recorder {
    pub(super) names: Names,
    pub(super) conns: Conns,
    pub(super) violations: Vec<Violation>,
    oracles: Panel,
    oracle_wants_detail: bool,
    digester: Digester,
    kept: Kept,
    accepted: u32,
    connected: u32,
    pub(super) packets: u64,
    pub(super) lost: u64,
}

impl Recorder {
    pub(super) fn new(keep: Keep, oracles: Vec<Box<dyn Oracle>>) -> Recorder {
        Recorder {
            names: Names::default(),
            conns: Conns::default(),
            violations: Vec::new(),
            oracle_wants_detail: oracles.iter().any(|oracle| oracle.wants_detail()),
            oracles: Panel::new(oracles),
            digester: Digester::default(),
            kept: Kept::new(keep),
            accepted: 0,
            connected: 0,
            packets: 0,
            lost: 0,
        }
    }

    pub(super) fn add_node(&mut self, name: &str, backoff: Backoff) -> NodeId {
        self.digester.node(name);
        self.names.nodes.push(name.to_owned());
        let node = NodeId(number(self.names.nodes.len() - 1));
        self.oracles.add_node(node, backoff);
        node
    }

    pub(super) fn add_link(&mut self, from: &str, to: &str) -> LinkId {
        let name = LinkName { from: from.to_owned(), to: to.to_owned() };
        self.digester.link(&name);
        self.names.links.push(name);
        LinkId(number(self.names.links.len() - 1))
    }

    pub(super) fn add_stream(&mut self, name: String) -> StreamId {
        self.names.streams.push(name);
        StreamId(number(self.names.streams.len() - 1))
    }

    /// The name of the next accepted socket that is given none: `s1`, `s2`, …
    pub(super) fn next_accepted_name(&mut self) -> String {
        self.accepted += 1;
        format!("s{}", self.accepted)
    }

    /// The name of the next connecting socket that is given none: `c1`, `c2`, …
    pub(super) fn next_connected_name(&mut self) -> String {
        self.connected += 1;
        format!("c{}", self.connected)
    }

    pub(super) fn add_addr(&mut self, addr: IpAddr, node: NodeId) {
        self.names.addrs.push((addr, node));
    }

    /// Whether timers and queues are looked at.
    pub(super) fn wants_detail(&self) -> bool {
        self.kept.how() == Keep::Full || self.oracle_wants_detail
    }

    pub(super) fn keep(&mut self, keep: Keep) {
        self.kept.set(keep);
    }

    pub(super) fn set_oracles(&mut self, oracles: Vec<Box<dyn Oracle>>) {
        self.oracle_wants_detail = oracles.iter().any(|oracle| oracle.wants_detail());
        self.oracles.set(oracles);
    }

    pub(super) fn oracles(&self) -> impl Iterator<Item = &dyn Oracle> {
        self.oracles.iter()
    }

    /// Takes a record that owns nothing: dropping it would take a jump that processors do not foresee. Inlined, so that it
    /// is made where it is shown from, and not copied there.
    #[inline(always)]
    pub(super) fn show(&mut self, at: SimTime, node: NodeId, what: What<'_>) {
        debug_assert!(what.owns_nothing(), "it would never be given back");
        let record = ManuallyDrop::new(Record { at, node: Some(node), what });
        self.take(&record);
    }

    #[inline(never)]
    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.digester.take(record);
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.tell(record);
        }
        if let What::Sent(sent) = &record.what {
            self.packets += 1;
            self.lost += u64::from(sent.fate.is_lost());
        }
        let found = self.oracles.take(record, &self.names, &self.conns);
        let found = (!found.is_empty()).then(|| std::mem::take(found));
        if self.kept.how() != Keep::Nothing {
            self.kept.take(record);
        }
        if let Some(found) = found {
            self.settle(found);
        }
    }

    /// The same as `tracing` events, with virtual time: transitions, calls and disturbances at DEBUG, packets at TRACE.
    #[cold]
    fn tell(&self, record: &Record<'_>) {
        let (at, host) = (record.at, record.node.map_or("-", |node| self.names.node(node)));
        match &record.what {
            What::Sent(sent) => {
                let body = BodyText::of(&sent.packet.body, Notation::ABSOLUTE);
                tracing::trace!(%at, host, link = %self.names.link(sent.link), n = sent.n, fate = %sent.fate, %body, "sent");
            }
            What::Arrived(arrived) => {
                let link = self.names.link(arrived.link);
                tracing::trace!(%at, host, %link, n = arrived.n, outcome = ?arrived.outcome, "arrived");
            }
            What::Noted { event: Event::Transition { tuple, from, to, .. }, .. } => {
                tracing::debug!(%at, host, %tuple, %from, %to, "state");
            }
            What::Noted { event, .. } => tracing::trace!(%at, host, ?event, "noted"),
            What::Called(called) => tracing::debug!(%at, host, call = ?called.call, result = ?called.result, "call"),
            What::Disturbed(disturbance) => tracing::debug!(%at, host, ?disturbance, "disturbed"),
            What::Violated { rule, text } => tracing::warn!(%at, host, rule, text, "violated"),
        }
    }

    pub(super) fn quiescent(&mut self, now: SimTime, nodes: &[NodeView]) {
        let found = std::mem::take(self.oracles.quiescent(nodes, &self.names, &self.conns, now));
        self.settle(found);
    }

    pub(super) fn digest(&self) -> Digest {
        self.digester.digest()
    }

    pub(super) fn records(&self) -> &VecDeque<Record<'static>> {
        self.kept.records()
    }

    /// Bytes that the kept records take.
    pub(super) fn kept(&self) -> u64 {
        self.kept.bytes()
    }

    /// Moves what the oracles found into the list of violations and into the trace.
    #[cold]
    fn settle(&mut self, found: Vec<Violation>) {
        for violation in found {
            let what = What::Violated { rule: violation.oracle, text: violation.text.clone() };
            self.kept.take(&Record { at: violation.at, node: violation.node, what });
            self.violations.push(violation);
        }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).expect("fewer than 2^32 of a kind in one run")
}
