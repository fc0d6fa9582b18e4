//! Data as shared slices of application buffers: sending, queueing and receiving copy nothing.

use crate::few::Few;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// A slice of a shared buffer. Cloning and slicing are cheap; the bytes never change.
#[derive(Clone, Default)]
pub struct Payload {
    buffer: Option<Arc<Buffer>>,
    start: u32,
    len: u32,
}

struct Buffer {
    /// Taken once, when the application hands the buffer over; a packet's digest uses this and its offsets.
    hash: u64,
    bytes: Box<[u8]>,
}

impl Payload {
    /// No data.
    pub const EMPTY: Payload = Payload { buffer: None, start: 0, len: 0 };

    /// Length in bytes.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no data.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part `range` of this slice.
    ///
    /// # Panics
    /// If `range` reaches past the end.
    pub fn slice(&self, range: Range<u32>) -> Payload {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "slice {range:?} of a payload of {} bytes",
            self.len
        );
        if range.is_empty() {
            return Payload::EMPTY;
        }
        Payload { buffer: self.buffer.clone(), start: self.start + range.start, len: range.end - range.start }
    }

    /// Cuts off and returns the first `n` bytes (all of them if there are fewer).
    pub fn split_to(&mut self, n: u32) -> Payload {
        let n = n.min(self.len);
        let head = self.slice(0..n);
        *self = self.slice(n..self.len);
        head
    }

    /// The pieces as one payload; copies unless there is just one or they lie side by side in one buffer.
    pub fn concat(pieces: &[Payload]) -> Payload {
        let mut joined = pieces.first().cloned().unwrap_or_default();
        for piece in &pieces[1.min(pieces.len())..] {
            if !joined.adjoins(piece) {
                return pieces.iter().flat_map(|p| p.iter().copied()).collect::<Vec<u8>>().into();
            }
            joined.len += piece.len;
        }
        joined
    }

    /// Takes in `next` where it continues this slice in the same buffer; whether it did.
    pub fn join(&mut self, next: &Payload) -> bool {
        let joined = self.adjoins(next);
        if joined {
            self.len += next.len;
        }
        joined
    }

    /// Whether `next` continues this slice in the same buffer.
    fn adjoins(&self, next: &Payload) -> bool {
        match (&self.buffer, &next.buffer) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) && self.start + self.len == next.start,
            _ => false,
        }
    }

    /// `(hash of the whole buffer, first byte, length)`: names the content without reading it again.
    pub fn identity(&self) -> (u64, u32, u32) {
        (self.buffer.as_ref().map_or(0, |b| b.hash), self.start, self.len)
    }

    /// Which buffer holds the bytes, and the size of all of it: every payload with this buffer keeps all of it alive. The
    /// number says nothing but whether two buffers that are alive are the same.
    pub(crate) fn buffer(&self) -> Option<(usize, u64)> {
        let buffer = self.buffer.as_ref()?;
        Some((Arc::as_ptr(buffer).addr(), buffer.bytes.len() as u64))
    }

    /// Whether both hold the same bytes; does not look at them where both are the same place of one buffer.
    pub fn same_bytes(&self, other: &Payload) -> bool {
        if self.len != other.len {
            return false;
        }
        match (&self.buffer, &other.buffer) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) && self.start == other.start => true,
            _ => self[..] == other[..],
        }
    }
}

impl Deref for Payload {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => &buffer.bytes[self.start as usize..(self.start + self.len) as usize],
            None => &[],
        }
    }
}

impl From<Vec<u8>> for Payload {
    /// # Panics
    /// If there are 4 GiB or more.
    fn from(bytes: Vec<u8>) -> Payload {
        let len = u32::try_from(bytes.len()).expect("a payload is shorter than 4 GiB");
        if len == 0 {
            return Payload::EMPTY;
        }
        let buffer = Buffer { hash: xxh3_64(&bytes), bytes: bytes.into() };
        Payload { buffer: Some(Arc::new(buffer)), start: 0, len }
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Payload {
        bytes.to_vec().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Payload {
    fn from(bytes: &[u8; N]) -> Payload {
        bytes.to_vec().into()
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Payload {
        text.as_bytes().into()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self.same_bytes(other)
    }
}

impl Eq for Payload {}

/// The length and the first bytes.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self[..self.len().min(16) as usize];
        write!(f, "{} bytes \"{}{}\"", self.len, head.escape_ascii(), if self.len > 16 { "..." } else { "" })
    }
}

/// A queue of payload slices, read and cut like one stream of bytes.
///
/// Most ropes hold one piece at a time, which needs no memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    /// None of them empty.
    pieces: Few<Payload>,
    len: usize,
}

impl Rope {
    /// An empty rope.
    pub fn new() -> Rope {
        Rope::default()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a slice; one that continues the last makes no new piece.
    pub fn push(&mut self, piece: Payload) {
        self.len += piece.len() as usize;
        if !piece.is_empty() && !self.pieces.back_mut().is_some_and(|last| last.join(&piece)) {
            self.pieces.push_back(piece);
        }
    }

    /// Moves up to `max` bytes from the front to the end of `into`; returns how many.
    pub fn take_into(&mut self, max: usize, into: &mut Rope) -> usize {
        let mut left = max.min(self.len);
        let taken = left;
        if taken == self.len && into.is_empty() {
            std::mem::swap(self, into);
            return taken;
        }
        while left > 0 {
            let piece = self.take_piece(left);
            left -= piece.len() as usize;
            into.push(piece);
        }
        taken
    }

    /// Takes the first slice, cut to at most `max` bytes; empty where there are none.
    pub fn take_piece(&mut self, max: usize) -> Payload {
        let n = u32::try_from(max).unwrap_or(u32::MAX);
        let piece = match self.pieces.front_mut() {
            Some(first) if n < first.len() => first.split_to(n),
            _ => self.pieces.pop_front().unwrap_or_default(),
        };
        self.len -= piece.len() as usize;
        piece
    }

    /// Drops the first `n` bytes (all of them if there are fewer).
    pub fn drop_front(&mut self, n: usize) {
        let mut left = n.min(self.len);
        while left > 0 {
            left -= self.take_piece(left).len() as usize;
        }
    }

    /// The `len` bytes at `offset` as one payload: a slice where one piece holds them, a copy where they span several.
    /// Shorter where the rope ends sooner.
    pub fn copy_range(&self, offset: usize, len: usize) -> Payload {
        let len = len.min(self.len.saturating_sub(offset));
        let (mut skip, mut left) = (offset, len);
        let mut parts: Vec<Payload> = Vec::new();
        for piece in self.pieces() {
            if left == 0 {
                break;
            }
            let size = piece.len() as usize;
            if skip >= size {
                skip -= size;
                continue;
            }
            let take = left.min(size - skip);
            let range = u32::try_from(skip).unwrap_or(u32::MAX)..u32::try_from(skip + take).unwrap_or(u32::MAX);
            if take == len {
                return piece.slice(range);
            }
            parts.push(piece.slice(range));
            (skip, left) = (0, left - take);
        }
        Payload::concat(&parts)
    }

    /// The slices in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Payload> {
        self.pieces.iter()
    }

    /// All bytes as one payload.
    pub fn to_payload(&self) -> Payload {
        self.copy_range(0, self.len)
    }

    /// Drops everything, keeps the memory.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.len = 0;
    }
}

impl From<Payload> for Rope {
    fn from(piece: Payload) -> Rope {
        let mut rope = Rope::new();
        rope.push(piece);
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_their_buffer() {
        let all = Payload::from("hello world");
        let world = all.slice(6..11);
        assert_eq!((&world[..], world.identity().1), (&b"world"[..], 6));
        assert_eq!(world, Payload::from("world"));
        assert!(Payload::concat(&[all.slice(0..6), world.clone()]).identity() == all.identity());
        assert_eq!(&Payload::concat(&[world, all.slice(0..5)])[..], b"worldhello");
    }

    #[test]
    fn ropes_read_like_one_stream() {
        let mut rope = Rope::new();
        for text in ["ab", "", "cde", "f"] {
            rope.push(text.into());
        }
        assert_eq!((rope.len(), &rope.copy_range(1, 3)[..], &rope.copy_range(2, 3)[..]), (6, &b"bcd"[..], &b"cde"[..]));
        assert_eq!((&rope.copy_range(4, 100)[..], rope.copy_range(6, 1).len()), (&b"ef"[..], 0));
        let mut got = Rope::new();
        assert_eq!((rope.take_into(4, &mut got), rope.len()), (4, 2));
        rope.drop_front(1);
        assert_eq!((&got.to_payload()[..], &rope.to_payload()[..]), (&b"abcd"[..], &b"f"[..]));
    }
}
