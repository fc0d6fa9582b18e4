//! What Linux checks before it looks at the acknowledgment: `tcp_validate_incoming()` in tcp_input.c.

use super::segment::Step;
use super::{Ack, Connection};
use crate::endpoint::{Arrival, DropReason, State};
use crate::tcp::{Context, Tally, TcpEvent};
use crate::time::{Span, ms, secs};
use crate::wire::{Flags, Segment};

/// `TCP_PAWS_WRAP`: after so long without a segment the peer's clock may have gone round, if it counts microseconds.
const PAWS_WRAP: Span = secs(2_147);

impl Connection {
    /// PAWS, the sequence number, RST and SYN of a segment for a synchronized connection.
    #[inline(never)]
    pub(super) fn validate_incoming(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        let (rst, syn) = (seg.has(Flags::RST), seg.has(Flags::SYN));
        if !seg.has(Flags::ACK) && !rst && !syn {
            cx.dropped(DropReason::NoAck);
            return Step::Done;
        }
        // RST is taken though it did not pass PAWS.
        if !rst && let Some(answered) = self.disordered(cx, seg) {
            match (syn, answered) {
                (true, _) => self.challenge_syn(cx),
                (false, true) => {
                    cx.count(Tally::PawsEstab);
                    self.answer_invalid(cx, seg, Arrival::Dropped(DropReason::Paws));
                }
                (false, false) => {
                    cx.count(Tally::PawsOldAck);
                    cx.dropped(DropReason::Paws);
                }
            }
            return Step::Done;
        }
        // tcp_reset_check(): some send the RST with the number of their FIN.
        let after_fin = matches!(self.state, State::CloseWait | State::LastAck | State::Closing);
        let at_fin = rst && after_fin && seg.seq == self.rcv.nxt - 1;
        if !self.in_sequence(seg) && !at_fin {
            return self.out_of_sequence(cx, seg);
        }
        if rst {
            if at_fin || seg.seq == self.rcv.nxt || (self.sack && self.rcv.rightmost() == Some(seg.seq)) {
                self.reset(cx);
            } else {
                cx.dropped(DropReason::RstNotExact);
                if self.fast.is_some() && self.state == State::Established {
                    self.suspect_blackhole(cx);
                }
                self.challenge(cx);
            }
            return Step::Done;
        }
        if syn {
            self.challenge_syn(cx);
            return Step::Done;
        }
        self.check_text(cx, seg)
    }

    /// What `tcp_data_queue()` does not take, though its acknowledgment counts.
    fn check_text(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if seg.seq_len() == 0 {
            return Step::Next;
        }
        // tcp_data_queue(): what was to be told of a segment before, and waits for its acknowledgment, is told no more.
        self.sacks.forget_twice();
        if seg.end().le(self.rcv.nxt) {
            cx.note(TcpEvent::Arrival(Arrival::Duplicate));
            self.came_again(cx, seg);
            return Step::NoText;
        }
        // A bare FIN needs no room.
        let bare = seg.payload.is_empty() && seg.seq == self.rcv.nxt;
        if seg.seq.ge(self.rcv.edge) && !bare {
            let full = seg.seq == self.rcv.nxt;
            cx.dropped(if full { DropReason::BufferFull } else { DropReason::OutOfWindow });
            self.ack = Ack::Now;
            return Step::NoText;
        }
        Step::Next
    }

    /// Quick acknowledgments from here on, the first one with a D-SACK.
    fn came_again(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let offered = self.rcv.edge.since(self.rcv.last_ack);
        cx.count(Tally::DelayedAckLost);
        self.pace.alarm(offered, self.rcv_mss());
        self.came_twice(cx, seg.seq, seg.end().min(self.rcv.nxt));
        self.ack = Ack::Now;
    }

    fn out_of_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if seg.has(Flags::RST) {
            cx.dropped(DropReason::RstIgnored);
        } else if seg.has(Flags::SYN) {
            self.challenge_syn(cx);
        } else {
            let old = seg.seq_len() > 0 && self.rcv.irs.le(seg.seq) && seg.end().le(self.rcv.nxt);
            let arrival = if old { Arrival::Duplicate } else { Arrival::Dropped(DropReason::OutOfWindow) };
            self.answer_invalid(cx, seg, arrival);
        }
        Step::Done
    }

    /// `tcp_sequence()`. What ends where the last acknowledgment stood still brings its own.
    fn in_sequence(&self, seg: &Segment) -> bool {
        let (end, edge) = (seg.end(), self.rcv.edge);
        if end.lt(self.rcv.last_ack) {
            return false;
        }
        let fin = u32::from(seg.has(Flags::FIN));
        let empty = seg.seq == self.rcv.nxt && self.rcv.wnd() == 0;
        (end - fin).le(edge) || (seg.seq.le(edge) && (self.rcv.queue.is_empty() || empty))
    }

    /// `tcp_disordered_ack_check()`: none if the timestamp is in order, or close enough; else whether it is answered.
    fn disordered(&self, cx: &Context<'_>, seg: &Segment) -> Option<bool> {
        let ts = self.ts?;
        let (val, _) = seg.options.timestamps()?;
        let behind = ts.recent.wrapping_sub(val);
        // TCP_PAWS_WINDOW: one tick.
        if self.is_stamp_void(cx) || behind >= 1 << 31 || behind <= 1 {
            return None;
        }
        if !seg.has(Flags::ACK) || seg.seq_len() > 0 {
            return Some(true);
        }
        if seg.seq != self.rcv.nxt {
            return Some(!seg.seq.lt(self.rcv.nxt));
        }
        let updates = u32::from(seg.window) << self.snd.shift > self.snd.wnd;
        let replay = self.rto.current(cx.knobs) * 6 / 5;
        let near = ms(u64::from(behind)) <= replay;
        (seg.ack != self.snd.una || updates || !near).then_some(true)
    }

    /// `tcp_paws_check()`: whether the peer's last timestamp is so old, or was never one, that it says nothing any more.
    pub(super) fn is_stamp_void(&self, cx: &Context<'_>) -> bool {
        self.ts.is_some_and(|ts| ts.recent == 0 || cx.now.since(self.keep.heard) >= PAWS_WRAP)
    }

    /// `tcp_send_dupack()`, limited as `tcp_oow_rate_limited()` has it: not for data.
    fn answer_invalid(&mut self, cx: &mut Context<'_>, seg: &Segment, arrival: Arrival) {
        if seg.seq_len() == 0 && !self.throttle.allows(cx) {
            if arrival != Arrival::Dropped(DropReason::Paws) {
                return cx.dropped(DropReason::OutOfWindowUnanswered);
            }
            cx.count(Tally::AckSkippedPaws);
            return cx.dropped(DropReason::Paws);
        }
        cx.note(TcpEvent::Arrival(arrival));
        if seg.seq_len() > 0 && seg.seq.lt(self.rcv.nxt) {
            self.came_again(cx, seg);
        }
        self.ack = Ack::Now;
    }
}
