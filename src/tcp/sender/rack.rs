//! RACK (RFC 8985 6): a segment is lost when one that left later has arrived, and a moment for reordering has passed.

use super::queue::Tags;
use super::{Moment, Sender, sent_after};
use crate::endpoint::CaState;
use crate::time::{HostTime, Span, ms, us};
use crate::wire::Seq;

/// `TCP_TIMEOUT_MIN_US`: what timers add to a round trip.
pub(in crate::tcp) const TIMEOUT_MIN: Span = ms(2);
/// Recoveries for which a widened reordering window lasts (`TCP_RACK_RECOVERY_THRESH`).
const PERSIST: u8 = 16;

/// What has arrived last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rack {
    /// When the latest-sent segment left that has arrived, and where it ends.
    latest: Option<(HostTime, Seq)>,
    /// Round trip of the segment that arrived last, in microseconds.
    rtt: u64,
    /// Something has arrived since losses were looked for.
    pub(super) advanced: bool,
    /// A D-SACK came that a wider window would have prevented.
    pub(super) dsack: bool,
    /// The window in quarters of the least round trip.
    steps: u8,
    persist: u8,
    /// `delivered` when the window was widened.
    widened: u32,
}

impl Default for Rack {
    fn default() -> Rack {
        Rack { latest: None, rtt: 0, advanced: false, dsack: false, steps: 1, persist: 0, widened: 0 }
    }
}

impl Rack {
    /// A recovery ended that was no mistake.
    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
    }

    /// A recovery was undone by D-SACK.
    pub(super) fn was_wrong(&mut self) {
        self.persist = (self.persist + 1).min(PERSIST);
    }
}

impl Sender {
    /// `tcp_rack_advance()`: a segment that left at `at_time` has arrived.
    pub(super) fn rack_advance(&mut self, at: &Moment<'_>, tags: Tags, end: Seq, left: HostTime) {
        let rtt = at.since(left);
        let resent = tags.intersects(Tags::RESENT | Tags::EVER_RESENT);
        if resent && self.min_rtt().is_none_or(|least| rtt < least) {
            // Sooner than any round trip: the first copy has arrived, not this one.
            return;
        }
        (self.rack.advanced, self.rack.rtt) = (true, rtt);
        if self.rack.latest.is_none_or(|latest| sent_after((left, end), latest)) {
            self.rack.latest = Some((left, end));
        }
    }

    /// `tcp_rack_reo_wnd()`, in microseconds.
    fn reordering_window(&self, at: &Moment<'_>) -> u64 {
        let recovering = matches!(self.state, CaState::Recovery | CaState::Loss);
        if self.reorderings == 0 && (recovering || self.queue.sacked >= self.reordering) {
            return 0;
        }
        let srtt = at.srtt.unwrap_or(0);
        self.min_rtt().map_or(srtt, |least| (least / 4 * u64::from(self.rack.steps)).min(srtt))
    }

    /// `tcp_rack_skb_timeout()`: microseconds until a segment that left at `left` is lost; none: it is.
    pub(super) fn rack_remaining(&self, at: &Moment<'_>, left: HostTime, window: u64) -> Option<u64> {
        (self.rack.rtt + window).checked_sub(at.since(left)).filter(|&left| left > 0)
    }

    /// `tcp_rack_detect_loss()`: marks what is lost; how long until more may be.
    pub(super) fn rack_detect(&mut self, at: &Moment<'_>) -> Option<Span> {
        let latest = self.rack.latest?;
        let window = self.reordering_window(at);
        let mut wait = 0;
        // Segments that left once stand in the order in which they left; those that left again have gone to the end.
        for place in 0..self.queue.len() as usize {
            let Some(&sent) = self.queue.get(place) else { break };
            let is_due = sent.tags.contains(Tags::LOST) && !sent.tags.contains(Tags::RESENT);
            if is_due || sent.tags.contains(Tags::SACKED) {
                continue;
            }
            if !sent_after(latest, (sent.at, sent.end)) {
                if sent.tags.contains(Tags::EVER_RESENT) {
                    continue;
                }
                break;
            }
            match self.rack_remaining(at, sent.at, window) {
                None => self.queue.mark_lost(place),
                Some(left) => wait = wait.max(left),
            }
        }
        (wait > 0).then(|| us(wait) + TIMEOUT_MIN)
    }

    /// `tcp_rack_mark_lost()`: how long until more may be lost.
    pub(super) fn rack_mark_lost(&mut self, at: &Moment<'_>) -> Option<Span> {
        if !std::mem::take(&mut self.rack.advanced) {
            return None;
        }
        self.rack_detect(at)
    }

    /// `tcp_rack_update_reo_wnd()`: D-SACKs widen the window, by a step a round trip. `prior` is what had been delivered
    /// when the segment left that was acknowledged.
    pub(super) fn rack_widen(&mut self, prior: Option<u32>) {
        let Some(prior) = prior else { return };
        let rack = &mut self.rack;
        if Seq(prior).lt(Seq(rack.widened)) {
            rack.dsack = false;
        }
        if rack.dsack {
            rack.steps = rack.steps.saturating_add(1);
            (rack.dsack, rack.widened, rack.persist) = (false, self.delivered, PERSIST);
        } else if rack.persist == 0 {
            rack.steps = 1;
        }
    }
}
