use super::Context;
use crate::endpoint::{TimerChange, TimerKind};
use crate::time::{HostTime, Span};

/// The timers of a [`super::Connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Retransmission; never armed together with `Persist`.
    Retransmit,
    /// Zero-window probe, or the override of silly-window avoidance.
    Persist,
    /// Delayed acknowledgment.
    DelayedAck,
    /// Keepalive.
    KeepAlive,
}

impl Timer {
    /// All, in the order in which equal instants are served.
    pub(super) const ALL: [Timer; 4] = [Timer::Retransmit, Timer::Persist, Timer::DelayedAck, Timer::KeepAlive];

    pub(super) const fn kind(self) -> TimerKind {
        match self {
            Timer::Retransmit => TimerKind::Retransmit,
            Timer::Persist => TimerKind::Persist,
            Timer::DelayedAck => TimerKind::DelayedAck,
            Timer::KeepAlive => TimerKind::KeepAlive,
        }
    }
}

/// When each timer fires, if it is armed.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    at: [Option<HostTime>; Timer::ALL.len()],
}

impl Timers {
    pub(super) fn get(&self, timer: Timer) -> Option<HostTime> {
        self.at[timer as usize]
    }

    /// Arms `timer` to fire `span` from now.
    pub(super) fn set(&mut self, cx: &mut Context<'_>, timer: Timer, span: Span) {
        let at = cx.now + span;
        self.at[timer as usize] = Some(at);
        cx.timer(timer.kind(), TimerChange::Set(at));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.at[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Timers::default();
    }

    /// Disarms `timer` and says so, if its instant has come.
    pub(super) fn take_due(&mut self, timer: Timer, now: HostTime) -> bool {
        let due = self.at[timer as usize].is_some_and(|at| at <= now);
        if due {
            self.stop(timer);
        }
        due
    }

    pub(super) fn next(&self) -> Option<HostTime> {
        self.at.iter().flatten().min().copied()
    }
}
