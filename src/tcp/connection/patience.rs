//! When a connection gives up (RFC 9293 3.8.3, RFC 5482): `tcp_write_timeout()`, `tcp_probe_timer()` and
//! `tcp_out_of_resources()` in tcp_timer.c.

use super::{Connection, Urgently};
use crate::endpoint::State;
use crate::tcp::give_up::GiveUp;
use crate::tcp::snd::Syn;
use crate::tcp::{Context, Tally, WindowProbe};
use crate::time::{Span, ms, secs};

/// `TCP_RTO_MIN`: from it the kernel reckons how long so many retries of data take, whatever the least RTO is.
const LEAST_RTO: Span = ms(200);
/// `TCP_TIMEWAIT_LEN`: an orphan that has sent within this time ends with a reset.
const RECENT: Span = secs(60);

impl Connection {
    /// When this connection gives up: R2 (RFC 9293 3.8.3), or what the user set.
    pub(super) fn patience(&self, cx: &Context<'_>) -> GiveUp {
        let connecting = self.state == State::SynSent || (self.state == State::SynReceived);
        match (self.setup.user_timeout, self.setup.syn_count) {
            (Some(timeout), _) => GiveUp::After(timeout),
            (None, Some(count)) if connecting => match cx.knobs.syn_give_up {
                GiveUp::Backoffs(_) => GiveUp::Backoffs(count),
                GiveUp::Retries(_) | GiveUp::After(_) => GiveUp::Retries(count),
            },
            (None, None) if connecting => cx.knobs.syn_give_up,
            _ if self.is_orphan() => self.patience_of_orphan(cx, self.rto.current(cx.knobs) < cx.knobs.rto_max),
            _ => cx.knobs.r2,
        }
    }

    /// `tcp_orphan_retries()`: 0 stands for 8 as long as the RTO has not reached its bound (`alive`), and once it has, an
    /// ICMP error leaves none.
    pub(super) fn patience_of_orphan(&self, cx: &Context<'_>, alive: bool) -> GiveUp {
        match cx.knobs.orphan_give_up.unwrap_or(cx.knobs.r2) {
            GiveUp::Backoffs(0) if alive => GiveUp::Backoffs(8),
            GiveUp::Backoffs(_) if !alive && self.soft_error.is_some() => GiveUp::Backoffs(0),
            other => other,
        }
    }

    /// Whether the timeout at hand is the last one.
    pub(super) fn has_tried_enough(&self, cx: &Context<'_>) -> bool {
        let (patience, tries) = (self.patience(cx), self.rto.tries);
        let connecting = self.snd.syn == Syn::Unacked;
        if self.probes_by_rto(cx) {
            return self.has_probed_enough(cx);
        }
        if let (GiveUp::Backoffs(most), true) = (patience, connecting) {
            // tcp_write_timeout(): the linear timeouts of a SYN count beside its retries.
            let linear = if self.state == State::SynSent { cx.knobs.syn_linear_timeouts } else { 0 };
            if tries >= most.saturating_add(linear) {
                return true;
            }
        }
        let base = match patience {
            _ if connecting => cx.knobs.rto_init,
            // retransmits_timed_out()
            GiveUp::Backoffs(_) => LEAST_RTO,
            GiveUp::Retries(_) | GiveUp::After(_) => cx.knobs.rto_min,
        };
        patience.reached(tries, self.tried_for(cx), base, cx.knobs)
    }

    /// Whether the window has closed over what is in flight, so that retransmissions are its probes.
    pub(super) fn probes_by_rto(&self, cx: &Context<'_>) -> bool {
        let closed = self.snd.wnd == 0 && self.snd.syn == Syn::Acked && self.snd.flight() > 0;
        closed && cx.knobs.window_probe == WindowProbe::Empty && !self.is_orphan()
    }

    /// `tcp_rtx_probe0_timed_out()`: a peer that answers is waited for, whatever R2 says, unless the user sets a time.
    fn has_probed_enough(&self, cx: &Context<'_>) -> bool {
        let tried = cx.now.since(self.rto.resent.unwrap_or(self.last_sent));
        let longest = cx.knobs.rto_max * 2;
        let most = self.setup.user_timeout.map_or(longest, |timeout| timeout.min(longest));
        let by_user = self.setup.user_timeout.is_some_and(|timeout| tried > timeout);
        by_user || (cx.now.since(self.keep.heard) > most && tried > most)
    }

    /// How long it has been trying, as the profile counts: Linux from the first time that data is sent again.
    pub(super) fn tried_for(&self, cx: &Context<'_>) -> Span {
        let from_resending = matches!(cx.knobs.r2, GiveUp::Backoffs(_)) && self.snd.syn == Syn::Acked;
        let since = if from_resending { self.rto.resent } else { self.rto.since };
        since.map_or(Span::ZERO, |since| cx.now.since(since))
    }

    /// Whether a closed window keeps the connection open though R2 has passed: a peer that answers probes lives
    /// (RFC 9293 3.8.6.1), and at intervals of the greatest RTO one lost answer would be enough to reach R2.
    pub(super) fn holds_out(&self, cx: &Context<'_>, unanswered: u8) -> bool {
        let closed = self.snd.wnd == 0 && self.snd.syn == Syn::Acked;
        let own_rule = cx.knobs.window_probe == WindowProbe::Empty;
        closed && !own_rule && self.setup.user_timeout.is_none() && unanswered < cx.knobs.r1
    }

    /// An orphan's retransmission timeout: whether it ends since there are too many of its kind.
    pub(super) fn yields(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_orphan() || self.snd.syn == Syn::Unacked {
            return false;
        }
        let alive = self.rto.current(cx.knobs) < cx.knobs.rto_max;
        let may_reset = alive || !self.has_tried_enough(cx);
        self.lacks_resources(cx, may_reset)
    }

    /// `tcp_out_of_resources()`: whether there are too many orphans, or no memory for this one. It counts twice where it
    /// has not sent for long, and twice again where an ICMP error has told that something is wrong.
    pub(super) fn lacks_resources(&mut self, cx: &mut Context<'_>, may_reset: bool) -> bool {
        let silent = cx.now.since(self.last_sent);
        let doublings = u32::from(silent > cx.knobs.rto_max * 2 || !may_reset) + u32::from(self.soft_error.is_some());
        if !cx.limits.is_short_of(self.snd.queued(), doublings) {
            return false;
        }
        let resets = may_reset || silent <= RECENT || (self.snd.wnd == 0 && self.snd.flight() == 0);
        let reset = Urgently::Reset(self.snd.nxt, Some(self.rcv.nxt));
        cx.count(Tally::AbortOnMemory);
        self.die(cx, None);
        self.urgently = resets.then_some(reset);
        true
    }
}
