//! What BSD looks at before the sequence number: `tcp_do_segment()` in tcp_input.c.

use super::segment::Step;
use super::{Ack, Connection, Urgently};
use crate::endpoint::{DropReason, State};
use crate::tcp::Context;
use crate::tcp::timestamps::Timestamps;
use crate::wire::{Flags, Segment};

impl Connection {
    /// The timestamp, RST, SYN and then the sequence number of a segment for a synchronized connection.
    pub(super) fn check_as_bsd(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if self.ts.is_some() && !cx.knobs.missing_timestamps && Timestamps::missing(seg) {
            cx.dropped(DropReason::Paws);
            return Step::Done;
        }
        // "Note: to take into account delayed ACKs, we should test against last_ack_sent instead of rcv_nxt."
        // "Receive window is amount of space in rcv queue, but not less than advertised window", told or not.
        let (first, wnd) = (self.rcv.last_ack, self.rcv.space().max(self.rcv.wnd()));
        if seg.has(Flags::RST) {
            // "Note 2: we handle special case of closed window, not covered by the RFC."
            let inside = seg.seq.within(first, wnd) || (wnd == 0 && seg.seq == first);
            if !inside {
                cx.dropped(DropReason::RstIgnored);
            } else if cx.knobs.rst_exact && seg.seq != first {
                cx.dropped(DropReason::RstNotExact);
                self.challenge(cx);
            } else {
                self.reset(cx);
            }
            return Step::Done;
        }
        if seg.has(Flags::SYN) && self.state != State::SynReceived {
            if !cx.knobs.syn_challenged && seg.seq.within(first, wnd) {
                // tcp_drop()
                let reset = Urgently::Reset(self.snd.max, Some(self.rcv.nxt));
                self.reset(cx);
                self.urgently = Some(reset);
            } else {
                cx.dropped(DropReason::SynChallenged);
                self.challenge(cx);
            }
            return Step::Done;
        }
        if self.ts.is_some_and(|ts| ts.recent != 0 && ts.too_old(seg)) {
            cx.dropped(DropReason::Paws);
            // RFC 7323 5.3 R1 wants an answer to each; only text gets one.
            if !seg.payload.is_empty() {
                self.ack = Ack::Now;
            }
            return Step::Done;
        }
        self.check_sequence(cx, seg)
    }
}
