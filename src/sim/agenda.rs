//! What happens next: one entry a source, ordered by (time, class, source).
//!
//! A source (a link, an endpoint's timeouts, its applications, the script) keeps its own order and has only its head
//! here, so the order of a run never depends on when or how often a source was put in. Re-arming a timer moves an
//! entry; nothing stale is left behind.

use crate::time::SimTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The classes of events, in the order in which they happen at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    /// A packet arrives; the source is a link.
    Delivery = 0,
    /// An endpoint's timeout; the source is the endpoint.
    Timeout = 1,
    /// Applications; the source is the endpoint. Scripted calls come after all of these: whoever drives the run makes
    /// them between two events.
    Application = 2,
    /// A scheduled disturbance; the source is 0, the list of them.
    Fault = 3,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: SimTime,
    /// Breaks ties: class and source, or a hash of them and the time where ties are shuffled.
    rank: u64,
    id: Id,
}

/// A source of a class as one small number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u32);

impl Id {
    fn of(class: Class, source: u32) -> Id {
        debug_assert!(source < 1 << 30, "fewer than 2^30 sources");
        Id(source << 2 | class as u32)
    }

    const fn class(self) -> Class {
        match self.0 & 3 {
            0 => Class::Delivery,
            1 => Class::Timeout,
            2 => Class::Application,
            _ => Class::Fault,
        }
    }

    const fn source(self) -> u32 {
        self.0 >> 2
    }
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.time, self.rank) < (other.time, other.rank)
    }
}

const ABSENT: u32 = u32::MAX;
const FRONT: u32 = u32::MAX - 1;

/// A binary heap of sources that knows where each of them is.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// What comes before everything in the heap, if anything: most of what happens at once is put in and taken out
    /// again before anything else is.
    front: Option<Entry>,
    heap: Vec<Entry>,
    /// By [`Id`].
    places: Vec<u32>,
    shuffle: Option<u64>,
}

impl Agenda {
    /// From now on ties are broken by a hash under `seed` instead of class and source.
    pub(super) fn shuffle_ties(&mut self, seed: u64) {
        assert!(self.first().is_none(), "ties are shuffled from the start of a run or not at all");
        self.shuffle = Some(seed);
    }

    /// Sets when `source` is due next, or that it is not. Most of the time that is known already.
    #[inline(always)]
    pub(super) fn set(&mut self, class: Class, source: u32, time: Option<SimTime>) {
        let id = Id::of(class, source);
        let place = self.places.get(id.0 as usize).copied().unwrap_or(ABSENT);
        let entry = match place {
            ABSENT => None,
            FRONT => self.front.as_ref(),
            place => self.heap.get(place as usize),
        };
        if entry.map(|entry| entry.time) != time {
            self.change(id, place, time);
        }
    }

    #[inline(never)]
    fn change(&mut self, id: Id, place: u32, time: Option<SimTime>) {
        match (place, time) {
            (FRONT, _) => {
                self.front = None;
                self.set_place(id, ABSENT);
            }
            (ABSENT, _) => {}
            (place, Some(time)) => {
                let place = place as usize;
                let earlier = time < self.heap[place].time;
                let entry = self.entry(id, time);
                if self.front.is_none_or(|front| !entry.before(&front)) {
                    self.heap[place] = entry;
                    return if earlier { self.sift_up(place) } else { self.sift_down(place) };
                }
                self.remove(place);
            }
            (place, None) => self.remove(place as usize),
        }
        if let Some(time) = time {
            self.insert(self.entry(id, time));
        }
    }

    /// The next event: when, of which class, from which source.
    pub(super) fn first(&self) -> Option<(SimTime, Class, u32)> {
        self.front.as_ref().or(self.heap.first()).map(|e| (e.time, e.id.class(), e.id.source()))
    }

    /// Whether another source is due at the same instant as the first.
    pub(super) fn is_tied(&self) -> bool {
        let time = |n: usize| self.heap.get(n).map(|e| e.time);
        match self.front {
            Some(front) => time(0) == Some(front.time),
            None => time(0).is_some() && (time(1) == time(0) || time(2) == time(0)),
        }
    }

    /// Puts in a source that is absent.
    fn insert(&mut self, entry: Entry) {
        if self.places.len() <= entry.id.0 as usize {
            self.places.resize(entry.id.0 as usize + 1, ABSENT);
        }
        let is_first = match &self.front {
            Some(front) => entry.before(front),
            None => self.heap.first().is_none_or(|first| entry.before(first)),
        };
        let behind = if is_first {
            self.set_place(entry.id, FRONT);
            self.front.replace(entry)
        } else {
            Some(entry)
        };
        if let Some(behind) = behind {
            self.heap.push(behind);
            self.sift_up(self.heap.len() - 1);
        }
    }

    fn entry(&self, id: Id, time: SimTime) -> Entry {
        let plain = (id.class() as u64) << 32 | u64::from(id.source());
        let rank = match self.shuffle {
            None => plain,
            Some(seed) => {
                let mut key = [0; 16];
                key[..8].copy_from_slice(&plain.to_le_bytes());
                key[8..].copy_from_slice(&time.as_nanos().to_le_bytes());
                xxh3_64_with_seed(&key, seed)
            }
        };
        Entry { time, rank, id }
    }

    /// Notes where a source is that has a place.
    #[inline]
    fn set_place(&mut self, id: Id, place: u32) {
        self.places[id.0 as usize] = place;
    }

    #[inline]
    fn settle(&mut self, at: usize, entry: Entry) {
        self.heap[at] = entry;
        self.set_place(entry.id, u32::try_from(at).expect("fewer than 2^32 sources"));
    }

    fn sift_up(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if !entry.before(&self.heap[parent]) {
                break;
            }
            self.settle(at, self.heap[parent]);
            at = parent;
        }
        self.settle(at, entry);
    }

    fn sift_down(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let left = 2 * at + 1;
            let Some(mut child) = self.heap.get(left) else { break };
            let mut next = left;
            if let Some(right) = self.heap.get(left + 1)
                && right.before(child)
            {
                (child, next) = (right, left + 1);
            }
            if !child.before(&entry) {
                break;
            }
            self.settle(at, self.heap[next]);
            at = next;
        }
        self.settle(at, entry);
    }

    fn remove(&mut self, at: usize) {
        let gone = self.heap.swap_remove(at);
        self.set_place(gone.id, ABSENT);
        if at < self.heap.len() {
            let moved = self.heap[at];
            self.settle(at, moved);
            if moved.before(&gone) { self.sift_up(at) } else { self.sift_down(at) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, below};
    use crate::time::ms;

    fn at(n: u64) -> SimTime {
        SimTime::ZERO + ms(n)
    }

    #[test]
    fn equal_times_go_by_class_and_source() {
        let mut agenda = Agenda::default();
        agenda.set(Class::Fault, 0, Some(at(1)));
        agenda.set(Class::Application, 3, Some(at(1)));
        agenda.set(Class::Delivery, 7, Some(at(1)));
        agenda.set(Class::Delivery, 2, Some(at(1)));
        let mut order = Vec::new();
        while let Some((_, class, source)) = agenda.first() {
            order.push((class, source));
            agenda.set(class, source, None);
        }
        let expected = [(Class::Delivery, 2), (Class::Delivery, 7), (Class::Application, 3), (Class::Fault, 0)];
        assert_eq!(order, expected);
    }

    #[test]
    fn it_agrees_with_a_sorted_list() {
        let mut random = Stream::new(1, "agenda");
        let mut agenda = Agenda::default();
        let mut list = std::collections::BTreeMap::new();
        for _ in 0..20_000 {
            let source = u32::try_from(below(random.word(), 40)).unwrap();
            let time = (!random.word().is_multiple_of(3)).then(|| at(below(random.word(), 1_000)));
            agenda.set(Class::Timeout, source, time);
            match time {
                Some(time) => list.insert(source, time),
                None => list.remove(&source),
            };
            let first = list.iter().map(|(&source, &time)| (time, source)).min();
            assert_eq!(agenda.first().map(|(time, _, source)| (time, source)), first);
            let ties = first.map_or(0, |(time, _)| list.values().filter(|&&t| t == time).count());
            assert_eq!(agenda.is_tied(), ties > 1);
        }
    }
}
