use super::{Closing, ClosingStep, Due};
use crate::endpoint::{Arrival, DropReason, State, TimerChange, TimerKind};
use crate::tcp::{Context, Tally, TcpEvent};
use crate::wire::{Flags, Segment, Seq};

/// `tcp_timewait_state_process()` in tcp_minisocks.c.
impl Closing {
    /// As a timewait socket of Linux, whose substate is FIN-WAIT-2 or TIME-WAIT.
    pub(super) fn on_segment_linux(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        // Where the connection used timestamps, a segment without one is taken as it is; RST is not spared.
        let old = self.ts.is_some_and(|ts| ts.too_old(seg));
        match self.state {
            State::FinWait2 => self.orphan_segment(cx, seg, old),
            _ => self.late_segment(cx, seg, old),
        }
    }

    /// Nobody reads any more, and the FIN is still to come.
    fn orphan_segment(&mut self, cx: &mut Context<'_>, seg: &Segment, old: bool) -> ClosingStep {
        if old || !self.in_window(seg) {
            return self.answer_limited(cx, seg, if old { DropReason::Paws } else { DropReason::OutOfWindow });
        }
        // Any RST in the window: RFC 5961 3 has no say here.
        if seg.has(Flags::RST) {
            return self.gone(cx);
        }
        if seg.has(Flags::SYN) && seg.seq.ge(self.rcv_nxt) {
            cx.dropped(DropReason::NoMeaning);
            return self.refuse(cx, seg);
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return ClosingStep::Stay;
        }
        if seg.end().le(self.rcv_nxt) || seg.seq_len() == 0 {
            return ClosingStep::Stay;
        }
        if !seg.has(Flags::FIN) || seg.end() != self.rcv_nxt + 1 {
            cx.dropped(DropReason::DataAfterClose);
            return self.refuse(cx, seg);
        }
        self.rcv_nxt = seg.end();
        self.rcv_wnd = self.rcv_wnd.saturating_sub(1);
        self.remember(seg);
        self.entered = cx.now;
        cx.transition(&mut self.state, State::TimeWait, Some(cx.knobs.time_wait), None);
        self.fires = cx.after(cx.knobs.time_wait);
        cx.timer(TimerKind::TimeWait, TimerChange::Set(self.fires));
        self.answer(Due::Ack)
    }

    /// TIME-WAIT.
    fn late_segment(&mut self, cx: &mut Context<'_>, seg: &Segment, old: bool) -> ClosingStep {
        let rst = seg.has(Flags::RST);
        if !old && seg.seq == self.rcv_nxt && (seg.seq_len() == 0 || rst) {
            // TIME-WAIT assassination (RFC 1337), or a bare ACK, which is not answered.
            if !rst {
                self.restart(cx);
            } else if !cx.knobs.time_wait_ignores_rst {
                return self.gone(cx);
            } else {
                cx.dropped(DropReason::RstIgnored);
            }
            self.remember(seg);
            return ClosingStep::Stay;
        }
        let newer = self.ts.zip(seg.options.timestamps()).is_some_and(|(ts, (val, _))| Seq(val).gt(Seq(ts.recent)));
        let syn = seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN;
        if syn && !old && (seg.seq.gt(self.rcv_nxt) || newer) {
            return ClosingStep::Reopen;
        }
        if rst {
            cx.dropped(DropReason::RstIgnored);
            return ClosingStep::Stay;
        }
        // A SYN that is not acceptable may be an old duplicate as well as a new one.
        if old || seg.has(Flags::ACK) {
            self.restart(cx);
        }
        if !old && seg.has(Flags::FIN) && seg.end() == self.rcv_nxt {
            cx.note(TcpEvent::Arrival(Arrival::Duplicate));
            return self.answer(Due::Ack);
        }
        self.answer_limited(cx, seg, if old { DropReason::Paws } else { DropReason::OutOfWindow })
    }

    /// `tcp_in_window()`.
    fn in_window(&self, seg: &Segment) -> bool {
        let (end, last) = (seg.end(), self.rcv_nxt + self.rcv_wnd);
        seg.seq == self.rcv_nxt || (end.gt(self.rcv_nxt) && seg.seq.lt(last)) || (seg.seq == last && seg.seq == end)
    }

    pub(super) fn remember(&mut self, seg: &Segment) {
        if let (Some(ts), Some((val, _))) = (&mut self.ts, seg.options.timestamps()) {
            ts.recent = val;
        }
    }

    /// `tcp_timewait_check_oow_rate_limit()`: what has data or a FIN is always answered.
    fn answer_limited(&mut self, cx: &mut Context<'_>, seg: &Segment, why: DropReason) -> ClosingStep {
        let limited = seg.seq_len() == 0 || seg.has(Flags::SYN);
        if limited && !self.throttle.allows(cx) {
            if why != DropReason::Paws {
                cx.dropped(DropReason::OutOfWindowUnanswered);
                return ClosingStep::Stay;
            }
            cx.count(match self.state {
                State::TimeWait => Tally::AckSkippedTimeWait,
                _ => Tally::AckSkippedFinWait2,
            });
            cx.dropped(why);
            return ClosingStep::Stay;
        }
        cx.dropped(why);
        self.answer(Due::Ack)
    }
}
