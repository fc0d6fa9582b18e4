//! Retransmission timeout (RFC 6298).

use super::Knobs;
use crate::time::{HostTime, Span, ns};
use crate::wire::Seq;

/// The estimator and the state of the timer's backoff.
#[derive(Clone, Debug)]
pub(super) struct Rto {
    estimate: Option<Estimate>,
    /// RTO without backoff.
    base: Span,
    /// The segment being timed: its last octet is before this number, and when it left.
    timed: Option<(Seq, HostTime)>,
    /// Timeouts in a row; each doubles the RTO.
    pub(super) backoff: u8,
    /// Tries in a row without any sign of life, for giving up.
    pub(super) tries: u8,
    /// When the first of these tries was made; while something is unacknowledged.
    pub(super) since: Option<HostTime>,
}

/// Smoothed round-trip time and its variation.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    srtt: u64,
    rttvar: u64,
}

impl Rto {
    pub(super) fn new(knobs: &Knobs) -> Rto {
        Rto { estimate: None, base: knobs.rto_init, timed: None, backoff: 0, tries: 0, since: None }
    }

    /// The RTO as it stands, backed off.
    pub(super) fn current(&self, knobs: &Knobs) -> Span {
        // RFC 6298 5.5: "The host MUST set RTO <- RTO * 2"; 2.5: a maximum MAY bound it.
        let doubled = self.base * 1u64.checked_shl(u32::from(self.backoff)).unwrap_or(u64::MAX);
        doubled.min(knobs.rto_max)
    }

    /// How long the tries so far have lasted.
    pub(super) fn elapsed(&self, now: HostTime) -> Span {
        self.since.map_or(Span::ZERO, |since| now.since(since))
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
    pub(super) fn acked(&mut self, ack: Seq, echo: Option<Span>, all: bool, now: HostTime, knobs: &Knobs) {
        let measured = match self.timed {
            Some((end, sent)) if ack.ge(end) => {
                self.timed = None;
                Some(now.since(sent))
            }
            _ => None,
        };
        if let Some(rtt) = echo.or(measured) {
            // RFC 6298 5: only a new measurement collapses a backed-off RTO; the count of tries starts anew anyway.
            self.measure(rtt, knobs);
            self.backoff = 0;
        }
        self.alive(now);
        if all {
            self.since = None;
        }
    }

    /// The peer shows that it lives: the count towards giving up starts anew.
    pub(super) fn alive(&mut self, now: HostTime) {
        self.tries = 0;
        self.since = Some(now);
    }

    /// The timer fired.
    pub(super) fn timed_out(&mut self, backs_off: bool) {
        self.tries = self.tries.saturating_add(1);
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
            None => Estimate { srtt: r, rttvar: r / 2 },
            Some(Estimate { srtt, rttvar }) => {
                // RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'|; SRTT <- 7/8 SRTT + 1/8 R'
                Estimate { rttvar: rttvar - rttvar / 4 + srtt.abs_diff(r) / 4, srtt: srtt - srtt / 8 + r / 8 }
            }
        };
        self.estimate = Some(new);
        let margin = knobs.clock_granularity.max(ns(new.rttvar) * 4);
        self.base = (ns(new.srtt) + margin).max(knobs.rto_min).min(knobs.rto_max);
    }

    /// Smoothed round-trip time, once there is a measurement.
    pub(super) fn srtt(&self) -> Option<Span> {
        self.estimate.map(|e| ns(e.srtt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn first_and_second_measurement() {
        let knobs = Knobs { rto_min: ms(1), ..Knobs::default() };
        let mut rto = Rto::new(&knobs);
        assert_eq!(rto.current(&knobs), secs(1));
        let at = |n| HostTime::ZERO + ms(n);
        rto.sent(Seq(10), at(0));
        rto.acked(Seq(10), None, true, at(80), &knobs);
        // SRTT = 80, RTTVAR = 40, RTO = 80 + 160.
        assert_eq!((rto.srtt(), rto.current(&knobs)), (Some(ms(80)), ms(240)));
        rto.sent(Seq(20), at(100));
        rto.acked(Seq(20), None, true, at(260), &knobs);
        // RTTVAR = 30 + 20, SRTT = 70 + 20, RTO = 90 + 200.
        assert_eq!((rto.srtt(), rto.current(&knobs)), (Some(ms(90)), ms(290)));
    }

    #[test]
    fn backoff_doubles_up_to_the_bound_and_karn_holds_it() {
        let knobs = Knobs::default();
        let mut rto = Rto::new(&knobs);
        rto.sent(Seq(10), HostTime::ZERO);
        let spans: Vec<_> = (0..8)
            .map(|_| {
                rto.timed_out(true);
                rto.current(&knobs)
            })
            .collect();
        assert_eq!(spans, [2, 4, 8, 16, 32, 60, 60, 60].map(secs));
        assert_eq!(rto.tries, 8);
        // No measurement comes from a segment that was sent twice.
        rto.acked(Seq(10), None, true, HostTime::ZERO + secs(200), &knobs);
        assert_eq!((rto.srtt(), rto.tries, rto.current(&knobs)), (None, 0, secs(60)));
        rto.sent(Seq(20), HostTime::ZERO + secs(201));
        rto.acked(Seq(20), None, true, HostTime::ZERO + secs(202), &knobs);
        assert_eq!(rto.current(&knobs), secs(3));
    }
}
