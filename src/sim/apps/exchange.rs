use super::pattern::Pattern;
use super::sink::READ;
use crate::endpoint::{Errno, Family, MsgFlags, SocketId, SocketKind};
use crate::sim::{AppCx, AttemptEnd};
use crate::time::HostTime;
use crate::wire::Rope;
use std::net::SocketAddr;

/// A request and its response, both of a fixed length.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    request: u64,
    response: u64,
    /// Whether the stream has to end after the response, before the client closes.
    until_end: bool,
    pattern: Pattern,
}

/// One request on one connection, and how far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    pub(super) began: HostTime,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Connecting(SocketAddr),
    Sending(u64),
    Receiving(u64),
}

impl Shape {
    pub(super) fn new(request: u64, response: u64) -> Shape {
        Shape { request, response, until_end: false, pattern: Pattern::new(request) }
    }

    pub(super) fn read_until_end(&mut self) {
        self.until_end = true;
    }
}

impl Exchange {
    /// On a socket whose `connect` to `remote` has begun.
    pub(super) fn connecting(began: HostTime, remote: SocketAddr) -> Exchange {
        Exchange { began, phase: Phase::Connecting(remote) }
    }

    /// On a connection that there is already.
    pub(super) fn connected(began: HostTime) -> Exchange {
        Exchange { began, phase: Phase::Sending(0) }
    }

    /// Goes on as far as it can; its end, if it comes to one. `got` is room for what is read.
    pub(super) fn go_on(
        &mut self,
        cx: &mut AppCx<'_>,
        socket: SocketId,
        shape: &Shape,
        got: &mut Rope,
    ) -> Option<AttemptEnd> {
        loop {
            self.phase = match self.phase {
                Phase::Connecting(remote) => match cx.connect(socket, remote) {
                    Ok(()) | Err(Errno::EISCONN) => Phase::Sending(0),
                    Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EAGAIN) => return None,
                    Err(errno) => return Some(AttemptEnd::Failed(errno)),
                },
                Phase::Sending(sent) => {
                    let (more, error) = shape.pattern.send(cx, socket, sent, shape.request);
                    self.phase = Phase::Sending(sent + more);
                    match error {
                        Some(errno) => return Some(AttemptEnd::Failed(errno)),
                        None if sent + more < shape.request => return None,
                        None => Phase::Receiving(0),
                    }
                }
                Phase::Receiving(all) if all >= shape.response && !shape.until_end => return Some(AttemptEnd::Ok),
                Phase::Receiving(all) => {
                    got.clear();
                    let left = if shape.until_end { u64::MAX } else { shape.response - all };
                    let max = usize::try_from(left).unwrap_or(READ).min(READ);
                    match cx.recv(socket, max, MsgFlags::empty(), got) {
                        Ok(0) if all >= shape.response => return Some(AttemptEnd::Ok),
                        Ok(0) => return Some(AttemptEnd::CutShort),
                        Ok(n) => Phase::Receiving(all + n as u64),
                        Err(Errno::EAGAIN) => return None,
                        Err(errno) => return Some(AttemptEnd::Failed(errno)),
                    }
                }
            };
        }
    }
}

/// A new stream socket that connects to `remote`; none is left where that fails at once.
pub(super) fn connecting(cx: &mut AppCx<'_>, remote: SocketAddr) -> Result<SocketId, Errno> {
    let family = if remote.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = cx.socket(family, SocketKind::Stream)?;
    match cx.connect(socket, remote) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => {
            cx.close(socket).ok();
            Err(errno)
        }
    }
}
