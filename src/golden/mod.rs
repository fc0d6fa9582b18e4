//! Recordings of a real kernel, played again by our own hosts and compared.
//!
//! A [`Recording`] holds what was done at both ends of a network (socket calls, with their results), what the network
//! did with each segment, and all that could be seen: segments, states, results. [`replay`] does the same again: the
//! same calls at the same instants, the same fate for the same segment, found by its direction, flow and ordinal. It
//! hands back a recording too, and [`compare`] holds the two against each other.
//!
//! Times are compared by [`Rule`]: a real timer fires late, never early.

mod compare;
mod field;
mod flow;
mod json;
mod manifest;
mod picture;
mod plan;
mod player;
mod recording;
mod replay;
mod rule;
mod segments;
mod socket;
mod timeline;
mod verb;
mod verdict;
mod wire;

pub use compare::{Comparison, compare};
pub use field::{Act, Dir, Opt, Seconds, Side};
pub use flow::Flow;
pub use json::to_json;
pub use manifest::{Manifest, Repeat};
pub use picture::side_by_side;
pub use recording::{BadRecording, Call, Outcome, Recording, Rewritten, Seg, SegBody, StateChange, Sysctls, Tcp};
pub use replay::{Machine, Unsupported, replay, replay_on};
pub use rule::{Fit, Rule, Timing};
pub use verdict::{Difference, Totals, Verdict, judge};
