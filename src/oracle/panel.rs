use super::evidence::Evidence;
use super::{Hears, NodeView, Oracle, Seen, Violation};
use crate::endpoint::Backoff;
use crate::time::SimTime;
use crate::trace::{Conns, Names, NodeId, Record};

/// The oracles of one run, and the evidence that they share: each record is sorted once for all of them.
pub(crate) struct Panel {
    oracles: Vec<Box<dyn Oracle>>,
    /// The places of those that hear of each kind of record, by the bits of the kind.
    ears: [Vec<u8>; Hears::KINDS],
    evidence: Evidence,
    found: Vec<Violation>,
}

impl Panel {
    pub(crate) fn new(oracles: Vec<Box<dyn Oracle>>) -> Panel {
        Panel { ears: ears(&oracles), oracles, evidence: Evidence::default(), found: Vec::new() }
    }

    /// There is another endpoint, whose RTO grows like this.
    pub(crate) fn add_node(&mut self, node: NodeId, backoff: Backoff) {
        self.evidence.add_node(node, backoff);
    }

    /// Puts others in their place; what the evidence says of the run so far holds for them too.
    pub(crate) fn set(&mut self, oracles: Vec<Box<dyn Oracle>>) {
        self.ears = ears(&oracles);
        self.oracles = oracles;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Oracle> {
        self.oracles.iter().map(|oracle| &**oracle)
    }

    /// Shows a record to every oracle; what they found, in the order of their places.
    pub(crate) fn take(&mut self, record: &Record<'_>, names: &Names, conns: &Conns) -> &mut Vec<Violation> {
        let sight = self.evidence.look(record, names, conns);
        let kind = Hears::kind(record, sight.is_some());
        let (evidence, found, now) = (&self.evidence, &mut self.found, record.at);
        let mut seen = Seen { names, conns, now, sight, evidence, found };
        for &place in &self.ears[kind.bits() as usize] {
            self.oracles[place as usize].on_record(record, &mut seen);
        }
        &mut self.found
    }

    /// Nothing more will happen; what the oracles find in what is left.
    pub(crate) fn quiescent(
        &mut self,
        nodes: &[NodeView],
        names: &Names,
        conns: &Conns,
        now: SimTime,
    ) -> &mut Vec<Violation> {
        self.evidence.settle();
        let mut seen = Seen { names, conns, now, sight: None, evidence: &self.evidence, found: &mut self.found };
        for oracle in &mut self.oracles {
            oracle.at_quiescence(nodes, &mut seen);
        }
        &mut self.found
    }
}

fn ears(oracles: &[Box<dyn Oracle>]) -> [Vec<u8>; Hears::KINDS] {
    std::array::from_fn(|bits| {
        let kind = Hears::from_bits_truncate(u8::try_from(bits).unwrap_or(0));
        let hears = |oracle: &dyn Oracle| oracle.hears().intersects(kind);
        (0..=u8::MAX).zip(oracles).filter(|(_, oracle)| hears(&***oracle)).map(|(place, _)| place).collect()
    })
}
