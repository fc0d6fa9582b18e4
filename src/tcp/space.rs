//! How large a receive buffer the reader needs (`tcp_rcv_space_adjust()`, `tcp_rcv_rtt_update()`): twice what it takes in a
//! round trip, and more while the sender still speeds up.

use crate::time::{HostTime, Span, us};
use crate::wire::Seq;

/// What is measured for it.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// `rcv_rtt_est.rtt_us`: the round trip that the receiver sees, in eighths of microseconds.
    rtt: Option<u64>,
    /// When the number was offered that ends the window at hand: what comes beyond it took a round trip.
    window: Option<(Seq, HostTime)>,
    /// The last echo that was measured by.
    echo: Option<u32>,
    /// What the reader has taken in the round trip before.
    taken: u32,
    /// From where, and since when, the one at hand counts.
    from: (Seq, HostTime),
}

fn micros(span: Span) -> u64 {
    span.as_nanos() / 1_000
}

impl Space {
    /// The handshake is over: reading begins at `first`; `taken` is what a first flight brings
    /// (`tcp_init_buffer_space()`).
    pub(super) fn new(now: HostTime, first: Seq, taken: u32) -> Space {
        Space { rtt: None, window: None, echo: None, taken: taken.max(1), from: (first, now) }
    }

    /// The round trip.
    pub(super) fn rtt(&self) -> Option<Span> {
        self.rtt.map(|eighths| us(eighths / 8))
    }

    /// Data came in order; RCV.NXT is behind it, and `edge` the end of the window (`tcp_rcv_rtt_measure()`).
    pub(super) fn data_came(&mut self, now: HostTime, nxt: Seq, edge: Seq) {
        if let Some((end, since)) = self.window {
            if nxt.lt(end) {
                return;
            }
            // A window may take longer than a round trip: only the least counts.
            let sample = 8 * micros(now.since(since)).max(1);
            self.rtt = Some(self.rtt.map_or(sample, |rtt| rtt.min(sample)));
        }
        self.window = Some((edge, now));
    }

    /// A segment echoes a timestamp; where it is a full one, of `rtt` ago (`tcp_rcv_rtt_measure_ts()`).
    pub(super) fn echoed(&mut self, echo: u32, rtt: Option<Span>) {
        if self.echo.replace(echo) == Some(echo) {
            return;
        }
        let Some(rtt) = rtt else { return };
        let sample = micros(rtt).max(1);
        self.rtt = Some(self.rtt.map_or(8 * sample, |rtt| rtt + sample - rtt / 8));
    }

    /// The application has read up to `read`; how large a window it needs, where that is more than before. `ahead`: how
    /// far what waits out of order reaches beyond RCV.NXT (`tcp_rcvbuf_grow()`).
    pub(super) fn read(&mut self, now: HostTime, read: Seq, nxt: Seq, ahead: u32) -> Option<u32> {
        let (from, since) = self.from;
        let rtt = self.rtt?;
        if micros(now.since(since)) < rtt / 8 {
            return None;
        }
        self.from = (read, now);
        let taken = read.since(from).saturating_sub(nxt.since(read));
        if taken <= self.taken {
            return None;
        }
        let before = std::mem::replace(&mut self.taken, taken);
        // What is offered now is for the round trip after the next one.
        let steady = 2 * u64::from(taken);
        let faster = 2 * (steady * u64::from(taken - before) / u64::from(before));
        u32::try_from(steady + faster + u64::from(ahead)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn the_window_grows_with_what_is_read_in_a_round_trip() {
        let at = |n| HostTime::ZERO + ms(n);
        let mut space = Space::new(at(0), Seq(1), 10_000);
        assert_eq!(space.read(at(5), Seq(20_001), Seq(20_001), 0), None, "no round trip is known");
        space.echoed(7, Some(ms(10)));
        space.echoed(7, Some(ms(90)));
        space.echoed(8, None);
        space.echoed(8, Some(ms(90)));
        assert_eq!(space.rtt(), Some(ms(10)));
        assert_eq!(space.read(at(9), Seq(20_001), Seq(20_001), 0), None, "it is not over");
        // Twice 20 000, and twice that again by half of it: the reader has taken twice as much as before.
        assert_eq!(space.read(at(10), Seq(20_001), Seq(20_001), 0), Some(40_000 + 80_000));
        assert_eq!(space.read(at(20), Seq(40_001), Seq(40_001), 500), None, "no more than before");
        assert_eq!(space.read(at(30), Seq(65_001), Seq(65_001), 500), Some(50_000 + 25_000 + 500));
        // What has come and was not read does not count.
        assert_eq!(space.read(at(40), Seq(95_001), Seq(105_001), 0), None);
    }

    #[test]
    fn without_timestamps_the_least_time_of_a_window_is_the_round_trip() {
        let at = |n| HostTime::ZERO + ms(n);
        let mut space = Space::new(at(0), Seq(1), 10_000);
        for (now, nxt, rtt) in
            [(0, 1_001, None), (5, 5_001, None), (8, 10_001, Some(8)), (28, 20_001, Some(8)), (31, 30_001, Some(3))]
        {
            space.data_came(at(now), Seq(nxt), Seq(nxt + 9_000));
            assert_eq!(space.rtt(), rtt.map(ms), "{now}");
        }
    }
}
