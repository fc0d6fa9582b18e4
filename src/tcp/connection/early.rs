//! The connection of a listener that is there before its handshake is over: its SYN brought a Fast Open cookie
//! (RFC 7413 4.2.2; `tcp_fastopen_create_child()`, `tcp_check_req()`, `tcp_fastopen_synack_timer()`).

use super::Connection;
use super::fast_open::Fast;
use super::segment::Step;
use crate::endpoint::{DropReason, Errno, State};
use crate::tcp::handshake::{Agreed, Offer};
use crate::tcp::timers::Timer;
use crate::tcp::{Context, FastOpenCookie, GiveUp, Ports, Setup, Tally};
use crate::time::HostTime;
use crate::wire::{Flags, Segment, Seq};

/// What is known of a handshake whose third segment has not come. SND.UNA is behind our SYN all the same, so that data can
/// be in flight; the SYN-ACK has its own timer until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    /// Whether the SYN-ACK is to be sent.
    due: bool,
    /// What it acknowledges.
    ack: Seq,
    /// Our window, as announced.
    window: u16,
    shift: Option<u8>,
    /// A new cookie for the peer, which the first SYN-ACK carries.
    cookie: Option<FastOpenCookie>,
    /// When the SYN-ACK left, and how often.
    sent: (HostTime, u8),
    timeouts: u8,
    /// Whether the SYN had data.
    pub(super) data: bool,
    /// Whether the application has it.
    is_accepted: bool,
}

/// The two SYNs of such a connection.
pub(in crate::tcp) struct EarlySyns<'a> {
    /// ISS and IRS.
    pub(in crate::tcp) numbers: (Seq, Seq),
    /// What they agree on.
    pub(in crate::tcp) agreed: Agreed,
    /// The peer's window and ours.
    pub(in crate::tcp) windows: (u16, u16),
    /// The peer's.
    pub(in crate::tcp) syn: &'a Segment,
    /// What ours brings it.
    pub(in crate::tcp) cookie: Option<FastOpenCookie>,
}

impl Connection {
    /// SYN-RECEIVED with all that the SYN has brought; only [`HalfOpen`](super::super::HalfOpen) makes these.
    pub(in crate::tcp) fn early(
        cx: &mut Context<'_>,
        ports: Ports,
        syns: EarlySyns<'_>,
        setup: &Setup,
    ) -> Box<Connection> {
        let EarlySyns { numbers: (iss, irs), agreed, windows: (snd_wnd, rcv_wnd), syn, cookie } = syns;
        let mut connection = Connection::blank(cx, State::SynReceived, ports, iss, setup);
        connection.rcv.synchronize(irs);
        connection.agree(cx, agreed);
        connection.open_window(cx, rcv_wnd);
        connection.snd.set_window(u32::from(snd_wnd), irs, iss);
        connection.snd.skip_syn();
        connection.start_sending(cx, 0);
        if let Some(sender) = &mut connection.sender {
            // The arrival of our SYN is yet to come.
            sender.delivered = 0;
        }
        let data = !syn.payload.is_empty();
        if data {
            connection.rcv.admit(irs + 1, &syn.payload);
            connection.readable_now();
        }
        connection.rcv.last_ack = connection.rcv.nxt;
        connection.rcv.edge = connection.rcv.nxt + u32::from(rcv_wnd);
        let early = Early {
            due: true,
            ack: connection.rcv.nxt,
            window: rcv_wnd,
            shift: agreed.shifts.map(|(ours, _)| ours),
            cookie,
            sent: (cx.now, 0),
            timeouts: 0,
            data,
            is_accepted: false,
        };
        connection.fast = Some(Box::new(Fast::Early(early)));
        connection.start_keepalive(cx);
        connection.timers.set(cx, Timer::Retransmit, cx.knobs.rto_init);
        connection
    }

    /// Whether the third segment of its handshake has not come though it is a listener's connection already.
    pub fn is_early(&self) -> bool {
        self.state != State::Closed && matches!(self.fast.as_deref(), Some(Fast::Early(_)))
    }

    fn early_mut(&mut self) -> Option<&mut Early> {
        match self.fast.as_deref_mut() {
            Some(Fast::Early(early)) => Some(early),
            _ => None,
        }
    }

    /// The application has accepted it: ICMP errors about the SYN-ACK do not end it any more.
    pub fn accepted(&mut self) {
        if let Some(early) = self.early_mut() {
            early.is_accepted = true;
        }
    }

    /// Whether an ICMP error may end it: nobody has it yet.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.fast.as_deref(), Some(Fast::Early(early)) if early.is_accepted)
    }

    /// The SYN-ACK, where it is due.
    pub(super) fn send_early_syn_ack(&mut self, cx: &Context<'_>) -> Option<Segment> {
        let (ports, iss, mss, sack, ts) = (self.ports, self.snd.iss, self.setup.mss, self.sack, self.ts);
        let ecn = self.sender.as_ref().is_some_and(|sender| sender.ecn.is_agreed);
        let early = self.early_mut().filter(|early| early.due)?;
        early.due = false;
        early.sent = (cx.now, early.sent.1.saturating_add(1));
        let ts = ts.map(|ts| (ts.val(cx.now), ts.recent));
        let mut flags = Flags::SYN | Flags::ACK;
        flags.set(Flags::ECE, ecn);
        let mut options = Offer { mss, ts, shift: early.shift, sack }.options(cx.knobs.syn_layout);
        if let Some(cookie) = early.cookie.take() {
            cookie.write(&mut options);
        }
        Some(Segment {
            src_port: ports.local,
            dst_port: ports.remote,
            seq: iss,
            ack: early.ack,
            flags,
            window: early.window,
            options,
            ..Segment::default()
        })
    }

    /// `tcp_check_req()` for a connection that exists: what is not the third segment.
    #[inline(never)]
    pub(super) fn check_early(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Step {
        let (irs, nxt) = (self.rcv.irs, self.rcv.nxt);
        let paws = self.ts.is_some_and(|ts| ts.recent != 0 && ts.too_old(seg));
        if seg.seq == irs && seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN && !paws {
            let allowed = self.throttle.allows(cx);
            match self.early_mut().filter(|_| allowed) {
                Some(early) => early.due = true,
                None => cx.dropped(DropReason::OutOfWindowUnanswered),
            }
            return Step::Done;
        }
        let (end, edge) = (seg.end(), self.rcv.edge);
        let inside = seg.seq == nxt || (end.gt(nxt) && seg.seq.lt(edge)) || (seg.seq == edge && end == edge);
        if paws || !inside {
            let reason = if paws { DropReason::Paws } else { DropReason::OutOfWindow };
            if paws {
                cx.count(Tally::PawsEstab);
            }
            if seg.has(Flags::RST) {
                cx.dropped(reason);
            } else if seg.seq_len() > 0 || self.throttle.allows(cx) {
                cx.dropped(reason);
                self.ack = super::Ack::Now;
            } else {
                cx.dropped(DropReason::OutOfWindowUnanswered);
            }
            return Step::Done;
        }
        if seg.has(Flags::RST) {
            if seg.seq == nxt {
                self.die(cx, Some(Errno::ECONNRESET));
            } else {
                cx.dropped(DropReason::RstNotExact);
                self.challenge(cx);
            }
            return Step::Done;
        }
        if seg.has(Flags::SYN) {
            // "We try not to reset the local connection": the peer is told that its SYN has no place here.
            cx.dropped(DropReason::SynChallenged);
            self.answer_by_reset(seg);
            return Step::Done;
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return Step::Done;
        }
        Step::Next
    }

    /// The acknowledgment of our SYN has come, and is taken already (`tcp_rcv_synrecv_state_fastopen()`).
    #[inline(never)]
    pub(super) fn leave_early(&mut self, cx: &mut Context<'_>) {
        let Some(&mut Early { sent: (at, times), data, .. }) = self.early_mut() else { return };
        self.fast = Some(Box::new(Fast::WasEarly { data }));
        if self.rto.srtt().is_none() && times == 1 {
            let rtt = cx.now.since(at);
            self.rto.measured(rtt, (self.snd.una, self.snd.nxt), cx.knobs);
            let moment = self.moment(cx);
            if let Some(sender) = &mut self.sender {
                sender.measured(&moment, rtt);
            }
        }
        if let Some(sender) = &mut self.sender {
            sender.delivered += 1;
        }
        self.rto.alive(cx.now);
        if self.snd.una == self.snd.nxt {
            self.rto.since = None;
        }
        self.timers.stop(Timer::Retransmit);
        self.rearm_rto(cx);
        if self.state == State::SynReceived {
            cx.transition(&mut self.state, State::Established, None, None);
        }
    }

    /// The SYN-ACK goes again; nothing else does before it is answered. One try more than for a half-open connection.
    pub(super) fn on_early_timeout(&mut self, cx: &mut Context<'_>, last: crate::time::Span) {
        let own = self.setup.syn_count;
        let Some(early) = self.early_mut() else { return };
        let (timeouts, elapsed) = (early.timeouts, cx.now.since(early.sent.0));
        // tcp_syn_ack_timeout()
        cx.count(Tally::Timeouts);
        let over = match (own, cx.knobs.synack_give_up) {
            (Some(most), _) => timeouts >= most,
            (None, GiveUp::Retries(most)) => timeouts > most,
            (None, other) => other.reached(timeouts, elapsed, cx.knobs.rto_init, cx.knobs),
        };
        if over {
            self.note_fired(cx, Timer::Retransmit, last, timeouts.saturating_add(1), None);
            return self.time_out(cx);
        }
        (early.due, early.timeouts) = (true, timeouts.saturating_add(1));
        let next = (cx.knobs.rto_init * (1u64 << early.timeouts.min(30))).min(cx.knobs.rto_max);
        let (again, at) = (self.rto.tries == 1, self.moment(cx));
        if let Some(sender) = self.sender.as_mut().filter(|_| again) {
            sender.enter_loss(&at);
        }
        self.rto.timed_out(false, cx.now);
        self.timers.set(cx, Timer::Retransmit, next);
        self.note_fired(cx, Timer::Retransmit, last, timeouts.saturating_add(1), Some(next));
    }
}
