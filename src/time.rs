//! Virtual time: integer nanoseconds, nothing else.
//!
//! Three types keep three things apart. [`SimTime`] is an instant of the run, counted from its start;
//! [`HostTime`] is what one host's own clock shows, which skew and pauses move away from it;
//! [`Span`] is a length of time. Only the engine converts between the first two.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

/// An instant of a run, in nanoseconds since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(u64);

/// An instant on one host's own clock, in nanoseconds since that clock started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostTime(u64);

/// A length of time in nanoseconds. Sums and products saturate: [`Span::MAX`] stands for "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// `n` nanoseconds.
pub const fn ns(n: u64) -> Span {
    Span(n)
}

/// `n` microseconds.
pub const fn us(n: u64) -> Span {
    Span(n.saturating_mul(1_000))
}

/// `n` milliseconds.
pub const fn ms(n: u64) -> Span {
    Span(n.saturating_mul(1_000_000))
}

/// `n` seconds.
pub const fn secs(n: u64) -> Span {
    Span(n.saturating_mul(1_000_000_000))
}

macro_rules! instant {
    ($name:ident) => {
        impl $name {
            /// The start of the clock.
            pub const ZERO: $name = $name(0);
            /// An instant that no run reaches.
            pub const NEVER: $name = $name(u64::MAX);

            /// The instant `n` nanoseconds after the start.
            pub const fn from_nanos(n: u64) -> $name {
                $name(n)
            }

            /// Nanoseconds since the start.
            pub const fn as_nanos(self) -> u64 {
                self.0
            }

            /// The time from `earlier` to `self`; zero if `earlier` is later.
            pub const fn since(self, earlier: $name) -> Span {
                Span(self.0.saturating_sub(earlier.0))
            }
        }

        impl Add<Span> for $name {
            type Output = $name;
            fn add(self, span: Span) -> $name {
                $name(self.0.saturating_add(span.0))
            }
        }

        impl AddAssign<Span> for $name {
            fn add_assign(&mut self, span: Span) {
                *self = *self + span;
            }
        }

        impl Sub<Span> for $name {
            type Output = $name;
            fn sub(self, span: Span) -> $name {
                $name(self.0.saturating_sub(span.0))
            }
        }

        /// Seconds with six decimals, and more where needed: `1.020000`, `0.000000001`.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (whole, part) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
                let text = if part % 1_000 == 0 {
                    format!("{whole}.{:06}", part / 1_000)
                } else {
                    format!("{whole}.{part:09}")
                };
                f.pad(&text)
            }
        }
    };
}

instant!(SimTime);
instant!(HostTime);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than any run.
    pub const MAX: Span = Span(u64::MAX);

    /// The length in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The length in whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `self` without `other`; zero where `other` is longer.
    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Span;
    fn mul(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }
}

impl Div<u64> for Span {
    type Output = Span;
    fn div(self, n: u64) -> Span {
        Span(self.0 / n)
    }
}

impl From<std::time::Duration> for Span {
    fn from(d: std::time::Duration) -> Span {
        Span(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The shortest of `20ms`, `1.040s`, `15us`, `7ns`, `0s` that says it exactly.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let text = if n == u64::MAX {
            "never".to_owned()
        } else if n.is_multiple_of(1_000_000_000) {
            format!("{}s", n / 1_000_000_000)
        } else if n >= 1_000_000_000 {
            decimal(n, 1_000_000_000, "s")
        } else if n >= 1_000_000 {
            decimal(n, 1_000_000, "ms")
        } else if n >= 1_000 {
            decimal(n, 1_000, "us")
        } else {
            format!("{n}ns")
        };
        f.pad(&text)
    }
}

/// `n / unit` with as many decimals as it takes, at least three above a second (`1.040s`).
fn decimal(n: u64, unit: u64, name: &str) -> String {
    let width = unit.ilog10() as usize;
    let part = format!("{:0width$}", n % unit);
    let short = part.trim_end_matches('0');
    let keep = if unit == 1_000_000_000 { short.len().max(3) } else { short.len() };
    match &part[..keep] {
        "" => format!("{}{name}", n / unit),
        part => format!("{}.{part}{name}", n / unit),
    }
}

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanError {
    /// No digits in front of the unit.
    NoNumber,
    /// The unit is missing or unknown.
    Unit(String),
    /// Finer than a nanosecond, or longer than 584 years.
    Range,
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpanError::NoNumber => f.write_str("a length of time starts with a number, like `20ms`"),
            SpanError::Unit(unit) if unit.is_empty() => {
                f.write_str("a length of time needs a unit: ns, us, ms, s, m or h")
            }
            SpanError::Unit(unit) => write!(f, "`{unit}` is no unit of time; there are ns, us, ms, s, m and h"),
            SpanError::Range => f.write_str("a length of time lies between 1 ns and 584 years"),
        }
    }
}

impl std::error::Error for SpanError {}

/// Reads `20ms`, `1.5s`, `0s`, `2m`, `1h`, `never`.
impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        let text = text.trim();
        if text == "never" {
            return Ok(Span::MAX);
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim() {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            other => {
                return Err(if number.is_empty() { SpanError::NoNumber } else { SpanError::Unit(other.to_owned()) });
            }
        };
        scaled(number, unit).map(Span)
    }
}

/// `number * unit` for a decimal `number`, exactly.
fn scaled(number: &str, unit: u64) -> Result<u64, SpanError> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.contains('.') {
        return Err(SpanError::NoNumber);
    }
    let whole: u64 = whole.parse().map_err(|_| SpanError::Range)?;
    let mut total = whole.checked_mul(unit).ok_or(SpanError::Range)?;
    let mut unit = unit;
    for digit in part.bytes().map(|b| u64::from(b - b'0')) {
        if !unit.is_multiple_of(10) && digit != 0 {
            return Err(SpanError::Range);
        }
        unit /= 10;
        total = total.checked_add(digit * unit).ok_or(SpanError::Range)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_what_they_print() {
        for text in ["0s", "7ns", "15us", "1.5us", "20ms", "13.205ms", "1s", "1.040s", "1.000000001s", "90s", "never"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("2m".parse(), Ok(secs(120)));
        assert_eq!("0.25s".parse(), Ok(ms(250)));
    }

    #[test]
    fn spans_refuse_what_is_none() {
        assert_eq!("ms".parse::<Span>(), Err(SpanError::NoNumber));
        assert_eq!("-1s".parse::<Span>(), Err(SpanError::NoNumber));
        assert_eq!("5".parse::<Span>(), Err(SpanError::Unit(String::new())));
        assert_eq!("5 days".parse::<Span>(), Err(SpanError::Unit("days".into())));
        assert_eq!("0.5ns".parse::<Span>(), Err(SpanError::Range));
        assert_eq!("99999999999999999999s".parse::<Span>(), Err(SpanError::Range));
    }

    #[test]
    fn instants_print_seconds() {
        assert_eq!((SimTime::ZERO + ms(1_020)).to_string(), "1.020000");
        assert_eq!((SimTime::ZERO + ns(1)).to_string(), "0.000000001");
        assert_eq!(format!("{:>12}", SimTime::ZERO + secs(2)), "    2.000000");
    }
}
