use super::args::{DrillArgs, DrillReport, IpVersion};
use super::matrix::profile;
use super::{End, Trouble};
use crate::drill::{self, Defines, Platform, Run, Script, Site, Variant, Verdict, Wanted};
use crate::endpoint::Endpoint;
use crate::host::{Host, HostConfig, Profile};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One way to run one script.
struct Job {
    script: usize,
    variant: Variant,
}

/// A script, as it was found.
struct Found {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Whose behaviour its host has.
    profile: Profile,
}

impl Found {
    fn platform(&self) -> Platform {
        Platform::of_profile(self.profile.name())
    }
}

/// `wirefate drill`.
pub(super) fn drill(args: &DrillArgs) -> Result<End, Trouble> {
    let general = profile(&args.profile)?;
    let mut scripts = Vec::new();
    for path in &args.paths {
        collect(path, general, &mut scripts)?;
    }
    if scripts.is_empty() {
        return Err(Trouble::usage("no script there", "name files that end in .pkt, or folders with such files"));
    }
    let defines: Defines = args.define.iter().cloned().collect();
    let mut jobs = Vec::new();
    for (script, found) in scripts.iter_mut().enumerate() {
        if let Some(own) = read(found, &defines).and_then(|script| script.profile().map(str::to_owned)) {
            found.profile = profile(&own)?;
        }
        jobs.extend(ways(args, found, &defines).into_iter().map(|variant| Job { script, variant }));
    }
    let wanted = Wanted { trace: args.trace, pcap: args.pcap.is_some() };
    let runs = run_all(&jobs, args.jobs, |job| {
        let found = &scripts[job.script];
        let name = found.path.display().to_string();
        let make = |site: &Site| make_host(found.profile, site);
        drill::run_text(&name, &found.bytes, job.variant, found.platform(), &defines, wanted, &make)
    });
    if let Some(folder) = &args.pcap {
        write_captures(folder, &scripts, &jobs, &runs)?;
    }
    let mut out = io::stdout().lock();
    let printed = match args.report {
        Some(DrillReport::Json) => json(&mut out, &scripts, &jobs, &runs),
        Some(DrillReport::Junit) => junit(&mut out, &scripts, &jobs, &runs),
        None => text(&mut out, args, &scripts, &jobs, &runs),
    };
    printed.map_err(Trouble::own("standard output"))?;
    let passed = runs.iter().all(|run| run.verdict == Verdict::Passed);
    Ok(if passed { End::Held } else { End::Broken })
}

/// Our host, with a clock of 1000 ticks a second where its system has one.
fn make_host(profile: Profile, site: &Site) -> Result<Box<dyn Endpoint>, String> {
    let config = HostConfig { profile, addrs: vec![site.addr], hz: Some(1_000), ..HostConfig::named(site.name) };
    let host = Host::new(config, site.seed).map_err(|error| error.to_string())?;
    Ok(Box::new(host))
}

/// Every script under `path`: a file, or all of a folder and of those in it that end in `.pkt`.
fn collect(path: &Path, profile: Profile, scripts: &mut Vec<Found>) -> Result<(), Trouble> {
    if !path.is_dir() {
        // A file that a user names and that cannot be read is a mistake in the command.
        let bytes = fs::read(path).map_err(|error| {
            Trouble::usage(format!("{}: {error}", path.display()), "name scripts, or a folder of them")
        })?;
        scripts.push(Found { path: path.to_owned(), bytes, profile });
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(Trouble::own(path.display()))?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for inner in paths {
        if inner.is_dir() || inner.extension().is_some_and(|extension| extension == "pkt") {
            collect(&inner, profile, scripts)?;
        }
    }
    Ok(())
}

/// The script as it reads over IPv4; nothing where it cannot be read.
fn read(found: &Found, given: &Defines) -> Option<Script> {
    let mut defines = Variant::Ipv4.defines();
    defines.insert(found.platform().name().to_owned(), "1".to_owned());
    defines.extend(given.clone());
    Script::parse("", &found.bytes, &defines).ok()
}

/// The ways to run a script that were asked for. One that cannot be read is run once, to say so.
fn ways(args: &DrillArgs, found: &Found, given: &Defines) -> Vec<Variant> {
    match args.ip_version {
        IpVersion::V4 => vec![Variant::Ipv4],
        IpVersion::V6 => vec![Variant::Ipv6],
        IpVersion::Mapped => vec![Variant::Mapped],
        IpVersion::Plain => vec![Variant::Plain],
        IpVersion::All => read(found, given).map_or(vec![Variant::Plain], |script| drill::variants(&script)),
    }
}

/// Runs everything, several at a time; the order is that of the jobs.
fn run_all(jobs: &[Job], threads: Option<usize>, run: impl Fn(&Job) -> Run + Sync) -> Vec<Run> {
    let runs = Mutex::new(Vec::new());
    let threads = threads.unwrap_or_else(crate::explore::processors).max(1);
    crate::explore::each(0..jobs.len() as u64, threads, |n| {
        let index = usize::try_from(n).unwrap_or(usize::MAX);
        let run = run(jobs.get(index)?);
        runs.lock().unwrap_or_else(PoisonError::into_inner).push((index, run));
        None::<()>
    });
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|(index, _)| *index);
    runs.into_iter().map(|(_, run)| run).collect()
}

fn text(out: &mut impl Write, args: &DrillArgs, scripts: &[Found], jobs: &[Job], runs: &[Run]) -> io::Result<()> {
    for (job, run) in jobs.iter().zip(runs) {
        let name = scripts[job.script].path.display();
        write!(out, "{:<11} {name} ({})", run.verdict.name(), job.variant)?;
        match &run.verdict {
            Verdict::Passed => writeln!(out)?,
            Verdict::Unsupported { line, what } => writeln!(out, ": line {line}: {what}")?,
            Verdict::Failed(failure) => write!(out, "\n{failure}")?,
        }
        run.warnings.iter().try_for_each(|warning| writeln!(out, "  warning: {warning}"))?;
        if args.trace {
            run.printed.lines().try_for_each(|line| writeln!(out, "  printed: {line}"))?;
            out.write_all(run.trace.as_deref().unwrap_or("").as_bytes())?;
        }
    }
    let count = |name: &str| runs.iter().filter(|run| run.verdict.name() == name).count();
    writeln!(
        out,
        "{} scripts, {} runs: {} passed, {} failed, {} unsupported",
        scripts.len(),
        runs.len(),
        count("passed"),
        count("failed"),
        count("unsupported")
    )
}

fn json(out: &mut impl Write, scripts: &[Found], jobs: &[Job], runs: &[Run]) -> io::Result<()> {
    let rows = jobs.iter().zip(runs).map(|(job, run)| {
        let (line, reason) = run.verdict.reason().unzip();
        serde_json::json!({
            "script": scripts[job.script].path.display().to_string(),
            "variant": job.variant.name(),
            "verdict": run.verdict.name(),
            "line": line,
            "reason": reason,
        })
    });
    let all: Vec<_> = rows.collect();
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

fn junit(out: &mut impl Write, scripts: &[Found], jobs: &[Job], runs: &[Run]) -> io::Result<()> {
    let mut suite = TestSuite::new("wirefate drill");
    for (job, run) in jobs.iter().zip(runs) {
        let status = match &run.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::Failed(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status
                    .set_message(format!("line {}: {}", failure.line, failure.what))
                    .set_description(failure.to_string());
                status
            }
            Verdict::Unsupported { line, what } => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(format!("line {line}: {what}"));
                status
            }
        };
        let name = format!("{} ({})", scripts[job.script].path.display(), job.variant);
        suite.add_test_case(TestCase::new(name, status));
    }
    let mut report = quick_junit::Report::new("wirefate");
    report.add_test_suite(suite);
    let text = report.to_string().map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

/// Writes `SCRIPT-VARIANT.pcapng` for each run.
fn write_captures(folder: &Path, scripts: &[Found], jobs: &[Job], runs: &[Run]) -> Result<(), Trouble> {
    fs::create_dir_all(folder).map_err(Trouble::own(folder.display()))?;
    for (job, run) in jobs.iter().zip(runs) {
        let Some(bytes) = &run.pcap else { continue };
        // Scripts of one name in several folders do not overwrite each other.
        let flat = scripts[job.script].path.with_extension("").display().to_string();
        let flat = flat.trim_start_matches(['.', '/']).replace(['/', '\\'], "-");
        let file = folder.join(format!("{flat}-{}.pcapng", job.variant));
        fs::write(&file, bytes).map_err(Trouble::own(file.display()))?;
    }
    Ok(())
}
