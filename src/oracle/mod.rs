//! Checks from outside the stacks: safety as events pass, liveness at quiescence.
//!
//! An oracle takes one record at a time and keeps its own state; it never looks back and never scans while the run
//! goes on. Wire oracles need packets, fates and socket results only, and run on every endpoint; state oracles need
//! [`crate::endpoint::Endpoint::connections`].
//!
//! An oracle that is not sure says nothing: what it reports is broken, what it passes may be.

mod ack_required;
mod ack_storm;
mod checksum;
mod consistent_retransmission;
mod ends;
mod evidence;
mod legal_transition;
mod liveness;
mod mtu;
mod panel;
#[cfg(test)]
mod plant;
mod queue_bounds;
mod rto_growth;
mod stream_integrity;
mod una_le_nxt;
mod window;

pub use ack_required::AckRequired;
pub use ack_storm::AckStorm;
pub use checksum::Checksum;
pub use consistent_retransmission::ConsistentRetransmission;
pub use evidence::{Coming, End, Sending};
pub use legal_transition::LegalTransition;
pub use liveness::Liveness;
pub use mtu::Mtu;
pub(crate) use panel::Panel;
pub use queue_bounds::QueueBounds;
pub use rto_growth::RtoGrowth;
pub use stream_integrity::StreamIntegrity;
pub use una_le_nxt::UnaLeNxt;
pub use window::Window;

use crate::endpoint::{ConnView, ListenView};
use crate::time::SimTime;
use crate::trace::{Conns, Names, NodeId, Record};

/// One rule, checked from outside.
pub trait Oracle: Send {
    /// Its name: what `violates` and the verdict say.
    fn name(&self) -> &'static str;

    /// Where the rule comes from: `RFC 9293 3.4`.
    fn source(&self) -> &'static str;

    /// Whether it looks at timers, queues and congestion windows. Where nothing does, endpoints need not tell of them.
    fn wants_detail(&self) -> bool {
        false
    }

    /// Whether it judges nothing but what endpoints show of their state.
    fn needs_state(&self) -> bool {
        false
    }

    /// What it needs to hear of; it is not called with anything else.
    fn hears(&self) -> Hears {
        Hears::all()
    }

    /// Something happened.
    fn on_record(&mut self, _record: &Record<'_>, _seen: &mut Seen<'_>) {}

    /// A segment was sent that proves something of its sender. Called in place of [`Oracle::on_record`], which it calls
    /// unless an oracle has more use for it.
    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        self.on_record(sending.record, seen);
    }

    /// A segment came to the end that it was meant for, and proves something. Called in place of
    /// [`Oracle::on_record`], which it calls unless an oracle has more use for it.
    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        self.on_record(coming.record, seen);
    }

    /// An end has nothing left to send but acknowledgments ([`Hears::DONE`]), or has ceased to exist
    /// ([`Hears::ENDED`]). Called in place of [`Oracle::on_record`], which it calls unless an oracle has more use for it.
    fn on_done(&mut self, _end: End, record: &Record<'_>, seen: &mut Seen<'_>) {
        self.on_record(record, seen);
    }

    /// Nothing more will happen. `nodes` shows each endpoint's connections and listeners, where it offers them.
    fn at_quiescence(&mut self, _nodes: &[NodeView], _seen: &mut Seen<'_>) {}
}

bitflags::bitflags! {
    /// Kinds of records.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Hears: u32 {
        /// A packet was sent.
        const SENT = 1;
        /// A packet arrived.
        const ARRIVED = 2;
        /// Of what was sent, segments that prove something: an end sent it of its own accord.
        const SENDINGS = 4;
        /// Of what arrived, segments that prove something: it reached its end.
        const COMINGS = 8;
        /// Of these two, what is more than an acknowledgment: SYN, data, FIN, RST, urgent.
        const TELLING = 16;
        /// Of what arrived, what does not parse.
        const GARBLED = 32;
        /// An endpoint told something.
        const NOTED = 64;
        /// Of what endpoints tell, that a connection ceased to exist.
        const ENDED = 128;
        /// Of what endpoints tell, that a state lasts for ever.
        const ENDLESS = 256;
        /// Of what endpoints tell, the queues of listeners.
        const QUEUES = 512;
        /// A socket call returned.
        const CALLED = 1024;
        /// Of socket calls, `setsockopt`.
        const OPTIONS = 2048;
        /// Something happened to the world.
        const DISTURBED = 4096;
        /// Of what endpoints tell, that a connection has nothing left to send but acknowledgments: it is in TIME-WAIT, or
        /// has ceased to exist.
        const DONE = 8192;
        /// Of what was sent, segments with data.
        const DATA = 16384;
        /// Of what arrived, SYNs.
        const SYNS = 32768;
        /// Of segments that prove something, sent or arrived, acknowledgments and nothing more.
        const ACKS = 65536;

        /// Segments that prove something.
        const SEGMENTS = Self::SENDINGS.bits() | Self::COMINGS.bits();
    }
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
    evidence: &'a evidence::Evidence,
    found: &'a mut Vec<Violation>,
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
    #[cold]
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

type Make = fn() -> Box<dyn Oracle>;

/// Every oracle under its name, the wire oracles first.
const ALL: [(&str, Make); 12] = [
    (stream_integrity::NAME, || Box::new(StreamIntegrity::default())),
    (window::NAME, || Box::new(Window::default())),
    (mtu::NAME, || Box::new(Mtu::default())),
    (consistent_retransmission::NAME, || Box::new(ConsistentRetransmission::default())),
    (rto_growth::NAME, || Box::new(RtoGrowth::default())),
    (ack_required::NAME, || Box::new(AckRequired::default())),
    (ack_storm::NAME, || Box::new(AckStorm::default())),
    (checksum::NAME, || Box::new(Checksum)),
    (liveness::NAME, || Box::new(Liveness::default())),
    (legal_transition::NAME, || Box::new(LegalTransition::default())),
    (una_le_nxt::NAME, || Box::new(UnaLeNxt::default())),
    (queue_bounds::NAME, || Box::new(QueueBounds)),
];

/// Every oracle, fresh for one run.
pub fn all() -> Vec<Box<dyn Oracle>> {
    ALL.iter().map(|(_, make)| make()).collect()
}

/// The oracle with this name, fresh for one run.
pub fn by_name(name: &str) -> Option<Box<dyn Oracle>> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}

/// The names of all oracles.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|&(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oracles_are_found_under_the_names_they_bear() {
        for name in names() {
            let oracle = by_name(name).unwrap();
            assert_eq!(oracle.name(), name);
            assert!(!oracle.source().is_empty());
        }
        let mut sorted: Vec<_> = names().collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((sorted.len(), all().len()), (ALL.len(), ALL.len()));
        assert!(by_name("stream").is_none());
    }
}
