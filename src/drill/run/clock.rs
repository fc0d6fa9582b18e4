//! When things are to happen, and how late or early they may.
//!
//! Instants are nanoseconds since the script's start, which lies where the stock tool puts it: a quarter of a
//! millisecond into a tick of the host's clock.

use crate::drill::script::When;
use crate::time::Span;

/// Nanoseconds since the start of the script.
pub(super) type Instant = i64;

/// An event's time, once it is known what it counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// When it is to happen, or the beginning of when.
    pub(super) at: Instant,
    /// The end of when; the same where it is an instant.
    pub(super) end: Instant,
    /// Whether any time will do.
    pub(super) any: bool,
    /// What relative times were counted from.
    pub(super) offset: Instant,
}

/// How far from its time a thing may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) floor: Span,
    /// In thousandths of the time since the last event.
    pub(super) permille: u64,
}

/// Something happened at another time than it was to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mistimed {
    pub(super) at: Instant,
    pub(super) end: Instant,
    pub(super) actual: Instant,
    pub(super) tolerance: Instant,
}

pub(super) fn instant(span: Span) -> Instant {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Timing {
    /// The time of an event that relative times of count from `offset`.
    pub(super) fn of(when: When, offset: Instant) -> Timing {
        let relative = |from: Span, to: Span| Timing {
            at: offset.saturating_add(instant(from)),
            end: offset.saturating_add(instant(to)),
            any: false,
            offset,
        };
        match when {
            When::At(at) => Timing { at: instant(at), end: instant(at), any: false, offset: 0 },
            When::Between(from, to) => Timing { at: instant(from), end: instant(to), any: false, offset: 0 },
            When::After(at) => relative(at, at),
            When::Within(from, to) => relative(from, to),
            When::Any => Timing { at: offset, end: offset, any: true, offset },
        }
    }
}

impl Tolerance {
    /// How far from its time an event may happen, `since` after the one before it.
    pub(super) fn after(self, since: Instant) -> Instant {
        let share = i128::from(since) * i128::from(self.permille) / 1_000;
        // The stock tool counts in whole microseconds.
        let share = i64::try_from(share).unwrap_or(i64::MAX) / 1_000 * 1_000;
        share.max(instant(self.floor))
    }

    /// Whether what was to happen at `timing` may happen at `actual`; `last` is the time of the event before it.
    pub(super) fn check(self, timing: Timing, actual: Instant, last: Option<Instant>) -> Result<(), Mistimed> {
        if timing.any {
            return Ok(());
        }
        let tolerance = self.after(last.map_or(0, |last| timing.at.saturating_sub(last)));
        let Timing { at, end, .. } = timing;
        // The stock tool reads a clock of microseconds.
        let seen = actual.div_euclid(1_000) * 1_000;
        let holds = seen >= at.saturating_sub(tolerance) && seen <= end.saturating_add(tolerance);
        if holds { Ok(()) } else { Err(Mistimed { at, end, actual, tolerance }) }
    }
}

/// Seconds with six digits.
pub(super) fn seconds(at: Instant) -> String {
    let micros = at.div_euclid(1_000);
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micros.abs() / 1_000_000, micros.abs() % 1_000_000)
}

impl Mistimed {
    /// What is said of it.
    pub(super) fn text(self, what: &str) -> String {
        let Mistimed { at, end, actual, tolerance } = self;
        let range = if at == end { seconds(at) } else { format!("{}~{}", seconds(at), seconds(end)) };
        format!("expected {what} at {range} s, happened at {} s; tolerance {} s", seconds(actual), seconds(tolerance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, us};

    const STOCK: Tolerance = Tolerance { floor: us(4_000), permille: 125 };

    #[test]
    fn the_floor_counts_where_the_gap_is_short() {
        let timing = Timing::of(When::After(ms(10)), 0);
        assert!(STOCK.check(timing, 6_000_000, Some(0)).is_ok());
        assert!(STOCK.check(timing, 5_999_999, Some(0)).is_err());
        assert!(STOCK.check(timing, 14_000_999, Some(0)).is_ok());
        assert!(STOCK.check(timing, 14_001_000, Some(0)).is_err());
    }

    #[test]
    fn an_eighth_of_the_gap_counts_where_it_is_long() {
        let timing = Timing::of(When::At(ms(1_000)), 0);
        assert!(STOCK.check(timing, 1_125_000_000, Some(0)).is_ok());
        assert!(STOCK.check(timing, 1_125_001_000, Some(0)).is_err());
        assert!(STOCK.check(timing, 1_005_000_000, Some(960_000_000)).is_ok());
        assert!(STOCK.check(timing, 1_005_001_000, Some(960_000_000)).is_err());
    }

    #[test]
    fn ranges_widen_at_both_ends_and_a_star_always_holds() {
        let timing = Timing::of(When::Within(ms(10), ms(20)), 1_000_000);
        assert!(STOCK.check(timing, 7_000_000, None).is_ok() && STOCK.check(timing, 25_000_000, None).is_ok());
        assert!(STOCK.check(timing, 6_999_000, None).is_err() && STOCK.check(timing, 25_001_000, None).is_err());
        assert!(STOCK.check(Timing::of(When::Any, 5), i64::MAX, Some(0)).is_ok());
    }
}
