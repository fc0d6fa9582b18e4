use super::args::GoldenArgs;
use super::matrix::profile;
use super::{End, Trouble};
use crate::golden::{BadRecording, Clock, Machine, Manifest, Recording, Repeat, Totals, Verdict, judge, side_by_side};
use crate::host::Profile;
use crate::tcp::TimerRule;
use crate::time::{Span, ms};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Differences of one case that are shown.
const SHOWN: usize = 3;

/// Uptimes that are tried, a millisecond apart: after so many a timer wheel looks the same.
const UPTIMES: u64 = 2_048;

/// Of these so many are printed.
const BEST: usize = 8;

/// A recording, how its second run went, and the clock of the machine that made it.
#[derive(Clone)]
struct Case {
    recording: Recording,
    repeat: Repeat,
    clock: Arc<Clock>,
}

impl Case {
    /// The machine that made it, where that is known.
    fn machine(&self) -> Option<Machine> {
        self.clock.machine(&self.recording.name)
    }
}

/// `wirefate golden`.
pub(super) fn golden(args: &GoldenArgs) -> Result<End, Trouble> {
    let profile = profile(&args.profile)?;
    let mut cases = Vec::new();
    for path in &args.paths {
        collect(path, &mut cases)?;
    }
    cases.retain(|case| args.filter.as_ref().is_none_or(|part| case.recording.name.contains(part.as_str())));
    if cases.is_empty() {
        return Err(Trouble::usage("no recording there", "name files that end in .json, or folders with such files"));
    }
    if args.find_uptime {
        return find_uptime(&cases, profile);
    }
    let verdicts = judge_all(&cases, profile, Case::machine);
    let totals = Totals::of(&verdicts);
    print(args, &cases, &verdicts, &totals).map_err(Trouble::own("standard output"))?;
    Ok(if totals.differed == 0 && totals.unsupported == 0 { End::Held } else { End::Broken })
}

/// Every recording under `path`: a file, or a folder; what is said of all of them lies beside them or above their folder.
fn collect(path: &Path, cases: &mut Vec<Case>) -> Result<(), Trouble> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let manifest = beside(folder, "manifest.json", Manifest::parse)?;
    let clock = Arc::new(beside(folder, "clock.json", Clock::parse)?);
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = listed(path)?;
        let inner = path.join("cases");
        if inner.is_dir() {
            files.extend(listed(&inner)?);
        }
    }
    for file in files {
        let name = file.display().to_string();
        let recording = Recording::parse(&name, &read(&file)?).map_err(|error| bad(&error))?;
        let repeat = manifest.repeat(&recording.name);
        cases.push(Case { recording, repeat, clock: clock.clone() });
    }
    Ok(())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Trouble::own(folder.display()))?;
    let is_case = |path: &PathBuf| {
        let says_of_all = ["manifest.json", "clock.json"].iter().any(|name| path.ends_with(name));
        path.extension().is_some_and(|extension| extension == "json") && !says_of_all
    };
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(is_case).collect();
    files.sort();
    Ok(files)
}

/// What the file `name` in `folder` or above it says of the recordings there, if there is one.
fn beside<T: Default>(
    folder: &Path,
    name: &str,
    parse: fn(&str, &[u8]) -> Result<T, BadRecording>,
) -> Result<T, Trouble> {
    let places = [folder.join(name), folder.join("..").join(name)];
    let Some(file) = places.iter().find(|file| file.is_file()) else { return Ok(T::default()) };
    parse(&file.display().to_string(), &read(file)?).map_err(|error| bad(&error))
}

fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    // A file that a user names and that cannot be read is a mistake in the command.
    fs::read(file)
        .map_err(|error| Trouble::usage(format!("{}: {error}", file.display()), "name recordings, or a folder of them"))
}

fn bad(error: &BadRecording) -> Trouble {
    Trouble::usage(error, "tests/golden holds recordings as they should be")
}

/// Tells how many recordings differ on machines that had been up for longer or less, those with the fewest first.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn find_uptime(cases: &[Case], profile: Profile) -> Result<End, Trouble> {
    if !profile.has_timer_wheel() {
        return Err(Trouble::usage(
            format!("{profile} has no timer wheel"),
            "its timers fire at their tick: try linux",
        ));
    }
    let known: Vec<Case> = cases.iter().filter(|case| case.machine().is_some()).cloned().collect();
    if known.is_empty() {
        return Err(Trouble::usage("no recording there has a clock", "say when they began in clock.json beside them"));
    }
    let mut found: Vec<(usize, Span)> = Vec::new();
    for uptime in (0..UPTIMES).map(ms) {
        let machine = |case: &Case| case.clock.with_uptime(uptime).machine(&case.recording.name);
        let totals = Totals::of(&judge_all(&known, profile, machine));
        found.push((totals.differed, uptime));
    }
    found.sort();
    for (differed, uptime) in &found[..BEST] {
        println!("{uptime:<8} {differed} of {} differ", known.len());
    }
    let worst = found.last().map_or(0, |(differed, _)| *differed);
    println!("of {UPTIMES} uptimes; with the worst {worst} differ, with the median {}", found[found.len() / 2].0);
    Ok(End::Held)
}

/// Plays the cases, each on its machine, several at a time; the order is theirs.
fn judge_all(cases: &[Case], profile: Profile, machine: impl Fn(&Case) -> Option<Machine> + Sync) -> Vec<Verdict> {
    let verdicts = Mutex::new(Vec::new());
    crate::explore::each(0..cases.len() as u64, crate::explore::processors(), |n| {
        let index = usize::try_from(n).unwrap_or(usize::MAX);
        let case = cases.get(index)?;
        let verdict = judge(&case.recording, &case.repeat, profile, machine(case));
        verdicts.lock().unwrap_or_else(PoisonError::into_inner).push((index, verdict));
        None::<()>
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|(index, _)| *index);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

fn print(args: &GoldenArgs, cases: &[Case], verdicts: &[Verdict], totals: &Totals) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (case, verdict) in cases.iter().zip(verdicts) {
        let word = verdict.word(totals);
        write!(out, "{word:<11} {}", verdict.name)?;
        let (ours, comparison) = match &verdict.result {
            Err(missing) => {
                writeln!(out, ": {missing}")?;
                continue;
            }
            Ok(result) => result,
        };
        let more = comparison.differences.len().saturating_sub(SHOWN);
        let phase = match verdict.machine {
            Machine { timers: TimerRule::Wheel, uptime } if case.machine().is_none() => {
                format!(
                    " on a timer wheel {uptime} after its start: its machine is not known, this is the first that fits"
                )
            }
            _ => String::new(),
        };
        writeln!(out, "{phase}{}", if more > 0 { format!(" ({more} more)") } else { String::new() })?;
        let shown = if args.verbose { usize::MAX } else { SHOWN };
        for difference in comparison.differences.iter().take(shown).chain(&comparison.wide).chain(&comparison.windows) {
            writeln!(out, "{difference}")?;
        }
        if args.verbose {
            out.write_all(side_by_side(&case.recording, ours).as_bytes())?;
        }
    }
    if totals.too_many_windows {
        writeln!(out, "more than 2 % of all segments have another window")?;
    }
    if totals.too_many_wide {
        writeln!(out, "more gaps need the wider rule than one for five hundred segments, or than five")?;
    }
    let known = cases.iter().zip(verdicts).filter(|(case, verdict)| case.machine() == Some(verdict.machine)).count();
    if known > 0 {
        writeln!(out, "{known} of {} recordings were played on the machine that made them", cases.len())?;
    }
    writeln!(out, "{totals}")
}
