//! The sizes beyond which a file is refused, so that none makes the tool hang or run out of memory.

use crate::time::{Span, secs};

/// Length of a file in bytes.
pub(super) const FILE: usize = 1 << 20;
/// Hosts, the members of groups included.
pub(super) const HOSTS: u64 = 10_000;
/// Steps of a script, and entries of any other list.
pub(super) const ENTRIES: usize = 10_000;
/// Bytes of one `send`, and of any other amount of data.
pub(super) const BYTES: u64 = 1 << 30;
/// Events a second of one load.
pub(super) const RATE: u64 = 10_000_000;
/// Things a load does in all.
pub(super) const COUNT: u64 = 100_000_000;
/// A hundred years, for every length of time.
pub(super) const TIME: Span = secs(100 * 365 * 24 * 3_600);
/// Values of all axes of a sweep together.
pub(super) const SWEEP: usize = 1_000;
/// Runs of a sweep for each point.
pub(super) const SEEDS: u64 = 10_000_000;
/// Bytes of text that are read again for the variants and values of one file; what lies beyond is checked when it is
/// run.
pub(super) const CHECKED: usize = 8 << 20;
