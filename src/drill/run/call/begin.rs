//! Reading calls, and making those that never block.

use super::transfer::{Phase, Receive, Transmit};
use super::{Op, Progress, Returned, Runner, Sock, Stop, Then, nanos};
use crate::drill::config::IpVersion;
use crate::drill::run::packets::zeros;
use crate::drill::script::{Call, Expr};
use crate::endpoint::{Errno, Family, MsgFlags, Shutdown, SocketKind};
use crate::time::Span;
use std::net::SocketAddr;

const O_RDWR: i64 = 2;
const O_NONBLOCK: i64 = 0x800;

impl Runner<'_> {
    /// Reads a call and begins it.
    pub(super) fn begin(&mut self, call: &Call) -> Result<Op, Stop> {
        match call.name.as_str() {
            "socket" => self.open(call),
            "bind" => self.bind(call),
            "listen" => self.listen(call),
            "accept" | "accept4" => {
                self.takes(call, 3..=4)?;
                Ok(Op::Accept { listener: self.socket(call)? })
            }
            "connect" => self.connect(call),
            "read" | "readv" | "recv" | "recvfrom" | "recvmsg" => self.receive(call),
            "write" | "writev" | "send" | "sendto" | "sendmsg" => self.transmit(call),
            "fcntl" => self.fcntl(call),
            "ioctl" => self.ioctl(call),
            "close" => self.close(call),
            "shutdown" => self.shutdown(call),
            "setsockopt" => self.set_option(call),
            "getsockopt" => self.get_option(call),
            "poll" => self.poll(call),
            "epoll_create" | "epoll_create1" => {
                self.takes(call, 1..=1)?;
                let size = self.number(&call.args[0])?;
                let result = if call.name == "epoll_create" && size <= 0 { Err(Errno::EINVAL) } else { Ok(0) };
                Ok(Op::Done(Returned::of(result), Then::EpollOpened))
            }
            "epoll_ctl" => self.epoll_ctl(call),
            "epoll_wait" => self.epoll_wait(call),
            name => Err(self.unsupported(format!("the call `{name}`"))),
        }
    }

    fn done(result: Result<i64, Errno>) -> Op {
        Op::Done(Returned::of(result), Then::Nothing)
    }

    fn open(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 3..=3)?;
        let by_version = if self.config.version == IpVersion::V4 { Family::V4 } else { Family::V6 };
        let family = match &call.args[0] {
            Expr::Ellipsis => by_version,
            given => match self.number(given)? {
                2 => Family::V4,
                10 => Family::V6,
                _ => return Err(self.unsupported(format!("the address family `{given}`"))),
            },
        };
        let kind = self.number(&call.args[1])?;
        let protocol = self.number(&call.args[2])?;
        let (kind, nonblocking) = (kind & !0x8_0800, kind & O_NONBLOCK != 0);
        let kind = match (kind, protocol) {
            (1, 0 | 6) => SocketKind::Stream,
            (2, 0 | 17) => SocketKind::Datagram,
            (1, 17) | (2, 6) => return Ok(Self::done(Err(Errno::EPROTONOSUPPORT))),
            _ => return Err(self.unsupported(format!("socket({}, {})", call.args[1], call.args[2]))),
        };
        let opened = self.world.attempt(|sockets, cx| sockets.socket(cx, family, kind));
        Ok(match opened {
            Ok(live) => {
                let mut sock = Sock::new(kind, Progress::New);
                sock.nonblocking = nonblocking;
                let then = Then::Opened { live, sock: Box::new(sock) };
                Op::Done(Returned { value: live.0.into(), errno: None }, then)
            }
            Err(errno) => Self::done(Err(errno)),
        })
    }

    fn bind(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 3..=3)?;
        let live = self.live(self.socket(call)?)?;
        self.address_arg(call)?;
        let local = SocketAddr::new(self.config.local, self.config.bind_port);
        let result = self.world.attempt(|sockets, cx| sockets.bind(cx, live, local));
        Ok(Self::done(result.map(|()| 0)))
    }

    /// `...`, or an address in full: then too the tool's own addresses are what is meant.
    fn address_arg(&self, call: &Call) -> Result<(), Stop> {
        match call.args.get(1) {
            Some(Expr::Ellipsis | Expr::Braces(_)) => Ok(()),
            Some(other) => Err(self.fail(format!("{}: expected an address, found `{other}`", call.name))),
            None => Err(self.fail(format!("{}: an argument is missing", call.name))),
        }
    }

    fn listen(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 2..=2)?;
        let sock = self.socket(call)?;
        let live = self.live(sock)?;
        let backlog = self.number(&call.args[1])?;
        // A negative backlog is a very large one (listen(2) on Linux casts it).
        let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
        let result = self.world.attempt(|sockets, cx| sockets.listen(cx, live, backlog));
        Ok(Op::Done(Returned::of(result.map(|()| 0)), Then::Listens(sock)))
    }

    fn connect(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 3..=3)?;
        let sock = self.socket(call)?;
        let live = self.live(sock)?;
        match &call.args[1] {
            Expr::Ellipsis | Expr::Braces(_) => {}
            family if self.number(family)? == 0 => {
                self.socks[sock].progress = Progress::New;
                let result = self.world.attempt(|sockets, cx| sockets.disconnect(cx, live));
                return Ok(Self::done(result.map(|()| 0)));
            }
            family => return Err(self.unsupported(format!("connect to `{family}`"))),
        }
        self.connects(sock);
        let remote = SocketAddr::new(self.config.remote, self.config.connect_port);
        let result = self.world.attempt(|sockets, cx| sockets.connect(cx, live, remote));
        match result {
            Err(Errno::EINPROGRESS | Errno::EALREADY) if !self.socks[sock].nonblocking => Ok(Op::Connect { sock }),
            result => Ok(Self::done(result.map(|()| 0))),
        }
    }

    /// A call is about to connect a socket: its next SYN is one that the script expects.
    pub(super) fn connects(&mut self, sock: usize) {
        let entry = &mut self.socks[sock];
        if entry.progress == Progress::New {
            // Until its SYN is seen, no packet is of this socket.
            (entry.progress, entry.tuple) = (Progress::Connecting, None);
        }
    }

    fn receive(&mut self, call: &Call) -> Result<Op, Stop> {
        let count = match call.name.as_str() {
            "recv" => 4,
            "recvfrom" => 6,
            _ => 3,
        };
        self.takes(call, count..=count)?;
        let sock = self.socket(call)?;
        self.live(sock)?;
        let mut flags = MsgFlags::empty();
        let mut message = None;
        let max = match call.name.as_str() {
            "readv" => self.buffers(&call.args[1])?,
            "recvmsg" => {
                flags = self.flags(&call.args[2])?;
                let max = self.message_buffers(&call.args[1])?;
                message = Some(call.args[1].clone());
                max
            }
            name => {
                self.ellipsis(call, 1)?;
                if name != "read" {
                    flags = self.flags(&call.args[3])?;
                }
                self.length(&call.args[2])?
            }
        };
        // tcp_recv_urg(): "this call should never block".
        let blocks = !self.socks[sock].nonblocking && !flags.intersects(MsgFlags::DONTWAIT | MsgFlags::OOB);
        Ok(Op::Receive(Receive { sock, max, flags, blocks, got: 0, message }))
    }

    fn message_buffers(&self, message: &Expr) -> Result<u32, Stop> {
        let buffers =
            message.field("msg_iov").ok_or_else(|| self.fail(format!("expected a message, found `{message}`")))?;
        self.buffers(buffers)
    }

    fn transmit(&mut self, call: &Call) -> Result<Op, Stop> {
        let count = match call.name.as_str() {
            "send" => 4,
            "sendto" => 6,
            _ => 3,
        };
        self.takes(call, count..=count)?;
        let sock = self.socket(call)?;
        self.live(sock)?;
        let mut flags = MsgFlags::empty();
        let mut addressed = false;
        let len = match call.name.as_str() {
            "writev" => self.buffers(&call.args[1])?,
            "sendmsg" => {
                flags = self.flags(&call.args[2])?;
                addressed = call.args[1].field("msg_name").is_some();
                self.message_buffers(&call.args[1])?
            }
            name => {
                self.ellipsis(call, 1)?;
                if name != "write" {
                    flags = self.flags(&call.args[3])?;
                }
                addressed = name == "sendto";
                self.length(&call.args[2])?
            }
        };
        if let ("sendto", Some(family)) = (call.name.as_str(), call.args.get(4))
            && !matches!(family, Expr::Ellipsis | Expr::Braces(_))
            && self.number(family)? == 0
        {
            self.socks[sock].progress = Progress::New;
            // __inet_stream_connect(): Fast Open to no address at all is no way to connect.
            return Ok(Self::done(Err(Errno::EOPNOTSUPP)));
        }
        if addressed {
            self.connects(sock);
        }
        let blocks = !self.socks[sock].nonblocking && !flags.contains(MsgFlags::DONTWAIT);
        let data = zeros(len);
        Ok(Op::Transmit(Transmit { sock, data, sent: 0, flags, blocks, addressed, phase: Phase::Begin }))
    }

    fn fcntl(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 2..=3)?;
        let sock = self.socket(call)?;
        let command = self.number(&call.args[1])?;
        let value = call.args.get(2).map(|arg| self.number(arg)).transpose()?;
        let entry = &mut self.socks[sock];
        Ok(Self::done(match (command, value) {
            (3, _) => Ok(O_RDWR | if entry.nonblocking { O_NONBLOCK } else { 0 }),
            (4, Some(flags)) => {
                entry.nonblocking = flags & O_NONBLOCK != 0;
                Ok(0)
            }
            _ => return Err(self.unsupported(format!("fcntl({})", call.args[1]))),
        }))
    }

    fn ioctl(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 2..=3)?;
        let sock = self.socket(call)?;
        let live = self.live(sock)?;
        let result = match self.number(&call.args[1])? {
            0x541b => self.world.attempt(|sockets, _| sockets.queued_in(live)),
            0x5411 => self.world.attempt(|sockets, _| sockets.queued_out(live)),
            _ => return Err(self.unsupported(format!("ioctl({})", call.args[1]))),
        };
        let Some(expected) = call.args.get(2) else { return Ok(Self::done(result.map(|_| 0))) };
        let expected = self.bracketed(expected)?;
        Ok(match result {
            Ok(n) => Op::Done(Returned::ZERO, Then::Compare("the value", expected.to_string(), n.to_string())),
            Err(errno) => Self::done(Err(errno)),
        })
    }

    fn close(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 1..=1)?;
        let fd = self.number(&call.args[0])?;
        if self.epolls.remove(&fd).is_some() {
            return Ok(Self::done(Ok(0)));
        }
        let sock = self.socket(call)?;
        let live = self.live(sock)?;
        let result = self.world.attempt(|sockets, cx| sockets.close(cx, live));
        self.epolls.values_mut().for_each(|epoll| epoll.forget(fd));
        let linger = self.socks[sock].linger.filter(|&linger| linger > Span::ZERO);
        if let (Ok(()) | Err(Errno::EAGAIN), Some(linger)) = (result, linger)
            && self.is_sending(sock)
        {
            // SO_LINGER: close() waits until all is acknowledged, on a non-blocking socket too. An endpoint that says so
            // itself is asked once more in the end.
            let until = self.world.now().saturating_add(nanos(linger));
            let again = result.is_err().then_some(live);
            return Ok(Op::Linger { sock, again, until });
        }
        Ok(Op::Done(Returned::of(result.map(|()| 0)), Then::Closed(sock)))
    }

    fn shutdown(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 2..=2)?;
        let live = self.live(self.socket(call)?)?;
        let how = match self.number(&call.args[1])? {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            2 => Shutdown::Both,
            _ => return Ok(Self::done(Err(Errno::EINVAL))),
        };
        let result = self.world.attempt(|sockets, cx| sockets.shutdown(cx, live, how));
        Ok(Self::done(result.map(|()| 0)))
    }
}
