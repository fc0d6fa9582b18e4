//! The fifth step: the acknowledgment (RFC 9293 3.10.7.4, RFC 5961 5, RFC 5681, RFC 6298 5).

use super::segment::Step;
use super::{Ack, Connection, Pending, Persist, Urgently};
use crate::endpoint::{DropReason, State};
use crate::tcp::acks::Reply;
use crate::tcp::newreno::Phase;
use crate::tcp::timers::Timer;
use crate::tcp::timestamps::clock;
use crate::tcp::{AckRule, CheckRule, ClosingRule, Context, Linger2, Tally, TcpEvent, WindowProbe};
use crate::time::{Span, ms};
use crate::wire::{Flags, Segment};

impl Connection {
    /// Fifth: "if the ACK bit is off, drop the segment and return"; otherwise what it acknowledges.
    pub(super) fn process_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return Step::Done;
        }
        let early = self.fast.is_some() && self.is_early();
        if self.state == State::SynReceived
            && let Some(step) = self.process_ack_of_syn(cx, seg, early)
        {
            return step;
        }
        if seg.ack.gt(self.snd.max) {
            // "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment".
            if cx.knobs.checks == CheckRule::Bsd {
                self.drop_after_ack(cx, seg);
                return Step::Done;
            }
            return self.refuse_ack(cx, DropReason::AckUnsent);
        }
        // tcp_do_segment() of BSD takes an old acknowledgment for what it is, however old.
        if cx.knobs.checks != CheckRule::Bsd && seg.ack.lt(self.snd.una - self.snd.max_wnd) {
            // RFC 5961 5.2: "(SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT"; all else is discarded and answered.
            return self.refuse_ack(cx, DropReason::AckTooOld);
        }
        if seg.ack.lt(self.snd.una) {
            self.take_old_ack(cx, seg);
            return Step::Next;
        }
        if self.sender.is_some() {
            self.take_ack(cx, seg);
        } else if seg.ack == self.snd.una {
            self.on_old_ack(cx, seg);
        } else {
            self.on_new_ack(cx, seg);
        }
        if early {
            self.leave_early(cx);
        }
        if self.snd.wnd > 0 {
            self.window_open();
        } else if let Persist::Probe { sent, since, .. } = self.persist {
            self.persist = Persist::Probe { sent, unanswered: 0, since };
            if cx.knobs.window_probe == WindowProbe::Empty && self.snd.flight() == 0 {
                // tcp_ack_probe(): the interval begins anew.
                let wait = self.persist_interval(cx, sent, since);
                self.timers.set(cx, Timer::Persist, wait);
            }
        }
        self.after_fin_acked(cx, seg)
    }

    /// The acknowledgment in SYN-RECEIVED, where it is dealt with by that.
    #[inline(never)]
    fn process_ack_of_syn(&mut self, cx: &mut Context<'_>, seg: &Segment, early: bool) -> Option<Step> {
        // "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED"; "If the segment acknowledgment is not
        // acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>".
        let is_old = if early { seg.ack.lt(self.snd.una) } else { seg.ack.le(self.snd.una) };
        if is_old || seg.ack.gt(self.snd.max) {
            cx.dropped(DropReason::AckUnsent);
            self.answer_by_reset(seg);
            return Some(Step::Done);
        }
        if early {
            return None;
        }
        self.establish_by_ack(cx, seg);
        Some(Step::Next)
    }

    #[inline(never)]
    fn refuse_ack(&mut self, cx: &mut Context<'_>, reason: DropReason) -> Step {
        cx.dropped(reason);
        self.challenge(cx);
        Step::Done
    }

    /// SYN-RECEIVED of a simultaneous open.
    fn establish_by_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        self.establish(cx, seg);
        // "and set: SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK"; the window of a SYN is not scaled.
        let shift = if seg.has(Flags::SYN) { 0 } else { self.snd.shift };
        self.snd.set_window(u32::from(seg.window) << shift, seg.seq, seg.ack);
        self.events |= Pending::WRITABLE;
        if self.snd.end == crate::tcp::snd::End::Closed {
            // 3.10.4: a CLOSE in SYN-RECEIVED was queued "for processing after entering ESTABLISHED state".
            cx.transition(&mut self.state, State::FinWait1, None, None);
        }
    }

    /// Our SYN is acknowledged, in an active or a simultaneous open.
    pub(super) fn establish(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let resent = self.rto.tries;
        self.snd.advance(seg.ack);
        let echo = self.echo(cx, seg);
        let measured = self.rto.acked(seg.ack, echo, self.snd.nxt, cx.now, cx.knobs);
        self.timers.stop(Timer::Retransmit);
        self.established(cx, resent);
        if self.sender.is_none() {
            return;
        }
        let at = self.moment(cx);
        if let Some(sender) = &mut self.sender {
            if let Some(rtt) = measured {
                sender.measured(&at, rtt);
            }
            if !sender.queue.is_empty() {
                sender.take_syn_data(&at);
                self.rearm_rto(cx);
            }
        }
    }

    /// SND.UNA < SEG.ACK: new data is acknowledged.
    fn on_new_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let echo = self.echo(cx, seg);
        let acked = self.snd.advance(seg.ack);
        self.snd.update_window(seg, acked);
        let all = self.snd.una == self.snd.nxt;
        self.rto.acked(seg.ack, echo, self.snd.nxt, cx.now, cx.knobs);
        let before = self.recovery.phase;
        let restart = self.recovery.on_ack(self.snd.una, acked, self.snd.flight(), self.snd.mss);
        self.note_recovery(cx, before);
        // RFC 6298 5.2 and 5.3.
        if all {
            self.timers.stop(Timer::Retransmit);
        } else if restart {
            let rto = self.rto.current(cx.knobs);
            self.timers.set(cx, Timer::Retransmit, rto);
        }
        self.note_room();
    }

    /// SEG.ACK = SND.UNA: perhaps a window update, perhaps a sign of loss.
    #[inline(never)]
    fn on_old_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let wnd = self.snd.wnd;
        self.snd.update_window(seg, 0);
        if self.snd.wnd == 0 && self.snd.flight() > 0 {
            // RFC 9293 3.8.6.1: "As long as the receiving TCP peer continues to send acknowledgments in response to
            // the probe segments, the sending TCP peer MUST allow the connection to stay open."
            self.rto.alive(cx.now);
        }
        // RFC 5681 2: a duplicate acknowledgment has no data, no SYN, no FIN, the same window, and data is in flight.
        let duplicate = self.snd.flight() > 0 && seg.seq_len() == 0 && self.snd.wnd == wnd && wnd > 0;
        if duplicate {
            let before = self.recovery.phase;
            if self.recovery.on_dup_ack(self.snd.una, self.snd.nxt, self.snd.mss, cx.knobs) {
                self.note_recovery(cx, before);
                if !matches!(before, Phase::Fast { .. }) && matches!(self.recovery.phase, Phase::Fast { .. }) {
                    cx.count(Tally::RenoRecovery);
                }
            }
        }
    }

    /// The window is open: whatever waited for that is over.
    fn window_open(&mut self) {
        if matches!(self.persist, Persist::Probe { .. }) {
            self.persist = Persist::Idle;
            self.timers.stop(Timer::Persist);
            if self.urgently == Some(Urgently::WindowProbe) {
                self.urgently = None;
            }
        }
    }

    /// "If our FIN is now acknowledged": CLOSING -> TIME-WAIT, LAST-ACK -> CLOSED. FIN-WAIT-1 is settled after the
    /// segment's own FIN, so that a segment that has both makes one transition; but for orphans of Linux, which look no
    /// further.
    fn after_fin_acked(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if !self.snd.fin_acked() {
            return Step::Next;
        }
        match self.state {
            State::Closing => {
                self.enter_time_wait(cx);
                Step::Done
            }
            State::LastAck => {
                self.die(cx, None);
                Step::Done
            }
            State::FinWait1 if self.is_orphan() && cx.knobs.closing == ClosingRule::Linux => {
                self.settle_orphan(cx, seg)
            }
            _ => Step::Next,
        }
    }

    /// `tcp_rcv_state_process()`, FIN-WAIT-1 of an orphan: where it may not linger, or what comes along lies beyond
    /// RCV.NXT, it ends before anything else of the segment is looked at.
    #[inline(never)]
    fn settle_orphan(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if self.setup.linger2 != Linger2::Never && !self.brings_more(seg) {
            return Step::Next;
        }
        let lasts = self.fin_wait2(cx);
        cx.transition(&mut self.state, State::FinWait2, lasts, None);
        // The acknowledgment of the FIN is answered as one of no connection.
        cx.count(Tally::AbortOnData);
        self.die(cx, None);
        self.answer_by_reset(seg);
        Step::Done
    }

    /// FIN-WAIT-1 -> FIN-WAIT-2, where the segment at hand brought the ACK of our FIN and no FIN.
    pub(super) fn settle_fin_wait(&mut self, cx: &mut Context<'_>) {
        if self.state == State::FinWait1 && self.snd.fin_acked() {
            self.enter_fin_wait2(cx);
        }
    }

    #[inline(never)]
    fn enter_fin_wait2(&mut self, cx: &mut Context<'_>) {
        let lasts = self.fin_wait2(cx).filter(|_| self.is_orphan());
        cx.transition(&mut self.state, State::FinWait2, lasts, None);
        self.leave_fin_wait2(cx);
    }

    /// The round trip that the echoed timestamp shows (RFC 7323 4).
    pub(super) fn echo(&self, cx: &Context<'_>, seg: &Segment) -> Option<Span> {
        let ts = self.ts?;
        let (_, ecr) = seg.options.timestamps()?;
        let elapsed = clock(cx.now).wrapping_add(ts.offset).wrapping_sub(ecr);
        (ecr != 0 && elapsed < 1 << 31).then(|| ms(u64::from(elapsed)).max(cx.knobs.clock_granularity))
    }

    /// Tells about the congestion window where the phase of recovery changed.
    pub(super) fn note_recovery(&self, cx: &mut Context<'_>, before: Phase) {
        if std::mem::discriminant(&before) != std::mem::discriminant(&self.recovery.phase) {
            cx.note(TcpEvent::Cwnd { cwnd: self.recovery.cwnd, ssthresh: self.recovery.ssthresh });
        }
    }

    /// An acknowledgment is owed for `len` more bytes: at the second full segment at once (RFC 9293 3.8.6.3), before
    /// that within the delay.
    pub(super) fn delay_ack(&mut self, cx: &mut Context<'_>, len: u32) {
        if cx.knobs.acks == AckRule::Linux {
            return self.delay_ack_as_linux(cx);
        }
        let owed = match self.ack {
            Ack::Now => return,
            Ack::None => len,
            Ack::Delayed(bytes) => bytes.saturating_add(len),
        };
        let immediate = self.setup.quick_ack || cx.knobs.delayed_ack == Span::ZERO;
        let enough = match cx.knobs.acks {
            // DELAY_ACK(): one is held back, and of no more than a full segment.
            AckRule::Bsd => self.ack != Ack::None || len > u32::from(self.snd.mss),
            AckRule::Delay | AckRule::Linux => owed >= 2 * self.rcv.mss,
        };
        self.ack = if immediate || enough { Ack::Now } else { Ack::Delayed(owed) };
    }

    /// The size of the peer's segments, as far as it is known.
    pub(super) fn rcv_mss(&self) -> u32 {
        self.rcv.window.as_ref().map_or(self.rcv.mss, |window| window.rcv_mss)
    }

    /// Whether more than a full segment waits to be acknowledged.
    pub(super) fn owes_a_segment(&self) -> bool {
        self.rcv.nxt.since(self.rcv.last_ack) > self.rcv_mss()
    }

    /// `__tcp_ack_snd_check()` for what is in order.
    #[inline(never)]
    fn delay_ack_as_linux(&mut self, cx: &mut Context<'_>) {
        let keeps_window = || {
            let offered = self.rcv.edge.since(self.rcv.last_ack);
            self.rcv.next_edge(self.setup.mss).since(self.rcv.nxt) >= offered
        };
        // What ends with the FIN is acknowledged with it.
        if self.ack == Ack::Now || self.rcv.fin_is_next() {
            return;
        }
        if self.pace.is_quick() || self.setup.quick_ack || (self.owes_a_segment() && keeps_window()) {
            self.ack = Ack::Now;
            return;
        }
        self.ack = Ack::Delayed(0);
        match self.pace.delay(cx.now, self.rto.srtt()) {
            Reply::Now => self.ack = Ack::Now,
            Reply::After(span) => self.timers.set(cx, Timer::DelayedAck, span),
            Reply::AsSet => {}
        }
    }
}
