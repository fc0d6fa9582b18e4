//! The acknowledgment where the sender goes by segments (`tcp_ack()`).

use super::{Ack, Connection, Pending};
use crate::endpoint::CaState;
use crate::tcp::sender::{Incoming, News, Next};
use crate::tcp::snd::Syn;
use crate::tcp::timers::Timer;
use crate::tcp::{Context, TcpEvent};
use crate::wire::{Flags, Segment};

impl Connection {
    /// SND.UNA =< SEG.ACK =< SND.NXT.
    #[inline(never)]
    pub(super) fn take_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let prior = self.snd.una;
        let forward = seg.ack.gt(prior);
        let echo_rtt = self.echo(cx, seg);
        let mut news = News::empty();
        news.set(News::FORWARD, forward);
        news.set(News::DATA, seg.seq_len() > 0);
        news.set(News::ECE, self.takes_ece(seg));
        let syn_acked = self.snd.syn == Syn::Unacked && forward;
        let (wnd, unsent) = (self.snd.wnd, self.sender.as_ref().is_some_and(|sender| !sender.writes.is_empty()));
        news.set(News::WINDOW, self.snd.take_window(seg));
        self.snd.advance(seg.ack);
        if syn_acked {
            let measured = self.rto.acked(seg.ack, echo_rtt, self.snd.nxt, cx.now, cx.knobs);
            let at = self.moment(cx);
            if let (Some(rtt), Some(sender)) = (measured, &mut self.sender) {
                sender.measured(&at, rtt);
            }
        } else if forward {
            self.rto.alive(cx.now);
        }
        if self.snd.wnd == 0 && self.snd.flight() > 0 && !forward && !self.probes_by_rto(cx) {
            // RFC 9293 3.8.6.1: whoever answers probes is alive.
            self.rto.alive(cx.now);
        }
        self.accept_cwr(seg);
        let mut at = self.moment(cx);
        let Some(sender) = &mut self.sender else { return };
        if self.snd.wnd != wnd && unsent {
            sender.check_idle(&at);
        }
        let before = sender.state;
        let echo = seg.options.timestamps().map(|(_, echo)| echo).filter(|&echo| echo != 0 && at.ts_offset.is_some());
        let incoming = Incoming { ack: seg.ack, sacks: seg.options.sack(), echo, echo_rtt, news };
        let next = sender.on_ack(&mut at, &mut self.rto, &incoming, prior);
        self.follow_up(cx, next, before);
        if self.snd.una == self.snd.nxt {
            self.rto.since = None;
        }
        if forward {
            self.note_room();
        }
    }

    /// The send buffer holds two congestion windows, unless the application has chosen its size (`tcp_sndbuf_expand()`).
    pub(super) fn expand_send_buffer(&mut self) {
        // Headers and `struct skb_shared_info` around the data, and `struct sk_buff`.
        const AROUND: u32 = 320 + 320;
        const SKB: u32 = 256;
        let Some(sender) = &self.sender else { return };
        let mss = u32::from(self.setup.mss.max(self.snd.mss));
        let segments = sender.window.cwnd.max(10).max(sender.reordering + 1);
        let bytes = (2 * segments).saturating_mul((mss + AROUND).next_power_of_two() + SKB);
        self.snd.buf = self.snd.buf.max(bytes.min(self.setup.snd_buf_most));
    }

    /// There is room again for an application that waits for it (`tcp_check_space()`).
    pub(super) fn note_room(&mut self) {
        if self.blocked && self.sender.as_ref().is_some_and(|sender| !sender.is_window_limited()) {
            self.expand_send_buffer();
        }
        if self.blocked && self.snd.free() >= self.snd.buf / 3 && self.writable() > 0 {
            (self.blocked, self.starving) = (false, false);
            self.events |= Pending::WRITABLE;
        }
    }

    /// SEG.ACK < SND.UNA: late, but its blocks may be news.
    #[inline(never)]
    pub(super) fn take_old_ack(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        let mut at = self.moment(cx);
        let Some(sender) = &mut self.sender else { return };
        let before = sender.state;
        let incoming =
            Incoming { ack: seg.ack, sacks: seg.options.sack(), echo: None, echo_rtt: None, news: News::empty() };
        let next = sender.on_old_ack(&mut at, &incoming);
        self.follow_up(cx, next, before);
    }

    /// The peer says that it has reduced its window (RFC 3168 6.1.2): the echo ends, and it may be waiting.
    pub(super) fn accept_cwr(&mut self, seg: &Segment) {
        if let Some(sender) = self.sender.as_mut().filter(|_| seg.has(Flags::CWR)) {
            sender.ecn.accept_cwr();
            if seg.seq_len() > 0 {
                self.ack = Ack::Now;
            }
        }
    }

    fn takes_ece(&self, seg: &Segment) -> bool {
        let agreed = self.sender.as_ref().is_some_and(|sender| sender.ecn.is_agreed);
        agreed && seg.has(Flags::ECE) && !seg.has(Flags::SYN)
    }

    /// Sets the timers, counts what is to be counted, and tells about the window where the state changed.
    fn follow_up(&mut self, cx: &mut Context<'_>, next: Next, before: CaState) {
        let Some(sender) = &mut self.sender else { return };
        for tally in sender.take_counted() {
            cx.count(tally);
        }
        if sender.state != before {
            let (cwnd, ssthresh) = self.window_bytes();
            cx.note(TcpEvent::Cwnd { cwnd, ssthresh });
        }
        match next {
            Next::Keep => {}
            Next::Restart => {
                if !self.schedule_loss_probe(cx, true) {
                    self.rearm_rto(cx);
                }
            }
            Next::Reorder(span) => {
                let span = span.min(self.rto.current(cx.knobs));
                self.wait_for(cx, Timer::Reorder, span);
            }
            Next::Soon(span) => self.wait_for(cx, Timer::Retransmit, span),
        }
    }

    /// cwnd and ssthresh in bytes.
    pub(super) fn window_bytes(&self) -> (u32, u32) {
        match &self.sender {
            Some(sender) => {
                let mss = u32::from(self.snd.mss);
                let ssthresh = match sender.window.ssthresh {
                    crate::tcp::sender::NO_THRESHOLD.. => u32::MAX,
                    segments => segments.saturating_mul(mss),
                };
                (sender.window.cwnd.saturating_mul(mss), ssthresh)
            }
            None => (self.recovery.cwnd, self.recovery.ssthresh),
        }
    }

    /// Reordering has been waited out: what is missing is lost.
    pub(super) fn on_reordering_timeout(&mut self, cx: &mut Context<'_>) {
        let at = self.moment(cx);
        let Some(sender) = &mut self.sender else { return };
        let before = sender.state;
        sender.on_reordering_timeout(&at);
        let left = sender.rto_left(&at);
        self.wait_for(cx, Timer::Retransmit, left);
        self.follow_up(cx, Next::Keep, before);
    }
}
