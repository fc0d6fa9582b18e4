//! The half-open connections of a host in one cache, as FreeBSD keeps them (tcp_syncache.c): rows by the hash of the
//! 4-tuple, each of a few places. One SYN more pushes the oldest of its row out, whose third segment may still open a
//! connection by the cookie that was its number.

use super::Host;
use super::cookies::KEY_LIFETIME;
use super::listener::QueueRule;
use crate::endpoint::{Cx, Tuple};
use crate::map::Map;
use crate::time::HostTime;
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
    /// The row of a 4-tuple.
    pub(super) fn cache_row(&self, tuple: Tuple) -> u32 {
        self.isn.ts_offset(tuple) % self.settings.syncache.rows.max(1)
    }

    /// Whether the cache has a place for a new half-open connection, or one that the oldest of its row can give up
    /// (`syncache_add()`). Where all is full and its row is empty, there is none, and only a cookie remembers it.
    pub(super) fn has_cache_place(&mut self, tuple: Tuple, now: HostTime) -> bool {
        let place = self.cache_row(tuple);
        let is_full = self.syncache.len >= self.settings.syncache.all;
        if !is_full || self.syncache.rows.get(&place).is_some_and(|row| !row.halves.is_empty()) {
            return true;
        }
        self.syncache.rows.get_or_insert_with(place, Row::default).overflowed = Some(now);
        false
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
