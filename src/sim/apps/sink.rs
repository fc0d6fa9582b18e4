use super::listener::Listener;
use crate::endpoint::{Errno, MsgFlags, SocketId};
use crate::sim::{App, AppCx, Wake};
use crate::wire::Rope;
use std::collections::BTreeSet;

/// A server that accepts every connection, reads everything, and closes at the end of each stream.
///
/// Accepted sockets are named `s1`, `s2`, …, so what is read is kept for
/// [`Sim::received`](crate::sim::Sim::received). Counts `accepted`, `bytes`, `ended` (streams) and `errors`.
#[derive(Debug)]
pub struct Sink {
    listener: Listener,
    readers: Readers,
}

impl Sink {
    /// Listens on `port`, both families.
    pub fn new(port: u16, backlog: u32) -> Sink {
        Sink { listener: Listener::new(port, backlog), readers: Readers::default() }
    }

    /// Leaves a connection open when its stream has ended: it stays in CLOSE-WAIT, as where a program forgets to close.
    pub fn leave_open(mut self) -> Sink {
        self.readers.leaves_open = true;
        self
    }

    fn accept(&mut self, cx: &mut AppCx<'_>) {
        while let Some(socket) = self.listener.accept_named(cx) {
            self.readers.add(cx, socket);
        }
    }
}

impl App for Sink {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.listener.open(cx);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let Wake::Ready(socket, _) = wake else { return };
        let closed = self.readers.read(cx, socket);
        if self.listener.is(socket) || (closed && self.listener.is_starved()) {
            self.accept(cx);
        }
    }
}

/// Connections that are read to their ends.
#[derive(Debug, Default)]
pub(super) struct Readers {
    open: BTreeSet<SocketId>,
    leaves_open: bool,
    got: Rope,
}

/// How much one `recv` asks for.
pub(super) const READ: usize = 64 << 10;

impl Readers {
    pub(super) fn add(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        self.open.insert(socket);
        self.read(cx, socket);
    }

    /// Reads what there is, and closes at the end; whether it closed. Sockets of others are left alone.
    pub(super) fn read(&mut self, cx: &mut AppCx<'_>, socket: SocketId) -> bool {
        if !self.open.contains(&socket) {
            return false;
        }
        loop {
            self.got.clear();
            match cx.recv(socket, READ, MsgFlags::empty(), &mut self.got) {
                Err(Errno::EAGAIN) => return false,
                Ok(n) if n > 0 => cx.count("bytes", n as u64),
                ended => {
                    cx.count(if ended.is_ok() { "ended" } else { "errors" }, 1);
                    self.open.remove(&socket);
                    if !self.leaves_open {
                        cx.close(socket).ok();
                    }
                    return !self.leaves_open;
                }
            }
        }
    }

    /// Reads from all of them; whether any was closed.
    pub(super) fn read_all(&mut self, cx: &mut AppCx<'_>) -> bool {
        let before = self.open.len();
        for socket in self.open.clone() {
            self.read(cx, socket);
        }
        self.open.len() < before
    }
}
