//! A hash map that cannot be iterated, so that no output can depend on its order.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::IpAddr;

/// An IP address as the key of a [`Map`]: numbers are compared and hashed faster than octets one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddrKey {
    bits: u128,
    is_v6: bool,
}

/// One word tells nearly all addresses apart.
impl Hash for AddrKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.bits >> 64) as u64 ^ self.bits as u64);
    }
}

impl From<IpAddr> for AddrKey {
    fn from(addr: IpAddr) -> AddrKey {
        match addr {
            IpAddr::V4(addr) => AddrKey { bits: u128::from(addr.to_bits()), is_v6: false },
            IpAddr::V6(addr) => AddrKey { bits: addr.to_bits(), is_v6: true },
        }
    }
}

type Table<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<rustc_hash::FxHasher>>;

/// Look-up by key with a fixed hash function; deliberately without iterators.
#[derive(Clone, Debug)]
pub struct Map<K, V>(Table<K, V>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Map<K, V> {
        Map(Table::default())
    }
}

impl<K: Hash + Eq, V> Map<K, V> {
    /// An empty map.
    pub fn new() -> Map<K, V> {
        Map::default()
    }

    /// The value of `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    /// The value of `key`, made by `value` if there is none.
    pub fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        self.0.entry(key).or_insert_with(value)
    }

    /// Whether `key` has a value.
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Sets the value of `key`; returns the former one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Takes the value of `key` out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops every entry, keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
