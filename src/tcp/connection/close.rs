//! The ways to end: CLOSE, ABORT, TIME-WAIT, death (RFC 9293 3.6, 3.10.4, 3.10.5).

use super::{Ack, Connection, Pending, Persist, Urgently};
use crate::endpoint::{Errno, State};
use crate::tcp::closing::Remains;
use crate::tcp::rcv::Reader;
use crate::tcp::snd::End;
use crate::tcp::timers::Timer;
use crate::tcp::{Closing, ClosingRule, Context, Linger2, Tally, WindowRule};
use crate::time::Span;

impl Connection {
    /// CLOSE: no more is written; the FIN follows what is queued (RFC 9293 3.10.4). Reading goes on.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        if self.snd.end == End::Closed {
            return;
        }
        match self.state {
            State::SynSent => self.die(cx, None),
            // "If no SENDs have been issued and there is no pending data to send, then form a FIN segment and send it,
            // and enter FIN-WAIT-1 state; otherwise, queue for processing after entering ESTABLISHED state." The FIN
            // waits for the ACK of our SYN in both cases: nothing is lost, and the SYN is never sent again behind it.
            State::SynReceived if !self.is_early() => self.end_writing(),
            State::SynReceived | State::Established => {
                self.end_writing();
                cx.transition(&mut self.state, State::FinWait1, None, None);
            }
            State::CloseWait => {
                self.end_writing();
                cx.transition(&mut self.state, State::LastAck, None, None);
            }
            _ => {}
        }
        self.more = false;
    }

    /// The FIN follows what is queued.
    fn end_writing(&mut self) {
        self.snd.end = End::Closed;
        if let Some(sender) = &mut self.sender {
            sender.writes.close();
        }
        self.wake();
    }

    /// The application reads no more, but its socket is open: what arrives is taken, unless it has closed as well and
    /// the profile resets then.
    pub fn shut_reading(&mut self, _cx: &mut Context<'_>) {
        self.shut = true;
    }

    /// ABORT: a reset to the peer, and all is forgotten (RFC 9293 3.10.5). No error: the user asked for it.
    pub fn abort(&mut self, cx: &mut Context<'_>) {
        let (nxt, ack) = (self.snd.nxt, self.rcv.nxt);
        let reset = match self.state {
            State::Closed | State::Listen | State::SynSent | State::TimeWait => None,
            // "<SEQ=SND.NXT><CTL=RST>"; with an ACK, as everyone sends it, it also passes stateful firewalls.
            _ => Some(Urgently::Reset(nxt, Some(ack))),
        };
        if self.state != State::Closed {
            self.die(cx, None);
        }
        self.rcv.clear();
        self.urgently = reset;
    }

    /// ABORT by the user, who has taken all that came. Once the peer's FIN has come as well and ours is sent there is
    /// nothing to reset: RFC 9293 3.10.5, CLOSING and LAST-ACK: "respond with "ok" ... and enter CLOSED state"
    /// (`tcp_disconnect()`, `tcp_need_reset()`); BSD resets all the same (`tcp_drop()`).
    pub fn disconnect(&mut self, cx: &mut Context<'_>) {
        let both_closed = matches!(self.state, State::Closing | State::LastAck);
        if both_closed && self.snd.nxt == self.snd.all_end() && cx.knobs.closing != ClosingRule::Bsd {
            self.die(cx, None);
            self.rcv.clear();
        } else {
            self.abort(cx);
        }
    }

    /// Nobody reads any more: the socket is closed in full. Unread data, now or later, is answered by a reset where
    /// the profile does so. Call [`Connection::close`] as well.
    pub fn stop_receiving(&mut self, cx: &mut Context<'_>) {
        if self.rcv.reader == Reader::Gone {
            return;
        }
        let unread = !self.rcv.queue.is_empty();
        self.rcv.reader = Reader::Gone;
        let peer_waits = !matches!(self.state, State::Closed | State::TimeWait | State::SynSent);
        if unread && peer_waits && cx.knobs.reset_unread {
            // RFC 9293 3.6.1: "If such a host issues a CLOSE call while received data is still pending in the TCP
            // connection, ... its TCP implementation SHOULD send a RST".
            return self.abort(cx);
        }
        self.rcv.queue.clear();
        self.leave_fin_wait2(cx);
    }

    /// TIME-WAIT is for the small machine.
    #[inline(never)]
    pub(super) fn enter_time_wait(&mut self, cx: &mut Context<'_>) {
        let lasts = cx.knobs.time_wait;
        cx.transition(&mut self.state, State::TimeWait, Some(lasts), None);
        self.hand_over(cx, lasts);
        self.events |= Pending::ENDED;
    }

    /// FIN-WAIT-2 that nobody owns is for the small machine too, where the profile limits it.
    pub(super) fn leave_fin_wait2(&mut self, cx: &mut Context<'_>) {
        if self.state == State::FinWait2 && self.is_orphan() {
            self.shrink_or_abort(cx);
        }
    }

    #[inline(never)]
    fn shrink_or_abort(&mut self, cx: &mut Context<'_>) {
        if self.setup.linger2 == Linger2::Never {
            cx.count(Tally::AbortOnLinger);
            return self.abort(cx);
        }
        let Some(lasts) = self.fin_wait2(cx) else { return };
        // tcp_fin_time(): the small machine must not hold it for longer than TIME-WAIT; the connection waits for the
        // excess, and then the small one for the excess once more.
        let excess = lasts.saturating_sub(cx.knobs.time_wait);
        if cx.knobs.closing == ClosingRule::Linux && excess > Span::ZERO {
            self.timers.set(cx, Timer::KeepAlive, excess);
        } else {
            self.shrink(cx, lasts);
        }
    }

    /// The first wait of a long FIN-WAIT-2 is over.
    pub(super) fn end_long_fin_wait2(&mut self, cx: &mut Context<'_>) {
        match self.fin_wait2(cx).unwrap_or_default().saturating_sub(cx.knobs.time_wait) {
            Span::ZERO => self.abort(cx),
            excess => self.shrink(cx, excess),
        }
    }

    fn shrink(&mut self, cx: &mut Context<'_>, lasts: Span) {
        // The small machine delays nothing: what is owed is acknowledged before (RFC 9293 3.8.6.3, MUST-40).
        if let Ack::Delayed(_) = self.ack {
            self.ack = Ack::Now;
        }
        self.hand_over(cx, lasts);
    }

    /// How long FIN-WAIT-2 lasts without an owner; on Linux at least 3.5 RTO (`tcp_fin_time()`).
    pub(super) fn fin_wait2(&self, cx: &Context<'_>) -> Option<Span> {
        let lasts = match self.setup.linger2 {
            Linger2::For(span) => Some(span),
            Linger2::System | Linger2::Never => cx.knobs.fin_wait2,
        };
        let least = match cx.knobs.closing {
            ClosingRule::Linux => self.rto.current(cx.knobs) * 7 / 2,
            ClosingRule::Rfc9293 | ClosingRule::Bsd => Span::ZERO,
        };
        lasts.map(|lasts| lasts.max(least))
    }

    /// Over, with or without an error: all queues to send are flushed, what was received stays readable.
    #[inline(never)]
    pub(super) fn die(&mut self, cx: &mut Context<'_>, error: Option<Errno>) {
        cx.transition(&mut self.state, State::Closed, None, error);
        self.error = error;
        self.events |= Pending::ENDED;
        self.stop_sending();
        self.ack = Ack::None;
    }

    fn hand_over(&mut self, cx: &mut Context<'_>, lasts: Span) {
        let listens = self.state == State::FinWait2 && self.setup.linger2 == Linger2::System;
        let heard = (listens && cx.knobs.fin_wait2_again.is_some()).then_some(self.keep.heard);
        let edge = match cx.knobs.window {
            WindowRule::Bsd => self.rcv.free_edge(self.snd.mss),
            WindowRule::Buffer | WindowRule::Linux => self.rcv.edge,
        };
        let rcv_wnd = edge.since(self.rcv.nxt);
        let remains = Remains {
            ports: self.ports,
            snd_nxt: self.snd.nxt,
            rcv_nxt: self.rcv.nxt,
            rcv_wnd,
            shift: self.rcv.shift,
            state: self.state,
            ts: self.ts,
            throttle: self.throttle,
            heard,
        };
        self.closing = Some(Closing::new(cx, remains, lasts));
        self.stop_sending();
    }

    fn stop_sending(&mut self) {
        self.snd.clear();
        if let Some(sender) = &mut self.sender {
            sender.clear();
        }
        self.timers.stop_all();
        self.persist = Persist::Idle;
        self.urgently = None;
    }
}
