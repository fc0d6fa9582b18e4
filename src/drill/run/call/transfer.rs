//! Data in and out.

use super::{Returned, Runner, Stop, Then};
use crate::drill::script::Expr;
use crate::endpoint::{Errno, MsgFlags, Readiness, SocketId, State};
use crate::wire::{Payload, Rope};
use std::net::SocketAddr;

/// `read` and its relatives.
#[derive(Clone, Debug)]
pub(super) struct Receive {
    pub(super) sock: usize,
    pub(super) max: u32,
    pub(super) flags: MsgFlags,
    pub(super) blocks: bool,
    pub(super) got: u32,
    /// What `recvmsg` is to write, besides the data.
    pub(super) message: Option<Expr>,
}

/// `write` and its relatives.
#[derive(Clone, Debug)]
pub(super) struct Transmit {
    pub(super) sock: usize,
    pub(super) data: Payload,
    pub(super) sent: u32,
    pub(super) flags: MsgFlags,
    pub(super) blocks: bool,
    /// Whether the call names an address, which connects with `MSG_FASTOPEN`.
    pub(super) addressed: bool,
    pub(super) phase: Phase,
}

/// How far a call that sends has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Begin,
    /// It connects, and goes on when that is done.
    Connecting,
    Sending,
}

impl Runner<'_> {
    pub(super) fn try_receive(&mut self, receive: &mut Receive) -> Result<Option<(Returned, Then)>, Stop> {
        let live = self.live(receive.sock)?;
        let (max, flags) = ((receive.max - receive.got) as usize, receive.flags);
        let mut into = Rope::new();
        let result = self.world.attempt(|sockets, cx| sockets.recv(cx, live, max, flags, &mut into));
        let more = u32::try_from(result.unwrap_or(0)).unwrap_or(u32::MAX);
        receive.got += more;
        let all = receive.got >= receive.max;
        let waits = receive.blocks && flags.contains(MsgFlags::WAITALL) && !flags.contains(MsgFlags::PEEK);
        let result = match result {
            Err(Errno::EAGAIN) if receive.blocks && (receive.got == 0 || waits) => return Ok(None),
            Ok(n) if n > 0 && waits && !all => return Ok(None),
            // What came before an error is given first.
            Err(_) if receive.got > 0 => Ok(receive.got),
            Err(errno) => Err(errno),
            Ok(_) => Ok(receive.got),
        };
        let then = match (&receive.message, result) {
            (Some(message), Ok(_)) => self.message(receive.sock, &message.clone())?,
            _ => Then::Nothing,
        };
        Ok(Some((Returned::of(result.map(i64::from)), then)))
    }

    /// What `recvmsg` writes besides the data, held against what the script has there.
    fn message(&mut self, sock: usize, message: &Expr) -> Result<Then, Stop> {
        let flags = message.field("msg_flags").map_or(Ok(0), |flags| self.number(flags))?;
        let mut wanted = format!("msg_flags {flags}");
        let mut found = "msg_flags 0".to_owned();
        if let Some(Expr::List(controls)) = message.field("msg_control") {
            for control in controls {
                wanted.push_str(&self.control(control)?);
            }
            if self.socks[sock].inq {
                // SOL_TCP, TCP_CM_INQ.
                found.push_str(&format!(", level 6 type 36 data {}", self.left_to_read(sock)?));
            }
        }
        Ok(Then::Compare("the message", wanted, found))
    }

    fn control(&self, control: &Expr) -> Result<String, Stop> {
        let field = |name: &str| {
            let value = control.field(name);
            value.ok_or_else(|| self.fail(format!("expected a control message, found `{control}`")))
        };
        let (level, kind, data) = (field("cmsg_level")?, field("cmsg_type")?, field("cmsg_data")?);
        if matches!(data, Expr::Braces(_) | Expr::List(_)) {
            return Err(self.unsupported(format!("control messages of the type `{kind}`")));
        }
        let kind = match kind {
            Expr::Word(word) if word == "TCP_INQ" => 36,
            kind => self.number(kind)?,
        };
        Ok(format!(", level {} type {kind} data {}", self.number(level)?, self.number(data)?))
    }

    /// What `TCP_CM_INQ` tells: bytes that are left, or 1 where the end of the stream is (`tcp_inq_hint()` in tcp.c).
    fn left_to_read(&mut self, sock: usize) -> Result<u32, Stop> {
        let live = self.live(sock)?;
        let left = self.world.attempt(|sockets, _| sockets.queued_in(live)).unwrap_or(0);
        let ready = self.world.call(|sockets, _| sockets.readiness(live)).unwrap_or_default();
        Ok(if left == 0 && ready.contains(Readiness::RDHUP) { 1 } else { left })
    }

    fn is_connecting(&mut self, live: SocketId) -> bool {
        let info = self.world.attempt(|sockets, cx| sockets.tcp_info(cx.now(), live));
        info.is_ok_and(|info| info.state == State::SynSent)
    }

    /// Tries to send what is left; nothing while that blocks.
    pub(super) fn try_transmit(&mut self, transmit: &mut Transmit) -> Option<Returned> {
        let Some(live) = self.socks[transmit.sock].live else { return Some(Returned::of(Err(Errno::EBADF))) };
        let remote = SocketAddr::new(self.config.remote, self.config.connect_port);
        // With Fast Open the endpoint has to know whether a writer waits behind the SYN.
        let flags = if transmit.blocks { transmit.flags } else { transmit.flags | MsgFlags::DONTWAIT };
        if transmit.phase == Phase::Begin {
            transmit.phase = Phase::Sending;
            if transmit.addressed {
                let data = transmit.data.clone();
                let result = self.world.attempt(|sockets, cx| sockets.send_to(cx, live, &data, remote, flags));
                let opens = transmit.blocks && (flags.contains(MsgFlags::FASTOPEN) || self.is_connecting(live));
                match result {
                    // Data in the SYN, or a cookie asked for: the call goes on when the connection is there.
                    Ok(n) if opens => (transmit.sent, transmit.phase) = (n, Phase::Connecting),
                    Err(Errno::EINPROGRESS) if opens => transmit.phase = Phase::Connecting,
                    Ok(n) if transmit.blocks && n < transmit.data.len() => transmit.sent = n,
                    Err(Errno::EAGAIN) if transmit.blocks => {}
                    result => return Some(Returned::of(result.map(i64::from))),
                }
            }
        }
        if transmit.phase == Phase::Connecting {
            match self.world.attempt(|sockets, cx| sockets.connect(cx, live, remote)) {
                Err(Errno::EINPROGRESS | Errno::EALREADY) => return None,
                Ok(()) | Err(Errno::EISCONN) => transmit.phase = Phase::Sending,
                Err(errno) => return Some(Returned::of(Err(errno))),
            }
        }
        loop {
            let left = transmit.data.slice(transmit.sent..transmit.data.len());
            if left.is_empty() && transmit.sent > 0 {
                return Some(Returned::of(Ok(transmit.sent.into())));
            }
            let flags = flags - MsgFlags::FASTOPEN;
            match self.world.attempt(|sockets, cx| sockets.send(cx, live, &left, flags)) {
                Ok(n) => {
                    transmit.sent += n;
                    // TCP_FASTOPEN_CONNECT: this call has opened the connection, and waits for it.
                    if transmit.blocks && self.is_connecting(live) {
                        transmit.phase = Phase::Connecting;
                        return None;
                    }
                    if !transmit.blocks || transmit.sent >= transmit.data.len() {
                        return Some(Returned::of(Ok(transmit.sent.into())));
                    }
                }
                Err(Errno::EAGAIN) if transmit.blocks => return None,
                Err(Errno::EINPROGRESS) if transmit.blocks => {
                    transmit.phase = Phase::Connecting;
                    return None;
                }
                Err(_) if transmit.sent > 0 => return Some(Returned::of(Ok(transmit.sent.into()))),
                Err(errno) => return Some(Returned::of(Err(errno))),
            }
        }
    }
}
