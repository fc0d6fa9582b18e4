//! The states of loss recovery: Open, Disorder, CWR, Recovery, Loss (`tcp_fastretrans_alert()`), and what undoes them.

use super::acked::{Acked, Incoming, News, Next, echoes_before};
use super::queue::Tags;
use super::{Due, Moment, Sender};
use crate::endpoint::CaState;
use crate::tcp::Tally;
use crate::time::{ms, us};
use crate::wire::Seq;

/// What a recovery can be undone by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undo {
    /// SND.UNA when the window was reduced; none where nothing can be undone.
    pub(super) marker: Option<Seq>,
    /// Retransmissions that no D-SACK has told of; none before the first.
    resent: Option<u32>,
    /// `retrans_stamp`: our timestamp at the first retransmission, or 0 without timestamps.
    stamp: Option<u32>,
}

impl Undo {
    /// A segment was sent again.
    pub(super) fn resent(&mut self, at: &Moment<'_>) {
        self.resent = Some(self.resent.unwrap_or(0) + 1);
        self.stamp.get_or_insert(at.stamp(at.now).unwrap_or(0));
    }

    /// So many of them were superfluous.
    pub(super) fn duplicated(&mut self, segments: u32) {
        self.resent = self.resent.map(|resent| resent.saturating_sub(segments));
    }
}

/// Why a recovery is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Cause {
    /// Segments are lost.
    Loss,
    /// The network has marked congestion: nothing to undo.
    Ece,
}

impl Sender {
    /// `tcp_fastretrans_alert()`: an acknowledgment that is out of the ordinary, or came when something was.
    pub(super) fn alert(
        &mut self,
        at: &Moment<'_>,
        acked: &mut Acked,
        seg: &Incoming<'_>,
        prior: Seq,
        duplicates: u32,
    ) -> Next {
        let news = acked.news;
        let ece = news.contains(News::ECE);
        let mut do_lost = duplicates > 0 || (news.contains(News::SACKED) && self.force_retransmit(at));
        if self.queue.is_empty() && self.queue.sacked > 0 {
            self.queue.sacked = 0;
        }
        if ece {
            self.window.prior_ssthresh = None;
        }
        // The peer acknowledges what it said it had, and nothing before: does it still have it?
        if news.contains(News::RENEGING | News::FORWARD) {
            acked.news -= News::SET_TIMER;
            return Next::Soon(us(at.srtt.unwrap_or(0) / 2).max(ms(10)));
        }
        if self.leave_state(at, seg) {
            return Next::Keep;
        }
        let next = match self.state {
            CaState::Recovery => {
                if !news.contains(News::FORWARD) {
                    self.add_duplicates(at, duplicates);
                } else if self.undo_partial(at, seg, prior, &mut do_lost) {
                    return Next::Keep;
                }
                if self.undo_by_dsack(at) {
                    self.try_to_open(at, ece);
                }
                let next = self.identify_loss(at, acked);
                if self.state != CaState::Recovery {
                    if !self.time_to_recover(at) {
                        return next;
                    }
                    self.enter_recovery(at, cause(ece));
                }
                next
            }
            CaState::Loss => {
                self.process_loss(at, acked.news, seg, duplicates);
                let next = self.identify_loss(at, acked);
                if self.state != CaState::Open && !acked.news.contains(News::LOST_RESENT) {
                    return next;
                }
                return self.watch(at, acked, duplicates, do_lost, next);
            }
            CaState::Open | CaState::Disorder | CaState::Cwr => {
                return self.watch(at, acked, duplicates, do_lost, Next::Keep);
            }
        };
        if !Sender::uses_rack(at) && do_lost {
            self.update_scoreboard(at, false);
        }
        self.due = Due::Lost;
        next
    }

    /// The states in which nothing is taken for lost yet.
    fn watch(&mut self, at: &Moment<'_>, acked: &mut Acked, duplicates: u32, do_lost: bool, next: Next) -> Next {
        let ece = acked.news.contains(News::ECE);
        if !at.sack {
            if acked.news.contains(News::FORWARD) {
                self.queue.sacked = 0;
            }
            self.add_duplicates(at, duplicates);
        }
        if matches!(self.state, CaState::Open | CaState::Disorder) {
            self.undo_by_dsack(at);
        }
        let next = match self.identify_loss(at, acked) {
            Next::Keep => next,
            other => other,
        };
        if !self.time_to_recover(at) {
            self.try_to_open(at, ece);
            return next;
        }
        self.enter_recovery(at, cause(ece));
        if !Sender::uses_rack(at) && do_lost {
            self.update_scoreboard(at, true);
        }
        self.due = Due::Lost;
        next
    }

    /// The state ends where all up to its end is acknowledged; whether that is all there is to do.
    fn leave_state(&mut self, at: &Moment<'_>, seg: &Incoming<'_>) -> bool {
        if self.state == CaState::Open {
            self.undo.stamp = None;
            return false;
        }
        if at.una.lt(self.high) {
            return false;
        }
        match self.state {
            // Something beyond has to be acknowledged, so that CWR has reached the peer.
            CaState::Cwr if at.una != self.high => {
                self.end_reduction(at);
                self.state = CaState::Open;
            }
            CaState::Recovery => {
                if !at.sack {
                    self.queue.sacked = 0;
                }
                if self.undo_recovery(at, seg) {
                    return true;
                }
                self.end_reduction(at);
            }
            _ => {}
        }
        false
    }

    /// `tcp_process_loss()`, with F-RTO (RFC 5682 3.1).
    fn process_loss(&mut self, at: &Moment<'_>, news: News, seg: &Incoming<'_>, duplicates: u32) {
        let recovered = at.una.ge(self.high);
        if news.contains(News::FORWARD) && self.undo_loss(at, seg, false) {
            return;
        }
        if self.frto {
            // Step 3.b: what left once has arrived: the timeout was spurious.
            if news.contains(News::ORIGINAL) && self.undo_loss(at, seg, true) {
                return;
            }
            if at.nxt.gt(self.high) {
                if news.contains(News::SACKED) || duplicates > 0 {
                    self.frto = false;
                }
            } else if news.contains(News::FORWARD) && !recovered {
                self.high = at.nxt;
                // Step 2.b: new data tells, if there is any and the window takes it.
                if !self.writes.is_empty() && at.window_end.gt(at.nxt) {
                    self.due = Due::New(at.nxt);
                    return;
                }
                self.frto = false;
            }
        }
        if recovered {
            self.undo_recovery(at, seg);
            return;
        }
        if !at.sack {
            if at.nxt.gt(self.high) && duplicates > 0 {
                self.add_duplicates(at, duplicates);
            } else if news.contains(News::FORWARD) {
                self.queue.sacked = 0;
            }
        }
        self.due = Due::Lost;
    }

    /// `tcp_identify_packet_loss()`.
    fn identify_loss(&mut self, at: &Moment<'_>, acked: &mut Acked) -> Next {
        if self.queue.is_empty() {
            return Next::Keep;
        }
        if !at.sack {
            self.mark_first_lost(acked.news.contains(News::FORWARD));
        } else if Sender::uses_rack(at) {
            let resent = self.queue.resent;
            let wait = self.rack_mark_lost(at);
            if resent > self.queue.resent {
                acked.news |= News::LOST_RESENT;
            }
            if let Some(wait) = wait {
                acked.news -= News::SET_TIMER;
                return Next::Reorder(wait);
            }
        }
        Next::Keep
    }

    /// `tcp_newreno_mark_lost()` (RFC 6582).
    fn mark_first_lost(&mut self, forward: bool) {
        let early = !matches!(self.state, CaState::Recovery | CaState::Loss) && self.queue.sacked >= self.reordering;
        if early || (self.state == CaState::Recovery && forward) {
            let is_lost = self.queue.first().is_some_and(|sent| sent.tags.contains(Tags::LOST));
            if !is_lost {
                self.queue.mark_lost(0);
            }
        }
    }

    /// `tcp_time_to_recover()`.
    fn time_to_recover(&self, at: &Moment<'_>) -> bool {
        self.queue.lost > 0 || (!Sender::uses_rack(at) && self.queue.sacked + 1 > self.reordering)
    }

    /// `tcp_force_fast_retransmit()`.
    fn force_retransmit(&self, at: &Moment<'_>) -> bool {
        self.queue.highest_sack(at.una).gt(at.una + self.reordering * at.mss)
    }

    /// `tcp_update_scoreboard()` (RFC 6675): what has enough acknowledged above it is lost.
    fn update_scoreboard(&mut self, at: &Moment<'_>, first: bool) {
        if !at.sack {
            return;
        }
        if let Some(most) = self.queue.sacked.checked_sub(self.reordering) {
            let mut seen = 0;
            for place in 0..self.queue.len() as usize {
                let Some(&sent) = self.queue.get(place) else { break };
                seen += u32::from(sent.tags.contains(Tags::SACKED));
                if seen > most {
                    break;
                }
                if !sent.tags.contains(Tags::LOST) {
                    self.queue.mark_lost(place);
                }
            }
        } else if first && !self.queue.first().is_some_and(|sent| sent.tags.contains(Tags::LOST)) {
            self.queue.mark_lost(0);
        }
    }

    /// `tcp_enter_recovery()`.
    pub(super) fn enter_recovery(&mut self, at: &Moment<'_>, cause: Cause) {
        self.clean_stamp();
        self.count(if at.sack { Tally::SackRecovery } else { Tally::RenoRecovery });
        self.window.prior_ssthresh = None;
        self.begin_undo(at);
        if !self.is_reducing() {
            if cause == Cause::Loss {
                self.window.prior_ssthresh = Some(self.window.current_ssthresh(self.state));
            }
            self.begin_reduction(at);
        }
        self.state = CaState::Recovery;
    }

    /// `tcp_enter_loss()`: all that left before and did not arrive is lost.
    pub(in crate::tcp) fn enter_loss(&mut self, at: &Moment<'_>) {
        let new = !matches!(self.state, CaState::Recovery | CaState::Loss);
        self.mark_all_lost(at);
        let open = matches!(self.state, CaState::Open | CaState::Disorder);
        if open || self.high.le(at.una) || (self.state == CaState::Loss && at.tries == 0) {
            self.window.prior_ssthresh = Some(self.window.current_ssthresh(self.state));
            self.window.prior_cwnd = self.window.cwnd;
            self.window.ssthresh = self.reduced();
            self.begin_undo(at);
        }
        self.window.set(at, self.queue.in_flight() + 1);
        self.window.forget_count();
        if open && self.queue.sacked >= at.knobs.losses.reordering {
            self.reordering = self.reordering.min(at.knobs.losses.reordering);
        }
        self.state = CaState::Loss;
        self.window.cubic.on_timeout(at);
        self.high = at.nxt;
        self.probe = None;
        self.ecn.reduced();
        self.frto = at.knobs.losses.frto && (new || at.tries > 0);
    }

    /// `tcp_timeout_mark_lost()`.
    fn mark_all_lost(&mut self, at: &Moment<'_>) {
        let reneged = self.queue.first().is_some_and(|sent| sent.tags.contains(Tags::SACKED));
        if reneged {
            self.queue.forget_sacks();
            self.count(Tally::SackReneging);
        } else if !at.sack {
            self.queue.sacked = 0;
        }
        for place in 0..self.queue.len() as usize {
            let Some(&sent) = self.queue.get(place) else { break };
            let recent =
                place > 0 && !reneged && Sender::uses_rack(at) && self.rack_remaining(at, sent.at, 0).is_some();
            if !recent {
                self.queue.mark_lost(place);
            }
        }
    }

    /// `tcp_init_undo()`.
    fn begin_undo(&mut self, at: &Moment<'_>) {
        self.undo.marker = Some(at.una);
        let probes = u32::from(self.probe.is_some_and(|probe| probe.is_resent));
        self.undo.resent = Some(self.queue.resent + probes).filter(|&resent| resent > 0);
    }

    /// `tcp_init_cwnd_reduction()`.
    fn begin_reduction(&mut self, at: &Moment<'_>) {
        self.high = at.nxt;
        self.probe = None;
        let ssthresh = self.reduced();
        self.window.begin_reduction(ssthresh);
        self.ecn.reduced();
    }

    /// `tcp_end_cwnd_reduction()`.
    fn end_reduction(&mut self, at: &Moment<'_>) {
        let reduced = self.state == CaState::Cwr || self.undo.marker.is_some();
        if self.window.ssthresh < super::cwnd::NO_THRESHOLD && reduced {
            self.window.set(at, self.window.ssthresh);
        }
    }

    /// `tcp_enter_cwr()`: the network has marked congestion (RFC 3168 6.1.2), or the host's own queue is full.
    pub(in crate::tcp) fn enter_cwr(&mut self, at: &Moment<'_>) {
        self.window.prior_ssthresh = None;
        if matches!(self.state, CaState::Open | CaState::Disorder) {
            self.undo.marker = None;
            self.begin_reduction(at);
            self.state = CaState::Cwr;
        }
    }

    /// The loss that a tail loss probe has repaired: the window is reduced, and that is all.
    pub(super) fn reduce_once(&mut self, at: &Moment<'_>) {
        self.begin_reduction(at);
        self.state = CaState::Cwr;
        self.end_reduction(at);
        self.keep_open(at);
    }

    /// `tcp_try_to_open()`.
    fn try_to_open(&mut self, at: &Moment<'_>, ece: bool) {
        if !self.queue.any_resent() {
            self.undo.stamp = None;
        }
        if ece {
            self.enter_cwr(at);
        }
        if self.state != CaState::Cwr {
            self.keep_open(at);
        }
    }

    /// `tcp_try_keep_open()`.
    fn keep_open(&mut self, at: &Moment<'_>) {
        let disorder = self.queue.left() > 0 || self.queue.any_resent();
        let state = if disorder { CaState::Disorder } else { CaState::Open };
        if self.state != state {
            (self.state, self.high) = (state, at.nxt);
        }
    }

    /// `tcp_retrans_stamp_cleanup()`.
    fn clean_stamp(&mut self) {
        if !self.queue.any_resent() {
            self.undo.stamp = None;
        }
    }

    /// `tcp_packet_delayed()`: the acknowledgment is of what left first, not of the retransmission.
    fn was_delayed(&self, at: &Moment<'_>, seg: &Incoming<'_>) -> bool {
        match self.undo.stamp {
            Some(stamp) => at.ts_offset.is_some() && echoes_before(seg.echo, Some(stamp)),
            None => at.sack || at.una.lt(self.high),
        }
    }

    /// `tcp_may_undo()`.
    fn may_undo(&self, at: &Moment<'_>, seg: &Incoming<'_>) -> bool {
        self.undo.marker.is_some() && (self.undo.resent == Some(0) || self.was_delayed(at, seg))
    }

    /// `tcp_undo_cwnd_reduction()`.
    fn undo_reduction(&mut self, at: &Moment<'_>, unmark: bool) {
        if unmark {
            self.queue.unmark_lost();
        }
        if self.window.prior_ssthresh.is_some_and(|prior| prior > self.window.ssthresh) {
            self.ecn.withdraw();
        }
        self.window.undo(at);
        self.undo.marker = None;
        self.rack.advanced = true;
    }

    /// `tcp_is_non_sack_preventing_reopen()` (RFC 6582 3.2 step 4).
    fn must_wait(&mut self, at: &Moment<'_>) -> bool {
        if at.una == self.high && !at.sack {
            self.clean_stamp();
            return true;
        }
        false
    }

    /// `tcp_try_undo_recovery()`; whether the state is kept until more is acknowledged.
    fn undo_recovery(&mut self, at: &Moment<'_>, seg: &Incoming<'_>) -> bool {
        if self.may_undo(at, seg) {
            let tally = if self.state == CaState::Loss { Tally::LossUndo } else { Tally::FullUndo };
            self.undo_reduction(at, false);
            self.count(tally);
        } else {
            self.rack.recovered();
        }
        if self.must_wait(at) {
            return true;
        }
        self.state = CaState::Open;
        false
    }

    /// `tcp_try_undo_dsack()`.
    fn undo_by_dsack(&mut self, at: &Moment<'_>) -> bool {
        if self.undo.marker.is_none() || self.undo.resent != Some(0) {
            return false;
        }
        self.rack.was_wrong();
        self.undo_reduction(at, false);
        self.count(Tally::DSackUndo);
        true
    }

    /// `tcp_try_undo_loss()`.
    fn undo_loss(&mut self, at: &Moment<'_>, seg: &Incoming<'_>, spurious: bool) -> bool {
        if !spurious && !self.may_undo(at, seg) {
            return false;
        }
        self.undo_reduction(at, true);
        self.count(Tally::LossUndo);
        if spurious {
            self.count(Tally::SpuriousRto);
        }
        if self.must_wait(at) {
            return true;
        }
        if spurious || at.sack {
            self.state = CaState::Open;
        }
        true
    }

    /// `tcp_try_undo_partial()`; whether nothing more is to be taken for lost.
    fn undo_partial(&mut self, at: &Moment<'_>, seg: &Incoming<'_>, prior: Seq, do_lost: &mut bool) -> bool {
        if self.undo.marker.is_some() && self.was_delayed(at, seg) {
            self.check_reordering(at, prior, true);
            if self.queue.resent > 0 {
                return true;
            }
            self.clean_stamp();
            self.undo_reduction(at, true);
            self.count(Tally::PartialUndo);
            self.keep_open(at);
        } else {
            *do_lost = self.force_retransmit(at);
        }
        false
    }

    /// Without SACK a duplicate acknowledgment tells that some segment has arrived (`tcp_add_reno_sack()`).
    fn add_duplicates(&mut self, at: &Moment<'_>, duplicates: u32) {
        if at.sack || duplicates == 0 {
            return;
        }
        let prior = self.queue.sacked;
        self.queue.sacked += duplicates;
        self.limit_duplicates(at, 0);
        self.delivered += self.queue.sacked.saturating_sub(prior);
    }

    /// `tcp_check_reno_reordering()`: more duplicates than there can be mean reordering.
    pub(super) fn limit_duplicates(&mut self, at: &Moment<'_>, more: u32) {
        let out = self.queue.len();
        let holes = self.queue.lost.max(1).min(out);
        if self.queue.sacked + holes > out {
            self.queue.sacked = out - holes;
            self.reordering = (out + more).min(at.knobs.losses.max_reordering);
            self.reorderings += 1;
            self.count(Tally::RenoReorder);
        }
    }

    /// Segments are larger than the path takes: they go again, and congestion is not to blame
    /// (`tcp_simple_retransmit()`).
    pub(in crate::tcp) fn on_too_big(&mut self, at: &Moment<'_>, data_end: Seq) {
        let mut goes_on = false;
        for place in 0..self.queue.len() as usize {
            let Some(&sent) = self.queue.get(place) else { break };
            // A unit of several segments is as large as these, its rest included.
            let is_large = goes_on || sent.end.since(sent.seq) > at.mss;
            if is_large {
                self.queue.mark_lost(place);
            }
            goes_on = is_large && sent.tags.contains(Tags::GOES_ON);
        }
        self.repair(at, data_end);
    }

    /// The data of our SYN was not taken, or not all of it: it goes again at once, in segments as they are now
    /// (`tcp_rcv_fastopen_synack()`).
    pub(in crate::tcp) fn syn_data_lost(&mut self, at: &Moment<'_>, data_end: Seq) {
        (0..self.queue.len() as usize).for_each(|place| self.queue.mark_lost(place));
        self.repair(at, data_end);
    }

    /// What is lost goes again without a reduction of the window (`tcp_non_congestion_loss_retransmit()`).
    fn repair(&mut self, at: &Moment<'_>, data_end: Seq) {
        self.queue.divide_anew(at.mss, data_end);
        if self.queue.lost == 0 {
            return;
        }
        if self.state != CaState::Loss {
            self.high = at.nxt;
            self.window.ssthresh = self.window.current_ssthresh(self.state);
            self.window.prior_ssthresh = None;
            self.undo.marker = None;
            self.state = CaState::Loss;
        }
        self.due = Due::Lost;
    }
}

fn cause(ece: bool) -> Cause {
    if ece { Cause::Ece } else { Cause::Loss }
}
