use super::args::GoldenArgs;
use super::matrix::profile;
use super::{End, Trouble};
use crate::golden::{Machine, Manifest, Recording, Repeat, Totals, Verdict, judge, side_by_side};
use crate::host::Profile;
use crate::tcp::TimerRule;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Differences of one case that are shown.
const SHOWN: usize = 3;

/// A recording, and how its second run went.
struct Case {
    recording: Recording,
    repeat: Repeat,
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
    let verdicts = judge_all(&cases, profile);
    let totals = Totals::of(&verdicts);
    print(args, &cases, &verdicts, &totals).map_err(Trouble::own("standard output"))?;
    Ok(if totals.differed == 0 && totals.unsupported == 0 { End::Held } else { End::Broken })
}

/// Every recording under `path`: a file, or a folder with a manifest beside its recordings or above their folder.
fn collect(path: &Path, cases: &mut Vec<Case>) -> Result<(), Trouble> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let manifest = manifest(folder)?;
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
        cases.push(Case { recording, repeat });
    }
    Ok(())
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Trouble::own(folder.display()))?;
    let is_case = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("manifest.json")
    };
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(is_case).collect();
    files.sort();
    Ok(files)
}

fn manifest(folder: &Path) -> Result<Manifest, Trouble> {
    let places = [folder.join("manifest.json"), folder.join("..").join("manifest.json")];
    let Some(file) = places.iter().find(|file| file.is_file()) else { return Ok(Manifest::default()) };
    Manifest::parse(&file.display().to_string(), &read(file)?).map_err(|error| bad(&error))
}

fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    // A file that a user names and that cannot be read is a mistake in the command.
    fs::read(file)
        .map_err(|error| Trouble::usage(format!("{}: {error}", file.display()), "name recordings, or a folder of them"))
}

fn bad(error: &crate::golden::BadRecording) -> Trouble {
    Trouble::usage(error, "tests/golden holds recordings as they should be")
}

/// Plays the cases, several at a time; the order is theirs.
fn judge_all(cases: &[Case], profile: Profile) -> Vec<Verdict> {
    let verdicts = Mutex::new(Vec::new());
    crate::explore::each(0..cases.len() as u64, crate::explore::processors(), |n| {
        let index = usize::try_from(n).unwrap_or(usize::MAX);
        let case = cases.get(index)?;
        let verdict = judge(&case.recording, &case.repeat, profile);
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
            Machine { timers: TimerRule::Wheel, uptime } => format!(" on a timer wheel {uptime} after its start"),
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
        writeln!(out, "more gaps need the wider rule than one for a thousand segments, or than five")?;
    }
    writeln!(out, "{totals}")
}
