//! What two SYNs agree on: MSS, window scale, timestamps.

use super::timestamps::{self, Timestamps};
use super::{EcnRule, Knobs, Setup, SynLayout};
use crate::wire::{Flags, Options, Segment, TcpOption};

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
    /// Whether both permit selective acknowledgments.
    pub(super) sack: bool,
    /// Whether both know ECN.
    pub(super) ecn: bool,
}

impl Agreed {
    /// Our offer met by `syn`, a SYN or SYN-ACK.
    pub(super) fn from_syn(syn: &Segment, setup: &Setup, knobs: &Knobs) -> Agreed {
        let (mut mss, mut scale, mut ts, mut sack) = (None, None, None, false);
        for option in syn.options.iter() {
            match option {
                TcpOption::Mss(theirs) => mss = mss.or(Some(theirs)),
                TcpOption::WindowScale(theirs) => scale = scale.or(Some(theirs)),
                TcpOption::Timestamps { val, .. } => ts = ts.or(Some(val)),
                TcpOption::SackPermitted => sack = knobs.sack,
                _ => {}
            }
        }
        // RFC 9293 3.7.1: "If an MSS Option is not received at connection setup, TCP implementations MUST assume a
        // default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6".
        let mss = mss.filter(|mss| *mss > 0).unwrap_or(setup.default_mss).min(setup.mss).max(knobs.min_mss);
        let shifts = scale.filter(|_| knobs.window_scale);
        let shifts = shifts.map(|theirs| (setup.window_shift.min(MAX_SHIFT), theirs.min(MAX_SHIFT)));
        let ts = ts.filter(|_| knobs.timestamps).map(|recent| Timestamps { offset: setup.ts_offset, recent });
        // RFC 3168 6.1.1: "an ECN-setup SYN packet" has both, "an ECN-setup SYN-ACK packet" ECE alone.
        let marks = syn.flags & (Flags::ECE | Flags::CWR);
        let ecn = match syn.flags.contains(Flags::ACK) {
            true => (knobs.ecn == EcnRule::Ask || setup.route.asks_ecn) && marks == Flags::ECE,
            false => knobs.ecn != EcnRule::Never && marks == Flags::ECE | Flags::CWR,
        };
        Agreed { mss, shifts, ts, sack, ecn }
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

/// What a SYN or SYN-ACK offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Our MSS.
    pub(super) mss: u16,
    /// TSval and TSecr.
    pub(super) ts: Option<(u32, u32)>,
    /// Our window scale.
    pub(super) shift: Option<u8>,
    /// Selective acknowledgments.
    pub(super) sack: bool,
}

impl Offer {
    /// The options of the SYN, in the order that `layout` has them.
    pub(super) fn options(self, layout: SynLayout) -> Options {
        use TcpOption::{Mss, Nop, SackPermitted, Timestamps, WindowScale};
        let Offer { mss, ts, shift, sack } = self;
        let ts = ts.map(|(val, ecr)| Timestamps { val, ecr });
        let shift = shift.map(WindowScale);
        let mut options = Options::NONE;
        let mut push = |list: &[TcpOption<'_>]| {
            list.iter().for_each(|option| options.push(*option).expect("24 bytes of options fit into 40"));
        };
        push(&[Mss(mss)]);
        if layout == SynLayout::Bsd {
            // Scale, permission and timestamps start where what they hold is aligned.
            shift.into_iter().for_each(|shift| push(&[Nop, shift]));
            if sack {
                push(&[SackPermitted]);
            }
            if let Some(ts) = ts {
                if !sack {
                    push(&[Nop, Nop]);
                }
                push(&[ts]);
            }
            return options.padded();
        }
        match (layout, sack, ts) {
            (SynLayout::Linux, true, Some(ts)) => push(&[SackPermitted, ts]),
            (SynLayout::Linux, true, None) => push(&[Nop, Nop, SackPermitted]),
            (_, _, ts) => ts.into_iter().for_each(|ts| push(&[Nop, Nop, ts])),
        }
        shift.into_iter().for_each(|shift| push(&[Nop, shift]));
        if sack && layout == SynLayout::Rfc {
            push(&[Nop, Nop, SackPermitted]);
        }
        options
    }
}
