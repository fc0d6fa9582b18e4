use super::field::Seconds;
use super::recording::BadRecording;
use super::replay::Machine;
use crate::tcp::TimerRule;
use crate::time::{SimTime, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The clock of the machine that made the recordings of a folder: when each began, and how long the machine had been up.
///
/// With it every recording is played on one and the same machine, whose timer wheel turns on from recording to recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    uptime: Span,
    began: BTreeMap<String, Span>,
}

#[derive(Deserialize)]
struct Raw {
    uptime: Seconds,
    began: BTreeMap<String, Seconds>,
}

impl Clock {
    /// Reads the text of `file`: `uptime` in seconds when its first recording began, `began` in seconds from then.
    pub fn parse(file: &str, text: &[u8]) -> Result<Clock, BadRecording> {
        let raw: Raw = serde_json::from_slice(text).map_err(|error| BadRecording::new(file, &error))?;
        let span = |Seconds(time)| -> Span { time.since(SimTime::ZERO) };
        let began = raw.began.into_iter().map(|(name, at)| (name, span(at))).collect();
        Ok(Clock { uptime: span(raw.uptime), began })
    }

    /// The same recordings by a machine that had been up for `uptime` when the first began.
    pub fn with_uptime(&self, uptime: Span) -> Clock {
        Clock { uptime, began: self.began.clone() }
    }

    /// How long the machine had been up when the first recording began.
    pub fn uptime(&self) -> Span {
        self.uptime
    }

    /// The machine as it was when the recording `name` began; nothing where that is not known.
    pub fn machine(&self, name: &str) -> Option<Machine> {
        let uptime = self.uptime + *self.began.get(name)?;
        Some(Machine { timers: TimerRule::Wheel, uptime })
    }
}
