//! ICMP errors (RFC 9293 3.9.2.2, RFC 5461, RFC 5927, RFC 1191).

use super::{Connection, Urgently};
use crate::endpoint::{DropReason, Errno, State};
use crate::tcp::handshake::effective_mss;
use crate::tcp::snd::Syn;
use crate::tcp::timers::Timer;
use crate::tcp::{Context, IcmpRule, Tally};
use crate::time::{Span, ns};
use crate::wire::{IcmpKind, Seq};

/// Bytes of IPv6 and TCP headers.
const OVERHEAD_V6: u16 = 60;

impl Connection {
    /// An ICMP error about a segment of ours that began with `seq`; the path MTU that is believed, where it made segments
    /// smaller.
    pub fn on_icmp(&mut self, cx: &mut Context<'_>, kind: IcmpKind, seq: Seq) -> Option<u16> {
        // RFC 5927 4.1: only what is in flight can have caused an error.
        let una = if self.is_early() { self.snd.iss } else { self.snd.una };
        let in_flight = una.le(seq) && seq.lt(self.snd.max);
        if !in_flight || matches!(self.state, State::Closed | State::TimeWait) {
            if self.state != State::Closed {
                cx.count(Tally::OutOfWindowIcmps);
            }
            cx.dropped(DropReason::IcmpIrrelevant);
            return None;
        }
        if let IcmpKind::TooBig { mtu } = kind {
            let mtu = self.believed(cx, mtu);
            let connecting = self.state == State::SynSent;
            let narrower = if connecting { self.on_syn_too_big(cx, mtu) } else { self.on_too_big(cx, mtu) };
            if !narrower {
                cx.dropped(DropReason::IcmpIrrelevant);
            }
            return narrower.then_some(mtu);
        }
        self.on_unreachable(cx, kind, seq);
        None
    }

    /// What is known of the path has changed, though not by an error about a segment of ours: segments from here on, those
    /// that go again included, are as large as it takes (`tcp_sync_mss()`). Whether that was heard: a SYN keeps to the MSS
    /// that it announces.
    pub fn follow_path(&mut self, mtu: u32) -> bool {
        if matches!(self.state, State::SynSent | State::Closed) {
            return false;
        }
        let fits = mtu.saturating_sub(self.setup.overhead.into()).max(8);
        let mss = self.snd.agreed_mss.min(u16::try_from(fits).unwrap_or(u16::MAX));
        self.snd.mss = effective_mss(mss, self.ts);
        true
    }

    fn on_unreachable(&mut self, cx: &mut Context<'_>, kind: IcmpKind, seq: Seq) {
        let (error, hard) = match kind {
            kind if matches!(cx.knobs.icmp, IcmpRule::Bsd { .. }) => return self.on_error_as_bsd(cx, kind),
            IcmpKind::TooBig { .. } => return,
            IcmpKind::PortUnreachable => (Errno::ECONNREFUSED, true),
            IcmpKind::ProtocolUnreachable => (Errno::ENOPROTOOPT, true),
            IcmpKind::NetUnreachable => (Errno::ENETUNREACH, false),
            IcmpKind::HostUnreachable | IcmpKind::AdminProhibited | IcmpKind::TimeExceeded => {
                (Errno::EHOSTUNREACH, false)
            }
        };
        // RFC 5461 4.1: hard errors abort a connection attempt and are soft once it is synchronized (RFC 5927 5.2).
        let connecting = matches!(self.state, State::SynSent | State::SynReceived) && !self.is_accepted();
        if connecting && (hard || cx.knobs.icmp == IcmpRule::Linux) {
            self.die(cx, Some(error));
        } else {
            self.soft_error = Some(error);
            if cx.knobs.unreachable_undoes_backoff && !hard {
                self.undo_backoff(cx, seq);
            }
        }
    }

    /// `icmp_errmap()`, `tcp_ctlinput()` and `tcp_notify()` of BSD.
    fn on_error_as_bsd(&mut self, cx: &mut Context<'_>, kind: IcmpKind) {
        let refused =
            matches!(kind, IcmpKind::PortUnreachable | IcmpKind::ProtocolUnreachable | IcmpKind::AdminProhibited);
        let error = if refused { Errno::ECONNREFUSED } else { Errno::EHOSTUNREACH };
        let may_reset = cx.knobs.icmp == IcmpRule::Bsd { may_reset: true };
        if may_reset && (refused || kind == IcmpKind::TimeExceeded) {
            // tcp_drop_syn_sent()
            if self.state == State::SynSent {
                self.die(cx, Some(error));
            }
            return;
        }
        // "Ignore some errors if we are hooked up."
        if self.state == State::Established && !refused {
            return;
        }
        // "If connection hasn't completed, has retransmitted several times, and receives a second error, give up now."
        let connecting = matches!(self.state, State::SynSent | State::SynReceived);
        if connecting && self.rto.tries > 3 && self.soft_error.is_some() {
            // tcp_drop()
            let resets = self.state == State::SynReceived;
            let reset = Urgently::Reset(self.snd.max, Some(self.rcv.nxt));
            self.die(cx, Some(error));
            self.urgently = resets.then_some(reset);
        } else {
            self.soft_error = Some(error);
        }
    }

    /// RFC 6069: a retransmission that found no way says nothing of congestion; its doubling is taken back
    /// (`tcp_ld_RTO_revert()`).
    fn undo_backoff(&mut self, cx: &mut Context<'_>, seq: Seq) {
        if seq == self.snd.una && self.rto.backoff > 0 && self.timers.is_armed(Timer::Retransmit) {
            self.rto.backoff -= 1;
            // What has passed since the retransmission counts, rounded up to a tick.
            let tick = cx.knobs.ticks.length.map_or(1, Span::as_nanos).max(1);
            let passed = cx.now.since(self.last_sent).as_nanos().next_multiple_of(tick);
            let rest = self.bounded_rto(cx).saturating_sub(ns(passed));
            self.timers.set(cx, Timer::Retransmit, rest);
        }
    }

    /// Routers older than RFC 1191 say 0: the least that every host must take then.
    fn believed(&self, cx: &Context<'_>, mtu: u16) -> u16 {
        // RFC 8200 5: every link takes so much.
        const LEAST_V6: u16 = 1_280;
        match (mtu, cx.knobs.icmp) {
            _ if self.setup.overhead == OVERHEAD_V6 => mtu.max(LEAST_V6),
            // __ip_rt_update_pmtu()
            (_, IcmpRule::Linux) => mtu.max(cx.knobs.min_mtu),
            (0, _) => self.setup.default_mss + self.setup.overhead,
            _ => mtu.max(cx.knobs.min_mtu),
        }
    }

    /// RFC 1191 6.4: a smaller path MTU; what was too big goes out again in smaller pieces.
    fn on_too_big(&mut self, cx: &mut Context<'_>, mtu: u16) -> bool {
        let mss = effective_mss(mtu.saturating_sub(self.setup.overhead).max(8), self.ts);
        if mss >= self.snd.mss {
            return false;
        }
        let data_end = self.snd.data_end();
        self.snd.mss = mss;
        let at = self.moment(cx);
        match &mut self.sender {
            Some(sender) if self.snd.syn == Syn::Acked => {
                sender.on_too_big(&at, data_end);
                self.is_stale = true;
            }
            _ => self.recovery.on_too_big(self.snd.una, self.snd.nxt),
        }
        self.rto.resent();
        true
    }
}
