//! CUBIC (RFC 9438) with HyStart in the integers of `net/ipv4/tcp_cubic.c`: windows in segments, time in ticks and in
//! 1024ths of a second, round trips in microseconds.

use super::Moment;
use crate::wire::Seq;

/// beta of 1024: what a loss leaves of the window.
const BETA: u64 = 717;
const BETA_SCALE: u64 = 1_024;
/// c of 1024 for a round trip of 100 ms: `bic_scale * 10`.
const RTT_SCALE: u64 = 410;
/// Ack counts by which the window of a standard TCP grows: `beta_scale`, in eighths of the window.
const FRIENDLY_SCALE: u64 = 8 * (BETA_SCALE + BETA) / 3 / (BETA_SCALE - BETA);
/// HyStart begins at this window.
const HYSTART_LOW_WINDOW: u32 = 16;
/// Acknowledgments this close, in microseconds, are one train.
const HYSTART_ACK_DELTA: u64 = 2_000;
const HYSTART_SAMPLES: u8 = 8;

/// The state of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Cubic {
    /// Acknowledgments for one more segment.
    count: u64,
    last_max: u32,
    last_cwnd: u32,
    /// Ticks.
    last_time: u64,
    origin: u64,
    /// Time to the origin, in 1024ths of a second.
    k: u64,
    /// Least round trip in microseconds.
    delay_min: Option<u64>,
    /// In ticks.
    epoch: Option<u64>,
    acked: u64,
    friendly: u64,
    hystart: HyStart,
}

/// Finds the end of slow start before the first loss.
#[derive(Clone, Debug, Default)]
struct HyStart {
    is_found: bool,
    round_end: Seq,
    round_start: u64,
    last_ack: u64,
    least: Option<u64>,
    samples: u8,
}

impl Cubic {
    pub(super) fn new(at: &Moment<'_>) -> Cubic {
        let mut cubic = Cubic::default();
        cubic.hystart.reset(at);
        cubic
    }

    /// `cubictcp_recalc_ssthresh()`: what is left after a loss at `cwnd`.
    pub(super) fn on_loss(&mut self, cwnd: u32) -> u32 {
        self.epoch = None;
        // Fast convergence: a flow that did not get back to its last maximum gives way.
        let scaled = u64::from(cwnd);
        self.last_max = match cwnd < self.last_max {
            true => u32::try_from(scaled * (BETA_SCALE + BETA) / (2 * BETA_SCALE)).unwrap_or(cwnd),
            false => cwnd,
        };
        u32::try_from(scaled * BETA / BETA_SCALE).unwrap_or(cwnd).max(2)
    }

    /// After a timeout everything is learnt anew.
    pub(super) fn on_timeout(&mut self, at: &Moment<'_>) {
        *self = Cubic::new(at);
    }

    /// `CA_EVENT_TX_START`: after `idle` ticks without data the curve goes on where it was.
    pub(super) fn on_start(&mut self, now: u64, idle: u64) {
        self.epoch = self.epoch.map(|epoch| (epoch + idle).min(now));
    }

    /// `cubictcp_acked()`: a round trip of so many microseconds; a slow-start threshold, where one is found.
    pub(super) fn on_round_trip(&mut self, at: &Moment<'_>, rtt: u64, slow_start: Option<u32>) -> Option<u32> {
        let fresh = self.epoch.is_some_and(|epoch| at.ticks() - epoch < at.ticks_a_second());
        if fresh {
            return None;
        }
        let delay = rtt.max(1);
        let least = self.delay_min.map_or(delay, |least| least.min(delay));
        self.delay_min = Some(least);
        let cwnd = slow_start.filter(|_| !self.hystart.is_found)?;
        self.hystart.update(at, delay, least, cwnd).then_some(cwnd)
    }

    /// `bictcp_update()`: how many acknowledgments one more segment takes.
    pub(super) fn update(&mut self, at: &Moment<'_>, cwnd: u32, acked: u32) -> u64 {
        let (now, second) = (at.ticks(), at.ticks_a_second());
        self.acked += u64::from(acked);
        if self.last_cwnd == cwnd && now - self.last_time <= second / 32 && self.count > 0 {
            return self.count;
        }
        if self.epoch.is_none() || now != self.last_time {
            (self.last_cwnd, self.last_time) = (cwnd, now);
            self.follow_curve(at, cwnd, acked);
        }
        self.be_friendly(u64::from(cwnd));
        self.count = self.count.max(2);
        self.count
    }

    fn follow_curve(&mut self, at: &Moment<'_>, cwnd: u32, acked: u32) {
        let (now, window) = (at.ticks(), u64::from(cwnd));
        let epoch = *self.epoch.get_or_insert_with(|| {
            (self.acked, self.friendly) = (u64::from(acked), window);
            if self.last_max <= cwnd {
                (self.k, self.origin) = (0, window);
            } else {
                self.k = cube_root((1 << 40) / RTT_SCALE * u64::from(self.last_max - cwnd));
                self.origin = u64::from(self.last_max);
            }
            now
        });
        let delay = at.ticks_of(self.delay_min.unwrap_or(0));
        let t = ((now - epoch + delay) << 10) / at.ticks_a_second();
        let offset = u128::from(t.abs_diff(self.k));
        let delta = u64::try_from((u128::from(RTT_SCALE) * offset * offset * offset) >> 40).unwrap_or(u64::MAX);
        let target = if t < self.k { self.origin.saturating_sub(delta) } else { self.origin.saturating_add(delta) };
        self.count = if target > window { window / (target - window) } else { 100 * window };
        if self.last_max == 0 {
            // Before the first loss: at least 5 % a round trip.
            self.count = self.count.min(20);
        }
    }

    /// No slower than a standard TCP would be.
    fn be_friendly(&mut self, window: u64) {
        let delta = (window * FRIENDLY_SCALE) >> 3;
        while self.acked > delta {
            self.acked -= delta;
            self.friendly += 1;
        }
        if self.friendly > window {
            self.count = self.count.min(window / (self.friendly - window));
        }
    }
}

impl HyStart {
    fn reset(&mut self, at: &Moment<'_>) {
        let now = at.micros();
        *self = HyStart {
            is_found: self.is_found,
            round_end: at.nxt,
            round_start: now,
            last_ack: now,
            ..HyStart::default()
        };
    }

    /// `hystart_update()`; whether slow start should end.
    fn update(&mut self, at: &Moment<'_>, delay: u64, least: u64, cwnd: u32) -> bool {
        if at.una.gt(self.round_end) {
            self.reset(at);
        }
        if cwnd < HYSTART_LOW_WINDOW {
            return false;
        }
        let now = at.micros();
        if now - self.last_ack <= HYSTART_ACK_DELTA {
            self.last_ack = now;
            // Nothing paces here: half of the round trip is the limit of a train.
            self.is_found |= now - self.round_start > (least + at.ack_delay(cwnd)) / 2;
        }
        self.least = Some(self.least.map_or(delay, |known| known.min(delay)));
        if self.samples < HYSTART_SAMPLES {
            self.samples += 1;
        } else {
            self.is_found |= self.least.is_some_and(|known| known > least + (least >> 3).clamp(4_000, 16_000));
        }
        self.is_found
    }
}

/// `cubic_root()`: by table and one step of Newton's method, with its error of a fifth of a percent.
fn cube_root(a: u64) -> u64 {
    const ROOTS: [u8; 64] = [
        0, 54, 54, 54, 118, 118, 118, 118, 123, 129, 134, 138, 143, 147, 151, 156, 157, 161, 164, 168, 170, 173, 176,
        179, 181, 185, 187, 190, 192, 194, 197, 199, 200, 202, 204, 206, 209, 211, 213, 215, 217, 219, 221, 222, 224,
        225, 227, 229, 231, 232, 234, 236, 237, 239, 240, 242, 244, 245, 246, 248, 250, 251, 252, 254,
    ];
    let root = |n: u64| u64::from(ROOTS[usize::try_from(n).unwrap_or(0).min(63)]);
    let bits = u64::from(64 - a.leading_zeros());
    if bits < 7 {
        return (root(a) + 35) >> 6;
    }
    let third = ((bits * 84) >> 8) - 1;
    let x = ((root(a >> (third * 3)) + 10) << third) >> 6;
    let x = 2 * x + a / (x * (x - 1));
    (x * 341) >> 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_are_near() {
        for root in [4u64, 10, 50, 333, 1_000, 9_999, 65_536, 1_000_000] {
            let found = cube_root(root * root * root);
            assert!(found.abs_diff(root) <= root / 400 + 1, "{root}: {found}");
        }
    }
}
