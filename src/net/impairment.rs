use super::fault::Action;
use super::{Fate, Loss};
use crate::choice::{Choices, Taken};
use crate::time::{SimTime, Span};
use crate::wire::Packet;

/// One cause of a fate. It reads a fixed number of words for each packet, used or not, so that masking it or adding
/// another shifts nothing.
pub trait Impairment: Send {
    /// Its name in fates, faults and streams: `loss`.
    fn name(&self) -> &'static str;

    /// How many words of its stream it may ask for about one packet.
    fn words(&self) -> u8 {
        0
    }

    /// Decides its part of a packet's fate. It is not asked about packets that are lost already, unless it takes
    /// words, in which case its state must go on as if they were not.
    fn apply(&mut self, transit: &mut Transit<'_>, choices: &mut Choices);

    /// The answers by which its choices bring about `action`, as (question, alternative); empty if they cannot.
    fn answers(&self, _action: &Action) -> Vec<(u8, u64)> {
        Vec::new()
    }

    /// What the choices it took amount to; nothing if they were all harmless.
    fn action(&self, _taken: &[Taken]) -> Option<Action> {
        None
    }
}

/// A fate in the making: what the impairments so far have done to one packet.
#[derive(Debug)]
pub struct Transit<'a> {
    /// The packet as it was sent.
    pub packet: &'a Packet,
    /// When it was sent.
    pub sent: SimTime,
    /// When it will arrive, by what has been decided so far.
    pub arrive: SimTime,
    /// When each duplicate will arrive.
    pub copies: Vec<SimTime>,
    /// Why it will not arrive.
    pub lost: Option<Loss>,
    /// A bit that will be flipped, counted from the start of the transport header.
    pub corrupt_bit: Option<u32>,
    /// Whether it may overtake packets that were sent before it, or be overtaken.
    pub overtakes: bool,
    /// What faults add to the delay. It comes on top of what the impairments do, so that a packet that is late by a
    /// fault holds nobody up in a queue.
    pub(super) late: Span,
}

impl<'a> Transit<'a> {
    /// A packet that is about to be sent over a perfect link.
    pub fn new(packet: &'a Packet, now: SimTime) -> Transit<'a> {
        let (copies, lost, corrupt_bit) = (Vec::new(), None, None);
        Transit { packet, sent: now, arrive: now, copies, lost, corrupt_bit, overtakes: false, late: Span::ZERO }
    }

    /// The packet is lost, unless it is already.
    pub fn lose(&mut self, loss: Loss) {
        self.lost.get_or_insert(loss);
    }

    /// It arrives later by `span`, and its duplicates too.
    pub fn delay(&mut self, span: Span) {
        self.arrive += span;
        for copy in &mut self.copies {
            *copy += span;
        }
    }

    /// Adds the delay that faults asked for; once, after the impairments and before the age is looked at.
    #[inline]
    pub(super) fn settle(&mut self) {
        let late = std::mem::take(&mut self.late);
        if late > Span::ZERO {
            self.delay(late);
            self.overtakes = true;
        }
    }

    /// What has become of it, with so many copies at most.
    #[inline]
    pub(super) fn fate(self, most: usize) -> Fate {
        let Transit { sent, arrive, copies, lost, corrupt_bit, .. } = self;
        match lost {
            Some(loss) => Fate::Lost(loss),
            None if copies.is_empty() && corrupt_bit.is_none() => Fate::Delivered(arrive.since(sent)),
            None => {
                let copies = copies.into_iter().take(most).map(|copy| copy.since(sent)).collect();
                Fate::Changed { after: arrive.since(sent), copies, corrupt_bit }
            }
        }
    }
}

/// A closure is an impairment: it may change the fate in the making, and takes no words.
impl<F: FnMut(&mut Transit<'_>) + Send> Impairment for F {
    fn name(&self) -> &'static str {
        "custom"
    }

    fn apply(&mut self, transit: &mut Transit<'_>, _choices: &mut Choices) {
        self(transit);
    }
}
