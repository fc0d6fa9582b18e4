//! The tail loss probe (RFC 8985 7) as Linux has it: `tcp_schedule_loss_probe()`, `tcp_send_loss_probe()`.

use super::{Connection, Urgently};
use crate::tcp::newreno::Phase;
use crate::tcp::snd::Syn;
use crate::tcp::timers::Timer;
use crate::tcp::{Context, Tally};
use crate::time::{Span, ms};
use crate::wire::{Segment, Seq};

/// `TCP_TIMEOUT_MIN_US`: what is added to two round trips.
const LEAST: Span = ms(2);

/// The end of what is in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// Where the last segment that was sent begins.
    pub(super) last: Seq,
    /// Where the last segment ends that was not full.
    pub(super) partial: Option<Seq>,
    /// SND.NXT when a probe was sent, until all of that is acknowledged: one probe at a time.
    pub(super) probed: Option<Seq>,
}

impl Connection {
    /// Waits for the probe instead of the retransmission timeout, where the profile and what is in flight allow it;
    /// whether it does.
    pub(super) fn schedule_loss_probe(&mut self, cx: &mut Context<'_>) -> bool {
        let is_calm = matches!(self.recovery.phase, Phase::Open { .. });
        let flies = self.snd.syn == Syn::Acked && self.snd.flight() > 0;
        if !cx.knobs.loss_probe || !self.sack || !is_calm || !flies {
            return false;
        }
        let rto = self.rto.current(cx.knobs);
        let wait = match self.rto.srtt() {
            // "If there is one segment outstanding, the receiver may delay its acknowledgment" (RFC 8985 7.2).
            Some(srtt) if self.tail.last.le(self.snd.una) => srtt * 2 + cx.knobs.rto_min,
            Some(srtt) => srtt * 2 + LEAST,
            None => cx.knobs.rto_init,
        };
        self.rto.since.get_or_insert(cx.now);
        self.timers.stop(Timer::Retransmit);
        self.timers.set(cx, Timer::LossProbe, wait.min(rto));
        true
    }

    pub(super) fn on_loss_probe_timeout(&mut self, cx: &mut Context<'_>) {
        if self.snd.flight() == 0 {
            return;
        }
        if self.tail.probed.is_none() {
            self.urgently = Some(Urgently::LossProbe);
        }
        let rto = self.bounded_rto(cx);
        self.timers.set(cx, Timer::Retransmit, rto);
    }

    /// New data if there is any and the window takes it, whatever its size; else the last segment again.
    pub(super) fn loss_probe(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let mss = u32::from(self.snd.mss);
        let queued = u32::try_from(self.snd.data_end().diff(self.snd.nxt)).unwrap_or(0);
        let fresh = queued.min(self.snd.usable(self.snd.nxt)).min(mss);
        let segment = if fresh > 0 {
            let segment = self.fill(cx, self.snd.nxt, fresh);
            self.note_sent(cx, &segment);
            segment
        } else {
            let from = self.tail.last.max(self.snd.una);
            let len = self.snd.nxt.since(from);
            if len == 0 {
                return None;
            }
            self.rto.resent();
            self.fill(cx, from, len.min(mss))
        };
        self.tail.probed = Some(self.snd.nxt);
        cx.count(Tally::LossProbe);
        Some(segment)
    }
}
