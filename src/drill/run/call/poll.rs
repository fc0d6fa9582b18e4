//! `poll`.

use super::{Instant, Op, Returned, Runner, Stop, Then};
use crate::drill::script::{Call, Expr};
use crate::endpoint::Readiness;
use crate::time::ms;

/// `poll` that has begun.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    fds: Vec<Polled>,
    /// When it gives up.
    pub(super) until: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Polled {
    sock: Option<usize>,
    events: i64,
    expected: i64,
}

/// What is told whether it is asked for or not: POLLERR, POLLHUP, POLLNVAL.
pub(super) const ALWAYS: i64 = 0x38;

/// Readiness in the bits of `poll` and `epoll`.
pub(super) fn bits(ready: Readiness) -> i64 {
    const BITS: [(Readiness, i64); 6] = [
        (Readiness::READABLE, 0x41),
        (Readiness::URGENT, 0x2),
        (Readiness::WRITABLE, 0x104),
        (Readiness::ERROR, 0x8),
        (Readiness::HUP, 0x10),
        (Readiness::RDHUP, 0x2000),
    ];
    BITS.iter().filter(|(flag, _)| ready.contains(*flag)).fold(0, |all, (_, bits)| all | bits)
}

impl Runner<'_> {
    pub(super) fn poll(&mut self, call: &Call) -> Result<Op, Stop> {
        self.takes(call, 3..=3)?;
        let Expr::List(items) = &call.args[0] else {
            return Err(self.fail(format!("poll: expected descriptors, found `{}`", call.args[0])));
        };
        let count = self.number(&call.args[1])?;
        if usize::try_from(count) != Ok(items.len()) {
            return Err(self.fail(format!("poll: {count} descriptors are said, {} are there", items.len())));
        }
        let mut fds = Vec::new();
        for item in items {
            let (Some(fd), Some(events)) = (item.field("fd"), item.field("events")) else {
                return Err(self.fail(format!("poll: expected `{{fd=…, events=…}}`, found `{item}`")));
            };
            let expected = item.field("revents").map_or(Ok(0), |revents| self.number(revents))?;
            let fd = self.number(fd)?;
            fds.push(Polled { sock: self.find(fd), events: self.number(events)?, expected });
        }
        let timeout = self.number(&call.args[2])?;
        let until = u64::try_from(timeout).ok().map(|n| self.world.now().saturating_add(super::nanos(ms(n))));
        Ok(Op::Poll(Poll { fds, until }))
    }

    pub(super) fn try_poll(&mut self, poll: &Poll) -> Option<(Returned, Then)> {
        let found: Vec<i64> = poll.fds.iter().map(|fd| self.revents(fd)).collect();
        let ready = found.iter().filter(|revents| **revents != 0).count();
        if ready == 0 && poll.until.is_none_or(|until| self.world.now() < until) {
            return None;
        }
        let expected: Vec<i64> = poll.fds.iter().map(|fd| fd.expected).collect();
        let text = |all: &[i64]| all.iter().map(|bits| format!("{bits:#x}")).collect::<Vec<_>>().join(", ");
        let then = Then::Compare("revents", text(&expected), text(&found));
        Some((Returned { value: i64::try_from(ready).unwrap_or(i64::MAX), errno: None }, then))
    }

    fn revents(&mut self, fd: &Polled) -> i64 {
        let live = fd.sock.and_then(|sock| self.socks[sock].live);
        let Some(live) = live else { return 0x20 };
        let ready = self.world.call(|sockets, _| sockets.readiness(live)).unwrap_or_default();
        bits(ready) & (fd.events | ALWAYS)
    }
}
