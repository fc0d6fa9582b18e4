use super::Sim;
use super::ledger::Ledger;
use super::recorder::Recorder;
use super::stats::Stats;
use super::task::TASKS;
use crate::choice::Choices;
use crate::endpoint::{
    Cx, Errno, Family, MsgFlags, Readiness, Shutdown, SockOpt, SocketId, SocketKind, Sockets, TcpInfo,
};
use crate::time::{HostTime, Span};
use crate::trace::{Call, CallKind, Called, Done, NodeId, StreamId};
use crate::wire::{Payload, Rope};
use std::net::{IpAddr, SocketAddr};

/// An application on one host: woken when a socket of its own is ready, or when its timer is due.
///
/// It makes non-blocking socket calls through its [`AppCx`] and returns. Its clock is the host's.
pub trait App: Send {
    /// The host is up and the application starts.
    fn on_start(&mut self, cx: &mut AppCx<'_>);

    /// Something it waits for has come.
    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake);
}

/// Why an application is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// `poll` would now answer this for this socket.
    Ready(SocketId, Readiness),
    /// The instant given to [`AppCx::wake_at`] has come.
    Timer,
}

/// An application of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId {
    pub(super) node: NodeId,
    pub(super) index: u32,
}

/// What one wake-up may use: the socket calls of the host, a timer, and the names by which a trace knows its sockets.
pub struct AppCx<'a> {
    pub(super) cx: Cx<'a>,
    pub(super) sockets: &'a mut dyn Sockets,
    pub(super) app: u32,
    pub(super) node: NodeId,
    pub(super) owners: &'a mut Vec<Owner>,
    pub(super) timer: &'a mut Option<HostTime>,
    /// None for tasks: what they return is in the ledger.
    pub(super) stats: Option<&'a mut Stats>,
    pub(super) ledger: &'a mut Ledger,
    pub(super) recorder: &'a mut Recorder,
    /// Calls made in this wake-up, each with its place among the effects.
    pub(super) calls: &'a mut Vec<(usize, Called)>,
}

/// Who is told about a socket's readiness, and how the trace names it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owner {
    pub(super) app: Option<u32>,
    pub(super) stream: Option<StreamId>,
    /// Whether a wake-up for it waits already.
    pub(super) waking: bool,
}

impl AppCx<'_> {
    /// The host's clock.
    pub fn now(&self) -> HostTime {
        self.cx.now()
    }

    /// Wakes this application at `time`; one timer an application, the last call counts.
    pub fn wake_at(&mut self, time: HostTime) {
        *self.timer = Some(time);
    }

    /// Wakes this application after `span`.
    pub fn wake_after(&mut self, span: Span) {
        self.wake_at(self.now() + span);
    }

    /// Replaces the timer: wakes this application at `time`, or not at all.
    pub fn set_timer(&mut self, time: Option<HostTime>) {
        *self.timer = time;
    }

    /// The application's own randomness.
    pub fn stream(&mut self, name: &'static str) -> &mut Choices {
        self.cx.stream(name)
    }

    /// The host's addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.sockets.addresses()
    }

    /// Gives `socket` a name in the trace, and keeps what is read from it for [`Sim::received`].
    pub fn name(&mut self, socket: SocketId, name: String) -> StreamId {
        let stream = self.recorder.add_stream(name);
        self.ledger.add(self.node);
        self.bind_stream(socket, stream);
        stream
    }

    /// Makes `stream`, which has a name already, the name of `socket`.
    pub(super) fn bind_stream(&mut self, socket: SocketId, stream: StreamId) {
        self.owner(socket).stream = Some(stream);
        let entry = self.ledger.get_mut(stream);
        entry.socket = Some(socket);
        entry.local = self.sockets.local_addr(socket).ok();
        entry.remote = self.sockets.peer_addr(socket).ok();
    }

    /// `socket()`; the new socket's readiness wakes this application.
    pub fn socket(&mut self, family: Family, kind: SocketKind) -> Result<SocketId, Errno> {
        let socket = self.sockets.socket(&mut self.cx, family, kind)?;
        let app = self.app;
        *self.owner(socket) = Owner { app: Some(app), ..Owner::default() };
        Ok(socket)
    }

    /// `bind()`.
    pub fn bind(&mut self, socket: SocketId, local: SocketAddr) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.bind(&mut self.cx, socket, local);
        self.log(mark, socket, Call::Bind(local), result.map(|()| Done::Unit), CallKind::Routine);
        result
    }

    /// `listen()`.
    pub fn listen(&mut self, socket: SocketId, backlog: u32) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.listen(&mut self.cx, socket, backlog);
        if let Ok(local) = self.sockets.local_addr(socket) {
            self.log(mark, socket, Call::Listen { local, backlog }, result.map(|()| Done::Unit), CallKind::Plain);
        }
        result
    }

    /// `accept()`, and [`AppCx::name`] for the new socket: `name`, or the next of `s1`, `s2`, …
    pub fn accept_named(&mut self, listener: SocketId, name: Option<String>) -> Result<(SocketId, StreamId), Errno> {
        let mark = self.cx.mark();
        let (socket, peer) = self.accept_quietly(listener)?;
        let name = name.unwrap_or_else(|| self.recorder.next_accepted_name());
        let stream = self.name(socket, name);
        let local = self.sockets.local_addr(listener).expect("a socket that accepts is bound");
        let done = Done::Accepted { stream, peer };
        self.log(mark, socket, Call::Accept { local }, Ok(done), CallKind::Plain);
        Ok((socket, stream))
    }

    /// `accept()` without a name: the trace shows the connection, not the call. For loads of thousands.
    pub fn accept_quietly(&mut self, listener: SocketId) -> Result<(SocketId, SocketAddr), Errno> {
        let (socket, peer) = self.sockets.accept(&mut self.cx, listener)?;
        let app = self.app;
        *self.owner(socket) = Owner { app: Some(app), ..Owner::default() };
        Ok((socket, peer))
    }

    /// `connect()`; in progress at first, call it again when the socket is ready.
    pub fn connect(&mut self, socket: SocketId, remote: SocketAddr) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.connect(&mut self.cx, socket, remote);
        match result {
            Err(Errno::EINPROGRESS | Errno::EALREADY) => {}
            result => self.log(mark, socket, Call::Connect(remote), result.map(|()| Done::Unit), CallKind::Plain),
        }
        result
    }

    /// `send()`.
    pub fn send(&mut self, socket: SocketId, data: &Payload, flags: MsgFlags) -> Result<u32, Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.send(&mut self.cx, socket, data, flags);
        match result {
            Err(Errno::EAGAIN) => {}
            Ok(n) => {
                let taken = if n == data.len() { data.clone() } else { data.slice(0..n) };
                self.log(mark, socket, Call::Send(taken), Ok(Done::Count(u64::from(n))), CallKind::Routine);
            }
            Err(errno) => self.log(mark, socket, Call::Send(data.clone()), Err(errno), CallKind::Plain),
        }
        result
    }

    /// `recv()`: appends to `into`, and to [`Sim::received`] where the socket has a name.
    pub fn recv(&mut self, socket: SocketId, max: usize, flags: MsgFlags, into: &mut Rope) -> Result<usize, Errno> {
        let mark = self.cx.mark();
        let mut got = Rope::new();
        let result = self.sockets.recv(&mut self.cx, socket, max, flags, &mut got);
        let call = Call::Recv { max };
        match result {
            Err(Errno::EAGAIN) => {}
            Err(errno) => self.log(mark, socket, call, Err(errno), CallKind::Plain),
            Ok(0) => self.log(mark, socket, call, Ok(Done::Data(Payload::EMPTY)), CallKind::Plain),
            Ok(_) if flags.contains(MsgFlags::PEEK) => {}
            Ok(_) => {
                let stream = self.owner(socket).stream;
                for piece in got.pieces() {
                    if let Some(stream) = stream {
                        self.ledger.received(stream, piece);
                    }
                    let done = Done::Data(piece.clone());
                    self.log(mark, socket, call.clone(), Ok(done), CallKind::Routine);
                }
            }
        }
        got.take_into(usize::MAX, into);
        result
    }

    /// `sendto()`.
    pub fn send_to(&mut self, socket: SocketId, data: &Payload, to: SocketAddr) -> Result<u32, Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.send_to(&mut self.cx, socket, data, to, MsgFlags::empty());
        let done = result.map(|n| Done::Count(u64::from(n)));
        self.log(mark, socket, Call::SendTo(data.clone(), to), done, CallKind::Routine);
        result
    }

    /// `recvfrom()`.
    pub fn recv_from(&mut self, socket: SocketId) -> Result<(Payload, SocketAddr), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.recv_from(&mut self.cx, socket);
        match &result {
            Err(Errno::EAGAIN) => {}
            Err(errno) => self.log(mark, socket, Call::RecvFrom, Err(*errno), CallKind::Plain),
            Ok((data, from)) => {
                if let Some(stream) = self.owner(socket).stream {
                    self.ledger.received(stream, data);
                }
                self.log(mark, socket, Call::RecvFrom, Ok(Done::Datagram(data.clone(), *from)), CallKind::Routine);
            }
        }
        result
    }

    /// `shutdown()`.
    pub fn shutdown(&mut self, socket: SocketId, how: Shutdown) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.shutdown(&mut self.cx, socket, how);
        self.log(mark, socket, Call::Shutdown(how), result.map(|()| Done::Unit), CallKind::Plain);
        result
    }

    /// `close()`.
    pub fn close(&mut self, socket: SocketId) -> Result<(), Errno> {
        self.end(socket, Call::Close)
    }

    /// RFC 9293's ABORT.
    pub fn abort(&mut self, socket: SocketId) -> Result<(), Errno> {
        self.end(socket, Call::Abort)
    }

    fn end(&mut self, socket: SocketId, call: Call) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let (at, is_abort) = (self.calls.len(), matches!(call, Call::Abort));
        // While the socket still has its names; what came of it is mended below.
        self.log(mark, socket, call, Ok(Done::Unit), CallKind::Plain);
        let result =
            if is_abort { self.sockets.abort(&mut self.cx, socket) } else { self.sockets.close(&mut self.cx, socket) };
        match result {
            Ok(()) => {}
            // A close that waits is told of when it returns.
            Err(Errno::EAGAIN) => self.calls.truncate(at),
            Err(errno) => self.calls[at].1.result = Some(Err(errno)),
        }
        if result.is_ok() {
            *self.owner(socket) = Owner::default();
        }
        result
    }

    /// `setsockopt()`.
    pub fn set_option(&mut self, socket: SocketId, option: SockOpt) -> Result<(), Errno> {
        let mark = self.cx.mark();
        let result = self.sockets.set_option(&mut self.cx, socket, option);
        self.log(mark, socket, Call::SetOption(option), result.map(|()| Done::Unit), CallKind::Routine);
        result
    }

    /// `getsockopt()`.
    pub fn get_option(&mut self, socket: SocketId, option: SockOpt) -> Result<SockOpt, Errno> {
        self.sockets.get_option(&mut self.cx, socket, option)
    }

    /// `getsockopt(TCP_INFO)`.
    pub fn tcp_info(&self, socket: SocketId) -> Result<TcpInfo, Errno> {
        self.sockets.tcp_info(self.cx.now(), socket)
    }

    /// `poll()` without waiting.
    pub fn readiness(&self, socket: SocketId) -> Readiness {
        self.sockets.readiness(socket)
    }

    /// `getsockname()`.
    pub fn local_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        self.sockets.local_addr(socket)
    }

    /// `getpeername()`.
    pub fn peer_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        self.sockets.peer_addr(socket)
    }

    pub(super) fn owner(&mut self, socket: SocketId) -> &mut Owner {
        let index = socket.0 as usize;
        if self.owners.len() <= index {
            self.owners.resize(index + 1, Owner::default());
        }
        &mut self.owners[index]
    }

    #[inline(never)]
    fn log(&mut self, mark: usize, socket: SocketId, call: Call, result: Result<Done, Errno>, kind: CallKind) {
        let owner = *self.owner(socket);
        let tuple = self.sockets.names(socket);
        // A task's calls block: the task itself records when each began and returned.
        let kind = if owner.app == Some(TASKS) { CallKind::Routine } else { kind };
        let called = Called { stream: owner.stream, tuple, call, result: Some(result), took: Span::ZERO, kind };
        self.calls.push((mark, called));
    }
}

impl Sim {
    /// Starts `app` on the host `node`.
    ///
    /// # Panics
    /// If the endpoint offers no sockets.
    pub fn app(&mut self, node: NodeId, app: impl App + 'static) -> AppId {
        let index = self.nodes[node.0 as usize].add_app(Box::new(app));
        self.run_app(node, index, None);
        AppId { node, index }
    }
}
