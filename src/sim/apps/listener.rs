use crate::endpoint::{Errno, Family, SockOpt, SocketId, SocketKind};
use crate::sim::{AppCx, AttemptEnd};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket of both families.
#[derive(Debug)]
pub(super) struct Listener {
    port: u16,
    backlog: u32,
    socket: Option<SocketId>,
    /// `accept` failed for want of something that a `close` may give back.
    starved: bool,
}

impl Listener {
    pub(super) fn new(port: u16, backlog: u32) -> Listener {
        Listener { port, backlog, socket: None, starved: false }
    }

    /// Listens; a failure is reported as an attempt.
    pub(super) fn open(&mut self, cx: &mut AppCx<'_>) {
        let opened = bound(cx, SocketKind::Stream, self.port).and_then(|socket| {
            let listens = cx.listen(socket, self.backlog);
            or_close(cx, socket, listens)
        });
        match opened {
            Ok(socket) => self.socket = Some(socket),
            Err(errno) => cx.attempted(cx.now(), AttemptEnd::Failed(errno)),
        }
    }

    pub(super) fn is(&self, socket: SocketId) -> bool {
        self.socket == Some(socket)
    }

    /// Whether a connection may wait that could not be accepted when the listener was last ready.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The next connection that waits, without a name in the trace.
    pub(super) fn accept(&mut self, cx: &mut AppCx<'_>) -> Option<SocketId> {
        self.accept_with(cx, |cx, listener| cx.accept_quietly(listener).map(|(socket, _)| socket))
    }

    /// The next connection that waits, under the next free name.
    pub(super) fn accept_named(&mut self, cx: &mut AppCx<'_>) -> Option<SocketId> {
        self.accept_with(cx, |cx, listener| cx.accept_named(listener, None).map(|(socket, _)| socket))
    }

    fn accept_with(
        &mut self,
        cx: &mut AppCx<'_>,
        accept: impl Fn(&mut AppCx<'_>, SocketId) -> Result<SocketId, Errno>,
    ) -> Option<SocketId> {
        let listener = self.socket?;
        loop {
            match accept(cx, listener) {
                Ok(socket) => {
                    self.starved = false;
                    cx.count("accepted", 1);
                    return Some(socket);
                }
                Err(Errno::ECONNABORTED) => cx.count("aborted", 1),
                Err(errno) => {
                    self.starved = matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS);
                    cx.count("accept failed", u64::from(errno != Errno::EAGAIN));
                    return None;
                }
            }
        }
    }
}

/// A socket bound to `port` of both families, or of IPv4 where the endpoint has no other.
pub(super) fn bound(cx: &mut AppCx<'_>, kind: SocketKind, port: u16) -> Result<SocketId, Errno> {
    let v6 = cx.socket(Family::V6, kind).map(|socket| (socket, IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    let (socket, any) = match v6 {
        Err(Errno::EAFNOSUPPORT) => (cx.socket(Family::V4, kind)?, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        v6 => v6?,
    };
    if kind == SocketKind::Stream {
        // As servers do, so that TIME-WAIT of a former life is no obstacle; an endpoint may not know the option.
        cx.set_option(socket, SockOpt::ReuseAddr(true)).ok();
    }
    let binds = cx.bind(socket, SocketAddr::new(any, port));
    or_close(cx, socket, binds)
}

/// The socket, or no socket where a call on it failed.
fn or_close(cx: &mut AppCx<'_>, socket: SocketId, result: Result<(), Errno>) -> Result<SocketId, Errno> {
    if result.is_err() {
        cx.close(socket).ok();
    }
    result.map(|()| socket)
}
