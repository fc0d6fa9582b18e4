use super::{Closing, ClosingStep, Due, Timestamps};
use crate::endpoint::{Arrival, DropReason, State};
use crate::tcp::{Context, TcpEvent};
use crate::wire::{Flags, Segment};

/// `tcp_twcheck()` in tcp_timewait.c.
impl Closing {
    /// TIME-WAIT as BSD has it; an orphan in FIN-WAIT-2 is a connection like others there.
    pub(super) fn on_segment_bsd(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        if self.state != State::TimeWait {
            // tcp_do_segment() resets t_rcvtime before it looks at anything.
            if self.prolonged.is_some() {
                self.entered = cx.now;
            }
            return self.on_segment_rfc9293(cx, seg);
        }
        // "see Stevens, vol. 2, p. 964 and RFC 1337": whatever its number.
        if seg.has(Flags::RST) {
            cx.dropped(DropReason::RstIgnored);
            return ClosingStep::Stay;
        }
        // Timestamps have no say.
        if seg.has(Flags::SYN) && !seg.has(Flags::ACK) && seg.seq.gt(self.rcv_nxt) {
            return ClosingStep::Reopen;
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return ClosingStep::Stay;
        }
        // tcp_tolerate_missing_ts
        if self.ts.is_some_and(|ts| ts.recent != 0) && !cx.knobs.missing_timestamps && Timestamps::missing(seg) {
            cx.dropped(DropReason::Paws);
            return ClosingStep::Stay;
        }
        let again = seg.has(Flags::FIN) && seg.end() == self.rcv_nxt;
        if again {
            cx.note(TcpEvent::Arrival(Arrival::Duplicate));
            self.restart(cx);
        }
        // The acknowledgment of our FIN once more tells nothing, and is not answered.
        let bare = seg.flags == Flags::ACK && seg.seq_len() == 0;
        if bare && seg.seq == self.rcv_nxt && seg.ack == self.snd_nxt {
            return ClosingStep::Stay;
        }
        if !again {
            cx.dropped(DropReason::OutOfWindow);
        }
        self.answer(Due::Ack)
    }
}
