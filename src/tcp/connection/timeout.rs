//! Timeouts (RFC 9293 3.10.8, RFC 6298 5).

use super::{Ack, Connection, Persist, Urgently};
use crate::endpoint::{Errno, State, TimerChange, TimerKind};
use crate::tcp::knobs::{GiveUpReset, KeepAlive};
use crate::tcp::rcv::Reader;
use crate::tcp::snd::Syn;
use crate::tcp::timers::Timer;
use crate::tcp::{ClosingRule, Context, GiveUp, Tally, TcpEvent, WindowProbe};
use crate::time::{HostTime, Span, ms};

/// `TCP_TIMEOUT_MIN_US`: no timer of the kernel is set for less.
const SOONEST: Span = ms(2);
/// `TCP_RESOURCE_PROBE_INTERVAL`.
const RESOURCE_PROBE: Span = ms(500);

impl Connection {
    /// The instant of [`Connection::poll_timeout`] has come.
    pub fn on_timeout(&mut self, cx: &mut Context<'_>) {
        self.read_at = cx.now;
        for timer in Timer::ALL {
            let Some(span) = self.timers.take_due(timer, cx.now) else { continue };
            match timer {
                Timer::Retransmit => self.on_retransmit_timeout(cx, span),
                Timer::LossProbe => {
                    self.note_fired(cx, timer, span, 1u32, None);
                    self.on_loss_probe_timeout(cx);
                }
                Timer::Reorder => {
                    self.note_fired(cx, timer, span, 1u32, None);
                    self.on_reordering_timeout(cx);
                }
                Timer::Persist => self.on_persist_timeout(cx, span),
                Timer::DelayedAck => {
                    if self.ack != Ack::None {
                        self.note_fired(cx, timer, span, 1u32, None);
                        let compressed = self.pace.is_compressing();
                        if compressed {
                            self.pace.release();
                        } else {
                            self.pace.missed(self.rto.current(cx.knobs));
                        }
                        self.ack = Ack::Now;
                        // After no time it only waited for what else the instant brings.
                        if span > Span::ZERO && !compressed {
                            cx.count(Tally::DelayedAcks);
                        }
                    }
                }
                Timer::KeepAlive => self.on_keepalive_timeout(cx, span),
            }
        }
        self.check();
    }

    /// RFC 6298 5.4 to 5.6: "Retransmit the earliest segment that has not been acknowledged", back off, restart.
    fn on_retransmit_timeout(&mut self, cx: &mut Context<'_>, last: Span) {
        if self.fast.is_some() && self.is_early() {
            return self.on_early_timeout(cx, last);
        }
        if self.snd.nxt == self.snd.una {
            return;
        }
        // The kernel takes a timeout at a closed window for a probe's.
        if self.snd.wnd > 0 || self.snd.syn == Syn::Unacked || self.is_orphan() {
            cx.count(Tally::Timeouts);
        }
        if self.yields(cx) {
            return self.note_fired(cx, Timer::Retransmit, last, self.rto.tries.saturating_add(1), None);
        }
        let is_over = !self.holds_out(cx, self.rto.tries) && self.has_tried_enough(cx);
        if self.fast.is_some() {
            self.detect_blackhole(cx, self.rto.tries, is_over);
        }
        if is_over {
            self.note_fired(cx, Timer::Retransmit, last, self.rto.tries.saturating_add(1), None);
            return self.time_out(cx);
        }
        let linear = self.state == State::SynSent && self.rto.tries < cx.knobs.syn_linear_timeouts;
        self.lose_all(cx);
        self.rto.timed_out(!linear, cx.now);
        let next = self.bounded_rto(cx);
        self.timers.set(cx, Timer::Retransmit, next);
        self.note_fired(cx, Timer::Retransmit, last, self.rto.tries, Some(next));
    }

    /// What is in flight is taken for lost.
    fn lose_all(&mut self, cx: &mut Context<'_>) {
        let at = self.moment(cx);
        match &mut self.sender {
            Some(sender) if self.snd.syn == Syn::Acked => {
                sender.on_timeout(&at);
                for tally in sender.take_counted() {
                    cx.count(tally);
                }
            }
            _ if self.snd.syn == Syn::Acked => {
                self.recovery.on_timeout(self.snd.una, self.snd.nxt, self.snd.mss, self.rto.tries == 0);
            }
            // Of the SYN only itself can be lost, and congestion need not be to blame.
            Some(_) if self.rto.tries > 0 => {
                cx.count(Tally::LostSyn);
                return self.recovery.on_too_big(self.snd.una, self.snd.iss + 1);
            }
            _ => return self.recovery.on_too_big(self.snd.una, self.snd.iss + 1),
        }
        let (cwnd, ssthresh) = self.window_bytes();
        cx.note(TcpEvent::Cwnd { cwnd, ssthresh });
    }

    /// The window is still closed, or holds back a partial segment.
    fn on_persist_timeout(&mut self, cx: &mut Context<'_>, last: Span) {
        if cx.limits.is_queue_full && self.persist != Persist::Idle {
            return self.on_failed_probe(cx, last);
        }
        let Persist::Probe { sent, unanswered, since } = self.persist else {
            if self.persist == Persist::Override {
                self.note_fired(cx, Timer::Persist, last, 1u32, None);
                self.persist = Persist::Overridden;
                self.wake();
            }
            return;
        };
        // tcp_probe_timer(): the user's timeout runs from the first probe.
        let since = if sent == 0 && cx.knobs.window_probe == WindowProbe::Empty { cx.now } else { since };
        if !self.cut_off && self.snd.usable(self.snd.nxt) > 0 {
            // There is a way out again: tcp_write_wakeup() sends what waits.
            self.note_fired(cx, Timer::Persist, last, u32::from(sent) + 1, None);
            self.persist = Persist::Overridden;
            self.wake();
            return;
        }
        let elapsed = cx.now.since(since);
        let alive = last < cx.knobs.rto_max;
        let patience = if self.is_orphan() { self.patience_of_orphan(cx, alive) } else { cx.knobs.r2 };
        let over = match (self.setup.user_timeout, patience) {
            (Some(timeout), _) => elapsed >= timeout,
            // tcp_probe_timer(): nobody is left to wait once the interval has reached its bound, answered or not.
            (None, GiveUp::Backoffs(most)) if self.is_orphan() && !alive && sent >= most => true,
            (None, GiveUp::Retries(most) | GiveUp::Backoffs(most)) => unanswered >= most,
            (None, patience) => {
                !self.holds_out(cx, unanswered)
                    && patience.reached(unanswered, cx.now.since(self.keep.heard), cx.knobs.rto_min, cx.knobs)
            }
        };
        if over {
            self.note_fired(cx, Timer::Persist, last, u32::from(sent) + 1, None);
            // TCP_INFO goes on to tell of them.
            self.keep.probes = unanswered;
            return self.time_out(cx);
        }
        if self.is_orphan() && self.lacks_resources(cx, true) {
            return self.note_fired(cx, Timer::Persist, last, u32::from(sent) + 1, None);
        }
        let sent = sent.saturating_add(1);
        self.persist = Persist::Probe { sent, unanswered: unanswered.saturating_add(1), since };
        self.urgently = (!self.cut_off).then_some(Urgently::WindowProbe);
        let next = self.persist_interval(cx, sent, since);
        self.timers.set(cx, Timer::Persist, next);
        self.note_fired(cx, Timer::Persist, last, u32::from(sent), Some(next));
    }

    /// The host's own queue takes no probe either (`tcp_send_probe0()`): tried again soon, and counted.
    fn on_failed_probe(&mut self, cx: &mut Context<'_>, last: Span) {
        let (sent, unanswered, since) = match self.persist {
            Persist::Probe { sent, unanswered, since } => (sent, unanswered, since),
            _ => (0, 0, cx.now),
        };
        if self.setup.user_timeout.is_some_and(|timeout| cx.now.since(since) >= timeout) {
            self.note_fired(cx, Timer::Persist, last, u32::from(unanswered) + 1, None);
            self.keep.probes = unanswered;
            return self.time_out(cx);
        }
        self.persist = Persist::Probe { sent, unanswered: unanswered.saturating_add(1), since };
        self.timers.set(cx, Timer::Persist, RESOURCE_PROBE);
        self.note_fired(cx, Timer::Persist, last, u32::from(unanswered) + 1, Some(RESOURCE_PROBE));
    }

    /// RFC 9293 3.8.4. The timer is not moved by every segment: it looks when it fires.
    fn on_keepalive_timeout(&mut self, cx: &mut Context<'_>, last: Span) {
        if self.state == State::FinWait2 && self.is_orphan() && cx.knobs.closing == ClosingRule::Linux {
            return self.end_long_fin_wait2(cx);
        }
        let Some(keep) = self.keepalive(cx) else { return };
        if self.state == State::SynReceived {
            return self.timers.set(cx, Timer::KeepAlive, keep.idle);
        }
        let silent = cx.now.since(self.keep.heard);
        let busy = self.snd.una != self.snd.all_end();
        if silent < keep.idle || busy {
            let wait = if busy { keep.idle } else { keep.idle.saturating_sub(silent) };
            return self.timers.set(cx, Timer::KeepAlive, wait);
        }
        let over =
            self.setup.user_timeout.map_or(self.keep.probes >= keep.count, |t| silent >= t && self.keep.probes > 0);
        if over {
            self.note_fired(cx, Timer::KeepAlive, last, self.keep.probes.saturating_add(1), None);
            let reset = Urgently::Reset(self.snd.nxt, Some(self.rcv.nxt));
            self.time_out(cx);
            if cx.knobs.give_up_resets != GiveUpReset::Never {
                self.urgently = Some(reset);
            }
            return;
        }
        self.keep.probes = self.keep.probes.saturating_add(1);
        self.urgently = Some(Urgently::KeepAlive);
        self.timers.set(cx, Timer::KeepAlive, keep.interval);
        self.note_fired(cx, Timer::KeepAlive, last, self.keep.probes, Some(keep.interval));
    }

    /// The connection is given up (RFC 9293 3.10.8); where an ICMP error told why, that is the reason.
    pub(super) fn time_out(&mut self, cx: &mut Context<'_>) {
        if let Some(after) = self.setup.user_timeout {
            // The user's limit, which has taken the place of every other, has ended it.
            cx.timer(TimerKind::User, TimerChange::Fired { after, count: 1, next: None });
        }
        cx.count(Tally::AbortOnTimeout);
        let error = self.soft_error.unwrap_or(Errno::ETIMEDOUT);
        let resets = cx.knobs.give_up_resets == GiveUpReset::Always && self.state != State::SynSent;
        let reset = Urgently::Reset(self.snd.max, Some(self.rcv.nxt));
        self.die(cx, Some(error));
        self.urgently = resets.then_some(reset);
    }

    /// The RTO, cut short where it would reach past the end of all tries.
    pub(super) fn bounded_rto(&self, cx: &Context<'_>) -> Span {
        let rto = self.rto.current(cx.knobs);
        let patience @ GiveUp::After(_) = self.patience(cx) else { return rto };
        let bound = patience.bound(rto, self.tried_for(cx));
        if self.holds_out(cx, self.rto.tries) || bound == Span::ZERO { rto } else { bound }
    }

    /// RFC 9293 3.8.6.1: the first probe after an RTO, then at exponentially increasing intervals; none reaches past the
    /// user's timeout, which runs since `since`.
    pub(super) fn persist_interval(&self, cx: &Context<'_>, sent: u8, since: HostTime) -> Span {
        let factor = 1u64.checked_shl(u32::from(cx.knobs.r2.doublings(sent))).unwrap_or(u64::MAX);
        let (least, most) = cx.knobs.persist;
        let interval = (self.rto.current(cx.knobs).max(least) * factor).min(most).min(cx.knobs.rto_max.max(least));
        match self.setup.user_timeout {
            // tcp_clamp_probe0_to_user_timeout()
            Some(timeout) if sent > 0 && cx.knobs.window_probe == WindowProbe::Empty => {
                interval.min(timeout.saturating_sub(cx.now.since(since)).max(SOONEST))
            }
            _ => interval,
        }
    }

    pub(super) fn keepalive(&self, cx: &Context<'_>) -> Option<KeepAlive> {
        self.setup.keepalive.or(cx.knobs.always_keepalive.then_some(cx.knobs.keepalive))
    }

    /// Whether the socket is closed: nobody writes, nobody reads.
    pub(super) fn is_orphan(&self) -> bool {
        self.rcv.reader == Reader::Gone
    }

    pub(super) fn note_fired(
        &self,
        cx: &mut Context<'_>,
        timer: Timer,
        after: Span,
        count: impl Into<u32>,
        next: Option<Span>,
    ) {
        cx.timer(timer.kind(), TimerChange::Fired { after, count: count.into(), next });
    }
}
