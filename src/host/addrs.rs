use super::ports::Scope;
use crate::endpoint::{Attach, Errno, IfaceId, NoRoute};
use crate::map::{AddrKey, Map};
use crate::slab::Slab;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The loopback interface.
const LO: IfaceId = IfaceId(0);
const LO_MTU: u32 = 65_536;
/// Bits of an IPv6 address that all of its subnet have in common.
const SUBNET: u8 = 64;

/// Where a route leads.
type Way = Result<IfaceId, NoRoute>;

/// A host's own addresses, interfaces and routes, and small numbers for the addresses of others.
#[derive(Debug)]
pub(super) struct Addrs {
    own: Vec<Own>,
    /// Which of them was looked for last: most packets are for the same one.
    last: u16,
    ifaces: Vec<Iface>,
    /// Routes to single addresses; those to the host's own lead home.
    hosts: Map<AddrKey, Way>,
    /// Routes to more than one, the longest prefix first.
    prefixes: Vec<(IpAddr, u8, Way)>,
    /// Numbers of IPv6 peers; an IPv4 address is its own number.
    numbers: Map<Ipv6Addr, u32>,
    peers: Slab<Peer>,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    addr: IpAddr,
    iface: IfaceId,
}

#[derive(Clone, Copy, Debug)]
struct Iface {
    mtu: u32,
    up: bool,
}

/// An IPv6 peer and how many connections know it by its number.
#[derive(Clone, Copy, Debug)]
struct Peer {
    addr: Ipv6Addr,
    uses: u32,
}

/// The way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) iface: IfaceId,
    pub(super) mtu: u32,
}

impl Addrs {
    pub(super) fn new() -> Addrs {
        let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Addrs {
            own: own.map(|addr| Own { addr, iface: LO }).to_vec(),
            last: 0,
            ifaces: vec![Iface { mtu: LO_MTU, up: true }],
            hosts: Map::new(),
            prefixes: Vec::new(),
            numbers: Map::new(),
            peers: Slab::new(),
        }
    }

    pub(super) fn attach(&mut self, attach: &Attach) {
        match attach {
            Attach::Iface { iface, addrs, mtu } => {
                let index = usize::from(iface.0);
                let place = Iface { mtu: *mtu, up: true };
                self.ifaces.resize(self.ifaces.len().max(index + 1), place);
                self.ifaces[index] = place;
                for &addr in addrs {
                    if !self.own.iter().any(|own| own.addr == addr) {
                        self.own.push(Own { addr, iface: *iface });
                        self.hosts.insert(addr.into(), Ok(LO));
                    }
                }
            }
            Attach::Route { prefix, prefix_len, iface } => self.add_route(*prefix, *prefix_len, Ok(*iface)),
            Attach::NoRoute { prefix, prefix_len, kind } => self.add_route(*prefix, *prefix_len, Err(*kind)),
        }
    }

    fn add_route(&mut self, prefix: IpAddr, prefix_len: u8, way: Way) {
        if prefix_len == width(prefix) {
            if self.find_own(prefix).is_none() {
                self.hosts.insert(prefix.into(), way);
            }
            return;
        }
        self.prefixes.retain(|&(addr, len, _)| (addr, len) != (prefix, prefix_len));
        let place = self.prefixes.partition_point(|&(_, len, _)| len >= prefix_len);
        self.prefixes.insert(place, (prefix, prefix_len, way));
    }

    pub(super) fn set_carrier(&mut self, iface: IfaceId, up: bool) {
        if let Some(place) = self.ifaces.get_mut(usize::from(iface.0)) {
            place.up = up;
        }
    }

    /// The longest packet that an interface takes from now on; false if there is no such interface.
    pub(super) fn set_mtu(&mut self, iface: IfaceId, mtu: u32) -> bool {
        let place = self.ifaces.get_mut(usize::from(iface.0));
        place.map(|place| place.mtu = mtu).is_some()
    }

    pub(super) fn has_carrier(&self, iface: IfaceId) -> bool {
        self.ifaces.get(usize::from(iface.0)).is_some_and(|iface| iface.up)
    }

    /// The number of one of the host's own addresses. All of 127.0.0.0/8 is the host's (RFC 1122 3.2.1.3 (g)).
    pub(super) fn own(&mut self, addr: IpAddr) -> Option<u16> {
        if self.own[usize::from(self.last)].addr != addr {
            self.last = self.look_for_own(addr)?;
        }
        Some(self.last)
    }

    #[inline(never)]
    fn look_for_own(&mut self, addr: IpAddr) -> Option<u16> {
        if let Some(index) = self.find_own(addr) {
            return Some(index);
        }
        if !(addr.is_ipv4() && addr.is_loopback()) {
            return None;
        }
        self.own.push(Own { addr, iface: LO });
        self.find_own(addr)
    }

    /// Whether it is one of the host's own.
    pub(super) fn is_own(&self, addr: IpAddr) -> bool {
        addr.is_loopback() || self.find_own(addr).is_some()
    }

    /// Whether it is one of the host's own, or over IPv6 one of the same link: link-local, or of a subnet that the host has an
    /// address in, 64 bits long (RFC 4291 2.5.1; `in_localip()`, `in6_localaddr()` of FreeBSD).
    pub(super) fn is_local(&self, addr: IpAddr) -> bool {
        let own = || self.own.iter().filter(|own| own.addr.is_ipv6() && own.iface != LO);
        match addr {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => true,
            IpAddr::V6(_) if own().any(|own| covers(own.addr, SUBNET, addr)) => true,
            _ => self.is_own(addr),
        }
    }

    fn find_own(&self, addr: IpAddr) -> Option<u16> {
        self.own.iter().position(|own| own.addr == addr).and_then(|index| u16::try_from(index).ok())
    }

    /// The address with this number.
    pub(super) fn own_addr(&self, number: u16) -> IpAddr {
        self.own[usize::from(number)].addr
    }

    /// The scope of a socket bound to `addr`; nothing if that is no address of this host.
    pub(super) fn scope(&mut self, addr: IpAddr, v6_only: bool) -> Option<Scope> {
        match addr {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Scope::AnyV4),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) if v6_only => Some(Scope::AnyV6),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Scope::Any),
            addr => self.own(addr).map(|local| Scope::One { local, v6: addr.is_ipv6() }),
        }
    }

    /// The way to `addr`; packets to an address of the host's own go out on the loopback interface too.
    pub(super) fn path(&self, addr: IpAddr) -> Option<Path> {
        self.route(addr).ok()
    }

    /// The same, or why there is none.
    pub(super) fn route(&self, addr: IpAddr) -> Result<Path, Errno> {
        let covering = || self.prefixes.iter().find(|(prefix, len, _)| covers(*prefix, *len, addr));
        let way = if addr.is_loopback() {
            Some(Ok(LO))
        } else {
            self.hosts.get(&addr.into()).copied().or_else(|| covering().map(|&(_, _, way)| way))
        };
        let iface = way.ok_or(Errno::ENETUNREACH)?.map_err(NoRoute::errno)?;
        let mtu = self.ifaces.get(usize::from(iface.0)).ok_or(Errno::ENETUNREACH)?.mtu;
        Ok(Path { iface, mtu })
    }

    /// The interface that leads to `addr`, if any does, and whether it has a carrier.
    pub(super) fn way_out(&self, addr: IpAddr) -> Option<(IfaceId, bool)> {
        self.path(addr).map(|path| (path.iface, self.has_carrier(path.iface)))
    }

    /// The address that packets to `remote` come from, where the socket names none.
    pub(super) fn source(&self, remote: IpAddr, path: Path) -> Option<IpAddr> {
        if self.find_own(remote).is_some() {
            return Some(remote);
        }
        let fits = |own: &&Own| own.addr.is_ipv4() == remote.is_ipv4();
        let there = |own: &&Own| own.iface == path.iface;
        let found = self.own.iter().filter(fits).find(there);
        // An interface without an address of the family borrows another's (RFC 1122 3.3.4.3 (a)).
        found.or_else(|| self.own.iter().filter(fits).find(|own| own.iface != LO)).map(|own| own.addr)
    }

    /// Every address but the loopback ones, in the order of attachment.
    pub(super) fn outward(&self) -> impl Iterator<Item = IpAddr> {
        self.own.iter().filter(|own| own.iface != LO).map(|own| own.addr)
    }

    /// The number of a peer, if it has one.
    pub(super) fn peer(&self, addr: IpAddr) -> Option<u32> {
        match addr {
            IpAddr::V4(v4) => Some(u32::from(v4)),
            IpAddr::V6(v6) => self.numbers.get(&v6).copied(),
        }
    }

    /// The number of a peer that one more connection knows it by.
    pub(super) fn use_peer(&mut self, addr: IpAddr) -> u32 {
        let IpAddr::V6(v6) = addr else { return self.peer(addr).unwrap_or(0) };
        let peers = &mut self.peers;
        let number = *self.numbers.get_or_insert_with(v6, || peers.insert(Peer { addr: v6, uses: 0 }));
        if let Some(peer) = self.peers.get_mut(number) {
            peer.uses += 1;
        }
        number
    }

    /// One connection less knows the peer by its number.
    pub(super) fn drop_peer(&mut self, addr: IpAddr) {
        let IpAddr::V6(v6) = addr else { return };
        let Some(number) = self.numbers.get(&v6).copied() else { return };
        let Some(peer) = self.peers.get_mut(number) else { return };
        peer.uses -= 1;
        if peer.uses == 0 {
            self.peers.remove(number);
            self.numbers.remove(&v6);
        }
    }

    /// The peer with this number, of the family of `own`.
    pub(super) fn peer_addr(&self, own: u16, number: u32) -> IpAddr {
        match self.own_addr(own) {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number)),
            IpAddr::V6(_) => IpAddr::V6(self.peers.get(number).map_or(Ipv6Addr::UNSPECIFIED, |peer| peer.addr)),
        }
    }

    /// No connection knows any peer any more.
    pub(super) fn forget_peers(&mut self) {
        self.numbers.clear();
        self.peers = Slab::new();
    }
}

/// A mapped IPv4 address as the IPv4 address that it stands for (RFC 4291 2.5.5.2).
pub(super) fn unmapped(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn covers(prefix: IpAddr, len: u8, addr: IpAddr) -> bool {
    let cut = |bits: u128, width: u8| bits.checked_shr(u32::from(width - len.min(width))).unwrap_or(0);
    match (prefix, addr) {
        (IpAddr::V4(a), IpAddr::V4(b)) => cut(u32::from(a).into(), 32) == cut(u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => cut(a.into(), 128) == cut(b.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_route_wins_and_own_addresses_stay_at_home() {
        let mut addrs = Addrs::new();
        for (iface, text) in [(1, "10.0.0.1"), (2, "10.9.0.1")] {
            addrs.attach(&Attach::Iface { iface: IfaceId(iface), addrs: vec![addr(text)], mtu: 1_500 });
        }
        for (prefix, prefix_len, iface) in [("0.0.0.0", 0, 1), ("10.9.0.0", 16, 2), ("10.9.0.7", 32, 1)] {
            addrs.attach(&Attach::Route { prefix: addr(prefix), prefix_len, iface: IfaceId(iface) });
        }
        let cases = [
            ("8.8.8.8", Some((1, "10.0.0.1"))),
            ("10.9.0.6", Some((2, "10.9.0.1"))),
            ("10.9.0.7", Some((1, "10.0.0.1"))),
            ("10.0.0.1", Some((0, "10.0.0.1"))),
            ("127.0.0.1", Some((0, "127.0.0.1"))),
            ("127.3.0.1", Some((0, "127.0.0.1"))),
            ("fd00::1", None),
        ];
        for (to, expected) in cases {
            let path = addrs.path(addr(to));
            let found = path.and_then(|path| Some((path.iface.0, addrs.source(addr(to), path)?)));
            assert_eq!(found, expected.map(|(iface, from)| (iface, addr(from))), "{to}");
        }
    }

    #[test]
    fn a_subnet_is_local_over_ipv6_alone() {
        let mut addrs = Addrs::new();
        let own = vec![addr("10.0.0.1"), addr("fd00:1:2:3::1")];
        addrs.attach(&Attach::Iface { iface: IfaceId(1), addrs: own, mtu: 1_500 });
        for local in ["10.0.0.1", "127.0.0.1", "::1", "fd00:1:2:3::1", "fd00:1:2:3:ffff::2", "fe80::1"] {
            assert!(addrs.is_local(addr(local)), "{local}");
        }
        for other in ["10.0.0.2", "::2", "fd00:1:2:4::1", "fec0::1"] {
            assert!(!addrs.is_local(addr(other)), "{other}");
        }
    }

    #[test]
    fn peers_keep_their_number_while_someone_uses_it() {
        let mut addrs = Addrs::new();
        let (a, b) = (addr("fd00::a"), addr("fd00::b"));
        let number = addrs.use_peer(a);
        assert_eq!((addrs.use_peer(a), addrs.peer(b), addrs.peer_addr(1, number)), (number, None, a));
        assert_ne!(addrs.use_peer(b), number);
        addrs.drop_peer(a);
        assert_eq!(addrs.peer(a), Some(number));
        addrs.drop_peer(a);
        assert_eq!(addrs.peer(a), None);
        assert_eq!(addrs.peer(addr("1.2.3.4")), Some(0x0102_0304));
    }
}
