use super::alarms::Alarms;
use super::listener::Listener;
use super::pattern::Pattern;
use super::sink::READ;
use crate::endpoint::{Errno, MsgFlags, SocketId};
use crate::map::Map;
use crate::sim::{App, AppCx, Wake};
use crate::time::{HostTime, Span};
use crate::wire::Rope;

/// A server that reads requests of a fixed size and answers each with a fixed number of bytes, one after the other on
/// the same connection.
///
/// Counts `accepted`, `answered`, `closed` (the client ended the stream), `idle closed` and `errors`.
#[derive(Debug)]
pub struct RequestResponse {
    listener: Listener,
    manner: Manner,
    pattern: Pattern,
    open: Map<SocketId, Served>,
    alarms: Alarms<SocketId>,
    got: Rope,
}

#[derive(Clone, Copy, Debug)]
struct Manner {
    request: u64,
    response: u64,
    think: Span,
    idle: Option<Span>,
    once: bool,
}

/// One connection.
#[derive(Clone, Copy, Debug)]
struct Served {
    doing: Doing,
    alarm: Option<HostTime>,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    /// So many bytes of the request are here.
    Reading(u64),
    Thinking,
    /// So many bytes of the response are sent.
    Answering(u64),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum Close {
    ByPeer,
    Answered,
    Error,
}

impl RequestResponse {
    /// Listens on `port`, both families; a request has `request` bytes, at least 1, and is answered by `response`.
    pub fn new(port: u16, backlog: u32, request: u64, response: u64) -> RequestResponse {
        let manner = Manner { request: request.max(1), response, think: Span::ZERO, idle: None, once: false };
        RequestResponse {
            listener: Listener::new(port, backlog),
            manner,
            pattern: Pattern::new(response),
            open: Map::new(),
            alarms: Alarms::default(),
            got: Rope::new(),
        }
    }

    /// Takes `think` so long before each answer.
    pub fn think(mut self, think: Span) -> RequestResponse {
        self.manner.think = think;
        self
    }

    /// Closes a connection on which no request comes for `idle` so long, as `keepalive_timeout` of a web server.
    pub fn idle(mut self, idle: Span) -> RequestResponse {
        self.manner.idle = Some(idle);
        self
    }

    /// Closes each connection after its first answer, before the client does.
    pub fn once(mut self) -> RequestResponse {
        self.manner.once = true;
        self
    }

    fn accept(&mut self, cx: &mut AppCx<'_>) {
        while let Some(socket) = self.listener.accept(cx) {
            self.open.insert(socket, Served { doing: Doing::Reading(0), alarm: None });
            self.go_on(cx, socket);
        }
    }

    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        let Some(served) = self.open.get_mut(&socket) else { return };
        let was_alarm = served.alarm;
        let moved = served.go_on(cx, socket, &self.manner, &self.pattern, &mut self.got);
        match moved {
            Err(close) => {
                let name = match close {
                    Close::ByPeer => Some("closed"),
                    Close::Answered => None,
                    Close::Error => Some("errors"),
                };
                self.close(cx, socket, name);
            }
            // Nothing was read or sent: the alarm goes on.
            Ok(false) if was_alarm.is_some() => {}
            Ok(_) => {
                let alarm = match served.doing {
                    Doing::Reading(_) => self.manner.idle.map(|idle| cx.now() + idle),
                    Doing::Thinking => Some(cx.now() + self.manner.think),
                    Doing::Answering(_) => None,
                };
                served.alarm = alarm;
                if let Some(old) = was_alarm {
                    self.alarms.remove(old, socket);
                }
                if let Some(new) = alarm {
                    self.alarms.add(new, socket);
                }
            }
        }
    }

    fn alarm(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        let Some(served) = self.open.get_mut(&socket) else { return };
        served.alarm = None;
        if let Doing::Thinking = served.doing {
            served.doing = Doing::Answering(0);
            self.go_on(cx, socket);
        } else {
            self.close(cx, socket, Some("idle closed"));
        }
    }

    fn close(&mut self, cx: &mut AppCx<'_>, socket: SocketId, name: Option<&'static str>) {
        if let Some(alarm) = self.open.remove(&socket).and_then(|served| served.alarm) {
            self.alarms.remove(alarm, socket);
        }
        if let Some(name) = name {
            cx.count(name, 1);
        }
        cx.close(socket).ok();
    }
}

impl App for RequestResponse {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.listener.open(cx);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let open = self.open.len();
        while let Some(socket) = self.alarms.pop(cx.now()) {
            self.alarm(cx, socket);
        }
        let mut accepts = false;
        if let Wake::Ready(socket, _) = wake {
            self.go_on(cx, socket);
            accepts = self.listener.is(socket);
        }
        if accepts || (self.listener.is_starved() && self.open.len() < open) {
            self.accept(cx);
        }
        self.alarms.arm(cx);
    }
}

impl Served {
    /// Reads, thinks and answers until something has to be waited for; whether anything was read or sent.
    fn go_on(
        &mut self,
        cx: &mut AppCx<'_>,
        socket: SocketId,
        manner: &Manner,
        pattern: &Pattern,
        got: &mut Rope,
    ) -> Result<bool, Close> {
        let mut moved = false;
        loop {
            match self.doing {
                Doing::Thinking => return Ok(moved),
                Doing::Reading(here) if here == manner.request => {
                    self.doing = if manner.think > Span::ZERO { Doing::Thinking } else { Doing::Answering(0) };
                }
                Doing::Reading(here) => {
                    got.clear();
                    let max = usize::try_from(manner.request - here).unwrap_or(READ).min(READ);
                    match cx.recv(socket, max, MsgFlags::empty(), got) {
                        Ok(0) => return Err(Close::ByPeer),
                        Ok(n) => (self.doing, moved) = (Doing::Reading(here + n as u64), true),
                        Err(Errno::EAGAIN) => return Ok(moved),
                        Err(_) => return Err(Close::Error),
                    }
                }
                Doing::Answering(sent) => {
                    let (more, error) = pattern.send(cx, socket, sent, manner.response);
                    (self.doing, moved) = (Doing::Answering(sent + more), moved || more > 0);
                    if error.is_some() {
                        return Err(Close::Error);
                    }
                    if sent + more < manner.response {
                        return Ok(moved);
                    }
                    cx.count("answered", 1);
                    if manner.once {
                        return Err(Close::Answered);
                    }
                    (self.doing, moved) = (Doing::Reading(0), true);
                }
            }
        }
    }
}
