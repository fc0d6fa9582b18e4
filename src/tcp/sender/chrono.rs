//! What a sender spends its time waiting for (`tcp_chrono_start()`): counted in ticks, as the kernel does.

use super::Moment;
use crate::time::{Span, ns};

/// What it waits for, the more interesting last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tcp) enum Wait {
    /// Nothing is to be sent or acknowledged.
    #[default]
    Idle,
    /// Acknowledgments.
    Busy,
    /// The peer's window.
    Window,
    /// Room in the send buffer.
    Buffer,
}

/// How long for each.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::tcp) struct Chrono {
    now: Wait,
    since: u64,
    /// Ticks of `Busy`, `Window` and `Buffer`.
    spent: [u64; 3],
}

impl Chrono {
    fn set(&mut self, at: &Moment<'_>, wait: Wait) {
        let ticks = at.ticks();
        if let Some(before) = (self.now as usize).checked_sub(1) {
            self.spent[before] += ticks - self.since;
        }
        (self.now, self.since) = (wait, ticks);
    }

    /// It waits for this too; what is less interesting is not counted meanwhile.
    pub(super) fn start(&mut self, at: &Moment<'_>, wait: Wait) {
        if wait > self.now {
            self.set(at, wait);
        }
    }

    /// It waits for this no more; `idle`: nor for anything else.
    pub(super) fn stop(&mut self, at: &Moment<'_>, wait: Wait, idle: bool) {
        if idle {
            self.set(at, Wait::Idle);
        } else if wait == self.now {
            self.set(at, Wait::Busy);
        }
    }

    /// Times of busy in all, and of what was waited for in particular (`tcp_get_info_chrono_stats()`).
    pub(in crate::tcp) fn times(&self, at: &Moment<'_>) -> [Span; 3] {
        let mut spent = self.spent;
        if let Some(running) = (self.now as usize).checked_sub(1) {
            spent[running] += at.ticks() - self.since;
        }
        let [busy, window, buffer] = spent.map(|ticks| ns(ticks * at.tick()));
        [busy + window + buffer, window, buffer]
    }
}
