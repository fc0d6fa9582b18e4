use super::args::{ReportFormat, TestArgs};
use super::{End, Trouble, catalogue, progress, snapshot};
use crate::scenario::play;
use crate::trace::Keep;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The seed of snapshots.
pub(super) const SEED: u64 = 7;

/// What came of one story.
struct Verdict {
    name: String,
    failures: Vec<String>,
    /// Whether the file has a snapshot to be held against.
    compared: bool,
}

/// `wirefate test`.
pub(super) fn test(args: &TestArgs) -> Result<End, Trouble> {
    let default = [PathBuf::from("sims")];
    let paths = if args.paths.is_empty() { &default[..] } else { &args.paths };
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Trouble::usage(
            "no scenario file there",
            "name files that end in .toml, or folders with such files",
        ));
    }
    let bar = progress::bar(files.len());
    let mut verdicts = Vec::new();
    for file in &files {
        bar.set_message(file.display().to_string());
        verdicts.extend(one(args, file)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(&verdicts).map_err(Trouble::own("standard output"))?;
    if args.report == Some(ReportFormat::Junit) {
        report(&verdicts)?;
    }
    Ok(if verdicts.iter().all(|verdict| verdict.failures.is_empty()) { End::Held } else { End::Broken })
}

/// Every scenario file under `path`, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Trouble> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(Trouble::own(path.display()))?;
    entries.sort_by_key(fs::DirEntry::path);
    for path in entries.iter().map(fs::DirEntry::path) {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// One file: its plain story and every variant.
fn one(args: &TestArgs, file: &Path) -> Result<Vec<Verdict>, Trouble> {
    let sim = catalogue::read(file)?;
    let scenario = sim.scenario()?;
    let folder = args.snapshots.clone().unwrap_or_else(|| beside(file));
    let variants = scenario.variants.iter().map(|variant| Some(variant.name.to_string()));
    let mut verdicts = Vec::new();
    for variant in std::iter::once(None).chain(variants) {
        let instance = scenario.instance(variant.as_deref(), &[], &[])?;
        let played = play(&sim.name, &instance, args.seed, Keep::Story)?;
        let mut failures = played.verdict().broken;
        let (name, stem) = match &variant {
            None => (sim.name.clone(), sim.name.clone()),
            Some(variant) => (format!("{} ({variant})", sim.name), format!("{}@{}", sim.name, dashed(variant))),
        };
        let path = folder.join(format!("{stem}.snap"));
        let text = played.snapshot();
        let old = snapshot::read(&path)?;
        // Variants have a snapshot only where they show something else; the plain story always has.
        let compared = old.is_some() || variant.is_none();
        match old {
            _ if args.update && compared => snapshot::write(&path, &text)?,
            Some(old) => failures.extend(difference(&path, &text, &old)),
            None if compared => failures.push(format!("{} is missing; `--update` writes it", path.display())),
            None => {}
        }
        verdicts.push(Verdict { name, failures, compared });
    }
    Ok(verdicts)
}

/// `snapshots` beside the folder of the sims.
fn beside(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    folder.join("snapshots")
}

fn dashed(variant: &str) -> String {
    variant.split_whitespace().collect::<Vec<_>>().join("-")
}

fn difference(path: &Path, new: &str, old: &str) -> Option<String> {
    let (line, new, old) = snapshot::first_difference(new, old)?;
    Some(format!("{}:{line}: the trace is no longer the snapshot's\n    was  {old}\n    is   {new}", path.display()))
}

fn print(verdicts: &[Verdict]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for verdict in verdicts {
        let word = if verdict.failures.is_empty() { "held  " } else { "BROKEN" };
        let note = if verdict.compared { "" } else { " (no snapshot)" };
        writeln!(out, "{word} {}{note}", verdict.name)?;
        verdict.failures.iter().try_for_each(|failure| writeln!(out, "  {failure}"))?;
    }
    let broken = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    writeln!(out, "{} held, {broken} broken", verdicts.len() - broken)
}

fn report(verdicts: &[Verdict]) -> Result<(), Trouble> {
    let mut suite = TestSuite::new("sims");
    for verdict in verdicts {
        let mut status = TestCaseStatus::success();
        if !verdict.failures.is_empty() {
            status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(verdict.failures.join("\n"));
        }
        suite.add_test_case(TestCase::new(verdict.name.clone(), status));
    }
    let mut report = Report::new("wirefate");
    report.add_test_suite(suite);
    let path = Path::new("target/wirefate/junit.xml");
    let text = report.to_string().map_err(|error| Trouble::own(path.display())(io::Error::other(error)))?;
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).map_err(Trouble::own(path.display()))
}
