//! What is in flight, segment by segment, with what is known of each (RFC 6675 1: the scoreboard).

use crate::time::HostTime;
use crate::wire::Seq;
use std::collections::VecDeque;

bitflags::bitflags! {
    /// What is known of one segment. SACKED, LOST and RESENT are the kernel's S, L and R, with the combinations that it
    /// allows: none, S, L, R, L|R, S|R.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(in crate::tcp) struct Tags: u8 {
        /// The peer has it out of order.
        const SACKED = 1;
        /// Taken for lost.
        const LOST = 2;
        /// A retransmission is in flight.
        const RESENT = 4;
        /// It was sent more than once.
        const EVER_RESENT = 8;
        /// It is pushed: the last of a write.
        const PUSH = 16;
        /// The next segment is of the same unit of segmentation offload.
        const GOES_ON = 64;
        /// Nothing may be joined to it: `MSG_EOR`.
        const RECORD_END = 32;
    }
}

/// One segment in flight.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Sent {
    pub(in crate::tcp) seq: Seq,
    /// The number after its last one, FIN included.
    pub(in crate::tcp) end: Seq,
    /// When it left last.
    pub(in crate::tcp) at: HostTime,
    /// How many had been delivered then (`tx.delivered`).
    pub(super) delivered: u32,
    pub(in crate::tcp) tags: Tags,
}

/// The segments in flight, in the order of their numbers, and how many are in which condition.
#[derive(Clone, Debug, Default)]
pub(in crate::tcp) struct Queue {
    sent: VecDeque<Sent>,
    /// `sacked_out`; without SACK the number of duplicate acknowledgments.
    pub(super) sacked: u32,
    /// `lost_out`.
    pub(super) lost: u32,
    /// `retrans_out`.
    pub(super) resent: u32,
    /// Segments ever marked lost.
    pub(super) ever_lost: u32,
    /// Retransmissions that were lost in their turn, in the whole life.
    pub(super) lost_again: u32,
    /// No segment before this one is lost without having been sent again.
    first_due: Option<Seq>,
    /// Where the highest selectively acknowledged segment ends.
    highest_sacked: Option<Seq>,
}

impl Queue {
    /// `packets_out`.
    pub(in crate::tcp) fn len(&self) -> u32 {
        u32::try_from(self.sent.len()).unwrap_or(u32::MAX)
    }

    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// `tcp_packets_in_flight()`.
    pub(in crate::tcp) fn in_flight(&self) -> u32 {
        (self.len() + self.resent).saturating_sub(self.left())
    }

    /// `tcp_left_out()`: those that are not in the network any more.
    pub(super) fn left(&self) -> u32 {
        self.sacked + self.lost
    }

    pub(in crate::tcp) fn first(&self) -> Option<&Sent> {
        self.sent.front()
    }

    /// `tcp_any_retrans_done()`.
    pub(super) fn any_resent(&self) -> bool {
        self.resent > 0 || self.first().is_some_and(|sent| sent.tags.contains(Tags::EVER_RESENT))
    }

    /// `tcp_highest_sack_seq()`: the first number of the highest segment that was selectively acknowledged, in the
    /// kernel's sense: of the one after it, or SND.NXT where it is the last.
    pub(super) fn highest_sack(&self, una: Seq) -> Seq {
        self.highest_sacked.filter(|_| self.sacked > 0).unwrap_or(una)
    }

    pub(in crate::tcp) fn push(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// Where the first segment lies that ends after `seq`.
    pub(super) fn position(&self, seq: Seq) -> usize {
        self.sent.partition_point(|sent| sent.end.le(seq))
    }

    pub(super) fn get(&self, at: usize) -> Option<&Sent> {
        self.sent.get(at)
    }

    pub(in crate::tcp) fn get_mut(&mut self, at: usize) -> Option<&mut Sent> {
        self.sent.get_mut(at)
    }

    /// Takes the first segment out; its tags are no longer counted.
    pub(super) fn pop(&mut self) -> Option<Sent> {
        let sent = self.sent.pop_front()?;
        self.uncount(sent.tags);
        Some(sent)
    }

    /// Cuts the segment at `at` in two at `seq`, as `tcp_fragment()` does; what was pushed at its end stays so.
    pub(in crate::tcp) fn split(&mut self, at: usize, seq: Seq) {
        let Some(whole) = self.sent.get_mut(at).filter(|sent| sent.seq.lt(seq) && seq.lt(sent.end)) else { return };
        let rest = Sent { seq, ..*whole };
        whole.end = seq;
        whole.tags -= Tags::PUSH | Tags::RECORD_END | Tags::GOES_ON;
        self.count(rest.tags);
        self.sent.insert(at + 1, rest);
    }

    /// The first segment now begins at `una`: the part before it is acknowledged (`tcp_trim_head()`).
    pub(super) fn trim_first(&mut self, una: Seq) {
        if let Some(first) = self.sent.front_mut() {
            first.seq = first.seq.max(una);
        }
    }

    /// Joins the segment behind `at` to it (`tcp_collapse_retrans()`).
    pub(in crate::tcp) fn join(&mut self, at: usize) {
        let Some(next) = self.sent.remove(at + 1) else { return };
        self.uncount(next.tags);
        let Some(one) = self.sent.get_mut(at) else { return };
        one.end = next.end;
        one.tags -= Tags::GOES_ON;
        one.tags |= next.tags & (Tags::EVER_RESENT | Tags::PUSH | Tags::RECORD_END | Tags::GOES_ON);
    }

    /// How many segments from `place` on are of one unit and in the same condition: what goes again as one, at most
    /// `most`.
    pub(in crate::tcp) fn run(&self, place: usize, most: u32) -> u32 {
        const CONDITION: Tags = Tags::SACKED.union(Tags::LOST).union(Tags::RESENT);
        let mut count = 1;
        let mut at = place;
        while let (Some(sent), Some(next)) = (self.sent.get(at), self.sent.get(at + 1)) {
            let alike = (sent.tags & CONDITION) == (next.tags & CONDITION);
            if !sent.tags.contains(Tags::GOES_ON) || !alike || count >= most {
                break;
            }
            (count, at) = (count + 1, at + 1);
        }
        count
    }

    /// Segments carry `mss` bytes now: what was of one unit is divided anew; `data_end` is where the FIN lies.
    pub(super) fn divide_anew(&mut self, mss: u32, data_end: Seq) {
        let mut place = 0;
        while place < self.sent.len() {
            let mut joined = self.run(place, u32::MAX);
            while joined > 1 {
                self.join(place);
                joined -= 1;
            }
            while let Some(sent) = self.sent.get(place).copied() {
                let cut = sent.seq + mss;
                if cut.ge(sent.end.min(data_end)) {
                    break;
                }
                self.split(place, cut);
                if let Some(first) = self.sent.get_mut(place) {
                    first.tags |= Tags::GOES_ON;
                }
                place += 1;
            }
            place += 1;
        }
    }

    fn count(&mut self, tags: Tags) {
        self.sacked += u32::from(tags.contains(Tags::SACKED));
        self.lost += u32::from(tags.contains(Tags::LOST));
        self.resent += u32::from(tags.contains(Tags::RESENT));
    }

    fn uncount(&mut self, tags: Tags) {
        self.sacked -= u32::from(tags.contains(Tags::SACKED));
        self.lost -= u32::from(tags.contains(Tags::LOST));
        self.resent -= u32::from(tags.contains(Tags::RESENT));
    }

    /// Gives the segment at `at` other tags.
    pub(in crate::tcp) fn retag(&mut self, at: usize, tags: Tags) {
        let Some(sent) = self.sent.get_mut(at) else { return };
        let (before, end) = (std::mem::replace(&mut sent.tags, tags), sent.end);
        self.uncount(before);
        self.count(tags);
        if tags.contains(Tags::SACKED) {
            self.highest_sacked = Some(self.highest_sacked.map_or(end, |highest| highest.max(end)));
        }
    }

    /// `tcp_mark_skb_lost()`: it left the network without having arrived.
    pub(super) fn mark_lost(&mut self, at: usize) {
        let Some(&Sent { seq, tags, .. }) = self.sent.get(at) else { return };
        if tags.contains(Tags::SACKED) || (tags.contains(Tags::LOST) && !tags.contains(Tags::RESENT)) {
            return;
        }
        self.ever_lost += 1;
        // The retransmission is lost in its turn; of one that was not taken for lost, both are in flight.
        let gone = if tags.contains(Tags::LOST) { Tags::RESENT } else { Tags::empty() };
        self.lost_again += u32::from(!gone.is_empty());
        self.retag(at, (tags | Tags::LOST) - gone);
        self.first_due = Some(self.first_due.map_or(seq, |due| due.min(seq)));
    }

    /// The first segment that is lost and was not sent again since.
    pub(in crate::tcp) fn next_due(&mut self) -> Option<usize> {
        if self.resent >= self.lost {
            return None;
        }
        let from = self.first_due.map_or(0, |due| self.position(due));
        let skip = self
            .sent
            .range(from..)
            .position(|sent| sent.tags.contains(Tags::LOST) && !sent.tags.intersects(Tags::SACKED | Tags::RESENT));
        let found = skip.map(|skip| from + skip);
        self.first_due = found.map(|at| self.sent[at].seq);
        found
    }

    /// Nothing is lost after all.
    pub(super) fn unmark_lost(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.tags -= Tags::LOST);
        (self.lost, self.first_due) = (0, None);
    }

    /// The peer has dropped what it had acknowledged selectively.
    pub(super) fn forget_sacks(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.tags -= Tags::SACKED);
        (self.sacked, self.highest_sacked) = (0, None);
    }

    /// Nothing is selectively acknowledged any more: what was is no measure of what comes.
    pub(super) fn forget_highest(&mut self) {
        self.highest_sacked = None;
    }

    pub(super) fn clear(&mut self) {
        *self = Queue { ever_lost: self.ever_lost, lost_again: self.lost_again, ..Queue::default() };
    }
}
