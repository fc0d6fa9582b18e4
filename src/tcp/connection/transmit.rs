//! Sending by segments, as `tcp_write_xmit()` and `tcp_xmit_retransmit_queue()` do it: what is lost first, then new data
//! in units of segmentation offload, then the timers that wait for their acknowledgment.

use super::{Connection, Persist};
use crate::endpoint::State;
use crate::tcp::sender::{Due, Filled, Moment, Probe, Sender, TIMEOUT_MIN, Tags, Unit, Wait};
use crate::tcp::snd::{End, Syn};
use crate::tcp::timers::Timer;
use crate::tcp::{Context, Knobs, NagleRule, Tally};
use crate::time::{HostTime, Span, ms, us};
use crate::wire::{Flags, Segment, Seq};

/// How strictly a small unit is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// As the socket's options say.
    Normal,
    /// Not at all (`TCP_NAGLE_OFF`).
    NoNagle,
    /// Not even for want of congestion window: a tail loss probe.
    Probe,
}

impl Connection {
    /// Whether the sender goes by segments; before our SYN is acknowledged there is nothing for it to do.
    pub(super) fn sends_by_segments(&self) -> bool {
        self.sender.is_some() && self.snd.syn == Syn::Acked
    }

    /// What the sender has to know now.
    pub(super) fn moment<'a>(&self, cx: &Context<'a>) -> Moment<'a> {
        self.moment_at(self.clock(cx), cx.knobs)
    }

    /// `tcp_mstamp`: the clock as the kernel has read it last, which it does not do for an ICMP error.
    pub(super) fn clock(&self, cx: &Context<'_>) -> HostTime {
        if self.is_stale { self.read_at } else { cx.now }
    }

    /// What it has to know at `now`.
    pub(super) fn moment_at<'a>(&self, now: HostTime, knobs: &'a Knobs) -> Moment<'a> {
        Moment {
            now,
            una: self.snd.una,
            nxt: self.snd.nxt,
            mss: self.send_mss_now(),
            window_end: self.snd.una + self.snd.wnd,
            max_wnd: self.snd.max_wnd,
            srtt: self.rto.srtt().map(|srtt| srtt.as_nanos() / 1_000),
            sack: self.sack,
            ts_offset: self.ts.map(|ts| ts.offset),
            tries: self.rto.tries,
            rto: self.rto.current(knobs),
            knobs,
        }
    }

    /// `tcp_current_mss()`: no more than half of the greatest window (`tcp_bound_to_half_wnd()`), and less while
    /// segments carry blocks of selective acknowledgments.
    pub(super) fn send_mss_now(&self) -> u32 {
        let blocks = if self.sack { self.sacks.option_len(self.ts.is_some()) } else { 0 };
        let most = match self.snd.max_wnd {
            0 => u32::MAX,
            wnd @ ..=536 => wnd,
            wnd => wnd / 2,
        };
        u32::from(self.snd.mss).min(most.max(48)).saturating_sub(blocks).max(1)
    }

    /// The bytes that one unit of what is written takes (`tcp_xmit_size_goal()`).
    pub(super) fn size_goal(&self) -> (u32, u32) {
        const GSO: u32 = 65_535 - 320;
        let (mss, half) = (self.send_mss_now(), self.snd.max_wnd / 2);
        let most = if self.snd.max_wnd > 536 { GSO.min(half) } else { GSO.min(self.snd.max_wnd.max(1)) };
        ((most / mss).max(1) * mss, half)
    }

    /// The next segment that is due, or new; call until there is none.
    #[inline(never)]
    pub(super) fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        if let Some(segment) = self.sender.as_mut()?.outbox.pop_front() {
            self.ect = !segment.payload.is_empty() && self.sender.as_ref().is_some_and(|sender| sender.ecn.is_agreed);
            return Some(segment);
        }
        loop {
            match self.sender.as_ref()?.due {
                Due::First => {
                    self.set_due(Due::Nothing);
                    if let Some(segment) = self.resend(cx, 0, false) {
                        return Some(segment);
                    }
                }
                Due::Lost => match self.resend_lost(cx) {
                    Some(segment) => return Some(segment),
                    None => {
                        self.sender.as_mut()?.again = None;
                        self.set_due(Due::Nothing);
                    }
                },
                Due::New(from) => match self.send_unit(cx, Haste::NoNagle) {
                    Some(segment) => return Some(segment),
                    None if self.snd.nxt.gt(from) => self.set_due(Due::Nothing),
                    None => {
                        // RFC 5682 3.1: without new data to send, the recovery goes on as it always does.
                        self.sender.as_mut()?.stop_frto();
                        self.set_due(Due::Lost);
                    }
                },
                Due::Nothing => {
                    let awake = self.sender.as_ref().is_some_and(|sender| sender.is_awake || sender.unit.is_some());
                    let segment = if awake { self.send_unit(cx, Haste::Normal) } else { None };
                    if segment.is_none() {
                        self.end_burst(cx);
                    }
                    return segment;
                }
            }
        }
    }

    fn set_due(&mut self, due: Due) {
        if let Some(sender) = &mut self.sender {
            sender.due = due;
        }
    }

    fn end_burst(&mut self, cx: &mut Context<'_>) {
        if self.setup.notsent_lowat < u32::MAX {
            self.note_room();
        }
        let at = self.moment(cx);
        let Some(sender) = &mut self.sender else { return };
        (sender.is_awake, sender.is_pushed, self.is_stale) = (false, false, false);
        // MSG_MORE holds back for its own call only: the next acknowledgment lets it go.
        self.more = false;
        if self.blocked && sender.writes.is_empty() && sender.has_sent && !sender.is_window_limited() {
            sender.waits_for(&at, Wait::Buffer);
        }
        if sender.end_burst(&at, self.blocked) {
            self.schedule_loss_probe(cx, false);
        }
    }

    /// The next of what is lost, if the window has room.
    fn resend_lost(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let at = self.moment(cx);
        let sender = self.sender.as_mut()?;
        if sender.queue.in_flight() >= sender.window.cwnd {
            return None;
        }
        let place = sender.queue.next_due()?;
        let seq = sender.queue.get_mut(place)?.seq;
        if seq.ge(at.window_end) && seq != at.una {
            return None;
        }
        let slow = sender.state == crate::endpoint::CaState::Loss;
        if sender.again.is_none() {
            let most = sender.unit_segments(&at).min(sender.window.cwnd - sender.queue.in_flight());
            let run = sender.queue.run(place, most);
            let last = sender.queue.get_mut(place + run as usize - 1)?.end;
            sender.again = (run > 1).then_some(last);
        }
        cx.count(if slow { Tally::SlowStartRetrans } else { Tally::FastRetrans });
        let segment = self.resend(cx, place, false);
        if place == 0 && segment.is_some() && !self.timers.is_armed(Timer::Reorder) {
            let rto = self.rto.current(cx.knobs);
            self.wait_for(cx, Timer::Retransmit, rto);
        }
        segment
    }

    /// Sends the segment at `place` of what is in flight again: no more of it than a segment carries now, and small ones
    /// joined (`__tcp_retransmit_skb()`).
    fn resend(&mut self, cx: &mut Context<'_>, place: usize, is_probe: bool) -> Option<Segment> {
        let at = self.moment(cx);
        let data_end = self.snd.data_end();
        let sender = self.sender.as_mut()?;
        let sent = *sender.queue.get_mut(place)?;
        let room = at.window_end.diff(sent.seq);
        if room <= 0 && sent.seq != at.una {
            return None;
        }
        let room = u32::try_from(room).ok().filter(|&room| room > 0).unwrap_or(at.mss);
        let (most, len) = (room.min(at.mss), data_len(sent.seq, sent.end, data_end));
        if len > most {
            sender.queue.split(place, sent.seq + most);
        } else if len < at.mss {
            join_small(sender, place, most, (data_end, at.window_end));
        }
        let sent = *sender.queue.get_mut(place)?;
        if cx.limits.is_queue_full {
            sender.failed_to_resend(&at, place);
            return None;
        }
        sender.sent_again(&at, place, is_probe);
        let ends_unit = sender.again.is_some_and(|end| end.le(sent.end));
        sender.again = sender.again.filter(|_| !ends_unit);
        self.rto.resent();
        self.last_sent = cx.now;
        let push = sent.tags.contains(Tags::PUSH) || ends_unit;
        Some(self.segment(cx, sent.seq, sent.end, push))
    }

    /// The next segment of the unit at hand, or of the next one.
    fn send_unit(&mut self, cx: &mut Context<'_>, haste: Haste) -> Option<Segment> {
        let begun = self.sender.as_ref()?.unit;
        let unit = match begun {
            Some(unit) => unit,
            None => self.next_unit(cx, haste)?,
        };
        let at = self.moment(cx);
        let (seq, data_end) = (self.snd.nxt, self.snd.data_end());
        let is_last = data_len(seq, unit.end, data_end) <= at.mss;
        let end = if is_last { unit.end } else { seq + at.mss };
        let mut tags = Tags::empty();
        tags.set(Tags::PUSH, is_last && unit.push);
        tags.set(Tags::RECORD_END, is_last && unit.is_whole);
        tags.set(Tags::GOES_ON, !is_last);
        let starts = self.sender.as_ref().is_some_and(|sender| sender.queue.is_empty());
        let sender = self.sender.as_mut()?;
        sender.sent(&at, seq, end, tags);
        sender.unit = (!is_last).then_some(unit);
        let cwr = seq.lt(data_end) && sender.ecn.take_cwr();
        let mut segment = self.segment(cx, seq, end, is_last && (unit.push || unit.is_many));
        segment.flags.set(Flags::CWR, cwr);
        self.ect = !segment.payload.is_empty() && self.sender.as_ref().is_some_and(|sender| sender.ecn.is_agreed);
        if is_last && (1..at.mss).contains(&segment.payload.len()) {
            self.partial = Some(end);
        }
        self.note_sent(cx, &segment);
        if starts || self.timers.is_armed(Timer::LossProbe) {
            self.rearm_rto(cx);
        }
        Some(segment)
    }

    /// Takes the next unit of what is written, where windows and Nagle's algorithm let it go (`tcp_write_xmit()`).
    fn next_unit(&mut self, cx: &Context<'_>, haste: Haste) -> Option<Unit> {
        let at = self.moment(cx);
        let (cork, nodelay) = (self.setup.cork || self.more, self.setup.nodelay);
        let (urgent, data_end, idle_small) = (self.snd.up.is_some(), self.snd.data_end(), self.may_send_small(cx));
        let overridden = self.persist == Persist::Overridden;
        let sender = self.sender.as_mut()?;
        let quota = match (sender.quota(), haste) {
            (0, Haste::Probe) => 1,
            (0, _) => return None,
            (quota, _) => quota.min(sender.unit_segments(&at)),
        };
        if sender.writes.is_empty() || self.cut_off {
            return None;
        }
        if cx.limits.is_queue_full {
            // __tcp_transmit_skb(): the host's own queue is congested.
            sender.enter_cwr(&at);
            return None;
        }
        sender.writes.grow(at.nxt, quota.saturating_mul(at.mss));
        let unit = sender.writes.first()?;
        let len = data_len(at.nxt, unit.end, data_end);
        let first_end = if len > at.mss { at.nxt + at.mss } else { unit.end };
        if overridden {
            return sender.take_overridden(&at, unit);
        }
        if first_end.gt(at.window_end) {
            sender.waits_for(&at, Wait::Window);
            return None;
        }
        sender.waited_for(&at, Wait::Window);
        let is_last = sender.writes.is_last();
        // tcp_nagle_check(): whether what is not full is held back.
        let nagle = !nodelay && !sender.queue.is_empty() && !idle_small;
        let held = haste == Haste::Normal && !sender.is_pushed && (cork || nagle);
        let has_fin = unit.end.gt(data_end);
        let mut most = at.mss;
        if len <= at.mss {
            if is_last && !urgent && !has_fin && held && len < at.mss {
                return None;
            }
        } else {
            if haste != Haste::Probe && sender.defers(&at, (unit, len, is_last, has_fin), sender.unit_segments(&at)) {
                return None;
            }
            if !urgent {
                let window = at.window_end.since(at.nxt);
                most = quota.saturating_mul(at.mss);
                let needed = len.min(window);
                if (most > window || is_last) && most > needed {
                    let partial = needed % at.mss;
                    most = if held { needed - partial } else { needed };
                }
            }
        }
        let cut = (len > most).then(|| at.nxt + most);
        let mut unit = sender.writes.take(cut)?;
        // __tcp_transmit_skb(): what is more than one segment is pushed, so that the receiver hands it on.
        unit.is_many = data_len(at.nxt, unit.end, data_end) > at.mss;
        Some(unit)
    }

    /// Whether nothing is in flight that a small segment has to wait for: with Minshall's variant of Nagle's algorithm
    /// only another small one (`tcp_minshall_check()`).
    pub(super) fn may_send_small(&self, cx: &Context<'_>) -> bool {
        match cx.knobs.nagle {
            NagleRule::All => self.snd.nxt == self.snd.una,
            NagleRule::Partial => self.partial.is_none_or(|end| end.le(self.snd.una)),
        }
    }

    /// The segment from `seq` to `end`, with the FIN where it lies in between.
    fn segment(&mut self, cx: &mut Context<'_>, seq: Seq, end: Seq, push: bool) -> Segment {
        let data_end = self.snd.data_end();
        let len = data_len(seq, end, data_end);
        let mut flags = Flags::ACK;
        flags.set(Flags::PSH, push && len > 0);
        flags.set(Flags::FIN, end.gt(data_end) && self.snd.end == End::Closed);
        let mut segment = self.header(cx, seq, flags);
        if let Some(up) = self.snd.up.filter(|up| seq.lt(*up)) {
            segment.flags |= Flags::URG;
            segment.urgent = u16::try_from(up.since(seq)).unwrap_or(u16::MAX);
        }
        if len > 0 {
            segment.payload = self.snd.data(seq, len);
        }
        segment
    }

    /// One of the timers that wait for an acknowledgment; they share one place in the kernel.
    pub(super) fn wait_for(&mut self, cx: &mut Context<'_>, timer: Timer, span: Span) {
        for other in [Timer::Retransmit, Timer::LossProbe, Timer::Reorder] {
            if other != timer {
                self.timers.stop(other);
            }
        }
        self.rto.since.get_or_insert(cx.now);
        self.timers.set(cx, timer, span);
    }

    /// `tcp_rearm_rto()`.
    pub(super) fn rearm_rto(&mut self, cx: &mut Context<'_>) {
        // The timer is that of the SYN-ACK.
        if self.fast.is_some() && self.is_early() {
            return;
        }
        let at = self.moment(cx);
        let Some(sender) = &self.sender else { return };
        if sender.queue.is_empty() {
            [Timer::Retransmit, Timer::LossProbe, Timer::Reorder].iter().for_each(|timer| self.timers.stop(*timer));
            return;
        }
        let waited = self.timers.is_armed(Timer::LossProbe) || self.timers.is_armed(Timer::Reorder);
        let rto = if waited { sender.rto_left(&at) } else { self.rto.current(cx.knobs) };
        self.wait_for(cx, Timer::Retransmit, rto);
    }

    fn may_probe(&self, cx: &Context<'_>) -> bool {
        use crate::endpoint::CaState::{Cwr, Open};
        let calm = self.sender.as_ref().is_some_and(|s| !s.queue.is_empty() && matches!(s.state, Open | Cwr));
        cx.knobs.loss_probe && self.sack && calm && !self.is_early()
    }

    /// `tcp_schedule_loss_probe()` (RFC 8985 7.2); `anew`: the RTO counts from now. Whether there will be a probe.
    pub(super) fn schedule_loss_probe(&mut self, cx: &mut Context<'_>, anew: bool) -> bool {
        if !self.may_probe(cx) {
            return false;
        }
        let at = self.moment(cx);
        let Some(sender) = &self.sender else { return false };
        let wait = match self.rto.srtt() {
            // One segment: the peer may delay its acknowledgment.
            Some(srtt) if sender.queue.len() == 1 => srtt * 2 + self.rto.least(cx.knobs),
            Some(srtt) => srtt * 2 + TIMEOUT_MIN,
            None => cx.knobs.rto_init,
        };
        let rto = if anew { self.rto.current(cx.knobs) } else { sender.rto_left(&at) };
        self.wait_for(cx, Timer::LossProbe, wait.min(rto));
        true
    }

    /// `tcp_send_loss_probe()`: new data if the window takes it, whatever its size; else the last segment again.
    pub(super) fn send_loss_probe(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let at = self.moment(cx);
        let data_end = self.snd.data_end();
        let sender = self.sender.as_ref()?;
        let first = sender.writes.first().map(|unit| match data_len(at.nxt, unit.end, data_end) {
            len if len > at.mss => at.nxt + at.mss,
            _ => unit.end,
        });
        let (segment, is_resent) = match first.filter(|end| end.le(at.window_end)) {
            Some(_) => (self.send_unit(cx, Haste::Probe), false),
            None => {
                let last = (sender.queue.len() as usize).checked_sub(1)?;
                (self.resend(cx, last, true), true)
            }
        };
        let segment = segment?;
        let unit_end = self.sender.as_ref().and_then(|sender| sender.unit).map(|unit| unit.end);
        let end = unit_end.unwrap_or(self.snd.nxt);
        if let Some(sender) = &mut self.sender {
            sender.probe = Some(Probe { end, is_resent });
            sender.has_sent = false;
        }
        cx.count(Tally::LossProbe);
        self.timers.stop(Timer::LossProbe);
        let rto = self.bounded_rto(cx);
        self.wait_for(cx, Timer::Retransmit, rto);
        Some(segment)
    }

    /// The loss probe is due.
    pub(super) fn on_loss_probe_timeout(&mut self, cx: &mut Context<'_>) {
        let at = self.moment(cx);
        let Some(sender) = &mut self.sender else { return };
        if sender.queue.is_empty() {
            return;
        }
        let left = sender.rto_left(&at);
        if sender.probe.is_none() {
            self.urgently = Some(super::Urgently::LossProbe);
        }
        self.wait_for(cx, Timer::Retransmit, left);
    }

    /// The application has written `len` bytes, in part or `all` of them (`tcp_sendmsg_locked()`): they become units, and
    /// where one is full, what may leave does before the next is filled.
    pub(super) fn note_written(
        &mut self,
        cx: &mut Context<'_>,
        len: u32,
        (all, is_open, is_whole): (bool, bool, bool),
    ) {
        if self.sender.is_none() {
            return;
        }
        let sizes = self.size_goal();
        let at = self.moment(cx);
        let may_leave = self.snd.syn == Syn::Acked && !matches!(self.state, State::SynSent | State::SynReceived);
        let Some(sender) = &mut self.sender else { return };
        if may_leave {
            sender.check_idle(&at);
        }
        sender.waits_for(&at, Wait::Busy);
        sender.waited_for(&at, Wait::Buffer);
        sender.is_pushed = false;
        sender.is_awake = true;
        let mut left = len;
        while left > 0 {
            let nxt = self.snd.nxt.max(self.snd.iss + 1);
            let Some(sender) = &mut self.sender else { return };
            let (taken, filled) = sender.writes.fill(left, left == len, nxt, sizes);
            left -= taken;
            if may_leave && filled != Filled::No {
                self.push_while_writing(cx, filled);
            }
        }
        let Some(sender) = &mut self.sender else { return };
        sender.writes.end_write(sizes.1, is_open, is_whole);
        if !all {
            // sk_stream_wait_memory(): what is there goes, since nothing can be added to it.
            sender.writes.push();
            sender.is_pushed = true;
        }
    }

    fn push_while_writing(&mut self, cx: &mut Context<'_>, filled: Filled) {
        while let Some(segment) = self.send_unit(cx, Haste::NoNagle) {
            let Some(sender) = &mut self.sender else { return };
            sender.outbox.push_back(segment);
            if filled == Filled::PushOne && sender.unit.is_none() {
                break;
            }
        }
    }
}

/// Bytes of data between `seq` and `end`: the FIN is none.
fn data_len(seq: Seq, end: Seq, data_end: Seq) -> u32 {
    u32::try_from(end.min(data_end).diff(seq)).unwrap_or(0)
}

/// `tcp_retrans_try_collapse()`: small segments behind `place` are sent along, as far as one segment takes them.
fn join_small(sender: &mut Sender, place: usize, most: u32, (data_end, window_end): (Seq, Seq)) {
    while let Some(&mut sent) = sender.queue.get_mut(place) {
        let Some(&mut next) = sender.queue.get_mut(place + 1) else { return };
        let len = data_len(sent.seq, next.end, data_end);
        let fixed = sent.tags.contains(Tags::RECORD_END) || next.tags.contains(Tags::SACKED);
        if fixed || len > most || next.end.gt(window_end) {
            return;
        }
        sender.queue.join(place);
    }
}

impl Sender {
    /// The override timeout has passed: what the window takes goes, pushed (`tcp_write_wakeup()`).
    fn take_overridden(&mut self, at: &Moment<'_>, unit: Unit) -> Option<Unit> {
        let window = u32::try_from(at.window_end.diff(at.nxt)).ok().filter(|&window| window > 0)?;
        let most = window.min(at.mss);
        let cut = (unit.end.since(at.nxt) > most).then(|| at.nxt + most);
        let mut unit = self.writes.take(cut)?;
        unit.push = true;
        Some(unit)
    }

    /// `tcp_tso_should_defer()`: whether a unit of several segments waits for the next acknowledgment, so that it may
    /// grow.
    fn defers(&mut self, at: &Moment<'_>, (unit, len, is_last, has_fin): (Unit, u32, bool, bool), most: u32) -> bool {
        use crate::endpoint::CaState::{Loss, Recovery};
        let recent = self.last_packet.is_some_and(|last| at.now.since(last) <= ms(1));
        if matches!(self.state, Recovery | Loss) || !recent {
            return false;
        }
        let window = at.window_end.since(at.nxt);
        let congestion = (self.window.cwnd - self.queue.in_flight()).saturating_mul(at.mss);
        let limit = window.min(congestion);
        let offered = at.window_end.since(at.una).min(self.window.cwnd.saturating_mul(at.mss));
        let is_enough = match at.knobs.losses.units.1 {
            0 => limit > 3 * at.mss,
            divisor => limit >= offered / divisor,
        };
        if limit >= most.saturating_mul(at.mss) || (!is_last && limit >= len) || is_enough {
            return false;
        }
        let Some((first, srtt)) = self.queue.first().zip(at.srtt) else { return false };
        // Waits only for an acknowledgment that is near.
        let expected = first.at + us(srtt);
        let far = expected.since(at.now.min(expected));
        if far > us(srtt / 2).min(ms(1)) {
            return false;
        }
        if congestion < window {
            if congestion <= len {
                self.deferred = true;
                return true;
            }
        } else if window <= len {
            return true;
        }
        !(has_fin || unit.is_whole)
    }
}
