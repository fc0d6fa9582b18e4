use super::exchange::connecting;
use super::listener::Listener;
use super::pattern::Pattern;
use crate::endpoint::{Errno, SocketId};
use crate::sim::{App, AppCx, AttemptEnd, Wake};
use crate::time::{HostTime, Span};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Sends a fixed number of bytes of [`pattern`](super::pattern()) on a connection, then closes it; reads nothing.
///
/// Each connection reports an attempt, which ends when everything is handed to the system. Counts `bytes`. What the
/// peer sends stays unread, so that the close resets the connection where there is any (RFC 9293 3.6.1).
#[derive(Debug)]
pub struct Source {
    part: Part,
    bytes: u64,
    pattern: Pattern,
    pace: Option<Pace>,
    open: BTreeMap<SocketId, Transfer>,
}

#[derive(Debug)]
enum Part {
    Client(SocketAddr),
    Server(Listener),
}

/// At most `bytes` more on each connection at each tick.
#[derive(Clone, Copy, Debug)]
struct Pace {
    bytes: u64,
    every: Span,
    next: Option<HostTime>,
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    began: HostTime,
    connecting: Option<SocketAddr>,
    sent: u64,
    /// How many bytes the pace allows so far.
    allowed: u64,
}

impl Source {
    /// Connects to `remote` and sends it `bytes` bytes.
    pub fn client(remote: SocketAddr, bytes: u64) -> Source {
        Source::new(Part::Client(remote), bytes)
    }

    /// Listens on `port`, both families, and sends `bytes` bytes to each client.
    pub fn server(port: u16, backlog: u32, bytes: u64) -> Source {
        Source::new(Part::Server(Listener::new(port, backlog)), bytes)
    }

    /// Sends at most `bytes` at once on each connection, and again `every` so often; both at least 1.
    pub fn pace(mut self, bytes: u64, every: Span) -> Source {
        let every = every.max(crate::time::ns(1));
        self.pace = Some(Pace { bytes: bytes.max(1), every, next: None });
        self
    }

    fn new(part: Part, bytes: u64) -> Source {
        Source { part, bytes, pattern: Pattern::new(bytes), pace: None, open: BTreeMap::new() }
    }

    fn add(&mut self, cx: &mut AppCx<'_>, socket: SocketId, connecting: Option<SocketAddr>) {
        let allowed = self.pace.map_or(self.bytes, |pace| pace.bytes.min(self.bytes));
        self.open.insert(socket, Transfer { began: cx.now(), connecting, sent: 0, allowed });
        if connecting.is_none() {
            self.go_on(cx, socket);
        }
    }

    fn connect(&mut self, cx: &mut AppCx<'_>, remote: SocketAddr) {
        match connecting(cx, remote) {
            Ok(socket) => self.add(cx, socket, Some(remote)),
            Err(errno) => cx.attempted(cx.now(), AttemptEnd::Failed(errno)),
        }
    }

    fn accept(&mut self, cx: &mut AppCx<'_>) {
        loop {
            let Part::Server(listener) = &mut self.part else { return };
            let Some(socket) = listener.accept_named(cx) else { return };
            self.add(cx, socket, None);
        }
    }

    /// Sends what it may; whether the connection was closed.
    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId) -> bool {
        let Some(transfer) = self.open.get_mut(&socket) else { return false };
        let before = transfer.sent;
        let end = transfer.go_on(cx, socket, &self.pattern, self.bytes);
        cx.count("bytes", transfer.sent - before);
        let (began, Some(end)) = (transfer.began, end) else { return false };
        self.open.remove(&socket);
        cx.attempted(began, end);
        cx.close(socket).ok();
        true
    }

    /// A tick of the pace: every connection may send more.
    fn tick(&mut self, cx: &mut AppCx<'_>, bytes: u64) {
        let sockets: Vec<SocketId> = self.open.keys().copied().collect();
        for socket in sockets {
            if let Some(transfer) = self.open.get_mut(&socket)
                && transfer.connecting.is_none()
            {
                // What a tick allows and the socket does not take is not made up for later.
                transfer.allowed = (transfer.sent + bytes).min(self.bytes);
                self.go_on(cx, socket);
            }
        }
    }
}

impl App for Source {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        match &mut self.part {
            Part::Client(_) => cx.wake_at(cx.now()),
            Part::Server(listener) => listener.open(cx),
        }
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        match (wake, &self.part, self.pace.and_then(|pace| pace.next)) {
            (Wake::Ready(socket, _), Part::Server(listener), _) if listener.is(socket) => self.accept(cx),
            (Wake::Ready(socket, _), ..) => {
                let closed = self.go_on(cx, socket);
                if closed && matches!(&self.part, Part::Server(listener) if listener.is_starved()) {
                    self.accept(cx);
                }
            }
            (Wake::Timer, &Part::Client(remote), None) => self.connect(cx, remote),
            (Wake::Timer, ..) => {}
        }
        let Some(Pace { bytes, every, next }) = self.pace else { return };
        if next.is_some_and(|next| next <= cx.now()) {
            self.tick(cx, bytes);
        }
        // Ticks go on while there is a connection that may send, and stay in step with the first.
        let sends = self.open.values().any(|transfer| transfer.connecting.is_none());
        let next = match next {
            Some(next) if next > cx.now() => next,
            Some(next) => next + every,
            None => cx.now() + every,
        };
        let next = sends.then_some(next);
        self.pace = Some(Pace { bytes, every, next });
        cx.set_timer(next);
    }
}

impl Transfer {
    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId, pattern: &Pattern, bytes: u64) -> Option<AttemptEnd> {
        if let Some(remote) = self.connecting {
            match cx.connect(socket, remote) {
                Ok(()) | Err(Errno::EISCONN) => self.connecting = None,
                Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EAGAIN) => return None,
                Err(errno) => return Some(AttemptEnd::Failed(errno)),
            }
        }
        let (sent, error) = pattern.send(cx, socket, self.sent, self.allowed);
        self.sent += sent;
        match error {
            Some(errno) => Some(AttemptEnd::Failed(errno)),
            None => (self.sent == bytes).then_some(AttemptEnd::Ok),
        }
    }
}
