//! What a SYN cookie keeps of a SYN, beside its MSS: the options, in the low bits of the SYN-ACK's timestamp
//! (net/ipv4/syncookies.c).

use super::handshake::{Agreed, Offer};
use super::timestamps;
use super::{Context, EcnRule, Knobs, Ports, Setup, window};
use crate::wire::{Flags, Segment, Seq};

/// What a SYN cookie has kept of the SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The peer's MSS, rounded down.
    pub mss: u16,
    /// The peer's window scale, where both ends scale.
    pub peer_shift: Option<u8>,
    /// Whether both permit selective acknowledgments.
    pub sack: bool,
    /// Whether both know ECN.
    pub ecn: bool,
}

/// `TSBITS`: so many bits of the timestamp are not time.
const BITS: u32 = 6;
/// `TS_OPT_WSCALE_MASK`: the peer's window scale; all ones where there is none.
const NO_SHIFT: u32 = 0xf;
/// `TS_OPT_SACK`.
const SACK: u32 = 0x10;
/// `TS_OPT_ECN`.
const ECN: u32 = 0x20;

/// The SYN-ACK for a SYN that is not remembered, with the cookie as its number. Without timestamps there is no place
/// for the other options.
pub fn cookie_syn_ack(cx: &Context<'_>, ports: Ports, syn: &Segment, cookie: Seq, setup: &Setup) -> Segment {
    let agreed = Agreed::from_syn(syn, setup, cx.knobs);
    let mut offer = Offer { mss: setup.mss, ts: None, shift: None, sack: false };
    if let Some(ts) = agreed.ts {
        let shift = agreed.shifts.map_or(NO_SHIFT, |(_, theirs)| u32::from(theirs));
        let kept = shift | if agreed.sack { SACK } else { 0 } | if agreed.ecn { ECN } else { 0 };
        let val = stamp(timestamps::clock(cx.now), kept).wrapping_add(ts.offset);
        let shift = agreed.shifts.map(|(ours, _)| ours);
        offer = Offer { ts: Some((val, ts.recent)), shift, sack: agreed.sack, ..offer };
    }
    let mut flags = Flags::SYN | Flags::ACK;
    flags.set(Flags::ECE, agreed.ecn && agreed.ts.is_some());
    Segment {
        src_port: ports.local,
        dst_port: ports.remote,
        seq: cookie,
        ack: syn.seq + 1,
        flags,
        window: window::initial(setup, cx.knobs, agreed.ts.is_some()),
        options: offer.options(cx.knobs.syn_layout),
        ..Segment::default()
    }
}

/// The latest time that is not after `now` and whose low bits are `kept` (`cookie_init_timestamp()`).
fn stamp(now: u32, kept: u32) -> u32 {
    let stamp = (now >> BITS << BITS) | kept;
    if stamp > now { stamp.wrapping_sub(1 << BITS) } else { stamp }
}

impl Kept {
    /// What the third segment `seg` gives back beside `mss`; nothing where its options cannot be an answer to ours
    /// (`cookie_timestamp_decode()`).
    pub fn read(seg: &Segment, mss: u16, setup: &Setup, knobs: &Knobs) -> Option<Kept> {
        let Some((_, echo)) = seg.options.timestamps() else {
            return Some(Kept { mss, peer_shift: None, sack: false, ecn: false });
        };
        let kept = echo.wrapping_sub(setup.ts_offset) & ((1 << BITS) - 1);
        let sack = kept & SACK != 0;
        let peer_shift = u8::try_from(kept & NO_SHIFT).ok().filter(|&shift| u32::from(shift) != NO_SHIFT);
        let possible = knobs.timestamps && (!sack || knobs.sack) && (peer_shift.is_none() || knobs.window_scale);
        let ecn = kept & ECN != 0 && knobs.ecn != EcnRule::Never;
        possible.then_some(Kept { mss, peer_shift, sack, ecn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Options, TcpOption};

    #[test]
    fn a_stamp_is_never_ahead_and_less_than_64_ms_behind() {
        assert_eq!([0x1017, 0x1016, 0x1018, 0x103f].map(|now| stamp(now, 0x17)), [0x1017, 0xfd7, 0x1017, 0x1017]);
        assert_eq!(stamp(3, 0x17), 0x17u32.wrapping_sub(64));
    }

    #[test]
    fn options_come_back_with_the_timestamp() {
        let setup = Setup { ts_offset: 1_000, ..Setup::default() };
        let all = Knobs { timestamps: true, window_scale: true, sack: true, ..Knobs::default() };
        let echo = |bits: u32| {
            let mut options = Options::NONE;
            options.push(TcpOption::Timestamps { val: 5, ecr: 0x4000 + bits + 1_000 }).unwrap();
            Segment { options, ..Segment::default() }
        };
        let read = |seg: &Segment, knobs: &Knobs| Kept::read(seg, 536, &setup, knobs);
        let kept = |peer_shift, sack| Some(Kept { mss: 536, peer_shift, sack, ecn: false });
        assert_eq!(read(&Segment::default(), &all), kept(None, false));
        assert_eq!(read(&echo(0x17), &all), kept(Some(7), true));
        assert_eq!(read(&echo(0x0f), &all), kept(None, false));
        for without in [
            Knobs { timestamps: false, ..all.clone() },
            Knobs { window_scale: false, ..all.clone() },
            Knobs { sack: false, ..all.clone() },
        ] {
            assert_eq!(read(&echo(0x17), &without), None);
        }
    }
}
