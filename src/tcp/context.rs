use super::fast_open::Blackhole;
use super::tally::Tallies;
use super::{Knobs, Tally};
use crate::endpoint::{Arrival, DropReason, Errno, Event, State, TimerChange, TimerKind, Tuple};
use crate::time::{HostTime, Span};

/// The two ports of a connection; the addresses are the host's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    /// This end.
    pub local: u16,
    /// The other end.
    pub remote: u16,
}

/// What a machine needs from outside during one call, and where it tells what happened.
#[derive(Debug)]
pub struct Context<'a> {
    /// The host's clock.
    pub now: HostTime,
    /// How TCP behaves on this host.
    pub knobs: &'a Knobs,
    /// Counters shared by all connections of the host.
    pub limits: &'a mut Limits,
    /// Where events go, in the order in which they happened.
    pub events: &'a mut Vec<TcpEvent>,
    /// Whether anyone looks at timers; where not, they are not noted.
    pub detail: bool,
    /// The two ECN bits of the IP header that the segment at hand came with (RFC 3168 5); 0 otherwise.
    pub ecn: u8,
}

/// What a machine tells about itself: an [`Event`] that does not know its addresses yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpEvent {
    /// It changed its state.
    Transition {
        /// From.
        from: State,
        /// To.
        to: State,
        /// How long the new state lasts at most, where a timer ends it.
        lasts: Option<Span>,
        /// The error the application will see, where the connection failed.
        error: Option<Errno>,
    },
    /// A timer was set, fired or was started anew.
    Timer {
        /// Which.
        timer: TimerKind,
        /// What happened to it.
        change: TimerChange,
    },
    /// What the segment at hand turned out to be, where it was not simply taken.
    Arrival(Arrival),
    /// The congestion window changed by more than an acknowledgment's growth.
    Cwnd {
        /// New window in bytes.
        cwnd: u32,
        /// New slow-start threshold in bytes.
        ssthresh: u32,
    },
}

impl TcpEvent {
    /// The event as it happened to the connection `tuple`.
    pub fn at(self, tuple: Tuple) -> Event {
        match self {
            TcpEvent::Transition { from, to, lasts, error } => Event::Transition { tuple, from, to, lasts, error },
            TcpEvent::Timer { timer, change } => Event::Timer { tuple: Some(tuple), timer, change },
            TcpEvent::Arrival(arrival) => Event::Arrival(arrival),
            TcpEvent::Cwnd { cwnd, ssthresh } => Event::Cwnd { tuple, cwnd, ssthresh },
        }
    }
}

/// Counters shared by all connections of a host.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The current interval of the challenge ACK limit and how many were sent in it; none before the first.
    challenge: Option<(HostTime, u32)>,
    /// Whether the queue of packets that leave the host takes none (`tc qdisc … pfifo limit 0`): senders by segments
    /// notice at once, and try again later.
    pub is_queue_full: bool,
    tallies: Tallies,
    /// The memory of all connections is exhausted: each may have only so many bytes to send queued, and takes only what it
    /// cannot do without (`tcp_wmem_schedule()`, `tcp_try_rmem_schedule()`).
    pub starved: Option<u32>,
    blackhole: Blackhole,
}

impl Limits {
    /// The machines have forgotten everything; what was counted stays.
    pub fn forget(&mut self) {
        (self.challenge, self.starved, self.blackhole) = (None, None, Blackhole::default());
    }

    /// Whether active opens do without Fast Open for a time: a network has swallowed it.
    pub fn fast_open_pauses(&self, now: HostTime, knobs: &Knobs) -> bool {
        self.blackhole.pauses(now, knobs)
    }

    pub(super) fn met_blackhole(&mut self, now: HostTime, knobs: &Knobs) {
        self.blackhole.met(now, knobs);
    }

    /// How often that was counted.
    pub fn tally(&self, tally: Tally) -> u64 {
        self.tallies.get(tally)
    }

    /// Counts one challenge ACK; whether it may be sent (RFC 5961 7).
    pub(super) fn allow_challenge(&mut self, now: HostTime, knobs: &Knobs) -> bool {
        let Some((most, per)) = knobs.challenge_acks else { return true };
        let (start, sent) = self.challenge.filter(|(start, _)| now.since(*start) < per).unwrap_or((now, 0));
        if sent >= most {
            return false;
        }
        self.challenge = Some((start, sent + 1));
        true
    }
}

impl Context<'_> {
    /// When a timer fires that is set now for `span`.
    pub(super) fn after(&self, span: Span) -> HostTime {
        self.knobs.after(self.now, span)
    }

    /// Tells that something happened.
    pub fn note(&mut self, event: TcpEvent) {
        self.events.push(event);
    }

    /// The one place where a state changes: every machine logs its transitions here.
    pub(super) fn transition(&mut self, state: &mut State, to: State, lasts: Option<Span>, error: Option<Errno>) {
        let from = std::mem::replace(state, to);
        self.note(TcpEvent::Transition { from, to, lasts, error });
    }

    /// Tells that the segment at hand is not taken, and why.
    pub(super) fn dropped(&mut self, reason: DropReason) {
        self.note(TcpEvent::Arrival(Arrival::Dropped(reason)));
    }

    /// Counts something that no event tells.
    pub(super) fn count(&mut self, tally: Tally) {
        self.limits.tallies.add(tally);
    }

    /// Tells about a timer, where anyone looks.
    pub(super) fn timer(&mut self, timer: TimerKind, change: TimerChange) {
        if self.detail {
            self.note(TcpEvent::Timer { timer, change });
        }
    }

    /// Whether a challenge ACK may be sent now.
    pub(super) fn allow_challenge(&mut self) -> bool {
        self.limits.allow_challenge(self.now, self.knobs)
    }
}
