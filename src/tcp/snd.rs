//! The send side: sequence variables and the queue of what is not acknowledged.

use crate::few::Few;
use crate::wire::{Payload, Segment, Seq};

/// Send sequence variables (RFC 9293 3.3.1) and the data behind them.
#[derive(Clone, Debug)]
pub(super) struct Snd {
    /// ISS.
    pub(super) iss: Seq,
    /// SND.UNA.
    pub(super) una: Seq,
    /// SND.NXT.
    pub(super) nxt: Seq,
    /// Highest number ever sent; past `nxt` by a window probe only.
    pub(super) max: Seq,
    /// SND.WND in bytes.
    pub(super) wnd: u32,
    /// SND.WL1: the segment of the last window update.
    pub(super) wl1: Seq,
    /// SND.WL2: its acknowledgment.
    pub(super) wl2: Seq,
    /// Greatest window the peer ever offered (RFC 5961 5.2: MAX.SND.WND).
    pub(super) max_wnd: u32,
    /// Eff.snd.MSS: data a segment carries at most.
    pub(super) mss: u16,
    /// The MSS that the handshake has agreed on, without options: what a wider path gives back.
    pub(super) agreed_mss: u16,
    /// Shift of the peer's window field (RFC 7323 2).
    pub(super) shift: u8,
    /// SND.UP: the number after the last urgent byte, until it is acknowledged.
    pub(super) up: Option<Seq>,
    /// Whether our SYN is acknowledged.
    pub(super) syn: Syn,
    /// Whether the application may write more.
    pub(super) end: End,
    queue: Queue,
    /// Size of the send buffer in bytes.
    pub(super) buf: u32,
}

/// Our SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syn {
    /// Not acknowledged: `una` is `iss`.
    Unacked,
    /// Acknowledged.
    Acked,
}

/// The end of the outgoing stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// More may be written.
    Open,
    /// Closed by the user: a FIN follows the queue.
    Closed,
}

impl Snd {
    pub(super) fn new(iss: Seq, mss: u16, buf: u32) -> Snd {
        Snd {
            iss,
            una: iss,
            nxt: iss,
            max: iss,
            wnd: 0,
            wl1: Seq(0),
            wl2: iss,
            max_wnd: 0,
            mss,
            agreed_mss: mss,
            shift: 0,
            up: None,
            syn: Syn::Unacked,
            end: End::Open,
            queue: Queue { base: iss + 1, ..Queue::default() },
            buf,
        }
    }

    /// The number after the last queued byte; the FIN's, once closed.
    pub(super) fn data_end(&self) -> Seq {
        self.queue.base + self.queue.len
    }

    /// The number after everything there is to send, FIN included.
    pub(super) fn all_end(&self) -> Seq {
        self.data_end() + u32::from(self.end == End::Closed)
    }

    /// Bytes written and not acknowledged.
    pub(super) fn queued(&self) -> u32 {
        self.queue.len
    }

    /// Bytes the buffer still takes.
    pub(super) fn free(&self) -> u32 {
        self.buf.saturating_sub(self.queue.len)
    }

    /// Sequence space in flight.
    pub(super) fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// Bytes the peer's window still takes after `seq`.
    pub(super) fn usable(&self, seq: Seq) -> u32 {
        self.wnd.saturating_sub(seq.since(self.una))
    }

    pub(super) fn fin_acked(&self) -> bool {
        self.end == End::Closed && self.syn == Syn::Acked && self.una == self.all_end()
    }

    /// Our SYN counts as sent and acknowledged for all that follows it.
    pub(super) fn skip_syn(&mut self) {
        let next = self.iss + 1;
        (self.una, self.nxt, self.max, self.syn) = (next, next, next, Syn::Acked);
    }

    pub(super) fn push(&mut self, data: Payload) {
        self.queue.push(data);
    }

    /// Up to `len` queued bytes from `seq` on.
    pub(super) fn data(&self, seq: Seq, len: u32) -> Payload {
        self.queue.range(seq, len)
    }

    /// SND.UNA <- `ack`: drops what it covers; how many numbers are newly acknowledged.
    #[inline]
    pub(super) fn advance(&mut self, ack: Seq) -> u32 {
        debug_assert!(self.una.le(ack) && ack.le(self.max), "acknowledges what is in flight");
        let acked = ack.since(self.una);
        if self.syn == Syn::Unacked && acked > 0 {
            self.syn = Syn::Acked;
        }
        self.una = ack;
        self.nxt = self.nxt.max(ack);
        self.up = self.up.filter(|up| ack.lt(*up));
        if self.queue.len > 0 {
            self.queue.drop_before(ack);
        }
        acked
    }

    /// RFC 9293 3.10.7.4, fifth: takes the window of `seg`, which acknowledges `acked` new bytes, unless it is older than
    /// the last one taken. SND.WND counts from SND.UNA: where it stays, it shrinks by what was acknowledged, else its
    /// right edge would move beyond what the peer has told.
    pub(super) fn update_window(&mut self, seg: &Segment, acked: u32) {
        if self.wl1.lt(seg.seq) || (self.wl1 == seg.seq && self.wl2.le(seg.ack)) {
            self.set_window(u32::from(seg.window) << self.shift, seg.seq, seg.ack);
        } else {
            self.wnd = self.wnd.saturating_sub(acked);
        }
    }

    /// `tcp_ack_update_window()`: takes the window of `seg` where it is newer or greater than the last one; whether it
    /// did. Call before [`Snd::advance`].
    pub(super) fn take_window(&mut self, seg: &Segment) -> bool {
        let wnd = u32::from(seg.window) << self.shift;
        let newer =
            seg.ack.gt(self.una) || seg.seq.gt(self.wl1) || (seg.seq == self.wl1 && (wnd > self.wnd || wnd == 0));
        if newer {
            self.set_window(wnd, seg.seq, seg.ack);
        }
        newer
    }

    pub(super) fn set_window(&mut self, wnd: u32, wl1: Seq, wl2: Seq) {
        (self.wnd, self.wl1, self.wl2) = (wnd, wl1, wl2);
        self.max_wnd = self.max_wnd.max(wnd);
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// What must hold between calls.
    pub(super) fn check(&self) {
        debug_assert!(self.una.le(self.nxt) && self.nxt.le(self.max), "una <= nxt <= max");
        debug_assert!(self.max.le(self.all_end().max(self.iss + 1)), "nothing is sent that was never queued");
        debug_assert!(self.syn == Syn::Acked || self.una == self.iss, "an unacknowledged SYN holds una");
    }
}

/// Queued data by sequence number. A place is found by binary search, so that neither many chunks nor many tiny
/// writes make sending slow. A single piece needs no memory of its own.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// The number of the first byte.
    base: Seq,
    len: u32,
    /// Non-empty pieces that adjoin one another, each with the number of its first byte.
    pieces: Few<(Seq, Payload)>,
}

impl Queue {
    fn push(&mut self, data: Payload) {
        let at = self.base + self.len;
        self.len += data.len();
        if !data.is_empty() && !self.pieces.back_mut().is_some_and(|(_, last)| last.join(&data)) {
            self.pieces.push_back((at, data));
        }
    }

    #[inline(never)]
    fn drop_before(&mut self, seq: Seq) {
        while let Some((start, piece)) = self.pieces.front_mut().filter(|_| self.base.lt(seq)) {
            let gone = seq.since(self.base).min(piece.len());
            self.base += gone;
            self.len -= gone;
            if gone < piece.len() {
                piece.split_to(gone);
                *start = self.base;
            } else {
                self.pieces.pop_front();
            }
        }
    }

    fn clear(&mut self) {
        self.base += self.len;
        self.len = 0;
        self.pieces = Few::default();
    }

    fn range(&self, seq: Seq, len: u32) -> Payload {
        let skip = seq.since(self.base);
        let len = len.min(self.len.saturating_sub(skip));
        match self.pieces.front() {
            _ if len == 0 => Payload::EMPTY,
            Some((_, first)) if skip + len <= first.len() => first.slice(skip..skip + len),
            _ => self.range_among(seq, len),
        }
    }

    /// The same where more than the first piece is needed.
    fn range_among(&self, seq: Seq, len: u32) -> Payload {
        let after = self.pieces.partition_point(|(start, _)| start.since(self.base) <= seq.since(self.base));
        let Some((start, piece)) = after.checked_sub(1).and_then(|last| self.pieces.get(last)) else {
            return Payload::EMPTY;
        };
        let skip = seq.since(*start);
        if skip + len <= piece.len() {
            return piece.slice(skip..skip + len);
        }
        // Small writes are joined into one segment by a copy.
        let mut bytes = Vec::with_capacity(len as usize);
        bytes.extend_from_slice(&piece[skip as usize..]);
        for (_, piece) in self.pieces.iter_from(after) {
            let left = len as usize - bytes.len();
            bytes.extend_from_slice(&piece[..left.min(piece.len() as usize)]);
            if bytes.len() == len as usize {
                break;
            }
        }
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_reads_by_sequence_number_across_a_wrap() {
        let mut snd = Snd::new(Seq(u32::MAX - 3), 1000, 100);
        for text in ["abc", "", "de", "fghij"] {
            snd.push(text.into());
        }
        let first = Seq(u32::MAX - 2);
        assert_eq!(&snd.data(first, 4)[..], b"abcd");
        assert_eq!(&snd.data(first + 4, 100)[..], b"efghij");
        assert_eq!((snd.data(first + 10, 5).len(), snd.data_end()), (0, first + 10));
        (snd.nxt, snd.max) = (first + 10, first + 10);
        assert_eq!(snd.advance(first + 4), 5);
        assert_eq!((&snd.data(first + 4, 2)[..], snd.queued(), snd.free()), (&b"ef"[..], 6, 94));
    }

    #[test]
    fn slices_of_one_buffer_stay_one_piece() {
        let all = Payload::from(vec![7; 100]);
        let mut snd = Snd::new(Seq(0), 1000, 100);
        snd.push(all.slice(0..60));
        snd.push(all.slice(60..100));
        assert_eq!(snd.data(Seq(51), 20).identity(), all.slice(50..70).identity());
    }
}
