//! What BSD looks at before the acknowledgment, and what it answers: `tcp_do_segment()` in tcp_input.c, `tcp_output()`.

use super::segment::Step;
use super::{Ack, Connection, Urgently};
use crate::endpoint::{Arrival, DropReason, State};
use crate::tcp::timestamps::Timestamps;
use crate::tcp::{CheckRule, Context, Tally, TcpEvent};
use crate::wire::{Flags, Segment};

impl Connection {
    /// The timestamp, RST, SYN and then the sequence number of a segment for a synchronized connection.
    #[inline(never)]
    pub(super) fn check_as_bsd(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if self.ts.is_some() && !cx.knobs.missing_timestamps && Timestamps::missing(seg) {
            cx.dropped(DropReason::Paws);
            return Step::Done;
        }
        // "Note: to take into account delayed ACKs, we should test against last_ack_sent instead of rcv_nxt."
        let (first, wnd) = (self.rcv.last_ack, self.rcv.space_edge().since(self.rcv.nxt));
        if seg.has(Flags::RST) {
            // "Note 2: we handle special case of closed window, not covered by the RFC."
            let inside = seg.seq.within(first, wnd) || (wnd == 0 && seg.seq == first);
            if !inside {
                cx.dropped(DropReason::RstIgnored);
            } else if cx.knobs.rst_exact && seg.seq != first {
                cx.dropped(DropReason::RstNotExact);
                self.respond(cx);
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
                self.respond(cx);
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
        if self.state == State::SynReceived { self.check_sequence(cx, seg) } else { self.trim(cx, seg) }
    }

    /// A challenge ACK, which `tcp_respond()` sends: it never has a FIN.
    pub(super) fn respond(&mut self, cx: &mut Context<'_>) {
        if cx.allow_challenge() {
            cx.count(Tally::ChallengeAck);
            self.urgently = Some(Urgently::Challenge);
        }
    }

    /// "Check that at least some bytes of segment are within receive window. If segment begins before rcv_nxt, drop leading
    /// data; if nothing left, just ack": the acknowledgment of what is old counts, however old it is.
    fn trim(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        let (nxt, edge) = (self.rcv.nxt, self.rcv.space_edge());
        let (len, end) = (seg.seq_len(), seg.seq + seg.payload.len());
        let beyond = seg.has(Flags::ACK) && seg.ack.gt(self.snd.max);
        if seg.seq.lt(nxt) && (end.lt(nxt) || (end == nxt && !seg.has(Flags::FIN))) {
            if (len == 0 || beyond) && !self.may_repeat(cx, seg) {
                cx.dropped(DropReason::OutOfWindowUnanswered);
                return Step::NoText;
            }
            if !seg.payload.is_empty() {
                self.sacks.came_twice(seg.seq, end);
            }
            // What lies before the peer's SYN was never received: it is of another incarnation.
            let known = len > 0 && self.rcv.irs.le(seg.seq);
            cx.note(TcpEvent::Arrival(match known {
                true => Arrival::Duplicate,
                false => Arrival::Dropped(DropReason::OutOfWindow),
            }));
            self.ack = Ack::Now;
            return Step::NoText;
        }
        if seg.seq.lt(nxt) && self.sack {
            // "ACK now, as the next in-sequence segment will clear the DSACK block again".
            self.ack = Ack::Now;
        }
        if end.le(edge) || seg.seq.max(nxt).lt(edge) {
            return Step::Next;
        }
        // "If window is closed can only take segments at window edge, and have to drop data and PUSH from incoming
        // segments. Continue processing, but remember to ack."
        if edge == nxt && seg.seq.le(nxt) {
            cx.dropped(DropReason::BufferFull);
            self.ack = Ack::Now;
            return Step::NoText;
        }
        if !self.may_repeat(cx, seg) {
            cx.dropped(DropReason::OutOfWindowUnanswered);
        } else {
            cx.dropped(DropReason::OutOfWindow);
            self.ack = Ack::Now;
        }
        Step::Done
    }

    /// Whether a segment that tells nothing new is answered. FreeBSD answers all of them. But what has no text, and is outside
    /// the window, acknowledges more than was sent, or repeats a FIN ahead of a gap, may be such an answer itself, with our
    /// peer's FIN in it, and two such ends would answer each other at once until something is sent again, or for ever.
    pub(super) fn may_repeat(&mut self, cx: &Context<'_>, seg: &Segment) -> bool {
        !seg.payload.is_empty() || self.throttle.allows(cx)
    }

    /// "If the ACK acks something not yet sent": `dropafterack` of `tcp_do_segment()`, which is an acknowledgment like any other.
    pub(super) fn drop_after_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        cx.dropped(DropReason::AckUnsent);
        if self.ack != Ack::Now && self.may_repeat(cx, seg) {
            self.ack = Ack::Now;
        }
    }

    /// The acknowledgment that is due. As long as the FIN is not acknowledged itself each one has it (`tcp_outflags`).
    pub(super) fn acknowledge(&mut self, cx: &mut Context<'_>) -> Segment {
        let nxt = self.snd.nxt;
        let sent = nxt == self.snd.all_end();
        let waits = matches!(self.state, State::FinWait1 | State::Closing | State::LastAck);
        let repeats = cx.knobs.checks == CheckRule::Bsd && sent && waits;
        let (seq, flags) = if repeats { (nxt - 1, Flags::FIN | Flags::ACK) } else { (nxt, Flags::ACK) };
        self.header(cx, seq, flags)
    }
}
