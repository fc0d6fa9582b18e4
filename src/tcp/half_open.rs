use super::connection::EarlySyns;
use super::handshake::{Agreed, Offer};
use super::timestamps::{self, Timestamps};
use super::{Connection, Context, FastOpenCookie, GiveUp, Kept, Ports, Setup, SynReceivedRule, Tally, window};
use crate::endpoint::{DropReason, State, TimerChange, TimerKind};
use crate::time::{HostTime, Span, ms};
use crate::wire::{Flags, Segment, Seq};

/// SYN-RECEIVED of a passive open: what a listener remembers of a SYN, and nothing more.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    ports: Ports,
    iss: Seq,
    irs: Seq,
    /// The peer's window, unscaled.
    snd_wnd: u16,
    /// Ours, as announced.
    rcv_wnd: u16,
    /// Announced to the peer.
    our_mss: u16,
    /// Of the peer, bounded by ours.
    mss: u16,
    shifts: Option<(u8, u8)>,
    ts: Option<Timestamps>,
    marks: Marks,
    retries: u8,
    timeouts: u8,
    due: Due,
    state: State,
    started: HostTime,
    fires: HostTime,
    /// TSval of the last SYN-ACK.
    last_val: u32,
    /// The millisecond of the clock after that in which an empty segment outside the window was last answered; 0:
    /// never.
    answered: u32,
}

bitflags::bitflags! {
    /// What else is known.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Marks: u8 {
        /// Both ends permit selective acknowledgments.
        const SACK = 1;
        /// A third segment has come that was not enough, or found no room.
        const ACKED = 2;
        /// It was never stored: its SYN-ACK was a cookie.
        const COOKIE = 4;
        /// Both ends know ECN (RFC 3168 6.1.1).
        const ECN = 8;
        /// Its timer has fired.
        const AGED = 16;
        /// An ICMP error has come.
        const UNREACHABLE = 32;
    }
}

/// What the listener wants of its half-open connections at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// How many timeouts a third segment without data is not enough for (`TCP_DEFER_ACCEPT`).
    pub defer: u8,
    /// The most retransmissions of a SYN-ACK, in place of the knob's.
    pub retries: Option<u8>,
}

const _: () = assert!(size_of::<HalfOpen>() <= 64, "with its index entry a half-open connection takes 96 bytes");

/// What `poll_transmit` gives next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    SynAck,
    Ack,
}

/// What became of a [`HalfOpen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfOpenStep {
    /// It goes on.
    Stay,
    /// The third segment has come: [`HalfOpen::complete`] it with this segment, if there is room.
    Complete,
    /// The segment is not for it: the listener takes it, and it goes on.
    Listener,
    /// The segment is answered as CLOSED answers it ([`super::reset_for`]), and it goes on.
    Refuse,
    /// It is over, without a trace.
    Gone,
    /// It is over, and the segment is answered as CLOSED answers it.
    GoneRefused,
}

impl HalfOpen {
    /// LISTEN -> SYN-RECEIVED on the SYN `syn` (RFC 9293 3.10.7.2, third).
    pub fn new(cx: &mut Context<'_>, ports: Ports, syn: &Segment, iss: Seq, setup: &Setup) -> HalfOpen {
        let half = HalfOpen::of(cx, ports, syn, iss, setup);
        cx.timer(TimerKind::SynAck, TimerChange::Set(half.fires));
        half
    }

    /// The same where `syn` brings a Fast Open cookie (RFC 7413 4.2.2), or needs none: a connection in SYN-RECEIVED that
    /// has the data of the SYN. `cookie`: a new one for the peer.
    pub fn fast_open(
        cx: &mut Context<'_>,
        ports: Ports,
        syn: &Segment,
        iss: Seq,
        cookie: Option<FastOpenCookie>,
        setup: &Setup,
    ) -> Box<Connection> {
        let half = HalfOpen::of(cx, ports, syn, iss, setup);
        let windows = (half.snd_wnd, half.rcv_wnd);
        let syns = EarlySyns { numbers: (iss, syn.seq), agreed: half.agreed(), windows, syn, cookie };
        Connection::early(cx, ports, syns, setup)
    }

    fn of(cx: &Context<'_>, ports: Ports, syn: &Segment, iss: Seq, setup: &Setup) -> HalfOpen {
        let agreed = Agreed::from_syn(syn, setup, cx.knobs);
        let mut marks = Marks::empty();
        marks.set(Marks::SACK, agreed.sack);
        marks.set(Marks::ECN, agreed.ecn);
        let wait = cx.knobs.synack_give_up.bound(cx.knobs.rto_init, Span::ZERO);
        HalfOpen {
            ports,
            iss,
            irs: syn.seq,
            snd_wnd: syn.window,
            rcv_wnd: window::initial(setup, cx.knobs, agreed.ts.is_some()),
            our_mss: setup.mss,
            mss: agreed.mss,
            shifts: agreed.shifts,
            ts: agreed.ts,
            marks,
            retries: 0,
            timeouts: 0,
            due: Due::SynAck,
            state: State::SynReceived,
            started: cx.now,
            fires: cx.after(wait),
            last_val: 0,
            answered: 0,
        }
    }

    /// Always SYN-RECEIVED, until it is over.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// ISS.
    pub fn iss(&self) -> Seq {
        self.iss
    }

    /// IRS.
    pub fn irs(&self) -> Seq {
        self.irs
    }

    /// Whether a SYN-ACK is due: before anything has come or timed out, the first.
    pub fn is_due(&self) -> bool {
        self.due == Due::SynAck
    }

    /// Whether its timer has never fired.
    pub fn is_young(&self) -> bool {
        !self.marks.contains(Marks::AGED)
    }

    /// The next segment to send.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        match std::mem::replace(&mut self.due, Due::Nothing) {
            Due::Nothing => None,
            due => Some(self.segment(cx, due == Due::SynAck)),
        }
    }

    /// The SYN-ACK, or an acknowledgment.
    #[inline(never)]
    fn segment(&mut self, cx: &Context<'_>, is_syn_ack: bool) -> Segment {
        let mut seg = Segment {
            src_port: self.ports.local,
            dst_port: self.ports.remote,
            seq: self.iss + 1,
            ack: self.irs + 1,
            flags: Flags::ACK,
            window: self.rcv_wnd,
            ..Segment::default()
        };
        let shift = self.shifts.map(|(ours, _)| ours);
        if is_syn_ack {
            let ts = self.ts.map(|ts| (ts.val(cx.now), ts.recent));
            self.last_val = ts.map_or(0, |(val, _)| val);
            (seg.seq, seg.flags) = (self.iss, Flags::SYN | Flags::ACK);
            seg.flags.set(Flags::ECE, self.marks.contains(Marks::ECN));
            let offer = Offer { mss: self.our_mss, ts, shift, sack: self.marks.contains(Marks::SACK) };
            seg.options = offer.options(cx.knobs.syn_layout);
        } else {
            seg.window >>= shift.unwrap_or(0);
            if let Some(ts) = self.ts {
                ts.write(cx.now, &mut seg.options);
            }
        }
        seg
    }

    /// When [`HalfOpen::on_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<HostTime> {
        (self.state == State::SynReceived).then_some(self.fires)
    }

    /// A segment of this connection has come.
    pub fn on_segment(&mut self, cx: &mut Context<'_>, seg: &Segment, demands: Demands) -> HalfOpenStep {
        match cx.knobs.syn_received {
            SynReceivedRule::Rfc9293 => self.take(cx, seg),
            SynReceivedRule::Linux => self.take_as_linux(cx, seg, demands),
            SynReceivedRule::Bsd => self.take_as_bsd(cx, seg),
        }
    }

    /// RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive open.
    fn take(&mut self, cx: &mut Context<'_>, seg: &Segment) -> HalfOpenStep {
        // The very SYN again: our SYN-ACK was lost, and a bare ACK would mean nothing to SYN-SENT.
        if seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN && seg.seq == self.irs {
            self.due = Due::SynAck;
            return HalfOpenStep::Stay;
        }
        if let Some(step) = self.check_sequence(cx, seg) {
            return step;
        }
        // Second and fourth: RST, and SYN in the window, return a passive open to LISTEN.
        if seg.has(Flags::RST) {
            if cx.knobs.rst_exact && seg.seq != self.irs + 1 {
                cx.dropped(DropReason::RstNotExact);
                self.challenge(cx);
                return HalfOpenStep::Stay;
            }
            return self.gone(cx);
        }
        if seg.has(Flags::SYN) {
            return self.gone(cx);
        }
        // Fifth: "if the ACK bit is off, drop the segment"; "If the segment acknowledgment is not acceptable, form a
        // reset segment <SEQ=SEG.ACK><CTL=RST>".
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return HalfOpenStep::Stay;
        }
        if seg.ack != self.iss + 1 {
            cx.dropped(DropReason::AckUnsent);
            return HalfOpenStep::Refuse;
        }
        HalfOpenStep::Complete
    }

    /// SYN-RECEIVED -> ESTABLISHED by `seg`, whose data and FIN the connection takes at once.
    pub fn complete(mut self, cx: &mut Context<'_>, seg: &Segment, setup: &Setup) -> Box<Connection> {
        cx.transition(&mut self.state, State::Established, None, None);
        let mut connection = self.connection(cx, setup);
        connection.on_third_segment(cx, seg);
        connection
    }

    /// Teaching, [`super::Handshake::TwoWay`]: ESTABLISHED at once, the SYN-ACK still to be sent.
    pub fn establish(mut self, cx: &mut Context<'_>, setup: &Setup) -> Box<Connection> {
        cx.transition(&mut self.state, State::Established, None, None);
        self.connection(cx, setup)
    }

    /// A third segment has come, and there was no room for the connection.
    pub fn found_no_room(&mut self) {
        self.marks |= Marks::ACKED;
    }

    /// An ICMP error about the SYN-ACK has come; whether that is the end of it: "If we've retransmitted 3 times and this
    /// is our second error, we remove the entry" (`syncache_unreach()` of BSD).
    pub fn on_unreachable(&mut self) -> bool {
        let again = self.marks.contains(Marks::UNREACHABLE);
        self.marks |= Marks::UNREACHABLE;
        again && self.retries >= 3
    }

    /// The timer of the SYN-ACK fired.
    pub fn on_timeout(&mut self, cx: &mut Context<'_>, demands: Demands) -> HalfOpenStep {
        if cx.now < self.fires || self.state != State::SynReceived {
            return HalfOpenStep::Stay;
        }
        // tcp_syn_ack_timeout()
        cx.count(Tally::Timeouts);
        let elapsed = cx.now.since(self.started);
        let (last, count) = (self.last_wait(cx), self.timeouts.saturating_add(1));
        if self.is_given_up(cx, elapsed, demands) {
            cx.timer(TimerKind::SynAck, fired(last, count, None));
            return self.gone(cx);
        }
        // After a third segment that was not enough, only the last timeout of the delay asks for another one.
        let acked = self.marks.contains(Marks::ACKED);
        if !acked || self.timeouts.saturating_add(1) >= demands.defer {
            self.retries = self.retries.saturating_add(1);
            self.due = Due::SynAck;
        }
        self.timeouts = count;
        self.marks |= Marks::AGED;
        let next = cx.knobs.synack_give_up.bound(self.last_wait(cx), elapsed);
        self.fires = cx.after(next);
        cx.timer(TimerKind::SynAck, fired(last, count, Some(next)));
        HalfOpenStep::Stay
    }

    /// `syn_ack_recalc()` in inet_connection_sock.c, where anything is demanded.
    fn is_given_up(&self, cx: &Context<'_>, elapsed: Span, demands: Demands) -> bool {
        let most = demands.retries.map_or(cx.knobs.synack_give_up, GiveUp::Retries);
        let deferred = self.marks.contains(Marks::ACKED) && self.timeouts < demands.defer;
        !deferred && most.reached(self.timeouts, elapsed, cx.knobs.rto_init, cx.knobs)
    }

    /// First: the sequence number. Timestamps too old count as outside.
    fn check_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Option<HalfOpenStep> {
        let (nxt, wnd) = (self.irs + 1, u32::from(self.rcv_wnd).max(1));
        let last = seg.seq + seg.seq_len().saturating_sub(1);
        let old = !seg.has(Flags::RST) && self.ts.is_some_and(|ts| ts.too_old(seg));
        if !old && (seg.seq.within(nxt, wnd) || last.within(nxt, wnd)) {
            return None;
        }
        if old {
            cx.count(Tally::PawsEstab);
        }
        cx.dropped(if old { DropReason::Paws } else { DropReason::OutOfWindow });
        if !seg.has(Flags::RST) {
            self.challenge(cx);
        }
        Some(HalfOpenStep::Stay)
    }

    /// `tcp_check_req()` in tcp_minisocks.c.
    fn take_as_linux(&mut self, cx: &mut Context<'_>, seg: &Segment, demands: Demands) -> HalfOpenStep {
        let nxt = self.irs + 1;
        let paws = self.ts.is_some_and(|ts| ts.recent != 0 && ts.too_old(seg));
        if seg.seq == self.irs && seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN && !paws {
            self.repeat(cx);
            return HalfOpenStep::Stay;
        }
        // "ACK sequence check": what acknowledges something else is no business of this connection.
        if seg.has(Flags::ACK) && !seg.has(Flags::RST) && seg.ack != self.iss + 1 {
            return HalfOpenStep::Listener;
        }
        if let Some(reason) = self.outside(seg, paws) {
            // What occupies sequence numbers may be a retransmission, and is answered always.
            let loud = seg.seq_len() > 0 && !seg.has(Flags::SYN);
            match reason {
                DropReason::Paws if paws => cx.count(Tally::PawsEstab),
                DropReason::Paws => cx.count(Tally::TsEcrRejected),
                _ => {}
            }
            if seg.has(Flags::RST) {
                cx.dropped(reason);
            } else if loud || self.may_answer(cx) {
                self.due = Due::Ack;
                cx.dropped(reason);
            } else if reason == DropReason::Paws {
                cx.count(Tally::AckSkippedSynRecv);
                cx.dropped(reason);
            } else {
                cx.dropped(DropReason::OutOfWindowUnanswered);
            }
            return HalfOpenStep::Stay;
        }
        if seg.has(Flags::RST) {
            if seg.seq == nxt {
                return self.gone(cx);
            }
            cx.dropped(DropReason::RstNotExact);
            self.challenge_as_linux(cx);
            return HalfOpenStep::Stay;
        }
        // A SYN with the first number lies before the window, and only what comes after it counts.
        if seg.has(Flags::SYN) && seg.seq != self.irs {
            self.gone(cx);
            return HalfOpenStep::GoneRefused;
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return HalfOpenStep::Stay;
        }
        if self.timeouts < demands.defer && seg.end() == nxt {
            self.marks |= Marks::ACKED;
            cx.dropped(DropReason::Deferred);
            return HalfOpenStep::Stay;
        }
        HalfOpenStep::Complete
    }

    /// What `tcp_input()` of BSD has the syncache make of a segment for its listener.
    fn take_as_bsd(&mut self, cx: &mut Context<'_>, seg: &Segment) -> HalfOpenStep {
        let inside = seg.seq.within(self.irs + 1, u32::from(self.rcv_wnd));
        if seg.has(Flags::RST) {
            // syncache_chkrst()
            if !inside {
                cx.dropped(DropReason::RstIgnored);
            } else if cx.knobs.rst_exact && seg.seq != self.irs + 1 {
                cx.dropped(DropReason::RstNotExact);
                self.challenge(cx);
            } else {
                return self.gone(cx);
            }
            return HalfOpenStep::Stay;
        }
        match (seg.has(Flags::SYN), seg.has(Flags::ACK)) {
            (false, false) => {
                cx.dropped(DropReason::NoAck);
                HalfOpenStep::Stay
            }
            (true, false) => {
                self.start_anew(cx, seg);
                HalfOpenStep::Stay
            }
            // syncache_badack()
            (true, true) => {
                cx.dropped(DropReason::NoMeaning);
                self.gone(cx);
                HalfOpenStep::GoneRefused
            }
            (false, true) => self.expand(cx, seg, inside),
        }
    }

    /// `syncache_add()` where there is an entry: "We do not check the sequence number to see if this is a real retransmit or
    /// a new connection attempt."
    fn start_anew(&mut self, cx: &mut Context<'_>, syn: &Segment) {
        self.ts = match (self.ts, syn.options.timestamps()) {
            (Some(ts), Some((recent, _))) => Some(Timestamps { recent, ..ts }),
            _ => None,
        };
        self.due = Due::SynAck;
        (self.timeouts, self.retries, self.started) = (0, 0, cx.now);
        let wait = self.last_wait(cx);
        self.fires = cx.after(wait);
        cx.timer(TimerKind::SynAck, TimerChange::Set(self.fires));
    }

    /// `syncache_expand()`: what does not open the connection ends it, but for what its timestamp tells apart.
    fn expand(&mut self, cx: &mut Context<'_>, seg: &Segment, inside: bool) -> HalfOpenStep {
        let missing = !cx.knobs.missing_timestamps && Timestamps::missing(seg);
        if self.ts.is_some_and(|ts| ts.too_old(seg) || missing) {
            cx.dropped(DropReason::Paws);
            return HalfOpenStep::Stay;
        }
        if seg.ack == self.iss + 1 && inside {
            return HalfOpenStep::Complete;
        }
        cx.dropped(if inside { DropReason::AckUnsent } else { DropReason::OutOfWindow });
        self.gone(cx);
        HalfOpenStep::GoneRefused
    }

    /// Whether one more empty segment outside the window is answered; counts it if so (`tcp_oow_rate_limited()`).
    fn may_answer(&mut self, cx: &Context<'_>) -> bool {
        let next = timestamps::clock(cx.now).wrapping_add(1);
        let since = ms(u64::from(next.wrapping_sub(self.answered)));
        let allowed = self.answered == 0 || since >= cx.knobs.empty_answers;
        if allowed {
            self.answered = next;
        }
        allowed
    }

    /// The SYN has come once more: so goes the SYN-ACK, and its timer starts anew.
    fn repeat(&mut self, cx: &mut Context<'_>) {
        if !self.may_answer(cx) {
            return cx.dropped(DropReason::OutOfWindowUnanswered);
        }
        self.due = Due::SynAck;
        self.retries = self.retries.saturating_add(1);
        let wait = self.last_wait(cx);
        self.fires = cx.after(wait);
        cx.timer(TimerKind::SynAck, TimerChange::Set(self.fires));
    }

    /// Why `seg` is not believed: its timestamp is too old or echoes none of ours, or it lies outside the window.
    fn outside(&self, seg: &Segment, paws: bool) -> Option<DropReason> {
        let (nxt, end) = (self.irs + 1, seg.end());
        let edge = nxt + u32::from(self.rcv_wnd);
        let first = self.ts.map_or(0, |ts| ts.val(self.started));
        let echo = seg.options.timestamps().map_or(0, |(_, ecr)| ecr);
        // Between those of the first and the last SYN-ACK.
        let echoed = self.ts.is_none() || echo == 0 || echo.wrapping_sub(first) <= self.last_val.wrapping_sub(first);
        let inside = seg.seq == nxt || (end.gt(nxt) && seg.seq.lt(edge)) || (seg.seq == edge && end == edge);
        match (paws, echoed, inside) {
            (true, ..) | (_, false, _) => Some(DropReason::Paws),
            (.., false) => Some(DropReason::OutOfWindow),
            _ => None,
        }
    }

    fn challenge(&mut self, cx: &mut Context<'_>) {
        if cx.allow_challenge() {
            self.due = Due::Ack;
        }
    }

    /// `tcp_reqsk_send_challenge_ack()`: limited as every answer is, whatever the segment has.
    fn challenge_as_linux(&mut self, cx: &mut Context<'_>) {
        if !self.may_answer(cx) {
            cx.count(Tally::AckSkippedChallenge);
        } else if cx.allow_challenge() {
            cx.count(Tally::ChallengeAck);
            self.due = Due::Ack;
        }
    }

    fn gone(&mut self, cx: &mut Context<'_>) -> HalfOpenStep {
        cx.transition(&mut self.state, State::Closed, None, None);
        HalfOpenStep::Gone
    }

    /// The wait that the timeouts so far have backed off to.
    fn last_wait(&self, cx: &Context<'_>) -> Span {
        let factor = 1u64.checked_shl(u32::from(self.timeouts)).unwrap_or(u64::MAX);
        let slop = if self.timeouts == 0 { Span::ZERO } else { cx.knobs.rto_slop };
        (cx.knobs.rto_init * factor + slop).min(cx.knobs.rto_max)
    }

    fn agreed(&self) -> Agreed {
        Agreed {
            mss: self.mss,
            shifts: self.shifts,
            ts: self.ts,
            sack: self.marks.contains(Marks::SACK),
            ecn: self.marks.contains(Marks::ECN),
        }
    }

    fn connection(self, cx: &mut Context<'_>, setup: &Setup) -> Box<Connection> {
        let mut connection = Connection::passive(cx, self.ports, (self.iss, self.irs), self.agreed(), setup);
        let windows = (self.snd_wnd, self.rcv_wnd);
        // Nothing remembers when a cookie was sent.
        let started = Some(self.started).filter(|_| self.retries == 0 && !self.marks.contains(Marks::COOKIE));
        connection.synchronized_by(cx, windows, started, self.retries, self.due == Due::SynAck);
        connection
    }
}

fn fired(after: Span, count: u8, next: Option<Span>) -> TimerChange {
    TimerChange::Fired { after, count: u32::from(count), next }
}

impl HalfOpen {
    /// A half-open connection that was never stored: what a SYN cookie in the third segment remembers of its SYN.
    /// `seg` is that segment.
    pub fn from_cookie(cx: &Context<'_>, ports: Ports, seg: &Segment, kept: &Kept, setup: &Setup) -> HalfOpen {
        let ts = seg.options.timestamps();
        let mut marks = Marks::COOKIE;
        marks.set(Marks::SACK, kept.sack);
        marks.set(Marks::ECN, kept.ecn);
        // Its window is counted in segments of the size that the cookie kept (`cookie_v4_check()`).
        let offered = Setup { mss: kept.mss, ..setup.clone() };
        let shifts = kept.peer_shift.map(|theirs| (setup.window_shift, theirs));
        HalfOpen {
            ports,
            iss: seg.ack - 1,
            irs: seg.seq - 1,
            snd_wnd: seg.window,
            rcv_wnd: window::initial(&offered, cx.knobs, false),
            our_mss: setup.mss,
            mss: kept.mss.min(setup.mss).max(1),
            shifts,
            ts: ts.map(|(recent, _)| Timestamps { offset: setup.ts_offset, recent }),
            marks,
            retries: 0,
            timeouts: 0,
            due: Due::Nothing,
            state: State::SynReceived,
            started: cx.now,
            fires: cx.now + GiveUp::After(cx.knobs.rto_max).bound(cx.knobs.rto_init, Span::ZERO),
            last_val: 0,
            answered: 0,
        }
    }
}
