use super::field::Seconds;
use super::recording::BadRecording;
use crate::time::{SimTime, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is said of a folder of recordings: how the second run of each went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    repeats: BTreeMap<String, Repeat>,
}

/// How far a second run of the same case was the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// In everything.
    #[default]
    Identical,
    /// In its segments, not in their order.
    OtherOrder {
        /// The greatest difference in time between the same segments.
        max_dt: Span,
    },
    /// It had other segments.
    Differs {
        /// How many segments either run had.
        counts: (usize, usize),
    },
}

#[derive(Deserialize)]
struct Raw {
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
struct RawCase {
    name: String,
    repeat: RawRepeat,
}

#[derive(Deserialize)]
struct RawRepeat {
    repeat: Kind,
    n: Option<(usize, usize)>,
    max_dt: Option<Seconds>,
}

#[derive(Deserialize)]
enum Kind {
    #[serde(rename = "identical")]
    Identical,
    #[serde(rename = "same segments, other order")]
    OtherOrder,
    #[serde(rename = "differs")]
    Differs,
}

impl Manifest {
    /// Reads the text of `file`.
    pub fn parse(file: &str, text: &[u8]) -> Result<Manifest, BadRecording> {
        let raw: Raw = serde_json::from_slice(text).map_err(|error| BadRecording::new(file, &error))?;
        let repeats = raw.cases.into_iter().map(|case| (case.name, case.repeat.into()));
        Ok(Manifest { repeats: repeats.collect() })
    }

    /// How the second run of a recording went; a recording that the manifest does not know is taken at its word.
    pub fn repeat(&self, name: &str) -> Repeat {
        self.repeats.get(name).cloned().unwrap_or_default()
    }
}

impl From<RawRepeat> for Repeat {
    fn from(raw: RawRepeat) -> Repeat {
        match raw.repeat {
            Kind::Identical => Repeat::Identical,
            Kind::OtherOrder => {
                let max_dt = raw.max_dt.unwrap_or_default().0.since(SimTime::ZERO);
                Repeat::OtherOrder { max_dt }
            }
            Kind::Differs => Repeat::Differs { counts: raw.n.unwrap_or_default() },
        }
    }
}
