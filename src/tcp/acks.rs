//! When Linux delays an acknowledgment (`tcp_event_data_recv()`, `__tcp_ack_snd_check()`, `tcp_send_delayed_ack()`):
//! the first segments are answered at once; later ones by the pace at which they come, and by whether the connection
//! is interactive, that is, whether data goes back soon after data came.

use crate::time::{HostTime, Span, ms};
use crate::wire::Seq;

/// What decides about delays.
#[derive(Clone, Debug)]
pub(super) struct Acks {
    /// `icsk_ack.quick`: acknowledgments that go at once.
    quick: u32,
    /// `icsk_ack.ato`: the delay, once data has come.
    ato: Span,
    /// `icsk_ack.lrcvtime`: when data came last.
    last: HostTime,
    /// `inet_csk_in_pingpong_mode()`: data goes back soon after data came.
    is_interactive: bool,
    /// `ICSK_ACK_PUSHED` and `ICSK_ACK_PUSHED2`: small segments since the last acknowledgment, up to two.
    pushed: u8,
    /// When the delay that runs is over.
    due: Option<HostTime>,
    /// RCV.NXT of the duplicate acknowledgments at hand, and how many of them went at once.
    dups: (Seq, u8),
    /// `compressed_ack`: those that wait for one another.
    compressed: u32,
}

/// `TCP_ATO_MIN` and `TCP_DELACK_MIN`.
const LEAST: Span = ms(40);
/// `TCP_DELACK_MAX`.
pub(super) const MOST: Span = ms(200);
/// `TCP_MAX_QUICKACKS`.
const QUICK: u32 = 16;

/// Whether an acknowledgment goes now, or when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// At once.
    Now,
    /// This long after the tick at hand.
    After(Span),
    /// When the delay that runs is over.
    AsSet,
}

impl Acks {
    pub(super) const NEW: Acks = Acks {
        quick: 0,
        ato: Span::ZERO,
        last: HostTime::ZERO,
        is_interactive: false,
        pushed: 0,
        due: None,
        dups: (Seq(0), 0),
        compressed: 0,
    };

    /// Data came, in order or not. `window` is the last one offered, `rcv_mss` the size of the peer's segments.
    pub(super) fn data_came(&mut self, now: HostTime, (len, rcv_mss): (u32, u32), window: u32, rto: Span) {
        if len < rcv_mss {
            self.pushed = (self.pushed + 1).min(2);
        }
        if self.ato == Span::ZERO {
            self.hurry(window, rcv_mss, QUICK);
            self.ato = LEAST;
        } else {
            let pause = now.since(self.last);
            if pause <= LEAST / 2 {
                self.ato = self.ato / 2 + LEAST / 2;
            } else if pause < self.ato {
                self.ato = (self.ato / 2 + pause).min(rto);
            } else if pause > rto {
                self.hurry(window, rcv_mss, QUICK);
            }
        }
        self.last = now;
    }

    /// `tcp_incr_quickack()`.
    fn hurry(&mut self, window: u32, rcv_mss: u32, most: u32) {
        let quick = match window / (2 * rcv_mss.max(1)) {
            0 => 2,
            n => n.min(most),
        };
        self.quick = self.quick.max(quick);
    }

    /// `tcp_enter_quickack_mode()`: something is wrong with what came, and the sender should know.
    pub(super) fn alarm(&mut self, window: u32, rcv_mss: u32) {
        self.hasten(window, rcv_mss, QUICK);
    }

    /// The same, for no more than `most` acknowledgments.
    pub(super) fn hasten(&mut self, window: u32, rcv_mss: u32, most: u32) {
        self.hurry(window, rcv_mss, most);
        (self.is_interactive, self.ato) = (false, LEAST);
    }

    /// Data goes out: soon after data came it makes the connection interactive.
    pub(super) fn data_left(&mut self, now: HostTime) {
        self.is_interactive |= self.ato > Span::ZERO && now.since(self.last) < self.ato;
    }

    /// The connection is there now (`tcp_finish_connect()`: `lrcvtime`), which counts as if data had come.
    pub(super) fn connected(&mut self, now: HostTime) {
        self.last = now;
    }

    /// `TCP_QUICKACK`, and the peer's FIN, which a reply is expected to follow.
    pub(super) fn set_interactive(&mut self, on: bool) {
        self.is_interactive = on;
    }

    /// A segment with an acknowledgment leaves; `owed`: one was due. How many others it takes along.
    pub(super) fn sent(&mut self, owed: bool) -> u32 {
        if owed && self.quick > 0 {
            self.quick -= 1;
            if self.quick == 0 {
                self.ato = LEAST;
            }
        }
        (self.pushed, self.due) = (0, None);
        std::mem::take(&mut self.compressed)
    }

    /// Those that wait are sent as the one that is due: it counts for itself (`tcp_sack_compress_send_ack()`).
    pub(super) fn release(&mut self) {
        self.compressed = self.compressed.saturating_sub(1);
    }

    /// Whether the timer at hand is that of acknowledgments that wait for one another.
    pub(super) fn is_compressing(&self) -> bool {
        self.compressed > 0
    }

    /// Something has come out of order while `nxt` is RCV.NXT: three go at once, so that the sender sees the loss; then,
    /// up to `most`, they wait for one another, 5 % of a round trip and `delay` at most (`__tcp_ack_snd_check()`).
    pub(super) fn compress(&mut self, nxt: Seq, (delay, most): (Span, u32), rtt: Span) -> Reply {
        if self.compressed >= most {
            return Reply::Now;
        }
        if self.dups.0 != nxt {
            self.dups = (nxt, 0);
        }
        if self.dups.1 < 3 {
            self.dups.1 += 1;
            return Reply::Now;
        }
        match (self.compressed, delay.min(rtt / 20)) {
            (0, Span::ZERO) => Reply::Now,
            (waiting, wait) => {
                self.compressed += 1;
                if waiting == 0 { Reply::After(wait) } else { Reply::AsSet }
            }
        }
    }

    /// The delay is over, and nothing else has carried the acknowledgment.
    pub(super) fn missed(&mut self, rto: Span) {
        if self.is_interactive {
            (self.is_interactive, self.ato) = (false, LEAST);
        } else {
            self.ato = (self.ato * 2).min(rto);
        }
    }

    /// Whether what came is answered at once whatever its size.
    pub(super) fn is_quick(&self) -> bool {
        self.quick > 0 && !self.is_interactive
    }

    /// Whether a read that empties the buffer makes the acknowledgment go (`tcp_cleanup_rbuf()`).
    pub(super) fn goes_with_read(&self) -> bool {
        self.pushed == 2 || (self.pushed == 1 && !self.is_interactive)
    }

    /// `tcp_send_delayed_ack()`.
    pub(super) fn delay(&mut self, now: HostTime, srtt: Option<Span>) -> Reply {
        let mut ato = self.ato;
        if ato > LEAST {
            let most = if self.is_interactive || self.pushed > 0 { MOST } else { ms(500) };
            let rtt = srtt.map_or(most, |srtt| srtt.max(LEAST).min(most));
            ato = ato.min(rtt);
        }
        ato = ato.min(MOST);
        let due = now + ato;
        if let Some(running) = self.due {
            if running <= now + ato / 4 {
                return Reply::Now;
            }
            if running <= due {
                return Reply::AsSet;
            }
        }
        self.due = Some(due);
        Reply::After(ato)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::us;

    #[test]
    fn duplicates_wait_for_one_another_from_the_fourth_on() {
        let mut acks = Acks::NEW;
        let rule = (ms(1), 2);
        let replies = [(); 6].map(|()| acks.compress(Seq(7), rule, ms(10)));
        let wait = Reply::After(us(500));
        assert_eq!(replies, [Reply::Now, Reply::Now, Reply::Now, wait, Reply::AsSet, Reply::Now]);
        assert!(acks.is_compressing());
        // One that leaves takes all of them along; the sender knows of the loss by now.
        assert_eq!(acks.sent(true), 2);
        assert_eq!(acks.compress(Seq(7), rule, ms(100)), Reply::After(ms(1)));
        // When the wait is over, one goes for itself.
        acks.release();
        assert_eq!(acks.sent(true), 0);
        // Another gap is news, and without a round trip nothing waits.
        assert_eq!(acks.compress(Seq(8), rule, ms(10)), Reply::Now);
        acks.dups.1 = 3;
        assert_eq!(acks.compress(Seq(8), rule, Span::ZERO), Reply::Now);
    }
}
