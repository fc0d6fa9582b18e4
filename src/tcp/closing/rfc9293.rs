use super::{Closing, ClosingStep, Due};
use crate::endpoint::{Arrival, DropReason, State, TimerChange, TimerKind};
use crate::tcp::{Context, TcpEvent, WindowRule};
use crate::wire::{Flags, Segment, Seq};

impl Closing {
    /// RFC 9293 3.10.7.4, TIME-WAIT.
    pub(super) fn on_segment_rfc9293(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        let syn = seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN;
        if syn && self.state == State::TimeWait && self.reopens(seg) {
            return ClosingStep::Reopen;
        }
        if !seg.has(Flags::RST) && self.ts.is_some_and(|ts| ts.too_old(seg)) {
            cx.dropped(DropReason::Paws);
            return self.answer(Due::Ack);
        }
        if let Some(step) = self.check_sequence(cx, seg) {
            return step;
        }
        if seg.has(Flags::RST) {
            return self.check_reset(cx, seg);
        }
        // Fourth: a SYN that may not open is challenged (RFC 5961 4.2).
        if seg.has(Flags::SYN) {
            cx.dropped(DropReason::SynChallenged);
            return self.challenge(cx);
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return ClosingStep::Stay;
        }
        if seg.ack.gt(self.snd_nxt) {
            cx.dropped(DropReason::AckUnsent);
            return self.challenge(cx);
        }
        match self.state {
            State::FinWait2 => {
                // RFC 7323 4.3: what reaches back to the last acknowledgment; all is acknowledged at once here.
                if seg.seq.le(self.rcv_nxt) {
                    self.remember(seg);
                }
                self.process_text(cx, seg)
            }
            // "This should not occur since a FIN has been received from the remote side."
            _ => {
                if seg.seq_len() > 0 {
                    cx.dropped(DropReason::DataAfterClose);
                }
                ClosingStep::Stay
            }
        }
    }

    /// RFC 6191 2, with RFC 9293 MAY-2 where no timestamps are used: whether `syn` is surely new.
    fn reopens(&self, syn: &Segment) -> bool {
        let newer = syn.seq.gt(self.rcv_nxt);
        match (self.ts, syn.options.timestamps()) {
            (Some(ts), Some((val, _))) => val == ts.recent && newer || Seq(val).gt(Seq(ts.recent)),
            (None, Some(_)) => true,
            (_, None) => newer,
        }
    }

    /// First: the sequence number.
    fn check_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Option<ClosingStep> {
        let len = seg.seq_len();
        let last = seg.seq + len.saturating_sub(1);
        let inside = seg.seq.within(self.rcv_nxt, self.rcv_wnd) || last.within(self.rcv_nxt, self.rcv_wnd);
        if inside || (len == 0 && seg.seq == self.rcv_nxt) {
            return None;
        }
        if seg.has(Flags::RST) {
            cx.dropped(DropReason::RstIgnored);
            return Some(ClosingStep::Stay);
        }
        // Eighth, TIME-WAIT: "restart the 2 MSL time-wait timeout" on a retransmission of the remote FIN only.
        if seg.has(Flags::FIN) && seg.end() == self.rcv_nxt && self.state == State::TimeWait {
            cx.note(TcpEvent::Arrival(Arrival::Duplicate));
            self.restart(cx);
        } else if len == 0 && !self.throttle.allows(cx) {
            cx.dropped(DropReason::OutOfWindowUnanswered);
            return Some(ClosingStep::Stay);
        } else {
            cx.dropped(DropReason::OutOfWindow);
        }
        Some(self.answer(Due::Ack))
    }

    /// Second: RST (RFC 5961 3.2; RFC 1337 where the knob is on).
    fn check_reset(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        if self.state == State::TimeWait && cx.knobs.time_wait_ignores_rst {
            cx.dropped(DropReason::RstIgnored);
            return ClosingStep::Stay;
        }
        if cx.knobs.rst_exact && seg.seq != self.rcv_nxt {
            cx.dropped(DropReason::RstNotExact);
            return self.challenge(cx);
        }
        self.gone(cx)
    }

    /// Seventh and eighth, for a FIN-WAIT-2 that nobody owns: data finds no reader, a FIN brings TIME-WAIT.
    fn process_text(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        let new = seg.end().since(self.rcv_nxt);
        if seg.seq_len() == 0 {
            return ClosingStep::Stay;
        }
        if (!seg.has(Flags::FIN) || new > 1) && !seg.payload.is_empty() {
            // RFC 9293 3.6.1: "if new data is received after CLOSE is called, its TCP implementation SHOULD send a
            // RST to show that data was lost".
            cx.dropped(DropReason::DataAfterClose);
            return self.refuse(cx, seg);
        }
        if new == 1 {
            self.rcv_nxt += 1;
            if cx.knobs.window != WindowRule::Bsd {
                self.rcv_wnd = self.rcv_wnd.saturating_sub(1);
            }
            cx.transition(&mut self.state, State::TimeWait, Some(cx.knobs.time_wait), None);
            (self.entered, self.prolonged) = (cx.now, None);
            self.fires = cx.after(cx.knobs.time_wait);
            cx.timer(TimerKind::TimeWait, TimerChange::Set(self.fires));
        }
        self.answer(Due::Ack)
    }
}
