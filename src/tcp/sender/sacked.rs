//! What selective acknowledgments say of what is in flight (RFC 2018, RFC 2883): `tcp_sacktag_write_queue()`.

use super::acked::{Acked, Incoming, News};
use super::queue::Tags;
use super::{Moment, Sender};
use crate::endpoint::CaState;
use crate::tcp::Tally;
use crate::wire::Seq;

/// A block that counts.
#[derive(Clone, Copy, Debug)]
struct Block {
    from: Seq,
    to: Seq,
    /// It tells of what came twice.
    is_twice: bool,
}

impl Sender {
    /// Marks what the blocks of `incoming` cover. `prior` is SND.UNA before this acknowledgment.
    pub(super) fn take_sacks(&mut self, at: &Moment<'_>, incoming: &Incoming<'_>, prior: Seq, acked: &mut Acked) {
        acked.reordered = at.nxt;
        if self.queue.sacked == 0 {
            self.queue.forget_highest();
        }
        let all: Vec<(Seq, Seq)> = incoming.sacks.map(|blocks| blocks.iter().take(4).collect()).unwrap_or_default();
        let twice = self.check_twice(at, &all, incoming.ack, prior, acked);
        // Acknowledgments that are too old may still tell of duplicates, and of nothing else.
        if incoming.ack.lt(prior - at.max_wnd) || self.queue.is_empty() {
            return;
        }
        let mut blocks = self.valid(at, &all, twice, incoming.ack, prior);
        blocks.sort_by_key(|block| block.from.since(prior));
        for block in blocks {
            self.mark(at, block, acked);
        }
        if self.state != CaState::Loss || self.undo.marker.is_some() {
            self.check_reordering(at, acked.reordered, false);
        }
    }

    /// `tcp_check_dsack()`: whether the first block tells of what came twice.
    fn check_twice(&mut self, at: &Moment<'_>, all: &[(Seq, Seq)], ack: Seq, prior: Seq, acked: &mut Acked) -> bool {
        let Some(&(from, to)) = all.first() else { return false };
        let beyond = match all.get(1) {
            _ if from.lt(ack) => false,
            Some(&(left, right)) => {
                if to.gt(right) || from.lt(left) {
                    return false;
                }
                true
            }
            None => return false,
        };
        self.count(if beyond { Tally::DSackOfoRecv } else { Tally::DSackRecv });
        let Some(segments) = self.note_twice(at, (from, to), acked) else {
            self.count(Tally::DSackIgnoredDubious);
            return false;
        };
        if let Some(marker) = self.undo.marker
            && to.le(prior)
            && to.gt(marker)
        {
            self.undo.duplicated(segments);
        }
        true
    }

    /// `tcp_dsack_seen()`: how many segments came twice; none where that cannot be.
    fn note_twice(&mut self, at: &Moment<'_>, (from, to): (Seq, Seq), acked: &mut Acked) -> Option<u32> {
        if from.ge(to) || to.since(from) > at.max_wnd {
            return None;
        }
        let len = to.since(from);
        let mut segments = 1;
        let mut of_probe = false;
        if len > at.mss {
            segments = len.div_ceil(at.mss);
        } else {
            of_probe = self.probe.is_some_and(|probe| probe.end == to);
        }
        acked.news.set(News::DSACK_OF_PROBE, of_probe);
        self.duplicates = self.duplicates.saturating_add(segments);
        // The network doubles too: only what was sent again can tell of a mistake.
        if self.duplicates > self.resent {
            return None;
        }
        self.rack.dsack |= self.reorderings > 0 && !of_probe;
        acked.news |= News::DSACK;
        acked.delivered_by_sack += segments;
        Some(segments)
    }

    fn valid(&mut self, at: &Moment<'_>, all: &[(Seq, Seq)], twice: bool, ack: Seq, prior: Seq) -> Vec<Block> {
        let mut blocks = Vec::with_capacity(all.len());
        for (n, &(from, to)) in all.iter().enumerate() {
            let is_twice = n == 0 && twice;
            if !self.is_valid(at, is_twice, (from, to)) {
                // Old blocks are no fault where acknowledgments are reordered.
                if is_twice {
                    let known = self.undo.marker.is_some();
                    self.count(if known { Tally::DSackIgnoredOld } else { Tally::DSackIgnoredNoUndo });
                } else if ack == at.una || to.gt(at.una) {
                    self.count(Tally::SackDiscard);
                }
            } else if to.gt(prior) {
                blocks.push(Block { from, to, is_twice });
            }
        }
        blocks
    }

    /// `tcp_is_sackblock_valid()`.
    fn is_valid(&self, at: &Moment<'_>, is_twice: bool, (from, to): (Seq, Seq)) -> bool {
        if to.gt(at.nxt) || from.ge(to) || from.ge(at.nxt) {
            return false;
        }
        if from.gt(at.una) {
            return true;
        }
        let Some(marker) = self.undo.marker.filter(|_| is_twice && to.le(at.una)) else { return false };
        from.ge(marker) || (to.gt(marker) && from.ge(to - at.max_wnd))
    }

    /// `tcp_sacktag_walk()`.
    fn mark(&mut self, at: &Moment<'_>, block: Block, acked: &mut Acked) {
        let mut place = self.queue.position(block.from);
        while let Some(&sent) = self.queue.get(place) {
            if sent.seq.ge(block.to) {
                break;
            }
            if block.from.le(sent.seq) && block.to.ge(sent.end) {
                self.mark_one(at, place, block.is_twice, acked);
            }
            place += 1;
        }
    }

    /// `tcp_sacktag_one()`.
    fn mark_one(&mut self, at: &Moment<'_>, place: usize, is_twice: bool, acked: &mut Acked) {
        let Some(&sent) = self.queue.get(place) else { return };
        let mut tags = sent.tags;
        if is_twice && tags.intersects(Tags::RESENT | Tags::EVER_RESENT) {
            if self.undo.marker.is_some_and(|marker| sent.end.gt(marker)) {
                self.undo.duplicated(1);
            }
            if tags.contains(Tags::SACKED) {
                acked.reordered = acked.reordered.min(sent.seq);
            }
        }
        if sent.end.le(at.una) {
            return;
        }
        if !tags.contains(Tags::SACKED) {
            self.rack_advance(at, tags, sent.end, sent.at);
            acked.note_delivered(&sent);
            if tags.contains(Tags::RESENT) {
                // Not taken for lost: the retransmission may still be under way.
                if tags.contains(Tags::LOST) {
                    tags -= Tags::LOST | Tags::RESENT;
                }
            } else {
                if !tags.contains(Tags::EVER_RESENT) {
                    // It fills a hole without having been sent again: it was late.
                    if sent.seq.lt(self.queue.highest_sack(at.una)) {
                        acked.reordered = acked.reordered.min(sent.seq);
                    }
                    acked.news.set(News::ORIGINAL, acked.news.contains(News::ORIGINAL) || sent.end.le(self.high));
                    acked.first_sacked.get_or_insert(sent.at);
                    acked.last_sacked = Some(sent.at);
                }
                tags -= Tags::LOST;
            }
            tags |= Tags::SACKED;
            acked.news |= News::SACKED;
            acked.delivered_by_sack += 1;
        }
        if is_twice {
            tags -= Tags::RESENT;
        }
        self.queue.retag(place, tags);
    }

    /// `tcp_check_sack_reordering()`: what begins at `low` came after what lies higher.
    pub(super) fn check_reordering(&mut self, at: &Moment<'_>, low: Seq, by_timestamp: bool) {
        let highest = self.queue.highest_sack(at.una);
        if low.ge(highest) {
            return;
        }
        let metric = highest.since(low);
        if metric > self.reordering * at.mss && at.mss > 0 {
            self.reordering = metric.div_ceil(at.mss).min(at.knobs.losses.max_reordering);
        }
        self.reorderings += 1;
        self.count(if by_timestamp { Tally::TsReorder } else { Tally::SackReorder });
    }
}
