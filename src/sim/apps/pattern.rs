use crate::endpoint::{Errno, MsgFlags, SocketId};
use crate::sim::AppCx;
use crate::wire::Payload;

/// The period of the pattern: no power of two, so that data shifted by whole buffers or segments shows.
const PERIOD: u8 = 251;
/// The longest buffer of it, a multiple of the period.
const CHUNK: u64 = 256 * PERIOD as u64;

/// The first `len` bytes of what [`Source`](super::Source) and all requests and responses send: byte n is n modulo 251.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..PERIOD).cycle().take(len).collect()
}

/// The pattern as one shared buffer that every send takes its part of.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    chunk: Payload,
}

impl Pattern {
    /// For streams of `len` bytes.
    pub(super) fn new(len: u64) -> Pattern {
        let len = usize::try_from(len.min(CHUNK)).expect("a chunk fits into memory");
        Pattern { chunk: pattern(len).into() }
    }

    /// Sends bytes of the stream from `at` on, before `end`, until the socket takes no more: how many it took, and the
    /// error other than `EAGAIN` that stopped it.
    pub(super) fn send(&self, cx: &mut AppCx<'_>, socket: SocketId, at: u64, end: u64) -> (u64, Option<Errno>) {
        let mut sent = 0;
        while at + sent < end {
            match cx.send(socket, &self.part(at + sent, end), MsgFlags::empty()) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(n) => sent += u64::from(n),
                Err(errno) => return (sent, Some(errno)),
            }
        }
        (sent, None)
    }

    /// Bytes of the stream from `at` on, before `end`, as many as lie side by side.
    fn part(&self, at: u64, end: u64) -> Payload {
        let len = u64::from(self.chunk.len());
        let from = at % len;
        let to = len.min(from + (end - at));
        let index = |n: u64| u32::try_from(n).expect("within a chunk");
        self.chunk.slice(index(from)..index(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_without_a_seam() {
        let whole = pattern(200_000);
        let source = Pattern::new(200_000);
        let (mut at, mut parts) = (0u64, 0);
        while at < 200_000 {
            let part = source.part(at, 200_000.min(at + 50_000));
            let start = usize::try_from(at).unwrap();
            assert_eq!(part[..], whole[start..start + part.len() as usize]);
            (at, parts) = (at + u64::from(part.len()), parts + 1);
        }
        assert_eq!(parts, 7, "cut at 50 000s and at the ends of chunks only");
    }
}
