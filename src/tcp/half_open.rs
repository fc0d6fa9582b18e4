use super::handshake::{Agreed, Offer};
use super::timestamps::{self, Timestamps};
use super::{Connection, Context, GiveUp, Ports, Setup, window};
use crate::endpoint::{DropReason, State, TimerChange, TimerKind};
use crate::time::{HostTime, Span};
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
    sack: bool,
    retries: u8,
    due: Due,
    state: State,
    started: HostTime,
    fires: HostTime,
}

const _: () = assert!(size_of::<HalfOpen>() <= 80, "with its index entry a half-open connection takes 96 bytes");

/// What `poll_transmit` gives next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    SynAck,
    Ack,
    /// A reset with this number.
    Reset(Seq),
}

/// What became of a [`HalfOpen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfOpenStep {
    /// It goes on.
    Stay,
    /// The third segment has come: [`HalfOpen::complete`] it with this segment, if there is room.
    Complete,
    /// It is over, without a trace.
    Gone,
}

impl HalfOpen {
    /// LISTEN -> SYN-RECEIVED on the SYN `syn` (RFC 9293 3.10.7.2, third).
    pub fn new(cx: &mut Context<'_>, ports: Ports, syn: &Segment, iss: Seq, setup: &Setup) -> HalfOpen {
        let agreed = Agreed::from_syn(syn, setup, cx.knobs);
        let wait = cx.knobs.synack_give_up.bound(cx.knobs.rto_init, Span::ZERO);
        cx.timer(TimerKind::SynAck, TimerChange::Set(cx.after(wait)));
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
            sack: agreed.sack,
            retries: 0,
            due: Due::SynAck,
            state: State::SynReceived,
            started: cx.now,
            fires: cx.after(wait),
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

    /// SYN-ACKs sent again so far.
    pub fn retries(&self) -> u8 {
        self.retries
    }

    /// Whether a SYN-ACK is due: before anything has come or timed out, the first.
    pub fn is_due(&self) -> bool {
        self.due == Due::SynAck
    }

    /// The next segment to send.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let due = std::mem::replace(&mut self.due, Due::Nothing);
        let mut seg = Segment {
            src_port: self.ports.local,
            dst_port: self.ports.remote,
            seq: self.iss + 1,
            ack: self.irs + 1,
            flags: Flags::ACK,
            window: self.rcv_wnd,
            ..Segment::default()
        };
        match due {
            Due::Nothing => return None,
            Due::Ack => {
                seg.window >>= self.shifts.map_or(0, |(ours, _)| ours);
                if let Some(ts) = self.ts {
                    ts.write(cx.now, &mut seg.options);
                }
            }
            Due::SynAck => {
                let ts = self.ts.map(|ts| (ts.val(cx.now), ts.recent));
                (seg.seq, seg.flags) = (self.iss, Flags::SYN | Flags::ACK);
                let offer = Offer { mss: self.our_mss, ts, shift: self.shifts.map(|(ours, _)| ours), sack: self.sack };
                seg.options = offer.options(cx.knobs.syn_layout);
            }
            Due::Reset(seq) => {
                (seg.seq, seg.ack, seg.flags, seg.window) = (seq, Seq(0), Flags::RST, 0);
            }
        }
        Some(seg)
    }

    /// When [`HalfOpen::on_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<HostTime> {
        (self.state == State::SynReceived).then_some(self.fires)
    }

    /// A segment of this connection has come (RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive open).
    pub fn on_segment(&mut self, cx: &mut Context<'_>, seg: &Segment) -> HalfOpenStep {
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
            self.due = Due::Reset(seg.ack);
            return HalfOpenStep::Stay;
        }
        HalfOpenStep::Complete
    }

    /// SYN-RECEIVED -> ESTABLISHED by `seg`, whose data and FIN the connection takes at once.
    pub fn complete(mut self, cx: &mut Context<'_>, seg: &Segment, setup: &Setup) -> Connection {
        cx.transition(&mut self.state, State::Established, None, None);
        let mut connection = self.connection(cx, setup);
        connection.on_third_segment(cx, seg);
        connection
    }

    /// Teaching, [`super::Handshake::TwoWay`]: ESTABLISHED at once, the SYN-ACK still to be sent.
    pub fn establish(mut self, cx: &mut Context<'_>, setup: &Setup) -> Connection {
        cx.transition(&mut self.state, State::Established, None, None);
        self.connection(cx, setup)
    }

    /// The timer of the SYN-ACK fired.
    pub fn on_timeout(&mut self, cx: &mut Context<'_>) -> HalfOpenStep {
        if cx.now < self.fires || self.state != State::SynReceived {
            return HalfOpenStep::Stay;
        }
        let elapsed = cx.now.since(self.started);
        if cx.knobs.synack_give_up.reached(self.retries, elapsed, cx.knobs.rto_init, cx.knobs) {
            cx.timer(TimerKind::SynAck, fired(self.last_wait(cx), self.retries.saturating_add(1), None));
            return self.gone(cx);
        }
        let last = self.last_wait(cx);
        self.retries = self.retries.saturating_add(1);
        let next = cx.knobs.synack_give_up.bound(self.last_wait(cx), elapsed);
        self.fires = cx.after(next);
        self.due = Due::SynAck;
        cx.timer(TimerKind::SynAck, fired(last, self.retries, Some(next)));
        HalfOpenStep::Stay
    }

    /// First: the sequence number. Timestamps too old count as outside.
    fn check_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Option<HalfOpenStep> {
        let (nxt, wnd) = (self.irs + 1, u32::from(self.rcv_wnd).max(1));
        let last = seg.seq + seg.seq_len().saturating_sub(1);
        let old = !seg.has(Flags::RST) && self.ts.is_some_and(|ts| ts.too_old(seg));
        if !old && (seg.seq.within(nxt, wnd) || last.within(nxt, wnd)) {
            return None;
        }
        cx.dropped(if old { DropReason::Paws } else { DropReason::OutOfWindow });
        if !seg.has(Flags::RST) {
            self.challenge(cx);
        }
        Some(HalfOpenStep::Stay)
    }

    fn challenge(&mut self, cx: &mut Context<'_>) {
        if cx.allow_challenge() {
            self.due = Due::Ack;
        }
    }

    fn gone(&mut self, cx: &mut Context<'_>) -> HalfOpenStep {
        cx.transition(&mut self.state, State::Closed, None, None);
        HalfOpenStep::Gone
    }

    /// The wait that `retries` retransmissions have backed off to.
    fn last_wait(&self, cx: &Context<'_>) -> Span {
        let factor = 1u64.checked_shl(u32::from(self.retries)).unwrap_or(u64::MAX);
        (cx.knobs.rto_init * factor).min(cx.knobs.rto_max)
    }

    fn connection(self, cx: &mut Context<'_>, setup: &Setup) -> Connection {
        let agreed = Agreed { mss: self.mss, shifts: self.shifts, ts: self.ts, sack: self.sack };
        let mut connection = Connection::passive(cx, self.ports, (self.iss, self.irs), agreed, setup);
        let windows = (self.snd_wnd, self.rcv_wnd);
        connection.synchronized_by(cx, windows, self.started, self.retries, self.due == Due::SynAck);
        connection
    }
}

fn fired(after: Span, count: u8, next: Option<Span>) -> TimerChange {
    TimerChange::Fired { after, count: u32::from(count), next }
}

impl HalfOpen {
    /// A half-open connection that was never stored: what a SYN cookie in the third segment remembers of its SYN.
    ///
    /// `mss` is the peer's as the cookie kept it; `seg` is the third segment.
    pub fn from_cookie(cx: &Context<'_>, ports: Ports, seg: &Segment, mss: u16, setup: &Setup) -> HalfOpen {
        let ts = seg.options.timestamps().filter(|_| cx.knobs.timestamps);
        HalfOpen {
            ports,
            iss: seg.ack - 1,
            irs: seg.seq - 1,
            snd_wnd: seg.window,
            rcv_wnd: window::initial(setup, cx.knobs, ts.is_some()),
            our_mss: setup.mss,
            mss: mss.min(setup.mss).max(1),
            shifts: None,
            ts: ts.map(|(recent, ecr)| Timestamps { offset: ecr.wrapping_sub(timestamps::clock(cx.now)), recent }),
            sack: false,
            retries: 0,
            due: Due::Nothing,
            state: State::SynReceived,
            started: cx.now,
            fires: cx.now + GiveUp::After(cx.knobs.rto_max).bound(cx.knobs.rto_init, Span::ZERO),
        }
    }
}
