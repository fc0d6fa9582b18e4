use super::evidence::{Evidence, Sight};
use super::{Hears, NodeView, Oracle, Seen, Violation};
use crate::endpoint::{Backoff, Event, State};
use crate::time::{SimTime, Span};
use crate::trace::{Call, Conns, Names, NodeId, Record, What};
use crate::wire::{Body, Flags, Segment};

/// The oracles of one run, and the evidence that they share: each record is sorted once for all of them.
pub(crate) struct Panel {
    oracles: Vec<Box<dyn Oracle>>,
    /// The places of those that hear of each kind of record.
    ears: [Vec<u8>; Kind::ALL.len()],
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
        let ears = self.ears[Kind::of(record, &sight) as usize].iter().map(|&place| place as usize);
        let mut seen = Seen { names, conns, now: record.at, evidence: &self.evidence, found: &mut self.found };
        match &sight {
            Sight::Sent(sending) => ears.for_each(|place| self.oracles[place].on_sending(sending, &mut seen)),
            Sight::Came(coming) => ears.for_each(|place| self.oracles[place].on_coming(coming, &mut seen)),
            Sight::Done(end) => ears.for_each(|place| self.oracles[place].on_done(*end, record, &mut seen)),
            Sight::Other => ears.for_each(|place| self.oracles[place].on_record(record, &mut seen)),
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
        let mut seen = Seen { names, conns, now, evidence: &self.evidence, found: &mut self.found };
        for oracle in &mut self.oracles {
            oracle.at_quiescence(nodes, &mut seen);
        }
        &mut self.found
    }
}

fn ears(oracles: &[Box<dyn Oracle>]) -> [Vec<u8>; Kind::ALL.len()] {
    Kind::ALL.map(|kind| {
        let hears = |oracle: &dyn Oracle| oracle.hears().intersects(kind.bits());
        (0..=u8::MAX).zip(oracles).filter(|(_, oracle)| hears(&***oracle)).map(|(place, _)| place).collect()
    })
}

/// What a record is; each is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sent,
    /// Sent by an end: an acknowledgment, data, and what else is more than an acknowledgment.
    SentAck,
    SentData,
    SentMore,
    Arrived,
    /// Come to its end.
    CameAck,
    CameSyn,
    CameMore,
    Garbled,
    Noted,
    Waiting,
    Ended,
    Endless,
    Queue,
    Called,
    OptionSet,
    Disturbed,
}

impl Kind {
    const ALL: [Kind; 17] = [
        Kind::Sent,
        Kind::SentAck,
        Kind::SentData,
        Kind::SentMore,
        Kind::Arrived,
        Kind::CameAck,
        Kind::CameSyn,
        Kind::CameMore,
        Kind::Garbled,
        Kind::Noted,
        Kind::Waiting,
        Kind::Ended,
        Kind::Endless,
        Kind::Queue,
        Kind::Called,
        Kind::OptionSet,
        Kind::Disturbed,
    ];

    #[inline]
    pub(super) fn of(record: &Record<'_>, sight: &Sight<'_>) -> Kind {
        match sight {
            Sight::Sent(sending) if is_ack(sending.segment) => Kind::SentAck,
            Sight::Sent(sending) if !sending.segment.payload.is_empty() => Kind::SentData,
            Sight::Sent(_) => Kind::SentMore,
            Sight::Came(coming) if is_ack(coming.segment) => Kind::CameAck,
            Sight::Came(coming) if coming.segment.has(Flags::SYN) => Kind::CameSyn,
            Sight::Came(_) => Kind::CameMore,
            Sight::Done(_) | Sight::Other => Kind::of_other(record),
        }
    }

    fn of_other(record: &Record<'_>) -> Kind {
        match &record.what {
            What::Sent(_) => Kind::Sent,
            What::Arrived(arrived) if matches!(arrived.packet.body, Body::Raw(_)) => Kind::Garbled,
            What::Arrived(_) => Kind::Arrived,
            What::Noted { event: Event::Transition { to, lasts, .. }, .. } => match (to, lasts) {
                (State::Closed | State::Listen, _) => Kind::Ended,
                (_, Some(Span::MAX)) => Kind::Endless,
                (State::TimeWait, _) => Kind::Waiting,
                _ => Kind::Noted,
            },
            What::Noted { event: Event::Queue { .. }, .. } => Kind::Queue,
            What::Noted { .. } => Kind::Noted,
            What::Called(called) if matches!(called.call, Call::SetOption(_)) => Kind::OptionSet,
            What::Called(_) => Kind::Called,
            What::Disturbed(_) | What::Violated { .. } => Kind::Disturbed,
        }
    }

    /// What it is heard under.
    pub(super) const fn bits(self) -> Hears {
        match self {
            Kind::Sent => Hears::SENT,
            Kind::SentAck => Hears::SENT.union(Hears::SENDINGS).union(Hears::ACKS),
            Kind::SentData => Hears::SENT.union(Hears::SENDINGS).union(Hears::TELLING).union(Hears::DATA),
            Kind::SentMore => Hears::SENT.union(Hears::SENDINGS).union(Hears::TELLING),
            Kind::Arrived => Hears::ARRIVED,
            Kind::CameAck => Hears::ARRIVED.union(Hears::COMINGS).union(Hears::ACKS),
            Kind::CameSyn => Hears::ARRIVED.union(Hears::COMINGS).union(Hears::TELLING).union(Hears::SYNS),
            Kind::CameMore => Hears::ARRIVED.union(Hears::COMINGS).union(Hears::TELLING),
            Kind::Garbled => Hears::ARRIVED.union(Hears::GARBLED),
            Kind::Noted => Hears::NOTED,
            Kind::Waiting => Hears::NOTED.union(Hears::DONE),
            Kind::Ended => Hears::NOTED.union(Hears::ENDED).union(Hears::DONE),
            Kind::Endless => Hears::NOTED.union(Hears::ENDLESS),
            Kind::Queue => Hears::NOTED.union(Hears::QUEUES),
            Kind::Called => Hears::CALLED,
            Kind::OptionSet => Hears::CALLED.union(Hears::OPTIONS),
            Kind::Disturbed => Hears::DISTURBED,
        }
    }
}

/// An acknowledgment and nothing more.
fn is_ack(segment: &Segment) -> bool {
    segment.seq_len() == 0 && !segment.flags.intersects(Flags::RST | Flags::URG)
}
