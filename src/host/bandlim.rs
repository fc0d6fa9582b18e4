//! How many answers a host gives in a second to what is for nobody, where it counts them (`badport_bandlim()` in ip_icmp.c
//! of FreeBSD).

use crate::time::{HostTime, secs};
use std::net::IpAddr;

/// What counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// ICMP: nobody has this UDP port (`BANDLIM_ICMP_UNREACH`).
    Unreachable,
    /// The same over IPv6 (`icmp6_ratelimit()`).
    Unreachable6,
    /// A reset: nobody has this port (`BANDLIM_RST_CLOSEDPORT`).
    ClosedPort,
    /// A reset: who listens there has no connection that this is for (`BANDLIM_RST_OPENPORT`).
    OpenPort,
    /// A reset of a connection, which nothing limits (`BANDLIM_UNLIMITED`).
    Connection,
}

/// The most answers of a kind in a second; none: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    /// `net.inet.icmp.icmplim`.
    pub(super) all: Option<u32>,
    /// `net.inet6.icmp6.errppslimit`.
    pub(super) icmp6: Option<u32>,
}

/// How many there were, by kind, in the second that the first of them began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bandlim([Option<(HostTime, u32)>; 4]);

impl Answer {
    /// Of the family of `addr`.
    pub(super) fn unreachable(addr: IpAddr) -> Answer {
        if addr.is_ipv6() { Answer::Unreachable6 } else { Answer::Unreachable }
    }
}

impl Bandlim {
    /// Whether one more may leave; counts it if so (`counter_ratecheck()`).
    pub(super) fn allows(&mut self, now: HostTime, answer: Answer, limit: Limit) -> bool {
        let (place, most) = match answer {
            Answer::Unreachable => (0, limit.all),
            Answer::Unreachable6 => (1, limit.icmp6),
            Answer::ClosedPort => (2, limit.all),
            Answer::OpenPort => (3, limit.all),
            Answer::Connection => return true,
        };
        let (Some(most), Some(second)) = (most, self.0.get_mut(place)) else { return true };
        let (start, count) = second.filter(|(start, _)| now.since(*start) < secs(1)).unwrap_or((now, 0));
        let allowed = count < most;
        *second = Some((start, count + u32::from(allowed)));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn each_kind_has_its_own_second() {
        let limit = Limit { all: Some(2), icmp6: Some(1) };
        let mut bandlim = Bandlim::default();
        let at = |n| HostTime::ZERO + ms(n);
        for (now, answer, allowed) in [
            (100, Answer::ClosedPort, true),
            (200, Answer::ClosedPort, true),
            (1_099, Answer::ClosedPort, false),
            (1_099, Answer::OpenPort, true),
            (1_100, Answer::ClosedPort, true),
            (1_100, Answer::Unreachable6, true),
            (1_100, Answer::Unreachable6, false),
            (1_100, Answer::Connection, true),
        ] {
            assert_eq!(bandlim.allows(at(now), answer, limit), allowed, "{answer:?} at {now} ms");
        }
        assert!((0..9).all(|_| bandlim.allows(at(0), Answer::OpenPort, Limit::default())));
    }
}
