use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wirefate::Span;
use wirefate::endpoint::{Errno, Family, MsgFlags, Shutdown, SockOpt, SocketId, SocketKind};
use wirefate::sim::apps::pattern;
use wirefate::sim::{App, AppCx, Wake};
use wirefate::wire::{Payload, Rope};

/// A program full of mistakes: calls in the wrong order, on the wrong kind of socket, with arguments that no call takes.
/// Counts the errors that it gets, each under its name.
pub(crate) struct Clumsy {
    pub(crate) remote: SocketAddr,
    /// A port that it takes for its own.
    pub(crate) port: u16,
    pub(crate) pause: Span,
    pub(crate) begun: bool,
    pub(crate) connected: Option<SocketId>,
}

impl App for Clumsy {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        cx.wake_at(cx.now());
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if wake != Wake::Timer {
            return;
        }
        if std::mem::replace(&mut self.begun, true) {
            if let Some(socket) = self.connected.take() {
                self.end(cx, socket);
            }
        } else {
            self.with_a_datagram_socket(cx);
            self.with_a_listener(cx);
            self.with_a_fresh_socket(cx);
            self.connect(cx);
            cx.wake_after(self.pause);
        }
    }
}

impl Clumsy {
    fn family(&self) -> Family {
        if self.remote.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn socket(&self, cx: &mut AppCx<'_>, kind: SocketKind) -> Option<SocketId> {
        let socket = cx.socket(self.family(), kind);
        told(cx, socket.map(|_| ()));
        socket.ok()
    }

    fn with_a_fresh_socket(&self, cx: &mut AppCx<'_>) {
        let Some(socket) = self.socket(cx, SocketKind::Stream) else { return };
        let data = Payload::from("early");
        for result in [
            cx.send(socket, &data, MsgFlags::empty()).map(|_| ()),
            cx.recv(socket, 10, MsgFlags::empty(), &mut Rope::new()).map(|_| ()),
            cx.recv(socket, 10, MsgFlags::OOB, &mut Rope::new()).map(|_| ()),
            cx.shutdown(socket, Shutdown::Write),
            cx.accept_quietly(socket).map(|_| ()),
            cx.peer_addr(socket).map(|_| ()),
            cx.send_to(socket, &data, self.remote).map(|_| ()),
            cx.recv_from(socket).map(|_| ()),
            cx.set_option(socket, SockOpt::MaxSeg(0)),
            cx.set_option(socket, SockOpt::KeepCount(0)),
            cx.set_option(socket, SockOpt::Error(None)),
            cx.bind(socket, SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), self.port)),
            cx.connect(socket, SocketAddr::new(self.remote.ip(), 0)),
        ] {
            told(cx, result);
        }
        let mut other = cx.addresses();
        other.retain(|addr| addr.is_ipv4() != self.remote.is_ipv4());
        if let Some(&other) = other.first() {
            let result = cx.connect(socket, SocketAddr::new(other, 80));
            told(cx, result);
        }
        for _ in 0..2 {
            let result = cx.close(socket);
            told(cx, result);
        }
    }

    fn with_a_listener(&self, cx: &mut AppCx<'_>) {
        let Some(first) = self.socket(cx, SocketKind::Stream) else { return };
        let local = SocketAddr::new(any(self.family()), self.port);
        let results =
            [cx.bind(first, local), cx.bind(first, local), cx.listen(first, 1), cx.connect(first, self.remote)];
        results.into_iter().for_each(|result| told(cx, result));
        let result = cx.send(first, &Payload::from("????"), MsgFlags::empty()).map(|_| ());
        told(cx, result);
        if let Some(second) = self.socket(cx, SocketKind::Stream) {
            let result = cx.bind(second, local);
            told(cx, result);
            let result = cx.close(second);
            told(cx, result);
        }
        let result = cx.close(first);
        told(cx, result);
    }

    fn with_a_datagram_socket(&self, cx: &mut AppCx<'_>) {
        let Some(socket) = self.socket(cx, SocketKind::Datagram) else { return };
        let (data, long) = (Payload::from("hello"), Payload::from(pattern(70_000)));
        for result in [
            cx.send(socket, &data, MsgFlags::empty()).map(|_| ()),
            cx.listen(socket, 1),
            cx.accept_quietly(socket).map(|_| ()),
            cx.send_to(socket, &long, self.remote).map(|_| ()),
            cx.set_option(socket, SockOpt::NoDelay(true)),
            cx.shutdown(socket, Shutdown::Write),
            cx.send_to(socket, &data, SocketAddr::new(self.remote.ip(), 9)).map(|_| ()),
            cx.recv_from(socket).map(|_| ()),
            cx.close(socket),
        ] {
            told(cx, result);
        }
    }

    fn connect(&mut self, cx: &mut AppCx<'_>) {
        let Some(socket) = self.socket(cx, SocketKind::Stream) else { return };
        for result in [cx.connect(socket, self.remote), cx.connect(socket, self.remote), cx.listen(socket, 3)] {
            told(cx, result);
        }
        self.connected = Some(socket);
    }

    /// Whatever became of the connection.
    fn end(&self, cx: &mut AppCx<'_>, socket: SocketId) {
        let data = Payload::from("late");
        for result in [
            cx.connect(socket, self.remote),
            cx.connect(socket, self.remote),
            cx.recv(socket, 10, MsgFlags::OOB, &mut Rope::new()).map(|_| ()),
            cx.shutdown(socket, Shutdown::Write),
            cx.send(socket, &data, MsgFlags::empty()).map(|_| ()),
            cx.shutdown(socket, Shutdown::Both),
            cx.close(socket),
            cx.send(socket, &data, MsgFlags::empty()).map(|_| ()),
        ] {
            told(cx, result);
        }
    }
}

/// Connects from a port of its own, and closes after a time whatever has become of it by then.
pub(crate) struct Hasty {
    pub(crate) port: u16,
    pub(crate) remote: SocketAddr,
    pub(crate) after: Span,
    pub(crate) socket: Option<SocketId>,
}

impl App for Hasty {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        cx.wake_at(cx.now());
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if wake != Wake::Timer {
            return;
        }
        if let Some(socket) = self.socket.take() {
            let result = cx.close(socket);
            return told(cx, result);
        }
        let family = if self.remote.is_ipv4() { Family::V4 } else { Family::V6 };
        let Ok(socket) = cx.socket(family, SocketKind::Stream) else { return };
        for result in [
            cx.set_option(socket, SockOpt::ReuseAddr(true)),
            cx.bind(socket, SocketAddr::new(any(family), self.port)),
            cx.connect(socket, self.remote),
        ] {
            told(cx, result);
        }
        self.socket = Some(socket);
        cx.wake_after(self.after);
    }
}

fn any(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

fn told(cx: &mut AppCx<'_>, result: Result<(), Errno>) {
    if let Err(errno) = result {
        cx.count(errno.name(), 1);
    }
}
