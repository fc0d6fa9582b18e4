use crate::time::{SimTime, Span, ms};
use std::fmt;

/// How times are compared: a gap between two events as it was recorded, and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Which timers ours were.
    pub timing: Timing,
    /// How much later than that the recorded event may have been seen.
    pub seen_late: Span,
}

/// Which timers the replay had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Exact ones. A real timer fires late, never early: the kernel's wheel rounds up to 4 ms below 0.25 s, 32 ms below
    /// 2 s, 256 ms below 16 s, 2,048 ms below 131 s and 16,384 ms above. So `-4 ms <= recorded - ours <= bucket + 8 ms`.
    #[default]
    Exact,
    /// Those of the kernel's wheel, late by themselves. So `-4 ms <= recorded - ours <= 8 ms`, whatever the gap: no event
    /// may come later than with exact timers.
    Wheel,
}

/// Whether a recorded gap fits ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// Only by the wider rule: `ours - 10 ms <= recorded <= ours * 1.125 + 20 ms`; with the timers of a wheel, which are
    /// late already, only its earlier half.
    OnlyWider,
    /// It does not.
    Not,
}

const EARLY: i64 = 4_000_000;
const LATE: Span = ms(8);

impl Rule {
    /// Compares two gaps in nanoseconds; a gap is negative where the events happened the other way round.
    pub fn fit(self, recorded: i64, ours: i64) -> Fit {
        let late = recorded.saturating_sub(ours);
        let seen_late = signed(self.seen_late);
        if late >= -EARLY && late <= signed(self.lateness(ours)).saturating_add(seen_late) {
            return Fit::Fits;
        }
        let wide = match self.timing {
            Timing::Exact => ours.max(0) / 8 + 20_000_000,
            Timing::Wheel => signed(LATE),
        };
        if late >= -10_000_000 && late <= wide + seen_late { Fit::OnlyWider } else { Fit::Not }
    }

    /// Whether an event that comes `gap` nanoseconds after another, at `at` with us, might have come only after a
    /// recording had ended at `end`: a timer by its lateness, an answer given at once by no more than a moment.
    pub(super) fn is_past(self, at: SimTime, gap: i64, end: SimTime) -> bool {
        let late = if gap < signed(ms(1)) { ms(1) } else { self.lateness(gap) };
        at + late >= end
    }

    /// How much later than `gap` nanoseconds a real timer may fire.
    pub fn lateness(self, gap: i64) -> Span {
        if self.timing == Timing::Wheel {
            return LATE;
        }
        let bucket = match u64::try_from(gap).unwrap_or(0) / 1_000_000 {
            0..250 => 4,
            250..2_000 => 32,
            2_000..16_000 => 256,
            16_000..131_000 => 2_048,
            _ => 16_384,
        };
        ms(bucket) + LATE
    }
}

pub(super) fn signed(span: Span) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fit::Fits => "fits",
            Fit::OnlyWider => "fits the wider rule only",
            Fit::Not => "does not fit",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_timers_are_late_by_a_bucket_and_never_early() {
        let fit = |recorded: i64, ours: i64| Rule::default().fit(recorded * 1_000, ours * 1_000);
        let cases = [
            (212_000, 212_000, Fit::Fits),
            (208_000, 212_000, Fit::Fits),
            (207_999, 212_000, Fit::OnlyWider),
            (201_999, 212_000, Fit::Not),
            (224_000, 212_000, Fit::Fits),
            (224_001, 212_000, Fit::OnlyWider),
            (258_501, 212_000, Fit::Not),
            (1_040_000, 1_000_000, Fit::Fits),
            (1_040_001, 1_000_000, Fit::OnlyWider),
            (8_264_000, 8_000_000, Fit::Fits),
            (62_056_000, 60_000_000, Fit::Fits),
            (62_056_001, 60_000_000, Fit::OnlyWider),
            (100, -3_000, Fit::Fits),
        ];
        for (recorded, ours, expected) in cases {
            assert_eq!(fit(recorded, ours), expected, "{recorded} {ours}");
        }
        let polled = Rule { seen_late: ms(12), ..Rule::default() };
        assert_eq!(polled.fit(24_000_000, 0), Fit::Fits);
        assert_eq!(polled.fit(24_000_001, 0), Fit::OnlyWider);
    }

    #[test]
    fn what_the_wheel_has_made_late_may_not_be_late_once_more() {
        let wheel = Rule { timing: Timing::Wheel, ..Rule::default() };
        let fit = |recorded: i64, ours: i64| wheel.fit(recorded * 1_000, ours * 1_000);
        for (recorded, ours) in [(212_000, 216_000), (224_000, 216_000), (1_028_000, 1_032_000), (1_040_000, 1_032_000)]
        {
            assert_eq!(fit(recorded, ours), Fit::Fits, "{recorded} {ours}");
        }
        for (recorded, ours) in [(211_999, 216_000), (224_001, 216_000), (1_027_999, 1_032_000), (1_040_001, 1_032_000)]
        {
            let wider = if recorded < ours { Fit::OnlyWider } else { Fit::Not };
            assert_eq!(fit(recorded, ours), wider, "{recorded} {ours}");
        }
    }
}
