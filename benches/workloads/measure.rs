//! CPU time and memory of this process, and the rows of the table.

use wirefate::sim::Sim;

/// What a workload has done.
pub(crate) struct Done {
    pub(crate) operations: u64,
    pub(crate) digest: String,
    pub(crate) remark: String,
    /// What should not have happened.
    pub(crate) wrong: Vec<String>,
}

impl Done {
    /// So many operations by `sim`, of `expected`.
    pub(crate) fn of(sim: &Sim, operations: u64, expected: u64) -> Done {
        let outcome = sim.outcome();
        let mut wrong: Vec<String> =
            outcome.violations.iter().take(5).map(|v| format!("{}: {}", v.oracle, v.text)).collect();
        if operations != expected {
            wrong.push(format!("{operations} operations instead of {expected}; {:?} at {}", outcome.ended, outcome.at));
        }
        let remark = format!("{} packets, {} events, {} virtual", outcome.packets, outcome.events, outcome.at);
        Done { operations, digest: sim.digest().to_string(), remark, wrong }
    }
}

/// Measures one workload.
pub(crate) struct Meter {
    cpu: u64,
    resident: u64,
}

impl Meter {
    pub(crate) fn start() -> Meter {
        Meter { cpu: cpu_nanos(), resident: resident() }
    }

    /// Bytes of resident memory that came since the start.
    pub(crate) fn grown(&self) -> u64 {
        resident().saturating_sub(self.resident)
    }

    #[expect(clippy::float_arithmetic, reason = "statistics for people")]
    pub(crate) fn row(&self, name: &str, unit: &str, done: &Done) -> String {
        let seconds = (cpu_nanos() - self.cpu) as f64 / 1e9;
        let rate = done.operations as f64 / seconds;
        format!(
            "| {name:<17} | {:>9} {unit:<13} | {seconds:>7.3} | {rate:>10.0} | {:<35} | {} |",
            done.operations, done.digest, done.remark
        )
    }
}

/// Places of columns, what is before the first `|` being 0.
pub(crate) const SECONDS: usize = 3;
pub(crate) const DIGEST: usize = 5;

pub(crate) fn heading() -> String {
    let rule = |n: usize| "-".repeat(n);
    let columns = [("workload", 17), ("operations", 23), ("CPU s", 7), ("per CPU s", 10), ("digest", 35), ("", 0)];
    let names: Vec<String> = columns.iter().map(|(name, width)| format!("{name:<width$}")).collect();
    let rules: Vec<String> = columns.iter().map(|(_, width)| rule((*width).max(3))).collect();
    format!("| {} |\n| {} |", names.join(" | "), rules.join(" | "))
}

/// CPU time of this process, which has one thread: nanoseconds on the processor, by Linux's scheduler.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("CPU time is read from Linux's /proc");
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("schedstat begins with nanoseconds")
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("memory is read from Linux's /proc");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("status has VmRSS");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB");
    kib * 1024
}
