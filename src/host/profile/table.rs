//! How a profile's table is written.

use super::{Behaviour, Confidence};
use crate::host::config::Settings;
use crate::host::sysctl::{Sysctl, Text, Unit, Values};

/// A sysctl with one value.
pub(super) const fn one(
    name: &'static str,
    unit: Unit,
    default: u64,
    (min, max): (u64, u64),
    (source, confidence): (&'static str, Confidence),
    set: fn(&mut Settings, Values),
) -> Sysctl {
    let default = [default, 0, 0];
    Sysctl { name, unit, count: 1, default, min, max, source, confidence, lacks: None, text: None, set }
}

/// A sysctl that stays off, since this profile lacks what it would turn on.
pub(super) const fn off(name: &'static str, lacks: &'static str) -> Sysctl {
    Sysctl {
        name,
        unit: Unit::Number,
        count: 1,
        default: [0; 3],
        min: 0,
        max: 0,
        source: "optional in RFC 9293",
        confidence: Confidence::Specified,
        lacks: Some(lacks),
        text: None,
        set: |_, _| {},
    }
}

/// A sysctl that stays off, and where that is written.
pub(super) const fn lacks(
    name: &'static str,
    lacks: &'static str,
    (source, confidence): (&'static str, Confidence),
) -> Sysctl {
    Sysctl { source, confidence, ..off(name, lacks) }
}

/// A sysctl whose value is a text of the shape `expected`; `set` says whether it is.
pub(super) const fn text(
    name: &'static str,
    expected: &'static str,
    default: &'static str,
    source: (&'static str, Confidence),
    set: fn(&mut Settings, &str) -> bool,
) -> Sysctl {
    Sysctl {
        count: 0,
        text: Some(Text { expected, default, set }),
        ..one(name, Unit::Number, 0, (0, 0), source, |_, _| {})
    }
}

/// A buffer's least, default and greatest size.
pub(super) const fn buffer(
    name: &'static str,
    default: [u64; 3],
    source: (&'static str, Confidence),
    set: fn(&mut Settings, Values),
) -> Sysctl {
    let one = one(name, Unit::Bytes, 0, (256, 1 << 30), source, set);
    Sysctl { count: 3, default, ..one }
}

/// An integer that its range keeps within 32 bits.
pub(super) fn int(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// An integer that its range keeps within 8 bits.
pub(super) fn small(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

pub(super) fn port(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// A behaviour, and what it sets.
pub(super) const fn does(
    name: &'static str,
    value: &'static str,
    (source, confidence): (&'static str, Confidence),
    set: fn(&mut Settings),
) -> Behaviour {
    Behaviour { name, value, source, confidence, set }
}
