//! The sockets that applications and scripted calls work with, and what came of them.

use crate::endpoint::{Errno, SocketId};
use crate::time::{SimTime, Span};
use crate::trace::{Call, Done, NodeId, StreamId};
use crate::wire::{Payload, Rope};
use std::fmt;
use std::net::SocketAddr;
use xxhash_rust::xxh3::Xxh3;

/// One socket, for as long as the run lasts.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) node: NodeId,
    pub(super) socket: Option<SocketId>,
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) received: Received,
    pub(super) calls: Vec<Returned>,
}

/// A scripted call that has returned.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// Which call.
    pub call: Call,
    /// Its result.
    pub result: Result<Done, Errno>,
    /// When it returned.
    pub at: SimTime,
    /// How long it blocked.
    pub took: Span,
}

/// All sockets that have a name.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<Entry>,
    /// Bytes that all [`Received`] keep.
    pub(super) kept: u64,
}

impl Ledger {
    pub(super) fn get(&self, stream: StreamId) -> &Entry {
        &self.entries[stream.0 as usize]
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> &mut Entry {
        &mut self.entries[stream.0 as usize]
    }

    pub(super) fn add(&mut self, node: NodeId) {
        let received = Received::default();
        self.entries.push(Entry { node, socket: None, local: None, remote: None, received, calls: Vec::new() });
    }

    /// Takes down what was read from `stream`.
    pub(super) fn received(&mut self, stream: StreamId, data: &Payload) {
        let received = &mut self.entries[stream.0 as usize].received;
        self.kept -= received.bytes.len() as u64;
        received.take(data);
        self.kept += received.bytes.len() as u64;
    }
}

/// Everything that was read from one socket. Length and hash cover all of it; the bytes themselves are kept up to
/// [`Received::KEEP`].
#[derive(Clone, Default)]
pub struct Received {
    len: u64,
    hash: Xxh3,
    bytes: Rope,
}

impl Received {
    /// How many bytes are kept for comparison byte by byte: 64 MiB. Beyond that, comparisons use the hash.
    pub const KEEP: u64 = 64 << 20;

    /// How many bytes were read.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// XXH3 of all bytes.
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }

    /// The bytes, as far as they are kept.
    pub fn bytes(&self) -> Payload {
        self.bytes.to_payload()
    }

    /// The first byte in which this differs from `expected`: where, what is here, what was expected.
    pub fn first_difference(&self, expected: &[u8]) -> Option<(u64, Option<u8>, Option<u8>)> {
        let mut got = self.bytes.pieces().flat_map(|piece| piece.iter().copied());
        let mut want = expected.iter().copied();
        for at in 0.. {
            match (got.next(), want.next()) {
                (None, None) => return None,
                (a, b) if a == b => {}
                (a, b) => return Some((at, a, b)),
            }
        }
        None
    }

    fn take(&mut self, data: &Payload) {
        self.len += u64::from(data.len());
        self.hash.update(data);
        if self.len <= Received::KEEP {
            self.bytes.push(data.clone());
        }
    }
}

impl PartialEq<[u8]> for Received {
    fn eq(&self, expected: &[u8]) -> bool {
        self.len == expected.len() as u64 && self.hash() == xxhash_rust::xxh3::xxh3_64(expected)
    }
}

impl PartialEq<&[u8]> for Received {
    fn eq(&self, expected: &&[u8]) -> bool {
        self == *expected
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Received {
    fn eq(&self, expected: &[u8; N]) -> bool {
        self == &expected[..]
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Received {
    fn eq(&self, expected: &&[u8; N]) -> bool {
        self == &expected[..]
    }
}

impl PartialEq<Vec<u8>> for Received {
    fn eq(&self, expected: &Vec<u8>) -> bool {
        self == &expected[..]
    }
}

impl PartialEq<str> for Received {
    fn eq(&self, expected: &str) -> bool {
        self == expected.as_bytes()
    }
}

impl PartialEq<&str> for Received {
    fn eq(&self, expected: &&str) -> bool {
        self == expected.as_bytes()
    }
}

/// Length, hash and the first bytes: short enough for a failed assertion about megabytes.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.bytes.copy_range(0, 16);
        let more = if self.len > 16 { "..." } else { "" };
        write!(f, "{} bytes, xxh3 {:016x}, \"{}{more}\"", self.len, self.hash(), head.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_compares_with_bytes() {
        let mut received = Received::default();
        received.take(&"hello ".into());
        received.take(&"world".into());
        assert_eq!(received, "hello world");
        assert!(received != *b"hello");
        assert_eq!(received.first_difference(b"hello_world"), Some((5, Some(b' '), Some(b'_'))));
        assert_eq!(received.first_difference(b"hello"), Some((5, Some(b' '), None)));
        assert_eq!(format!("{received:?}"), format!("11 bytes, xxh3 {:016x}, \"hello world\"", received.hash()));
    }
}
