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

/// A source of a class as one small number; of two, the one whose class comes first is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u32);

impl Id {
    fn of(class: Class, source: u32) -> Id {
        debug_assert!(source < 1 << 30, "fewer than 2^30 sources");
        Id((class as u32) << 30 | source)
    }

    const fn class(self) -> Class {
        match self.0 >> 30 {
            0 => Class::Delivery,
            1 => Class::Timeout,
            2 => Class::Application,
            _ => Class::Fault,
        }
    }

    const fn source(self) -> u32 {
        self.0 & ((1 << 30) - 1)
    }

    /// Its place among the leaves: the classes of one source lie side by side.
    const fn leaf(self) -> usize {
        self.0.rotate_left(2) as usize
    }
}

/// When a source is due, and which one, as one number that is compared at once: 64 bits of time; 32 that break ties, 0
/// unless they are shuffled; the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(u128);

impl Key {
    /// Not due: greater than all others.
    const NEVER: Key = Key(u128::MAX);

    const fn of(id: Id, time: SimTime, tie: u32) -> Key {
        Key((time.as_nanos() as u128) << 64 | (tie as u128) << 32 | id.0 as u128)
    }

    const fn time(self) -> SimTime {
        SimTime::from_nanos((self.0 >> 64) as u64)
    }

    const fn id(self) -> Id {
        Id(self.0 as u32)
    }
}

/// What comes next of all sources: the first, the second where it is known, and a tournament among the others.
///
/// Most of what happens at once is put in and taken out again before anything else is: it comes before the first, which
/// becomes the second for as long.
#[derive(Debug)]
pub(super) struct Agenda {
    /// When each source is due: what most calls of [`Agenda::set`] find unchanged.
    due: Vec<SimTime>,
    first: Key,
    /// Not after anything in the tournament; none most of the time.
    second: Key,
    others: Tournament,
    shuffle: Option<u64>,
}

/// A tree with the keys of sources as its leaves, each other key of which is the least of the four under it. Which one of
/// four is the least is found without a branch.
#[derive(Debug)]
struct Tournament {
    /// The first is the least of all; what lies under the one at `n` begins at `4 * n + 1`. Leaves come last.
    tree: Vec<Key>,
    /// How many keys are no leaves.
    inner: usize,
}

impl Default for Agenda {
    fn default() -> Agenda {
        let others = Tournament { tree: vec![Key::NEVER], inner: 0 };
        Agenda { due: Vec::new(), first: Key::NEVER, second: Key::NEVER, others, shuffle: None }
    }
}

impl Agenda {
    /// From now on ties are broken by a hash under `seed` instead of class and source.
    pub(super) fn shuffle_ties(&mut self, seed: u64) {
        assert!(self.first().is_none(), "ties are shuffled from the start of a run or not at all");
        self.shuffle = Some(seed);
    }

    /// Sets when `source` is due next, or that it is not; what is due at the end of time is not. Most of the time that is
    /// known already.
    #[inline(always)]
    pub(super) fn set(&mut self, class: Class, source: u32, time: Option<SimTime>) {
        let (id, time) = (Id::of(class, source), time.unwrap_or(SimTime::NEVER));
        if self.due.get(id.leaf()).copied().unwrap_or(SimTime::NEVER) != time {
            self.change(id, time);
        }
    }

    #[inline(never)]
    fn change(&mut self, id: Id, time: SimTime) {
        if self.due.len() <= id.leaf() {
            self.grow(id);
        }
        let former = std::mem::replace(&mut self.due[id.leaf()], time);
        let key = match (time, self.shuffle) {
            (SimTime::NEVER, _) => Key::NEVER,
            (time, None) => Key::of(id, time, 0),
            (time, Some(seed)) => Key::of(id, time, tie(id, time, seed)),
        };
        // Whether it is one of the others, and what its key is to be among them.
        let (mut is_other, mut left) = (former != SimTime::NEVER, key);
        if id == self.first.id() {
            is_other = false;
            self.first = std::mem::replace(&mut self.second, Key::NEVER);
            if self.first == Key::NEVER {
                self.first = self.others.least();
                if self.first != Key::NEVER {
                    self.others.put(self.first.id(), Key::NEVER);
                }
            }
        } else if id == self.second.id() {
            is_other = false;
            self.second = Key::NEVER;
        }
        if key.0 < self.first.0 {
            left = Key::NEVER;
            let first = std::mem::replace(&mut self.first, key);
            self.set_second(first);
        } else if self.second != Key::NEVER && key.0 < self.second.0 {
            left = Key::NEVER;
            self.set_second(key);
        }
        if is_other || left != Key::NEVER {
            self.others.put(id, left);
        }
    }

    fn set_second(&mut self, key: Key) {
        let former = std::mem::replace(&mut self.second, key);
        if former != Key::NEVER {
            self.others.put(former.id(), former);
        }
    }

    /// Makes room for a source.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, id: Id) {
        let sources = (2 * self.due.len()).max(id.leaf() + 1);
        self.due.resize(sources, SimTime::NEVER);
        self.others.grow(sources);
    }

    /// The next event: when, of which class, from which source.
    #[inline]
    pub(super) fn first(&self) -> Option<(SimTime, Class, u32)> {
        let (key, id) = (self.first, self.first.id());
        (key != Key::NEVER).then(|| (key.time(), id.class(), id.source()))
    }

    /// Whether another source is due at the same instant as the first.
    #[inline]
    pub(super) fn is_tied(&self) -> bool {
        let time = self.first.time();
        let is_tied = self.second.time() == time || self.others.least().time() == time;
        is_tied && self.first != Key::NEVER
    }
}

impl Tournament {
    fn least(&self) -> Key {
        self.tree[0]
    }

    /// Sets the key of a source, and those above it as far as they change.
    #[inline(never)]
    fn put(&mut self, id: Id, mut key: Key) {
        let mut at = self.inner + id.leaf();
        let old = std::mem::replace(&mut self.tree[at], key);
        if key.0 < old.0 {
            while at > 0 {
                at = (at - 1) / 4;
                if self.tree[at].0 <= key.0 {
                    return;
                }
                self.tree[at] = key;
            }
        } else {
            while at > 0 {
                at = (at - 1) / 4;
                if self.tree[at] != old {
                    return;
                }
                key = self.least_under(at);
                self.tree[at] = key;
            }
        }
    }

    fn least_under(&self, at: usize) -> Key {
        match self.tree.get(4 * at + 1..4 * at + 5) {
            Some(&[a, b, c, d]) => Key(a.0.min(b.0).min(c.0.min(d.0))),
            _ => Key::NEVER,
        }
    }

    /// Makes room for so many sources.
    fn grow(&mut self, sources: usize) {
        let known = self.tree.split_off(self.inner);
        self.inner = sources.div_ceil(3);
        self.tree = vec![Key::NEVER; 4 * self.inner + 1];
        self.tree[self.inner..self.inner + known.len()].copy_from_slice(&known);
        for at in (0..self.inner).rev() {
            self.tree[at] = self.least_under(at);
        }
    }
}

/// What a source has instead of 0 where ties are shuffled.
#[cold]
#[inline(never)]
fn tie(id: Id, time: SimTime, seed: u64) -> u32 {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&((id.class() as u64) << 32 | u64::from(id.source())).to_le_bytes());
    key[8..].copy_from_slice(&time.as_nanos().to_le_bytes());
    (xxh3_64_with_seed(&key, seed) >> 32) as u32
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

    /// Plays `steps` random changes of `sources` sources of all classes, half of them of the first, against a sorted list.
    fn agrees_with_a_sorted_list(seed: u64, sources: u64, shuffle: Option<u64>) {
        const CLASSES: [Class; 4] = [Class::Delivery, Class::Timeout, Class::Application, Class::Fault];
        let mut random = Stream::new(seed, "agenda");
        let mut agenda = Agenda::default();
        if let Some(seed) = shuffle {
            agenda.shuffle_ties(seed);
        }
        let mut list = std::collections::BTreeMap::new();
        for _ in 0..5_000 {
            let of_first = agenda.first().filter(|_| random.word().is_multiple_of(2));
            let (class, source) = of_first.map_or_else(
                || (CLASSES[below(random.word(), 4) as usize], u32::try_from(below(random.word(), sources)).unwrap()),
                |(_, class, source)| (class, source),
            );
            let time = (!random.word().is_multiple_of(3)).then(|| at(below(random.word(), 30)));
            agenda.set(class, source, time);
            match time {
                Some(time) => list.insert((class, source), time),
                None => list.remove(&(class, source)),
            };
            let rank = |(&(class, source), &time): (&(Class, u32), &SimTime)| {
                let tie = shuffle.map_or(0, |seed| tie(Id::of(class, source), time, seed));
                (time, tie, class, source)
            };
            let first = list.iter().map(rank).min();
            let got = agenda.first();
            assert_eq!(got, first.map(|(time, _, class, source)| (time, class, source)));
            let ties = first.map_or(0, |(time, ..)| list.values().filter(|&&t| t == time).count());
            assert_eq!(agenda.is_tied(), ties > 1);
        }
    }

    #[test]
    fn it_agrees_with_a_list_that_is_sorted() {
        for (seed, sources) in (1..).zip([1, 2, 5, 40, 900]) {
            agrees_with_a_sorted_list(seed, sources, None);
            agrees_with_a_sorted_list(seed, sources, Some(seed));
        }
    }
}
