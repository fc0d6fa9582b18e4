//! 4-tuples as small numbers, the same from both ends: they are looked up with every packet and every transition.

use crate::map::{AddrKey, Map};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Point {
    addr: AddrKey,
    port: u16,
}

impl From<SocketAddr> for Point {
    fn from(addr: SocketAddr) -> Point {
        Point { addr: addr.ip().into(), port: addr.port() }
    }
}

/// An end of a 4-tuple, whatever incarnation it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The number of the 4-tuple.
    pub(crate) slot: u32,
    /// Which of its ends: 0 for the lesser address and port.
    pub(crate) end: usize,
}

/// All 4-tuples that there have been, numbered as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Tuples {
    recent: Recent,
    /// Two addresses, the lesser first, as one number: few pairs have many ports.
    routes: Map<[AddrKey; 2], u32>,
    /// By a route's number and both ports.
    slots: Map<u64, u32>,
}

impl Tuples {
    /// The slot of a 4-tuple that has one.
    pub(super) fn find(&self, local: &SocketAddr, remote: &SocketAddr) -> Option<Seat> {
        let recent = self.recent.find(local, remote);
        if recent.is_some() { recent } else { self.search(local, remote) }
    }

    /// The same, remembered for the next time.
    #[inline]
    pub(super) fn look(&mut self, local: &SocketAddr, remote: &SocketAddr) -> Option<Seat> {
        let recent = self.recent.find(local, remote);
        if recent.is_some() { recent } else { self.search_and_remember(local, remote) }
    }

    #[inline(never)]
    fn search_and_remember(&mut self, local: &SocketAddr, remote: &SocketAddr) -> Option<Seat> {
        let seat = self.search(local, remote)?;
        self.recent.remember(local, remote, seat);
        Some(seat)
    }

    /// The slot of a 4-tuple, made at its first use.
    pub(super) fn slot(&mut self, local: &SocketAddr, remote: &SocketAddr) -> Seat {
        self.look(local, remote).unwrap_or_else(|| self.make(local, remote))
    }

    fn make(&mut self, local: &SocketAddr, remote: &SocketAddr) -> Seat {
        let ([first, second], end) = ordered(local, remote);
        let next = number(self.routes.len());
        let route = *self.routes.get_or_insert_with([first.addr, second.addr], || next);
        let slot = number(self.slots.len());
        self.slots.insert(key(route, first, second), slot);
        let seat = Seat { slot, end };
        self.recent.remember(local, remote, seat);
        seat
    }

    /// Remembers for the next time that `local` is `seat`.
    pub(super) fn remember(&mut self, local: &SocketAddr, remote: &SocketAddr, seat: Seat) {
        self.recent.remember(local, remote, seat);
    }

    #[inline(never)]
    fn search(&self, local: &SocketAddr, remote: &SocketAddr) -> Option<Seat> {
        let ([first, second], end) = ordered(local, remote);
        let route = *self.routes.get(&[first.addr, second.addr])?;
        let slot = *self.slots.get(&key(route, first, second))?;
        Some(Seat { slot, end })
    }
}

/// Both points, the lesser first, and which of them `local` is.
fn ordered(local: &SocketAddr, remote: &SocketAddr) -> ([Point; 2], usize) {
    let (local, remote) = (Point::from(*local), Point::from(*remote));
    if local <= remote { ([local, remote], 0) } else { ([remote, local], 1) }
}

fn key(route: u32, first: Point, second: Point) -> u64 {
    u64::from(route) << 32 | u64::from(first.port) << 16 | u64::from(second.port)
}

pub(super) fn number(n: usize) -> u32 {
    u32::try_from(n).expect("fewer than 2^32 of a kind")
}

/// Ends that packets and transitions were about: what comes next is mostly about one of these.
#[derive(Clone, Debug)]
struct Recent {
    looked: Box<[Looked; RECENT]>,
    /// The addresses of those that are not IPv4, which marks do not tell whole.
    whole: Box<[[IpAddr; 2]; RECENT]>,
}

/// By their marks; a power of two.
const RECENT: usize = 256;

/// An end that was looked up, and what was seat.
#[derive(Clone, Copy, Debug)]
struct Looked {
    local: u64,
    remote: u64,
    seat: Seat,
}

const NOBODY: u64 = u64::MAX;

impl Default for Recent {
    fn default() -> Recent {
        let nothing = Looked { local: NOBODY, remote: NOBODY, seat: Seat { slot: u32::MAX, end: 0 } };
        let nowhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); 2];
        Recent { looked: Box::new([nothing; RECENT]), whole: Box::new([nowhere; RECENT]) }
    }
}

/// Set in marks that do not tell all.
const VAGUE: u64 = 1 << 62;

/// An IPv4 address and port as a number; of an IPv6 address, one that tells most of them apart.
fn mark(addr: &SocketAddr) -> u64 {
    match addr {
        SocketAddr::V4(addr) => u64::from(addr.ip().to_bits()) << 16 | u64::from(addr.port()),
        SocketAddr::V6(addr) => {
            let low = addr.ip().to_bits() as u64 & ((1 << 46) - 1);
            VAGUE | low << 16 | u64::from(addr.port())
        }
    }
}

impl Recent {
    /// The place of a 4-tuple, the same from both ends.
    const fn place(local: u64, remote: u64) -> usize {
        (local ^ remote) as usize % RECENT
    }

    #[inline]
    fn find(&self, local: &SocketAddr, remote: &SocketAddr) -> Option<Seat> {
        let (mine, other) = (mark(local), mark(remote));
        let place = Recent::place(mine, other);
        let Looked { local: first, remote: second, seat: Seat { slot, end } } = self.looked[place];
        let is_flipped = match () {
            () if first == mine && second == other => false,
            () if first == other && second == mine => true,
            () => return None,
        };
        if (mine | other) & VAGUE != 0 {
            let asked = if is_flipped { [remote.ip(), local.ip()] } else { [local.ip(), remote.ip()] };
            if self.whole[place] != asked {
                return None;
            }
        }
        Some(Seat { slot, end: end ^ usize::from(is_flipped) })
    }

    fn remember(&mut self, local: &SocketAddr, remote: &SocketAddr, seat: Seat) {
        let (mine, other) = (mark(local), mark(remote));
        let place = Recent::place(mine, other);
        if self.looked[place].seat.slot != seat.slot {
            self.looked[place] = Looked { local: mine, remote: other, seat };
            if (mine | other) & VAGUE != 0 {
                self.whole[place] = [local.ip(), remote.ip()];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_has_one_slot_from_both_ends_and_no_other_tuple_has_it() {
        let addr = |n: u16, port: u16, v6: bool| -> SocketAddr {
            if v6 { format!("[::{n}]:{port}") } else { format!("0.0.0.{n}:{port}") }.parse().unwrap()
        };
        let mut tuples = Tuples::default();
        let mut all = Vec::new();
        for v6 in [false, true] {
            for (a, b) in [(1, 2), (2, 3), (1, 3)] {
                all.extend((0..300).map(|port| (addr(a, port, v6), addr(b, 64, v6))));
            }
        }
        for (n, (a, b)) in (0..).zip(&all) {
            assert_eq!(tuples.find(a, b), None);
            assert_eq!(tuples.slot(a, b).slot, n);
        }
        for (n, (a, b)) in (0..).zip(&all) {
            for _ in 0..2 {
                assert_eq!(tuples.look(a, b), Some(Seat { slot: n, end: 0 }));
                assert_eq!(tuples.find(b, a), Some(Seat { slot: n, end: 1 }));
                assert_eq!(tuples.slot(b, a), Seat { slot: n, end: 1 });
            }
        }
        // Alike in all that a mark holds.
        let [near, far]: [SocketAddr; 2] = ["[1::5]:9", "[2::5]:9"].map(|addr| addr.parse().unwrap());
        let mut slots = [near, far].map(|addr| tuples.slot(&addr, &all[0].0).slot);
        for _ in 0..2 {
            assert_eq!([near, far].map(|addr| tuples.look(&addr, &all[0].0).unwrap().slot), slots);
        }
        slots[1] -= 1;
        assert_eq!(slots[0], slots[1]);
        let own = addr(1, 7, false);
        assert_eq!(tuples.slot(&own, &own).end, 0);
        assert_eq!(tuples.look(&own, &own).map(|seat| seat.end), Some(0));
    }
}
