//! What is remembered of peers: that they have proven to be there, and how large a packet may be on the way to them.

use crate::map::{AddrKey, Map};
use crate::time::{HostTime, Span, secs};
use std::net::IpAddr;

/// Which peers a connection has come to its end with, after a round trip was measured (`tcp_peer_is_proven()` in
/// tcp_metrics.c): their SYNs are not forged.
#[derive(Debug, Default)]
pub(super) struct KnownPeers {
    since: Map<AddrKey, HostTime>,
}

/// `TCP_METRICS_TIMEOUT`: for so long what is known is believed.
const BELIEVED: Span = secs(3_600);

impl KnownPeers {
    pub(super) fn prove(&mut self, peer: IpAddr, now: HostTime) {
        self.since.insert(peer.into(), now);
    }

    /// `ip tcp_metrics flush`.
    pub(super) fn forget(&mut self) {
        self.since = Map::new();
    }

    pub(super) fn proven(&self, peer: IpAddr, now: HostTime) -> bool {
        self.since.get(&peer.into()).is_some_and(|since| now.since(*since) <= BELIEVED)
    }
}

/// Path MTUs that ICMP errors have told of, and since when (`update_or_create_fnhe()` in route.c).
#[derive(Debug, Default)]
pub(super) struct PathMtus {
    told: Map<IpAddr, (u32, HostTime)>,
}

impl PathMtus {
    pub(super) fn learn(&mut self, peer: IpAddr, mtu: u32, now: HostTime) {
        self.told.insert(peer, (mtu, now));
    }

    /// Whether nobody has told anything.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What is known of the way to `peer`, where such knowledge lasts for `lasts`.
    pub(super) fn to(&self, peer: IpAddr, now: HostTime, lasts: Span) -> Option<u32> {
        self.told.get(&peer).filter(|(_, since)| now.since(*since) < lasts).map(|(mtu, _)| *mtu)
    }
}
