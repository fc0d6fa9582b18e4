//! What the engine and anything attached to its network say to each other.
//!
//! An [`Endpoint`] takes packets, timeouts and faults, and answers through its [`Cx`]. The trait is small, public and
//! object-safe; wirefate's own host is one implementation of it and has no other way in. Every argument and result is
//! plain data, so that a stack in another process can stand behind it.

mod cx;
mod errno;
mod event;
mod info;
mod order;
mod sockets;
mod state;

pub use cx::{Cx, Effect, IfaceId, Streams};
pub use errno::Errno;
pub use event::{Arrival, DropReason, Event, TimerChange, TimerKind, Tuple};
pub use info::{CaState, SegmentCounts, TcpInfo};
pub use order::{Order, Qdisc, Refusal, RouteMetrics};
pub use sockets::{
    Congestion, Family, FastOpenKey, MsgFlags, PathMtu, Readiness, Shutdown, SockOpt, SocketId, SocketKind, Sockets,
};
pub use state::State;

use crate::time::{HostTime, Span, secs};
use crate::wire::{Packet, Seq};
use std::net::IpAddr;

/// Anything attached to the network: a host, a middlebox, a foreign stack, a scripted peer.
///
/// The engine calls one method at a time. After each call it carries out the effects in the order in which they were
/// given to the [`Cx`], and asks [`Endpoint::next_timeout`] anew. A story gets at its own endpoint by downcasting
/// `dyn Endpoint` to [`Any`](std::any::Any).
pub trait Endpoint: std::any::Any {
    /// The network has a new place for this endpoint: an interface, or a way to reach some addresses through one.
    fn on_attach(&mut self, _cx: &mut Cx<'_>, _attach: &Attach) {}

    /// `packet` has arrived on `iface`.
    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet);

    /// The instant of [`Endpoint::next_timeout`] has come.
    fn on_timeout(&mut self, cx: &mut Cx<'_>);

    /// When [`Endpoint::on_timeout`] is to be called next; it may move either way after any call.
    fn next_timeout(&self) -> Option<HostTime>;

    /// The world does something to the endpoint.
    fn on_fault(&mut self, _cx: &mut Cx<'_>, _fault: HostFault) {}

    /// Its administrator tells it something, between two packets.
    fn administer(&mut self, _cx: &mut Cx<'_>, _order: &Order) -> Result<(), Refusal> {
        Err(Refusal::Unknown)
    }

    /// Its socket calls, where it has any.
    fn sockets(&mut self) -> Option<&mut dyn Sockets> {
        None
    }

    /// Whether it shows its state: connections and listeners where it has any, and its transitions as events. Where no
    /// endpoint of a run does, the state oracles are not applicable, and the verdict says so.
    fn shows_state(&self) -> bool {
        false
    }

    /// Shows every connection, in an order that does not depend on storage.
    fn connections(&self, _visit: &mut dyn FnMut(ConnView)) {}

    /// Its counters by name, in a fixed order, where it keeps any: group, dot, name as in `/proc/net/snmp` and
    /// `/proc/net/netstat` (`TcpExt.ListenOverflows`; `nstat` writes `TcpExtListenOverflows`).
    ///
    /// What Linux counts and our hosts do not: header prediction (`TCPHPHits`, `TCPHPAcks`, `TCPPureAcks`), memory that is
    /// joined (`TCPRcvCoalesce`, `TCPSackShifted`, `TCPBacklogCoalesce` …), `TcpTimeoutRehash`, `TCPAutoCorking`, MPTCP, MD5
    /// and AO, and octets and ECN marks of IP (`IpExt`).
    fn counters(&self, _visit: &mut dyn FnMut(&'static str, u64)) {}

    /// The queues of each listener, where it has any.
    fn listeners(&self, _visit: &mut dyn FnMut(ListenView)) {}

    /// How its retransmission timeout grows, for the oracle that watches it; an endpoint whose settings say otherwise
    /// than RFC 6298 does says so.
    fn backoff(&self) -> Backoff {
        Backoff::default()
    }

    /// A hash of everything that decides its future behaviour, for pruning an exploration. Optional.
    fn fingerprint(&self) -> Option<u128> {
        None
    }

    /// Whether packets not addressed to it pass through it, and from which interface to which. Hosts do not forward.
    fn forwards(&self, _from: IfaceId, _to: IfaceId) -> bool {
        false
    }
}

/// Something new in an endpoint's surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// It has an interface.
    Iface {
        /// Its number, counted from 0 in the order of attachment; 0 is always the loopback interface of a host.
        iface: IfaceId,
        /// Its addresses.
        addrs: Vec<IpAddr>,
        /// The largest IP packet it takes.
        mtu: u32,
    },
    /// Addresses that begin with the first `prefix_len` bits of `prefix` are reached through `iface`.
    Route {
        /// First address of the range.
        prefix: IpAddr,
        /// Number of leading bits that count.
        prefix_len: u8,
        /// Through which interface.
        iface: IfaceId,
    },
    /// Addresses that begin with the first `prefix_len` bits of `prefix` cannot be reached from here: a route that says
    /// so. Hosts only; middleboxes drop what they have no route for.
    NoRoute {
        /// First address of the range.
        prefix: IpAddr,
        /// Number of leading bits that count.
        prefix_len: u8,
        /// What is done instead.
        kind: NoRoute,
    },
}

/// What a route does that leads nowhere, as `ip route add` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoRoute {
    /// None of its own: as where a route was taken away. `ENETUNREACH`.
    Absent,
    /// `unreachable`: `EHOSTUNREACH`.
    Unreachable,
    /// `blackhole`: `EINVAL`.
    Blackhole,
    /// `prohibit`: `EACCES`.
    Prohibit,
}

impl NoRoute {
    /// What a call that needs the route answers.
    pub const fn errno(self) -> Errno {
        match self {
            NoRoute::Absent => Errno::ENETUNREACH,
            NoRoute::Unreachable => Errno::EHOSTUNREACH,
            NoRoute::Blackhole => Errno::EINVAL,
            NoRoute::Prohibit => Errno::EACCES,
        }
    }
}

/// What the world can do to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// Power is cut: all state is lost, nothing is sent.
    Crash,
    /// Power is back, with fresh state; TCP stays quiet for this long (RFC 9293 3.4.3).
    Reboot {
        /// The quiet time; zero for none.
        quiet: Span,
    },
    /// The process that owns the sockets dies; the system closes them.
    Kill,
    /// The host stands still: no packet and no timeout reaches it. The engine holds both back.
    Pause,
    /// It goes on.
    Resume,
    /// An interface lost its carrier.
    LinkDown(IfaceId),
    /// An interface has its carrier again.
    LinkUp(IfaceId),
}

/// How a retransmission timeout grows: doubled each time, with bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// From here on it need not grow (RFC 6298 2.5: "at least 60 seconds").
    pub longest: Span,
    /// What each has in it that is not doubled.
    pub slop: Span,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { longest: secs(60), slop: Span::ZERO }
    }
}

/// One connection as `netstat` or a debugger shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnView {
    /// Its two ends, seen from here.
    pub tuple: Tuple,
    /// Its state.
    pub state: State,
    /// The socket that owns it; none for embryonic, orphaned and TIME-WAIT connections.
    pub socket: Option<SocketId>,
    /// The send side, where the state has one.
    pub snd: Option<SndView>,
    /// The receive side, where the state has one.
    pub rcv: Option<RcvView>,
}

/// Send sequence variables (RFC 9293 3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SndView {
    /// ISS.
    pub iss: Seq,
    /// SND.UNA.
    pub una: Seq,
    /// SND.NXT.
    pub nxt: Seq,
    /// SND.WND in bytes.
    pub wnd: u32,
    /// Congestion window in bytes.
    pub cwnd: u32,
    /// Bytes the application has written that are not yet acknowledged.
    pub queued: u64,
}

/// Receive sequence variables (RFC 9293 3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RcvView {
    /// IRS.
    pub irs: Seq,
    /// RCV.NXT.
    pub nxt: Seq,
    /// RCV.WND in bytes.
    pub wnd: u32,
    /// Bytes ready for the application.
    pub queued: u64,
}

/// A listener and its two queues, as `ss -lnt` shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenView {
    /// Where it listens.
    pub local: std::net::SocketAddr,
    /// The socket.
    pub socket: SocketId,
    /// Half-open connections.
    pub syn: u32,
    /// The most half-open connections it takes.
    pub syn_max: u32,
    /// Established connections that wait for `accept`.
    pub accept: u32,
    /// The most connections that may wait.
    pub accept_max: u32,
}
