//! SYN cookies: a SYN-ACK whose number keeps what a listener would have to remember of the SYN, when it has no room to
//! remember it. Those of Linux keep the MSS (net/ipv4/syncookies.c), those of FreeBSD all options that matter
//! (tcp_syncache.c).

use crate::endpoint::Tuple;
use crate::rng::Stream;
use crate::tcp::Kept;
use crate::time::{HostTime, Span, secs};
use crate::wire::{Options, Seq};
use std::net::{IpAddr, SocketAddr};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// When SYNs are answered by cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CookieUse {
    /// Never; what finds no room is dropped.
    #[default]
    Never,
    /// When the SYN queue is full.
    Overflow,
    /// Always.
    Always,
}

/// How long after an overflow cookies are expected at all (`TCP_SYNCOOKIE_VALID`).
pub(super) const VALID: Span = secs(MAX_AGE * 60);

/// `MAX_SYNCOOKIE_AGE`: in so many minutes, its own included, a cookie is good.
const MAX_AGE: u64 = 2;
/// `COOKIEBITS`: below them is the MSS, hidden; above them the minute.
const BITS: u32 = 24;
const MASK: u32 = (1 << BITS) - 1;

/// The MSS that a cookie can keep (`msstab`), over IPv4 and over IPv6.
const MSS: [[u16; 4]; 2] = [[536, 1_300, 1_440, 1_460], [1_220, 1_420, 1_440, 8_940]];

/// How long a key of FreeBSD's is used, and how long after an overflow a cookie is expected (`SYNCOOKIE_LIFETIME`).
pub(super) const KEY_LIFETIME: Span = secs(15);

/// The MSS and window scales that FreeBSD's cookies can keep (`tcp_sc_msstab`, `tcp_sc_wstab`); the first place of the
/// scales stands for none.
const MSS_ALL: [u16; 8] = [216, 536, 1_200, 1_360, 1_400, 1_440, 1_452, 1_460];
const SHIFTS: [u16; 8] = [0, 0, 1, 2, 4, 6, 7, 8];

/// The keys of the host.
#[derive(Debug)]
pub(super) struct Cookies {
    secrets: Stream,
    keys: [u64; 2],
}

impl Cookies {
    pub(super) fn new(seed: u64, name: &str) -> Cookies {
        let mut cookies = Cookies { secrets: Stream::new(seed, &format!("{name}/cookies")), keys: [0; 2] };
        cookies.renew();
        cookies
    }

    /// Draws fresh keys: the host has booted.
    pub(super) fn renew(&mut self) {
        self.keys = [self.secrets.word(), self.secrets.word()];
    }

    /// The ISS that keeps `mss`, rounded down, of a SYN with the number `irs` (`secure_tcp_syn_cookie()`).
    pub(super) fn bake(&self, tuple: Tuple, irs: Seq, mss: u16, now: HostTime) -> Seq {
        let minute = minute(now);
        let index = (0..).zip(table(tuple)).filter(|(_, known)| mss >= *known).last().map_or(0, |(index, _)| index);
        let hidden = self.hash(tuple, minute, 1).wrapping_add(index) & MASK;
        irs + self.hash(tuple, 0, 0).wrapping_add(minute << BITS).wrapping_add(hidden)
    }

    /// The MSS that `cookie` keeps, where it is one of ours and not too old (`check_tcp_syn_cookie()`).
    pub(super) fn mss(&self, tuple: Tuple, irs: Seq, cookie: Seq, now: HostTime) -> Option<u16> {
        let bare = cookie.since(irs).wrapping_sub(self.hash(tuple, 0, 0));
        let minute = minute(now);
        let age = minute.wrapping_sub(bare >> BITS) & (u32::MAX >> BITS);
        if u64::from(age) >= MAX_AGE {
            return None;
        }
        let index = bare.wrapping_sub(self.hash(tuple, minute.wrapping_sub(age), 1)) & MASK;
        table(tuple).get(index as usize).copied()
    }

    /// A number that keeps all of `options` that matters, rounded down (`syncookie_generate()` of FreeBSD).
    pub(super) fn bake_all(&self, tuple: Tuple, irs: Seq, options: &Options, now: HostTime) -> Seq {
        let period = period(now);
        let mss = place(&MSS_ALL, options.mss().unwrap_or(0));
        let shift = options.window_scale().map_or(0, |shift| place(&SHIFTS[1..], shift.into()) + 1);
        let bits = period & 1 | u32::from(options.sack_permitted()) << 1 | shift << 2 | mss << 5;
        self.seal(tuple, irs, period, bits)
    }

    /// What `cookie` keeps, where it is one of ours and no older than the key before the present one
    /// (`syncookie_lookup()`).
    pub(super) fn read_all(&self, tuple: Tuple, irs: Seq, cookie: Seq, now: HostTime) -> Option<Kept> {
        let bits = (cookie.0 ^ (cookie.0 >> BITS)) & 0xff;
        let now = period(now);
        let period = if now & 1 == bits & 1 { now } else { now.checked_sub(1)? };
        if self.seal(tuple, irs, period, bits) != cookie {
            return None;
        }
        let shift = (bits >> 2 & 7) as usize;
        let peer_shift = SHIFTS.get(shift).filter(|_| shift > 0).and_then(|&shift| u8::try_from(shift).ok());
        let mss = MSS_ALL.get((bits >> 5) as usize).copied()?;
        Some(Kept { mss, peer_shift, sack: bits & 2 != 0, ecn: false })
    }

    fn seal(&self, tuple: Tuple, irs: Seq, period: u32, bits: u32) -> Seq {
        let keys = period & 1;
        let hash = self.hash(tuple, irs.0 ^ self.hash(tuple, period << 8 | bits, 0), keys as usize);
        Seq(hash & !0xff | (bits ^ (hash >> BITS)) & 0xff)
    }

    /// `cookie_hash()`.
    fn hash(&self, tuple: Tuple, minute: u32, key: usize) -> u32 {
        let mut bytes = [0; 40];
        write_addr(&mut bytes[..18], tuple.remote);
        write_addr(&mut bytes[18..36], tuple.local);
        bytes[36..].copy_from_slice(&minute.to_le_bytes());
        let [a, b, c, d, ..] = xxh3_64_with_seed(&bytes, self.keys[key]).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Where in `table` the greatest is that does not exceed `value`; the first place if none.
fn place(table: &[u16], value: u16) -> u32 {
    (0..).zip(table).filter(|(_, known)| value >= **known).last().map_or(0, |(place, _)| place)
}

/// The number of the key in use.
fn period(now: HostTime) -> u32 {
    u32::try_from((now.as_nanos() / KEY_LIFETIME.as_nanos()) & u64::from(u32::MAX >> 8)).unwrap_or(0)
}

fn table(tuple: Tuple) -> [u16; 4] {
    MSS[usize::from(tuple.remote.is_ipv6())]
}

/// `tcp_cookie_time()`.
fn minute(now: HostTime) -> u32 {
    let minutes = now.as_nanos() / secs(60).as_nanos();
    u32::try_from(minutes & u64::from(u32::MAX)).unwrap_or(0)
}

fn write_addr(place: &mut [u8], addr: SocketAddr) {
    let ip = match addr.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    place[..16].copy_from_slice(&ip.octets());
    place[16..].copy_from_slice(&addr.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, ns};

    fn tuple(port: u16) -> Tuple {
        Tuple { local: SocketAddr::from(([10, 0, 0, 1], 80)), remote: SocketAddr::from(([10, 0, 0, 2], port)) }
    }

    #[test]
    fn a_cookie_keeps_the_mss_rounded_down() {
        let (cookies, at) = (Cookies::new(1, "server"), HostTime::ZERO + secs(7));
        for (mss, kept) in
            [(88, 536), (536, 536), (1_299, 536), (1_300, 1_300), (1_459, 1_440), (1_460, 1_460), (9_000, 1_460)]
        {
            let cookie = cookies.bake(tuple(1), Seq(u32::MAX), mss, at);
            assert_eq!(cookies.mss(tuple(1), Seq(u32::MAX), cookie, at), Some(kept), "{mss}");
        }
    }

    #[test]
    fn a_cookie_of_freebsd_keeps_every_option_for_two_keys() {
        use crate::wire::TcpOption;
        let cookies = Cookies::new(1, "server");
        let at = |span| HostTime::ZERO + span;
        for (mss, shift, sack, kept) in [
            (1_460, Some(7), true, (1_460, Some(7))),
            (1_459, Some(3), false, (1_452, Some(2))),
            (100, None, true, (216, None)),
            (9_000, Some(0), false, (1_460, Some(0))),
            (536, Some(14), true, (536, Some(8))),
        ] {
            let mut options = Options::NONE;
            options.push(TcpOption::Mss(mss)).unwrap();
            shift.into_iter().for_each(|shift| options.push(TcpOption::WindowScale(shift)).unwrap());
            if sack {
                options.push(TcpOption::SackPermitted).unwrap();
            }
            let cookie = cookies.bake_all(tuple(1), Seq(5), &options, at(secs(14)));
            let read = |tuple, irs, span| cookies.read_all(tuple, Seq(irs), cookie, at(span));
            let (mss, peer_shift) = kept;
            let kept = Some(Kept { mss, peer_shift, sack, ecn: false });
            // The key of the first 15 seconds is good while the next one is used.
            assert_eq!([secs(14), ns(29_999_999_999), secs(30)].map(|at| read(tuple(1), 5, at)), [kept, kept, None]);
            assert_eq!((read(tuple(2), 5, secs(14)), read(tuple(1), 6, secs(14))), (None, None));
        }
    }

    #[test]
    fn a_cookie_is_good_in_its_minute_and_the_next() {
        let cookies = Cookies::new(1, "server");
        let begun = HostTime::ZERO + secs(119);
        let cookie = cookies.bake(tuple(1), Seq(5), 1_460, begun);
        let good = |at| cookies.mss(tuple(1), Seq(5), cookie, HostTime::ZERO + at).is_some();
        assert_eq!([secs(119), ns(179_999_999_999), secs(180)].map(good), [true, true, false]);
    }

    #[test]
    fn a_cookie_is_good_for_its_own_syn_on_its_own_host_alone() {
        let (cookies, at) = (Cookies::new(1, "server"), HostTime::ZERO + ms(1));
        let cookie = cookies.bake(tuple(1), Seq(5), 1_460, at);
        assert_eq!(cookies.mss(tuple(2), Seq(5), cookie, at), None);
        // A number or two beside its own it is good for another MSS, as on Linux.
        assert_eq!(cookies.mss(tuple(1), Seq(6), cookie, at), Some(1_440));
        assert_eq!(cookies.mss(tuple(1), Seq(9), cookie, at), None);
        assert_eq!(cookies.mss(tuple(1), Seq(5), cookie + 0x0100_0000, at), None);
        assert_eq!(Cookies::new(1, "client").mss(tuple(1), Seq(5), cookie, at), None);
        let mut other = Cookies::new(1, "server");
        other.renew();
        assert_eq!(other.mss(tuple(1), Seq(5), cookie, at), None);
    }
}
