//! The receive window as Linux offers it (`tcp_select_initial_window()`, `__tcp_select_window()`,
//! `tcp_grow_window()`): half of the buffer to begin with, and no more than what has arrived justifies.

use super::{Knobs, Setup, WindowRule};
use crate::wire::Seq;

/// What a window may be: where it is told in the profile's own way.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// How much of the buffer is for data, of 256 parts; the rest is what the kernel needs around it.
    ratio: u32,
    clamp: u32,
    ssthresh: u32,
    /// Our MSS without the options of every segment.
    advmss: u32,
    /// `icsk_ack.rcv_mss`: the size of the peer's segments, as far as it is known.
    pub(super) rcv_mss: u32,
    /// What is queued: where each piece ends, and how much memory it takes.
    queued: Vec<(Seq, u32)>,
    alloc: u32,
}

/// `TCP_DEFAULT_SCALING_RATIO`: half.
const RATIO: u32 = 128;
const PARTS: u32 = 256;
/// `sizeof(struct sk_buff)`, aligned.
const SKB: u32 = 256;
/// Headers, headroom and `sizeof(struct skb_shared_info)` around the data.
const AROUND: u32 = 52 + 64 + 320;
/// `TCP_MSS_DEFAULT` and `TCP_MIN_MSS`.
const MSS_DEFAULT: u32 = 536;
const MSS_MIN: u32 = 88;

/// The window of a SYN or SYN-ACK; `ts`: whether timestamps were agreed on already.
pub(super) fn initial(setup: &Setup, knobs: &Knobs, ts: bool) -> u16 {
    let window = match knobs.window {
        WindowRule::Buffer | WindowRule::Bsd => setup.rcv_buf,
        WindowRule::Linux => {
            // tcp_connect_init() counts them in where the incarnation before had them.
            let mss = advmss(setup, ts || setup.ts_echo.is_some());
            let space = (setup.rcv_buf * (RATIO / 2)) / (PARTS / 2);
            let whole = if space > mss { space - space % mss } else { space };
            setup.route.initial_offer.map_or(whole, |segments| whole.min(segments.saturating_mul(mss)))
        }
    };
    u16::try_from(window).unwrap_or(u16::MAX)
}

fn advmss(setup: &Setup, ts: bool) -> u32 {
    u32::from(setup.mss.saturating_sub(if ts { super::timestamps::OPTION_LEN } else { 0 }).max(1))
}

/// How much memory a segment with `len` bytes takes: the kernel's blocks come in powers of two.
fn truesize(len: u32) -> u32 {
    (len + AROUND).next_power_of_two() + SKB
}

impl Window {
    /// Once the SYNs are exchanged; `offered` is the window of ours (`tcp_init_buffer_space()`).
    pub(super) fn new(setup: &Setup, ts: bool, offered: u32) -> Window {
        let advmss = advmss(setup, ts);
        let full = part(setup.rcv_buf, RATIO);
        let clamp = if full > 2 * advmss { (full - advmss).max(2 * advmss) } else { full };
        // tcp_initialize_rcv_mss()
        let rcv_mss = advmss.min(offered / 2).clamp(MSS_MIN, MSS_DEFAULT);
        let ssthresh = offered.min(clamp);
        Window { ratio: RATIO, clamp, ssthresh, advmss, rcv_mss, queued: Vec::new(), alloc: 0 }
    }

    /// A segment with `len` bytes is queued that ends before `end`, in order or not; our last segment offered
    /// `rcv_wnd`.
    pub(super) fn arrived(&mut self, end: Seq, len: u32, rcv_wnd: u32, buf: u32) {
        let size = self.charge(end, len);
        self.measure(len, size, rcv_wnd, buf);
        // tcp_event_data_recv(): small segments justify nothing.
        if len >= 128 {
            self.grow(len, size, buf);
        }
    }

    /// Memory for a segment with `len` bytes that ends before `end`; how much.
    pub(super) fn charge(&mut self, end: Seq, len: u32) -> u32 {
        let size = truesize(len);
        self.queued.push((end, size));
        self.alloc += size;
        size
    }

    /// The buffer that a window of `bytes` needs (`tcp_space_from_win()`).
    pub(super) fn buffer_for(&self, bytes: u32) -> u32 {
        let buf = u64::from(bytes) * u64::from(PARTS) / u64::from(self.ratio);
        u32::try_from(buf).unwrap_or(u32::MAX)
    }

    /// The buffer has grown: "Make the window clamp follow along".
    pub(super) fn widen(&mut self, buf: u32) {
        self.clamp = part(buf, self.ratio);
    }

    /// The application has read up to `read`.
    pub(super) fn read(&mut self, read: Seq) {
        let alloc = &mut self.alloc;
        self.queued.retain(|(end, size)| {
            let is_read = end.le(read);
            *alloc -= if is_read { *size } else { 0 };
            !is_read
        });
    }

    /// What ends behind `nxt` is thrown away.
    pub(super) fn forget_ahead(&mut self, nxt: Seq) {
        let alloc = &mut self.alloc;
        self.queued.retain(|(end, size)| {
            let stays = end.le(nxt);
            *alloc -= if stays { 0 } else { *size };
            stays
        });
    }

    /// What is queued takes so much memory.
    pub(super) fn memory(&self) -> u32 {
        self.alloc
    }

    /// Whether nothing is queued (`sk_rmem_alloc` is 0).
    pub(super) fn is_empty(&self) -> bool {
        self.alloc == 0
    }

    /// `tcp_measure_rcv_mss()`: the largest segments tell how much of the buffer data can fill.
    fn measure(&mut self, len: u32, size: u32, rcv_wnd: u32, buf: u32) {
        if len <= self.rcv_mss {
            return;
        }
        self.rcv_mss = len.min(self.advmss);
        let ratio = (len * PARTS / size).max(1);
        if ratio == self.ratio {
            return;
        }
        self.ratio = ratio;
        // tcp_set_window_clamp()
        let clamp = part(buf, ratio);
        self.ssthresh =
            if clamp < self.clamp { self.ssthresh.min(clamp) } else { self.ssthresh.max(rcv_wnd.min(clamp)) };
        self.clamp = clamp;
    }

    fn grow(&mut self, len: u32, size: u32, buf: u32) {
        let room = self.clamp.min(self.space(buf)).saturating_sub(self.ssthresh);
        let by = if part(size, self.ratio) <= len { 2 * self.advmss } else { self.later(len, size, buf) };
        if by > 0 {
            self.ssthresh += room.min(by.max(2 * len));
        }
    }

    /// `__tcp_grow_window()`: whether segments with so much around them will fit once the window has grown.
    fn later(&self, len: u32, size: u32, buf: u32) -> u32 {
        let (mut size, mut window) = (part(size, self.ratio) / 2, part(buf, self.ratio) / 2);
        while self.ssthresh <= window {
            if size <= len {
                return 2 * self.rcv_mss;
            }
            size /= 2;
            window /= 2;
        }
        0
    }

    /// `tcp_space()`.
    fn space(&self, buf: u32) -> u32 {
        part(buf.saturating_sub(self.alloc), self.ratio)
    }

    /// `__tcp_select_window()`, with what `tcp_select_window()` adds: it never takes back what was given. `offered` is
    /// what is left of the last one, `shift` our window scale.
    pub(super) fn select(&self, offered: u32, shift: u8, buf: u32) -> u32 {
        let unit = 1u32 << shift;
        let fresh = self.fresh(offered, unit, buf);
        let window = if fresh < offered { offered.next_multiple_of(unit) } else { fresh };
        window.min(u32::from(u16::MAX) << shift)
    }

    fn fresh(&self, offered: u32, unit: u32, buf: u32) -> u32 {
        let allowed = part(buf, self.ratio);
        let full = self.clamp.min(allowed);
        let mss = self.rcv_mss.min(full);
        let mut free = self.space(buf);
        if free < full / 2 {
            free -= free % unit;
            if free < allowed / 16 || free < mss {
                return 0;
            }
        }
        let free = free.min(self.ssthresh);
        if unit > 1 {
            return free.next_multiple_of(unit);
        }
        // Without scaling a multiple of the MSS is kept, so that small steps change nothing.
        if mss == 0 {
            0
        } else if offered <= free.saturating_sub(mss) || offered > free {
            free - free % mss
        } else if mss == full && free > offered + full / 2 {
            free
        } else {
            offered
        }
    }

    /// The window that a read may tell of at once: half of the greatest is not offered (`tcp_cleanup_rbuf()`).
    pub(super) fn is_narrow(&self, offered: u32) -> bool {
        2 * offered <= self.clamp
    }
}

/// `tcp_win_from_space()`.
fn part(space: u32, ratio: u32) -> u32 {
    u32::try_from(u64::from(space) * u64::from(ratio) / u64::from(PARTS)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    fn linux() -> (Setup, Knobs) {
        let knobs = Knobs { window: WindowRule::Linux, time_wait: secs(60), ..Knobs::default() };
        (Setup { rcv_buf: 131_072, ..Setup::default() }, knobs)
    }

    #[test]
    fn syns_offer_whole_segments_of_half_the_buffer() {
        let (setup, knobs) = linux();
        assert_eq!((initial(&setup, &knobs, false), initial(&setup, &knobs, true)), (64_240, 65_160));
        let small = Setup { rcv_buf: 8_192, ..setup };
        assert_eq!(initial(&small, &knobs, true), 2_896);
    }

    #[test]
    fn the_window_is_never_taken_back_and_grows_with_what_comes() {
        let (setup, _) = linux();
        let mut window = Window::new(&setup, true, 65_160);
        let field = |window: &Window, offered| window.select(offered, 7, setup.rcv_buf) >> 7;
        // As recorded: 509 after a hundred bytes, and after they were read; more with each segment that finds a gap.
        window.arrived(Seq(101), 100, 65_160, setup.rcv_buf);
        assert_eq!(field(&window, 65_060), 509);
        window.read(Seq(101));
        assert_eq!(field(&window, 65_152), 509);
        window.arrived(Seq(14_581), 1_448, 65_152, setup.rcv_buf);
        assert_eq!(field(&window, 65_152), 532);
        let mut fields = Vec::new();
        for n in 1..=4 {
            window.arrived(Seq(101 + n * 1_448), 1_448, 0, setup.rcv_buf);
            fields.push(field(&window, 0));
        }
        assert_eq!(fields, [555, 577, 595, 584]);
    }
}
