use super::Host;
use super::config::Settings;
use super::counters::{Counter, Machine};
use super::demux::{Demux, Key, Place};
use super::stream::Leftover;
use crate::endpoint::{Cx, State};
use crate::slab::Slab;
use crate::tcp::{Setup, TcpEvent};
use crate::time::{HostTime, Span};
use crate::wire::Seq;

/// Whether an active open may have a 4-tuple that is in TIME-WAIT (`tcp_twsk_unique()` in tcp_ipv4.c). Safe only with
/// timestamps, by which segments of the two incarnations are told apart (RFC 7323 5, RFC 6191).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reuse {
    /// Whether a port that the application has bound may always be used so.
    pub(super) bound: bool,
    /// Whether one that `connect` chooses may.
    pub(super) chosen: Chosen,
    /// How long after the connection ended that may be.
    pub(super) delay: Span,
}

/// `tcp_tw_reuse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Chosen {
    #[default]
    Never,
    Always,
    /// Between addresses of the loopback network.
    OnLoopback,
}

/// What is to be known of a 4-tuple.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks<'a> {
    pub(super) settings: &'a Settings,
    pub(super) demux: &'a Demux,
    pub(super) leftovers: &'a Slab<Leftover>,
    pub(super) now: HostTime,
}

impl<'a> Looks<'a> {
    /// What is left of the connection on a bound port, where its place may be taken.
    pub(super) fn bound(self, key: Key) -> Option<u32> {
        self.leftover(key).filter(|_| self.settings.reuse.bound).map(|(index, _)| index)
    }

    /// The same on a port that is still to be chosen.
    pub(super) fn chosen(self, key: Key, loopback: bool) -> Option<u32> {
        let reuse = self.settings.reuse;
        let (index, leftover) = self.leftover(key)?;
        let allowed = match reuse.chosen {
            Chosen::Never => false,
            Chosen::Always => true,
            Chosen::OnLoopback => loopback,
        };
        let rested = self.now.since(leftover.tcp.entered()) > reuse.delay;
        (allowed && rested && leftover.tcp.state() == State::TimeWait).then_some(index)
    }

    fn leftover(self, key: Key) -> Option<(u32, &'a Leftover)> {
        let Place::Closing(index) = self.demux.get(&key)?.place() else { return None };
        let leftover = self.leftovers.get(index)?;
        leftover.tcp.ts_recent().map(|_| (index, leftover))
    }
}

impl Host {
    /// What is left of a connection makes room: where the next one's sequence numbers begin, and what its SYN echoes.
    pub(super) fn succeed(&mut self, cx: &mut Cx<'_>, index: u32, setup: &mut Setup) -> Option<Seq> {
        let leftover = self.leftovers.get(index)?;
        let (beyond, from) = (leftover.tcp.next_iss(), leftover.tcp.state());
        setup.ts_echo = leftover.tcp.ts_recent();
        let tuple = self.tuple(leftover.key());
        let event = TcpEvent::Transition { from, to: State::Closed, lasts: None, error: None };
        self.counters.note(&event, Machine::Left(from));
        cx.note(event.at(tuple));
        // __inet_check_established()
        self.counters.add(Counter::TimeWaitsRecycled);
        self.drop_leftover(index);
        Some(beyond)
    }
}
