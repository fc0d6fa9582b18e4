//! An acknowledgment: what it covers, round trips, and what follows (`tcp_ack()`, `tcp_clean_rtx_queue()`).

use super::alert::Cause;
use super::chrono::Wait;
use super::queue::{Sent, Tags};
use super::{Due, Moment, Sender, sent_after};
use crate::endpoint::{CaState, Congestion};
use crate::tcp::Tally;
use crate::tcp::rto::Rto;
use crate::time::{HostTime, Span, us};
use crate::wire::{SackBlocks, Seq};

bitflags::bitflags! {
    /// What an acknowledgment has brought (the kernel's `FLAG_*`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(in crate::tcp) struct News: u16 {
        /// The segment has data.
        const DATA = 1;
        /// It updates the window.
        const WINDOW = 2;
        /// Something is newly acknowledged.
        const ACKED = 4;
        /// Something that was sent again.
        const RESENT_ACKED = 8;
        /// Our SYN.
        const SYN_ACKED = 16;
        /// Something newly selectively acknowledged.
        const SACKED = 32;
        /// ECN echo.
        const ECE = 64;
        /// SND.UNA has moved.
        const FORWARD = 128;
        /// Something that left once and before the recovery: a timeout may have been spurious.
        const ORIGINAL = 256;
        /// A D-SACK that counts.
        const DSACK = 512;
        /// It is about a tail loss probe.
        const DSACK_OF_PROBE = 1024;
        /// The first in flight is selectively acknowledged: the peer has changed its mind.
        const RENEGING = 2048;
        /// The retransmission timer starts anew.
        const SET_TIMER = 4096;
        /// Retransmissions were lost.
        const LOST_RESENT = 8192;
        /// A lone small segment: its acknowledgment may have been delayed.
        const MAYBE_DELAYED = 16384;
    }
}

impl News {
    /// `FLAG_NOT_DUP`.
    pub(super) const NOT_DUPLICATE: News = News::DATA.union(News::WINDOW).union(News::ACKED);
    /// `FLAG_CA_ALERT`.
    const ALERT: News = News::SACKED.union(News::ECE).union(News::DSACK);
}

/// The segment at hand, as far as the sender is concerned.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Incoming<'a> {
    pub(in crate::tcp) ack: Seq,
    pub(in crate::tcp) sacks: Option<SackBlocks<'a>>,
    /// TSecr, where there are timestamps and it is not 0.
    pub(in crate::tcp) echo: Option<u32>,
    /// The round trip that the echo shows.
    pub(in crate::tcp) echo_rtt: Option<Span>,
    /// What is known of it before its acknowledgment is looked at.
    pub(in crate::tcp) news: News,
}

/// What it has brought so far.
#[derive(Clone, Debug)]
pub(in crate::tcp) struct Acked {
    pub(super) news: News,
    /// The lowest segment that arrived late.
    pub(super) reordered: Seq,
    pub(super) first_sacked: Option<HostTime>,
    pub(super) last_sacked: Option<HostTime>,
    pub(super) delivered_by_sack: u32,
    /// The latest-sent segment among those that arrived, and what had been delivered when it left.
    latest: Option<(HostTime, Seq, u32)>,
}

/// What follows for the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Next {
    /// They stay as they are.
    Keep,
    /// The loss probe, or else the RTO, starts anew.
    Restart,
    /// Reordering is waited out.
    Reorder(Span),
    /// The RTO comes this soon: the peer may be reneging.
    Soon(Span),
}

impl Acked {
    fn new(news: News, nxt: Seq) -> Acked {
        Acked { news, reordered: nxt, first_sacked: None, last_sacked: None, delivered_by_sack: 0, latest: None }
    }

    /// `tcp_rate_skb_delivered()`.
    pub(super) fn note_delivered(&mut self, sent: &Sent) {
        if self.latest.is_none_or(|(at, end, _)| sent_after((sent.at, sent.end), (at, end))) {
            self.latest = Some((sent.at, sent.end, sent.delivered));
        }
    }
}

impl Sender {
    /// An acknowledgment that is not too old came; SND.UNA and the window are moved already. `prior` is SND.UNA before.
    /// What it means for the timers.
    pub(in crate::tcp) fn on_ack(
        &mut self,
        at: &mut Moment<'_>,
        rto: &mut Rto,
        seg: &Incoming<'_>,
        prior: Seq,
    ) -> Next {
        let mut acked = Acked::new(seg.news, at.nxt);
        let (delivered, lost) = (self.delivered, self.queue.ever_lost);
        let (prior_segments, prior_highest) = (self.queue.len(), self.queue.highest_sack(prior));
        let prior_highest = if at.sack { prior_highest } else { at.una };
        if at.sack && seg.sacks.is_some() {
            self.take_sacks(at, seg, prior, &mut acked);
            self.delivered += acked.delivered_by_sack;
        }
        let mut next = Next::Keep;
        if prior_segments == 0 {
            if acked.news.contains(News::DSACK) {
                next = self.alert(at, &mut acked, seg, prior, 0);
            }
            self.settle_probe(at, seg.ack, acked.news);
            return next;
        }
        self.clean(at, rto, seg, (prior, prior_highest), &mut acked);
        self.rack_widen(acked.latest.map(|latest| latest.2));
        self.settle_probe(at, seg.ack, acked.news);
        let dubious = !acked.news.intersects(News::NOT_DUPLICATE)
            || acked.news.intersects(News::ALERT)
            || self.state != CaState::Open;
        if dubious {
            let counts = News::FORWARD | News::NOT_DUPLICATE | News::DSACK;
            let duplicate = u32::from(!acked.news.intersects(counts));
            next = self.alert(at, &mut acked, seg, prior, duplicate);
        }
        if acked.news.contains(News::SET_TIMER) && next == Next::Keep {
            next = Next::Restart;
        }
        if acked.news.contains(News::ECE) {
            self.marked += self.delivered - delivered;
        }
        let (arrived, lost) = (self.delivered - delivered, self.queue.ever_lost - lost);
        self.control(at, &acked, arrived, lost);
        next
    }

    /// An acknowledgment of what was acknowledged long ago: only its blocks count.
    pub(in crate::tcp) fn on_old_ack(&mut self, at: &mut Moment<'_>, seg: &Incoming<'_>) -> Next {
        let mut acked = Acked::new(seg.news, at.nxt);
        if !at.sack || seg.sacks.is_none() {
            return Next::Keep;
        }
        self.take_sacks(at, seg, at.una, &mut acked);
        self.delivered += acked.delivered_by_sack;
        let prior = at.una;
        self.alert(at, &mut acked, seg, prior, 0)
    }

    /// `tcp_cong_control()`.
    fn control(&mut self, at: &Moment<'_>, acked: &Acked, arrived: u32, lost: u32) {
        if self.is_reducing() {
            self.window.reduce(self.queue.in_flight(), arrived, lost, acked.news.contains(News::FORWARD));
            return;
        }
        // Where much is reordered, what arrives out of order counts as well.
        let progress = match self.reordering > at.knobs.losses.reordering {
            true => acked.news.intersects(News::ACKED | News::SACKED),
            false => acked.news.contains(News::ACKED) && !acked.news.contains(News::SYN_ACKED),
        };
        if progress {
            self.window.grow(at, arrived);
        }
    }

    /// `tcp_clean_rtx_queue()`.
    fn clean(
        &mut self,
        at: &mut Moment<'_>,
        rto: &mut Rto,
        seg: &Incoming<'_>,
        (prior, prior_highest): (Seq, Seq),
        acked: &mut Acked,
    ) {
        let prior_sacked = self.queue.sacked;
        let mut gone = Gone { first: None, last: None, count: 0, lowest: at.nxt };
        while let Some(&sent) = self.queue.first().filter(|sent| sent.end.le(at.una)) {
            self.take_acked(at, seg, sent, &mut gone, acked);
        }
        self.queue.trim_first(at.una);
        if self.queue.is_empty() {
            self.waited_for(at, Wait::Busy);
        }
        acked.news.set(News::RENEGING, self.queue.first().is_some_and(|sent| sent.tags.contains(Tags::SACKED)));
        let measured = gone.first.zip(gone.last).filter(|_| !acked.news.contains(News::RESENT_ACKED));
        let mut seq_rtt = measured.map(|(first, _)| at.since(first));
        let mut path_rtt = measured.map(|(_, last)| at.since(last));
        if measured.is_some() {
            let small = at.una.since(prior) < at.mss && gone.count == 1 && prior_sacked == 0;
            let lone = acked.latest.is_some_and(|(_, _, delivered)| delivered + 1 == self.delivered);
            let quiet = !acked.news.intersects(News::ALERT | News::SYN_ACKED);
            acked.news.set(News::MAYBE_DELAYED, small && lone && quiet);
        }
        let sack_rtt = acked.first_sacked.map(|first| at.since(first));
        path_rtt = acked.last_sacked.map(|last| at.since(last)).or(path_rtt);
        seq_rtt = seq_rtt.or(sack_rtt);
        if seq_rtt.is_none() && acked.news.contains(News::ACKED) {
            let echoed = seg.echo_rtt.map(|rtt| rtt.as_nanos() / 1_000);
            (seq_rtt, path_rtt) = (echoed, echoed);
        }
        if let Some(seq_rtt) = seq_rtt {
            let delayed = acked.news.contains(News::MAYBE_DELAYED);
            self.note_round_trip(at, rto, (seq_rtt, path_rtt.unwrap_or(seq_rtt)), delayed);
        }
        if acked.news.contains(News::ACKED) {
            acked.news |= News::SET_TIMER;
            if at.sack {
                // A hole that was not sent again is filled: what fills it was late.
                if gone.lowest.lt(prior_highest) {
                    self.check_reordering(at, gone.lowest, false);
                }
            } else {
                self.uncount_duplicates(at, gone.count);
                if acked.news.contains(News::RESENT_ACKED) {
                    acked.news -= News::ORIGINAL;
                }
            }
        } else if let (Some(first), Some(_), Some(sack_rtt)) = (self.queue.first(), seq_rtt, sack_rtt)
            && sack_rtt > at.since(first.at)
        {
            // The blocks tell of what left after the first segment left last: its timer starts anew.
            acked.news |= News::SET_TIMER;
        }
        if let Some(path) = path_rtt.filter(|_| self.window.congestion == Congestion::Cubic) {
            let slow_start = (self.window.cwnd < self.window.ssthresh).then_some(self.window.cwnd);
            if let Some(ssthresh) = self.window.cubic.on_round_trip(at, path, slow_start) {
                self.window.ssthresh = ssthresh;
            }
        }
    }

    /// One segment is acknowledged.
    fn take_acked(&mut self, at: &Moment<'_>, seg: &Incoming<'_>, sent: Sent, gone: &mut Gone, acked: &mut Acked) {
        let resent = sent.tags.intersects(Tags::RESENT | Tags::EVER_RESENT);
        if resent {
            acked.news |= News::RESENT_ACKED;
        } else if !sent.tags.contains(Tags::SACKED) {
            gone.first.get_or_insert(sent.at);
            gone.last = Some(sent.at);
            gone.lowest = gone.lowest.min(sent.seq);
            acked.news.set(News::ORIGINAL, acked.news.contains(News::ORIGINAL) || sent.end.le(self.high));
        }
        if !sent.tags.contains(Tags::SACKED) && at.sack {
            self.delivered += 1;
            let spurious = resent && echoes_before(seg.echo, at.stamp(sent.at));
            if !spurious {
                self.rack_advance(at, sent.tags, sent.end, sent.at);
            }
        }
        acked.note_delivered(&sent);
        acked.news |= News::ACKED;
        gone.count += 1;
        self.queue.pop();
    }

    /// Without SACK: one acknowledged segment was the hole, the others were told of by duplicates
    /// (`tcp_remove_reno_sacks()`).
    fn uncount_duplicates(&mut self, at: &Moment<'_>, count: u32) {
        if count > 0 {
            self.delivered += count.saturating_sub(self.queue.sacked).max(1);
            self.queue.sacked = self.queue.sacked.saturating_sub(count - 1);
        }
        self.limit_duplicates(at, count);
    }

    /// `tcp_process_tlp_ack()` (RFC 8985 7.4.2).
    fn settle_probe(&mut self, at: &Moment<'_>, ack: Seq, news: News) {
        let Some(probe) = self.probe.filter(|probe| ack.ge(probe.end)) else { return };
        if !probe.is_resent || news.contains(News::DSACK_OF_PROBE) {
            self.probe = None;
        } else if ack.gt(probe.end) {
            // Only the probe can have filled the hole: there was a loss.
            self.probe = None;
            self.reduce_once(at);
            self.count(Tally::LossProbeRecovery);
        } else if !news.intersects(News::FORWARD | News::NOT_DUPLICATE | News::SACKED) {
            self.probe = None;
        }
    }

    /// The retransmission timer fired after so many in a row: what follows is sent by [`Due::First`].
    pub(in crate::tcp) fn on_timeout(&mut self, at: &Moment<'_>) {
        self.enter_loss(at);
        self.due = Due::First;
    }

    /// The reordering window is over (`tcp_rack_reo_timeout()`).
    pub(in crate::tcp) fn on_reordering_timeout(&mut self, at: &Moment<'_>) {
        let (in_flight, lost) = (self.queue.in_flight(), self.queue.ever_lost);
        self.rack_detect(at);
        if in_flight != self.queue.in_flight() {
            if self.state != CaState::Recovery {
                self.enter_recovery(at, Cause::Loss);
                let lost = self.queue.ever_lost - lost;
                self.window.reduce(self.queue.in_flight(), 1, lost, false);
            }
            self.due = Due::Lost;
        }
    }

    /// When the first segment's RTO would be over, counted from when it left (`tcp_rto_delta_us()`); at least 1 µs.
    pub(in crate::tcp) fn rto_left(&self, at: &Moment<'_>) -> Span {
        let first = self.queue.first().map_or(at.now, |sent| sent.at);
        us((at.rto.as_nanos() / 1_000).saturating_sub(at.since(first)).max(1))
    }
}

/// What was acknowledged and had left only once.
struct Gone {
    first: Option<HostTime>,
    last: Option<HostTime>,
    count: u32,
    lowest: Seq,
}

/// `tcp_tsopt_ecr_before()`: whether the peer echoes a timestamp older than `stamp`.
pub(super) fn echoes_before(echo: Option<u32>, stamp: Option<u32>) -> bool {
    echo.zip(stamp).is_some_and(|(echo, stamp)| Seq(echo).lt(Seq(stamp)))
}
