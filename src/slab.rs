//! Storage that hands out small dense keys and grows in chunks, so that growth moves nothing.

/// Values in each chunk.
const CHUNK: usize = 8;

/// The chunk of `key`, and its place in it.
const fn place(key: u32) -> (usize, usize) {
    (key as usize / CHUNK, key as usize % CHUNK)
}

/// A slab of `T`: insert returns a key, the key finds the value, freed keys are used again (last freed, first used).
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Box<[Option<T>; CHUNK]>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// An empty slab; allocates nothing.
    pub fn new() -> Slab<T> {
        Slab::default()
    }

    /// Stores `value` and returns its key.
    pub fn insert(&mut self, value: T) -> u32 {
        if self.free.is_empty() {
            let key = |n: usize| u32::try_from(n).expect("a slab holds fewer than 2^32 values");
            let keys = key(self.chunks.len() * CHUNK)..key((self.chunks.len() + 1) * CHUNK);
            self.chunks.push(Box::new([const { None }; CHUNK]));
            self.free.extend(keys.rev());
        }
        let key = self.free.pop().expect("a new chunk has free keys");
        *self.slot(key).expect("a free key lies in a chunk") = Some(value);
        self.len += 1;
        key
    }

    /// Takes the value of `key` out; the key may then be handed out again.
    pub fn remove(&mut self, key: u32) -> Option<T> {
        let value = self.slot(key)?.take()?;
        self.free.push(key);
        self.len -= 1;
        Some(value)
    }

    /// Drops the value of `key` where it lies; the key may then be handed out again.
    pub fn discard(&mut self, key: u32) {
        if let Some(slot) = self.slot(key)
            && slot.is_some()
        {
            *slot = None;
            self.free.push(key);
            self.len -= 1;
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: u32) -> Option<&T> {
        let (chunk, at) = place(key);
        self.chunks.get(chunk)?[at].as_ref()
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        self.slot(key)?.as_mut()
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys and values in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0u32..).zip(slots).filter_map(|(key, slot)| Some((key, slot.as_ref()?)))
    }

    fn slot(&mut self, key: u32) -> Option<&mut Option<T>> {
        let (chunk, at) = place(key);
        Some(&mut self.chunks.get_mut(chunk)?[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dense_and_used_again() {
        let mut slab = Slab::new();
        let keys: Vec<u32> = (0..600).map(|n| slab.insert(n)).collect();
        assert_eq!(keys, (0..600).collect::<Vec<_>>());
        assert_eq!(slab.remove(7), Some(7));
        assert_eq!(slab.remove(7), None);
        assert_eq!(slab.insert(1_000), 7);
        assert_eq!((slab.len(), slab.get(7), slab.get(10_000)), (600, Some(&1_000), None));
        assert_eq!(slab.iter().count(), 600);
    }
}
