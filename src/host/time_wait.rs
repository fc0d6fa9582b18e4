//! How many connections may be in TIME-WAIT, and what gives way.

use super::Host;
use super::counters::Machine;
use crate::endpoint::{Cx, State};
use crate::tcp::TcpEvent;
use crate::time::HostTime;
use std::collections::BTreeSet;

/// What happens to one connection more in TIME-WAIT than there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TimeWaitRule {
    /// It ends at once; orphans in FIN-WAIT-2 count too (`inet_twsk_alloc()` of Linux).
    #[default]
    Destroy,
    /// It takes the place of the one that would end first (`tcp_tw_2msl_scan()` of FreeBSD).
    ReuseOldest,
}

/// The connections in TIME-WAIT by the instant at which they end; kept for [`TimeWaitRule::ReuseOldest`] only.
#[derive(Debug, Default)]
pub(super) struct TimeWaits {
    queue: BTreeSet<Wait>,
}

/// When it ends, its birth, and its place in storage.
pub(super) type Wait = (HostTime, u32, u32);

impl Host {
    /// The place in the queue of what is left of a connection, if it has one.
    pub(super) fn time_wait(&self, index: u32) -> Option<Wait> {
        if self.settings.time_wait_rule != TimeWaitRule::ReuseOldest {
            return None;
        }
        let leftover = self.leftovers.get(index).filter(|leftover| leftover.tcp.state() == State::TimeWait)?;
        leftover.tcp.poll_timeout().map(|ends| (ends, leftover.birth, index))
    }

    /// A place in the queue has changed.
    pub(super) fn move_time_wait(&mut self, from: Option<Wait>, to: Option<Wait>) {
        if from == to {
            return;
        }
        from.inspect(|wait| _ = self.time_waits.queue.remove(wait));
        to.inspect(|wait| _ = self.time_waits.queue.insert(*wait));
    }

    /// Whether what enters `state` finds room without anybody giving way.
    pub(super) fn has_time_wait_room(&self) -> bool {
        match self.settings.time_wait_rule {
            TimeWaitRule::Destroy => self.leftovers.len() < self.settings.time_waits as usize,
            TimeWaitRule::ReuseOldest => true,
        }
    }

    /// The oldest give way until there are no more than there may be.
    pub(super) fn reuse_oldest(&mut self, cx: &mut Cx<'_>) {
        while self.time_waits.queue.len() > self.settings.time_waits as usize {
            let Some(wait) = self.time_waits.queue.pop_first() else { return };
            let (_, _, index) = wait;
            let Some(leftover) = self.leftovers.get(index) else { continue };
            let tuple = self.tuple(leftover.key());
            let from = leftover.tcp.state();
            let event = TcpEvent::Transition { from, to: State::Closed, lasts: None, error: None };
            self.counters.note(&event, Machine::Left(from));
            cx.note(event.at(tuple));
            self.drop_leftover(index);
        }
    }
}
