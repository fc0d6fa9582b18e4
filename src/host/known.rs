//! Peers that have proven to be there.

use crate::map::Map;
use crate::time::{HostTime, Span, secs};
use std::net::IpAddr;

/// Which peers a connection has come to its end with, after a round trip was measured (`tcp_peer_is_proven()` in
/// tcp_metrics.c): their SYNs are not forged.
#[derive(Debug, Default)]
pub(super) struct KnownPeers {
    since: Map<IpAddr, HostTime>,
}

/// `TCP_METRICS_TIMEOUT`: for so long what is known is believed.
const BELIEVED: Span = secs(3_600);

impl KnownPeers {
    pub(super) fn prove(&mut self, peer: IpAddr, now: HostTime) {
        self.since.insert(peer, now);
    }

    /// `ip tcp_metrics flush`.
    pub(super) fn forget(&mut self) {
        self.since = Map::new();
    }

    pub(super) fn proven(&self, peer: IpAddr, now: HostTime) -> bool {
        self.since.get(&peer).is_some_and(|since| now.since(*since) <= BELIEVED)
    }
}
