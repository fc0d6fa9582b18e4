use super::{IfaceId, State};
use std::fmt;
use std::net::IpAddr;

/// What the administrator of a host tells it while it runs, as `sysctl`, `ip`, `tc`, `ethtool` and `tcpdrop` do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// `sysctl -w NAME=VALUE`: connections that are there follow it as far as they look it up anew.
    Sysctl {
        /// As `sysctl -a` shows it.
        name: String,
        /// As `sysctl.conf` writes it.
        value: String,
    },
    /// `ip tcp_metrics flush`: what was learnt about peers is forgotten, Fast Open cookies too.
    FlushMetrics,
    /// `tcpdrop -s STATE`: connections in this state end.
    Drop {
        /// Which state.
        state: State,
    },
    /// `ip link set DEV mtu N`: packets on this interface are no longer than that.
    Mtu {
        /// Which interface.
        iface: IfaceId,
        /// The longest packet in bytes.
        mtu: u32,
    },
    /// `ip route change PREFIX … ATTRIBUTES`: what new connections to these addresses start from.
    Route {
        /// First address of the range.
        prefix: IpAddr,
        /// Number of leading bits that count.
        prefix_len: u8,
        /// What is said of the route; what is not said is as without it.
        metrics: RouteMetrics,
    },
    /// `ethtool -K DEV tso off gso off`: whether one packet may hold several segments on its way to the network.
    Offload {
        /// Whether it may.
        on: bool,
    },
    /// `tc qdisc replace DEV root KIND`: where packets wait for the network.
    Qdisc(Qdisc),
}

/// What an entry of the routing table says about connections that use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMetrics {
    /// `mtu`: the longest packet in bytes.
    pub mtu: Option<u32>,
    /// `mtu lock`: path MTU discovery does not change it.
    pub mtu_locked: bool,
    /// `advmss`: the MSS to announce.
    pub advmss: Option<u32>,
    /// `initcwnd`: the initial congestion window in segments.
    pub initcwnd: Option<u32>,
    /// `initrwnd`: the initial receive window in segments.
    pub initrwnd: Option<u32>,
    /// `quickack 1`: acknowledge at once.
    pub quick_ack: bool,
    /// `rto_min` in milliseconds.
    pub rto_min: Option<u32>,
    /// `features ecn`: ask for ECN.
    pub ecn: bool,
    /// `congctl`: the congestion control by its name.
    pub congestion: Option<String>,
}

/// A queueing discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qdisc {
    /// `pfifo`: first in, first out, at most so many packets; `limit 0` loses all.
    Fifo {
        /// The most packets, where that is limited.
        limit: Option<u32>,
    },
    /// `fq`: each connection's packets at its own pace.
    Fq,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The endpoint has nothing of the kind.
    Unknown,
    /// It has, but not with what this would turn on.
    Lacking(String),
    /// It has, and the value is wrong.
    Invalid(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unknown => f.write_str("the endpoint has nothing of the kind"),
            Refusal::Lacking(what) | Refusal::Invalid(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Refusal {}
