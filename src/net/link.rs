use super::burst::BurstLoss;
use super::corrupt::Corrupt;
use super::delay::{FixedDelay, RandomDelay};
use super::duplicate::Duplicate;
use super::jitter::Jitter;
use super::lifetime::Lifetime;
use super::loss::RandomLoss;
use super::mtu::Mtu;
use super::rate::{Queue, Rate};
use super::reorder::Reorder;
use super::{Dist, Impairment};
use crate::choice::Ratio;
use crate::time::{SimTime, Span, ms};
use std::fmt;
use std::sync::Arc;

/// What one direction between two endpoints does to packets: a list of impairments, in the order in which they act.
///
/// ```
/// use wirefate::{Link, ms, percent};
/// let link = Link::new().delay(ms(20)).loss(percent(2)).reorder(percent(1));
/// ```
#[derive(Clone, Default)]
pub struct Link {
    parts: Vec<Part>,
    lifetime: Option<Span>,
    queue: Option<Queue>,
}

type Make = Arc<dyn Fn() -> Box<dyn Impairment> + Send + Sync>;

#[derive(Clone)]
struct Part {
    name: &'static str,
    make: Make,
}

/// Packets that wait behind the one being sent, where [`Link::queue`] says nothing.
const QUEUE: Queue = Queue::Packets(100);
/// The longest that [`Link::reorder`] holds a packet back.
const REORDER: Span = ms(20);

impl Link {
    /// A perfect link: no delay, no loss, no limit.
    pub fn new() -> Link {
        Link::default()
    }

    /// Every packet takes this long.
    pub fn delay(self, span: Span) -> Link {
        self.with("delay", move || FixedDelay(span))
    }

    /// Each packet takes as long as a draw from `dist`; packets overtake each other.
    pub fn delay_dist(self, dist: Dist) -> Link {
        self.with("delay", move || RandomDelay(dist.clone()))
    }

    /// Each packet takes up to `most` longer, and none overtakes another.
    pub fn jitter(self, most: Span) -> Link {
        self.with("jitter", move || Jitter { most, reordering: false, last: SimTime::ZERO })
    }

    /// Each packet takes up to `most` longer, and may overtake others.
    pub fn jitter_reordering(self, most: Span) -> Link {
        self.with("jitter", move || Jitter { most, reordering: true, last: SimTime::ZERO })
    }

    /// Loses this share of packets, each by itself.
    pub fn loss(self, share: Ratio) -> Link {
        self.with("loss", move || RandomLoss(share))
    }

    /// Loses `mean` of all packets, in bursts of `burst` packets on average (Gilbert–Elliott).
    pub fn burst_loss(self, mean: Ratio, burst: u32) -> Link {
        self.with("burst", move || BurstLoss::new(mean, burst))
    }

    /// Holds this share of packets back by up to 20 ms, so that later ones overtake them.
    pub fn reorder(self, share: Ratio) -> Link {
        self.reorder_by(share, REORDER)
    }

    /// Holds this share of packets back by up to `most`.
    pub fn reorder_by(self, share: Ratio, most: Span) -> Link {
        self.with("reorder", move || Reorder { share, most })
    }

    /// Delivers this share of packets twice.
    pub fn duplicate(self, share: Ratio) -> Link {
        self.with("duplicate", move || Duplicate(share))
    }

    /// Flips one bit of this share of packets.
    pub fn corrupt(self, share: Ratio) -> Link {
        self.with("corrupt", move || Corrupt(share))
    }

    /// Sends at this rate, with a queue of 100 packets before it unless [`Link::queue`], said before, gives another.
    pub fn rate(self, bits_per_second: u64) -> Link {
        let queue = self.queue.unwrap_or(QUEUE);
        self.with("rate", move || Rate::new(bits_per_second, queue))
    }

    /// How many packets the queue of a [`Link::rate`] that follows holds.
    pub fn queue(self, packets: usize) -> Link {
        Link { queue: Some(Queue::Packets(packets)), ..self }
    }

    /// How many bytes the queue of a [`Link::rate`] that follows holds.
    pub fn queue_bytes(self, bytes: u64) -> Link {
        Link { queue: Some(Queue::Bytes(bytes)), ..self }
    }

    /// Loses IP packets larger than this; those not to be fragmented are answered with ICMP.
    pub fn mtu(self, bytes: u32) -> Link {
        self.with("mtu", move || Mtu(bytes))
    }

    /// Packets that would be older than this on arrival are gone: the network's MSL.
    pub fn lifetime(self, span: Span) -> Link {
        Link { lifetime: Some(span), ..self }
    }

    /// An impairment of one's own; `make` is called once for each direction and run.
    pub fn custom<I: Impairment + 'static>(
        self,
        name: &'static str,
        make: impl Fn() -> I + Send + Sync + 'static,
    ) -> Link {
        self.with(name, make)
    }

    fn with<I: Impairment + 'static>(
        mut self,
        name: &'static str,
        make: impl Fn() -> I + Send + Sync + 'static,
    ) -> Link {
        self.parts.push(Part { name, make: Arc::new(move || Box::new(make())) });
        self
    }

    /// Fresh impairments, in the order in which they act; the lifetime last.
    pub(super) fn impairments(&self) -> Vec<Box<dyn Impairment>> {
        let parts = self.parts.iter().map(|part| (part.make)());
        let lifetime = self.lifetime.map(|span| Box::new(Lifetime(span)) as Box<dyn Impairment>);
        parts.chain(lifetime).collect()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|part| part.name)).finish()
    }
}
