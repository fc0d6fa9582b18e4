//! Timestamps and PAWS (RFC 7323 3 to 5).

use crate::time::HostTime;
use crate::wire::{Flags, Options, Segment, Seq, TcpOption};

/// Bytes the option takes in every segment, padding included.
pub(super) const OPTION_LEN: u16 = 12;

/// The timestamps of a connection that uses them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamps {
    /// Added to the clock of milliseconds.
    pub(super) offset: u32,
    /// TS.Recent: what is echoed.
    pub(super) recent: u32,
}

impl Timestamps {
    /// TSval at `now`.
    pub(super) fn val(self, now: HostTime) -> u32 {
        clock(now).wrapping_add(self.offset)
    }

    /// Writes the option: two NOPs and ten bytes, as RFC 7323 appendix A lays it out.
    pub(super) fn write(self, now: HostTime, options: &mut Options) {
        write(self.val(now), self.recent, options);
    }

    /// RFC 7323 5.3 R1: whether `seg` is too old, by its timestamp.
    pub(super) fn too_old(self, seg: &Segment) -> bool {
        seg.options.timestamps().is_some_and(|(val, _)| Seq(val).lt(Seq(self.recent)))
    }

    /// RFC 7323 3.2: where timestamps were agreed upon, a segment other than RST without one is dropped silently.
    pub(super) fn missing(seg: &Segment) -> bool {
        !seg.has(Flags::RST) && seg.options.timestamps().is_none()
    }

    /// RFC 7323 4.3: remembers the timestamp of an acceptable segment that reaches back to the last ACK sent; `void`: the
    /// one there is means nothing.
    pub(super) fn update(&mut self, seg: &Segment, last_ack_sent: Seq, void: bool) {
        if let Some((val, _)) = seg.options.timestamps()
            && seg.seq.le(last_ack_sent)
            && (void || Seq(val).ge(Seq(self.recent)))
        {
            self.recent = val;
        }
    }
}

/// Milliseconds of the host's clock, modulo 2^32.
pub(super) fn clock(now: HostTime) -> u32 {
    let [_, _, _, _, low @ ..] = (now.as_nanos() / 1_000_000).to_be_bytes();
    u32::from_be_bytes(low)
}

/// Appends the padded option; where it does not fit, the segment goes without.
pub(super) fn write(val: u32, ecr: u32, options: &mut Options) {
    let before = *options;
    let pushed = [TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val, ecr }];
    if pushed.into_iter().try_for_each(|option| options.push(option)).is_err() {
        *options = before;
    }
}
