//! The congestion window, in segments: growth, reduction by PRR (RFC 6937), validation (RFC 7661's concern, by Linux's
//! own means).

use super::cubic::Cubic;
use super::{Moment, Sender};
use crate::endpoint::{CaState, Congestion};
use crate::tcp::{Knobs, Route};
use crate::time::HostTime;
use crate::wire::Seq;

/// `TCP_INFINITE_SSTHRESH`.
pub(in crate::tcp) const NO_THRESHOLD: u32 = 0x7fff_ffff;

/// cwnd and ssthresh, and what they are made of.
#[derive(Clone, Debug)]
pub(in crate::tcp) struct Window {
    /// `snd_cwnd`.
    pub(in crate::tcp) cwnd: u32,
    /// `snd_ssthresh`.
    pub(in crate::tcp) ssthresh: u32,
    /// Acknowledged towards the next increase.
    counted: u64,
    /// The window when a reduction began.
    pub(super) prior_cwnd: u32,
    /// The threshold before it; none where the reduction must stand.
    pub(super) prior_ssthresh: Option<u32>,
    prr_delivered: u32,
    pub(super) prr_out: u32,
    usage: Usage,
    pub(super) congestion: Congestion,
    pub(super) cubic: Cubic,
    initial: u32,
}

/// Whether the window limits the sender at all.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// `is_cwnd_limited`.
    is_limited: bool,
    /// `max_packets_out` in the window up to `round`.
    most: u32,
    round: Seq,
    /// `snd_cwnd_used`.
    used: u32,
    /// `snd_cwnd_stamp`.
    stamp: HostTime,
}

impl Window {
    pub(super) fn new(knobs: &Knobs, route: &Route) -> Window {
        let initial = route.initial_window.unwrap_or(u32::from(knobs.initial_window.unwrap_or(10)));
        Window {
            cwnd: initial,
            ssthresh: NO_THRESHOLD,
            counted: 0,
            prior_cwnd: 0,
            prior_ssthresh: None,
            prr_delivered: 0,
            prr_out: 0,
            usage: Usage::default(),
            congestion: route.congestion.unwrap_or(knobs.losses.congestion),
            cubic: Cubic::default(),
            initial,
        }
    }

    /// `tcp_init_transfer()`: one segment after a SYN that was sent more than twice.
    pub(super) fn start(&mut self, at: &Moment<'_>, resent: u8) {
        self.cwnd = if resent > 1 { 1 } else { self.initial };
        self.usage.stamp = at.now;
        self.usage.round = at.nxt;
        self.cubic = Cubic::new(at);
    }

    fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// `tcp_is_cwnd_limited()`.
    fn is_limited(&self) -> bool {
        self.usage.is_limited || (self.in_slow_start() && self.cwnd < 2 * self.usage.most)
    }

    /// `CA_EVENT_TX_START`.
    pub(super) fn on_start(&mut self, at: &Moment<'_>, last: Option<HostTime>) {
        if let Some(last) = last {
            let idle = at.ticks() - last.as_nanos() / at.tick();
            self.cubic.on_start(at.ticks(), idle);
        }
    }

    /// `tcp_cong_avoid()`: so many segments have arrived.
    pub(super) fn grow(&mut self, at: &Moment<'_>, acked: u32) {
        if !self.is_limited() {
            self.usage.stamp = at.now;
            return;
        }
        let mut acked = acked;
        if self.in_slow_start() {
            let grown = (self.cwnd + acked).min(self.ssthresh);
            acked -= grown - self.cwnd;
            self.cwnd = grown;
        }
        if acked > 0 {
            let per = match self.congestion {
                Congestion::Reno => u64::from(self.cwnd),
                Congestion::Cubic => self.cubic.update(at, self.cwnd, acked),
            };
            self.grow_by_one(per, acked);
        }
        self.usage.stamp = at.now;
    }

    /// `tcp_cong_avoid_ai()`: one more for each `per`.
    fn grow_by_one(&mut self, per: u64, acked: u32) {
        if self.counted >= per {
            (self.counted, self.cwnd) = (0, self.cwnd + 1);
        }
        self.counted += u64::from(acked);
        if self.counted >= per {
            let more = self.counted / per;
            self.counted -= more * per;
            self.cwnd += u32::try_from(more).unwrap_or(0);
        }
    }

    /// `tcp_current_ssthresh()`.
    pub(super) fn current_ssthresh(&self, state: CaState) -> u32 {
        if matches!(state, CaState::Cwr | CaState::Recovery) {
            self.ssthresh
        } else {
            self.ssthresh.max(self.cwnd / 2 + self.cwnd / 4)
        }
    }

    /// `tcp_cwnd_validate()`, at the end of a burst with `out` segments out of which `in_flight` fly.
    pub(super) fn validate(
        &mut self,
        at: &Moment<'_>,
        out: u32,
        is_limited: bool,
        (state, is_blocked): (CaState, bool),
    ) {
        let usage = &mut self.usage;
        if at.una.ge(usage.round) || is_limited || (!usage.is_limited && out > usage.most) {
            (usage.is_limited, usage.most, usage.round) = (is_limited, out, at.nxt);
        }
        if self.is_limited() {
            (self.usage.used, self.usage.stamp) = (0, at.now);
            return;
        }
        self.usage.used = self.usage.used.max(out);
        let idle = at.now.since(self.usage.stamp);
        if at.knobs.restart_after_idle && idle >= at.rto {
            self.shrink_to_use(at, state, is_blocked);
        }
    }

    /// `tcp_cwnd_application_limited()`: half way to what was used.
    fn shrink_to_use(&mut self, at: &Moment<'_>, state: CaState, is_blocked: bool) {
        if state == CaState::Open && !is_blocked {
            let used = self.usage.used.max(self.initial);
            if used < self.cwnd {
                self.ssthresh = self.current_ssthresh(state);
                self.cwnd = u32::midpoint(self.cwnd, used);
            }
            self.usage.used = 0;
        }
        self.usage.stamp = at.now;
    }

    /// `tcp_cwnd_restart()`: the window is halved for each RTO without data, down to the initial one.
    pub(super) fn restart(&mut self, at: &Moment<'_>, idle: u64, state: CaState) {
        let rto = at.rto.as_nanos().div_ceil(at.tick()).max(1);
        self.ssthresh = self.current_ssthresh(state);
        let least = self.initial.min(self.cwnd);
        let (mut left, mut cwnd) = (idle, self.cwnd);
        while left > rto && cwnd > least {
            left -= rto;
            cwnd /= 2;
        }
        self.cwnd = cwnd.max(least);
        (self.usage.stamp, self.usage.used) = (at.now, 0);
    }

    pub(super) fn set(&mut self, at: &Moment<'_>, cwnd: u32) {
        (self.cwnd, self.usage.stamp) = (cwnd, at.now);
    }

    pub(super) fn forget_count(&mut self) {
        self.counted = 0;
    }

    /// `tcp_init_cwnd_reduction()`, with the threshold that the algorithm wants.
    pub(super) fn begin_reduction(&mut self, ssthresh: u32) {
        (self.counted, self.prior_cwnd, self.prr_delivered, self.prr_out) = (0, self.cwnd, 0, 0);
        self.ssthresh = ssthresh;
    }

    /// `tcp_cwnd_reduction()` (RFC 6937): `arrived` more segments, `lost` more lost; `forward`: SND.UNA moved.
    pub(super) fn reduce(&mut self, in_flight: u32, arrived: u32, lost: u32, forward: bool) {
        if arrived == 0 || self.prior_cwnd == 0 {
            return;
        }
        self.prr_delivered += arrived;
        let quota = if in_flight > self.ssthresh {
            let share = u64::from(self.ssthresh) * u64::from(self.prr_delivered);
            i64::try_from(share.div_ceil(u64::from(self.prior_cwnd))).unwrap_or(i64::MAX) - i64::from(self.prr_out)
        } else {
            let conserved = i64::from(self.prr_delivered) - i64::from(self.prr_out);
            let most = conserved.max(i64::from(arrived)) + i64::from(forward && lost == 0);
            most.min(i64::from(self.ssthresh - in_flight))
        };
        // The first retransmission goes in any case.
        let quota = quota.max(i64::from(self.prr_out == 0));
        self.cwnd = u32::try_from(i64::from(in_flight) + quota).unwrap_or(0);
    }

    /// The undoing of a reduction (`tcp_undo_cwnd_reduction()`); whether there was one to undo.
    pub(super) fn undo(&mut self, at: &Moment<'_>) {
        if let Some(prior) = self.prior_ssthresh {
            self.cwnd = self.cwnd.max(self.prior_cwnd);
            self.ssthresh = self.ssthresh.max(prior);
        }
        self.usage.stamp = at.now;
    }
}

impl Sender {
    /// `tcp_slow_start_after_idle_check()`: new data is queued, or its window opens, after a silence.
    pub(in crate::tcp) fn check_idle(&mut self, at: &Moment<'_>) {
        let Some(last) = self.last_data.filter(|_| at.knobs.restart_after_idle && self.queue.is_empty()) else {
            return;
        };
        let idle = at.ticks() - last.as_nanos() / at.tick();
        if idle > at.rto.as_nanos().div_ceil(at.tick()) {
            self.window.restart(at, idle, self.state);
        }
    }

    /// The end of a burst (`tcp_write_xmit()`): whether the window was used.
    pub(in crate::tcp) fn end_burst(&mut self, at: &Moment<'_>, is_blocked: bool) -> bool {
        let is_limited = std::mem::take(&mut self.deferred) || self.queue.in_flight() >= self.window.cwnd;
        let sent = std::mem::take(&mut self.has_sent);
        if sent || is_limited {
            self.window.validate(at, self.queue.len(), is_limited, (self.state, is_blocked));
        }
        sent
    }

    /// Whether the congestion window is what holds back.
    pub(in crate::tcp) fn is_window_limited(&self) -> bool {
        self.queue.in_flight() >= self.window.cwnd
    }

    /// `tcp_tso_segs()`: segments in one unit, by what goes in a millisecond and how near the peer is.
    pub(in crate::tcp) fn unit_segments(&self, at: &Moment<'_>) -> u32 {
        let most = u64::from(super::writes::GSO_BYTES);
        let near = self.min_rtt().map_or(0, |rtt| most.checked_shr(u32::try_from(rtt >> 9).unwrap_or(64)).unwrap_or(0));
        let bytes = (at.rate(&self.window, self.queue.len()) >> 10).saturating_add(near).min(most);
        u32::try_from(bytes / u64::from(at.mss.max(1)))
            .unwrap_or(u32::MAX)
            .max(at.knobs.losses.units.0)
            .clamp(1, super::writes::GSO_SEGMENTS)
    }

    /// `tcp_cwnd_test()`: segments that one more unit may have.
    pub(in crate::tcp) fn quota(&self) -> u32 {
        let (in_flight, cwnd) = (self.queue.in_flight(), self.window.cwnd);
        if in_flight >= cwnd { 0 } else { (cwnd / 2).max(1).min(cwnd - in_flight) }
    }
}
