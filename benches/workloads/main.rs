//! The workloads of `benches/README.md`, each several times in processes of its own, as one table.
//!
//! `cargo bench --bench workloads -- [NAME…]` runs those whose names begin so, all of them without a name.

mod bulk;
mod churn;
mod datagrams;
mod engine;
mod idle;
mod measure;
#[cfg(feature = "scenario")]
mod scenario;

use measure::{Done, Meter};
use mimalloc::MiMalloc;
use std::process::{Command, ExitCode};
use wirefate::host::{HostConfig, Profile};
use wirefate::sim::Sim;
use wirefate::trace::NodeId;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is run: its name, what its operations are, and how.
struct Workload {
    name: &'static str,
    unit: &'static str,
    run: fn(&mut Meter) -> Done,
}

const ALL: &[Workload] = &[
    Workload { name: "E1-timers", unit: "timeouts", run: engine::timers },
    Workload { name: "E2-segments", unit: "segments", run: engine::segments },
    Workload { name: "W1-churn-h8", unit: "connections", run: |meter| churn::run(meter, 8, 16_000) },
    Workload { name: "W1-churn-h64", unit: "connections", run: |meter| churn::run(meter, 64, 16_000) },
    Workload { name: "W2-bulk", unit: "data segments", run: |meter| bulk::run(meter, 256 << 20, 0) },
    Workload { name: "W3-bulk-loss", unit: "data segments", run: |meter| bulk::run(meter, 64 << 20, 1) },
    Workload { name: "W4-idle-10k", unit: "connections", run: |meter| idle::run(meter, 10_000) },
    Workload { name: "W4-idle-100k", unit: "connections", run: |meter| idle::run(meter, 100_000) },
    Workload { name: "W5-datagrams", unit: "datagrams", run: |meter| datagrams::run(meter, 1_000_000, 0) },
    Workload { name: "W5-datagrams-loss", unit: "datagrams", run: |meter| datagrams::run(meter, 1_000_000, 1) },
    #[cfg(feature = "scenario")]
    Workload { name: "S1-churn.toml", unit: "packets", run: scenario::run },
];

/// Runs one workload in this process instead of starting one for it.
const HERE: &str = "--here";

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (here, names): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg == HERE);
    let matches = |name: &str, wanted: &String| if here.is_empty() { name.starts_with(wanted) } else { name == wanted };
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| matches(name, wanted));
    let wanted: Vec<&Workload> = ALL.iter().filter(|workload| is_wanted(workload.name)).collect();
    if wanted.is_empty() {
        let known: Vec<&str> = ALL.iter().map(|workload| workload.name).collect();
        println!("no workload of that name; there are {}", known.join(", "));
        return ExitCode::from(2);
    }
    if here.is_empty() {
        println!("{}", measure::heading());
    }
    let mut failed = false;
    for workload in wanted {
        failed |= if here.is_empty() { !elsewhere(workload.name) } else { !run(workload) };
    }
    ExitCode::from(u8::from(failed))
}

/// So many times each workload is run: the least CPU time tells most of the program, and least of what else the machine did.
const RUNS: usize = 5;

/// Runs a workload several times, each in a fresh process, so that neither memory nor caches are another one's, and prints
/// the row of the fastest. Whether all held, with one digest.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn elsewhere(name: &str) -> bool {
    let program = std::env::current_exe().expect("a program knows its own file");
    let run = || Command::new(&program).args([HERE, name]).output().expect("the program starts once more");
    let runs: Vec<_> = (0..RUNS).map(|_| run()).collect();
    let texts: Vec<_> = runs.iter().map(|run| String::from_utf8_lossy(&run.stdout)).collect();
    let column = |row: &str, n: usize| row.split('|').nth(n).map(|column| column.trim().to_owned()).unwrap_or_default();
    let seconds = |row: &str| column(row, measure::SECONDS).parse().unwrap_or(f32::INFINITY);
    let fastest = texts.iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b))).expect("there is one at least");
    print!("{fastest}");
    let held = runs.iter().all(|run| run.status.success());
    let same = texts.iter().all(|row| column(row, measure::DIGEST) == column(fastest, measure::DIGEST));
    for wrong in texts.iter().filter(|_| !held || !same) {
        println!("    {}", wrong.trim_end());
    }
    held && same
}

/// Whether the run held: no rule broken, and everything that was to be done was done.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn run(workload: &Workload) -> bool {
    let mut meter = Meter::start();
    let done = (workload.run)(&mut meter);
    println!("{}", meter.row(workload.name, workload.unit, &done));
    for note in &done.wrong {
        println!("    {note}");
    }
    done.wrong.is_empty()
}

/// A run that keeps no trace, with every oracle on.
/// Hosts of the profile rfc9293, so that figures stay comparable.
fn hosts<const N: usize>(sim: &mut Sim, names: [&str; N]) -> [NodeId; N] {
    names.map(|name| sim.host(HostConfig::named(name).profile(Profile::Rfc9293)))
}

fn sim() -> Sim {
    Sim::with(1, wirefate::trace::Keep::Nothing)
}
