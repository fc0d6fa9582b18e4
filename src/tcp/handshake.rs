//! What two SYNs agree on: MSS, window scale, timestamps.

use super::timestamps::{self, Timestamps};
use super::{Knobs, Setup};
use crate::wire::{Options, Segment, TcpOption};

/// The largest shift (RFC 7323 2.3).
const MAX_SHIFT: u8 = 14;

/// What the connection uses, once the peer's SYN is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    /// The peer's MSS or the default, bounded by our own.
    pub(super) mss: u16,
    /// `(our shift, the peer's)`, where both offer scaling.
    pub(super) shifts: Option<(u8, u8)>,
    /// Where both offer timestamps.
    pub(super) ts: Option<Timestamps>,
}

impl Agreed {
    /// Our offer met by `syn`, a SYN or SYN-ACK.
    pub(super) fn from_syn(syn: &Segment, setup: &Setup, knobs: &Knobs) -> Agreed {
        // RFC 9293 3.7.1: "If an MSS Option is not received at connection setup, TCP implementations MUST assume a
        // default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6".
        let mss = syn.options.mss().filter(|mss| *mss > 0).unwrap_or(setup.default_mss).min(setup.mss).max(1);
        let shifts = syn.options.window_scale().filter(|_| knobs.window_scale);
        let shifts = shifts.map(|theirs| (setup.window_shift.min(MAX_SHIFT), theirs.min(MAX_SHIFT)));
        let ts = syn.options.timestamps().filter(|_| knobs.timestamps);
        let ts = ts.map(|(recent, _)| Timestamps { offset: setup.ts_offset, recent });
        Agreed { mss, shifts, ts }
    }

    /// Eff.snd.MSS: options in every segment take their part of the MSS (RFC 6691).
    pub(super) fn effective_mss(&self) -> u16 {
        effective_mss(self.mss, self.ts)
    }
}

/// `mss` without the options of every segment.
pub(super) fn effective_mss(mss: u16, ts: Option<Timestamps>) -> u16 {
    mss.saturating_sub(if ts.is_some() { timestamps::OPTION_LEN } else { 0 }).max(1)
}

/// The options of a SYN or SYN-ACK: `ts` is TSval and TSecr, `shift` our window scale, where they are offered.
pub(super) fn syn_options(mss: u16, ts: Option<(u32, u32)>, shift: Option<u8>) -> Options {
    let mut options = Options::NONE;
    let mut push = |option| options.push(option).expect("20 bytes of options fit into 40");
    push(TcpOption::Mss(mss));
    if let Some((val, ecr)) = ts {
        push(TcpOption::Nop);
        push(TcpOption::Nop);
        push(TcpOption::Timestamps { val, ecr });
    }
    if let Some(shift) = shift {
        push(TcpOption::Nop);
        push(TcpOption::WindowScale(shift));
    }
    options
}
