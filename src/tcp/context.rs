use super::fast_open::Blackhole;
use super::tally::Tallies;
use super::{Knobs, Tally};
use crate::endpoint::{Arrival, DropReason, Errno, Event, State, TimerChange, TimerKind, Tuple};
use crate::rng::below;
use crate::time::{HostTime, Span};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// `SOCK_MIN_SNDBUF`: an orphan that has no more than this to send is left alone.
const SPARED: u32 = 4_608;

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
    /// The second of [`Knobs::challenges_vary`], and how many are left in it.
    challenges_left: Option<(u64, u32)>,
    /// What that number is drawn with.
    draws: u64,
    /// Whether the queue of packets that leave the host takes none (`tc qdisc … pfifo limit 0`): senders by segments
    /// notice at once, and try again later.
    pub is_queue_full: bool,
    tallies: Tallies,
    /// The memory of all connections is exhausted: each may have only so many bytes to send queued, and takes only what it
    /// cannot do without (`tcp_wmem_schedule()`, `tcp_try_rmem_schedule()`).
    pub starved: Option<u32>,
    /// Orphans, as last counted, and the most that there may be.
    pub orphans: Option<(u32, u32)>,
    blackhole: Blackhole,
}

impl Limits {
    /// Nothing is counted; `draws` is what numbers that have to be drawn are drawn with.
    pub fn new(draws: u64) -> Limits {
        Limits { draws, ..Limits::default() }
    }

    /// The machines have forgotten everything; what was counted stays.
    pub fn forget(&mut self) {
        (self.challenge, self.challenges_left, self.starved, self.orphans) = (None, None, None, None);
        self.blackhole = Blackhole::default();
    }

    /// Whether active opens do without Fast Open for a time: a network has swallowed it.
    pub fn fast_open_pauses(&self, now: HostTime, knobs: &Knobs) -> bool {
        self.blackhole.pauses(now, knobs)
    }

    pub(super) fn met_blackhole(&mut self, now: HostTime, knobs: &Knobs) {
        self.blackhole.met(now, knobs);
    }

    /// `tcp_check_oom()`: whether an orphan with so many bytes to send has to go, where it counts for as many as `doublings`
    /// make of one.
    pub fn is_short_of(&self, queued: u32, doublings: u32) -> bool {
        let many = self.orphans.is_some_and(|(seen, most)| seen.checked_shl(doublings).unwrap_or(u32::MAX) > most);
        many || (self.starved.is_some() && queued > SPARED)
    }

    /// How often that was counted.
    pub fn tally(&self, tally: Tally) -> u64 {
        self.tallies.get(tally)
    }

    /// Counts one challenge ACK; whether it may be sent (RFC 5961 7).
    pub(super) fn allow_challenge(&mut self, now: HostTime, knobs: &Knobs) -> bool {
        let Some((most, per)) = knobs.challenge_acks else { return true };
        if knobs.challenges_vary {
            return self.allow_drawn((most, per), now.since(HostTime::ZERO) + knobs.ticks.uptime);
        }
        let (start, sent) = self.challenge.filter(|(start, _)| now.since(*start) < per).unwrap_or((now, 0));
        if sent >= most {
            return false;
        }
        self.challenge = Some((start, sent + 1));
        true
    }

    fn allow_drawn(&mut self, (most, per): (u32, Span), uptime: Span) -> bool {
        let second = uptime.as_nanos() / per.as_nanos().max(1);
        // Of an empty range the kernel draws any number there is.
        let draw = || match most {
            0 => u32::MAX,
            _ => {
                let word = xxh3_64_with_seed(&second.to_le_bytes(), self.draws);
                most.div_ceil(2).saturating_add(u32::try_from(below(word, most.into())).unwrap_or(0))
            }
        };
        let left = self.challenges_left.filter(|(of, _)| *of == second).map_or_else(draw, |(_, left)| left);
        self.challenges_left = Some((second, left.saturating_sub(1)));
        left > 0
    }
}

impl Context<'_> {
    /// When a timer fires that is set now for `span`.
    pub(super) fn after(&self, span: Span) -> HostTime {
        self.knobs.ticks.after(self.now, span)
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
            self.note_timer(timer, change);
        }
    }

    #[inline(never)]
    fn note_timer(&mut self, timer: TimerKind, change: TimerChange) {
        self.note(TcpEvent::Timer { timer, change });
    }

    /// Whether a challenge ACK may be sent now.
    pub(super) fn allow_challenge(&mut self) -> bool {
        self.limits.allow_challenge(self.now, self.knobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    /// 5 a second: of each second from 3 to 7.
    #[test]
    fn the_number_of_challenges_in_a_second_is_drawn() {
        let knobs = Knobs { challenge_acks: Some((5, secs(1))), challenges_vary: true, ..Knobs::default() };
        let allowed = |limits: &mut Limits, knobs: &Knobs, at: Span| {
            (0..20).filter(|_| limits.allow_challenge(HostTime::ZERO + at, knobs)).count()
        };
        let mut limits = Limits::new(7);
        let numbers: Vec<usize> = (0..60).map(|n| allowed(&mut limits, &knobs, secs(n))).collect();
        assert_eq!((numbers.iter().min(), numbers.iter().max()), (Some(&3), Some(&7)));
        // The seconds are those of the clock.
        assert_eq!(allowed(&mut limits, &knobs, secs(59) + ms(999)), 0);
        assert!(allowed(&mut limits, &knobs, secs(60)) > 0);
        let none = Knobs { challenge_acks: Some((0, secs(1))), ..knobs };
        assert_eq!(allowed(&mut Limits::default(), &none, secs(1)), 20);
    }
}
