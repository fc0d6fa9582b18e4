//! The one place that reads the environment: which seed to replay, how many jobs, where to leave a failure.

use super::pool;
use std::ops::Range;
use std::path::PathBuf;

/// What the environment asks of a check.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// `WIREFATE_SEED`: run this seed, or this range of seeds, only.
    pub(super) seeds: Option<Range<u64>>,
    /// `WIREFATE_FAULTS`: replay these faults, and no other choice that is not harmless.
    pub(super) faults: Option<PathBuf>,
    /// `WIREFATE_JOBS`: threads; else one a processor.
    pub(super) jobs: usize,
}

/// Reads the environment.
///
/// # Panics
/// If a variable of ours is set to what it cannot be.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(super) fn wishes() -> Wishes {
    let text = |name: &str| std::env::var(name).ok();
    let seeds = |text: String| {
        parse_seeds(&text).unwrap_or_else(|| panic!("WIREFATE_SEED is a seed or a range like 0..100, not `{text}`"))
    };
    let jobs =
        |text: String| text.trim().parse().unwrap_or_else(|_| panic!("WIREFATE_JOBS is a whole number, not `{text}`"));
    let processors = pool::processors();
    Wishes {
        seeds: text("WIREFATE_SEED").map(seeds),
        faults: std::env::var_os("WIREFATE_FAULTS").map(PathBuf::from),
        jobs: text("WIREFATE_JOBS").map_or(processors, jobs).max(1),
    }
}

/// `37` or `10000..20000`.
fn parse_seeds(text: &str) -> Option<Range<u64>> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match text.split_once("..") {
        Some((first, end)) => Some(number(first)?..number(end)?),
        None => number(text).map(|seed| seed..seed.saturating_add(1)),
    }
}

/// Who is being tested: for the replay command, and for the folder of a failure.
#[derive(Clone, Debug)]
pub(super) struct TestName {
    /// The package.
    pub(super) package: String,
    /// The test's path in its binary: `upload_survives_a_lossy_link`.
    pub(super) test: String,
    /// Cargo's target folder.
    pub(super) target: PathBuf,
}

impl TestName {
    /// The test that runs on this thread, as far as it can be known.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub(super) fn current() -> TestName {
        let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "unknown".to_owned());
        let test = pool::thread_name();
        let program = std::env::current_exe().unwrap_or_default();
        // A test binary is target/PROFILE/deps/NAME-HASH, an example target/PROFILE/examples/NAME.
        let target = program.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == "target"));
        TestName { package, test, target: target.map_or_else(|| PathBuf::from("target"), PathBuf::from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_or_a_range_of_seeds() {
        assert_eq!(parse_seeds(" 37\n"), Some(37..38));
        assert_eq!(parse_seeds("10000..20000"), Some(10_000..20_000));
        assert_eq!(["", "x", "1..", "..5", "-1", "1..=5"].map(parse_seeds), [const { None }; 6]);
    }
}
