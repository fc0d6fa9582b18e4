//! What waits to be sent, in the units that the application's writes have made of it (`tcp_sendmsg_locked()`).

use crate::wire::Seq;
use std::collections::VecDeque;

/// The most that one unit of segmentation offload carries (`sk_gso_max_size`: 64 KiB without the headers).
pub(super) const GSO_BYTES: u32 = 65_535 - 320;
/// The most segments in one (`GSO_MAX_SEGS`).
pub(super) const GSO_SEGMENTS: u32 = 65_535;

/// A run of bytes that is one buffer of the kernel's, or a FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) struct Unit {
    /// The number after its last one.
    pub(in crate::tcp) end: Seq,
    /// Whether a write ends with it.
    pub(in crate::tcp) push: bool,
    /// Whether it is more than a segment: it is pushed on the wire, so that the receiver's offload hands it on, but
    /// its last segment is not when it goes again alone.
    pub(in crate::tcp) is_many: bool,
    /// Whether nothing may join it: `MSG_EOR`.
    pub(in crate::tcp) is_whole: bool,
}

/// What a write does once a unit is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Filled {
    /// It goes on.
    No,
    /// Nothing else waits: the unit leaves, as far as it may (`tcp_push_one()`).
    PushOne,
    /// All leaves that may (`forced_push()`).
    PushAll,
}

/// What waits.
#[derive(Clone, Debug)]
pub(in crate::tcp) struct Writes {
    units: VecDeque<Unit>,
    /// `write_seq`: the number after all that was written.
    end: Seq,
    /// `pushed_seq`: where the last write ends that asks to be pushed.
    pushed: Seq,
}

impl Writes {
    pub(super) fn new(first: Seq) -> Writes {
        Writes { units: VecDeque::new(), end: first, pushed: first }
    }

    /// Nothing is left to be sent.
    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    pub(in crate::tcp) fn first(&self) -> Option<Unit> {
        self.units.front().copied()
    }

    /// Whether the first unit is the last one too: only that can grow.
    pub(in crate::tcp) fn is_last(&self) -> bool {
        self.units.len() == 1
    }

    pub(super) fn clear(&mut self) {
        self.units.clear();
    }

    /// Takes up to `left` bytes of a write into the last unit, or into a new one: as many as fill it. A unit takes `goal`
    /// bytes, `half` is half of the greatest window, `nxt` is SND.NXT. What was taken, and whether what is there should
    /// leave before more is written.
    pub(in crate::tcp) fn fill(
        &mut self,
        left: u32,
        is_first: bool,
        nxt: Seq,
        (goal, half): (u32, u32),
    ) -> (u32, Filled) {
        let start = self.last_start(nxt);
        let last = self.units.back().filter(|unit| !unit.is_whole);
        let room = last.map_or(0, |unit| goal.saturating_sub(unit.end.since(start)));
        let taken = if room > 0 { room.min(left) } else { left.min(goal.max(1)) };
        self.end += taken;
        match self.units.back_mut().filter(|_| room > 0) {
            Some(unit) => {
                unit.end += taken;
                // The first bytes of a write take the push of the unit that they join away.
                unit.push &= !is_first;
            }
            None => self.units.push_back(Unit { end: self.end, push: false, is_many: false, is_whole: false }),
        }
        if taken == left {
            return (taken, Filled::No);
        }
        // forced_push(): the peer is told where half of the greatest window has gone by unpushed.
        if self.end.gt(self.pushed + half) {
            self.push_last();
            return (taken, Filled::PushAll);
        }
        (taken, if self.units.len() == 1 { Filled::PushOne } else { Filled::No })
    }

    /// The write has ended. `is_open`: more follows (`MSG_MORE`), so that nothing is pushed yet; `is_whole`: `MSG_EOR`.
    pub(in crate::tcp) fn end_write(&mut self, half: u32, is_open: bool, is_whole: bool) {
        if let Some(unit) = self.units.back_mut() {
            unit.is_whole |= is_whole;
        }
        if !is_open || self.end.gt(self.pushed + half) {
            self.push_last();
        }
    }

    /// So many bytes have been written and sent at once, in a SYN.
    pub(super) fn skip(&mut self, len: u32) {
        self.end += len;
        self.pushed = self.end;
    }

    fn push_last(&mut self) {
        if let Some(unit) = self.units.back_mut() {
            unit.push = true;
            self.pushed = self.end;
        }
    }

    /// The last unit is pushed (`tcp_mark_push()`): the buffer is full, and the application waits.
    pub(in crate::tcp) fn push(&mut self) {
        self.push_last();
    }

    /// Where the last unit begins.
    fn last_start(&self, nxt: Seq) -> Seq {
        self.units.len().checked_sub(2).and_then(|before| self.units.get(before)).map_or(nxt, |unit| unit.end)
    }

    /// The stream ends: the FIN goes with the last unit, or alone (`tcp_send_fin()`).
    pub(in crate::tcp) fn close(&mut self) {
        self.end += 1;
        match self.units.back_mut() {
            Some(unit) => unit.end += 1,
            None => self.units.push_back(Unit { end: self.end, push: false, is_many: false, is_whole: false }),
        }
    }

    /// Lets the first unit, which begins at `nxt`, take bytes of those behind it up to `len` (`tcp_grow_skb()`).
    pub(in crate::tcp) fn grow(&mut self, nxt: Seq, len: u32) {
        while let (Some(&first), Some(&next)) = (self.units.front(), self.units.get(1)) {
            let missing = len.saturating_sub(first.end.since(nxt));
            if missing == 0 || first.is_whole {
                return;
            }
            let all = next.end.since(first.end) <= missing;
            let grown = Unit {
                end: if all { next.end } else { first.end + missing },
                push: first.push || (all && next.push),
                is_many: false,
                is_whole: all && next.is_whole,
            };
            if all {
                self.units.remove(1);
            }
            if let Some(unit) = self.units.front_mut() {
                *unit = grown;
            }
            if !all {
                return;
            }
        }
    }

    /// Takes the first unit, or its part up to `at`, which is not pushed then (`tso_fragment()`).
    pub(in crate::tcp) fn take(&mut self, at: Option<Seq>) -> Option<Unit> {
        match at {
            Some(end) => {
                let first = self.first()?;
                Some(if end.lt(first.end) {
                    Unit { end, push: false, is_many: false, is_whole: false }
                } else {
                    self.units.pop_front()?
                })
            }
            None => self.units.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(writes: &Writes) -> Vec<(u32, bool)> {
        writes.units.iter().map(|unit| (unit.end.0, unit.push)).collect()
    }

    fn write(writes: &mut Writes, len: u32, sizes: (u32, u32), is_open: bool) -> Vec<(u32, bool)> {
        let mut left = len;
        while left > 0 {
            left -= writes.fill(left, left == len, Seq(1), sizes).0;
        }
        writes.end_write(sizes.1, is_open, false);
        units(writes)
    }

    #[test]
    fn writes_fill_units_and_push_their_ends() {
        let mut writes = Writes::new(Seq(1));
        let mut write = |len, is_open| write(&mut writes, len, (1_000, 100_000), is_open);
        assert_eq!(write(400, false), [(401, true)]);
        // The second write joins the unit, and its end is pushed instead.
        assert_eq!(write(400, true), [(801, false)]);
        assert_eq!(write(400, false), [(1_001, false), (1_201, true)]);
    }

    #[test]
    fn half_of_the_greatest_window_is_pushed() {
        let mut writes = Writes::new(Seq(1));
        let all = write(&mut writes, 4_900, (1_000, 2_500), true);
        assert_eq!(all.iter().map(|unit| unit.1).collect::<Vec<_>>(), [false, false, true, false, false]);
    }

    #[test]
    fn a_part_is_not_pushed_and_the_fin_joins_the_last_unit() {
        let mut writes = Writes::new(Seq(1));
        write(&mut writes, 2_500, (4_000, 100_000), false);
        writes.close();
        assert_eq!(
            writes.take(Some(Seq(2_001))),
            Some(Unit { end: Seq(2_001), push: false, is_many: false, is_whole: false })
        );
        assert_eq!(writes.take(None), Some(Unit { end: Seq(2_502), push: true, is_many: false, is_whole: false }));
    }
}
