use super::throttle::Throttle;
use super::timestamps::Timestamps;
use super::{Context, Ports};
use crate::endpoint::{Arrival, DropReason, State, TimerChange, TimerKind};
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
}

/// What became of a [`Closing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingStep {
    /// It goes on.
    Stay,
    /// It is over.
    Gone,
    /// An acceptable new SYN (RFC 9293 3.6.1 MAY-2, RFC 6191): the host drops this and hands the SYN to the
    /// listener, if there is one; the new ISS must exceed [`Closing::next_iss`].
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
}

impl Closing {
    /// In `remains.state` for at most `lasts`.
    pub(super) fn new(cx: &mut Context<'_>, remains: Remains, lasts: Span) -> Closing {
        let Remains { ports, snd_nxt, rcv_nxt, rcv_wnd, shift, state, ts, throttle } = remains;
        debug_assert!(matches!(state, State::TimeWait | State::FinWait2));
        let (due, fires) = (Due::Nothing, cx.after(lasts));
        let closing = Closing { ports, snd_nxt, rcv_nxt, rcv_wnd, shift, state, ts, throttle, due, fires };
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
        let after = match self.state {
            State::TimeWait => cx.knobs.time_wait,
            _ => cx.knobs.fin_wait2.unwrap_or_default(),
        };
        cx.timer(self.timer(), TimerChange::Fired { after, count: 1, next: None });
        self.gone(cx)
    }

    /// A segment of the old connection, or of one that wants to take its place (RFC 9293 3.10.7.4).
    pub fn on_segment(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        let syn = seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN;
        if syn && self.state == State::TimeWait && self.reopens(seg) {
            return ClosingStep::Reopen;
        }
        if !seg.has(Flags::RST) && self.ts.is_some_and(|ts| ts.too_old(seg)) {
            cx.dropped(DropReason::Paws);
            return self.answer(Due::Ack);
        }
        if let Some(step) = self.check_sequence(cx, seg) {
            return step;
        }
        if seg.has(Flags::RST) {
            return self.check_reset(cx, seg);
        }
        // Fourth: a SYN that may not open is challenged (RFC 5961 4.2).
        if seg.has(Flags::SYN) {
            cx.dropped(DropReason::SynChallenged);
            return self.challenge(cx);
        }
        if !seg.has(Flags::ACK) {
            cx.dropped(DropReason::NoAck);
            return ClosingStep::Stay;
        }
        if seg.ack.gt(self.snd_nxt) {
            cx.dropped(DropReason::AckUnsent);
            return self.challenge(cx);
        }
        match self.state {
            State::FinWait2 => self.process_text(cx, seg),
            // "This should not occur since a FIN has been received from the remote side."
            _ => {
                if seg.seq_len() > 0 {
                    cx.dropped(DropReason::DataAfterClose);
                }
                ClosingStep::Stay
            }
        }
    }

    /// RFC 6191 2, with RFC 9293 MAY-2 where no timestamps are used: whether `syn` is surely new.
    fn reopens(&self, syn: &Segment) -> bool {
        let newer = syn.seq.gt(self.rcv_nxt);
        match (self.ts, syn.options.timestamps()) {
            (Some(ts), Some((val, _))) => val == ts.recent && newer || Seq(val).gt(Seq(ts.recent)),
            (None, Some(_)) => true,
            (_, None) => newer,
        }
    }

    /// First: the sequence number.
    fn check_sequence(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Option<ClosingStep> {
        let len = seg.seq_len();
        let last = seg.seq + len.saturating_sub(1);
        let inside = seg.seq.within(self.rcv_nxt, self.rcv_wnd) || last.within(self.rcv_nxt, self.rcv_wnd);
        if inside || (len == 0 && seg.seq == self.rcv_nxt) {
            return None;
        }
        if seg.has(Flags::RST) {
            cx.dropped(DropReason::RstIgnored);
            return Some(ClosingStep::Stay);
        }
        // Eighth, TIME-WAIT: "restart the 2 MSL time-wait timeout" on a retransmission of the remote FIN only.
        if seg.has(Flags::FIN) && seg.end() == self.rcv_nxt && self.state == State::TimeWait {
            cx.note(super::TcpEvent::Arrival(Arrival::Duplicate));
            self.restart(cx);
        } else if len == 0 && !self.throttle.allows(cx) {
            cx.dropped(DropReason::OutOfWindowUnanswered);
            return Some(ClosingStep::Stay);
        } else {
            cx.dropped(DropReason::OutOfWindow);
        }
        Some(self.answer(Due::Ack))
    }

    /// Second: RST (RFC 5961 3.2; RFC 1337 where the knob is on).
    fn check_reset(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        if self.state == State::TimeWait && cx.knobs.time_wait_ignores_rst {
            cx.dropped(DropReason::RstIgnored);
            return ClosingStep::Stay;
        }
        if cx.knobs.rst_exact && seg.seq != self.rcv_nxt {
            cx.dropped(DropReason::RstNotExact);
            return self.challenge(cx);
        }
        self.gone(cx)
    }

    /// Seventh and eighth, for a FIN-WAIT-2 that nobody owns: data finds no reader, a FIN brings TIME-WAIT.
    fn process_text(&mut self, cx: &mut Context<'_>, seg: &Segment) -> ClosingStep {
        let new = seg.end().since(self.rcv_nxt);
        if seg.seq_len() == 0 {
            return ClosingStep::Stay;
        }
        if (!seg.has(Flags::FIN) || new > 1) && !seg.payload.is_empty() {
            // RFC 9293 3.6.1: "if new data is received after CLOSE is called, its TCP implementation SHOULD send a
            // RST to show that data was lost".
            cx.dropped(DropReason::DataAfterClose);
            self.due = Due::Reset(seg.ack);
            return self.gone(cx);
        }
        if new == 1 {
            self.rcv_nxt += 1;
            self.rcv_wnd = self.rcv_wnd.saturating_sub(1);
            cx.transition(&mut self.state, State::TimeWait, Some(cx.knobs.time_wait), None);
            self.fires = cx.after(cx.knobs.time_wait);
            cx.timer(TimerKind::TimeWait, TimerChange::Set(self.fires));
        }
        self.answer(Due::Ack)
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

    fn gone(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        cx.transition(&mut self.state, State::Closed, None, None);
        ClosingStep::Gone
    }

    fn timer(&self) -> TimerKind {
        if self.state == State::TimeWait { TimerKind::TimeWait } else { TimerKind::FinWait2 }
    }
}
