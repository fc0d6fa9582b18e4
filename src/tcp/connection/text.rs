//! The sixth to eighth step: urgent pointer, text, FIN (RFC 9293 3.10.7.4).

use super::segment::Step;
use super::{Ack, Connection, Pending};
use crate::endpoint::{Arrival, DropReason, Errno, State};
use crate::tcp::acks::Reply;
use crate::tcp::rcv::{Reader, Taken};
use crate::tcp::timers::Timer;
use crate::tcp::urgent::Urgent;
use crate::tcp::{AckRule, CheckRule, ClosingRule, Context, Tally, TcpEvent};
use crate::time::Span;
use crate::wire::{Flags, Segment, Seq};

impl Connection {
    /// Sixth: "If the URG bit is set, RCV.UP <- max(RCV.UP,SEG.UP), and signal the user that the remote side has
    /// urgent data".
    #[inline(never)]
    pub(super) fn process_urgent(&mut self, cx: &Context<'_>, seg: &Segment) {
        let receives = matches!(self.state, State::Established | State::FinWait1 | State::FinWait2);
        let linux = cx.knobs.checks == CheckRule::Linux;
        if !receives || (seg.urgent == 0 && !linux) {
            return;
        }
        // tcp_check_urg(): a pointer of 0 names the first byte, as one of 1 does.
        let up = seg.seq + u32::from(seg.urgent.max(1));
        let read = self.rcv.read_seq();
        // The same: "Do not replay urg ptr".
        if linux && up.le(self.rcv.nxt) {
            return;
        }
        if Urgent::note(&mut self.rcv.urgent, up, read) {
            self.events |= Pending::URGENT;
        }
    }

    /// Seventh: the text, and where the FIN lies.
    pub(super) fn process_text(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            // "This should not occur since a FIN has been received from the remote side. Ignore the segment text."
            if seg.end().gt(self.rcv.nxt) {
                cx.dropped(DropReason::DataAfterClose);
            }
            return Step::Next;
        }
        let len = seg.payload.len();
        let new_data = len > 0 && (seg.seq + len).gt(self.rcv.nxt);
        let lost = new_data || (cx.knobs.closing == ClosingRule::Linux && self.brings_more(seg));
        if lost && self.refuses_text(cx, seg) {
            return Step::Done;
        }
        if new_data && cx.limits.starved.is_some() && self.lacks_memory(cx, seg) {
            return Step::Done;
        }
        let (fin, edge) = (seg.seq + len, self.taking_edge(cx));
        let (had_gap, had_fin) = (self.rcv.has_gap(), self.rcv.fin.is_some());
        if seg.has(Flags::FIN) && fin.ge(self.rcv.nxt) && fin.le(edge) {
            self.rcv.fin.get_or_insert(fin);
        }
        if len == 0 {
            if self.rcv.has_gap() {
                self.rcv.out_of_order += 1;
                self.note_run(cx, (fin, fin + 1));
                if had_fin && cx.knobs.checks == CheckRule::Bsd && !self.may_repeat(cx, seg) {
                    cx.note(TcpEvent::Arrival(Arrival::Duplicate));
                } else {
                    cx.note(TcpEvent::Arrival(Arrival::OutOfOrder));
                    self.ack = Ack::Now;
                }
            }
            return Step::Next;
        }
        self.take_text(cx, seg, edge, had_gap);
        Step::Next
    }

    /// As far as text and FIN are taken: BSD takes what it has room for, though silly-window avoidance has not told so.
    fn taking_edge(&self, cx: &Context<'_>) -> Seq {
        if cx.knobs.checks == CheckRule::Bsd { self.rcv.space_edge() } else { self.rcv.edge }
    }

    /// Takes what is new of the text up to `edge`, and decides how it is acknowledged.
    fn take_text(&mut self, cx: &mut Context<'_>, seg: &Segment, edge: Seq, had_gap: bool) {
        let (len, before) = (seg.payload.len(), self.rcv.nxt);
        let offered = self.rcv.edge.since(self.rcv.last_ack);
        let had = self.rcv.overlap(seg.seq.max(before), seg.seq + len);
        if self.rcv.space.is_some() {
            self.measure_echo(cx, seg);
        }
        let taken = self.rcv.take(seg.seq, &seg.payload, edge);
        if cx.knobs.acks == AckRule::Linux {
            self.pace_acks(cx, (taken, seg.seq.ge(before)), len, offered);
        }
        if seg.seq.lt(before) {
            self.came_twice(cx, seg.seq, seg.end().min(before));
        }
        match taken {
            Taken::InOrder { filled } => {
                self.sacks.advance(self.rcv.nxt);
                match (had, cx.knobs.acks) {
                    // tcp_update_dsack_list()
                    (Some((from, to)), AckRule::Bsd) if seg.seq == before => self.sacks.came_twice(from, to),
                    // tcp_ofo_queue()
                    (Some((from, to)), AckRule::Linux) => self.came_twice_too(cx, from, to),
                    _ => {}
                }
                self.readable_now();
                if let Some(space) = &mut self.rcv.space {
                    space.data_came(cx.now, self.rcv.nxt, self.rcv.nxt + offered);
                }
                // DELAY_ACK(): nor is what comes after a window of 0 held back (TF_RXWIN0SENT).
                let told_zero = cx.knobs.acks == AckRule::Bsd && offered == 0;
                // RFC 5681 4.2: at once when a gap is filled in part or whole.
                if filled || had_gap || self.rcv.has_gap() || told_zero {
                    self.ack = Ack::Now;
                } else {
                    self.delay_ack(cx, len);
                }
            }
            Taken::Ahead => self.note_ahead(cx, seg, had),
            Taken::Nothing => self.note_duplicate(cx, seg),
        }
    }

    /// RFC 5681 4.2: "A TCP receiver SHOULD send an immediate duplicate ACK when an out-of-order segment arrives."
    #[inline(never)]
    fn note_ahead(&mut self, cx: &mut Context<'_>, seg: &Segment, had: Option<(Seq, Seq)>) {
        cx.note(TcpEvent::Arrival(Arrival::OutOfOrder));
        if let Some((from, to)) = had {
            self.came_twice(cx, from, to);
        }
        self.rcv.out_of_order += 1;
        let run = (seg.seq.max(self.rcv.nxt), seg.end());
        self.release_compressed(cx, run);
        self.note_run(cx, run);
        self.ack_out_of_order(cx);
    }

    /// `tcp_sack_new_ofo_skb()`: acknowledgments that wait for one another go before `run` pushes what they tell out of the
    /// two first places (`TCP_SACK_BLOCKS_EXPECTED`).
    fn release_compressed(&mut self, cx: &mut Context<'_>, run: (Seq, Seq)) {
        if !self.pace.is_compressing() || self.sacks.place_of(run) < 2 {
            return;
        }
        self.pace.release();
        let ack = self.acknowledge(cx);
        if let Some(sender) = &mut self.sender {
            sender.outbox.push_back(ack);
        }
    }

    #[inline(never)]
    fn note_duplicate(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        if seg.seq.ge(self.rcv.nxt) {
            cx.note(TcpEvent::Arrival(Arrival::Duplicate));
            self.came_twice(cx, seg.seq, seg.seq + seg.payload.len());
            self.rcv.out_of_order += 1;
            let run = (seg.seq, seg.end());
            self.release_compressed(cx, run);
            self.note_run(cx, run);
            // tcp_data_queue_ofo()
            cx.count(Tally::OfoQueue);
            cx.count(Tally::OfoMerge);
            return self.ack_out_of_order(cx);
        }
        cx.count(Tally::DelayedAckLost);
        cx.note(TcpEvent::Arrival(Arrival::Duplicate));
        self.ack = Ack::Now;
    }

    #[inline(never)]
    fn pace_acks(&mut self, cx: &Context<'_>, (taken, ahead): (Taken, bool), len: u32, offered: u32) {
        match taken {
            // tcp_data_queue_ofo(): what waits there twice is no alarm.
            Taken::Nothing if ahead => self.note_marks(cx, offered),
            Taken::Nothing => self.pace.alarm(offered, self.rcv_mss()),
            Taken::InOrder { .. } | Taken::Ahead => {
                let rto = self.rto.current(cx.knobs);
                self.pace.data_came(cx.now, (len, self.rcv_mss()), offered, rto);
                self.note_marks(cx, offered);
            }
        }
    }

    /// The round trip as the receiver sees it: a full segment echoes our timestamp.
    #[inline(never)]
    fn measure_echo(&mut self, cx: &Context<'_>, seg: &Segment) {
        let full = seg.payload.len() >= self.rcv_mss();
        let rtt = self.echo(cx, seg);
        if let (Some(space), Some(rtt), Some((_, echo))) = (&mut self.rcv.space, rtt, seg.options.timestamps()) {
            space.echoed(echo, Some(rtt).filter(|_| full));
        }
    }

    /// What came out of order is acknowledged, at once or together with what follows it.
    fn ack_out_of_order(&mut self, cx: &mut Context<'_>) {
        let waits = cx.knobs.acks == AckRule::Linux && self.sack && self.ack != Ack::Now;
        if !waits || self.pace.is_quick() || self.setup.quick_ack || self.owes_a_segment() {
            self.ack = Ack::Now;
            return;
        }
        let seen = self.rcv.space.as_ref().and_then(|space| space.rtt()).unwrap_or(Span::ZERO);
        let rtt = self.rto.srtt().map_or(seen, |srtt| srtt.min(seen));
        match self.pace.compress(self.rcv.nxt, cx.knobs.compress_acks, rtt) {
            Reply::Now => self.ack = Ack::Now,
            Reply::After(span) => {
                self.ack = Ack::Delayed(0);
                self.timers.set_exactly(cx, Timer::DelayedAck, span);
            }
            Reply::AsSet => self.ack = Ack::Delayed(0),
        }
    }

    /// What the network has marked is echoed, at once at first (RFC 3168 6.1.3, `__tcp_ecn_check_ce()`).
    fn note_marks(&mut self, cx: &Context<'_>, offered: u32) {
        let rcv_mss = self.rcv_mss();
        if self.sender.as_mut().is_some_and(|sender| sender.ecn.data_came(cx.ecn)) {
            self.pace.hasten(offered, rcv_mss, 2);
        }
    }

    /// What waits ahead has grown by this.
    #[inline(never)]
    fn note_run(&mut self, cx: &Context<'_>, (from, to): (Seq, Seq)) {
        match (cx.knobs.sack_memory, self.rcv.run(from)) {
            (Some(most), _) => self.sacks.came((from, to), most),
            (None, Some(run)) => self.sacks.grew(run),
            (None, None) => {}
        }
    }

    /// There is no memory: whether new data is not taken for that (`tcp_data_queue()`). What waits out of order goes first,
    /// and one segment is taken where the application has nothing to read.
    #[inline(never)]
    fn lacks_memory(&mut self, cx: &mut Context<'_>, seg: &Segment) -> bool {
        let in_order = seg.seq.le(self.rcv.nxt);
        if in_order && self.rcv.rightmost().is_some() {
            cx.count(Tally::OfoPruned);
            self.rcv.prune();
            self.sacks.forget();
            return false;
        }
        if in_order && self.rcv.queue.is_empty() {
            return false;
        }
        cx.count(if in_order { Tally::RcvQDrop } else { Tally::OfoDrop });
        cx.dropped(DropReason::NoMemory);
        self.ack = Ack::Now;
        true
    }

    /// Whether data, or a FIN behind data that has not come, lies beyond what is in order (`tcp_rcv_state_process()`).
    pub(super) fn brings_more(&self, seg: &Segment) -> bool {
        seg.seq_len() > 0 && (seg.end() - u32::from(seg.has(Flags::FIN))).gt(self.rcv.nxt)
    }

    /// Whether nobody takes new data any more, and the peer is told so by RST.
    fn refuses_text(&mut self, cx: &mut Context<'_>, seg: &Segment) -> bool {
        let closed = matches!(self.state, State::FinWait1 | State::FinWait2);
        let error = match self.rcv.reader {
            // 3.6.1: "if new data is received after CLOSE is called, its TCP implementation SHOULD send a RST to show
            // that data was lost."
            Reader::Gone if cx.knobs.reset_unread => None,
            // tcp_rcv_state_process(): "RFC 1122 says we MUST send a reset".
            Reader::Present if closed && self.shut && cx.knobs.reset_shut => Some(Errno::ECONNRESET),
            _ => return false,
        };
        self.refuse_text(cx, seg, error);
        true
    }

    #[inline(never)]
    fn refuse_text(&mut self, cx: &mut Context<'_>, seg: &Segment, error: Option<Errno>) {
        cx.dropped(DropReason::DataAfterClose);
        cx.count(Tally::AbortOnData);
        self.die(cx, error);
        self.answer_by_reset(seg);
    }

    /// Eighth: the FIN, once everything before it has come.
    pub(super) fn process_fin(&mut self, cx: &mut Context<'_>) {
        if self.rcv.fin_is_next() {
            self.take_fin(cx);
        }
    }

    #[inline(never)]
    fn take_fin(&mut self, cx: &mut Context<'_>) {
        // "advance RCV.NXT over the FIN, and send an acknowledgment for the FIN".
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.max(self.rcv.nxt);
        self.sacks.advance(self.rcv.nxt);
        let closes_first = matches!(self.state, State::SynReceived | State::Established);
        if cx.knobs.acks == AckRule::Linux && closes_first && self.ack != Ack::Now {
            // tcp_fin(): the application is expected to close too.
            self.pace.set_interactive(true);
            self.delay_ack(cx, 0);
        } else {
            self.ack = Ack::Now;
        }
        self.events |= Pending::PEER_CLOSED | Pending::READABLE;
        match self.state {
            State::SynReceived | State::Established => cx.transition(&mut self.state, State::CloseWait, None, None),
            // "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT".
            State::FinWait1 if !self.snd.fin_acked() => cx.transition(&mut self.state, State::Closing, None, None),
            State::FinWait1 | State::FinWait2 => self.enter_time_wait(cx),
            _ => debug_assert!(false, "a FIN is consumed once"),
        }
    }
}
