//! The data model of a sim: what a scenario file says, parsed, checked, resolved and printed.
//!
//! A file is read in two steps. [`Scenario::parse`] keeps it as a tree with the place of every key and value, checks
//! the whole of it, and reports every mistake with its line. [`Scenario::instance`] chooses a variant, puts values in
//! for the parameters and gives the typed [`Instance`] that a run is built from. Nothing here knows of endpoints.
//!
//! | part | type |
//! |---|---|
//! | `[hosts]` | [`Host`] |
//! | `[links]`, `[network]` | [`Link`], [`Prefix`], [`Path`] |
//! | `[script]` | [`Step`] with its [`Start`] and [`Verb`] |
//! | `[[load]]` | [`Load`] |
//! | `[[fault]]` | [`Fault`] with its [`Selector`] and [`crate::net::Action`] |
//! | `[expect]` | [`Expect`] with its [`Check`]s |
//! | `[params]`, `[[variant]]`, `[sweep]` | [`Param`], [`Variant`], [`Sweep`] |
//!
//! A text value may hold parameters: `"$held"` is the parameter's value, `"$backlog + 1"` an integer sum, and elsewhere
//! `$held` is replaced by its text; `$$` is a dollar sign. The parameter `ip` (4 or 6) needs no declaration.

mod build;
mod check;
mod condition;
mod decode;
mod diagnostic;
mod document;
mod error;
mod excerpt;
mod expect;
mod fault;
mod header;
mod host;
mod instance;
mod judge;
mod limit;
mod link;
mod load;
mod look;
mod perform;
mod play;
mod print;
mod quantity;
mod script;
mod substitute;
mod tree;
mod verb;

pub use condition::{Condition, HostPort, SegmentPattern, Start};
pub use decode::Spanned;
pub use document::Scenario;
pub(crate) use error::Source;
pub use error::{Error, Errors, Fact, Kind};
pub use expect::{Check, Expect, FateWord, Moment, Received, StatePath, Violation, What};
pub use fault::{Disturbance, Fault, PacketName, PacketRef, Selector};
pub use header::{Axis, Param, ParamValue, Sweep, Variant};
pub use host::{Host, Isn, Middlebox, Nature, Refusal, Sysctl, Teaching};
pub use instance::{Instance, IpVersion};
pub use judge::Failure;
pub use link::{Burst, Delay, Link, LinkEnds, Path, Prefix, PrefixKind, Reorder};
pub use load::{Load, Traffic};
pub use play::{Played, play, play_prepared, play_until};
pub use quantity::{BitRate, Bound, Compare, Rate};
pub use script::{Outcome, Step};
pub use verb::{App, Data, Injection, Target, Verb};
