//! What a recorded call asks for, typed. A form that is not here makes its case unsupported.

use super::recording::{Call, Outcome};
use crate::endpoint::{MsgFlags, NoRoute, Shutdown, SockOpt};
use crate::time::{Span, ms, secs};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Socket,
    Bind(SocketAddr),
    Listen(u32),
    Accept {
        name: Option<String>,
    },
    Connect(SocketAddr),
    Send(u32, MsgFlags),
    Recv(usize),
    /// Reads of at most `max` bytes until `total` have come or the stream ends.
    RecvLoop {
        max: usize,
        every: Span,
        times: Option<u64>,
        total: u64,
    },
    Shutdown(Shutdown),
    Close,
    Set(SockOpt),
    /// `TCP_REPAIR`: a close is silent from now on.
    Repair(bool),
    GetError,
    NonBlocking,
    Poll,
    /// The socket now belongs to another process.
    Fork,
    /// That process dies, or the one that holds all sockets of the server.
    Kill,
    LinkDown,
    LinkUp,
    /// A route that leads nowhere.
    NoRoute(NoRoute, IpAddr, u8),
    /// Says what the wire does: it is seen at the segments.
    Nothing,
}

/// So many SYNs from addresses that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood {
    pub(super) count: u32,
    /// The first two bytes of the addresses.
    prefix: [u8; 2],
}

impl Flood {
    pub(super) fn read(call: &Call) -> Result<Option<Flood>, String> {
        if call.call != "flood" {
            return Ok(None);
        }
        let read = || {
            let (count, prefix) = call.args.split_once(" spoofed SYNs from ")?;
            let mut bytes = prefix.strip_suffix(".x.y")?.split('.').map(str::parse);
            let prefix = [bytes.next()?.ok()?, bytes.next()?.ok()?];
            bytes.next().is_none().then_some(Flood { count: count.parse().ok()?, prefix })
        };
        let flood = read().filter(|flood| flood.count <= 65_536);
        flood.map(Some).ok_or_else(|| format!("flood {}", call.args))
    }

    pub(super) fn contains(self, addr: IpAddr) -> bool {
        matches!(addr, IpAddr::V4(v4) if v4.octets()[..2] == self.prefix)
    }

    pub(super) fn address(self, n: u64) -> IpAddr {
        let [low, high, ..] = n.to_le_bytes();
        let [a, b] = self.prefix;
        IpAddr::V4(Ipv4Addr::new(a, b, high, low))
    }
}

impl Verb {
    /// What `call` asks for; else its name, to say that it is unknown.
    pub(super) fn of(call: &Call) -> Result<Verb, String> {
        Verb::read(call).ok_or_else(|| format!("{} {}", call.call, call.args).trim_end().to_owned())
    }

    fn read(call: &Call) -> Option<Verb> {
        let args = call.args.as_str();
        Some(match call.call.as_str() {
            "socket" if args == "SOCK_STREAM" => Verb::Socket,
            "bind" => Verb::Bind(args.parse().ok()?),
            "listen" => Verb::Listen(args.parse().ok()?),
            "accept" if args.is_empty() => Verb::Accept { name: accepted_name(call) },
            "connect" => Verb::Connect(args.parse().ok()?),
            "send" => {
                let (count, flags) = args.split_once(" bytes")?;
                let flags = match flags {
                    "" => MsgFlags::empty(),
                    " MSG_OOB" => MsgFlags::OOB,
                    _ => return None,
                };
                Verb::Send(count.parse().ok()?, flags)
            }
            "recv" => Verb::Recv(args.parse().ok()?),
            "recv loop" => recv_loop(call)?,
            "shutdown" => Verb::Shutdown(match args {
                "SHUT_RD" => Shutdown::Read,
                "SHUT_WR" => Shutdown::Write,
                "SHUT_RDWR" => Shutdown::Both,
                _ => return None,
            }),
            "close" => Verb::Close,
            "setsockopt" => option(args)?,
            "getsockopt" if args == "SO_ERROR" => Verb::GetError,
            "fcntl" if args == "O_NONBLOCK" => Verb::NonBlocking,
            "poll" if args == "0ms" => Verb::Poll,
            "fork" => Verb::Fork,
            // The system closes what the process held, whatever killed it.
            "kill" if matches!(args, "SIGKILL" | "SIGINT" | "SIGTERM") => Verb::Kill,
            "command" => command(args)?,
            "rule" | "flood" => Verb::Nothing,
            _ => return None,
        })
    }
}

fn accepted_name(call: &Call) -> Option<String> {
    let Some(Outcome::Text(text)) = &call.result else { return None };
    super::plan::accepted(text).map(|(name, _)| name.to_owned())
}

/// The interface goes and comes back; its route with it.
fn command(args: &str) -> Option<Verb> {
    let words: Vec<&str> = args.split_whitespace().collect();
    Some(match words[..] {
        ["ip", "link", "set", _, "down"] => Verb::LinkDown,
        ["ip", "link", "set", _, "up"] => Verb::LinkUp,
        ["ip", "route", "replace", "default", "dev", _] => Verb::Nothing,
        ["ip", "route", "del", "default"] => Verb::NoRoute(NoRoute::Absent, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        ["ip", "route", "add", kind, addr] => Verb::NoRoute(no_route(kind)?, addr.parse().ok()?, 32),
        _ => return None,
    })
}

fn no_route(kind: &str) -> Option<NoRoute> {
    Some(match kind {
        "unreachable" => NoRoute::Unreachable,
        "blackhole" => NoRoute::Blackhole,
        "prohibit" => NoRoute::Prohibit,
        _ => return None,
    })
}

/// `20000 B every 20 ms`, `45 x 100 B every 0.1 s`, or nothing: whatever is there, until all has come.
fn recv_loop(call: &Call) -> Option<Verb> {
    let total = match call.result {
        Some(Outcome::Number(n)) => u64::try_from(n).ok()?,
        // It never ended: there is no last byte.
        None => u64::MAX,
        Some(Outcome::Text(_)) => return None,
    };
    if call.args.is_empty() {
        return Some(Verb::RecvLoop { max: 65_536, every: Span::ZERO, times: None, total });
    }
    let (what, every) = call.args.split_once(" B every ")?;
    let (times, max) = match what.split_once(" x ") {
        Some((times, max)) => (Some(times.parse().ok()?), max),
        None => (None, what),
    };
    Some(Verb::RecvLoop { max: max.parse().ok()?, every: span(every)?, times, total })
}

/// `20 ms`, `0.1 s`.
fn span(text: &str) -> Option<Span> {
    let (number, unit) = text.split_once(' ')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let thousandths = |digits: &str| format!("{digits:0<3}").get(..3)?.parse::<u64>().ok();
    match unit {
        "ms" if part.is_empty() => Some(ms(whole.parse().ok()?)),
        "s" => Some(secs(whole.parse().ok()?) + ms(thousandths(part)?)),
        _ => None,
    }
}

/// `SO_REUSEADDR=1`, `SO_LINGER=[1, 5]`.
fn option(args: &str) -> Option<Verb> {
    let (name, value) = args.split_once('=')?;
    if name == "SO_LINGER" {
        let pair = value.strip_prefix('[')?.strip_suffix(']')?;
        let (on, time) = pair.split_once(", ")?;
        let time = secs(time.parse().ok()?);
        return Some(Verb::Set(SockOpt::Linger((on != "0").then_some(time))));
    }
    let signed: i64 = value.parse().ok()?;
    let on = signed != 0;
    let seconds = || u64::try_from(signed).ok().map(secs);
    let number = || u32::try_from(signed).ok();
    let small = || u8::try_from(signed).ok();
    Some(Verb::Set(match name {
        "TCP_REPAIR" => return Some(Verb::Repair(on)),
        "SO_REUSEADDR" => SockOpt::ReuseAddr(on),
        "SO_REUSEPORT" => SockOpt::ReusePort(on),
        "SO_KEEPALIVE" => SockOpt::KeepAlive(on),
        "SO_SNDBUF" => SockOpt::SendBuffer(number()?),
        "SO_RCVBUF" => SockOpt::ReceiveBuffer(number()?),
        "SO_OOBINLINE" => SockOpt::OobInline(on),
        "TCP_NODELAY" => SockOpt::NoDelay(on),
        "TCP_CORK" => SockOpt::Cork(on),
        "TCP_QUICKACK" => SockOpt::QuickAck(on),
        "TCP_MAXSEG" => SockOpt::MaxSeg(u16::try_from(signed).ok()?),
        "TCP_SYNCNT" => SockOpt::SynCount(small()?),
        "TCP_USER_TIMEOUT" => SockOpt::UserTimeout(ms(u64::try_from(signed).ok()?)),
        "TCP_KEEPIDLE" => SockOpt::KeepIdle(seconds()?),
        "TCP_KEEPINTVL" => SockOpt::KeepInterval(seconds()?),
        "TCP_KEEPCNT" => SockOpt::KeepCount(small()?),
        "TCP_LINGER2" => SockOpt::Linger2(seconds()),
        "TCP_DEFER_ACCEPT" => SockOpt::DeferAccept(seconds()?),
        _ => return None,
    }))
}
