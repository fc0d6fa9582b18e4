//! Checks from outside the stacks: safety as events pass, liveness at quiescence.
//!
//! An oracle takes one record at a time and keeps its own state; it never looks back and never scans while the run
//! goes on. Wire oracles need packets, fates and socket results only, and run on every endpoint; state oracles need
//! [`crate::endpoint::Endpoint::connections`].

use crate::endpoint::{ConnView, ListenView};
use crate::time::SimTime;
use crate::trace::{Conns, Names, NodeId, Record};

/// One rule, checked from outside.
pub trait Oracle: Send {
    /// Its name: what `violates` and the verdict say.
    fn name(&self) -> &'static str;

    /// Where the rule comes from: `RFC 9293 3.4`.
    fn source(&self) -> &'static str;

    /// Something happened.
    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>);

    /// Nothing more will happen. `nodes` shows each endpoint's connections and listeners, where it offers them.
    fn at_quiescence(&mut self, _nodes: &[NodeView], _seen: &mut Seen<'_>) {}
}

/// One endpoint at quiescence.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Which.
    pub node: NodeId,
    /// Whether it is up.
    pub up: bool,
    /// Its connections.
    pub connections: Vec<ConnView>,
    /// Its listeners.
    pub listeners: Vec<ListenView>,
}

/// What an oracle may look at beside the record, and where it reports.
pub struct Seen<'a> {
    /// The names behind the numbers.
    pub names: &'a Names,
    /// The connections of the run.
    pub conns: &'a Conns,
    /// The instant.
    pub now: SimTime,
    pub(crate) found: &'a mut Vec<Violation>,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle's name.
    pub oracle: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
    /// When it was broken.
    pub at: SimTime,
    /// Where.
    pub node: Option<NodeId>,
    /// The packet that broke it: its link and number.
    pub packet: Option<(crate::trace::LinkId, u64)>,
    /// What happened, with its numbers; names both events where two contradict each other.
    pub text: String,
}

impl Seen<'_> {
    /// Reports that `oracle`'s rule is broken.
    pub fn violated(
        &mut self,
        oracle: &dyn Oracle,
        node: Option<NodeId>,
        packet: Option<(crate::trace::LinkId, u64)>,
        text: String,
    ) {
        let (oracle, source) = (oracle.name(), oracle.source());
        self.found.push(Violation { oracle, source, at: self.now, node, packet, text });
    }
}
