//! `net.ipv4.tcp_mem`: the memory of all connections together. What a connection has queued, to send and to be read, counts
//! in whole pages (`sk_mem_pages()`); what the kernel has around each piece counts where the profile knows it.

use super::Host;
use super::config::Settings;
use super::counters::{Counter, Counters};
use super::demux::Place;
use super::stream::{Conn, Owner};
use crate::endpoint::Cx;
use crate::tcp::Limits;
use crate::time::{HostTime, Span, ms};

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// `TCP_ORPHAN_TIMER_PERIOD`.
const COUNTED_EVERY: Span = ms(100);

/// Connections that nobody owns and that are not closing ones yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orphans {
    now: u32,
    /// `tcp_orphan_cache`: how many there were when they were last counted.
    seen: u32,
    /// Which count that was.
    count: u64,
}

impl Orphans {
    fn look(&mut self, now: HostTime, settings: &Settings) {
        let uptime = now.since(HostTime::ZERO) + settings.knobs.ticks.uptime;
        let count = uptime.as_nanos() / COUNTED_EVERY.as_nanos();
        if count != self.count {
            (self.seen, self.count) = (self.now, count);
        }
    }

    pub(super) fn add(&mut self, now: HostTime, settings: &Settings) {
        self.look(now, settings);
        self.now += 1;
    }

    pub(super) fn remove(&mut self, now: HostTime, settings: &Settings) {
        self.look(now, settings);
        self.now -= 1;
    }

    /// As last counted, and the most that there may be.
    pub(super) fn limit(&mut self, now: HostTime, settings: &Settings) -> Option<(u32, u32)> {
        self.look(now, settings);
        settings.orphans.map(|most| (self.seen, most))
    }
}

/// Pages that connections take, and whether that was found to be much.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    pages: u64,
    pressure: bool,
}

impl Memory {
    /// Counts the pages that a connection takes now; where there is no limit nobody counts.
    #[inline(never)]
    pub(super) fn count(&mut self, conn: &mut Conn, settings: &Settings, limits: &mut Limits, counters: &mut Counters) {
        let now = if settings.memory.is_some() { Memory::pages(conn.tcp.memory()) } else { 0 };
        if now != conn.pages {
            let before = std::mem::replace(&mut conn.pages, now);
            self.change((before, now), settings, limits, counters);
        }
    }

    /// One connection takes `now` pages in place of `before` (`__sk_mem_raise_allocated()`).
    fn change(&mut self, (before, now): (u64, u64), settings: &Settings, limits: &mut Limits, counters: &mut Counters) {
        self.pages = self.pages + now - before;
        let Some([low, pressure, _]) = settings.memory else { return };
        if self.pages > pressure && !self.pressure {
            counters.add(Counter::MemoryPressures);
        }
        self.pressure = self.pages > pressure || (self.pressure && self.pages > low);
        limits.starved = self.is_exhausted(settings).then_some(settings.send_buffer[0]);
    }

    /// Whether the hard limit is passed.
    fn is_exhausted(self, settings: &Settings) -> bool {
        settings.memory.is_some_and(|[.., most]| self.pages > most)
    }

    /// Pages of so many bytes.
    fn pages(bytes: u64) -> u64 {
        bytes.div_ceil(PAGE)
    }
}

impl Host {
    /// `tcp_check_oom()`: whether an orphan that has just become one is one too many, or has more to send than may be, now
    /// that there is no memory.
    pub(super) fn has_to_go(&mut self, now: HostTime, index: u32) -> bool {
        self.limits.orphans = self.orphans.limit(now, &self.settings);
        let queued = self.conns.get(index).map_or(0, |conn| conn.tcp.snd_view().queued);
        self.limits.is_short_of(u32::try_from(queued).unwrap_or(u32::MAX), 0)
    }

    /// A timeout of the connection `index`.
    pub(super) fn conn_timeout(&mut self, cx: &mut Cx<'_>, index: u32) {
        if self.conns.get(index).is_some_and(|conn| conn.owner == Owner::Orphan) {
            self.limits.orphans = self.orphans.limit(cx.now(), &self.settings);
        }
        self.touch(cx, index, |tcp, context| tcp.on_timeout(context));
    }

    /// Forgets a connection, and gives back what it took.
    pub(super) fn drop_conn(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        if self.settings.memory.is_some() || conn.pages > 0 {
            self.memory.change((conn.pages, 0), &self.settings, &mut self.limits, &mut self.counters);
        }
        self.timers.forget(Place::Conn(index).slot());
        self.conns.discard(index);
    }
}
