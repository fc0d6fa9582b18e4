use super::compare::{Comparison, compare};
use super::manifest::Repeat;
use super::recording::Recording;
use super::replay::{Machine, Unsupported, replay, replay_on};
use super::rule::Timing;
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
    /// On which machines it was played in the end: on those that are known; else on exact timers, or where those of a wheel
    /// come nearer, on the first that come nearest.
    pub machine: Machine,
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
    /// Whether more windows differ than may: 2 % of all segments.
    pub too_many_windows: bool,
    /// Whether more gaps need the wider rule than may: one for five hundred segments, and five.
    pub too_many_wide: bool,
}

/// Gaps of a whole run that may need the wider rule.
const WIDE: usize = 5;

/// And one of them for so many segments, so that a single recording may need it for none.
const PER_WIDE: usize = 500;

/// Plays a recording on `profile` and compares: on `machine` where that is known and the system has a timer wheel; else on
/// exact timers, and where those do not come to the same, on a wheel in each of its phases until one does.
pub fn judge(recording: &Recording, repeat: &Repeat, profile: Profile, machine: Option<Machine>) -> Verdict {
    let name = recording.name.clone();
    if let Some(machine) = machine.filter(|_| profile.has_timer_wheel()) {
        let result = replay_on(recording, profile, machine).map(|ours| {
            let comparison = compare(recording, &ours, repeat, Timing::Wheel);
            (ours, comparison)
        });
        return Verdict { name, machine, result };
    }
    let exact = replay(recording, profile).map(|ours| {
        let comparison = compare(recording, &ours, repeat, Timing::Exact);
        (ours, comparison)
    });
    let mut best = Verdict { name, machine: Machine::default(), result: exact };
    // What two runs do not share has no times.
    let phases = *repeat == Repeat::Identical && profile.has_timer_wheel();
    for machine in Machine::wheels().take_while(|_| phases) {
        let wanting = best.wanting();
        if wanting == 0 {
            break;
        }
        let Ok(ours) = replay_on(recording, profile, machine) else { break };
        let comparison = compare(recording, &ours, repeat, Timing::Wheel);
        let other = Verdict { name: best.name.clone(), machine, result: Ok((ours, comparison)) };
        // One that differs is no better than another, and shown with exact timers.
        if other.wanting() < wanting {
            best = other;
        }
    }
    best
}

impl Totals {
    /// Of all `verdicts` together.
    pub fn of(verdicts: &[Verdict]) -> Totals {
        let played = || verdicts.iter().filter_map(|verdict| verdict.result.as_ref().ok());
        let sum = |f: fn(&Comparison) -> usize| -> usize { played().map(|(_, comparison)| f(comparison)).sum() };
        let segments = sum(|comparison| comparison.segments);
        let mut totals = Totals {
            too_many_windows: sum(|comparison| comparison.windows.len()) * 50 > segments,
            too_many_wide: sum(|comparison| comparison.wide.len()) > (segments / PER_WIDE).min(WIDE),
            ..Totals::default()
        };
        for verdict in verdicts {
            let count = match verdict.word(&totals) {
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
    /// How many gaps need the wider rule; the greatest number where anything differs.
    fn wanting(&self) -> usize {
        match &self.result {
            Ok((_, comparison)) if comparison.differences.is_empty() => comparison.wide.len(),
            Ok(_) => usize::MAX,
            Err(_) => 0,
        }
    }

    /// `matched`, `differed` or `unsupported`; where more windows differ in the run than may, or more gaps need the wider
    /// rule, those that do count.
    pub fn word(&self, totals: &Totals) -> &'static str {
        match &self.result {
            Err(_) => "unsupported",
            Ok((_, comparison)) if !comparison.differences.is_empty() => "differed",
            Ok((_, comparison)) if totals.too_many_windows && !comparison.windows.is_empty() => "differed",
            Ok((_, comparison)) if totals.too_many_wide && !comparison.wide.is_empty() => "differed",
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
