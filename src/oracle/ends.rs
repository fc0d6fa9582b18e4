use super::evidence::End;
use crate::trace::Seat;
use std::marker::PhantomData;

/// What is remembered of ends, found without hashing: pages of neighbouring connections (or 4-tuples), let go when empty.
#[derive(Debug)]
pub(super) struct Ends<T, K = End> {
    pages: Vec<Option<Box<Page<T>>>>,
    /// Empty pages kept for use at other places.
    spare: Vec<Box<Page<T>>>,
    by: PhantomData<K>,
}

/// Both ends of neighbouring connections.
#[derive(Debug)]
struct Page<T> {
    used: u32,
    pairs: [[Option<T>; 2]; PAGE],
}

/// Connections of a page.
const PAGE: usize = 32;
const SPARE: usize = 16;

/// What ends are told apart by.
pub(super) trait Spot: Copy {
    /// The number of the connection or 4-tuple, and which of its ends.
    fn spot(self) -> (u32, usize);
}

impl Spot for End {
    fn spot(self) -> (u32, usize) {
        (self.conn.0, self.side as usize)
    }
}

impl Spot for Seat {
    fn spot(self) -> (u32, usize) {
        (self.slot, self.end)
    }
}

impl<T, K> Default for Ends<T, K> {
    fn default() -> Ends<T, K> {
        Ends { pages: Vec::new(), spare: Vec::new(), by: PhantomData }
    }
}

/// The page of an end, the place of its pair there, and the place in that.
fn place(spot: impl Spot) -> (usize, usize, usize) {
    let (n, end) = spot.spot();
    (n as usize / PAGE, n as usize % PAGE, end)
}

impl<T, K: Spot> Ends<T, K> {
    pub(super) fn get(&self, spot: &K) -> Option<&T> {
        let (page, pair, end) = place(*spot);
        self.pages.get(page)?.as_ref()?.pairs[pair][end].as_ref()
    }

    pub(super) fn get_mut(&mut self, spot: &K) -> Option<&mut T> {
        self.slot(spot)?.as_mut()
    }

    /// What is remembered of an end and of its peer, where anything is.
    pub(super) fn both_mut(&mut self, spot: &K) -> (Option<&mut T>, Option<&mut T>) {
        let (page, pair, end) = place(*spot);
        let Some(page) = self.pages.get_mut(page).and_then(Option::as_mut) else { return (None, None) };
        let [first, second] = page.pairs[pair].each_mut().map(Option::as_mut);
        if end == 0 { (first, second) } else { (second, first) }
    }

    pub(super) fn contains(&self, spot: &K) -> bool {
        self.get(spot).is_some()
    }

    /// Mostly it is there already.
    #[inline]
    pub(super) fn get_or_insert_with(&mut self, spot: K, value: impl FnOnce() -> T) -> &mut T {
        if !self.contains(&spot) {
            self.put(spot, value());
        }
        self.get_mut(&spot).expect("put there")
    }

    /// Sets what is remembered of an end; returns what was.
    pub(super) fn insert(&mut self, spot: K, value: T) -> Option<T> {
        if let Some(known) = self.get_mut(&spot) {
            return Some(std::mem::replace(known, value));
        }
        self.put(spot, value);
        None
    }

    /// Forgets an end; returns what was remembered.
    pub(super) fn remove(&mut self, spot: &K) -> Option<T> {
        let known = self.slot(spot)?.take()?;
        self.vacate(spot);
        Some(known)
    }

    /// Forgets an end, and drops what was remembered where it lies.
    pub(super) fn discard(&mut self, spot: &K) {
        if let Some(slot) = self.slot(spot).filter(|slot| slot.is_some()) {
            *slot = None;
            self.vacate(spot);
        }
    }

    /// There is one less on the page of `spot`.
    fn vacate(&mut self, spot: &K) {
        let place = &mut self.pages[place(*spot).0];
        let Some(page) = place else { return };
        page.used -= 1;
        if page.used == 0 {
            let empty = place.take();
            if self.spare.len() < SPARE {
                self.spare.extend(empty);
            }
        }
    }

    fn slot(&mut self, spot: &K) -> Option<&mut Option<T>> {
        let (page, pair, end) = place(*spot);
        Some(&mut self.pages.get_mut(page)?.as_mut()?.pairs[pair][end])
    }

    /// Fills an empty slot.
    #[inline(never)]
    fn put(&mut self, spot: K, value: T) {
        let (page, pair, end) = place(spot);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let spare = &mut self.spare;
        let fresh = || spare.pop().unwrap_or_else(|| Box::new(Page { used: 0, pairs: [const { [None, None] }; PAGE] }));
        let page = self.pages[page].get_or_insert_with(fresh);
        page.used += 1;
        page.pairs[pair][end] = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{ConnId, Side};

    #[test]
    fn ends_are_apart_and_empty_pages_go() {
        let end = |conn, side| End { conn: ConnId(conn), side };
        let all: Vec<End> = (0..100).flat_map(|n| [end(n, Side::Opener), end(n, Side::Other)]).collect();
        let mut ends = Ends::default();
        for (&at, n) in all.iter().zip(0u32..) {
            assert!(!ends.contains(&at));
            *ends.get_or_insert_with(at, || n) += 1;
        }
        ends.insert(all[7], 70);
        let got: Vec<u32> = all.iter().filter_map(|at| ends.get(at).copied()).collect();
        let expected: Vec<u32> = (1..=200).map(|n| if n == 8 { 70 } else { n }).collect();
        assert_eq!(got, expected);
        for at in &all {
            assert!(ends.remove(at).is_some() && ends.remove(at).is_none());
        }
        assert!(ends.pages.iter().all(Option::is_none));
    }
}
