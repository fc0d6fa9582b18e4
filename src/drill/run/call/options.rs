//! `setsockopt` and `getsockopt`.

use super::{Op, Returned, Runner, Stop, Then};
use crate::drill::script::{Call, Expr};
use crate::endpoint::{Congestion, Errno, FastOpenKey, PathMtu, SockOpt};
use crate::time::{Span, ms, secs};

/// Options that change nothing that a script sees.
const IDLE: [&str; 8] = [
    "SO_MARK",
    "SO_PRIORITY",
    "SO_BINDTODEVICE",
    "SO_DEBUG",
    "SO_BROADCAST",
    "SO_NO_CHECK",
    "IP_FREEBIND",
    "SO_SNDLOWAT",
];

/// What an option is given.
enum Given<'a> {
    Number(i64),
    Text(&'a str),
    /// `{onoff=1, linger=5}`.
    Linger(Option<Span>),
}

impl Runner<'_> {
    pub(super) fn set_option(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 5..=5)?;
        let sock = self.socket(call)?;
        let live = self.live(sock)?;
        let name = self.option_name(call)?;
        let given = match &call.args[3] {
            Expr::Text(text) => Given::Text(text),
            Expr::List(_) => Given::Number(self.bracketed(&call.args[3])?),
            structure => match (structure.field("onoff"), structure.field("linger")) {
                (Some(on), Some(span)) => {
                    let (on, span) = (self.number(on)?, self.number(span)?);
                    Given::Linger((on != 0).then(|| secs(u64::try_from(span).unwrap_or(0))))
                }
                _ => return Err(self.unsupported(format!("the value `{structure}` of {name}"))),
            },
        };
        if IDLE.contains(&name) {
            return Ok(Op::Done(Returned::ZERO, Then::Nothing));
        }
        let len = self.number(&call.args[4])?;
        let option = match option(name, &given, len) {
            Ok(option) => option,
            Err(Some(errno)) => return Ok(Op::Done(Returned::of(Err(errno)), Then::Nothing)),
            Err(None) => return Err(self.unsupported(format!("the socket option {name}"))),
        };
        let result = self.world.attempt(|sockets, cx| sockets.set_option(cx, live, option));
        match (option, result) {
            (SockOpt::Linger(linger), Ok(())) => self.socks[sock].linger = linger,
            (SockOpt::Inq(on), Ok(())) => self.socks[sock].inq = on,
            _ => {}
        }
        Ok(Op::Done(Returned::of(result.map(|()| 0)), Then::Nothing))
    }

    pub(super) fn get_option(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 5..=5)?;
        let live = self.live(self.socket(call)?)?;
        let name = self.option_name(call)?;
        let expected = match &call.args[3] {
            Expr::List(items) if matches!(items.as_slice(), [Expr::Ellipsis]) => None,
            Expr::List(_) => Some(self.bracketed(&call.args[3])?.to_string()),
            Expr::Text(text) => Some(text.clone()),
            structure => match (structure.field("onoff"), structure.field("linger")) {
                (Some(on), Some(span)) => Some(format!("{} {}", self.number(on)?, self.number(span)?)),
                _ => return Err(self.unsupported(format!("the value `{structure}` of {name}"))),
            },
        };
        let asked = option(name, &Given::Number(1), 4).or_else(|_| option(name, &Given::Linger(None), 8));
        let asked = match asked {
            Ok(option) => option,
            Err(_) if name == "TCP_CONGESTION" => SockOpt::Congestion(Congestion::Reno),
            Err(_) if name == "SO_ERROR" => SockOpt::Error(None),
            Err(_) => return Err(self.unsupported(format!("the socket option {name}"))),
        };
        let result = self.world.attempt(|sockets, cx| sockets.get_option(cx, live, asked));
        Ok(match result {
            Err(errno) => Op::Done(Returned::of(Err(errno)), Then::Nothing),
            Ok(option) => {
                let found = value(option);
                let expected = expected.unwrap_or_else(|| found.clone());
                Op::Done(Returned::ZERO, Then::Compare("the value", expected, found))
            }
        })
    }

    /// The option's name; the level must be one that has options.
    fn option_name<'a>(&self, call: &'a Call) -> Result<&'a str, Stop> {
        self.number(&call.args[1])?;
        match &call.args[2] {
            Expr::Word(name) => Ok(name),
            other => Err(self.unsupported(format!("the socket option `{other}`"))),
        }
    }
}

/// The option of this name with a value; `Err(None)` where it is not simulated.
fn option(name: &str, given: &Given<'_>, len: i64) -> Result<SockOpt, Option<Errno>> {
    let n = match given {
        Given::Number(n) => *n,
        Given::Text(text) => return text_option(name, text, len),
        Given::Linger(linger) if name == "SO_LINGER" => return Ok(SockOpt::Linger(*linger)),
        Given::Linger(_) => return Err(None),
    };
    let on = n != 0;
    // setsockopt() takes an `int`: what is negative is refused by most, and very large for buffers.
    let size = u32::try_from(n & 0xffff_ffff).unwrap_or(u32::MAX);
    let span = |unit: fn(u64) -> Span| u64::try_from(n).map(unit).map_err(|_| Some(Errno::EINVAL));
    let byte = u8::try_from(n).map_err(|_| Some(Errno::EINVAL));
    Ok(match name {
        "SO_REUSEADDR" => SockOpt::ReuseAddr(on),
        "SO_REUSEPORT" => SockOpt::ReusePort(on),
        "SO_EXCLUSIVEADDRUSE" => SockOpt::ExclusiveAddrUse(on),
        "SO_KEEPALIVE" => SockOpt::KeepAlive(on),
        "SO_OOBINLINE" => SockOpt::OobInline(on),
        "SO_SNDBUF" => SockOpt::SendBuffer(size),
        "SO_RCVBUF" => SockOpt::ReceiveBuffer(size),
        "SO_RCVLOWAT" => SockOpt::ReceiveLowat(size),
        "SO_MAX_PACING_RATE" => SockOpt::MaxPacingRate(u64::try_from(n).unwrap_or(u64::MAX)),
        "IPV6_V6ONLY" => SockOpt::V6Only(on),
        "TCP_NODELAY" => SockOpt::NoDelay(on),
        "TCP_CORK" | "TCP_NOPUSH" => SockOpt::Cork(on),
        "TCP_QUICKACK" => SockOpt::QuickAck(on),
        "TCP_MAXSEG" => SockOpt::MaxSeg(u16::try_from(n).map_err(|_| Some(Errno::EINVAL))?),
        "TCP_SYNCNT" => SockOpt::SynCount(byte?),
        "TCP_USER_TIMEOUT" => SockOpt::UserTimeout(span(ms)?),
        "TCP_KEEPIDLE" => SockOpt::KeepIdle(span(secs)?),
        "TCP_KEEPINTVL" => SockOpt::KeepInterval(span(secs)?),
        "TCP_KEEPCNT" => SockOpt::KeepCount(byte?),
        "TCP_LINGER2" => SockOpt::Linger2(u64::try_from(n).ok().map(secs)),
        "TCP_DEFER_ACCEPT" => SockOpt::DeferAccept(span(secs)?),
        "TCP_NOTSENT_LOWAT" => SockOpt::NotSentLowat(size),
        "TCP_INQ" => SockOpt::Inq(on),
        "TCP_FASTOPEN" => SockOpt::FastOpen(size),
        "TCP_FASTOPEN_CONNECT" => SockOpt::FastOpenConnect(on),
        "TCP_FASTOPEN_NO_COOKIE" => SockOpt::FastOpenNoCookie(on),
        "IP_TOS" | "IPV6_TCLASS" => SockOpt::Tos(byte?),
        "IP_TTL" | "IPV6_UNICAST_HOPS" => SockOpt::Ttl(byte?),
        "IP_MTU_DISCOVER" | "IPV6_MTU_DISCOVER" => {
            let all = [PathMtu::Dont, PathMtu::Want, PathMtu::Do, PathMtu::Probe];
            let how = usize::try_from(n).ok().and_then(|n| all.get(n));
            SockOpt::MtuDiscover(*how.ok_or(Some(Errno::EINVAL))?)
        }
        _ => return Err(None),
    })
}

/// Options whose value is a text.
fn text_option(name: &str, text: &str, len: i64) -> Result<SockOpt, Option<Errno>> {
    match name {
        "TCP_CONGESTION" => Congestion::from_name(text).map(SockOpt::Congestion).ok_or(Some(Errno::ENOENT)),
        "TCP_FASTOPEN_KEY" => {
            let bytes = unescaped(text);
            let key = |at: usize| bytes.get(at..at + 16).and_then(|key| <[u8; 16]>::try_from(key).ok());
            match (len, key(0), key(16)) {
                (16, Some(primary), _) => Ok(SockOpt::FastOpenKey(FastOpenKey { primary, backup: None })),
                (32, Some(primary), backup @ Some(_)) => Ok(SockOpt::FastOpenKey(FastOpenKey { primary, backup })),
                _ => Err(Some(Errno::EINVAL)),
            }
        }
        _ => Err(None),
    }
}

/// The bytes of a text with `\x00` and `\000` in it.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (radix, most, skip) = if rest.first() == Some(&b'x') { (16, 2, 1) } else { (8, 3, 0) };
        let digits = rest[skip..].iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
        let number = std::str::from_utf8(&rest[skip..skip + digits]).ok();
        match number.and_then(|number| u8::from_str_radix(number, radix).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[skip + digits..];
            }
            None => bytes.push(*first),
        }
    }
    bytes
}

/// The value as `getsockopt` writes it.
fn value(option: SockOpt) -> String {
    let seconds = |span: Span| (span.as_millis() / 1_000).to_string();
    let bit = |on: bool| u8::from(on).to_string();
    match option {
        SockOpt::ReuseAddr(on)
        | SockOpt::ReusePort(on)
        | SockOpt::ExclusiveAddrUse(on)
        | SockOpt::KeepAlive(on)
        | SockOpt::OobInline(on)
        | SockOpt::V6Only(on)
        | SockOpt::NoDelay(on)
        | SockOpt::Cork(on)
        | SockOpt::QuickAck(on)
        | SockOpt::Inq(on)
        | SockOpt::FastOpenConnect(on)
        | SockOpt::FastOpenNoCookie(on) => bit(on),
        SockOpt::Linger(None) => "0 0".to_owned(),
        SockOpt::Linger(Some(span)) => format!("1 {}", seconds(span)),
        SockOpt::SendBuffer(n) | SockOpt::ReceiveBuffer(n) | SockOpt::ReceiveLowat(n) | SockOpt::FastOpen(n) => {
            n.to_string()
        }
        // An `int`, as scripts write it: all ones is no negative number there.
        SockOpt::NotSentLowat(n) => n.to_string(),
        SockOpt::Error(errno) => errno.map_or(0, |errno| errno.number()).to_string(),
        SockOpt::MaxSeg(n) => n.to_string(),
        SockOpt::SynCount(n) | SockOpt::KeepCount(n) | SockOpt::Tos(n) | SockOpt::Ttl(n) => n.to_string(),
        SockOpt::UserTimeout(span) => span.as_millis().to_string(),
        SockOpt::KeepIdle(span) | SockOpt::KeepInterval(span) | SockOpt::DeferAccept(span) => seconds(span),
        SockOpt::Linger2(span) => span.map_or_else(|| "-1".to_owned(), seconds),
        SockOpt::FastOpenKey(key) => key.primary.iter().map(|byte| char::from(*byte)).collect(),
        SockOpt::Congestion(name) => name.name().to_owned(),
        SockOpt::MaxPacingRate(n) => n.to_string(),
        SockOpt::MtuDiscover(how) => match how {
            PathMtu::Dont => "0".to_owned(),
            PathMtu::Want => "1".to_owned(),
            PathMtu::Do => "2".to_owned(),
            PathMtu::Probe => "3".to_owned(),
        },
    }
}
