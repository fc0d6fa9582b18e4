//! One attempt at one socket call.

use super::recording::Outcome;
use super::verb::Verb;
use crate::endpoint::{Cx, Errno, Family, MsgFlags, Readiness, SockOpt, SocketId, SocketKind, Sockets};
use crate::time::Span;
use crate::wire::{Payload, Rope};
use std::net::SocketAddr;

/// What one attempt gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// The call returns this.
    Returned(Result<Outcome, Errno>),
    /// A new socket, and what the call returns.
    Opened(SocketId, Outcome),
    /// It would block; a blocking call goes on, another one fails with this.
    Blocked(Errno),
    /// A loop has read and sleeps.
    Sleep(Span),
}

/// How far a call has come that takes several attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Bytes sent or received.
    pub(super) bytes: u64,
    /// Attempts that gave something.
    pub(super) rounds: u64,
    /// Whether there was an attempt before.
    pub(super) begun: bool,
}

const DONE: Outcome = Outcome::Number(0);

/// Tries a call on an open socket.
pub(super) fn attempt(
    sockets: &mut dyn Sockets,
    cx: &mut Cx<'_>,
    socket: SocketId,
    verb: &Verb,
    so_far: &mut Progress,
) -> Tried {
    let again = std::mem::replace(&mut so_far.begun, true);
    match verb {
        Verb::Bind(local) => done(sockets.bind(cx, socket, *local)),
        Verb::Listen(backlog) => done(sockets.listen(cx, socket, *backlog)),
        Verb::Connect(_) if again && sockets.readiness(socket).is_empty() => Tried::Blocked(Errno::EINPROGRESS),
        Verb::Connect(remote) => done(sockets.connect(cx, socket, *remote)),
        Verb::Accept { .. } => match sockets.accept(cx, socket) {
            Ok((new, peer)) => Tried::Opened(new, Outcome::Text(peer.to_string())),
            Err(errno) => failed(errno),
        },
        Verb::Send(len, flags) => send(sockets, cx, socket, (*len, *flags), so_far),
        Verb::Recv(max) => match recv(sockets, cx, socket, *max) {
            Ok(n) => Tried::Returned(Ok(count(n))),
            Err(errno) => failed(errno),
        },
        Verb::RecvLoop { max, every, times, total } => {
            recv_loop(sockets, cx, socket, (*max, *every, times.unwrap_or(u64::MAX), *total), so_far)
        }
        Verb::Shutdown(how) => done(sockets.shutdown(cx, socket, *how)),
        Verb::Close => done(sockets.close(cx, socket)),
        Verb::Set(option) => done(sockets.set_option(cx, socket, *option)),
        Verb::GetError => match sockets.get_option(cx, socket, SockOpt::Error(None)) {
            Ok(SockOpt::Error(Some(errno))) => Tried::Returned(Ok(Outcome::Text(errno.name().to_owned()))),
            Ok(_) => Tried::Returned(Ok(DONE)),
            Err(errno) => failed(errno),
        },
        Verb::Poll => Tried::Returned(Ok(Outcome::Text(ready_text(sockets.readiness(socket))))),
        _ => Tried::Returned(Ok(DONE)),
    }
}

/// `socket(AF_INET, SOCK_STREAM)`.
pub(super) fn open(sockets: &mut dyn Sockets, cx: &mut Cx<'_>) -> Tried {
    match sockets.socket(cx, Family::V4, SocketKind::Stream) {
        Ok(socket) => Tried::Opened(socket, DONE),
        Err(errno) => failed(errno),
    }
}

fn done(result: Result<(), Errno>) -> Tried {
    result.map_or_else(failed, |()| Tried::Returned(Ok(DONE)))
}

fn failed(errno: Errno) -> Tried {
    match errno {
        Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY => Tried::Blocked(errno),
        errno => Tried::Returned(Err(errno)),
    }
}

fn count(n: u64) -> Outcome {
    Outcome::Number(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Sends what is left; a failure after part of it gives the part.
fn send(
    sockets: &mut dyn Sockets,
    cx: &mut Cx<'_>,
    socket: SocketId,
    (len, flags): (u32, MsgFlags),
    so_far: &mut Progress,
) -> Tried {
    let data = Payload::from(vec![b'x'; len as usize]);
    while so_far.bytes < u64::from(len) {
        let sent = u32::try_from(so_far.bytes).unwrap_or(len);
        match sockets.send(cx, socket, &data.slice(sent..len), flags) {
            Ok(n) => so_far.bytes += u64::from(n),
            Err(Errno::EAGAIN) => return Tried::Blocked(Errno::EAGAIN),
            Err(_) if so_far.bytes > 0 => break,
            Err(errno) => return failed(errno),
        }
    }
    Tried::Returned(Ok(count(so_far.bytes)))
}

fn recv(sockets: &mut dyn Sockets, cx: &mut Cx<'_>, socket: SocketId, max: usize) -> Result<u64, Errno> {
    let n = sockets.recv(cx, socket, max, MsgFlags::empty(), &mut Rope::new())?;
    Ok(n as u64)
}

fn recv_loop(
    sockets: &mut dyn Sockets,
    cx: &mut Cx<'_>,
    socket: SocketId,
    (max, every, times, total): (usize, Span, u64, u64),
    so_far: &mut Progress,
) -> Tried {
    loop {
        if so_far.rounds >= times || so_far.bytes >= total {
            return Tried::Returned(Ok(count(so_far.bytes)));
        }
        match recv(sockets, cx, socket, max) {
            Ok(0) => return Tried::Returned(Ok(count(so_far.bytes))),
            Ok(n) => so_far.bytes += n,
            Err(errno) => return failed(errno),
        }
        so_far.rounds += 1;
        if every > Span::ZERO {
            return Tried::Sleep(every);
        }
    }
}

/// `IN|OUT|ERR|HUP|RDHUP`.
fn ready_text(ready: Readiness) -> String {
    let names = [
        (Readiness::READABLE, "IN"),
        (Readiness::URGENT, "PRI"),
        (Readiness::WRITABLE, "OUT"),
        (Readiness::ERROR, "ERR"),
        (Readiness::HUP, "HUP"),
        (Readiness::RDHUP, "RDHUP"),
    ];
    let set = names.into_iter().filter(|(flag, _)| ready.contains(*flag));
    set.map(|(_, name)| name).collect::<Vec<_>>().join("|")
}

/// The text that `accept` gives: the new socket's name and its peer.
pub(super) fn accepted_text(name: &str, peer: SocketAddr) -> Outcome {
    Outcome::Text(format!("{name} peer={peer}"))
}
