//! Tasks: ordered lists of blocking calls, each starting when the former has returned. What `sim.connect`, `write`
//! and `close` build, and what a scenario's steps build.

use super::app::AppCx;
use super::ledger::Returned;
use crate::endpoint::{Errno, Family, MsgFlags, Shutdown, SockOpt, SocketId, SocketKind};
use crate::time::{HostTime, SimTime, ns};
use crate::trace::{Call, CallKind, Called, Done, StreamId};
use crate::wire::{Payload, Rope};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// The application number of the tasks of every host.
pub(super) const TASKS: u32 = 0;

/// One blocking call.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// `socket`, these options, `bind` where an address is given, `connect`.
    Connect { remote: SocketAddr, local: Option<SocketAddr>, options: Vec<SockOpt> },
    /// `socket`, these options, `bind`, `listen`.
    Listen { local: SocketAddr, backlog: u32, options: Vec<SockOpt> },
    /// `socket` and `bind` of a datagram socket.
    BindUdp { local: SocketAddr },
    /// `accept`; the new socket takes the name that was given in advance.
    Accept { as_stream: StreamId },
    /// `send` until all is taken.
    Write(Payload, MsgFlags),
    /// `recv` once.
    Read { max: usize },
    /// `recv` until so many bytes have come, or the end of the stream.
    ReadAll { max: usize, got: Rope },
    /// `sendto`.
    SendTo(Payload, SocketAddr),
    /// `recvfrom`.
    RecvFrom,
    /// `shutdown`.
    Shutdown(Shutdown),
    /// `close`.
    Close,
    /// RFC 9293's ABORT.
    Abort,
    /// `setsockopt`.
    SetOption(SockOpt),
}

#[derive(Debug, Default)]
struct Task {
    socket: Slot,
    todo: VecDeque<Op>,
    /// When the call at the front began, in simulated and in host time.
    began: Option<(SimTime, HostTime)>,
    /// How much of a write was taken.
    written: u32,
}

/// A task's socket.
#[derive(Clone, Copy, Debug, Default)]
enum Slot {
    /// The first call makes it.
    #[default]
    None,
    /// An `accept` on another task gives it.
    Awaited,
    Open(SocketId),
    Closed,
}

/// All tasks of one host.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: BTreeMap<StreamId, Task>,
    by_socket: BTreeMap<SocketId, StreamId>,
}

/// Whether a call has returned.
enum Step {
    Blocked,
    Returned(Call, Result<Done, Errno>),
}

impl Tasks {
    /// Appends a call to the task of `stream`.
    pub(super) fn push(&mut self, stream: StreamId, op: Op) {
        if let Op::Accept { as_stream } = op {
            self.tasks.entry(as_stream).or_default().socket = Slot::Awaited;
        }
        self.tasks.entry(stream).or_default().todo.push_back(op);
    }

    /// Makes `socket` the one of `stream`, unless its task has one of its own.
    pub(super) fn adopt(&mut self, stream: StreamId, socket: SocketId) {
        self.tasks.entry(stream).or_insert_with(|| {
            self.by_socket.insert(socket, stream);
            Task { socket: Slot::Open(socket), ..Task::default() }
        });
    }

    /// The host lost its state: no call returns any more.
    pub(super) fn clear(&mut self) {
        self.tasks.clear();
        self.by_socket.clear();
    }

    /// A socket is ready: its task goes on.
    pub(super) fn on_ready(&mut self, cx: &mut AppCx<'_>, now: SimTime, socket: SocketId) {
        if let Some(&stream) = self.by_socket.get(&socket) {
            self.run(cx, now, stream);
        }
    }

    /// The task of an accepted socket has its socket and begins.
    fn accepted(&mut self, cx: &mut AppCx<'_>, now: SimTime, stream: StreamId) {
        let socket = self.by_socket.iter().find(|&(_, &s)| s == stream).map(|(&socket, _)| socket);
        if let (Some(task), Some(socket)) = (self.tasks.get_mut(&stream), socket) {
            task.socket = Slot::Open(socket);
            self.run(cx, now, stream);
        }
    }

    /// Runs the calls of `stream` until one blocks.
    pub(super) fn run(&mut self, cx: &mut AppCx<'_>, now: SimTime, stream: StreamId) {
        loop {
            let Some(task) = self.tasks.get_mut(&stream) else { return };
            let Some(op) = task.todo.front_mut() else { return };
            let (began, host_began) = *task.began.get_or_insert((now, cx.now()));
            let mark = cx.cx.mark();
            let begins = began == now && host_began == cx.now() && task.written == 0;
            let call = op.call();
            let step = step(cx, stream, &mut task.socket, &mut task.written, op, &mut self.by_socket);
            match step {
                Step::Blocked => {
                    if begins {
                        cx.began(mark, stream, call);
                    }
                    return;
                }
                Step::Returned(call, result) => {
                    task.todo.pop_front();
                    (task.began, task.written) = (None, 0);
                    let accepted = match &result {
                        Ok(Done::Accepted { stream, .. }) => Some(*stream),
                        _ => None,
                    };
                    let took = now.since(began);
                    cx.returned(mark, stream, Returned { call, result, at: now, took });
                    if let Some(accepted) = accepted {
                        self.accepted(cx, now, accepted);
                    }
                }
            }
        }
    }
}

impl Op {
    /// The call as a trace shows it when it begins.
    fn call(&self) -> Call {
        match self {
            Op::Connect { remote, .. } => Call::Connect(*remote),
            Op::Listen { local, backlog, .. } => Call::Listen { local: *local, backlog: *backlog },
            Op::BindUdp { local } => Call::Bind(*local),
            Op::Accept { .. } => Call::Accept { local: SocketAddr::from(([0, 0, 0, 0], 0)) },
            Op::Write(data, _) => Call::Send(data.clone()),
            Op::Read { max } | Op::ReadAll { max, .. } => Call::Recv { max: *max },
            Op::SendTo(data, to) => Call::SendTo(data.clone(), *to),
            Op::RecvFrom => Call::RecvFrom,
            Op::Shutdown(how) => Call::Shutdown(*how),
            Op::Close => Call::Close,
            Op::Abort => Call::Abort,
            Op::SetOption(option) => Call::SetOption(*option),
        }
    }
}

fn step(
    cx: &mut AppCx<'_>,
    stream: StreamId,
    slot: &mut Slot,
    written: &mut u32,
    op: &mut Op,
    by_socket: &mut BTreeMap<SocketId, StreamId>,
) -> Step {
    let call = op.call();
    let socket = match *slot {
        Slot::Open(socket) => socket,
        Slot::Awaited => return Step::Blocked,
        Slot::Closed => return Step::Returned(call, Err(Errno::EBADF)),
        Slot::None => match open(cx, op) {
            Ok(socket) => {
                *slot = Slot::Open(socket);
                by_socket.insert(socket, stream);
                cx.bind_stream(socket, stream);
                socket
            }
            Err(errno) => return Step::Returned(call, Err(errno)),
        },
    };
    let result = perform(cx, stream, socket, written, op, by_socket);
    // A socket that lingers is there until its close returns.
    if matches!(op, Op::Close | Op::Abort) && result != Err(Errno::EAGAIN) {
        by_socket.remove(&socket);
        *slot = Slot::Closed;
    }
    match result {
        Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY) => Step::Blocked,
        Ok(done) => {
            let call = match (call, cx.local_addr(socket)) {
                (Call::Accept { .. }, Ok(local)) => Call::Accept { local },
                (call, _) => call,
            };
            Step::Returned(call, Ok(done))
        }
        Err(errno) => Step::Returned(call, Err(errno)),
    }
}

/// The first call on a stream makes its socket.
fn open(cx: &mut AppCx<'_>, op: &Op) -> Result<SocketId, Errno> {
    let (addr, kind) = match op {
        Op::Connect { remote, .. } => (*remote, SocketKind::Stream),
        Op::Listen { local, .. } => (*local, SocketKind::Stream),
        Op::BindUdp { local } => (*local, SocketKind::Datagram),
        Op::SendTo(_, to) => (*to, SocketKind::Datagram),
        _ => return Err(Errno::EBADF),
    };
    let family = if addr.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = cx.socket(family, kind)?;
    let (local, options) = match op {
        Op::Connect { local, options, .. } => (*local, &options[..]),
        Op::Listen { local, options, .. } => (Some(*local), &options[..]),
        Op::BindUdp { local } => (Some(*local), &[][..]),
        _ => (None, &[][..]),
    };
    for option in options {
        cx.set_option(socket, *option)?;
    }
    let bound = local.map_or(Ok(()), |local| cx.bind(socket, local));
    if let Err(errno) = bound {
        cx.close(socket)?;
        return Err(errno);
    }
    Ok(socket)
}

fn perform(
    cx: &mut AppCx<'_>,
    stream: StreamId,
    socket: SocketId,
    written: &mut u32,
    op: &mut Op,
    by_socket: &mut BTreeMap<SocketId, StreamId>,
) -> Result<Done, Errno> {
    match op {
        Op::Connect { remote, .. } => {
            let result = cx.connect(socket, *remote);
            cx.bind_stream(socket, stream);
            result.map(|()| Done::Unit)
        }
        Op::Listen { backlog, .. } => cx.listen(socket, *backlog).map(|()| Done::Unit),
        Op::BindUdp { .. } => Ok(Done::Unit),
        Op::Accept { as_stream } => {
            let (accepted, peer) = cx.accept_quietly(socket)?;
            by_socket.insert(accepted, *as_stream);
            cx.bind_stream(accepted, *as_stream);
            Ok(Done::Accepted { stream: *as_stream, peer })
        }
        Op::Write(data, flags) => write(cx, socket, written, data, *flags),
        Op::Read { max } => {
            let mut got = Rope::new();
            cx.recv(socket, *max, MsgFlags::empty(), &mut got)?;
            Ok(Done::Data(got.to_payload()))
        }
        Op::ReadAll { max, got } => loop {
            let left = *max - got.len();
            if left == 0 || cx.recv(socket, left, MsgFlags::empty(), got)? == 0 {
                return Ok(Done::Data(got.to_payload()));
            }
        },
        Op::SendTo(data, to) => cx.send_to(socket, data, *to).map(|n| Done::Count(n.into())),
        Op::RecvFrom => cx.recv_from(socket).map(|(data, from)| Done::Datagram(data, from)),
        Op::Shutdown(how) => cx.shutdown(socket, *how).map(|()| Done::Unit),
        Op::Close => cx.close(socket).map(|()| Done::Unit),
        Op::Abort => cx.abort(socket).map(|()| Done::Unit),
        Op::SetOption(option) => cx.set_option(socket, *option).map(|()| Done::Unit),
    }
}

/// Sends what is left of `data`; a failure after part of it was taken gives the part, as `write` does.
fn write(
    cx: &mut AppCx<'_>,
    socket: SocketId,
    written: &mut u32,
    data: &Payload,
    flags: MsgFlags,
) -> Result<Done, Errno> {
    while *written < data.len() {
        match cx.send(socket, &data.slice(*written..data.len()), flags | MsgFlags::WAITS) {
            Ok(n) => *written += n,
            Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
            Err(_) if *written > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(Done::Count(u64::from(*written)))
}

impl AppCx<'_> {
    /// A blocking call began and has not returned yet.
    fn began(&mut self, mark: usize, stream: StreamId, call: Call) {
        let called =
            Called { stream: Some(stream), tuple: None, call, result: None, took: ns(0), kind: CallKind::Blocking };
        self.calls.push((mark, called));
    }

    /// A blocking call returned.
    fn returned(&mut self, mark: usize, stream: StreamId, returned: Returned) {
        let Returned { call, result, took, .. } = returned.clone();
        let kind = CallKind::Blocking;
        self.calls.push((mark, Called { stream: Some(stream), tuple: None, call, result: Some(result), took, kind }));
        self.ledger.get_mut(stream).calls.push(returned);
    }
}
