//! Urgent data on the receiving side (RFC 9293 3.8.5, RFC 6093).

use crate::wire::{Rope, Seq};

/// Where the peer's urgent data ends, and whether its last byte was read out of line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Urgent {
    /// The last byte of urgent data: the pointer names the one after it (RFC 6093 3.1).
    mark: Seq,
    /// Read by `MSG_OOB`.
    taken: bool,
}

impl Urgent {
    /// RFC 9293 3.10.7.4, sixth: "RCV.UP <- max(RCV.UP, SEG.UP)"; whether the mark moved past what was `read`.
    pub(super) fn note(urgent: &mut Option<Urgent>, up: Seq, read: Seq) -> bool {
        let mark = up - 1;
        if mark.lt(read) || urgent.is_some_and(|u| mark.le(u.mark)) {
            return false;
        }
        *urgent = Some(Urgent { mark, taken: false });
        true
    }

    /// Bytes in front of the mark, given the number of the first unread byte.
    pub(super) fn distance(self, read: Seq) -> u32 {
        self.mark.since(read)
    }

    /// Takes the urgent byte out of line, where it is there and was not taken.
    pub(super) fn take(&mut self, queue: &Rope, read: Seq, peek: bool, into: &mut Rope) -> usize {
        let at = self.distance(read) as usize;
        if self.taken || at >= queue.len() {
            return 0;
        }
        self.taken = !peek;
        into.push(queue.copy_range(at, 1));
        1
    }
}
