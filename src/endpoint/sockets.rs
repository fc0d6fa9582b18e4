use super::{Cx, Errno, TcpInfo, Tuple};
use crate::time::{HostTime, Span};
use crate::wire::{Payload, Rope};
use std::fmt;
use std::net::SocketAddr;

/// A socket of one endpoint, as a file descriptor would name it: small, and used again after `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// Address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`; takes IPv4 peers as well unless [`SockOpt::V6Only`] is set (RFC 3493 3.7). Addresses of IPv4 peers
    /// are written as IPv4, not as mapped IPv6.
    V6,
}

/// Kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// `SOCK_STREAM`: TCP.
    Stream,
    /// `SOCK_DGRAM`: UDP.
    Datagram,
}

/// Which half `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

bitflags::bitflags! {
    /// What `poll` reports.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Readiness: u8 {
        /// `POLLIN`: `recv` or `accept` would not block.
        const READABLE = 1;
        /// `POLLOUT`: `send` would take something.
        const WRITABLE = 2;
        /// `POLLERR`: an error waits in `SO_ERROR`.
        const ERROR = 4;
        /// `POLLHUP`: both directions have ended.
        const HUP = 8;
        /// `POLLRDHUP`: the peer sends no more.
        const RDHUP = 16;
        /// `POLLPRI`: urgent data.
        const URGENT = 32;
    }
}

bitflags::bitflags! {
    /// Flags of `send` and `recv`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MsgFlags: u16 {
        /// `MSG_OOB`: urgent data.
        const OOB = 1;
        /// `MSG_PEEK`: leave the data in place.
        const PEEK = 2;
        /// `MSG_MORE`: more follows, hold a partial segment back.
        const MORE = 4;
        /// `MSG_EOR`: a record ends here; later data goes into segments of its own.
        const EOR = 8;
        /// `MSG_DONTWAIT`: do not block. No call of [`Sockets`] does; what blocking calls are built of looks at it.
        const DONTWAIT = 16;
        /// `MSG_NOSIGNAL`: no `SIGPIPE`. There are no signals.
        const NOSIGNAL = 32;
        /// `MSG_WAITALL`: wait for as much as was asked for. As [`MsgFlags::DONTWAIT`], for what blocks.
        const WAITALL = 64;
        /// `MSG_FASTOPEN`: connect, with the data in the SYN where a cookie is known (RFC 7413).
        const FASTOPEN = 128;
        /// `MSG_TRUNC` of `recv`: throw the data away instead of handing it over.
        const TRUNC = 256;
        /// The caller waits where the call cannot go on. No flag of POSIX: it is what a blocking socket tells its stack,
        /// which may act on it, as Linux does (`sk_write_pending`); the call answers `EAGAIN` all the same.
        const WAITS = 512;
    }
}

/// Socket options under their POSIX or kernel names. `get_option` answers with the same variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockOpt {
    /// `SO_REUSEADDR`.
    ReuseAddr(bool),
    /// `SO_REUSEPORT`: several sockets listen on one port, and each new connection goes to one of them.
    ReusePort(bool),
    /// `SO_EXCLUSIVEADDRUSE`, of Windows: nobody else may bind the address and port, whatever options it has.
    ExclusiveAddrUse(bool),
    /// `SO_KEEPALIVE`.
    KeepAlive(bool),
    /// `SO_LINGER`: `None` is off.
    Linger(Option<Span>),
    /// `SO_SNDBUF` in bytes.
    SendBuffer(u32),
    /// `SO_RCVBUF` in bytes.
    ReceiveBuffer(u32),
    /// `SO_OOBINLINE`.
    OobInline(bool),
    /// `SO_ERROR`: read only; reading clears it.
    Error(Option<Errno>),
    /// `IPV6_V6ONLY`.
    V6Only(bool),
    /// `TCP_NODELAY`.
    NoDelay(bool),
    /// `TCP_CORK`.
    Cork(bool),
    /// `TCP_MAXSEG`.
    MaxSeg(u16),
    /// `TCP_SYNCNT`.
    SynCount(u8),
    /// `TCP_USER_TIMEOUT` (RFC 5482); zero is the system's default.
    UserTimeout(Span),
    /// `TCP_KEEPIDLE`.
    KeepIdle(Span),
    /// `TCP_KEEPINTVL`.
    KeepInterval(Span),
    /// `TCP_KEEPCNT`.
    KeepCount(u8),
    /// `TCP_LINGER2`; `None` means negative: no FIN-WAIT-2 at all.
    Linger2(Option<Span>),
    /// `TCP_DEFER_ACCEPT`.
    DeferAccept(Span),
    /// `TCP_QUICKACK`.
    QuickAck(bool),
    /// `TCP_NOTSENT_LOWAT`: the socket is writable while less than this is written and not sent.
    NotSentLowat(u32),
    /// `TCP_INQ`: `recvmsg` tells how much is left to read; see [`Sockets::queued_in`].
    Inq(bool),
    /// `TCP_FASTOPEN`: a listener takes data in SYNs, for so many connections at a time (RFC 7413).
    FastOpen(u32),
    /// `TCP_FASTOPEN_CONNECT`: `connect` waits for the first data where a cookie is known.
    FastOpenConnect(bool),
    /// `TCP_FASTOPEN_NO_COOKIE`: data goes into SYNs without a cookie.
    FastOpenNoCookie(bool),
    /// `TCP_FASTOPEN_KEY`: what cookies of this listener are made with.
    FastOpenKey(FastOpenKey),
    /// `TCP_CONGESTION`.
    Congestion(Congestion),
    /// `SO_MAX_PACING_RATE` in bytes a second; all ones for no limit.
    MaxPacingRate(u64),
    /// `SO_RCVLOWAT` in bytes: less is nothing to read.
    ReceiveLowat(u32),
    /// `IP_TOS` and `IPV6_TCLASS`.
    Tos(u8),
    /// `IP_TTL` and `IPV6_UNICAST_HOPS`.
    Ttl(u8),
    /// `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`.
    MtuDiscover(PathMtu),
}

/// The keys of Fast Open cookies: those made now, and those made before the last change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastOpenKey {
    /// Cookies are made with it.
    pub primary: [u8; 16],
    /// Cookies made with it are taken too.
    pub backup: Option<[u8; 16]>,
}

/// A congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// `reno`: RFC 5681.
    Reno,
    /// `cubic`: RFC 9438.
    Cubic,
}

/// What a socket does about the MTU of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathMtu {
    /// `IP_PMTUDISC_DONT`: packets may be fragmented.
    Dont,
    /// `IP_PMTUDISC_WANT`: what the system does otherwise.
    Want,
    /// `IP_PMTUDISC_DO`: never fragment.
    Do,
    /// `IP_PMTUDISC_PROBE`: never fragment, and let no ICMP error change the MTU.
    Probe,
}

impl Congestion {
    /// As `net.ipv4.tcp_available_congestion_control` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Congestion::Reno => "reno",
            Congestion::Cubic => "cubic",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Congestion> {
        [Congestion::Reno, Congestion::Cubic].into_iter().find(|known| known.name() == name)
    }
}

impl PathMtu {
    /// As a program writes it.
    pub const fn name(self) -> &'static str {
        match self {
            PathMtu::Dont => "IP_PMTUDISC_DONT",
            PathMtu::Want => "IP_PMTUDISC_WANT",
            PathMtu::Do => "IP_PMTUDISC_DO",
            PathMtu::Probe => "IP_PMTUDISC_PROBE",
        }
    }
}

impl SockOpt {
    /// The name as a program writes it.
    pub const fn name(self) -> &'static str {
        match self {
            SockOpt::ReuseAddr(_) => "SO_REUSEADDR",
            SockOpt::ReusePort(_) => "SO_REUSEPORT",
            SockOpt::ExclusiveAddrUse(_) => "SO_EXCLUSIVEADDRUSE",
            SockOpt::KeepAlive(_) => "SO_KEEPALIVE",
            SockOpt::Linger(_) => "SO_LINGER",
            SockOpt::SendBuffer(_) => "SO_SNDBUF",
            SockOpt::ReceiveBuffer(_) => "SO_RCVBUF",
            SockOpt::OobInline(_) => "SO_OOBINLINE",
            SockOpt::Error(_) => "SO_ERROR",
            SockOpt::V6Only(_) => "IPV6_V6ONLY",
            SockOpt::NoDelay(_) => "TCP_NODELAY",
            SockOpt::Cork(_) => "TCP_CORK",
            SockOpt::MaxSeg(_) => "TCP_MAXSEG",
            SockOpt::SynCount(_) => "TCP_SYNCNT",
            SockOpt::UserTimeout(_) => "TCP_USER_TIMEOUT",
            SockOpt::KeepIdle(_) => "TCP_KEEPIDLE",
            SockOpt::KeepInterval(_) => "TCP_KEEPINTVL",
            SockOpt::KeepCount(_) => "TCP_KEEPCNT",
            SockOpt::Linger2(_) => "TCP_LINGER2",
            SockOpt::DeferAccept(_) => "TCP_DEFER_ACCEPT",
            SockOpt::QuickAck(_) => "TCP_QUICKACK",
            SockOpt::NotSentLowat(_) => "TCP_NOTSENT_LOWAT",
            SockOpt::Inq(_) => "TCP_INQ",
            SockOpt::FastOpen(_) => "TCP_FASTOPEN",
            SockOpt::FastOpenConnect(_) => "TCP_FASTOPEN_CONNECT",
            SockOpt::FastOpenNoCookie(_) => "TCP_FASTOPEN_NO_COOKIE",
            SockOpt::FastOpenKey(_) => "TCP_FASTOPEN_KEY",
            SockOpt::Congestion(_) => "TCP_CONGESTION",
            SockOpt::MaxPacingRate(_) => "SO_MAX_PACING_RATE",
            SockOpt::ReceiveLowat(_) => "SO_RCVLOWAT",
            SockOpt::Tos(_) => "IP_TOS",
            SockOpt::Ttl(_) => "IP_TTL",
            SockOpt::MtuDiscover(_) => "IP_MTU_DISCOVER",
        }
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd {}", self.0)
    }
}

/// The POSIX socket calls, all non-blocking: what would block answers `EAGAIN` (or `EINPROGRESS`), and the endpoint
/// says [`Cx::ready`] when the answer would change. Blocking calls are built above this, by the engine.
pub trait Sockets {
    /// `socket()`.
    fn socket(&mut self, cx: &mut Cx<'_>, family: Family, kind: SocketKind) -> Result<SocketId, Errno>;

    /// `bind()`; port 0 asks for an ephemeral one.
    fn bind(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) -> Result<(), Errno>;

    /// `listen()`.
    fn listen(&mut self, cx: &mut Cx<'_>, socket: SocketId, backlog: u32) -> Result<(), Errno>;

    /// `accept()`: the new socket and its peer.
    fn accept(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(SocketId, SocketAddr), Errno>;

    /// `connect()`. TCP: `EINPROGRESS` at first; when the socket turns writable, calling it again gives the result
    /// (`Ok` once, then `EISCONN`).
    fn connect(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr) -> Result<(), Errno>;

    /// `send()`: how many bytes were taken; UDP needs a connected socket.
    fn send(&mut self, cx: &mut Cx<'_>, socket: SocketId, data: &Payload, flags: MsgFlags) -> Result<u32, Errno>;

    /// `recv()`: appends up to `max` bytes to `into`; `Ok(0)` is the end of the stream (or `max` 0).
    fn recv(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        max: usize,
        flags: MsgFlags,
        into: &mut Rope,
    ) -> Result<usize, Errno>;

    /// `sendto()`. A stream socket that is connected sends as [`Sockets::send`] does, whatever the address; one that is
    /// not connects with [`MsgFlags::FASTOPEN`]: it answers how much went into the SYN, or `EINPROGRESS` where only a
    /// cookie was asked for.
    fn send_to(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        data: &Payload,
        to: SocketAddr,
        flags: MsgFlags,
    ) -> Result<u32, Errno>;

    /// `recvfrom()` on a datagram socket.
    fn recv_from(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(Payload, SocketAddr), Errno>;

    /// `connect()` with the address family `AF_UNSPEC`: the connection ends, and the socket is as it was before.
    /// `EOPNOTSUPP` where the endpoint cannot do that.
    fn disconnect(&mut self, _cx: &mut Cx<'_>, _socket: SocketId) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `shutdown()`.
    fn shutdown(&mut self, cx: &mut Cx<'_>, socket: SocketId, how: Shutdown) -> Result<(), Errno>;

    /// `close()`: the descriptor is gone at once, the connection ends in its own time. Where `SO_LINGER` has a time, the
    /// answer is `EAGAIN` until the FIN is acknowledged or the time is over, and the descriptor is only good for asking
    /// again.
    fn close(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(), Errno>;

    /// RFC 9293's ABORT: a reset to the peer, as `close()` after `SO_LINGER` with time 0.
    fn abort(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(), Errno>;

    /// `setsockopt()`.
    fn set_option(&mut self, cx: &mut Cx<'_>, socket: SocketId, option: SockOpt) -> Result<(), Errno>;

    /// `getsockopt()`: the value of `option` in place of the one given.
    fn get_option(&mut self, cx: &mut Cx<'_>, socket: SocketId, option: SockOpt) -> Result<SockOpt, Errno>;

    /// `getsockopt(TCP_INFO)`; `now` is the host's clock. `ENOPROTOOPT` where the endpoint does not tell,
    /// `EOPNOTSUPP` for a socket that is not TCP.
    fn tcp_info(&self, _now: HostTime, _socket: SocketId) -> Result<TcpInfo, Errno> {
        Err(Errno::ENOPROTOOPT)
    }

    /// `ioctl(SIOCINQ)`: bytes that are ready to be read. `EOPNOTSUPP` where the endpoint does not tell.
    fn queued_in(&self, _socket: SocketId) -> Result<u32, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `ioctl(SIOCOUTQ)`: bytes that were written and are not acknowledged. `EOPNOTSUPP` where the endpoint does not
    /// tell.
    fn queued_out(&self, _socket: SocketId) -> Result<u32, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `poll()` without waiting.
    fn readiness(&self, socket: SocketId) -> Readiness;

    /// `getsockname()`.
    fn local_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno>;

    /// `getpeername()`.
    fn peer_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno>;

    /// Both of these, where the socket has both: asked with every call that is recorded.
    fn names(&self, socket: SocketId) -> Option<Tuple> {
        Some(Tuple { local: self.local_addr(socket).ok()?, remote: self.peer_addr(socket).ok()? })
    }

    /// The addresses of the host, loopback excluded, the preferred one of each family first.
    fn addresses(&self) -> Vec<std::net::IpAddr>;
}
