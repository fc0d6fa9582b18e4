//! How a kernel's clock counts.

use crate::time::{HostTime, Span};

/// When a timer of a kernel that counts in ticks fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimerRule {
    /// At its tick.
    #[default]
    Exact,
    /// At the end of its bucket of Linux's timer wheel: the next tick up to 63 ticks, then ever coarser steps of 8, 64,
    /// 512 … ticks (`calc_index()` in kernel/time/timer.c).
    Wheel,
}

/// The tick of a kernel's clock, in which it counts its timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// How long it is; none: timers are counted in nanoseconds.
    pub length: Option<Span>,
    /// Where in the kernel's timer wheel a timer fires; means something only with a length.
    pub timers: TimerRule,
    /// How long the system had been up when the host's clock showed zero: its ticks, and the buckets of its timer wheel,
    /// count from its start.
    pub uptime: Span,
}

impl Ticks {
    /// When a timer fires that is set at `now` for `span`. A kernel counts in ticks: `span` is rounded up to whole ones,
    /// and the timer fires at the first tick that is no earlier (`mod_timer(jiffies + n)`, and one more for what has
    /// passed of this one).
    pub fn after(self, now: HostTime, span: Span) -> HostTime {
        match self.length.map(Span::as_nanos) {
            None | Some(0) => now + span,
            Some(tick) => self.after_ticks(tick, now, span),
        }
    }

    #[inline(never)]
    fn after_ticks(self, tick: u64, now: HostTime, span: Span) -> HostTime {
        let uptime = self.uptime.as_nanos();
        let now = now.since(HostTime::ZERO).as_nanos() + uptime;
        let ticks = span.as_nanos().div_ceil(tick);
        let due = match self.timers {
            TimerRule::Exact => now.div_ceil(tick) + ticks,
            TimerRule::Wheel => {
                // Level n holds what is due in 63 * 8^(n-1) ticks or more, in buckets of 8^n.
                let level = (ticks / 63).checked_ilog2().map_or(0, |log| log / 3 + 1).min(8);
                ((now / tick + ticks) >> (3 * level)).saturating_add(1) << (3 * level)
            }
        };
        HostTime::from_nanos((tick * due).saturating_sub(uptime))
    }
}
