//! TCP Fast Open (RFC 7413): what SYNs carry for it, and what a host has to know.

use super::Knobs;
use crate::time::HostTime;
use crate::wire::{Options, TcpOption};

/// Under which option a cookie travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpenKind {
    /// Kind 34 (RFC 7413 4.1.1).
    Assigned,
    /// Kind 254 with the magic number 0xF989, from before that was assigned.
    Experimental,
}

/// A cookie, or the request for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpenCookie {
    kind: FastOpenKind,
    len: u8,
    bytes: [u8; FastOpenCookie::MAX],
}

impl FastOpenCookie {
    /// The most bytes that a cookie has (RFC 7413 4.1.1).
    pub const MAX: usize = 16;
    /// The least.
    pub const MIN: usize = 4;

    /// Asks for a cookie.
    pub const fn request(kind: FastOpenKind) -> FastOpenCookie {
        FastOpenCookie { kind, len: 0, bytes: [0; FastOpenCookie::MAX] }
    }

    /// A cookie of 4 to 16 bytes, an even number.
    pub fn new(kind: FastOpenKind, cookie: &[u8]) -> Option<FastOpenCookie> {
        let fits =
            (FastOpenCookie::MIN..=FastOpenCookie::MAX).contains(&cookie.len()) && cookie.len().is_multiple_of(2);
        let len = u8::try_from(cookie.len()).ok().filter(|_| fits)?;
        let mut bytes = [0; FastOpenCookie::MAX];
        bytes[..cookie.len()].copy_from_slice(cookie);
        Some(FastOpenCookie { kind, len, bytes })
    }

    /// What a SYN or SYN-ACK has; none where its length cannot be (`tcp_parse_fastopen_option()`: an odd one counts as no
    /// option at all).
    pub fn of(options: &Options) -> Option<FastOpenCookie> {
        let mut found = None;
        for option in options.iter() {
            let (kind, cookie) = match option {
                TcpOption::FastOpen(cookie) => (FastOpenKind::Assigned, cookie),
                TcpOption::FastOpenExperimental(cookie) => (FastOpenKind::Experimental, cookie),
                _ => continue,
            };
            if cookie.is_empty() {
                found = Some(FastOpenCookie::request(kind));
            } else if cookie.len().is_multiple_of(2) {
                found = FastOpenCookie::new(kind, cookie);
            }
        }
        found
    }

    /// Its bytes; none in a request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Under which option it travels.
    pub const fn kind(&self) -> FastOpenKind {
        self.kind
    }

    /// Whether it asks for a cookie.
    pub const fn is_request(&self) -> bool {
        self.len == 0
    }

    /// Appends it behind the other options of a SYN, filled up to a whole word with NOPs (`tcp_options_write()`); where
    /// there is no room, nothing. Whether there was.
    pub fn write(&self, options: &mut Options) -> bool {
        let mut all = *options;
        let option = match self.kind {
            FastOpenKind::Assigned => TcpOption::FastOpen(self.bytes()),
            FastOpenKind::Experimental => TcpOption::FastOpenExperimental(self.bytes()),
        };
        let mut written = all.push(option);
        while written.is_ok() && !all.as_bytes().len().is_multiple_of(4) {
            written = all.push(TcpOption::Nop);
        }
        if written.is_ok() {
            *options = all;
        }
        written.is_ok()
    }
}

/// What the first SYN of an active open asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpenAsk {
    /// Nothing: it is a SYN as always.
    Nothing,
    /// A cookie for the next time; it carries no data.
    Cookie(FastOpenKind),
    /// That its data is taken, by this cookie, or by none where the peer needs none. `mss`: what the peer announced the
    /// last time, where that is known.
    Data {
        /// The peer's cookie.
        cookie: Option<FastOpenCookie>,
        /// The peer's MSS.
        mss: Option<u16>,
    },
}

/// What the answer to such a SYN has told, to be remembered for the next one (`tcp_rcv_fastopen_synack()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpenLearned {
    /// The MSS that the peer announces.
    pub mss: Option<u16>,
    /// Its cookie.
    pub cookie: Option<FastOpenCookie>,
    /// A request under this option that got no answer.
    pub unanswered: Option<FastOpenKind>,
}

/// How often Fast Open has met a network that swallows it, and when last (`tcp_fastopen_active_disable()`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blackhole {
    last: Option<HostTime>,
    times: u32,
}

impl Blackhole {
    /// It was met once more.
    pub(super) fn met(&mut self, now: HostTime, knobs: &Knobs) {
        if knobs.fast_open_pause.as_nanos() > 0 {
            (self.last, self.times) = (Some(now), self.times.saturating_add(1));
        }
    }

    /// Whether Fast Open pauses: each time twice as long as before, up to 64 times.
    pub(super) fn pauses(&self, now: HostTime, knobs: &Knobs) -> bool {
        let factor = 1u64 << self.times.saturating_sub(1).min(6);
        self.last.is_some_and(|last| now.since(last) < knobs.fast_open_pause * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[TcpOption<'_>]) -> Option<Vec<u8>> {
        let mut all = Options::NONE;
        options.iter().for_each(|option| all.push(*option).unwrap());
        FastOpenCookie::of(&all).map(|cookie| cookie.bytes().to_vec())
    }

    #[test]
    fn cookies_have_an_even_length_from_4_to_16() {
        let bytes: Vec<u8> = (1..=20).collect();
        for len in 0..=18 {
            let is_cookie = len == 0 || (len % 2 == 0 && (4..=16).contains(&len));
            let found = parsed(&[TcpOption::FastOpen(&bytes[..len])]);
            assert_eq!(found, is_cookie.then(|| bytes[..len].to_vec()), "{len}");
        }
        // An odd one is as if it were not there, an impossible one takes the place of what came before.
        assert_eq!(
            parsed(&[TcpOption::FastOpen(&bytes[..4]), TcpOption::FastOpenExperimental(&[1])]).unwrap().len(),
            4
        );
        assert_eq!(parsed(&[TcpOption::FastOpen(&bytes[..4]), TcpOption::FastOpenExperimental(&[1, 2])]), None);
    }

    #[test]
    fn options_end_on_a_word_or_are_left_out() {
        let cookie = |len: usize, kind| FastOpenCookie::new(kind, &[7; 16][..len]).unwrap();
        for (cookie, len) in [
            (FastOpenCookie::request(FastOpenKind::Assigned), 4),
            (FastOpenCookie::request(FastOpenKind::Experimental), 4),
            (cookie(4, FastOpenKind::Assigned), 8),
            (cookie(6, FastOpenKind::Assigned), 8),
            (cookie(16, FastOpenKind::Experimental), 20),
        ] {
            let mut options = Options::NONE;
            assert!(cookie.write(&mut options));
            assert_eq!(options.as_bytes().len(), len);
        }
        let mut full = Options::from_bytes(&[1; 24]).unwrap();
        assert!(!cookie(16, FastOpenKind::Assigned).write(&mut full));
        assert_eq!(full.as_bytes().len(), 24);
    }
}
