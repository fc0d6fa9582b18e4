//! Retransmission timeout (RFC 6298).

use super::{Knobs, RttRule};
use crate::time::{HostTime, Span, ns, us};
use crate::wire::Seq;

/// The estimator and the state of the timer's backoff.
#[derive(Clone, Debug)]
pub(super) struct Rto {
    estimate: Option<Estimate>,
    /// RTO without backoff.
    base: Span,
    /// The least RTO, where the route has one of its own.
    least: Option<Span>,
    /// The segment being timed: its last octet is before this number, and when it left.
    timed: Option<(Seq, HostTime)>,
    /// Timeouts in a row; each doubles the RTO.
    pub(super) backoff: u8,
    /// Tries in a row without any sign of life, for giving up.
    pub(super) tries: u8,
    /// Timeouts in its whole life.
    pub(super) total: u16,
    /// When the first of these tries was made; while something is unacknowledged.
    pub(super) since: Option<HostTime>,
    /// When the first of them was repeated.
    pub(super) resent: Option<HostTime>,
}

/// Smoothed round-trip time and its variation.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    srtt: u64,
    rttvar: u64,
    /// [`RttRule::Linux`]: the mean deviation, the greatest of it in this round trip, and where the round trip ends.
    mdev: u64,
    mdev_max: u64,
    round: Seq,
}

impl Rto {
    /// `least`: the least RTO, where the route has one of its own.
    pub(super) fn new(knobs: &Knobs, least: Option<Span>) -> Rto {
        Rto {
            estimate: None,
            base: knobs.rto_init,
            least,
            timed: None,
            backoff: 0,
            tries: 0,
            total: 0,
            since: None,
            resent: None,
        }
    }

    /// The RTO as it stands, backed off.
    pub(super) fn current(&self, knobs: &Knobs) -> Span {
        // RFC 6298 5.5: "The host MUST set RTO <- RTO * 2"; 2.5: a maximum MAY bound it.
        let doublings = self.backoff.min(knobs.rto_doublings);
        let doubled = self.base * 1u64.checked_shl(u32::from(doublings)).unwrap_or(u64::MAX);
        let is_first = self.estimate.is_none() && self.backoff == 0;
        (doubled + if is_first { Span::ZERO } else { knobs.rto_slop }).min(knobs.rto_max)
    }

    /// The least RTO of this connection.
    pub(super) fn least(&self, knobs: &Knobs) -> Span {
        self.least.unwrap_or(knobs.rto_min)
    }

    /// A segment that ends before `end` leaves for the first time.
    pub(super) fn sent(&mut self, end: Seq, now: HostTime) {
        self.timed.get_or_insert((end, now));
        self.since.get_or_insert(now);
    }

    /// Something is sent again: what is being timed may be it (Karn's algorithm, RFC 6298 3).
    pub(super) fn resent(&mut self) {
        self.timed = None;
    }

    /// `ack` acknowledges new data; `echo` is the round trip its timestamp shows, where there is one.
    /// The round trip, where this measured one.
    #[inline]
    pub(super) fn acked(
        &mut self,
        ack: Seq,
        echo: Option<Span>,
        nxt: Seq,
        now: HostTime,
        knobs: &Knobs,
    ) -> Option<Span> {
        let measured = match self.timed {
            Some((end, sent)) if ack.ge(end) => {
                self.timed = None;
                Some(now.since(sent))
            }
            _ => None,
        };
        let rtt = match knobs.rtt {
            RttRule::Rfc6298 => echo.or(measured),
            // Its own clock is finer than that of timestamps.
            RttRule::Linux => measured.or(echo),
        };
        if let Some(rtt) = rtt {
            self.measured(rtt, (ack, nxt), knobs);
        }
        self.alive(now);
        if ack == nxt {
            self.since = None;
        }
        rtt
    }

    /// A round trip was measured; `una` and `nxt` are SND.UNA and SND.NXT.
    #[inline]
    pub(super) fn measured(&mut self, rtt: Span, (una, nxt): (Seq, Seq), knobs: &Knobs) {
        match knobs.rtt {
            RttRule::Rfc6298 => self.measure(rtt, knobs),
            RttRule::Linux => self.measure_as_linux(rtt, (una, nxt), knobs),
        }
        // RFC 6298 5: only a new measurement collapses a backed-off RTO; the count of tries starts anew anyway.
        self.backoff = 0;
    }

    /// The peer shows that it lives: the count towards giving up starts anew.
    pub(super) fn alive(&mut self, now: HostTime) {
        self.tries = 0;
        self.since = Some(now);
        self.resent = None;
    }

    /// The timer fired.
    pub(super) fn timed_out(&mut self, backs_off: bool, now: HostTime) {
        (self.tries, self.total) = (self.tries.saturating_add(1), self.total.saturating_add(1));
        self.resent.get_or_insert(now);
        if backs_off {
            self.backoff = self.backoff.saturating_add(1);
        }
        self.timed = None;
    }

    /// The handshake is over; a SYN that had to be sent again leaves a careful RTO (RFC 6298 5.7).
    pub(super) fn handshake_done(&mut self, syn_resent: bool, knobs: &Knobs) {
        if syn_resent && self.estimate.is_none() {
            self.base = self.base.max(knobs.rto_after_syn_loss);
        }
    }

    /// RFC 6298 2.2 and 2.3.
    fn measure(&mut self, rtt: Span, knobs: &Knobs) {
        let r = rtt.as_nanos();
        let new = match self.estimate {
            None => Estimate { srtt: r, rttvar: r / 2, ..Estimate::default() },
            Some(Estimate { srtt, rttvar, .. }) => {
                // RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'|; SRTT <- 7/8 SRTT + 1/8 R'
                let (rttvar, srtt) = (rttvar - rttvar / 4 + srtt.abs_diff(r) / 4, srtt - srtt / 8 + r / 8);
                Estimate { srtt, rttvar, ..Estimate::default() }
            }
        };
        self.estimate = Some(new);
        let margin = knobs.clock_granularity.max(ns(new.rttvar) * 4);
        self.base = (ns(new.srtt) + margin).max(self.least(knobs)).min(knobs.rto_max);
    }

    /// `tcp_rtt_estimator()` in tcp_input.c: eighths of microseconds, quarters for the deviation. The variation follows
    /// the greatest deviation of a round trip at once, and falls a quarter of the way a round trip. `una` and `nxt` are
    /// SND.UNA and SND.NXT.
    #[inline(never)]
    fn measure_as_linux(&mut self, rtt: Span, (una, nxt): (Seq, Seq), knobs: &Knobs) {
        let r = (rtt.as_nanos() / 1_000).max(1);
        let least = self.least(knobs).as_nanos() / 1_000;
        let new = match self.estimate {
            None => {
                let rttvar = (2 * r).max(least);
                Estimate { srtt: 8 * r, rttvar, mdev: 2 * r, mdev_max: rttvar, round: nxt }
            }
            Some(mut e) => {
                let mean = e.srtt / 8;
                e.srtt = (e.srtt + r).saturating_sub(mean).max(1);
                let (error, quarter) = (r.abs_diff(mean), e.mdev / 4);
                // A deviation downwards counts an eighth where it would raise the mean deviation.
                e.mdev = match error.checked_sub(quarter) {
                    Some(more) if r < mean => e.mdev + more / 8,
                    Some(more) => e.mdev + more,
                    None => e.mdev - (quarter - error),
                };
                e.mdev_max = e.mdev_max.max(e.mdev);
                e.rttvar = e.rttvar.max(e.mdev_max);
                if una.gt(e.round) {
                    e.rttvar -= e.rttvar.saturating_sub(e.mdev_max) / 4;
                    (e.round, e.mdev_max) = (nxt, least);
                }
                e
            }
        };
        self.estimate = Some(new);
        // icsk_rto is in ticks, and so are its doubles.
        let tick = knobs.ticks.length.map_or(1, Span::as_nanos).max(1);
        self.base = ns(us(new.srtt / 8 + new.rttvar).as_nanos().next_multiple_of(tick)).min(knobs.rto_max);
    }

    /// Smoothed round-trip time, once there is a measurement.
    pub(super) fn srtt(&self) -> Option<Span> {
        self.estimate.map(|e| match e.mdev {
            0 => ns(e.srtt),
            _ => us(e.srtt / 8),
        })
    }

    /// Its variation, likewise.
    pub(super) fn rttvar(&self) -> Option<Span> {
        self.estimate.map(|e| match e.mdev {
            0 => ns(e.rttvar),
            // tcp_get_info()
            mdev => us(mdev / 4),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn first_and_second_measurement() {
        let knobs = Knobs { rto_min: ms(1), ..Knobs::default() };
        let mut rto = Rto::new(&knobs, None);
        assert_eq!(rto.current(&knobs), secs(1));
        let at = |n| HostTime::ZERO + ms(n);
        rto.sent(Seq(10), at(0));
        rto.acked(Seq(10), None, Seq(10), at(80), &knobs);
        // SRTT = 80, RTTVAR = 40, RTO = 80 + 160.
        assert_eq!((rto.srtt(), rto.current(&knobs)), (Some(ms(80)), ms(240)));
        rto.sent(Seq(20), at(100));
        rto.acked(Seq(20), None, Seq(20), at(260), &knobs);
        // RTTVAR = 30 + 20, SRTT = 70 + 20, RTO = 90 + 200.
        assert_eq!((rto.srtt(), rto.current(&knobs)), (Some(ms(90)), ms(290)));
    }

    #[test]
    fn backoff_doubles_up_to_the_bound_and_karn_holds_it() {
        let knobs = Knobs::default();
        let mut rto = Rto::new(&knobs, None);
        rto.sent(Seq(10), HostTime::ZERO);
        let spans: Vec<_> = (0..8)
            .map(|_| {
                rto.timed_out(true, HostTime::ZERO);
                rto.current(&knobs)
            })
            .collect();
        assert_eq!(spans, [2, 4, 8, 16, 32, 60, 60, 60].map(secs));
        assert_eq!(rto.tries, 8);
        // No measurement comes from a segment that was sent twice.
        rto.acked(Seq(10), None, Seq(10), HostTime::ZERO + secs(200), &knobs);
        assert_eq!((rto.srtt(), rto.tries, rto.current(&knobs)), (None, 0, secs(60)));
        rto.sent(Seq(20), HostTime::ZERO + secs(201));
        rto.acked(Seq(20), None, Seq(20), HostTime::ZERO + secs(202), &knobs);
        assert_eq!(rto.current(&knobs), secs(3));
    }
}
