//! `epoll`.

use super::poll::{ALWAYS, bits};
use super::{Instant, Op, Returned, Runner, Stop, Then};
use crate::drill::script::{Call, Expr};
use crate::endpoint::Errno;
use crate::time::ms;
use std::collections::BTreeMap;

const EDGE: i64 = 1 << 31;
const ONE_SHOT: i64 = 1 << 30;
const EXCLUSIVE: i64 = 1 << 28;

/// An instance of `epoll`: what is watched, by descriptor.
#[derive(Clone, Debug, Default)]
pub(in crate::drill::run) struct Epoll {
    watched: BTreeMap<i64, Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    sock: usize,
    events: i64,
    /// What the script is given with an event, as it is written.
    data: String,
    /// What was ready when it was last looked at, and how much there was to read.
    seen: (i64, u32),
    /// Something has become ready since it was last told.
    news: bool,
    /// Whether anything is told of it.
    armed: bool,
}

/// `epoll_wait` that has begun.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    epoll: i64,
    expected: String,
    most: usize,
    /// When it gives up.
    pub(super) until: Option<Instant>,
}

impl Epoll {
    pub(super) fn forget(&mut self, fd: i64) {
        self.watched.remove(&fd);
    }
}

impl Runner<'_> {
    pub(super) fn epoll_ctl(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 4..=4)?;
        let epoll = self.number(&call.args[0])?;
        let operation = self.number(&call.args[1])?;
        let fd = self.number(&call.args[2])?;
        let sock = self.socket_of(&call.args[2])?;
        let Some(events) = call.args[3].field("events") else {
            return Err(self.fail(format!("epoll_ctl: expected an event, found `{}`", call.args[3])));
        };
        let (events, data) = (self.number(events)?, data_of(&call.args[3]));
        let now = self.state_of(sock);
        let Some(instance) = self.epolls.get_mut(&epoll) else {
            return Err(self.fail(format!("no epoll instance has the descriptor {epoll}")));
        };
        let known = instance.watched.contains_key(&fd);
        let result = match (operation, known) {
            // EPOLL_CTL_ADD, EPOLL_CTL_MOD: what is ready now is news.
            (1, false) | (3, true) => {
                let news = now.0 & (events | ALWAYS) != 0;
                instance.watched.insert(fd, Watched { sock, events, data, seen: now, news, armed: true });
                Ok(0)
            }
            (2, true) => {
                instance.watched.remove(&fd);
                Ok(0)
            }
            (2 | 3, false) => Err(Errno::ENOENT),
            _ => Err(Errno::EINVAL),
        };
        Ok(Op::Done(Returned::of(result), Then::Nothing))
    }

    pub(super) fn epoll_wait(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 4..=4)?;
        let epoll = self.number(&call.args[0])?;
        if !self.epolls.contains_key(&epoll) {
            return Err(self.fail(format!("no epoll instance has the descriptor {epoll}")));
        }
        let Some(events) = call.args[1].field("events") else {
            return Err(self.fail(format!("epoll_wait: expected an event, found `{}`", call.args[1])));
        };
        let expected = text(self.number(events)?, &data_of(&call.args[1]));
        let most = usize::try_from(self.number(&call.args[2])?).unwrap_or(0);
        let timeout = self.number(&call.args[3])?;
        let until = u64::try_from(timeout).ok().map(|n| self.world.now().saturating_add(super::nanos(ms(n))));
        if most == 0 {
            return Ok(Op::Done(Returned::of(Err(Errno::EINVAL)), Then::Nothing));
        }
        Ok(Op::EpollWait(Wait { epoll, expected, most, until }))
    }

    pub(super) fn try_epoll_wait(&mut self, wait: &Wait) -> Option<(Returned, Then)> {
        self.watch_epolls();
        let instance = self.epolls.get_mut(&wait.epoll)?;
        let mut told = Vec::new();
        for watched in instance.watched.values_mut() {
            let ready = watched.seen.0 & ((watched.events & !(EDGE | ONE_SHOT | EXCLUSIVE)) | ALWAYS);
            let due = watched.armed && ready != 0 && (watched.events & EDGE == 0 || watched.news);
            if due && told.len() < wait.most {
                told.push(text(ready, &watched.data));
                watched.news = false;
                watched.armed = watched.events & ONE_SHOT == 0;
            }
        }
        if told.is_empty() && wait.until.is_none_or(|until| self.world.now() < until) {
            return None;
        }
        let returned = Returned { value: i64::try_from(told.len()).unwrap_or(i64::MAX), errno: None };
        // Nothing was written: what the script has there is what it was before, zeros.
        let found = told.into_iter().next().unwrap_or_else(|| text(0, "0"));
        Some((returned, Then::Compare("the event", wait.expected.clone(), found)))
    }

    /// Notices what has become ready.
    pub(in crate::drill::run) fn watch_epolls(&mut self) {
        if self.epolls.is_empty() {
            return;
        }
        let mut epolls = std::mem::take(&mut self.epolls);
        for watched in epolls.values_mut().flat_map(|epoll| epoll.watched.values_mut()) {
            let now = self.state_of(watched.sock);
            let fresh = now.0 & !watched.seen.0 & (watched.events | ALWAYS);
            watched.news |= fresh != 0 || (now.1 > watched.seen.1 && watched.events & 1 != 0);
            watched.seen = now;
        }
        self.epolls = epolls;
    }

    /// What is ready on a socket, and how much there is to read.
    fn state_of(&mut self, sock: usize) -> (i64, u32) {
        let Some(live) = self.socks[sock].live else { return (0, 0) };
        let ready = self.world.call(|sockets, _| sockets.readiness(live)).unwrap_or_default();
        let unread = self.world.attempt(|sockets, _| sockets.queued_in(live)).unwrap_or(0);
        (bits(ready), unread)
    }
}

/// What stands beside the events: `fd=4`, `ptr=0`.
fn data_of(event: &Expr) -> String {
    let data = ["fd", "ptr", "u32", "u64"].into_iter().find_map(|name| event.field(name));
    data.map_or_else(|| "0".to_owned(), ToString::to_string)
}

fn text(events: i64, data: &str) -> String {
    format!("events {events:#x} data {data}")
}
