use super::Context;
use crate::endpoint::{TimerChange, TimerKind};
use crate::time::{HostTime, Span};

/// The timers of a [`super::Connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Retransmission; never armed together with `Persist`, `LossProbe` or `Reorder`.
    Retransmit,
    /// Tail loss probe.
    LossProbe,
    /// The reordering window of RACK.
    Reorder,
    /// Zero-window probe, or the override of silly-window avoidance.
    Persist,
    /// Delayed acknowledgment.
    DelayedAck,
    /// Keepalive.
    KeepAlive,
}

impl Timer {
    /// All, in the order in which equal instants are served.
    pub(super) const ALL: [Timer; 6] =
        [Timer::Retransmit, Timer::LossProbe, Timer::Reorder, Timer::Persist, Timer::DelayedAck, Timer::KeepAlive];

    pub(super) const fn kind(self) -> TimerKind {
        match self {
            Timer::Retransmit => TimerKind::Retransmit,
            Timer::LossProbe => TimerKind::LossProbe,
            Timer::Reorder => TimerKind::Reorder,
            Timer::Persist => TimerKind::Persist,
            Timer::DelayedAck => TimerKind::DelayedAck,
            Timer::KeepAlive => TimerKind::KeepAlive,
        }
    }
}

/// When each timer fires, if it is armed.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    armed: [Armed; Timer::ALL.len()],
}

/// A timer.
#[derive(Clone, Copy, Debug)]
struct Armed {
    /// Never where it does not run.
    at: HostTime,
    /// How long it was set for.
    span: Span,
}

impl Default for Armed {
    fn default() -> Armed {
        Armed { at: HostTime::NEVER, span: Span::ZERO }
    }
}

impl Timers {
    pub(super) fn is_armed(&self, timer: Timer) -> bool {
        self.armed[timer as usize].at < HostTime::NEVER
    }

    /// Arms `timer` to fire `span` from now.
    pub(super) fn set(&mut self, cx: &mut Context<'_>, timer: Timer, span: Span) {
        let at = cx.after(span);
        self.armed[timer as usize] = Armed { at, span };
        cx.timer(timer.kind(), TimerChange::Set(at));
    }

    /// The same by a clock that is finer than ticks (`hrtimer_start()`).
    pub(super) fn set_exactly(&mut self, cx: &mut Context<'_>, timer: Timer, span: Span) {
        let at = cx.now + span;
        self.armed[timer as usize] = Armed { at, span };
        cx.timer(timer.kind(), TimerChange::Set(at));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.armed[timer as usize] = Armed::default();
    }

    pub(super) fn stop_all(&mut self) {
        *self = Timers::default();
    }

    /// Disarms `timer` if its instant has come; how long it was set for.
    pub(super) fn take_due(&mut self, timer: Timer, now: HostTime) -> Option<Span> {
        let due = self.armed[timer as usize];
        if due.at > now || due.at == HostTime::NEVER {
            return None;
        }
        self.stop(timer);
        Some(due.span)
    }

    pub(super) fn next(&self) -> Option<HostTime> {
        let next = self.armed.iter().fold(HostTime::NEVER, |next, armed| next.min(armed.at));
        (next < HostTime::NEVER).then_some(next)
    }
}
