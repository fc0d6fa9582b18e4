use super::listener::bound;
use super::pattern::pattern;
use crate::endpoint::{Errno, Family, SocketId, SocketKind};
use crate::sim::{App, AppCx, AttemptEnd, Wake};
use crate::time::{HostTime, Span};
use crate::wire::Payload;
use std::net::SocketAddr;

/// Sends bursts of UDP datagrams at a fixed interval, whatever becomes of them.
///
/// Counts `sent`, `bytes`, `no room` (`EAGAIN`) and `errors` (an ICMP error that came for an earlier datagram counts
/// once, at the next).
#[derive(Debug)]
pub struct DatagramSource {
    remote: SocketAddr,
    data: Payload,
    burst: u32,
    every: Span,
    left: u64,
    next: HostTime,
    socket: Option<SocketId>,
}

impl DatagramSource {
    /// Sends `bursts` times `burst` datagrams of `size` bytes to `remote`, a burst `every` so often.
    pub fn new(remote: SocketAddr, size: u16, burst: u32, every: Span, bursts: u64) -> DatagramSource {
        let data = pattern(usize::from(size)).into();
        DatagramSource { remote, data, burst, every, left: bursts, next: HostTime::ZERO, socket: None }
    }

    fn burst(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        for _ in 0..self.burst {
            match cx.send_to(socket, &self.data, self.remote) {
                Ok(n) => {
                    cx.count("sent", 1);
                    cx.count("bytes", n.into());
                }
                Err(Errno::EAGAIN) => cx.count("no room", 1),
                Err(_) => cx.count("errors", 1),
            }
        }
    }
}

impl App for DatagramSource {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        let family = if self.remote.is_ipv4() { Family::V4 } else { Family::V6 };
        match cx.socket(family, SocketKind::Datagram) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.next = cx.now();
                cx.set_timer((self.left > 0).then_some(self.next));
            }
            Err(errno) => cx.attempted(cx.now(), AttemptEnd::Failed(errno)),
        }
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let (Some(socket), Wake::Timer) = (self.socket, wake) else { return };
        while self.left > 0 && self.next <= cx.now() {
            self.left -= 1;
            self.next += self.every;
            self.burst(cx, socket);
        }
        if self.left > 0 {
            cx.set_timer(Some(self.next));
        } else {
            cx.close(socket).ok();
            self.socket = None;
        }
    }
}

/// Receives datagrams and counts them: `datagrams`, `bytes` and `errors`.
#[derive(Debug)]
pub struct DatagramSink {
    port: u16,
    socket: Option<SocketId>,
}

impl DatagramSink {
    /// Receives on `port`, both families.
    pub fn new(port: u16) -> DatagramSink {
        DatagramSink { port, socket: None }
    }
}

impl App for DatagramSink {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        match bound(cx, SocketKind::Datagram, self.port) {
            Ok(socket) => self.socket = Some(socket),
            Err(errno) => cx.attempted(cx.now(), AttemptEnd::Failed(errno)),
        }
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, _wake: Wake) {
        let Some(socket) = self.socket else { return };
        // An error is gone once it is told, and data may wait behind it; two in a row are no such error.
        let mut failed = false;
        loop {
            match cx.recv_from(socket) {
                Ok((data, _)) => {
                    cx.count("datagrams", 1);
                    cx.count("bytes", data.len().into());
                    failed = false;
                }
                Err(Errno::EAGAIN) => return,
                Err(_) if failed => return,
                Err(_) => {
                    cx.count("errors", 1);
                    failed = true;
                }
            }
        }
    }
}
