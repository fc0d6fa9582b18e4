//! What is known of the sockets of a script: how its numbers map to those on the wire.

use crate::endpoint::{SocketId, SocketKind, Tuple};
use crate::time::Span;
use crate::wire::{Options, Packet, Segment, Seq, shifted_sack};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How far a socket has come, as the script shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    New,
    Listening,
    /// `connect` was called; its SYN is not in the script yet.
    Connecting,
    SynSent,
    SynAcked,
    /// A SYN came for it.
    SynReceived,
    SynAckSent,
    Accepted,
}

/// A socket of the script.
#[derive(Clone, Debug)]
pub(super) struct Sock {
    pub(super) kind: SocketKind,
    pub(super) progress: Progress,
    /// Its descriptor in the script.
    pub(super) fd: Option<i64>,
    pub(super) live: Option<SocketId>,
    pub(super) closed: bool,
    pub(super) nonblocking: bool,
    pub(super) linger: Option<Span>,
    pub(super) inq: bool,
    /// Its two ends, where they are known.
    pub(super) tuple: Option<Tuple>,
    /// The first sequence number of the host in the script, and on the wire.
    pub(super) local_isn: (u32, Seq),
    /// The first of the remote end, the same in the script and on the wire.
    pub(super) remote_isn: Seq,
    /// Timestamp values of the script and those on the wire.
    ts: BTreeMap<u32, u32>,
    /// The first pair.
    first_ts: Option<(u32, u32)>,
    pub(super) injected: Option<Segment>,
    pub(super) sent: Option<Segment>,
    pub(super) flow_label: Option<u32>,
}

impl Sock {
    pub(super) fn new(kind: SocketKind, progress: Progress) -> Sock {
        Sock {
            kind,
            progress,
            fd: None,
            live: None,
            closed: false,
            nonblocking: false,
            linger: None,
            inq: false,
            tuple: None,
            local_isn: (0, Seq(0)),
            remote_isn: Seq(0),
            ts: BTreeMap::new(),
            first_ts: None,
            injected: None,
            sent: None,
            flow_label: None,
        }
    }

    /// What is added to a number of the host in the script to have that on the wire. In a SYN, numbers of a script are
    /// absolute; elsewhere they count from the first.
    pub(super) fn local_offset(&self, syn: bool) -> u32 {
        if syn { self.local_isn.1.0.wrapping_sub(self.local_isn.0) } else { self.local_isn.1.0 }
    }

    /// The same for numbers of the remote end.
    pub(super) fn remote_offset(&self, syn: bool) -> u32 {
        if syn { 0 } else { self.remote_isn.0 }
    }

    /// Whether the host sends `packet` from this socket.
    pub(super) fn sends(&self, packet: &Packet) -> bool {
        self.tuple.is_some_and(|Tuple { local, remote }| ends(packet) == Some((local, remote)))
    }

    /// Learns which value on the wire stands for one in the script.
    pub(super) fn learn_ts(&mut self, script: u32, live: u32) {
        self.ts.insert(script, live);
        self.first_ts.get_or_insert((script, live));
    }

    /// A value on the wire as the script would have it.
    pub(super) fn script_ts(&self, live: u32) -> u32 {
        self.first_ts.map_or(live, |(script, first)| script.wrapping_add(live.wrapping_sub(first)))
    }

    /// The value on the wire for an echo in the script; `scaled` allows one that was never seen.
    pub(super) fn live_ecr(&self, script: u32, scaled: bool) -> Option<u32> {
        let known = self.ts.get(&script).copied();
        let (first_script, first_live) = self.first_ts?;
        known.or_else(|| scaled.then(|| script.wrapping_sub(first_script).wrapping_add(first_live)))
    }
}

/// Source and destination of a packet with ports.
pub(super) fn ends(packet: &Packet) -> Option<(SocketAddr, SocketAddr)> {
    let (src, dst) = packet.ports()?;
    Some((SocketAddr::new(packet.src, src), SocketAddr::new(packet.dst, dst)))
}

/// `options` with SACK blocks moved by `offset`.
pub(super) fn moved(options: &Options, offset: u32) -> Options {
    shifted_sack(options, offset)
}

/// `options` with other timestamps.
pub(super) fn with_ts(options: &Options, val: u32, ecr: u32) -> Options {
    let bytes = options.as_bytes();
    let mut at = 0;
    while let Some(&kind) = bytes.get(at) {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(bytes.get(at + 1).copied().unwrap_or(0)).max(2),
        };
        if kind == 8 && len == 10 && at + 10 <= bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at + 2..at + 6].copy_from_slice(&val.to_be_bytes());
            changed[at + 6..at + 10].copy_from_slice(&ecr.to_be_bytes());
            return Options::from_bytes(&changed).unwrap_or(*options);
        }
        at += len;
    }
    *options
}
