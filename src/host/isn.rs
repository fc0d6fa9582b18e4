use super::config::Settings;
use crate::endpoint::Tuple;
use crate::rng::Stream;
use crate::time::HostTime;
use crate::wire::Seq;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How initial sequence numbers are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsnPolicy {
    /// Always 0; teaching only: every incarnation of a connection begins with the same numbers.
    Constant,
    /// A clock that ticks every 4 microseconds (RFC 793 3.3); teaching only: whoever knows the time knows them.
    Clock,
    /// That clock plus a keyed hash of the 4-tuple (RFC 6528 3).
    #[default]
    Rfc6528,
}

impl IsnPolicy {
    /// Every policy.
    pub const ALL: [IsnPolicy; 3] = [IsnPolicy::Constant, IsnPolicy::Clock, IsnPolicy::Rfc6528];

    /// As files and traces write it.
    pub const fn name(self) -> &'static str {
        match self {
            IsnPolicy::Constant => "constant",
            IsnPolicy::Clock => "clock",
            IsnPolicy::Rfc6528 => "rfc6528",
        }
    }
}

/// The source of initial sequence numbers.
#[derive(Debug)]
pub(super) struct Isn {
    policy: IsnPolicy,
    secrets: Stream,
    secret: [u64; 2],
    /// What a harness dictates, the next one first.
    dictated: BTreeMap<Tuple, VecDeque<Seq>>,
}

impl Isn {
    pub(super) fn new(policy: IsnPolicy, seed: u64, name: &str) -> Isn {
        let secrets = Stream::new(seed, &format!("{name}/isn"));
        let mut isn = Isn { policy, secrets, secret: [0; 2], dictated: BTreeMap::new() };
        isn.renew();
        isn
    }

    /// The next connections with these 4-tuples take these numbers.
    pub(super) fn dictate(&mut self, iss: &[(Tuple, Seq)]) {
        for &(tuple, seq) in iss {
            self.dictated.entry(tuple).or_default().push_back(seq);
        }
    }

    /// Whether the next connection with this 4-tuple takes a number that is dictated.
    pub(super) fn is_dictated(&self, tuple: Tuple) -> bool {
        self.dictated.get(&tuple).is_some_and(|left| !left.is_empty())
    }

    /// Draws a fresh secret: the host has booted (RFC 6528 3).
    pub(super) fn renew(&mut self) {
        self.secret = [self.secrets.word(), self.secrets.word()];
    }

    pub(super) fn next(&mut self, tuple: Tuple, now: HostTime) -> Seq {
        if let Some(dictated) = self.dictated.get_mut(&tuple).and_then(VecDeque::pop_front) {
            return dictated;
        }
        let clock = low(now.as_nanos() / 4_000);
        match self.policy {
            IsnPolicy::Constant => Seq(0),
            IsnPolicy::Clock => Seq(clock),
            IsnPolicy::Rfc6528 => Seq(clock) + self.hash(tuple, self.secret),
        }
    }

    /// The same for a 4-tuple whose last incarnation has ended before `beyond`. RFC 9293 3.6.1, MAY-2: "assigns its
    /// initial sequence number for the new connection to be larger than the largest sequence number it used on the
    /// previous connection incarnation".
    pub(super) fn after(&mut self, tuple: Tuple, now: HostTime, beyond: Seq, settings: &Settings) -> Seq {
        let dictated = self.is_dictated(tuple);
        let next = self.next(tuple, now);
        // Linux always goes on from there (`tcp_timewait_state_process()`, `tcp_twsk_unique()`).
        let goes_on = settings.reuse.bound && !dictated;
        if goes_on || next.le(beyond) { beyond + 65_537 } else { next }
    }

    /// Where the timestamp clock of a connection starts (RFC 7323 5.4); not by the key of its sequence numbers.
    pub(super) fn ts_offset(&self, tuple: Tuple) -> u32 {
        self.hash(tuple, [self.secret[1], self.secret[0]])
    }

    /// F(localip, localport, remoteip, remoteport, secretkey) of RFC 6528 3.
    fn hash(&self, tuple: Tuple, secret: [u64; 2]) -> u32 {
        let mut bytes = [0; 44];
        write_addr(&mut bytes[..18], tuple.local);
        write_addr(&mut bytes[18..36], tuple.remote);
        bytes[36..].copy_from_slice(&secret[0].to_le_bytes());
        low(xxh3_64_with_seed(&bytes, secret[1]))
    }
}

fn write_addr(place: &mut [u8], addr: SocketAddr) {
    let ip = match addr.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    place[..16].copy_from_slice(&ip.octets());
    place[16..].copy_from_slice(&addr.port().to_be_bytes());
}

/// The low half of a word.
fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{secs, us};

    fn tuple(port: u16) -> Tuple {
        Tuple { local: SocketAddr::from(([10, 0, 0, 1], port)), remote: SocketAddr::from(([10, 0, 0, 2], 80)) }
    }

    #[test]
    fn numbers_follow_the_clock_and_hide_behind_the_tuple() {
        let at = |span| HostTime::ZERO + span;
        let mut isn = Isn::new(IsnPolicy::Rfc6528, 1, "client");
        let first = isn.next(tuple(1), at(secs(1)));
        assert_eq!(isn.next(tuple(1), at(secs(1) + us(4))).since(first), 1);
        assert_ne!(isn.next(tuple(2), at(secs(1))), first);
        assert_eq!(Isn::new(IsnPolicy::Rfc6528, 1, "client").next(tuple(1), at(secs(1))), first);
        assert_ne!(Isn::new(IsnPolicy::Rfc6528, 1, "server").next(tuple(1), at(secs(1))), first);
        isn.dictate(&[(tuple(1), Seq(7)), (tuple(1), Seq(9))]);
        let dictated = [1, 2, 1, 1].map(|port| isn.next(tuple(port), at(secs(1))));
        assert_eq!((dictated[0], dictated[2], dictated[3].since(first)), (Seq(7), Seq(9), 0));
        isn.renew();
        assert_ne!(isn.next(tuple(1), at(secs(1))), first);
        assert_eq!(Isn::new(IsnPolicy::Clock, 1, "client").next(tuple(1), at(secs(1))), Seq(250_000));
        assert_eq!(Isn::new(IsnPolicy::Constant, 1, "client").next(tuple(1), at(secs(9))), Seq(0));
    }
}
