//! Socket calls.
//!
//! A call is read into an [`Op`], which is tried until it returns: at once, or, where it may block, after whatever
//! happens next. Calls with an end time (`+0...0.1 read(…)`) block beside the script, one at a time; the script waits
//! a second for such a call before it makes another one, as the stock tool does.

mod args;
mod begin;
mod epoll;
mod options;
mod poll;
mod transfer;

pub(super) use epoll::Epoll;

use super::clock::{Instant, Timing};
use super::sock::{Progress, Sock};
use super::{Runner, Stop, nanos};
use crate::drill::report::Failure;
use crate::drill::script::{Call, Expr, When};
use crate::endpoint::{Errno, SocketId, State};
use crate::time::{Span, secs};
use std::net::SocketAddr;
use transfer::{Receive, Transmit};

/// How long a call without an end time may block: the suite's runner gives a script no more.
const LONGEST: Span = secs(180);
/// How long the script waits for a call beside it before it makes another one.
const GRACE: Span = secs(1);

/// A call that has begun.
#[derive(Clone, Debug)]
enum Op {
    /// It has returned already.
    Done(Returned, Then),
    Accept {
        listener: usize,
    },
    Connect {
        sock: usize,
    },
    Receive(Receive),
    Transmit(Transmit),
    /// `close` that waits until all is acknowledged, because of `SO_LINGER`.
    Linger {
        sock: usize,
        /// The socket, where the endpoint has not let go of it yet.
        again: Option<SocketId>,
        until: Instant,
    },
    Poll(poll::Poll),
    EpollWait(epoll::Wait),
}

/// What a call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Returned {
    value: i64,
    errno: Option<Errno>,
}

/// What follows from a call that has returned.
#[derive(Clone, Debug)]
enum Then {
    Nothing,
    /// A new socket has the descriptor that the script says.
    Opened {
        live: SocketId,
        sock: Box<Sock>,
    },
    Accepted {
        live: SocketId,
        peer: SocketAddr,
    },
    Listens(usize),
    Closed(usize),
    /// Something that the call wrote is to be what the script says: what it is, the script's, and the call's.
    Compare(&'static str, String, String),
    /// A new epoll instance has the descriptor that the script says.
    EpollOpened,
}

/// A call that blocks beside the script.
pub(super) struct Background {
    line: usize,
    call: Call,
    op: Op,
    /// When it began, and when it is to return.
    began: Instant,
    until: Timing,
}

impl Background {
    /// When it returns at the latest, where it says so itself.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.op.wake()
    }
}

impl Op {
    fn wake(&self) -> Option<Instant> {
        match self {
            Op::Linger { until, .. } => Some(*until),
            Op::Poll(poll) => poll.until,
            Op::EpollWait(wait) => wait.until,
            _ => None,
        }
    }
}

impl Returned {
    const ZERO: Returned = Returned { value: 0, errno: None };

    fn of(result: Result<i64, Errno>) -> Returned {
        match result {
            Ok(value) => Returned { value, errno: None },
            Err(errno) => Returned { value: -1, errno: Some(errno) },
        }
    }
}

impl Runner<'_> {
    pub(super) fn call(&mut self, call: &Call, time: When) -> Result<(), Stop> {
        self.wait_for_event("a system call")?;
        let deadline = self.world.now().saturating_add(nanos(GRACE));
        while self.background.is_some() && self.world.now() < deadline {
            self.step(deadline)?;
        }
        if let Some(until) = call.until {
            if self.background.is_some() {
                return Err(self.fail("a call that blocks while another one still does"));
            }
            let end = match time {
                When::After(_) => Timing::of(When::After(until), self.timing.offset),
                _ => Timing::of(When::At(until), 0),
            };
            let op = self.begin(call)?;
            let (line, began) = (self.line, self.timing.at);
            self.background = Some(Background { line, call: call.clone(), op, began, until: end });
            return self.try_background();
        }
        let mut op = self.begin(call)?;
        let limit = self.world.now().saturating_add(nanos(LONGEST));
        loop {
            if let Some((returned, then)) = self.attempt(&mut op)? {
                self.watch_epolls();
                return self.returned(call, returned, then);
            }
            let next = self.world.next_event().into_iter().chain(op.wake()).min();
            match next {
                Some(next) if next <= limit => {
                    self.step(next)?;
                }
                _ => return Err(self.fail(format!("{} blocks and does not return", call.name))),
            }
        }
    }

    /// Tries the call beside the script again.
    pub(super) fn try_background(&mut self) -> Result<(), Stop> {
        let Some(mut background) = self.background.take() else { return Ok(()) };
        let line = std::mem::replace(&mut self.line, background.line);
        let result = match self.attempt(&mut background.op) {
            Ok(None) => {
                self.background = Some(background);
                self.line = line;
                return Ok(());
            }
            Ok(Some((returned, then))) => self.returned(&background.call, returned, then).and_then(|()| {
                let (now, began) = (self.world.now(), Some(background.began));
                let checked = self.tolerance.check(background.until, now, began);
                checked.map_err(|mistimed| self.mistimed(mistimed, "the return of the call"))
            }),
            Err(stop) => Err(stop),
        };
        self.line = line;
        result
    }

    /// At the end of the script nothing may block any more.
    pub(super) fn end_background(&mut self) -> Result<(), Stop> {
        let deadline = self.world.now().saturating_add(nanos(GRACE));
        while self.background.is_some() && self.world.now() < deadline {
            self.step(deadline)?;
        }
        match self.background.take() {
            None => Ok(()),
            Some(background) => {
                let what = format!("{} still blocks at the end of the script", background.call.name);
                Err(Stop::failed(Failure { line: background.line, what, ..Failure::default() }))
            }
        }
    }

    /// Tries a call; nothing while it blocks.
    fn attempt(&mut self, op: &mut Op) -> Result<Option<(Returned, Then)>, Stop> {
        Ok(match op {
            Op::Done(returned, then) => Some((*returned, then.clone())),
            Op::Accept { listener } => self.try_accept(*listener),
            Op::Connect { sock } => self.try_connect(*sock).map(|returned| (returned, Then::Nothing)),
            Op::Receive(receive) => self.try_receive(receive)?,
            Op::Transmit(transmit) => self.try_transmit(transmit).map(|returned| (returned, Then::Nothing)),
            Op::Linger { sock, again, until } => {
                let over = self.world.now() >= *until || !self.is_sending(*sock);
                if let (true, Some(live)) = (over, *again) {
                    // What it says now changes nothing: the time is over.
                    _ = self.world.attempt(|sockets, cx| sockets.close(cx, live));
                }
                over.then_some((Returned::ZERO, Then::Closed(*sock)))
            }
            Op::Poll(poll) => self.try_poll(poll),
            Op::EpollWait(wait) => self.try_epoll_wait(wait),
        })
    }

    fn try_accept(&mut self, listener: usize) -> Option<(Returned, Then)> {
        let Some(live) = self.socks[listener].live else {
            return Some((Returned::of(Err(Errno::EBADF)), Then::Nothing));
        };
        match self.world.attempt(|sockets, cx| sockets.accept(cx, live)) {
            Ok((live, peer)) => Some((Returned { value: live.0.into(), errno: None }, Then::Accepted { live, peer })),
            Err(Errno::EAGAIN) if !self.socks[listener].nonblocking => None,
            Err(errno) => Some((Returned::of(Err(errno)), Then::Nothing)),
        }
    }

    fn try_connect(&mut self, sock: usize) -> Option<Returned> {
        let remote = SocketAddr::new(self.config.remote, self.config.connect_port);
        let Some(live) = self.socks[sock].live else { return Some(Returned::of(Err(Errno::EBADF))) };
        match self.world.attempt(|sockets, cx| sockets.connect(cx, live, remote)) {
            Err(Errno::EINPROGRESS | Errno::EALREADY) => None,
            result => Some(Returned::of(result.map(|()| 0))),
        }
    }

    /// Whether the connection of a socket that was closed has something that is not acknowledged.
    fn is_sending(&self, sock: usize) -> bool {
        let done = [State::FinWait2, State::TimeWait, State::Closed];
        let Some(tuple) = self.socks[sock].tuple else { return false };
        let conns = self.world.sim.connections(self.world.host);
        conns.iter().any(|conn| conn.tuple == tuple && !done.contains(&conn.state))
    }

    /// Holds what a call gave against the script.
    fn returned(&mut self, call: &Call, returned: Returned, then: Then) -> Result<(), Stop> {
        let checked = self.check_result(call, returned, &then);
        match checked {
            Err(Stop::Failed(failure)) if self.config.non_fatal_syscall => {
                self.warnings.push(format!("line {}: {}", failure.line, failure.what));
            }
            checked => checked?,
        }
        if returned.errno.is_none() { self.follow(call, then) } else { Ok(()) }
    }

    fn check_result(&self, call: &Call, returned: Returned, then: &Then) -> Result<(), Stop> {
        // A result that the script leaves open.
        if call.result == Expr::Ellipsis {
            return Ok(());
        }
        let expected = self.number(&call.result)?;
        let found = || match returned.errno {
            Some(errno) => format!("-1 {errno} ({})", errno.text()),
            None => returned.value.to_string(),
        };
        // Any descriptor will do for the one that the script names.
        let is_fd = matches!(then, Then::Opened { .. } | Then::Accepted { .. } | Then::EpollOpened);
        let same = if is_fd && expected >= 0 { returned.value >= 0 } else { returned.value == expected };
        let wanted = match &call.errno {
            Some(errno) => format!("{expected} {errno}"),
            None => expected.to_string(),
        };
        if !same {
            return Err(self.fail(format!("{}: expected {wanted}, returned {}", call.name, found())));
        }
        if let Some(name) = &call.errno {
            let number = crate::drill::symbols::number(name);
            let number = number.ok_or_else(|| self.fail(format!("`{name}` is no error")))?;
            if returned.errno.map(|errno| i64::from(errno.number())) != Some(number) {
                return Err(self.fail(format!("{}: expected {wanted}, returned {}", call.name, found())));
            }
        }
        Ok(())
    }

    fn follow(&mut self, call: &Call, then: Then) -> Result<(), Stop> {
        match then {
            Then::Nothing => {}
            Then::Listens(sock) => self.socks[sock].progress = Progress::Listening,
            Then::Closed(sock) => self.socks[sock].closed = true,
            Then::Compare(what, expected, actual) => {
                if expected != actual {
                    return Err(self.fail(format!("{}: {what}: expected {expected}, found {actual}", call.name)));
                }
            }
            Then::Opened { live, mut sock } => {
                let fd = self.free_fd(&call.result)?;
                (sock.fd, sock.live) = (Some(fd), Some(live));
                self.socks.push(*sock);
                self.under_test = Some(self.socks.len() - 1);
            }
            Then::Accepted { live, peer } => {
                // The stock tool lets the name of an older connection be taken here, and then means the younger one.
                let fd = self.number(&call.result)?;
                // The youngest connection that a SYN-ACK was sent for, as the stock tool has it.
                let fits = |sock: &Sock| matches!(sock.progress, Progress::SynAckSent | Progress::Accepted);
                let young = self.socks.iter().rposition(fits);
                let known = self.socks.iter().rposition(|sock| {
                    fits(sock) && sock.live.is_none() && sock.tuple.is_some_and(|tuple| tuple.remote == peer)
                });
                let Some(n) = known.or(young) else {
                    return Err(self.fail("accept: the script shows no connection that this could be"));
                };
                let sock = &mut self.socks[n];
                (sock.fd, sock.live, sock.closed) = (Some(fd), Some(live), false);
            }
            Then::EpollOpened => {
                let fd = self.free_fd(&call.result)?;
                self.epolls.insert(fd, Epoll::default());
            }
        }
        Ok(())
    }

    /// The descriptor that a call's result names, which nothing may have yet.
    fn free_fd(&self, result: &Expr) -> Result<i64, Stop> {
        let fd = self.number(result)?;
        let taken = self.epolls.contains_key(&fd) || self.find(fd).is_some();
        if taken { Err(self.fail(format!("the descriptor {fd} is open already"))) } else { Ok(fd) }
    }

    /// The open socket with this descriptor.
    fn find(&self, fd: i64) -> Option<usize> {
        self.socks.iter().rposition(|sock| !sock.closed && sock.fd == Some(fd))
    }
}
