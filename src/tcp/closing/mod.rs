//! What is left of a connection that we closed, and what it answers: by RFC 9293, or as Linux or BSD does.

mod bsd;
mod linux;
mod rfc9293;

use super::throttle::Throttle;
use super::timestamps::Timestamps;
use super::{ClosingRule, Context, Ports};
use crate::endpoint::{DropReason, State, TimerChange, TimerKind};
use crate::time::{HostTime, Span};
use crate::wire::{Flags, Segment, Seq};

/// What is left of a connection that we closed: TIME-WAIT, or FIN-WAIT-2 that nobody owns.
#[derive(Clone, Debug)]
pub struct Closing {
    ports: Ports,
    snd_nxt: Seq,
    rcv_nxt: Seq,
    /// RCV.WND in bytes.
    rcv_wnd: u32,
    shift: u8,
    state: State,
    ts: Option<Timestamps>,
    throttle: Throttle,
    due: Due,
    /// When it entered its state, or where it may be `prolonged`, when the peer was heard last.
    entered: HostTime,
    /// How often FIN-WAIT-2 was prolonged, where it goes on while the peer is heard.
    prolonged: Option<u8>,
    fires: HostTime,
}

const _: () = assert!(size_of::<Closing>() <= 80, "with its index entry a closing connection takes 96 bytes");

/// What `poll_transmit` gives next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ack,
    /// A reset with this number.
    Reset(Seq),
    /// A reset that acknowledges so much, to a segment without an acknowledgment.
    Refuse(Seq),
}

/// What became of a [`Closing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingStep {
    /// It goes on.
    Stay,
    /// It is over.
    Gone,
    /// An acceptable new SYN (RFC 9293 3.6.1 MAY-2, RFC 6191): the host drops this and hands the SYN to the
    /// listener, if there is one; the new ISS must exceed [`Closing::next_iss`], or is given.
    Reopen,
}

/// What a [`Closing`] starts from.
pub(super) struct Remains {
    pub(super) ports: Ports,
    pub(super) snd_nxt: Seq,
    pub(super) rcv_nxt: Seq,
    pub(super) rcv_wnd: u32,
    pub(super) shift: u8,
    pub(super) state: State,
    pub(super) ts: Option<Timestamps>,
    pub(super) throttle: Throttle,
    /// When the peer was heard last, where FIN-WAIT-2 goes on while it is.
    pub(super) heard: Option<HostTime>,
}

impl Closing {
    /// In `remains.state` for at most `lasts`.
    pub(super) fn new(cx: &mut Context<'_>, remains: Remains, lasts: Span) -> Closing {
        let Remains { ports, snd_nxt, rcv_nxt, rcv_wnd, shift, state, ts, throttle, heard } = remains;
        debug_assert!(matches!(state, State::TimeWait | State::FinWait2));
        let (due, fires) = (Due::Nothing, cx.after(lasts));
        let (entered, prolonged) = (heard.unwrap_or(cx.now), heard.map(|_| 0));
        let closing =
            Closing { ports, snd_nxt, rcv_nxt, rcv_wnd, shift, state, ts, throttle, due, entered, prolonged, fires };
        cx.timer(closing.timer(), TimerChange::Set(closing.fires));
        closing
    }

    /// TIME-WAIT or FIN-WAIT-2; CLOSED when it is over.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// SND.NXT: where a new incarnation's ISS must lie beyond (RFC 9293 3.6.1 MAY-2).
    pub fn next_iss(&self) -> Seq {
        self.snd_nxt
    }

    /// RCV.NXT.
    pub fn rcv_nxt(&self) -> Seq {
        self.rcv_nxt
    }

    /// TS.Recent, where the connection used timestamps (RFC 6191).
    pub fn ts_recent(&self) -> Option<u32> {
        self.ts.map(|ts| ts.recent)
    }

    /// When TIME-WAIT was entered; what starts it anew does not count.
    pub fn entered(&self) -> HostTime {
        self.entered
    }

    /// When [`Closing::on_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<HostTime> {
        (self.state != State::Closed).then_some(self.fires)
    }

    /// The next segment to send.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let (seq, ack, flags) = match std::mem::replace(&mut self.due, Due::Nothing) {
            Due::Nothing => return None,
            Due::Ack => (self.snd_nxt, self.rcv_nxt, Flags::ACK),
            Due::Reset(seq) => (seq, Seq(0), Flags::RST),
            Due::Refuse(ack) => (Seq(0), ack, Flags::RST | Flags::ACK),
        };
        let mut seg = Segment { src_port: self.ports.local, dst_port: self.ports.remote, ..Segment::default() };
        (seg.seq, seg.ack, seg.flags) = (seq, ack, flags);
        if flags == Flags::ACK {
            seg.window = u16::try_from(self.rcv_wnd.div_ceil(1 << self.shift)).unwrap_or(u16::MAX);
            if let Some(ts) = self.ts {
                ts.write(cx.now, &mut seg.options);
            }
        }
        Some(seg)
    }

    /// The time is over.
    pub fn on_timeout(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        if cx.now < self.fires || self.state == State::Closed {
            return ClosingStep::Stay;
        }
        let (after, count) = (self.set_for(cx), self.prolonged.map_or(1, |times| u32::from(times) + 1));
        if let Some(again) = cx.knobs.fin_wait2_again.filter(|_| self.was_heard(cx)) {
            self.fires = cx.after(again);
            self.prolonged = self.prolonged.map(|times| times.saturating_add(1));
            cx.timer(self.timer(), TimerChange::Fired { after, count, next: Some(again) });
            return ClosingStep::Stay;
        }
        cx.timer(self.timer(), TimerChange::Fired { after, count, next: None });
        self.gone(cx)
    }

    /// How long the timer had been set for. What may be prolonged has no room for when that was, and lasts as long as the host
    /// says (`TP_MAXIDLE()`, `TP_KEEPINTVL()`).
    fn set_for(&self, cx: &Context<'_>) -> Span {
        let known = match (self.state, self.prolonged) {
            (State::TimeWait, _) => Some(cx.knobs.time_wait),
            (_, Some(0)) => cx.knobs.fin_wait2,
            (_, Some(_)) => cx.knobs.fin_wait2_again,
            (_, None) => None,
        };
        known.unwrap_or_else(|| self.fires.since(self.entered))
    }

    /// `tcp_timer_2msl()`: "ticks - tp->t_rcvtime <= TP_MAXIDLE(tp)", so that whom the last acknowledgment has brought here
    /// counts as heard when its time is over.
    fn was_heard(&self, cx: &Context<'_>) -> bool {
        let silent = cx.now.since(self.entered);
        self.prolonged.is_some() && cx.knobs.fin_wait2.is_some_and(|idle| silent <= idle)
    }

    /// A segment of the old connection, or of one that wants to take its place.
    pub fn on_segment(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        match cx.knobs.closing {
            ClosingRule::Rfc9293 => self.on_segment_rfc9293(cx, seg),
            ClosingRule::Linux => self.on_segment_linux(cx, seg),
            ClosingRule::Bsd => self.on_segment_bsd(cx, seg),
        }
    }

    /// A SYN could open, but nobody listens: TIME-WAIT goes on, and answers as to any SYN (RFC 5961 4.2; the end of
    /// `tcp_v4_rcv()`), but for BSD's.
    pub fn stay_for_nobody(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        cx.dropped(DropReason::NoSocket);
        match cx.knobs.closing {
            ClosingRule::Rfc9293 => self.challenge(cx),
            ClosingRule::Linux => self.answer(Due::Ack),
            ClosingRule::Bsd => ClosingStep::Stay,
        }
    }

    fn restart(&mut self, cx: &mut Context<'_>) {
        self.fires = cx.after(cx.knobs.time_wait);
        cx.timer(TimerKind::TimeWait, TimerChange::Restarted(cx.knobs.time_wait));
    }

    fn answer(&mut self, due: Due) -> ClosingStep {
        self.due = due;
        ClosingStep::Stay
    }

    fn challenge(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        if cx.allow_challenge() { self.answer(Due::Ack) } else { ClosingStep::Stay }
    }

    /// A reset, as CLOSED answers (RFC 9293 3.10.7.1), and the end.
    fn refuse(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        self.due = if seg.has(Flags::ACK) { Due::Reset(seg.ack) } else { Due::Refuse(seg.end()) };
        self.gone(cx)
    }

    fn gone(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        cx.transition(&mut self.state, State::Closed, None, None);
        ClosingStep::Gone
    }

    fn timer(&self) -> TimerKind {
        if self.state == State::TimeWait { TimerKind::TimeWait } else { TimerKind::FinWait2 }
    }
}
