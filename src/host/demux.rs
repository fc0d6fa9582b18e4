use crate::map::Map;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A 4-tuple by numbers: the local address is one of the host's own, and the remote one a number in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) remote: u32,
    pub(super) local: u16,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
}

impl Hash for Key {
    /// Two words are hashed faster than four fields.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (local, remote) = (u64::from(self.local_port), u64::from(self.remote_port));
        state.write_u64(u64::from(self.remote) << 32 | local << 16 | remote);
        state.write_u16(self.local);
    }
}

/// Where a connection is stored: which slab, and its key there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// The three slabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A whole connection.
    Conn(u32),
    /// A half-open one.
    Half(u32),
    /// TIME-WAIT, or an orphan in FIN-WAIT-2.
    Closing(u32),
    /// Not a connection: the end of the quiet time.
    Quiet,
    /// Nor this: the end of a `close` that waits.
    Linger,
}

impl Place {
    pub(super) fn slot(self) -> Slot {
        let (tag, index) = match self {
            Place::Conn(index) => (0, index),
            Place::Half(index) => (1, index),
            Place::Closing(index) => (2, index),
            Place::Quiet => (3, 0),
            Place::Linger => (3, 1),
        };
        debug_assert!(index < 1 << 30, "fewer than 2^30 connections");
        Slot(index << 2 | tag)
    }
}

impl Slot {
    /// As a number, which puts slots in an order.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn place(self) -> Place {
        let index = self.0 >> 2;
        match self.0 & 3 {
            0 => Place::Conn(index),
            1 => Place::Half(index),
            2 => Place::Closing(index),
            _ if index == 0 => Place::Quiet,
            _ => Place::Linger,
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// Finds the connection of a segment with one look-up.
pub(super) type Demux = Map<Key, Slot>;

const _: () = assert!(size_of::<(Key, Slot)>() == 16, "an index entry is as small as its design says");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_places_in_four_bytes() {
        for place in [Place::Conn(0), Place::Half(7), Place::Closing((1 << 30) - 1), Place::Quiet, Place::Linger] {
            assert_eq!(place.slot().place(), place);
        }
    }
}
