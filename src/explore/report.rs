use super::env::TestName;
use super::pool::Panic;
use crate::net::Fault;
use crate::sim::{Outcome, Sim};
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// A failure on one screen: what, why, and how to see it again.
pub(super) struct Report<'a> {
    pub(super) seed: u64,
    pub(super) seeds: Range<u64>,
    pub(super) caller: &'a Location<'a>,
    pub(super) name: &'a TestName,
    pub(super) panic: Option<&'a Panic>,
    pub(super) outcome: &'a Outcome,
    pub(super) recorded: &'a [Fault],
    pub(super) artefact: io::Result<Artefact>,
    pub(super) replayed: bool,
}

/// How many recorded choices the screen shows.
const SHOWN: usize = 12;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.seeds;
        writeln!(f, "{} fails under seed {} (of {start}..{end})\n", self.name.test, self.seed)?;
        if let Some(panic) = self.panic {
            writeln!(f, "  panicked at {}:\n    {}", panic.place, panic.message.replace('\n', "\n    "))?;
        }
        for violation in &self.outcome.violations {
            writeln!(f, "  {} ({}) at {}:", violation.oracle, violation.source, violation.at)?;
            writeln!(f, "    {}", violation.text)?;
        }
        if let Some(ended) = self.outcome.ended {
            writeln!(f, "  the run ended at {}: {ended}", self.outcome.at)?;
        }
        self.choices(f)?;
        writeln!(f, "\n  replay  {}", self.command())?;
        match &self.artefact {
            Ok(artefact) => {
                writeln!(f, "  trace   {}", artefact.file("trace.txt"))?;
                writeln!(f, "  pcap    {}", artefact.file("trace.pcapng"))?;
                writeln!(f, "  faults  {}", artefact.file("faults.txt"))
            }
            Err(error) => writeln!(f, "  the trace could not be written: {error}"),
        }
    }
}

impl Report<'_> {
    fn choices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.replayed { "replayed" } else { "recorded" };
        if self.recorded.is_empty() {
            return writeln!(f, "\n  no choice of the network was anything but harmless");
        }
        writeln!(f, "\n  {} {kind} choices (shrinking them is not part of this version):", self.recorded.len())?;
        for fault in self.recorded.iter().take(SHOWN) {
            writeln!(f, "    {fault}")?;
        }
        match self.recorded.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "    ... and {more} more in faults.txt"),
        }
    }

    /// The command that runs this seed again.
    fn command(&self) -> String {
        let file = Path::new(self.caller.file());
        let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let target = match file.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()) {
            Some(first) if first == "tests" => format!("--test {stem} "),
            _ => String::new(),
        };
        format!("WIREFATE_SEED={} cargo test {target}{} -- --exact", self.seed, self.name.test)
    }
}

/// The folder that a failure is left in.
#[derive(Clone, Debug)]
pub(super) struct Artefact {
    folder: PathBuf,
}

impl Artefact {
    /// Writes `target/wirefate/PACKAGE/TEST/seed-N/`: trace, capture, and recorded choices.
    pub(super) fn write(name: &TestName, seed: u64, sim: &Sim, recorded: &[Fault]) -> io::Result<Artefact> {
        let test = name.test.replace("::", ".");
        let folder = name.target.join("wirefate").join(&name.package).join(test).join(format!("seed-{seed}"));
        fs::create_dir_all(&folder)?;
        let trace = sim.trace();
        fs::write(folder.join("trace.txt"), trace.full().to_string())?;
        let capture = fs::File::create(folder.join("trace.pcapng"))?;
        trace.capture(io::BufWriter::new(capture)).map_err(io::Error::other)?;
        let faults: String = recorded.iter().map(|fault| format!("{fault}\n")).collect();
        fs::write(folder.join("faults.txt"), faults)?;
        fs::write(folder.join("seed.txt"), format!("{seed}\n"))?;
        Ok(Artefact { folder })
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
