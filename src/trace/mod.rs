//! The record of a run: typed events first; text, ladder, JSON and captures are renderings of them.

mod capture;
mod conns;
mod digest;
mod follow;
mod heading;
mod json;
mod ladder;
mod legend;
mod names;
mod pcapng;
mod picture;
mod record;
#[cfg(test)]
mod sample;
mod text;
mod tuples;
mod words;

pub use conns::{Belongs, ConnId, Conns, Incarnation, Side};
pub use digest::Digest;
pub(crate) use digest::Digester;
use follow::Following;
pub use json::Json;
pub use ladder::{Ladder, LadderError};
pub use legend::LEGEND;
pub use names::{LinkId, LinkName, Names, NodeId, StreamId};
pub use pcapng::{Capture, CaptureError};
pub use record::{Arrived, Call, CallKind, Called, Disturbance, Done, Record, Sent, What};
pub use text::Text;
pub(crate) use tuples::{Point, Seat};

use std::collections::VecDeque;

/// How much of a run is kept for showing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: digest and verdict only.
    Nothing,
    /// The last so many records.
    Last(usize),
    /// Everything, without timers and queues.
    Story,
    /// Everything.
    Full,
}

/// A run, ready to be rendered.
#[derive(Clone, Debug)]
pub struct Trace<'a> {
    /// What was run.
    pub header: &'a Header,
    /// The names behind the numbers.
    pub names: &'a Names,
    /// The connections behind the numbers.
    pub conns: &'a Conns,
    /// What happened, as far as it was kept.
    pub records: &'a VecDeque<Record<'static>>,
    /// How it ended; nothing while it runs.
    pub verdict: Option<Verdict>,
}

/// What was run: everything that another run needs to be the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The sim's name, and the variant's where one was chosen: `syn-flood (cookies)`.
    pub sim: String,
    /// The seed.
    pub seed: u64,
    /// Parameters and their values, in the order of declaration.
    pub params: Vec<(String, String)>,
    /// Hosts and their profiles, in the order of declaration.
    pub profiles: Vec<(String, String)>,
    /// Settings that no real system has: `client time_wait = 0s`.
    pub teaching: Vec<String>,
}

/// The last line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When the run ended.
    pub at: crate::time::SimTime,
    /// Whether every rule and expectation held.
    pub held: bool,
    /// Oracles that looked.
    pub oracles: usize,
    /// Oracles that had nothing to look at, since no endpoint shows its state.
    pub not_applicable: Vec<&'static str>,
    /// Expectations that were checked.
    pub expectations: usize,
    /// What was broken, a line each: `stream-integrity at 90.120000: …`.
    pub broken: Vec<String>,
    /// Packets sent.
    pub packets: u64,
    /// Packets that arrived nowhere.
    pub lost: u64,
    /// `quiescent`, or the budget that was exceeded.
    pub ended: String,
}
