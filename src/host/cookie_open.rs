//! Passive opens by SYN cookies.

use super::Host;
use super::bandlim::Answer;
use super::cookies::{self, CookieUse};
use super::counters::{Counter, Machine};
use super::demux::{Key, Place};
use super::listener::{QueueRule, drop_segment};
use crate::endpoint::{Cx, DropReason, SocketId, State, Tuple};
use crate::tcp::{self, Context, HalfOpen, Kept, Ports, Setup, TcpEvent};
use crate::time::{HostTime, secs};
use crate::wire::{Segment, Seq};

impl Host {
    /// A SYN is answered and forgotten.
    pub(super) fn answer_by_cookie(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        syn: &Segment,
    ) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.path_to(tuple.remote.ip(), cx.now())) else {
            return;
        };
        let (setup, now) = (self.setup(&socket.options, tuple, path), cx.now());
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail: false, ecn: 0 };
        let syn_ack = match self.settings.queues {
            QueueRule::Syncache => {
                // As if it were remembered: the cookie keeps all that it says.
                let cookie = self.cookies.bake_all(tuple, syn.seq, &syn.options, now);
                let answer = HalfOpen::new(&mut context, ports, syn, cookie, &setup).poll_transmit(&mut context);
                let Some(answer) = answer else { return };
                answer
            }
            QueueRule::Plain | QueueRule::Linux => {
                let mss = syn.options.mss().filter(|mss| *mss > 0).unwrap_or(setup.default_mss);
                let cookie = self.cookies.bake(tuple, syn.seq, mss, now);
                tcp::cookie_syn_ack(&context, ports, syn, cookie, &setup)
            }
        };
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
        let expected = match self.settings.queues {
            QueueRule::Syncache => {
                let row = self.cache_row(tuple);
                self.asks_no_cache(now) || self.syncache.has_overflowed(row, now)
            }
            QueueRule::Plain | QueueRule::Linux => {
                listener.overflowed.is_some_and(|last| now.since(last) <= cookies::VALID)
            }
        };
        if self.settings.cookies == CookieUse::Never || !expected {
            return false;
        }
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.path_to(tuple.remote.ip(), cx.now())) else {
            return false;
        };
        let setup = self.setup(&socket.options, tuple, path);
        let (irs, cookie) = (segment.seq - 1, segment.ack - 1);
        let kept = self.read_cookie((tuple, irs, cookie), segment, &setup, now);
        let is_ours = kept != Err(NotKept::Cookie);
        self.counters.add(if is_ours { Counter::SyncookiesRecv } else { Counter::SyncookiesFailed });
        let Ok(kept) = kept else {
            self.drop_with_reset(cx, tuple, segment, (DropReason::CookieInvalid, Answer::OpenPort));
            return true;
        };
        if full {
            self.counters.add(Counter::ListenOverflows);
            self.counters.add(Counter::ListenDrops);
            drop_segment(cx, DropReason::AcceptQueueFull);
            if self.settings.queues == QueueRule::Syncache && self.settings.abort_on_overflow {
                self.refuse(cx, tuple, segment, Answer::Connection);
            }
            return true;
        }
        let known = self.addrs.peer(tuple.remote.ip()).and_then(|_| self.demux.get(&key)).map(|slot| slot.place());
        match known {
            None => {}
            // The cache was not asked; what it has of the 4-tuple ends without a word at its row's next timeout.
            Some(Place::Half(index)) if self.asks_no_cache(now) => self.forget_half(cx, index),
            // The same 4-tuple is half open by now, for another SYN; that one stays (`tcp_v4_syn_recv_sock()`).
            Some(_) => {
                drop_segment(cx, DropReason::NoMeaning);
                return true;
            }
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

    /// What the cookie in a third segment has kept of its SYN.
    fn read_cookie(
        &self,
        (tuple, irs, cookie): (Tuple, Seq, Seq),
        segment: &Segment,
        setup: &Setup,
        now: HostTime,
    ) -> Result<Kept, NotKept> {
        match self.settings.queues {
            QueueRule::Syncache => {
                // What the SYN offered, as far as the SYN-ACK took it up.
                let knobs = &self.settings.knobs;
                let kept = self.cookies.read_all(tuple, irs, cookie, now).map(|kept| Kept {
                    peer_shift: kept.peer_shift.filter(|_| knobs.window_scale),
                    sack: kept.sack && knobs.sack,
                    ..kept
                });
                kept.ok_or(NotKept::Cookie)
            }
            QueueRule::Plain | QueueRule::Linux => match self.cookies.mss(tuple, irs, cookie, now) {
                Some(mss) => Kept::read(segment, mss, setup, &self.settings.knobs).ok_or(NotKept::Options),
                None => Err(NotKept::Cookie),
            },
        }
    }
}

/// Why a third segment opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotKept {
    /// Its cookie is none of ours, or too old.
    Cookie,
    /// Its options cannot be an answer to ours.
    Options,
}
