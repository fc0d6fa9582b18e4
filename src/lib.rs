//! A deterministic network-simulation test harness for TCP: every packet's fate, decided by a seed.

pub mod choice;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "drill")]
pub mod drill;
pub mod endpoint;
pub mod explore;
mod few;
#[cfg(feature = "golden")]
pub mod golden;
pub mod host;
pub mod map;
pub mod matrix;
pub mod middlebox;
pub mod net;
pub mod oracle;
pub mod rng;
#[cfg(feature = "scenario")]
pub mod scenario;
mod shelf;
pub mod sim;
pub mod slab;
pub mod tcp;
pub mod time;
pub mod trace;
pub mod wire;

pub use choice::{Ratio, percent, permille};
pub use explore::check;
pub use net::Link;
pub use sim::Sim;
pub use time::{Span, ms, ns, secs, us};
