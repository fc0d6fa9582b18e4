//! SEGMENT ARRIVES (RFC 9293 3.10.7), up to the acknowledgment.

use super::fast_open::Answer;
use super::{Ack, Connection, Pending, Urgently};
use crate::endpoint::{Arrival, DropReason, Errno, State};
use crate::tcp::acks;
use crate::tcp::handshake::Agreed;
use crate::tcp::newreno::Phase;
use crate::tcp::snd::Syn;
use crate::tcp::timers::Timer;
use crate::tcp::timestamps::Timestamps;
use crate::tcp::window;
use crate::tcp::{AckRule, CheckRule, Context, Tally, TcpEvent};
use crate::wire::{Flags, Segment, Seq};

/// Whether the steps go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With the next step.
    Next,
    /// With the next step, but the text is not taken: the window is closed.
    NoText,
    /// No more: the segment is dealt with.
    Done,
}

impl Connection {
    /// Whether there is a way out now: where there is none, what is new stays in the queue, and is tried for again as a
    /// closed window is (`tcp_write_xmit()` fails, `tcp_check_probe_timer()`).
    pub fn on_carrier(&mut self, up: bool) {
        self.cut_off = !up;
    }

    /// A segment of this connection has come.
    pub fn on_segment(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        self.read_at = cx.now;
        self.wake();
        match self.state {
            State::Closed | State::Listen | State::TimeWait => cx.dropped(DropReason::NoMeaning),
            State::SynSent => self.on_segment_in_syn_sent(cx, seg),
            _ => self.on_segment_in_window(cx, seg),
        }
        // tcp_data_snd_check(): MSG_MORE holds back during its own call only.
        self.more &= self.sender.is_none();
        self.check();
    }

    /// RFC 9293 3.10.7.4, the steps in their order.
    fn on_segment_in_window(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let early = self.fast.is_some() && self.is_early();
        if early && self.check_early(cx, seg) == Step::Done {
            return;
        }
        let linux = cx.knobs.checks == CheckRule::Linux && (early || self.state != State::SynReceived);
        let checked = match cx.knobs.checks {
            CheckRule::Linux if linux => self.validate_incoming(cx, seg),
            CheckRule::Bsd => self.check_as_bsd(cx, seg),
            CheckRule::Linux | CheckRule::Rfc9293 => self.check_sequence(cx, seg),
        };
        if checked == Step::Done {
            return;
        }
        let text = checked == Step::Next;
        if !linux {
            let over = seg.has(Flags::RST) && self.check_reset(cx, seg) == Step::Done;
            if over || (seg.has(Flags::SYN) && self.check_syn(cx, seg) == Step::Done) {
                return;
            }
        }
        // tcp_ack() looks at the timestamp last: an old acknowledgment does not bring a new one.
        let current = !linux || (seg.has(Flags::ACK) && seg.ack.ge(self.snd.una) && seg.ack.le(self.snd.max));
        let void = linux && self.is_stamp_void(cx);
        if let Some(ts) = self.ts.as_mut().filter(|_| current) {
            ts.update(seg, self.rcv.last_ack, void);
        }
        (self.keep.heard, self.keep.probes) = (cx.now, 0);
        if self.process_ack(cx, seg) == Step::Done {
            return;
        }
        if seg.has(Flags::URG) {
            self.process_urgent(cx, seg);
        }
        if text {
            if seg.seq_len() > 0 && !seg.has(Flags::SYN) && self.process_text(cx, seg) == Step::Done {
                return;
            }
            self.process_fin(cx);
        }
        self.settle_fin_wait(cx);
    }

    /// RFC 9293 3.10.7.3.
    #[inline(never)]
    fn on_segment_in_syn_sent(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        // First: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set ...)".
        let acked = seg.has(Flags::ACK);
        if acked && (seg.ack.le(self.snd.iss) || seg.ack.gt(self.snd.max)) {
            cx.dropped(DropReason::AckUnsent);
            self.answer_by_reset(seg);
            if let Some(soon) = cx.knobs.syn_again.filter(|_| self.rto.tries == 0) {
                let tick = cx.knobs.ticks.length.unwrap_or(cx.knobs.clock_granularity);
                self.timers.set(cx, Timer::Retransmit, tick * u64::from(soon));
            }
            return;
        }
        if acked && seg.has(Flags::SYN) && self.echoes_another(cx, seg) {
            cx.count(Tally::PawsActive);
            cx.dropped(DropReason::Paws);
            return self.answer_by_reset(seg);
        }
        // Second: "If the ACK was acceptable, then signal to the user 'error: connection reset'".
        if seg.has(Flags::RST) {
            match acked {
                true => self.die(cx, Some(Errno::ECONNREFUSED)),
                false => cx.dropped(DropReason::RstIgnored),
            }
            return;
        }
        // Fourth: SYN; and fifth: "if neither of the SYN or RST bits is set, then drop the segment".
        if !seg.has(Flags::SYN) {
            return cx.dropped(DropReason::NoMeaning);
        }
        let agreed = Agreed::from_syn(seg, &self.setup, cx.knobs);
        self.rcv.synchronize(seg.seq);
        self.agree(cx, agreed);
        self.open_window(cx, window::initial(&self.setup, cx.knobs, false));
        self.snd.set_window(u32::from(seg.window), seg.seq, if acked { seg.ack } else { self.snd.una });
        (self.keep.heard, self.keep.probes) = (cx.now, 0);
        if !acked {
            // Simultaneous open: "enter SYN-RECEIVED, form a SYN,ACK segment".
            cx.transition(&mut self.state, State::SynReceived, None, None);
            self.recovery.phase = Phase::Loss { recover: self.snd.iss + 1, next: self.snd.iss };
            return;
        }
        self.establish(cx, seg);
        self.ack = Ack::Now;
        let answer = self.take_fast_open_answer(cx, seg);
        if (self.awaited || (answer == Answer::Well && self.writer_waits())) && cx.knobs.acks == AckRule::Linux {
            // tcp_rcv_synsent_state_process(): "Save one ACK. Data will be ready after several ticks".
            self.pace.connected(cx.now);
            self.pace.alarm(self.rcv.wnd(), self.rcv_mss());
            self.ack = Ack::Delayed(0);
            self.timers.set(cx, Timer::DelayedAck, acks::MOST);
        }
        // "If there are other controls or text in the segment, then continue processing at the sixth step".
        if seg.has(Flags::URG) {
            self.process_urgent(cx, seg);
        }
        if seg.seq_len() > 1 && (cx.knobs.syn_ack_text || answer == Answer::Well) {
            let rest = Segment { seq: seg.seq + 1, flags: seg.flags - Flags::SYN, ..seg.clone() };
            if self.process_text(cx, &rest) != Step::Done {
                self.process_fin(cx);
            }
        }
    }

    /// First: "If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the RST
    /// bit is set)".
    pub(super) fn check_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if let Some(ts) = self.ts
            && self.check_stamp(cx, seg, ts) == Step::Done
        {
            return Step::Done;
        }
        let len = seg.seq_len();
        if self.rcv.acceptable(seg.seq, len) { Step::Next } else { self.refuse_sequence(cx, seg) }
    }

    /// What lies outside the window.
    #[inline(never)]
    fn refuse_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        let len = seg.seq_len();
        // "If the RCV.WND is zero, ... special allowance should be made to accept valid ACKs, URGs, and RSTs."
        if self.rcv.wnd() == 0 && seg.seq == self.rcv.nxt {
            if len > 0 && !seg.has(Flags::RST) {
                cx.dropped(DropReason::BufferFull);
                self.ack = Ack::Now;
            }
            return Step::NoText;
        }
        if seg.has(Flags::RST) {
            let after_fin = matches!(self.state, State::CloseWait | State::LastAck | State::Closing);
            if cx.knobs.rst_of_fin && after_fin && seg.seq + 1 == self.rcv.nxt {
                self.reset(cx);
            } else {
                cx.dropped(DropReason::RstIgnored);
            }
            return Step::Done;
        }
        // Figure 8: in a simultaneous open the peer's SYN comes once more, with the ACK we wait for.
        let again = seg.seq == self.rcv.irs && seg.has(Flags::SYN);
        let acks = seg.has(Flags::ACK) && seg.ack.gt(self.snd.iss) && seg.ack.le(self.snd.max);
        if again && self.state == State::SynReceived && acks {
            if cx.knobs.crossing_repeats_syn {
                // tcp_data_queue(): the SYN is sequence space that has come before.
                self.came_twice(cx, self.rcv.irs, self.rcv.nxt);
                self.ack = Ack::Now;
            }
            return Step::NoText;
        }
        if again && !seg.has(Flags::ACK) && self.snd.syn == Syn::Unacked {
            // The very SYN again: our SYN-ACK was lost, and a bare ACK would mean nothing to SYN-SENT.
            self.recovery.phase = Phase::Loss { recover: self.snd.iss + 1, next: self.snd.iss };
            return Step::Done;
        }
        if len == 0 && !self.throttle.allows(cx) {
            cx.dropped(DropReason::OutOfWindowUnanswered);
            return Step::Done;
        }
        if len > 0 && seg.seq.lt(self.rcv.nxt) && !seg.has(Flags::SYN) {
            self.came_twice(cx, seg.seq, seg.end().min(self.rcv.nxt));
        }
        // What lies before the peer's SYN was never received: it is of another incarnation.
        let old = len > 0 && self.rcv.irs.le(seg.seq) && seg.end().le(self.rcv.nxt);
        if old {
            cx.count(Tally::DelayedAckLost);
        }
        cx.note(TcpEvent::Arrival(match old {
            true => Arrival::Duplicate,
            false => Arrival::Dropped(DropReason::OutOfWindow),
        }));
        self.ack = Ack::Now;
        Step::Done
    }

    #[inline(never)]
    fn check_stamp(&mut self, cx: &mut Context<'_>, seg: &Segment, ts: Timestamps) -> Step {
        if !cx.knobs.missing_timestamps && Timestamps::missing(seg) {
            cx.count(Tally::PawsEstab);
            cx.dropped(DropReason::Paws);
            return Step::Done;
        }
        // RFC 7323 5.3 R1: PAWS comes before everything else and spares RST.
        if !seg.has(Flags::RST) && ts.too_old(seg) {
            cx.count(Tally::PawsEstab);
            cx.dropped(DropReason::Paws);
            self.ack = Ack::Now;
            return Step::Done;
        }
        Step::Next
    }

    /// Second: RST (RFC 9293 with RFC 5961 3.2).
    #[inline(never)]
    fn check_reset(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        // "If the RST bit is set and the sequence number exactly matches the next expected sequence number (RCV.NXT),
        // then TCP endpoints MUST reset the connection"; otherwise, in the window, a challenge ACK.
        if cx.knobs.rst_exact && seg.seq != self.rcv.nxt {
            cx.dropped(DropReason::RstNotExact);
            self.challenge(cx);
            return Step::Done;
        }
        self.reset(cx);
        Step::Done
    }

    /// A RST that counts.
    pub(super) fn reset(&mut self, cx: &mut Context<'_>) {
        let error = match self.state {
            State::SynReceived if cx.knobs.checks == CheckRule::Linux => Some(Errno::ECONNRESET),
            State::SynReceived => Some(Errno::ECONNREFUSED),
            State::CloseWait => Some(cx.knobs.reset_after_fin.0),
            State::Closing | State::LastAck => cx.knobs.reset_after_fin.1,
            _ => Some(Errno::ECONNRESET),
        };
        self.die(cx, error);
    }

    /// Fourth: SYN in a synchronized state is challenged, wherever it lies (RFC 5961 4.2).
    #[inline(never)]
    fn check_syn(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if self.state == State::SynReceived && seg.seq == self.rcv.irs {
            return Step::Next;
        }
        if !cx.knobs.syn_challenged {
            // RFC 793 3.9, fourth: "If the SYN is in the window it is an error, send a reset".
            let reset = Urgently::Reset(self.snd.nxt, Some(self.rcv.nxt));
            self.reset(cx);
            self.urgently = Some(reset);
            return Step::Done;
        }
        self.challenge_syn(cx);
        Step::Done
    }

    /// A SYN where none may be is challenged (RFC 5961 4.2).
    pub(super) fn challenge_syn(&mut self, cx: &mut Context<'_>) {
        cx.dropped(DropReason::SynChallenged);
        if self.state == State::Established {
            cx.count(Tally::InErrs);
        }
        self.challenge(cx);
    }

    /// `from..to` came although it was there: the next acknowledgment says so (`tcp_dsack_set()`).
    pub(super) fn came_twice(&mut self, cx: &mut Context<'_>, from: Seq, to: Seq) {
        if self.sack && cx.knobs.dsack {
            cx.count(if from.lt(self.rcv.nxt) { Tally::DSackOldSent } else { Tally::DSackOfoSent });
        }
        self.sacks.came_twice(from, to);
    }

    /// The same of what joins the queue with the segment at hand (`tcp_dsack_extend()`).
    pub(super) fn came_twice_too(&mut self, cx: &mut Context<'_>, from: Seq, to: Seq) {
        if self.sacks.came_twice_too(from, to) && self.sack && cx.knobs.dsack {
            cx.count(if from.lt(self.rcv.nxt) { Tally::DSackOldSent } else { Tally::DSackOfoSent });
        }
    }

    /// "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>", where the limit allows one more.
    pub(super) fn challenge(&mut self, cx: &mut Context<'_>) {
        if cx.knobs.checks == CheckRule::Bsd {
            self.respond(cx);
        } else if cx.knobs.checks == CheckRule::Linux && !self.throttle.allows(cx) {
            cx.count(Tally::AckSkippedChallenge);
        } else if cx.allow_challenge() {
            cx.count(Tally::ChallengeAck);
            self.ack = Ack::Now;
        }
    }

    /// The segment at hand is answered by a reset, as CLOSED answers it, unless it is one (RFC 9293 3.10.7.1;
    /// `tcp_dropwithreset()` of BSD, `tcp_v4_send_reset()` of Linux).
    pub(super) fn answer_by_reset(&mut self, seg: &Segment) {
        self.urgently = match (seg.has(Flags::RST), seg.has(Flags::ACK)) {
            (true, _) => self.urgently,
            (false, true) => Some(Urgently::Reset(seg.ack, None)),
            (false, false) => Some(Urgently::Refuse(seg.end())),
        };
    }

    /// There is something new to read.
    pub(super) fn readable_now(&mut self) {
        self.events |= Pending::READABLE;
    }
}
