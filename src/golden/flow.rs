use super::field::Dir;
use crate::wire::{Flags, Segment, Seq};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// The two ends of a connection as the wire sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The end at the client's side.
    pub client: SocketAddr,
    /// The end at the server's side.
    pub server: SocketAddr,
}

impl Flow {
    /// The flow of a segment from `src` to `dst`.
    pub const fn new(dir: Dir, src: SocketAddr, dst: SocketAddr) -> Flow {
        match dir {
            Dir::ToServer => Flow { client: src, server: dst },
            Dir::ToClient => Flow { client: dst, server: src },
        }
    }

    /// Source and destination of a segment that goes this way.
    pub const fn ends(self, dir: Dir) -> (SocketAddr, SocketAddr) {
        match dir {
            Dir::ToServer => (self.client, self.server),
            Dir::ToClient => (self.server, self.client),
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<>{}", self.client, self.server)
    }
}

/// What the numbers of each flow and direction count from.
#[derive(Clone, Debug, Default)]
pub(super) struct Bases {
    ends: BTreeMap<(Flow, Dir), Base>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Base {
    seq: Option<Seq>,
    ts: Option<u32>,
}

impl Bases {
    /// A host sends `segment`: a SYN with another number begins a new incarnation.
    pub(super) fn sent(&mut self, flow: Flow, dir: Dir, segment: &Segment) {
        let base = self.ends.entry((flow, dir)).or_default();
        if segment.has(Flags::SYN) && base.seq != Some(segment.seq) {
            *base = Base { seq: Some(segment.seq), ts: None };
        }
        base.ts = base.ts.or(segment.options.timestamps().map(|(val, _)| val));
    }

    /// Something forged goes this way: it sets what its numbers count from only where nothing has before.
    pub(super) fn forged(&mut self, flow: Flow, dir: Dir, seq: Option<Seq>, ts: u32) {
        let base = self.ends.entry((flow, dir)).or_default();
        if base.seq.is_none() && seq.is_some() {
            *base = Base { seq, ts: Some(ts) };
        }
    }

    /// The number that shows as 0.
    pub(super) fn seq(&self, flow: Flow, dir: Dir) -> Seq {
        self.ends.get(&(flow, dir)).and_then(|base| base.seq).unwrap_or(Seq(0))
    }

    /// The TSval that shows as 0, where one was sent.
    pub(super) fn ts(&self, flow: Flow, dir: Dir) -> Option<u32> {
        self.ends.get(&(flow, dir)).and_then(|base| base.ts)
    }

    /// Whether a SYN went this way.
    pub(super) fn is_known(&self, flow: Flow, dir: Dir) -> bool {
        self.ends.get(&(flow, dir)).is_some_and(|base| base.seq.is_some())
    }
}

/// `number` modulo 2^32.
pub(super) fn wrapped(number: i64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// How far `number` lies from `base`, either way.
pub(super) fn relative(number: u32, base: u32) -> i64 {
    i64::from(Seq(number).diff(Seq(base)))
}
