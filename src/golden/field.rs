//! The fields of a recording that have a notation of their own: times, directions, options, states.

use crate::endpoint::State;
use crate::time::SimTime;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::str::FromStr;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Seconds with up to nine decimals, read without floating point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub SimTime);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        read_seconds(&number.to_string())
            .map(Seconds)
            .ok_or_else(|| de::Error::custom(format!("`{number}` is no time: expected seconds from 0 to 1000000000")))
    }
}

/// `0.00045`, `12`, `1e-5`.
fn read_seconds(text: &str) -> Option<SimTime> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let power = exponent.checked_add(9)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let scale = 10_u128.checked_pow(power.unsigned_abs())?;
    let nanos = if power < 0 { digits / scale } else { digits.checked_mul(scale)? };
    u64::try_from(nanos).ok().filter(|&n| n <= SECOND * SECOND).map(SimTime::from_nanos)
}

/// A time as a recording writes it.
pub(super) fn seconds_text(time: SimTime) -> String {
    let nanos = time.as_nanos();
    let text = format!("{}.{:09}", nanos / SECOND, nanos % SECOND);
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// Which way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Dir {
    /// From the client.
    #[serde(rename = "c>s")]
    ToServer,
    /// From the server.
    #[serde(rename = "s>c")]
    ToClient,
}

impl Dir {
    /// The other way.
    pub const fn back(self) -> Dir {
        match self {
            Dir::ToServer => Dir::ToClient,
            Dir::ToClient => Dir::ToServer,
        }
    }

    /// Who sends.
    pub const fn sender(self) -> Side {
        match self {
            Dir::ToServer => Side::Client,
            Dir::ToClient => Side::Server,
        }
    }

    /// What this side sends.
    pub const fn from_side(side: Side) -> Option<Dir> {
        match side {
            Side::Client => Some(Dir::ToServer),
            Side::Server => Some(Dir::ToClient),
            Side::Wire | Side::All => None,
        }
    }
}

impl fmt::Display for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dir::ToServer => "c>s",
            Dir::ToClient => "s>c",
        })
    }
}

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// At the client.
    Client,
    /// At the server.
    Server,
    /// Between them.
    Wire,
    /// Everywhere.
    #[serde(rename = "*")]
    All,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Side::Client => "client",
            Side::Server => "server",
            Side::Wire => "wire",
            Side::All => "*",
        })
    }
}

/// What became of a segment between the two.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Act {
    /// It was delivered.
    Forward,
    /// It was lost.
    Drop,
    /// It was delivered late.
    Hold,
    /// It was delivered twice.
    Duplicate,
    /// It was delivered with other numbers.
    Rewrite,
    /// Neither host sent it.
    Inject,
}

impl TryFrom<String> for Act {
    type Error = String;

    fn try_from(text: String) -> Result<Act, String> {
        // What follows the word explains it: `hold +0.3s`, `drop (spoofed peer does not exist)`.
        match text.split_whitespace().next().unwrap_or("") {
            "fwd" => Ok(Act::Forward),
            "drop" => Ok(Act::Drop),
            "hold" => Ok(Act::Hold),
            "duplicate" => Ok(Act::Duplicate),
            "rewrite" => Ok(Act::Rewrite),
            "inject" => Ok(Act::Inject),
            _ => Err(format!("unknown act `{text}`: expected fwd, drop, hold, duplicate, rewrite or inject")),
        }
    }
}

impl Act {
    /// As a recording writes it.
    pub const fn name(&self) -> &'static str {
        match self {
            Act::Forward => "fwd",
            Act::Drop => "drop",
            Act::Hold => "hold",
            Act::Duplicate => "duplicate",
            Act::Rewrite => "rewrite",
            Act::Inject => "inject",
        }
    }
}

/// One TCP option as a recording shows it: numbers relative where the segment's are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Opt {
    /// `mss 1460`.
    Mss(u16),
    /// `nop`.
    Nop,
    /// `eol`.
    End,
    /// `sackOK`.
    SackPermitted,
    /// `wscale 7`.
    WindowScale(u8),
    /// `TS 11/0`: milliseconds since the first of either side.
    Timestamps(i64, i64),
    /// `sack 1-11 21-31`.
    Sack(Vec<(i64, i64)>),
    /// Any other, by its text.
    Other(String),
}

impl TryFrom<String> for Opt {
    type Error = String;

    fn try_from(text: String) -> Result<Opt, String> {
        Opt::read(&text).ok_or_else(|| format!("bad option `{text}`"))
    }
}

impl Opt {
    fn read(text: &str) -> Option<Opt> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "mss" => Opt::Mss(rest.parse().ok()?),
            "nop" => Opt::Nop,
            "eol" => Opt::End,
            "sackOK" => Opt::SackPermitted,
            "wscale" => Opt::WindowScale(rest.parse().ok()?),
            "TS" => {
                let (val, ecr) = rest.split_once('/')?;
                Opt::Timestamps(val.parse().ok()?, ecr.parse().ok()?)
            }
            "sack" => Opt::Sack(rest.split_whitespace().map(block).collect::<Option<Vec<_>>>()?),
            _ => Opt::Other(text.to_owned()),
        })
    }
}

/// `1-11`, `-20--10`.
fn block(text: &str) -> Option<(i64, i64)> {
    let dash = text.get(1..)?.find('-')? + 1;
    Some((number(&text[..dash])?, number(&text[dash + 1..])?))
}

fn number(text: &str) -> Option<i64> {
    i64::from_str(text).ok()
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opt::Mss(mss) => write!(f, "mss {mss}"),
            Opt::Nop => f.write_str("nop"),
            Opt::End => f.write_str("eol"),
            Opt::SackPermitted => f.write_str("sackOK"),
            Opt::WindowScale(shift) => write!(f, "wscale {shift}"),
            Opt::Timestamps(val, ecr) => write!(f, "TS {val}/{ecr}"),
            Opt::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(left, right)| write!(f, " {left}-{right}"))
            }
            Opt::Other(text) => f.write_str(text),
        }
    }
}

/// A state under its Linux name; `-` before a connection and `gone` after it are [`State::Closed`].
pub(super) fn read_state(name: &str) -> Option<State> {
    Some(match name {
        "-" | "gone" | "CLOSE" => State::Closed,
        "LISTEN" => State::Listen,
        "SYN_SENT" => State::SynSent,
        "SYN_RECV" | "NEW_SYN_RECV" => State::SynReceived,
        "ESTABLISHED" => State::Established,
        "FIN_WAIT1" => State::FinWait1,
        "FIN_WAIT2" => State::FinWait2,
        "CLOSE_WAIT" => State::CloseWait,
        "CLOSING" => State::Closing,
        "LAST_ACK" => State::LastAck,
        "TIME_WAIT" => State::TimeWait,
        _ => return None,
    })
}

/// The Linux name of a state; `none` where there is no connection.
pub(super) const fn state_name(state: State, none: &'static str) -> &'static str {
    match state {
        State::Closed => none,
        State::Listen => "LISTEN",
        State::SynSent => "SYN_SENT",
        State::SynReceived => "SYN_RECV",
        State::Established => "ESTABLISHED",
        State::FinWait1 => "FIN_WAIT1",
        State::FinWait2 => "FIN_WAIT2",
        State::CloseWait => "CLOSE_WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST_ACK",
        State::TimeWait => "TIME_WAIT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_without_loss() {
        for (text, nanos, again) in
            [("0.00045", 450_000, "0.00045"), ("12", 12 * SECOND, "12"), ("1e-5", 10_000, "0.00001"), ("0", 0, "0")]
        {
            let time = read_seconds(text).unwrap();
            assert_eq!((time.as_nanos(), seconds_text(time).as_str()), (nanos, again));
        }
        for bad in ["-1", "1e40", "1000000001", "x"] {
            assert_eq!(read_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn options_come_back_from_their_text() {
        for text in ["mss 1460", "nop", "sackOK", "TS -5/7", "wscale 7", "sack 1-11 -20--10", "FO 0102"] {
            assert_eq!(Opt::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for bad in ["mss", "wscale 300", "TS 5", "sack 1"] {
            assert!(Opt::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
