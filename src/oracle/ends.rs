use super::evidence::End;
use crate::trace::ConnId;

/// What is remembered of ends, found without hashing: pages of neighbouring connections, let go when empty.
#[derive(Debug)]
pub(super) struct Ends<T> {
    pages: Vec<Option<Box<Page<T>>>>,
    /// Empty pages kept for use at other places: some oracles fill and empty a slot with every packet.
    spare: Vec<Box<Page<T>>>,
}

#[derive(Debug)]
struct Page<T> {
    used: u32,
    slots: [Option<T>; PAGE],
}

/// Slots of a page: two for each of 32 connections.
const PAGE: usize = 64;
const SPARE: usize = 16;

impl<T> Default for Ends<T> {
    fn default() -> Ends<T> {
        Ends { pages: Vec::new(), spare: Vec::new() }
    }
}

fn place(end: End) -> (usize, usize) {
    let ConnId(conn) = end.conn;
    let index = conn as usize * 2 + end.side as usize;
    (index / PAGE, index % PAGE)
}

impl<T> Ends<T> {
    pub(super) fn get(&self, end: &End) -> Option<&T> {
        let (page, slot) = place(*end);
        self.pages.get(page)?.as_ref()?.slots[slot].as_ref()
    }

    pub(super) fn get_mut(&mut self, end: &End) -> Option<&mut T> {
        let (page, slot) = place(*end);
        self.pages.get_mut(page)?.as_mut()?.slots[slot].as_mut()
    }

    pub(super) fn contains(&self, end: &End) -> bool {
        self.get(end).is_some()
    }

    /// Mostly it is there already.
    #[inline]
    pub(super) fn get_or_insert_with(&mut self, end: End, value: impl FnOnce() -> T) -> &mut T {
        let (page, slot) = place(end);
        let is_there =
            self.pages.get(page).is_some_and(|page| page.as_ref().is_some_and(|page| page.slots[slot].is_some()));
        if !is_there {
            self.put(page, slot, value());
        }
        self.pages[page].as_mut().and_then(|page| page.slots[slot].as_mut()).expect("put there")
    }

    /// Fills an empty slot.
    #[inline(never)]
    fn put(&mut self, page: usize, slot: usize, value: T) {
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let spare = &mut self.spare;
        let fresh = || spare.pop().unwrap_or_else(|| Box::new(Page { used: 0, slots: [const { None }; PAGE] }));
        let page = self.pages[page].get_or_insert_with(fresh);
        page.used += 1;
        page.slots[slot] = Some(value);
    }

    pub(super) fn insert(&mut self, end: End, value: T) {
        let mut value = Some(value);
        let slot = self.get_or_insert_with(end, || value.take().expect("made once"));
        if let Some(value) = value {
            *slot = value;
        }
    }

    /// Forgets an end; whether it was known.
    pub(super) fn remove(&mut self, end: &End) -> bool {
        let (page, slot) = place(*end);
        let Some(place) = self.pages.get_mut(page) else { return false };
        let Some(page) = place.as_mut().filter(|page| page.slots[slot].is_some()) else { return false };
        page.slots[slot] = None;
        page.used -= 1;
        if page.used == 0 {
            let empty = place.take();
            if self.spare.len() < SPARE {
                self.spare.extend(empty);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Side;

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
            assert!(ends.remove(at) && !ends.remove(at));
        }
        assert!(ends.pages.iter().all(Option::is_none));
    }
}
