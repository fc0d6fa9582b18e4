use super::compare::{Comparison, compare};
use super::manifest::Repeat;
use super::recording::Recording;
use super::replay::{Unsupported, replay};
use crate::host::Profile;
use crate::time::SimTime;
use std::fmt;

/// One thing that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When.
    pub at: SimTime,
    /// What: `flags`, `not sent`, `result`, `time: …`.
    pub what: String,
    /// As it was recorded, if it was.
    pub recorded: Option<String>,
    /// As it is with us, if it is.
    pub ours: Option<String>,
}

/// What came of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// What was seen and how it compares; or why it could not be played.
    pub result: Result<(Recording, Comparison), Unsupported>,
}

/// How many recordings came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Played and found the same.
    pub matched: usize,
    /// Played and found different.
    pub differed: usize,
    /// Not played.
    pub unsupported: usize,
    /// Whether more windows differ than may.
    pub too_many_windows: bool,
}

/// Plays a recording on `profile` and compares.
pub fn judge(recording: &Recording, repeat: &Repeat, profile: Profile) -> Verdict {
    let result = replay(recording, profile).map(|ours| {
        let comparison = compare(recording, &ours, repeat);
        (ours, comparison)
    });
    Verdict { name: recording.name.clone(), result }
}

impl Totals {
    /// Of all `verdicts` together: windows may differ in 2 % of all segments.
    pub fn of(verdicts: &[Verdict]) -> Totals {
        let played = || verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok());
        let windows: usize = played().map(|(_, comparison)| comparison.windows.len()).sum();
        let segments: usize = played().map(|(_, comparison)| comparison.segments).sum();
        let too_many_windows = windows * 50 > segments;
        let mut totals = Totals { too_many_windows, ..Totals::default() };
        for verdict in verdicts {
            let count = match verdict.word(too_many_windows) {
                "matched" => &mut totals.matched,
                "differed" => &mut totals.differed,
                _ => &mut totals.unsupported,
            };
            *count += 1;
        }
        totals
    }
}

impl Verdict {
    /// `matched`, `differed` or `unsupported`; where more windows differ than may, those that do count.
    pub fn word(&self, too_many_windows: bool) -> &'static str {
        match &self.result {
            Err(_) => "unsupported",
            Ok((_, comparison)) if !comparison.differences.is_empty() => "differed",
            Ok((_, comparison)) if too_many_windows && !comparison.windows.is_empty() => "differed",
            Ok(_) => "matched",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |line: &Option<String>| line.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(f, "  {}", self.what)?;
        writeln!(f, "    recorded {}", line(&self.recorded))?;
        write!(f, "    ours     {}", line(&self.ours))
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} matched, {} differed, {} unsupported", self.matched, self.differed, self.unsupported)
    }
}
