//! One grammar and one type for a fate forced on a packet: scripted in a file, recorded in a run, left by a search.

use crate::time::Span;
use crate::wire::{Flags, flags_text, parse_flags};
use std::fmt;
use std::str::FromStr;

/// A fate forced on chosen packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name in fates and expectations.
    pub name: Option<String>,
    /// Which packets.
    pub selector: Selector,
    /// What happens to them.
    pub action: Action,
    /// For a recorded choice: the impairment that took it. Else the fault acts where the link begins.
    pub stage: Option<String>,
}

/// Which packets: by what they are, with their number on the link as the last resort.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Sent on this link: the sending and the receiving endpoint.
    pub link: Option<(String, String)>,
    /// Sent in this connection.
    pub conn: Option<String>,
    /// With exactly these control bits.
    pub flags: Option<Flags>,
    /// With data, or without.
    pub payload: Option<bool>,
    /// The how-manieth packet that all of the above selects, counted from 1.
    pub nth: Option<u32>,
    /// The number of the packet on its link, counted from 1. It decides only where nothing above does.
    pub packet: Option<u64>,
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is lost.
    Drop,
    /// It arrives this much later.
    Delay(Span),
    /// It arrives this many more times, each this long after the last.
    Duplicate {
        /// How many more times.
        times: u32,
        /// The time between two.
        by: Span,
    },
    /// This bit is flipped, counted from the start of the transport header.
    Corrupt(u32),
    /// It is held back until the fault is released by its name.
    Hold,
}

/// The time between a packet and its duplicate, where nothing else is said.
pub(super) const DUPLICATE_GAP: Span = crate::time::ns(1);

/// What a selector looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The link's sending and receiving endpoint.
    pub link: (&'a str, &'a str),
    /// The connection's name.
    pub conn: Option<&'a str>,
    /// The control bits of a segment.
    pub flags: Option<Flags>,
    /// Whether a segment carries data.
    pub payload: bool,
    /// The number of the packet on its link.
    pub packet: u64,
}

impl Selector {
    /// Whether a packet is selected, its occurrence ([`Selector::nth`]) aside: the caller counts.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let link = self.link.as_ref().is_none_or(|(from, to)| (from.as_str(), to.as_str()) == facts.link);
        let conn = self.conn.as_ref().is_none_or(|conn| Some(conn.as_str()) == facts.conn);
        let flags = self.flags.is_none_or(|flags| Some(flags) == facts.flags);
        let payload = self.payload.is_none_or(|payload| payload == facts.payload);
        let by_number = self.nth.is_some() || self.packet.is_none_or(|packet| packet == facts.packet);
        link && conn && flags && payload && by_number
    }
}

/// `client > server, c1, S. #1 (packet 3)`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link.as_ref().map(|(from, to)| format!("{from} > {to}"));
        let flags = match (self.flags, self.nth) {
            (None, None) => None,
            (flags, nth) => {
                let flags = flags.map_or_else(|| "any".to_owned(), flags_text);
                Some(format!("{flags} #{}", nth.map_or_else(|| "*".to_owned(), |nth| nth.to_string())))
            }
        };
        let payload = self.payload.map(|payload| if payload { "with data" } else { "without data" }.to_owned());
        let parts: Vec<String> = [link, self.conn.clone(), payload, flags].into_iter().flatten().collect();
        f.write_str(&if parts.is_empty() { "any packet".to_owned() } else { parts.join(", ") })?;
        self.packet.map_or(Ok(()), |packet| write!(f, " (packet {packet})"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Drop => f.write_str("drop"),
            Action::Delay(span) => write!(f, "delay {span}"),
            Action::Duplicate { times, by } if *by == DUPLICATE_GAP => write!(f, "duplicate {times}"),
            Action::Duplicate { times, by } => write!(f, "duplicate {times} by {by}"),
            Action::Corrupt(bit) => write!(f, "corrupt bit {bit}"),
            Action::Hold => f.write_str("hold"),
        }
    }
}

/// `client > server, c1, S. #1 (packet 3): drop at loss`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.selector, self.action)?;
        self.stage.as_ref().map_or(Ok(()), |stage| write!(f, " at {stage}"))
    }
}

/// Why a line is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// No `: ` between the packet and what happens to it.
    NoAction,
    /// What happens is none of the known things.
    Action(String),
    /// A number or a length of time is wrong.
    Number(String),
    /// Control bits that are none.
    Flags(String),
    /// A part of the packet's description that is not understood, or stands twice.
    Part(String),
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultError::NoAction => f.write_str("expected `PACKET: ACTION`, like `client > server, c1, S. #1: drop`"),
            FaultError::Action(text) => {
                write!(
                    f,
                    "`{text}` is no action; there is drop, delay SPAN, duplicate N [by SPAN], corrupt bit N, hold"
                )
            }
            FaultError::Number(text) => {
                write!(f, "`{text}` is not the number or the length of time that belongs there")
            }
            FaultError::Flags(text) => write!(f, "`{text}` are no control bits; S, F, R, P, ., U, E, W, A are"),
            FaultError::Part(text) => {
                write!(f, "`{text}` names no packet; parts are `from > to`, a connection, `S. #1`, `(packet 3)`")
            }
        }
    }
}

impl std::error::Error for FaultError {}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(line: &str) -> Result<Fault, FaultError> {
        let (selector, action) = line.rsplit_once(": ").ok_or(FaultError::NoAction)?;
        let (action, stage) = match action.trim().split_once(" at ") {
            Some((action, stage)) => (action, Some(stage.trim().to_owned())),
            None => (action, None),
        };
        Ok(Fault { name: None, selector: selector.trim().parse()?, action: action.trim().parse()?, stage })
    }
}

impl FromStr for Action {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Action, FaultError> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let wrong = || FaultError::Number(rest.to_owned());
        match verb {
            "drop" if rest.is_empty() => Ok(Action::Drop),
            "hold" if rest.is_empty() => Ok(Action::Hold),
            "delay" => rest.parse().map(Action::Delay).map_err(|_| wrong()),
            "duplicate" => {
                let (times, by) = rest.split_once(" by ").map_or((rest, None), |(times, by)| (times, Some(by)));
                let by = by.map_or(Ok(DUPLICATE_GAP), |by| by.parse().map_err(|_| wrong()))?;
                times.parse().map(|times| Action::Duplicate { times, by }).map_err(|_| wrong())
            }
            "corrupt" => {
                let bit = rest.strip_prefix("bit ").ok_or_else(wrong)?;
                bit.parse().map(Action::Corrupt).map_err(|_| wrong())
            }
            _ => Err(FaultError::Action(text.to_owned())),
        }
    }
}

impl FromStr for Selector {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Selector, FaultError> {
        let mut selector = Selector::default();
        let mut rest = text.trim();
        if let Some((before, number)) = rest.split_once("(packet ") {
            let number = number.strip_suffix(')').unwrap_or(number);
            selector.packet = Some(number.parse().map_err(|_| FaultError::Number(number.to_owned()))?);
            rest = before.trim_end();
        }
        if rest == "any packet" {
            return Ok(selector);
        }
        for part in rest.split(',').map(str::trim) {
            selector.part(part)?;
        }
        Ok(selector)
    }
}

impl Selector {
    fn part(&mut self, part: &str) -> Result<(), FaultError> {
        let again = || FaultError::Part(part.to_owned());
        let fresh = |set: bool| if set { Err(again()) } else { Ok(()) };
        if let Some((from, to)) = part.split_once(" > ") {
            fresh(self.link.replace((from.trim().to_owned(), to.trim().to_owned())).is_some())
        } else if let Some((flags, nth)) = part.split_once('#') {
            let flags = flags.trim();
            if flags != "any" {
                self.flags = Some(parse_flags(flags).map_err(|_| FaultError::Flags(flags.to_owned()))?);
            }
            if nth != "*" {
                self.nth = Some(nth.parse().map_err(|_| FaultError::Number(nth.to_owned()))?);
            }
            Ok(())
        } else if part == "with data" || part == "without data" {
            fresh(self.payload.replace(part == "with data").is_some())
        } else if part.is_empty() || part.contains(char::is_whitespace) {
            Err(again())
        } else {
            fresh(self.conn.replace(part.to_owned()).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_what_they_print() {
        for line in [
            "client > server, c1, S. #1 (packet 3): drop",
            "client > server, c1, P. #2 (packet 7): delay 13.250ms at jitter",
            "a > b (packet 9): corrupt bit 312 at corrupt",
            "c2, with data: duplicate 2",
            "c2: duplicate 3 by 10ms",
            "a > b, any #4: hold",
            "any packet: delay 1s",
            "server > client, FP. #*: drop at loss",
        ] {
            let fault: Fault = line.parse().unwrap();
            let printed = fault.to_string();
            assert_eq!(printed.parse::<Fault>().unwrap(), fault, "{line}");
            assert_eq!(printed.replace("13.25ms", "13.250ms"), line);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = |line: &str| line.parse::<Fault>().unwrap_err();
        assert_eq!(error("client > server"), FaultError::NoAction);
        assert_eq!(error("c1: explode"), FaultError::Action("explode".into()));
        assert_eq!(error("c1: delay soon"), FaultError::Number("soon".into()));
        assert_eq!(error("c1, Q #1: drop"), FaultError::Flags("Q".into()));
        assert_eq!(error("c1, c2: drop"), FaultError::Part("c2".into()));
        assert_eq!(error("c1 (packet x): drop"), FaultError::Number("x".into()));
    }
}
