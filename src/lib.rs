//! A deterministic network-simulation test harness for TCP: every packet's fate, decided by a seed.

pub mod choice;
pub mod endpoint;
pub mod map;
pub mod rng;
pub mod slab;
pub mod time;
/// The record of a run and its renderings.
// Replaced by `pub mod trace;` once the record itself, in `trace/mod.rs`, has the engine that it names.
pub mod trace {
    mod pcapng;

    pub use pcapng::{Capture, CaptureError};
}
pub mod wire;

pub use choice::{Ratio, percent, permille};
pub use time::{Span, ms, ns, secs, us};
