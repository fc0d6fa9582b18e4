//! Whether a listener takes a SYN, and the SYNs that it answers and forgets (`tcp_conn_request()` in tcp_input.c,
//! net/ipv4/syncookies.c).

use super::Host;
use super::cookies::{self, CookieUse};
use super::counters::{Counter, Machine};
use super::demux::Key;
use super::listener::{QueueRule, drop_segment};
use crate::endpoint::{Cx, DropReason, SocketId, State, Tuple};
use crate::tcp::{self, Context, HalfOpen, Kept, Ports, TcpEvent};
use crate::time::{HostTime, secs};
use crate::wire::Segment;

/// What becomes of a SYN that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is remembered: a half-open connection.
    Remembered,
    /// Only its answer remembers it.
    Cookie,
}

impl Host {
    /// Whether a listener takes a SYN; `reopens`: it ends a TIME-WAIT (`tcp_conn_request()` in tcp_input.c).
    pub(super) fn admit(
        &mut self,
        now: HostTime,
        id: SocketId,
        tuple: Tuple,
        reopens: bool,
    ) -> Result<Admission, DropReason> {
        let (rule, uses) = (self.settings.queues, self.settings.cookies);
        let Some(listener) = self.sockets.listener(id) else { return Err(DropReason::NoSocket) };
        let (halves, syn_full, accept_full) =
            (listener.syn, listener.syn >= listener.syn_max, listener.accept_is_full());
        // "TW buckets are converted to open requests without limitations, they conserve resources and peer is
        // evidently real one."
        let crowded = rule == QueueRule::Linux && !reopens && (syn_full || uses == CookieUse::Always);
        let cookie = crowded && uses != CookieUse::Never;
        if cookie {
            self.counters.add(Counter::ReqQFullDoCookies);
        } else if crowded {
            self.counters.add(Counter::ReqQFullDrop);
            return Err(DropReason::SynQueueFull);
        }
        if accept_full {
            self.counters.add(Counter::ListenOverflows);
            return Err(DropReason::AcceptQueueFull);
        }
        match rule {
            QueueRule::Linux if cookie => return Ok(Admission::Cookie),
            QueueRule::Linux => {
                // "Without syncookies last quarter of backlog is filled with destinations, proven to be alive."
                let most = self.settings.syn_backlog;
                let last_quarter = i64::from(most) - i64::from(halves) < i64::from(most >> 2);
                let open = reopens || uses != CookieUse::Never || self.known.proven(tuple.remote.ip(), now);
                if last_quarter && !open {
                    return Err(DropReason::SynQueueFull);
                }
            }
            QueueRule::Plain if syn_full => {
                self.counters.add(Counter::ReqQFullDrop);
                return Err(DropReason::SynQueueFull);
            }
            QueueRule::Plain => {}
        }
        Ok(Admission::Remembered)
    }

    /// A SYN is answered and forgotten.
    pub(super) fn answer_by_cookie(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        syn: &Segment,
    ) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.addrs.path(tuple.remote.ip())) else { return };
        let (setup, now) = (self.setup(&socket.options, tuple, path), cx.now());
        let mss = syn.options.mss().filter(|mss| *mss > 0).unwrap_or(setup.default_mss);
        let cookie = self.cookies.bake(tuple, syn.seq, mss, now);
        let (limits, events) = (&mut self.limits, &mut self.events);
        let context = Context { now, knobs: &self.settings.knobs, limits, events, detail: cx.detail(), ecn: 0 };
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let syn_ack = tcp::cookie_syn_ack(&context, ports, syn, cookie, &setup);
        self.counters.add(Counter::SyncookiesSent);
        if let Some(listener) = self.sockets.listener(id) {
            let last = listener.overflowed.filter(|last| now.since(*last) <= secs(1));
            listener.overflowed = last.or(Some(now));
        }
        self.send_bare(cx, tuple, syn_ack);
    }

    /// A segment with ACK that may bring a cookie back; whether it was taken (`cookie_v4_check()`).
    pub(super) fn cookie_segment(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        segment: &Segment,
    ) -> bool {
        let now = cx.now();
        let Some(listener) = self.sockets.listener(id) else { return false };
        let full = listener.accept_is_full();
        let expected = listener.overflowed.is_some_and(|last| now.since(last) <= cookies::VALID);
        if self.settings.cookies == CookieUse::Never || !expected {
            return false;
        }
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.addrs.path(tuple.remote.ip())) else { return false };
        let setup = self.setup(&socket.options, tuple, path);
        let mss = self.cookies.mss(tuple, segment.seq - 1, segment.ack - 1, now);
        self.counters.add(if mss.is_some() { Counter::SyncookiesRecv } else { Counter::SyncookiesFailed });
        let kept = mss.and_then(|mss| Kept::read(segment, mss, &setup, &self.settings.knobs));
        let Some(kept) = kept else {
            drop_segment(cx, DropReason::CookieInvalid);
            self.refuse(cx, tuple, segment);
            return true;
        };
        if full {
            self.counters.add(Counter::ListenOverflows);
            self.counters.add(Counter::ListenDrops);
            drop_segment(cx, DropReason::AcceptQueueFull);
            return true;
        }
        // The same 4-tuple is half open by now, for another SYN; that one stays (`tcp_v4_syn_recv_sock()`).
        if self.addrs.peer(tuple.remote.ip()).is_some() && self.demux.contains(&key) {
            drop_segment(cx, DropReason::NoMeaning);
            return true;
        }
        let event = TcpEvent::Transition { from: State::Listen, to: State::SynReceived, lasts: None, error: None };
        self.counters.note(&event, Machine::Half);
        cx.note(event.at(tuple));
        let (limits, events) = (&mut self.limits, &mut self.events);
        let context = Context { now, knobs: &self.settings.knobs, limits, events, detail: cx.detail(), ecn: 0 };
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let tcp = HalfOpen::from_cookie(&context, ports, segment, &kept, &setup);
        let key = Key { remote: self.addrs.use_peer(tuple.remote.ip()), ..key };
        self.establish(cx, id, tcp, (key, tuple), segment);
        true
    }
}
