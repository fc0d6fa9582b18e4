//! The one place that reads the environment: which seed to replay, how many jobs, where to leave a failure.

use super::pool;
use std::path::PathBuf;

/// What the environment asks of a check.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// `WIREFATE_SEED`: run this seed only.
    pub(super) seed: Option<u64>,
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
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.trim().parse::<u64>().unwrap_or_else(|_| panic!("{name} is a whole number, not `{text}`")))
    };
    let processors = pool::processors();
    Wishes {
        seed: number("WIREFATE_SEED"),
        faults: std::env::var_os("WIREFATE_FAULTS").map(PathBuf::from),
        jobs: number("WIREFATE_JOBS").map_or(processors, |n| usize::try_from(n).unwrap_or(1)).max(1),
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
