//! The receive side: sequence variables, reassembly, and the window we offer.

use super::space::Space;
use super::urgent::Urgent;
use super::window::Window;
use crate::time::HostTime;
use crate::wire::{Payload, Rope, Seq};
use std::collections::VecDeque;

/// Receive sequence variables (RFC 9293 3.3.1) and the data behind them.
#[derive(Clone, Debug)]
pub(super) struct Rcv {
    /// IRS.
    pub(super) irs: Seq,
    /// RCV.NXT.
    pub(super) nxt: Seq,
    /// The right edge we have announced: RCV.NXT + RCV.WND. It never moves left (RFC 9293 3.8.6).
    pub(super) edge: Seq,
    /// RCV.UP and its byte.
    pub(super) urgent: Option<Urgent>,
    /// Shift of our window field (RFC 7323 2).
    pub(super) shift: u8,
    /// What counts as a full segment for delayed ACKs: the default MSS, or the greatest segment seen if that is more.
    pub(super) mss: u32,
    /// The acknowledgment number of the last segment we sent.
    pub(super) last_ack: Seq,
    /// The number of the peer's FIN, once one has come; consumed when `nxt` has passed it.
    pub(super) fin: Option<Seq>,
    /// Whether anyone will read.
    pub(super) reader: Reader,
    /// Read by the application next, in order.
    pub(super) queue: Rope,
    /// Ahead of `nxt`: disjoint, sorted.
    ahead: VecDeque<(Seq, Payload)>,
    /// Segments that came ahead.
    pub(super) out_of_order: u32,
    /// Size of the receive buffer in bytes.
    pub(super) buf: u32,
    /// How the window grows, where it is not just the free part of the buffer.
    pub(super) window: Option<Box<Window>>,
    /// How the buffer grows with its reader, where it does.
    pub(super) space: Option<Box<Space>>,
}

/// Who takes what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The application.
    Present,
    /// Nobody: the socket is closed.
    Gone,
}

/// What became of arriving data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// RCV.NXT advanced; `filled`: out-of-order data joined.
    InOrder {
        /// Whether data that waited ahead joined.
        filled: bool,
    },
    /// Kept for later.
    Ahead,
    /// Nothing in it was new.
    Nothing,
}

impl Rcv {
    /// Before the peer's SYN: only the buffer is known.
    pub(super) fn new(buf: u32, least_mss: u16) -> Rcv {
        Rcv {
            irs: Seq(0),
            nxt: Seq(0),
            edge: Seq(0),
            urgent: None,
            shift: 0,
            mss: u32::from(least_mss),
            last_ack: Seq(0),
            fin: None,
            reader: Reader::Present,
            queue: Rope::new(),
            ahead: VecDeque::new(),
            out_of_order: 0,
            buf,
            window: None,
            space: None,
        }
    }

    /// The peer's SYN has this number.
    pub(super) fn synchronize(&mut self, irs: Seq) {
        self.irs = irs;
        self.nxt = irs + 1;
        self.last_ack = self.nxt;
        self.edge = self.nxt + self.buf.min(u32::from(u16::MAX));
    }

    /// RCV.WND.
    pub(super) fn wnd(&self) -> u32 {
        self.edge.since(self.nxt)
    }

    /// The number of the first unread byte.
    pub(super) fn read_seq(&self) -> Seq {
        let fin_taken = u32::from(self.at_end());
        self.nxt - fin_taken - u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    /// Whether the peer's FIN has been consumed.
    pub(super) fn at_end(&self) -> bool {
        self.fin.is_some_and(|fin| fin.lt(self.nxt))
    }

    /// Where the window's right edge may move to: silly-window avoidance lets it move by a full segment or half of
    /// the buffer, not by less (RFC 9293 3.8.6.2.2).
    #[inline]
    pub(super) fn next_edge(&self, mss: u16) -> Seq {
        if let Some(window) = &self.window {
            return self.nxt + window.select(self.wnd(), self.shift, self.buf);
        }
        let edge = self.nxt + self.free();
        let step = (self.buf / 2).min(u32::from(mss));
        if edge.gt(self.edge) && edge.since(self.edge) >= step { edge } else { self.edge }
    }

    /// The right edge by [`WindowRule::Bsd`](super::WindowRule::Bsd).
    pub(super) fn free_edge(&self, mss: u16) -> Seq {
        let free = self.free();
        let is_silly = free < self.buf / 4 && free < u32::from(mss);
        self.edge.max(self.nxt + if is_silly { 0 } else { free })
    }

    /// The right edge of what is free of the buffer, told or not: "Receive window is amount of space in rcv queue, but not less
    /// than advertised window" (`tcp_do_segment()` of BSD).
    pub(super) fn space_edge(&self) -> Seq {
        self.nxt + self.space().max(self.wnd())
    }

    /// What is free of the buffer.
    pub(super) fn space(&self) -> u32 {
        self.buf.saturating_sub(u32::try_from(self.queue.len()).unwrap_or(u32::MAX))
    }

    /// The same, as far as a window can tell it.
    fn free(&self) -> u32 {
        self.space().min(u32::from(u16::MAX) << self.shift)
    }

    /// The window field for the edge as it stands; rounded up, so that scaling never takes back what was given. What it
    /// offers beyond the edge is offered: the peer may use it.
    pub(super) fn offer(&mut self) -> u16 {
        let field = u16::try_from(self.wnd().div_ceil(1 << self.shift)).unwrap_or(u16::MAX);
        self.edge = self.edge.max(self.nxt + (u32::from(field) << self.shift));
        field
    }

    /// RFC 9293 3.10.7.4, first, the table: whether a segment is acceptable.
    pub(super) fn acceptable(&self, seq: Seq, len: u32) -> bool {
        let wnd = self.wnd();
        match (len, wnd) {
            (0, 0) => seq == self.nxt,
            (0, _) => seq.within(self.nxt, wnd),
            (_, 0) => false,
            (_, _) => seq.within(self.nxt, wnd) || (seq + (len - 1)).within(self.nxt, wnd),
        }
    }

    /// Takes `data` that starts at `seq`, as far as it is new and before `edge`: the one that we have announced, or one beyond
    /// it. What is taken beyond was in the window.
    pub(super) fn take(&mut self, seq: Seq, data: &Payload, edge: Seq) -> Taken {
        let end = seq + data.len();
        let last = self.fin.map_or(edge, |fin| fin.min(edge));
        let (from, to) = (seq.max(self.nxt), end.min(last));
        if from.ge(to) {
            return Taken::Nothing;
        }
        let new = data.slice(from.since(seq)..to.since(seq));
        if let Some(window) = &mut self.window {
            window.arrived(to, new.len(), self.edge.since(self.last_ack), self.buf);
        }
        let taken = if from == self.nxt && self.ahead.is_empty() {
            self.deliver(new);
            Taken::InOrder { filled: false }
        } else {
            self.take_ahead(from, new)
        };
        self.edge = self.edge.max(self.nxt);
        taken
    }

    /// The same where what is new lies ahead, or joins what does.
    #[inline(never)]
    fn take_ahead(&mut self, from: Seq, new: Payload) -> Taken {
        let before = self.nxt;
        let kept = self.keep(from, &new);
        let filled = self.join();
        match (self.nxt != before, kept) {
            (true, _) => Taken::InOrder { filled },
            (false, true) => Taken::Ahead,
            (false, false) => Taken::Nothing,
        }
    }

    /// Takes the data of the peer's SYN, which tells nothing about the segments to come.
    pub(super) fn admit(&mut self, seq: Seq, data: &Payload) {
        debug_assert!(seq == self.nxt && self.ahead.is_empty(), "nothing has come before");
        if let Some(window) = &mut self.window {
            window.charge(seq + data.len(), data.len());
        }
        self.nxt += data.len();
        self.queue.push(data.clone());
    }

    /// The run of what waits ahead that `seq` lies in.
    pub(super) fn run(&self, seq: Seq) -> Option<(Seq, Seq)> {
        let fin = self.fin.filter(|fin| self.nxt.lt(*fin)).map(|fin| (fin, fin + 1));
        let pieces = self.ahead.iter().map(|(start, piece)| (*start, *start + piece.len()));
        let mut run: Option<(Seq, Seq)> = None;
        for (start, end) in pieces.chain(fin) {
            run = match run {
                Some((left, right)) if right == start => Some((left, end)),
                Some((left, right)) if seq.ge(left) && seq.lt(right) => return Some((left, right)),
                _ => Some((start, end)),
            };
        }
        run.filter(|(left, right)| seq.ge(*left) && seq.lt(*right))
    }

    /// The first stretch of `from..to` that waits ahead already.
    pub(super) fn overlap(&self, from: Seq, to: Seq) -> Option<(Seq, Seq)> {
        if self.ahead.is_empty() { None } else { self.overlap_ahead(from, to) }
    }

    #[inline(never)]
    fn overlap_ahead(&self, from: Seq, to: Seq) -> Option<(Seq, Seq)> {
        let mut stretch: Option<(Seq, Seq)> = None;
        for (start, piece) in &self.ahead {
            let (left, right) = (from.max(*start), to.min(*start + piece.len()));
            stretch = match stretch {
                _ if left.ge(right) => stretch,
                None => Some((left, right)),
                Some((first, end)) if end == left => Some((first, right)),
                Some(found) => return Some(found),
            };
        }
        stretch
    }

    /// Bytes that what is queued takes, as far as that is known.
    pub(super) fn memory(&self) -> u64 {
        let data = || self.queue.len() as u64 + self.ahead.iter().map(|(_, data)| u64::from(data.len())).sum::<u64>();
        self.window.as_ref().map_or_else(data, |window| u64::from(window.memory()))
    }

    /// Throws away what waits ahead (`tcp_prune_ofo_queue()`): RFC 2018 8 allows it.
    pub(super) fn prune(&mut self) {
        self.ahead.clear();
        if let Some(window) = &mut self.window {
            window.forget_ahead(self.nxt);
        }
    }

    /// The application has read.
    pub(super) fn note_read(&mut self) {
        let read = self.read_seq();
        if let Some(window) = &mut self.window {
            window.read(read);
        }
    }

    /// The buffer grows to what the reader's pace needs, up to `most` bytes.
    pub(super) fn moderate(&mut self, now: HostTime, most: u32) {
        let (read, ahead) = (self.read_seq(), self.rightmost().map_or(0, |end| end.since(self.nxt)));
        let needed = self.space.as_mut().and_then(|space| space.read(now, read, self.nxt, ahead));
        let (Some(needed), Some(window)) = (needed, &mut self.window) else { return };
        let buf = window.buffer_for(needed).min(most);
        if buf > self.buf {
            self.buf = buf;
            window.widen(buf);
        }
    }

    /// Where what waits ahead of `nxt` ends.
    pub(super) fn rightmost(&self) -> Option<Seq> {
        self.ahead.back().map(|(seq, data)| *seq + data.len())
    }

    /// Whether something waits ahead of `nxt`.
    pub(super) fn has_gap(&self) -> bool {
        !self.ahead.is_empty() || self.fin.is_some_and(|fin| self.nxt.lt(fin))
    }

    /// Whether the peer's FIN is next in order.
    pub(super) fn fin_is_next(&self) -> bool {
        self.fin == Some(self.nxt)
    }

    /// Appends to what is read next; where nobody reads, it only counts.
    fn deliver(&mut self, data: Payload) {
        self.nxt += data.len();
        self.mss = self.mss.max(data.len());
        if self.reader == Reader::Present {
            self.queue.push(data);
        }
    }

    /// Puts the parts of `data` that no kept piece covers into their places; whether there were any.
    fn keep(&mut self, seq: Seq, data: &Payload) -> bool {
        let base = self.nxt;
        let (mut at, end) = (seq, seq + data.len());
        let mut place = self.ahead.partition_point(|(start, _)| start.since(base) <= at.since(base));
        if let Some((start, piece)) = place.checked_sub(1).and_then(|before| self.ahead.get(before)) {
            at = at.max(*start + piece.len());
        }
        let mut kept = false;
        while at.lt(end) {
            let (until, next) = match self.ahead.get(place) {
                Some((start, piece)) if start.lt(end) => (*start, *start + piece.len()),
                _ => (end, end),
            };
            if at.lt(until) {
                self.ahead.insert(place, (at, data.slice(at.since(seq)..until.since(seq))));
                place += 1;
                kept = true;
            }
            place += 1;
            at = next;
        }
        kept
    }

    /// Delivers what is in order now; whether more than one piece was.
    fn join(&mut self) -> bool {
        let mut pieces = 0;
        while self.ahead.front().is_some_and(|(start, _)| *start == self.nxt) {
            if let Some((_, piece)) = self.ahead.pop_front() {
                self.deliver(piece);
                pieces += 1;
            }
        }
        pieces > 1
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.ahead.clear();
    }

    /// What must hold between calls.
    pub(super) fn check(&self) {
        debug_assert!(self.nxt.le(self.edge + 1), "the window does not shrink; a FIN may lie just past it");
        debug_assert!(self.ahead.front().is_none_or(|(start, _)| self.nxt.lt(*start)), "a gap lies before what waits");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rcv() -> Rcv {
        let mut rcv = Rcv::new(1000, 100);
        rcv.synchronize(Seq(u32::MAX - 4));
        rcv
    }

    #[test]
    fn pieces_in_any_order_read_as_one_stream() {
        let text = Payload::from("abcdefghijkl");
        let part = |a: u32, b: u32| text.slice(a..b);
        let first = rcv().nxt;
        for cuts in
            [[(8, 12), (2, 5), (3, 9), (0, 3)], [(4, 6), (8, 10), (0, 12), (0, 1)], [(1, 12), (5, 7), (0, 1), (0, 12)]]
        {
            let mut rcv = rcv();
            for (a, b) in cuts {
                rcv.take(first + a, &part(a, b), rcv.edge);
                rcv.check();
            }
            assert_eq!((&rcv.queue.to_payload()[..], rcv.nxt), (&text[..], first + 12), "{cuts:?}");
            assert!(!rcv.has_gap());
        }
    }

    #[test]
    fn what_waits_already_is_found() {
        let mut rcv = rcv();
        let first = rcv.nxt;
        rcv.take(first + 10, &vec![1; 10].into(), rcv.edge);
        rcv.take(first + 20, &vec![1; 5].into(), rcv.edge);
        rcv.take(first + 30, &vec![1; 5].into(), rcv.edge);
        let found = |a: u32, b: u32| rcv.overlap(first + a, first + b).map(|(a, b)| (a.since(first), b.since(first)));
        assert_eq!(found(0, 10), None);
        assert_eq!(found(5, 12), Some((10, 12)));
        assert_eq!(found(15, 40), Some((15, 25)), "the first stretch only");
        assert_eq!(found(26, 31), Some((30, 31)));
    }

    #[test]
    fn what_lies_outside_the_window_is_cut_off() {
        let mut rcv = rcv();
        let first = rcv.nxt;
        assert_eq!(rcv.take(first - 2, &vec![1; 2].into(), rcv.edge), Taken::Nothing);
        assert_eq!(rcv.take(first + 500, &vec![1; 2000].into(), rcv.edge), Taken::Ahead);
        assert_eq!(rcv.take(first - 5, &vec![1; 505].into(), rcv.edge), Taken::InOrder { filled: true });
        assert_eq!((rcv.queue.len(), rcv.wnd()), (1000, 0));
        assert_eq!(rcv.next_edge(100), rcv.edge);
        let mut read = Rope::new();
        rcv.queue.take_into(99, &mut read);
        assert_eq!(rcv.next_edge(100), rcv.edge, "99 bytes are silly");
        rcv.queue.take_into(1, &mut read);
        assert_eq!(rcv.next_edge(100), rcv.edge + 100);
    }

    #[test]
    fn what_is_free_is_taken_though_not_told() {
        let mut rcv = rcv();
        let first = rcv.nxt;
        rcv.take(first, &vec![1; 1000].into(), rcv.edge);
        assert_eq!(rcv.space_edge(), rcv.edge, "all is full");
        rcv.queue.take_into(10, &mut Rope::new());
        assert_eq!((rcv.wnd(), rcv.space_edge()), (0, first + 1010));
        assert_eq!(rcv.take(first + 1005, &vec![1; 9].into(), rcv.space_edge()), Taken::Ahead);
        assert_eq!((rcv.edge, rcv.has_gap()), (first + 1000, true));
        assert_eq!(rcv.take(first + 1000, &vec![1; 5].into(), rcv.space_edge()), Taken::InOrder { filled: true });
        assert_eq!((rcv.nxt, rcv.edge, rcv.space()), (first + 1010, first + 1010, 0));
        rcv.check();
    }
}
