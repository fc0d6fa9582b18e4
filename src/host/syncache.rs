//! The half-open connections of a host in one cache, as FreeBSD keeps them (tcp_syncache.c): rows by the hash of the
//! 4-tuple, each of a few places. One SYN more pushes the oldest of its row out, whose third segment may still open a
//! connection by the cookie that was its number; and from then on, for a while, nobody asks the cache, and SYNs are
//! answered by cookies alone.

use super::Host;
use super::cookies::{CookieUse, KEY_LIFETIME};
use super::listener::QueueRule;
use crate::endpoint::{Cx, Tuple};
use crate::map::Map;
use crate::time::{HostTime, Span};
use std::collections::VecDeque;

/// How much the cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CacheSize {
    /// `hashsize`.
    pub(super) rows: u32,
    /// `bucketlimit`.
    pub(super) row: u32,
    /// `cachelimit`.
    pub(super) all: u32,
}

/// Who is in the cache.
#[derive(Debug, Default)]
pub(super) struct Syncache {
    rows: Map<u32, Row>,
    len: u32,
    pause: Pause,
}

/// While the cache is not asked, since it has overflowed.
#[derive(Debug, Default)]
struct Pause {
    /// When the last one ends, or has ended.
    until: Option<HostTime>,
    /// How often its length was doubled.
    doublings: u32,
}

/// How long the first pause is (`TCP_SYNCACHE_PAUSE_TIME`).
const PAUSE: Span = KEY_LIFETIME;
/// `TCP_SYNCACHE_MAX_BACKOFF`: 16 minutes.
const MOST_DOUBLINGS: u32 = 6;

impl Pause {
    fn is_on(&self, now: HostTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn length(&self) -> Span {
        PAUSE * (1 << self.doublings)
    }

    /// A row has overflowed (`syncache_pause()`): "If we are seeing a re-newed attack within that same time after last
    /// reactivating the syncache, consider it an extension of the same attack", and the pause is twice as long.
    fn begin(&mut self, now: HostTime) {
        if self.is_on(now) {
            return;
        }
        let again = self.until.is_some_and(|until| now < until + self.length());
        self.doublings = if again { (self.doublings + 1).min(MOST_DOUBLINGS) } else { 0 };
        self.until = Some(now + self.length());
    }
}

#[derive(Debug, Default)]
struct Row {
    /// Places in storage, the oldest first.
    halves: VecDeque<u32>,
    overflowed: Option<HostTime>,
}

impl Syncache {
    /// Whether one of this row was pushed out so lately that its cookie may still come back.
    pub(super) fn has_overflowed(&self, row: u32, now: HostTime) -> bool {
        let last = self.rows.get(&row).and_then(|row| row.overflowed);
        last.is_some_and(|last| now.since(last) <= KEY_LIFETIME)
    }
}

impl Host {
    /// Whether SYNs are answered by cookies alone, and third segments count by theirs: the cache is not asked
    /// (`syncache_cookiesonly()`).
    pub(super) fn asks_no_cache(&self, now: HostTime) -> bool {
        self.settings.queues == QueueRule::Syncache
            && match self.settings.cookies {
                CookieUse::Never => false,
                CookieUse::Overflow => self.syncache.pause.is_on(now),
                CookieUse::Always => true,
            }
    }

    /// A half-open connection whose time has come ends with all of its row while the cache is paused; whether that was so
    /// (`syncache_timer()`: "If we have paused processing, unconditionally remove all syncache entries").
    pub(super) fn clear_paused_row(&mut self, cx: &mut Cx<'_>, index: u32) -> bool {
        let Some(half) = self.halves.get(index).filter(|_| self.syncache.pause.is_on(cx.now())) else { return false };
        if half.tcp.poll_timeout().is_none_or(|due| cx.now() < due) {
            return false;
        }
        let place = self.cache_row(self.tuple(half.key()));
        let Some(row) = self.syncache.rows.get(&place) else { return false };
        for index in row.halves.clone() {
            self.forget_half(cx, index);
        }
        true
    }

    /// The row of a 4-tuple.
    pub(super) fn cache_row(&self, tuple: Tuple) -> u32 {
        self.isn.ts_offset(tuple) % self.settings.syncache.rows.max(1)
    }

    /// Whether the cache has a place for a new half-open connection, or one that the oldest of its row can give up
    /// (`syncache_add()`). Where all is full and its row is empty, there is none: it is answered by a cookie, but its row has not
    /// overflowed, and whether the cookie counts is another matter.
    pub(super) fn has_cache_place(&self, tuple: Tuple) -> bool {
        let is_full = self.syncache.len >= self.settings.syncache.all;
        !is_full || self.syncache.rows.get(&self.cache_row(tuple)).is_some_and(|row| !row.halves.is_empty())
    }

    /// A new half-open connection takes a place: the oldest of its row gives way where there is no other
    /// (`syncache_insert()`).
    pub(super) fn make_cache_room(&mut self, cx: &mut Cx<'_>, tuple: Tuple) {
        if self.settings.queues != QueueRule::Syncache {
            return;
        }
        let (place, size, now) = (self.cache_row(tuple), self.settings.syncache, cx.now());
        let is_full = self.syncache.len >= size.all;
        let Some(row) = self.syncache.rows.get_mut(&place) else { return };
        if is_full || row.halves.len() >= size.row as usize {
            let oldest = row.halves.front().copied();
            row.overflowed = Some(now);
            if self.settings.cookies != CookieUse::Never {
                self.syncache.pause.begin(now);
            }
            oldest.into_iter().for_each(|index| self.forget_half(cx, index));
        }
    }

    /// It has its place.
    pub(super) fn enter_cache(&mut self, tuple: Tuple, index: u32) {
        if self.settings.queues == QueueRule::Syncache {
            let place = self.cache_row(tuple);
            self.syncache.rows.get_or_insert_with(place, Row::default).halves.push_back(index);
            self.syncache.len += 1;
        }
    }

    /// It has left.
    pub(super) fn leave_cache(&mut self, tuple: Tuple, index: u32) {
        if self.settings.queues == QueueRule::Syncache {
            let place = self.cache_row(tuple);
            let Some(row) = self.syncache.rows.get_mut(&place) else { return };
            let before = row.halves.len();
            row.halves.retain(|&other| other != index);
            self.syncache.len -= u32::from(row.halves.len() < before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn a_pause_doubles_where_the_next_comes_as_soon_as_it_was_long() {
        let mut pause = Pause::default();
        let mut now = HostTime::ZERO + secs(1);
        assert!(!pause.is_on(now));
        for seconds in [15, 30, 60, 120, 240, 480, 960, 960] {
            pause.begin(now);
            // Overflows within it change nothing.
            pause.begin(now + secs(1));
            assert!(pause.is_on(now + secs(seconds) - ms(1)) && !pause.is_on(now + secs(seconds)), "{seconds}");
            now = now + secs(2 * seconds) - ms(1);
        }
        now += ms(1);
        pause.begin(now);
        assert!(!pause.is_on(now + secs(15)), "960 s after the end of the last one it is another attack");
    }
}
