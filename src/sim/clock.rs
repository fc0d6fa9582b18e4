use crate::time::{HostTime, SimTime, Span, ns};

/// One endpoint's clock: runs with the simulation, or a given number of parts per million faster or slower.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    ppm: i32,
    /// An instant at which both clocks are known; they agree on everything while there is no skew.
    sim: SimTime,
    host: HostTime,
}

const MILLION: u128 = 1_000_000;

impl Clock {
    /// From `now` on the clock runs `ppm` parts per million too fast.
    pub(super) fn skew(&mut self, now: SimTime, ppm: i32) {
        self.host = self.to_host(now);
        self.sim = now;
        self.ppm = ppm;
    }

    /// What the clock shows at `sim`.
    pub(super) fn to_host(self, sim: SimTime) -> HostTime {
        let elapsed = sim.since(self.sim);
        self.host + if self.ppm == 0 { elapsed } else { scale(elapsed, self.rate(), MILLION) }
    }

    /// The first instant at which the clock shows `host` or more.
    pub(super) fn to_sim(self, host: HostTime) -> SimTime {
        let elapsed = host.since(self.host);
        self.sim + if self.ppm == 0 { elapsed } else { scale(elapsed, MILLION, self.rate()) }
    }

    fn rate(self) -> u128 {
        u128::try_from(1_000_000 + i64::from(self.ppm)).unwrap_or(1).max(1)
    }
}

/// `span * num / den`, rounded up.
fn scale(span: Span, num: u128, den: u128) -> Span {
    ns(u64::try_from((u128::from(span.as_nanos()) * num).div_ceil(den)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn a_fast_clock_reaches_its_timeouts_early() {
        let mut clock = Clock::default();
        let one = SimTime::ZERO + secs(1);
        assert_eq!(clock.to_host(one), HostTime::ZERO + secs(1));
        clock.skew(one, 100_000);
        assert_eq!(clock.to_host(one + secs(10)), HostTime::ZERO + secs(12));
        assert_eq!(clock.to_sim(HostTime::ZERO + secs(12)), one + secs(10));
        clock.skew(one + secs(10), 0);
        assert_eq!(clock.to_sim(HostTime::ZERO + secs(13)), one + secs(11));
    }

    #[test]
    fn a_timeout_never_fires_before_its_host_time() {
        let mut clock = Clock::default();
        clock.skew(SimTime::ZERO, -333);
        for n in 0..1_000 {
            let due = HostTime::ZERO + ms(n) + ns(n * 7);
            assert!(clock.to_host(clock.to_sim(due)) >= due);
        }
    }
}
