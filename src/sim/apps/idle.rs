use super::exchange::connecting;
use super::listener::Listener;
use crate::endpoint::{Errno, SocketId};
use crate::map::Map;
use crate::sim::{App, AppCx, AttemptEnd, Wake};
use crate::time::HostTime;
use std::net::SocketAddr;

/// Opens or accepts connections and then does nothing with them: neither reads nor writes nor closes, ever.
///
/// As a client it reports an attempt for each `connect`; as a server it counts `accepted`.
#[derive(Debug)]
pub struct Idle {
    part: Part,
}

#[derive(Debug)]
enum Part {
    Client { remote: SocketAddr, left: u32, connecting: Map<SocketId, HostTime> },
    Server(Listener),
}

impl Idle {
    /// Opens `count` connections to `remote`, all at once.
    pub fn client(remote: SocketAddr, count: u32) -> Idle {
        Idle { part: Part::Client { remote, left: count, connecting: Map::new() } }
    }

    /// Listens on `port`, both families, and accepts everything.
    pub fn server(port: u16, backlog: u32) -> Idle {
        Idle { part: Part::Server(Listener::new(port, backlog)) }
    }
}

impl App for Idle {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        match &mut self.part {
            Part::Client { .. } => cx.wake_at(cx.now()),
            Part::Server(listener) => listener.open(cx),
        }
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        match (&mut self.part, wake) {
            (Part::Server(listener), _) => while listener.accept(cx).is_some() {},
            (Part::Client { remote, left, connecting: open }, Wake::Timer) => {
                for _ in 0..std::mem::take(left) {
                    match connecting(cx, *remote) {
                        Ok(socket) => drop(open.insert(socket, cx.now())),
                        Err(errno) => cx.attempted(cx.now(), AttemptEnd::Failed(errno)),
                    }
                }
            }
            (Part::Client { remote, connecting: open, .. }, Wake::Ready(socket, _)) => {
                let Some(&began) = open.get(&socket) else { return };
                match cx.connect(socket, *remote) {
                    Err(Errno::EINPROGRESS | Errno::EALREADY | Errno::EAGAIN) => return,
                    Ok(()) | Err(Errno::EISCONN) => cx.attempted(began, AttemptEnd::Ok),
                    Err(errno) => {
                        cx.attempted(began, AttemptEnd::Failed(errno));
                        cx.close(socket).ok();
                    }
                }
                open.remove(&socket);
            }
        }
    }
}
