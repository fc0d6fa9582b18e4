//! `net.ipv4.tcp_mem`: the memory of all connections together. What a connection has queued, to send and to be read, counts
//! in whole pages (`sk_mem_pages()`); what the kernel has around each piece counts where the profile knows it.

use super::Host;
use super::config::Settings;
use super::counters::{Counter, Counters};
use super::stream::Owner;
use crate::endpoint::Cx;
use crate::tcp::Limits;

/// Bytes of a page.
const PAGE: u64 = 4_096;

/// `SOCK_MIN_SNDBUF`: an orphan that has no more than this to send is left alone.
const SPARED: u32 = 4_608;

/// Pages that connections take, and whether that was found to be much.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    pages: u64,
    pressure: bool,
}

impl Memory {
    /// One connection takes `now` pages in place of `before` (`__sk_mem_raise_allocated()`).
    pub(super) fn change(
        &mut self,
        (before, now): (u64, u64),
        settings: &Settings,
        limits: &mut Limits,
        counters: &mut Counters,
    ) {
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
    pub(super) fn pages(bytes: u64) -> u64 {
        bytes.div_ceil(PAGE)
    }
}

impl Host {
    /// `tcp_out_of_memory()`: whether a connection has more to send than may be, now that there is no memory.
    pub(super) fn is_out_of_memory(&self, index: u32) -> bool {
        let sends = self.conns.get(index).is_some_and(|conn| conn.tcp.snd_view().queued > u64::from(SPARED));
        sends && self.memory.is_exhausted(&self.settings)
    }

    /// A timeout of the connection `index`: an orphan that has too much to send does not get so far
    /// (`tcp_out_of_resources()`).
    pub(super) fn conn_timeout(&mut self, cx: &mut Cx<'_>, index: u32) {
        let is_orphan = self.conns.get(index).is_some_and(|conn| conn.owner == Owner::Orphan);
        if is_orphan && self.is_out_of_memory(index) {
            self.counters.add(Counter::AbortOnMemory);
            self.touch(cx, index, |tcp, context| tcp.abort(context));
        } else {
            self.touch(cx, index, |tcp, context| tcp.on_timeout(context));
        }
    }

    /// Forgets a connection, and gives back what it took.
    pub(super) fn drop_conn(&mut self, index: u32) {
        let Some(conn) = self.conns.get(index) else { return };
        self.memory.change((conn.pages, 0), &self.settings, &mut self.limits, &mut self.counters);
        self.conns.discard(index);
    }
}
