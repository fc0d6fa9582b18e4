use super::listener::Listener;
use super::sink::READ;
use crate::endpoint::{Errno, MsgFlags, SocketId};
use crate::map::Map;
use crate::sim::{App, AppCx, Wake};
use crate::wire::{Payload, Rope};

/// A server that sends back what it reads.
///
/// It reads nothing from a connection while its send on it is blocked, so a peer that does not read is soon not read
/// from either. At the end of a stream it sends back what is left and closes. Accepted sockets are named. Counts
/// `accepted`, `bytes` (sent back), `blocked` (times that a send was), `closed` and `errors`.
#[derive(Debug)]
pub struct Echo {
    listener: Listener,
    open: Map<SocketId, Pending>,
}

/// What was read from one connection and is not sent back yet.
#[derive(Debug, Default)]
struct Pending {
    front: Payload,
    rest: Rope,
    blocked: bool,
}

impl Echo {
    /// Listens on `port`, both families.
    pub fn new(port: u16, backlog: u32) -> Echo {
        Echo { listener: Listener::new(port, backlog), open: Map::new() }
    }

    fn accept(&mut self, cx: &mut AppCx<'_>) {
        while let Some(socket) = self.listener.accept_named(cx) {
            self.open.insert(socket, Pending::default());
            self.go_on(cx, socket);
        }
    }

    /// Whether the connection was closed.
    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId) -> bool {
        let Some(pending) = self.open.get_mut(&socket) else { return false };
        let Some(ended) = pending.copy(cx, socket) else { return false };
        cx.count(if ended.is_ok() { "closed" } else { "errors" }, 1);
        self.open.remove(&socket);
        cx.close(socket).ok();
        true
    }
}

impl App for Echo {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.listener.open(cx);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let Wake::Ready(socket, _) = wake else { return };
        let closed = self.go_on(cx, socket);
        if self.listener.is(socket) || (closed && self.listener.is_starved()) {
            self.accept(cx);
        }
    }
}

impl Pending {
    /// Sends and reads in turn until one of the two would block; the result is that of the whole connection.
    fn copy(&mut self, cx: &mut AppCx<'_>, socket: SocketId) -> Option<Result<(), Errno>> {
        loop {
            while !self.front.is_empty() {
                match cx.send(socket, &self.front, MsgFlags::empty()) {
                    Ok(n) if n > 0 => {
                        cx.count("bytes", u64::from(n));
                        self.front.split_to(n);
                        self.blocked = false;
                    }
                    Ok(_) | Err(Errno::EAGAIN) => {
                        cx.count("blocked", u64::from(!self.blocked));
                        self.blocked = true;
                        return None;
                    }
                    Err(errno) => return Some(Err(errno)),
                }
                if self.front.is_empty() {
                    self.front = self.rest.take_piece(READ);
                }
            }
            match cx.recv(socket, READ, MsgFlags::empty(), &mut self.rest) {
                Ok(0) => return Some(Ok(())),
                Ok(_) => self.front = self.rest.take_piece(READ),
                Err(Errno::EAGAIN) => return None,
                Err(errno) => return Some(Err(errno)),
            }
        }
    }
}
