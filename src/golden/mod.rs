//! Recordings of a real kernel, played again by our own hosts and compared.
//!
//! A [`Recording`] holds what was done at both ends of a network (socket calls, with their results), what the network
//! did with each segment, and all that could be seen: segments, states, results. [`replay`] does the same again: the
//! same calls at the same instants, the same fate for the same segment, found by its direction, flow and ordinal. It
//! hands back a recording too, and [`compare`] holds the two against each other.
//!
//! A call that began less than a millisecond after a call on the same socket had blocked and returned was made because it
//! had: it begins when ours returns, whenever that is, and so do those that follow it as closely. Every other call begins
//! at its recorded instant. (`accept` returns on the socket that it gives, too.)
//!
//! Times are compared by [`Rule`]: a real timer fires late, never early. Lateness adds up, and where a limit counts from
//! the first of several timeouts (a user's timeout, the end of all retransmissions) it decides how many there are. How late
//! they are is no accident: the kernel's timer wheel rounds up to buckets that lie where the machine's uptime puts them.
//! Where the [`Clock`] of the machine is known, a recording is played once, on that machine, and every time has to be
//! within 8 ms. Where it is not known, exact timers come first, with the lateness that a wheel may have; and what they do
//! not reproduce is played on a wheel in each of its phases ([`Machine::wheels`]): what happened is then one of the things
//! that the kernel does. In a run over many recordings a few gaps, one for five hundred segments and five at most, may fit
//! the wider rule only ([`Fit::OnlyWider`]); each is printed.

mod clock;
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

pub use clock::Clock;
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
