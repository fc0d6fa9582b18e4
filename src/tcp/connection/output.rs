//! What leaves: resets, SYNs, probes, retransmissions, new data, acknowledgments, in this order.

use super::{Ack, Connection, Persist, Urgently};
use crate::endpoint::State;
use crate::tcp::nagle::Offer;
use crate::tcp::newreno::Phase;
use crate::tcp::snd::{End, Syn};
use crate::tcp::timers::Timer;
use crate::tcp::{Context, EcnRule, Handshake, Ports, Tally, WindowProbe, WindowRule};
use crate::tcp::{handshake, window};
use crate::wire::{Flags, Segment, Seq};

impl Connection {
    /// The next segment to send; call until there is none.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        if self.is_idle() { None } else { self.next_segment(cx) }
    }

    /// Whether there is nothing to send or to set a timer for: all that is written is sent, and what is owed waits already.
    /// With a sender by segments nobody knows before it is asked.
    fn is_idle(&self) -> bool {
        let owes = match self.ack {
            Ack::None => false,
            Ack::Delayed(_) => !self.timers.is_armed(Timer::DelayedAck),
            Ack::Now => true,
        };
        self.snd.nxt == self.snd.all_end()
            && !owes
            && self.urgently.is_none()
            && matches!(self.recovery.phase, Phase::Open { .. })
            && self.sender.is_none()
            && self.fast.is_none()
    }

    #[inline(never)]
    fn next_segment(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        if self.fast.is_some()
            && self.state != State::Closed
            && let Some(syn_ack) = self.send_early_syn_ack(cx)
        {
            return Some(syn_ack);
        }
        if let Some(urgently) = self.urgently.take()
            && let Some(seg) = self.send_urgently(cx, urgently)
        {
            return Some(seg);
        }
        if self.state == State::Closed {
            return None;
        }
        if self.state != State::TimeWait {
            if self.sends_by_segments() {
                let segment = self.transmit(cx);
                if segment.is_some() {
                    self.check();
                    return segment;
                }
            } else if self.goes_before_new()
                && let Some(seg) = self.send_before_new(cx)
            {
                self.check();
                return Some(seg);
            } else if let Some(len) = self.prepare_new(cx) {
                return Some(self.send_new(cx, len));
            }
            self.wait_for_window(cx);
        }
        if self.state == State::SynSent || (self.state == State::SynReceived && self.snd.max == self.snd.iss) {
            return None;
        }
        match self.ack {
            Ack::Now => Some(self.acknowledge(cx)),
            Ack::Delayed(_) if !self.timers.is_armed(Timer::DelayedAck) => {
                let delay = cx.knobs.delayed_ack;
                self.timers.set(cx, Timer::DelayedAck, delay);
                None
            }
            Ack::Delayed(_) | Ack::None => None,
        }
    }

    /// New data may be sent again, where the sender goes by segments.
    pub(super) fn wake(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.is_awake = true;
        }
    }

    #[inline(never)]
    fn send_urgently(&mut self, cx: &mut Context<'_>, urgently: Urgently) -> Option<Segment> {
        match urgently {
            // tcp_send_active_reset(): all that an acknowledgment has.
            Urgently::Reset(seq, Some(_)) if cx.knobs.full_resets => {
                Some(self.header(cx, seq, Flags::RST | Flags::ACK))
            }
            Urgently::Reset(seq, ack) => {
                let flags = if ack.is_some() { Flags::RST | Flags::ACK } else { Flags::RST };
                Some(Segment { ack: ack.unwrap_or_default(), ..self.bare(seq, flags) })
            }
            Urgently::Refuse(end) => Some(Segment { ack: end, ..self.bare(Seq(0), Flags::RST | Flags::ACK) }),
            Urgently::Challenge => Some(self.header(cx, self.snd.nxt, Flags::ACK)),
            // 3.8.6.1: at least one octet of what waits, past the window. SND.NXT stays: the peer need not take it.
            Urgently::WindowProbe if cx.knobs.window_probe == WindowProbe::Empty => {
                cx.count(Tally::WinProbe);
                Some(self.header(cx, self.snd.una - 1, Flags::ACK))
            }
            Urgently::WindowProbe => {
                cx.count(Tally::WinProbe);
                let seq = self.snd.nxt;
                let seg = self.fill(cx, seq, 1);
                self.snd.max = self.snd.max.max(seg.end());
                Some(seg)
            }
            Urgently::LossProbe => self.send_loss_probe(cx),
            // 3.8.4: <SEQ=SND.NXT-1><ACK=RCV.NXT>, no data; outside the peer's window, so that it must answer.
            Urgently::KeepAlive => {
                cx.count(Tally::KeepAlive);
                Some(self.header(cx, self.snd.nxt - 1, Flags::ACK))
            }
        }
    }

    /// What recovery wants sent again.
    fn resend_from_una(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let seq = match &mut self.recovery.phase {
            Phase::Fast { resend, .. } if *resend => {
                *resend = false;
                cx.count(Tally::FastRetrans);
                self.snd.una
            }
            Phase::Loss { recover, next } if next.lt((*recover).min(self.snd.nxt)) => {
                // The first unacknowledged segment goes whatever the window says: it serves as the probe.
                let out = next.since(self.snd.una);
                if out > 0 && (out + u32::from(self.snd.mss) > self.recovery.cwnd || out >= self.snd.wnd) {
                    return None;
                }
                if out > 0 {
                    cx.count(Tally::SlowStartRetrans);
                }
                *next
            }
            _ => return None,
        };
        let most = u32::from(self.snd.mss).min(self.snd.nxt.since(seq));
        let len = if seq == self.snd.una { most } else { most.min(self.snd.usable(seq)) };
        let is_syn = seq == self.snd.iss && self.snd.syn == Syn::Unacked;
        let seg = if is_syn { self.syn(cx) } else { self.fill(cx, seq, len) };
        if let Phase::Loss { next, .. } = &mut self.recovery.phase {
            *next = seg.end().max(*next + 1);
        }
        self.rto.resent();
        self.last_sent = cx.now;
        self.arm_retransmit(cx, seg.end());
        Some(seg)
    }

    /// Whether something may go before anything new: what recovery wants sent again, or our SYN.
    fn goes_before_new(&self) -> bool {
        self.owes_syn() || !matches!(self.recovery.phase, Phase::Open { .. })
    }

    fn owes_syn(&self) -> bool {
        self.snd.syn == Syn::Unacked && self.snd.nxt == self.snd.iss
    }

    #[inline(never)]
    fn send_before_new(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        let again = self.resend_from_una(cx);
        if again.is_none() && self.owes_syn() { self.send_syn(cx) } else { again }
    }

    /// Our SYN for the first time, unless it waits for data.
    fn send_syn(&mut self, cx: &mut Context<'_>) -> Option<Segment> {
        if self.awaits_data() {
            return None;
        }
        let mut syn = self.syn(cx);
        self.note_sent(cx, &syn);
        self.arm_retransmit(cx, syn.end());
        self.note_syn_sent(cx, &syn);
        let asks = (cx.knobs.ecn == EcnRule::Ask || self.setup.route.asks_ecn) && self.state == State::SynSent;
        syn.flags |= if asks { Flags::ECE | Flags::CWR } else { Flags::empty() };
        if self.state == State::Established && cx.knobs.handshake == Handshake::TwoWay {
            // Teaching: nobody waits for a third segment, so the SYN counts as acknowledged once it is sent.
            self.snd.advance(self.snd.iss + 1);
            self.timers.stop(Timer::Retransmit);
            self.rto.resent();
            self.rto.acked(self.snd.una, None, self.snd.una, cx.now, cx.knobs);
        }
        Some(syn)
    }

    /// How much may be sent beyond SND.NXT now, new data or nothing but the FIN, in the window that is left after idleness.
    fn prepare_new(&mut self, cx: &Context<'_>) -> Option<u32> {
        // RFC 9293 3.10.2: in SYN-SENT and SYN-RECEIVED data is queued until ESTABLISHED.
        if matches!(self.state, State::SynSent | State::SynReceived) || self.cut_off {
            return None;
        }
        let (queued, ends) = (self.snd.data_end().diff(self.snd.nxt), self.snd.end == End::Closed);
        let queued = u32::try_from(queued).unwrap_or(0);
        if queued == 0 {
            // A FIN alone needs a place in the window, nothing else.
            let fin = ends && self.snd.nxt.lt(self.snd.all_end()) && self.snd.usable(self.snd.nxt) > 0;
            return fin.then_some(0);
        }
        if matches!(self.recovery.phase, Phase::Loss { recover, next } if next.lt(recover)) {
            return None;
        }
        self.restart_after_idle(cx);
        let (mss, usable) = (u32::from(self.snd.mss), self.snd.usable(self.snd.nxt));
        let offer = Offer {
            queued,
            usable,
            mss,
            max_window: self.snd.max_wnd,
            idle: self.may_send_small(cx),
            nodelay: self.setup.nodelay,
            corked: self.setup.cork || self.more,
            ends,
            overridden: self.persist == Persist::Overridden,
        };
        let len = queued.min(usable).min(mss);
        // RFC 5681 3.1: never more than cwnd in flight.
        let may = offer.may_send() && self.snd.flight() + len <= self.recovery.cwnd.max(mss);
        may.then_some(len)
    }

    /// Sends `len` bytes from SND.NXT on, for the first time.
    #[inline(never)]
    fn send_new(&mut self, cx: &mut Context<'_>, len: u32) -> Segment {
        let seg = self.fill(cx, self.snd.nxt, len);
        if (1..u32::from(self.snd.mss)).contains(&seg.payload.len()) {
            self.partial = Some(seg.end());
        }
        self.note_sent(cx, &seg);
        self.arm_retransmit(cx, seg.end());
        self.check();
        seg
    }

    /// New data leaves, or the SYN, or the FIN.
    pub(super) fn note_sent(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        self.snd.nxt = seg.end();
        if self.snd.nxt.gt(self.snd.max) {
            self.snd.max = self.snd.nxt;
            if self.sends_by_segments() {
                self.rto.since.get_or_insert(cx.now);
            } else {
                // Of a SYN its own round trip counts, whether its data is taken or not.
                let timed = if seg.has(Flags::SYN) { seg.seq + 1 } else { self.snd.nxt };
                self.rto.sent(timed, cx.now);
            }
        }
        if self.persist != Persist::Idle {
            self.persist = Persist::Idle;
            self.timers.stop(Timer::Persist);
        }
        self.last_sent = cx.now;
        if !seg.payload.is_empty() {
            self.pace.data_left(cx.now);
        }
    }

    /// The segment with up to `len` bytes from `seq` on, and the FIN where it lies.
    #[inline(always)]
    fn fill(&mut self, cx: &mut Context<'_>, seq: Seq, len: u32) -> Segment {
        // RFC 9293 3.7.1, MUST-16: options that are not in every segment take their part of its data.
        let sacks = if self.sack { self.sacks.option_len(self.ts.is_some()) } else { 0 };
        let most = u32::from(self.snd.mss).saturating_sub(sacks).max(1);
        let payload = self.snd.data(seq, len.min(most));
        let end = seq + payload.len();
        let mut flags = Flags::ACK;
        if end == self.snd.data_end() {
            // RFC 9293 3.9.1.2: the last segment of what is queued is pushed. The FIN goes along where it fits.
            flags.set(Flags::PSH, !payload.is_empty());
            let fits = payload.is_empty() || self.snd.usable(end) > 0 || end.lt(self.snd.nxt);
            flags.set(Flags::FIN, self.snd.end == End::Closed && fits);
        }
        let mut seg = self.bare(seq, flags);
        // 3.8.5 and RFC 6093: the pointer names the byte after the urgent data.
        if let Some(up) = self.snd.up.filter(|up| seq.lt(*up)) {
            seg.flags |= Flags::URG;
            seg.urgent = u16::try_from(up.since(seq)).unwrap_or(u16::MAX);
        }
        seg.payload = payload;
        self.complete(cx, &mut seg);
        seg
    }

    /// Our SYN, or SYN-ACK once the peer's SYN is known.
    fn syn(&mut self, cx: &mut Context<'_>) -> Segment {
        let alone = self.state == State::SynSent;
        let flags = if alone { Flags::SYN } else { Flags::SYN | Flags::ACK };
        let mut seg = self.header(cx, self.snd.iss, flags);
        if alone {
            seg.ack = Seq(0);
        }
        let offers = alone || cx.knobs.crossing_repeats_syn;
        let (ts, shift) = if offers {
            let val = crate::tcp::timestamps::clock(cx.now).wrapping_add(self.setup.ts_offset);
            (
                cx.knobs.timestamps.then_some((val, self.setup.ts_echo.unwrap_or(0))),
                cx.knobs.window_scale.then_some(self.setup.window_shift.min(14)),
            )
        } else {
            (self.ts.map(|ts| (ts.val(cx.now), ts.recent)), self.scales.then_some(self.rcv.shift))
        };
        let sack = if offers { cx.knobs.sack } else { self.sack };
        let offer = handshake::Offer { mss: self.setup.mss, ts, shift, sack };
        seg.options = offer.options(cx.knobs.syn_layout);
        if self.fast.is_some() {
            seg.payload = self.fill_first_syn(&mut seg.options);
        }
        // RFC 7323 2.2: the window of a SYN is never scaled.
        seg.window = window::initial(&self.setup, cx.knobs, !offers && self.ts.is_some());
        seg
    }

    /// A segment without text.
    #[inline(never)]
    pub(super) fn header(&mut self, cx: &mut Context<'_>, seq: Seq, flags: Flags) -> Segment {
        let mut seg = self.bare(seq, flags);
        self.complete(cx, &mut seg);
        seg
    }

    /// A segment that says nothing yet of what has come.
    fn bare(&self, seq: Seq, flags: Flags) -> Segment {
        let Ports { local, remote } = self.ports;
        Segment { src_port: local, dst_port: remote, seq, flags, ..Segment::default() }
    }

    /// What every segment has. It carries the acknowledgment, so nothing is owed any more.
    fn complete(&mut self, cx: &mut Context<'_>, seg: &mut Segment) {
        let flags = seg.flags;
        if flags.contains(Flags::ACK) {
            let offered = self.rcv.edge.since(self.rcv.last_ack);
            if cx.knobs.window == WindowRule::Bsd && self.state != State::SynSent {
                self.rcv.edge = self.rcv.free_edge(self.snd.mss);
            } else if self.state != State::TimeWait && !self.rcv.at_end() {
                self.rcv.edge = self.rcv.next_edge(self.setup.mss);
            }
            seg.ack = self.rcv.nxt;
            seg.window = self.rcv.offer();
            // tcp_select_window()
            match (offered, seg.window) {
                (0, 1..) => cx.count(Tally::FromZeroWindow),
                (1.., 0) => cx.count(Tally::ToZeroWindow),
                _ => {}
            }
            self.rcv.last_ack = self.rcv.nxt;
            let along = self.pace.sent(self.ack != Ack::None);
            (0..along).for_each(|_| cx.count(Tally::AckCompressed));
            self.ack = Ack::None;
            self.timers.stop(Timer::DelayedAck);
        }
        if let Some(sender) = &mut self.sender {
            sender.last_packet = Some(cx.now);
            let echoes = sender.ecn.echoes && flags.contains(Flags::ACK) && !flags.contains(Flags::SYN);
            seg.flags.set(Flags::ECE, echoes);
        }
        self.ect = false;
        if self.ts.is_some() || self.sack {
            self.write_options(cx, seg);
        }
    }

    #[inline(never)]
    fn write_options(&mut self, cx: &Context<'_>, seg: &mut Segment) {
        if let Some(ts) = self.ts {
            ts.write(self.clock(cx), &mut seg.options);
        }
        if self.sack && !self.sacks.is_empty() && !seg.has(Flags::SYN) && seg.has(Flags::ACK) {
            self.sacks.write(cx.knobs.dsack, &mut seg.options);
        }
    }

    /// RFC 6298 5.1: "Every time a packet containing data is sent (including a retransmission), if the timer is not
    /// running, start it".
    fn arm_retransmit(&mut self, cx: &mut Context<'_>, end: Seq) {
        if !self.timers.is_armed(Timer::Retransmit) && end.gt(self.snd.una) {
            self.rto.since.get_or_insert(cx.now);
            let rto = self.bounded_rto(cx);
            self.timers.set(cx, Timer::Retransmit, rto);
        }
    }

    /// RFC 5681 4.1: what the window has grown to is stale after an RTO without sending.
    fn restart_after_idle(&mut self, cx: &Context<'_>) {
        let idle = self.snd.nxt == self.snd.una;
        if cx.knobs.restart_after_idle && idle && cx.now.since(self.last_sent) > self.rto.current(cx.knobs) {
            self.recovery.restart(self.snd.mss, cx.knobs);
        }
    }

    /// Nothing may be sent: if no acknowledgment will change that, a timer must.
    fn wait_for_window(&mut self, cx: &mut Context<'_>) {
        let waits = self.snd.nxt.lt(self.snd.all_end()) && self.snd.nxt == self.snd.una;
        let open = !matches!(self.state, State::SynSent | State::SynReceived);
        if waits && open && self.snd.syn == Syn::Acked && !self.timers.is_armed(Timer::Persist) {
            self.start_persisting(cx);
        }
    }

    #[inline(never)]
    fn start_persisting(&mut self, cx: &mut Context<'_>) {
        if self.snd.usable(self.snd.nxt) == 0 || self.cut_off {
            let (sent, unanswered, since) = match self.persist {
                Persist::Probe { sent, unanswered, since } => (sent, unanswered, since),
                _ => (0, 0, cx.now),
            };
            self.persist = Persist::Probe { sent, unanswered, since };
            let wait = self.persist_interval(cx, sent, since);
            self.timers.set(cx, Timer::Persist, wait);
        } else if self.persist != Persist::Overridden {
            self.persist = Persist::Override;
            let wait = cx.knobs.sws_override.unwrap_or_else(|| self.rto.current(cx.knobs));
            self.timers.set(cx, Timer::Persist, wait);
        }
    }
}
