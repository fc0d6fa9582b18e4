//! Amounts with units, and comparisons with them.

use super::decode::{Decode, Sink};
use super::error::Fact;
use super::limit;
use super::tree::{Node, Value};
use crate::time::{Span, secs};
use std::fmt;

/// How often: so many times in a length of time. `"1000/s"`, `"2/m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many times.
    pub count: u64,
    /// In how long.
    pub per: Span,
}

impl Rate {
    /// The time from one to the next, rounded down to the nanosecond.
    pub fn interval(self) -> Span {
        self.per / self.count
    }
}

impl Decode for Rate {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Rate> {
        const EXPECTED: &str = "a rate, like `\"1000/s\"` or `\"2/m\"`";
        let text = sink.text(node, EXPECTED)?;
        let Some((count, unit)) = text.split_once('/') else { return sink.bad(node, EXPECTED) };
        let per = match unit.trim() {
            "s" => secs(1),
            "m" | "min" => secs(60),
            "h" => secs(3_600),
            _ => return sink.bad(node, EXPECTED),
        };
        match count.trim().parse::<u64>() {
            Ok(0) | Err(_) => sink.bad(node, format!("{EXPECTED}, an integer above 0")),
            Ok(count) if count / (per.as_nanos() / secs(1).as_nanos()) > limit::RATE => {
                sink.at(node, Fact::TooMuch { what: "the rate", found: text.to_owned(), max: "10000000/s".to_owned() });
                None
            }
            Ok(count) => Some(Rate { count, per }),
        }
    }
}

/// How fast a link sends: `"10Mbit/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRate {
    /// Bits in a second, above 0.
    pub bits_per_second: u64,
}

impl Decode for BitRate {
    fn decode(node: &Node, sink: &mut Sink) -> Option<BitRate> {
        const EXPECTED: &str = "a rate in bits, like `\"56kbit/s\"`, `\"10Mbit/s\"` or `\"1Gbit/s\"`";
        const UNITS: [(&str, u64); 4] =
            [("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000), ("bit/s", 1)];
        let text = sink.text(node, EXPECTED)?;
        let rate = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?.trim(), *scale)));
        let rate = rate.and_then(|(number, scale)| number.parse::<u64>().ok()?.checked_mul(scale));
        match rate {
            Some(bits_per_second @ 1..=1_000_000_000_000) => Some(BitRate { bits_per_second }),
            _ => sink.bad(node, format!("{EXPECTED}, up to 1000Gbit/s")),
        }
    }
}

/// An amount of data in bytes: `1000`, `"100KB"` (1000 bytes each) or `"64KiB"` (1024 each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl Decode for Size {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Size> {
        const EXPECTED: &str = "a number of bytes, like `1000`, `\"100KB\"` or `\"64KiB\"`";
        let bytes = match &node.value {
            Value::Int(n) => u64::try_from(*n).ok(),
            Value::Text(text) => bytes(text),
            _ => return sink.wrong_type(node, EXPECTED),
        };
        match bytes {
            Some(bytes) if bytes > limit::BYTES => {
                sink.at(
                    node,
                    Fact::TooMuch { what: "the amount of data", found: node.shown(), max: "1GiB".to_owned() },
                );
                None
            }
            Some(bytes) => Some(Size(bytes)),
            None => sink.bad(node, EXPECTED),
        }
    }
}

/// How many bytes `text` says.
pub(super) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let (number, scale) = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    // A number too large for 64 bits is too much, not no number.
    let digits = number.trim();
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse::<u64>().map_or(u64::MAX, |n| n.saturating_mul(scale)))
}

/// How a measured number must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `0`
    Equal,
    /// `"!= 0"`
    NotEqual,
    /// `"< 20"`
    Below,
    /// `"<= 20"`
    AtMost,
    /// `"> 0"`
    Above,
    /// `">= 20"`
    AtLeast,
}

const BOUNDS: [(&str, Bound); 6] = [
    ("<=", Bound::AtMost),
    (">=", Bound::AtLeast),
    ("!=", Bound::NotEqual),
    ("<", Bound::Below),
    (">", Bound::Above),
    ("=", Bound::Equal),
];

/// A number, or a comparison with one: `0`, `"> 0"`, `">= 20"`, `"<= 40ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare<T> {
    /// How.
    pub bound: Bound,
    /// With what.
    pub with: T,
}

impl<T: PartialOrd> Compare<T> {
    /// Exactly `with`.
    pub const fn exactly(with: T) -> Compare<T> {
        Compare { bound: Bound::Equal, with }
    }

    /// Whether `measured` is as it must be.
    pub fn holds(&self, measured: &T) -> bool {
        match self.bound {
            Bound::Equal => *measured == self.with,
            Bound::NotEqual => *measured != self.with,
            Bound::Below => *measured < self.with,
            Bound::AtMost => *measured <= self.with,
            Bound::Above => *measured > self.with,
            Bound::AtLeast => *measured >= self.with,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Compare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = BOUNDS.iter().find(|(_, bound)| *bound == self.bound).map_or("=", |(sign, _)| sign);
        if self.bound == Bound::Equal { self.with.fmt(f) } else { write!(f, "{sign} {}", self.with) }
    }
}

/// The comparison that `text` begins with, and what follows it.
fn split_bound(text: &str) -> (Bound, &str) {
    let text = text.trim();
    let found = BOUNDS.iter().find_map(|(sign, bound)| Some((*bound, text.strip_prefix(sign)?.trim())));
    found.unwrap_or((Bound::Equal, text))
}

impl Decode for Compare<u64> {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Compare<u64>> {
        const EXPECTED: &str = "a number or a comparison with one, like `0`, `\"> 0\"` or `\">= 20\"`";
        let text = match &node.value {
            Value::Int(_) => return u64::decode(node, sink).map(Compare::exactly),
            Value::Text(text) => text,
            _ => return sink.wrong_type(node, EXPECTED),
        };
        let (bound, number) = split_bound(text);
        match number.parse() {
            Ok(with) => Some(Compare { bound, with }),
            Err(_) => sink.bad(node, EXPECTED),
        }
    }
}

impl Decode for Compare<Span> {
    fn decode(node: &Node, sink: &mut Sink) -> Option<Compare<Span>> {
        let text = sink.text(node, "a length of time or a comparison with one, like `\"40ms\"` or `\"<= 1s\"`")?;
        let (bound, time) = split_bound(text);
        super::decode::span(node, time, sink).map(|with| Compare { bound, with })
    }
}
