//! TCP options, kept as the bytes they are, so that their order, padding and unknown kinds survive.

use std::fmt;

/// At most 40 bytes of options (RFC 9293 3.1: the data offset has four bits).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    len: u8,
    bytes: [u8; Options::MAX],
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Kind 0: end of the list.
    End,
    /// Kind 1: padding.
    Nop,
    /// Kind 2: maximum segment size (RFC 9293 3.7.1).
    Mss(u16),
    /// Kind 3: window scale (RFC 7323 2).
    WindowScale(u8),
    /// Kind 4: SACK permitted (RFC 2018 2).
    SackPermitted,
    /// Kind 5: selective acknowledgments (RFC 2018 3).
    Sack(SackBlocks<'a>),
    /// Kind 8: timestamps (RFC 7323 3).
    Timestamps {
        /// TSval.
        val: u32,
        /// TSecr.
        ecr: u32,
    },
    /// Kind 34: Fast Open cookie; empty in a request (RFC 7413 4.1.1).
    FastOpen(&'a [u8]),
    /// Kind 254 with the magic number 0xF989: Fast Open before its own kind was assigned.
    FastOpenExperimental(&'a [u8]),
    /// Any other kind, or a known kind with a length that is not its own.
    Unknown {
        /// The kind byte.
        kind: u8,
        /// What follows the length byte.
        data: &'a [u8],
    },
}

/// The blocks of a SACK option: pairs of left and right edge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SackBlocks<'a>(&'a [u8]);

impl<'a> SackBlocks<'a> {
    fn of(data: &'a [u8]) -> Option<SackBlocks<'a>> {
        (!data.is_empty() && data.len().is_multiple_of(8)).then_some(SackBlocks(data))
    }

    /// The pairs `(left, right)`, right exclusive, in their order.
    pub fn iter(self) -> impl Iterator<Item = (super::Seq, super::Seq)> + 'a {
        let word = |b: &[u8]| super::Seq(u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        self.0.chunks_exact(8).map(move |block| (word(&block[..4]), word(&block[4..])))
    }
}

impl fmt::Debug for SackBlocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The option does not fit into the 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsFull;

impl fmt::Display for OptionsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TCP options take at most {} bytes", Options::MAX)
    }
}

impl std::error::Error for OptionsFull {}

const FAST_OPEN_MAGIC: [u8; 2] = [0xF9, 0x89];

impl Options {
    /// The most bytes a segment can carry.
    pub const MAX: usize = 40;
    /// No options.
    pub const NONE: Options = Options { len: 0, bytes: [0; Options::MAX] };

    /// The options in `bytes`, as they are.
    pub fn from_bytes(bytes: &[u8]) -> Result<Options, OptionsFull> {
        let mut options = Options::NONE;
        options.append(bytes)?;
        Ok(options)
    }

    /// The bytes, without the padding that the header adds.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Length in bytes, rounded up to the next multiple of four.
    pub fn padded_len(&self) -> u32 {
        u32::from(self.len).next_multiple_of(4)
    }

    /// These options and the end-of-list bytes that the header adds to fill its last word. Whoever builds a segment
    /// calls this last (or fills up with NOPs, as Linux does): on the wire the two cannot be told apart, so a segment
    /// whose options are not padded comes back from its bytes with options that differ.
    #[must_use]
    pub fn padded(mut self) -> Options {
        // `bytes` past `len` are zero, which is the end-of-list option.
        self.len = self.len.next_multiple_of(4);
        self
    }

    /// Appends one option.
    pub fn push(&mut self, option: TcpOption<'_>) -> Result<(), OptionsFull> {
        match option {
            TcpOption::End => self.append(&[0]),
            TcpOption::Nop => self.append(&[1]),
            TcpOption::Mss(mss) => self.append(&[2, 4, mss.to_be_bytes()[0], mss.to_be_bytes()[1]]),
            TcpOption::WindowScale(shift) => self.append(&[3, 3, shift]),
            TcpOption::SackPermitted => self.append(&[4, 2]),
            TcpOption::Sack(blocks) => self.append_counted(5, &[], blocks.0),
            TcpOption::Timestamps { val, ecr } => {
                let mut data = [0; 8];
                data[..4].copy_from_slice(&val.to_be_bytes());
                data[4..].copy_from_slice(&ecr.to_be_bytes());
                self.append_counted(8, &[], &data)
            }
            TcpOption::FastOpen(cookie) => self.append_counted(34, &[], cookie),
            TcpOption::FastOpenExperimental(cookie) => self.append_counted(254, &FAST_OPEN_MAGIC, cookie),
            TcpOption::Unknown { kind, data } => self.append_counted(kind, &[], data),
        }
    }

    /// Appends bytes as they are, which need not be a well-formed option.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), OptionsFull> {
        self.append(bytes)
    }

    /// Appends a SACK option with these blocks.
    pub fn push_sack(&mut self, blocks: impl IntoIterator<Item = (super::Seq, super::Seq)>) -> Result<(), OptionsFull> {
        let mut data = [0; Options::MAX];
        let mut len = 0;
        for (left, right) in blocks {
            let place = data.get_mut(len..len + 8).ok_or(OptionsFull)?;
            place[..4].copy_from_slice(&left.0.to_be_bytes());
            place[4..].copy_from_slice(&right.0.to_be_bytes());
            len += 8;
        }
        self.append_counted(5, &[], &data[..len])
    }

    /// The options one by one; ends at an end-of-list option or where the bytes are malformed.
    pub fn iter(&self) -> impl Iterator<Item = TcpOption<'_>> {
        self.raw().map(|(kind, data)| parse(kind, data))
    }

    /// The MSS option, if there is one.
    pub fn mss(&self) -> Option<u16> {
        self.find(2, |data| data.try_into().ok().map(u16::from_be_bytes))
    }

    /// The window scale option, if there is one.
    pub fn window_scale(&self) -> Option<u8> {
        self.find(3, |data| data.try_into().ok().map(u8::from_be_bytes))
    }

    /// Whether SACK is permitted.
    pub fn sack_permitted(&self) -> bool {
        self.find(4, |data| data.is_empty().then_some(())).is_some()
    }

    /// `(TSval, TSecr)`, if there are timestamps.
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        self.find(8, timestamps)
    }

    /// The SACK blocks, if there are any.
    pub fn sack(&self) -> Option<SackBlocks<'_>> {
        self.find(5, SackBlocks::of)
    }

    /// The first option of this kind that `read` takes for one.
    fn find<'a, T>(&'a self, kind: u8, read: impl Fn(&'a [u8]) -> Option<T>) -> Option<T> {
        self.raw().filter(|(found, _)| *found == kind).find_map(|(_, data)| read(data))
    }

    /// The kinds, each with its data.
    fn raw(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (kind, data, after) = split_first(rest)?;
            rest = after;
            Some((kind, data))
        })
    }

    fn append_counted(&mut self, kind: u8, magic: &[u8], data: &[u8]) -> Result<(), OptionsFull> {
        let before = *self;
        let len = u8::try_from(2 + magic.len() + data.len()).map_err(|_| OptionsFull)?;
        let all = self.append(&[kind, len]).and_then(|()| self.append(magic)).and_then(|()| self.append(data));
        all.inspect_err(|_| *self = before)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OptionsFull> {
        let start = usize::from(self.len);
        let place = self.bytes.get_mut(start..start + bytes.len()).ok_or(OptionsFull)?;
        place.copy_from_slice(bytes);
        self.len = u8::try_from(start + bytes.len()).map_err(|_| OptionsFull)?;
        Ok(())
    }
}

/// The kind and the data of the first option of `bytes`, and what follows it; nothing at the end or where the length lies.
#[inline]
fn split_first(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, after) = bytes.split_first()?;
    match kind {
        0 => Some((kind, &[], &[])),
        1 => Some((kind, &[], after)),
        _ => {
            let (data, after) = bytes.split_at_checked(usize::from(*after.first()?))?;
            Some((kind, data.get(2..)?, after))
        }
    }
}

/// The option of this kind with this data.
fn parse(kind: u8, data: &[u8]) -> TcpOption<'_> {
    let known = match (kind, data) {
        (0, _) => Some(TcpOption::End),
        (1, _) => Some(TcpOption::Nop),
        (2, &[a, b]) => Some(TcpOption::Mss(u16::from_be_bytes([a, b]))),
        (3, &[shift]) => Some(TcpOption::WindowScale(shift)),
        (4, []) => Some(TcpOption::SackPermitted),
        (5, blocks) => SackBlocks::of(blocks).map(TcpOption::Sack),
        (8, data) => timestamps(data).map(|(val, ecr)| TcpOption::Timestamps { val, ecr }),
        (34, cookie) => Some(TcpOption::FastOpen(cookie)),
        (254, [0xF9, 0x89, cookie @ ..]) => Some(TcpOption::FastOpenExperimental(cookie)),
        _ => None,
    };
    known.unwrap_or(TcpOption::Unknown { kind, data })
}

fn timestamps(data: &[u8]) -> Option<(u32, u32)> {
    let &[a, b, c, d, e, f, g, h] = data else { return None };
    Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
}

impl Default for Options {
    fn default() -> Options {
        Options::NONE
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seq;
    use super::*;

    #[test]
    fn options_keep_their_order() {
        let mut options = Options::NONE;
        let linux = [
            TcpOption::Mss(1460),
            TcpOption::SackPermitted,
            TcpOption::Timestamps { val: 7, ecr: 0 },
            TcpOption::Nop,
            TcpOption::WindowScale(7),
        ];
        for option in linux {
            options.push(option).unwrap();
        }
        assert_eq!(options.iter().collect::<Vec<_>>(), linux);
        assert_eq!((options.as_bytes().len(), options.mss(), options.timestamps()), (20, Some(1460), Some((7, 0))));
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut options = Options::NONE;
        options.push_sack([(Seq(1), Seq(2)); 4]).unwrap();
        let before = options;
        assert_eq!(options.push(TcpOption::Timestamps { val: 1, ecr: 2 }), Err(OptionsFull));
        assert_eq!(options, before);
        assert_eq!(options.push_sack([(Seq(1), Seq(2)); 6]), Err(OptionsFull));
        assert_eq!(options.sack().unwrap().iter().count(), 4);
    }

    #[test]
    fn malformed_lengths_end_the_list() {
        for bytes in [&[2u8, 0][..], &[2], &[8, 10, 1], &[5, 1], &[2, 255, 0, 0]] {
            assert_eq!(Options::from_bytes(bytes).unwrap().iter().count(), 0, "{bytes:?}");
        }
    }
}
