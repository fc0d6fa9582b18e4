use crate::time::{SimTime, Span, secs};
use std::fmt;

/// How much a run may use. Exceeding any of it ends the run as a reported failure, never as a hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Events.
    pub events: u64,
    /// Virtual time.
    pub time: Span,
    /// Events in a row at one instant.
    pub zero_time: u64,
    /// Packets in flight.
    pub in_flight: u64,
    /// Bytes in flight and bytes received and kept for [`crate::Sim::received`].
    pub memory: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            events: 1_000_000_000,
            time: secs(30 * 24 * 3_600),
            zero_time: 10_000_000,
            in_flight: 10_000_000,
            memory: 4 << 30,
        }
    }
}

/// Which budget a run exceeded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Budget::events`].
    Events(u64),
    /// [`Budget::time`].
    Time(Span),
    /// [`Budget::zero_time`].
    ZeroTime(SimTime, u64),
    /// [`Budget::in_flight`].
    InFlight(u64),
    /// [`Budget::memory`].
    Memory(u64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeded::Events(n) => write!(f, "more than {n} events"),
            Exceeded::Time(span) => write!(f, "more than {span} of virtual time"),
            Exceeded::ZeroTime(at, n) => write!(f, "more than {n} events at {at}, without time passing"),
            Exceeded::InFlight(n) => write!(f, "more than {n} packets in flight"),
            Exceeded::Memory(n) => write!(f, "more than {n} bytes in flight and received"),
        }
    }
}

/// What a run has used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) events: u64,
    pub(super) ties: u64,
    at: SimTime,
    zero_time: u64,
}

impl Used {
    /// Another event, at `now`.
    pub(super) fn event(&mut self, now: SimTime, budget: &Budget) -> Result<(), Exceeded> {
        self.events += 1;
        self.zero_time = if now == self.at { self.zero_time + 1 } else { 0 };
        self.at = now;
        if self.events > budget.events {
            return Err(Exceeded::Events(budget.events));
        }
        if self.zero_time > budget.zero_time {
            return Err(Exceeded::ZeroTime(now, budget.zero_time));
        }
        if now.since(SimTime::ZERO) > budget.time {
            return Err(Exceeded::Time(budget.time));
        }
        Ok(())
    }
}
