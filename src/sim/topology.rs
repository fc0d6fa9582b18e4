use super::Sim;
use super::node::{Iface, Kind, Node};
use crate::choice::MakerId;
use crate::endpoint::{Attach, Endpoint, IfaceId, Streams};
use crate::map::{AddrKey, Map};
use crate::net::{Lane, Link};
use crate::trace::{LinkId, NodeId};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Which endpoints and links there are, who has which address, and how one reaches another.
#[derive(Default)]
pub(super) struct Topology {
    pub(super) links: Vec<Place>,
    pub(super) owners: Map<IpAddr, (NodeId, IfaceId)>,
    by_name: Map<String, NodeId>,
    between: Map<(NodeId, NodeId), LinkId>,
    /// Links out of each endpoint, in the order of their making.
    out: Vec<Vec<LinkId>>,
    pub(super) prefixes: Vec<(Prefix, Void)>,
    default: Option<Link>,
    hops: Map<(NodeId, IfaceId, AddrKey), Hop>,
    dirty: bool,
    makers: u32,
    /// Packets in flight over all links.
    pub(super) in_flight: u64,
    /// Their bytes.
    pub(super) bytes_in_flight: u64,
    /// Whether links made from now on take their choices from a recording.
    pub(super) replay: bool,
    /// Impairments that links made from now on leave out.
    pub(super) masked: Vec<String>,
    nowhere: Map<(NodeId, &'static str), LinkId>,
}

/// A directed link at its place.
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) from: NodeId,
    pub(super) from_iface: IfaceId,
    pub(super) to: NodeId,
    pub(super) to_iface: IfaceId,
}

/// What becomes of packets to a range of addresses that no endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Void {
    /// They vanish.
    Blackhole,
    /// They vanish, and the sender is told by ICMP.
    Unreachable,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The first address.
    pub addr: IpAddr,
    /// How many leading bits count.
    pub len: u8,
}

impl Prefix {
    /// Whether `addr` lies in the range.
    pub fn contains(self, addr: IpAddr) -> bool {
        let same = |a: u128, b: u128, bits: u32| {
            let shift = bits.saturating_sub(u32::from(self.len));
            a.checked_shr(shift) == b.checked_shr(shift)
        };
        match (self.addr, addr) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    Link(LinkId),
    Void(Void),
    NoHost,
}

/// The default MTU of an interface: Ethernet's.
const MTU: u32 = 1_500;
/// The MTU of the loopback.
const LOOPBACK_MTU: u32 = 65_536;
/// The interface 0 of a host.
pub(super) const LO: IfaceId = IfaceId(0);
/// The interface 1 of a host.
const ETH: IfaceId = IfaceId(1);

impl Sim {
    /// Attaches a host: a loopback, and one interface with one address of each family.
    ///
    /// # Panics
    /// If the name is taken.
    pub(super) fn attach_host(
        &mut self,
        name: &str,
        endpoint: Box<dyn Endpoint>,
        addrs: Option<Vec<IpAddr>>,
    ) -> NodeId {
        let addrs = addrs.unwrap_or_else(|| self.free_addrs(name));
        self.attach_host_with(name, endpoint, addrs, MTU)
    }

    /// The same with addresses and MTU of the caller's choice.
    pub(super) fn attach_host_with(
        &mut self,
        name: &str,
        endpoint: Box<dyn Endpoint>,
        addrs: Vec<IpAddr>,
        mtu: u32,
    ) -> NodeId {
        let node = self.attach(name, endpoint, Kind::Host);
        let lo = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        self.attach_iface(node, lo, LOOPBACK_MTU, None);
        self.attach_iface(node, addrs, mtu, None);
        node
    }

    /// Attaches an endpoint that gets an interface with each link: a middlebox.
    pub(super) fn attach(&mut self, name: &str, endpoint: Box<dyn Endpoint>, kind: Kind) -> NodeId {
        let name = name.to_owned();
        assert!(!self.topology.by_name.contains(&name), "there is an endpoint named `{name}` already");
        let node = self.recorder.add_node(&name, endpoint.backoff());
        let streams = Streams::new(self.seed, &name, MakerId(node.0));
        self.nodes.push(Node::new(endpoint, kind, streams));
        self.topology.by_name.insert(name, node);
        self.topology.out.push(Vec::new());
        self.topology.dirty = true;
        node
    }

    fn attach_iface(&mut self, node: NodeId, addrs: Vec<IpAddr>, mtu: u32, link: Option<LinkId>) -> IfaceId {
        let place = &mut self.nodes[node.0 as usize];
        let iface = IfaceId(u16::try_from(place.ifaces.len()).expect("fewer than 2^16 interfaces"));
        place.ifaces.push(Iface { addrs: addrs.clone(), link });
        for &addr in addrs.iter().filter(|addr| !addr.is_loopback()) {
            let taken = self.topology.owners.insert(addr, (node, iface));
            assert!(taken.is_none(), "the address {addr} is taken");
            self.recorder.add_addr(addr, node);
        }
        self.with_endpoint(node, |endpoint, cx| endpoint.on_attach(cx, &Attach::Iface { iface, addrs, mtu }));
        iface
    }

    /// Addresses derived from a name, so that the order of declaration does not matter: they enter ISNs, ports and
    /// cookies. Two names with one address (1 pair in 16 million) are told apart by a second hash of the later one.
    fn free_addrs(&self, name: &str) -> Vec<IpAddr> {
        let free = |addr: &IpAddr| !self.topology.owners.contains(addr);
        let v4 = (0..).map(|salt| IpAddr::V4(derived_v4(name, salt))).find(free);
        let v6 = (0..).map(|salt| IpAddr::V6(derived_v6(name, salt))).find(free);
        v4.into_iter().chain(v6).collect()
    }

    /// Makes a directed link; replaces one that is there already.
    pub(super) fn add_link(&mut self, from: NodeId, to: NodeId, link: &Link) -> LinkId {
        let (from_name, to_name) = (self.name_of(from).to_owned(), self.name_of(to).to_owned());
        let maker = MakerId(1_000_000 + self.topology.makers);
        self.topology.makers += 64;
        let mut lane = Lane::new(link, self.seed, &format!("{from_name} > {to_name}"), maker);
        if self.topology.replay {
            lane.replay();
        }
        for name in &self.topology.masked {
            lane.mask(name);
        }
        if let Some(&id) = self.topology.between.get(&(from, to)) {
            self.topology.links[id.0 as usize].lane = lane;
            return id;
        }
        let id = self.recorder.add_link(&from_name, &to_name);
        let from_iface = self.iface_towards(from, &to_name, id);
        let to_iface = self.iface_towards(to, &from_name, id);
        self.topology.links.push(Place { lane, from, from_iface, to, to_iface });
        self.topology.between.insert((from, to), id);
        self.topology.out[from.0 as usize].push(id);
        self.topology.dirty = true;
        self.topology.hops.clear();
        id
    }

    /// The loopback link of a host, made at its first use: no delay, no impairment.
    fn loopback(&mut self, node: NodeId) -> LinkId {
        if let Some(&id) = self.topology.between.get(&(node, node)) {
            return id;
        }
        let name = self.name_of(node).to_owned();
        let id = self.plain_link(&name, &name, node, LO);
        self.topology.between.insert((node, node), id);
        id
    }

    /// The link on which packets are lost that find no other, made at its first use.
    pub(super) fn nowhere(&mut self, node: NodeId, to: &'static str) -> LinkId {
        if let Some(&id) = self.topology.nowhere.get(&(node, to)) {
            return id;
        }
        let name = self.name_of(node).to_owned();
        let id = self.plain_link(&name, to, node, LO);
        self.topology.nowhere.insert((node, to), id);
        id
    }

    /// The link on which the network itself answers a sender, made at its first use.
    pub(super) fn network_link(&mut self, node: NodeId) -> LinkId {
        if let Some(&id) = self.topology.nowhere.get(&(node, "")) {
            return id;
        }
        let name = self.name_of(node).to_owned();
        let id = self.plain_link("network", &name, node, ETH);
        self.topology.nowhere.insert((node, ""), id);
        id
    }

    /// A perfect link whose packets arrive at `node`.
    fn plain_link(&mut self, from: &str, to: &str, node: NodeId, iface: IfaceId) -> LinkId {
        let id = self.recorder.add_link(from, to);
        let lane = Lane::new(&Link::new(), self.seed, &format!("{from} > {to}"), MakerId(0));
        self.topology.links.push(Place { lane, from: node, from_iface: iface, to: node, to_iface: iface });
        id
    }

    /// The interface for a link to or from `peer`: a host's one, or a middlebox's for that neighbour.
    fn iface_towards(&mut self, node: NodeId, peer: &str, link: LinkId) -> IfaceId {
        if self.nodes[node.0 as usize].kind == Kind::Host {
            return ETH;
        }
        let name = self.name_of(node).to_owned();
        let known = self.topology.links.iter().find_map(|place| {
            let names = (self.name_of(place.from), self.name_of(place.to));
            if names == (peer, &name) { Some(place.to_iface) } else { None }
        });
        let known = known.or_else(|| {
            let mut links = self.topology.links.iter();
            links.find(|place| place.from == node && self.name_of(place.to) == peer).map(|place| place.from_iface)
        });
        if let Some(iface) = known {
            return iface;
        }
        let first = self.nodes[node.0 as usize].ifaces.is_empty();
        let addrs = self.free_addrs(&if first { name } else { format!("{name}.{peer}") });
        self.attach_iface(node, addrs, MTU, Some(link))
    }

    /// The directed link from one endpoint to another, if there is one.
    pub(super) fn link_between(&self, from: NodeId, to: NodeId) -> Option<LinkId> {
        self.topology.between.get(&(from, to)).copied()
    }

    /// Connects every pair of hosts that has no link of its own, from first use.
    pub fn default_link(&mut self, link: Link) {
        self.topology.default = Some(link);
        self.topology.dirty = true;
    }

    /// Declares what becomes of packets to addresses in `prefix` that no endpoint has.
    pub fn void(&mut self, prefix: Prefix, void: Void) {
        self.topology.prefixes.push((prefix, void));
        self.topology.dirty = true;
    }

    /// The endpoint with this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.topology.by_name.get(&name.to_owned()).copied()
    }

    pub(super) fn name_of(&self, node: NodeId) -> &str {
        self.recorder.names.node(node)
    }

    /// Tells endpoints about their routes after anything was attached.
    #[inline]
    pub(super) fn settle_topology(&mut self) {
        if std::mem::take(&mut self.topology.dirty) {
            self.tell_routes();
        }
    }

    #[cold]
    fn tell_routes(&mut self) {
        for node in (0u32..).map(NodeId).take(self.nodes.len()) {
            let routes = match self.nodes[node.0 as usize].kind {
                Kind::Host => self.host_routes(node),
                Kind::Middlebox => self.middlebox_routes(node),
            };
            for (prefix, iface) in routes {
                let attach = Attach::Route { prefix: prefix.addr, prefix_len: prefix.len, iface };
                self.with_endpoint(node, |endpoint, cx| endpoint.on_attach(cx, &attach));
            }
        }
    }

    /// A host reaches its neighbours, and everything once a neighbour forwards or there is a default link.
    fn host_routes(&self, node: NodeId) -> Vec<(Prefix, IfaceId)> {
        let everything = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let neighbours = self.topology.out[node.0 as usize].iter().map(|id| self.topology.links[id.0 as usize].to);
        let neighbours: Vec<NodeId> = neighbours.collect();
        let forwarded = neighbours.iter().any(|n| self.nodes[n.0 as usize].kind == Kind::Middlebox);
        if forwarded || self.topology.default.is_some() {
            return everything.map(|addr| (Prefix { addr, len: 0 }, ETH)).into();
        }
        let addrs = neighbours.iter().flat_map(|&n| self.addrs_of(n));
        let mut routes: Vec<_> = addrs.map(|addr| (host_prefix(addr), ETH)).collect();
        routes.extend(self.topology.prefixes.iter().map(|&(prefix, _)| (prefix, ETH)));
        routes
    }

    /// A middlebox reaches each address through the neighbour that is nearest to it.
    fn middlebox_routes(&self, node: NodeId) -> Vec<(Prefix, IfaceId)> {
        let mut routes = Vec::new();
        for target in (0u32..).map(NodeId).take(self.nodes.len()).filter(|&n| n != node) {
            for addr in self.addrs_of(target) {
                if let Some(link) = self.first_link(node, None, target) {
                    routes.push((host_prefix(addr), self.topology.links[link.0 as usize].from_iface));
                }
            }
        }
        routes
    }

    fn addrs_of(&self, node: NodeId) -> Vec<IpAddr> {
        let ifaces = self.nodes[node.0 as usize].ifaces.iter();
        ifaces.flat_map(|iface| iface.addrs.iter().copied()).filter(|addr| !addr.is_loopback()).collect()
    }

    /// Where a packet to `dst` goes from an interface of `node`; remembered until something is attached.
    pub(super) fn next_hop(&mut self, node: NodeId, iface: IfaceId, dst: IpAddr) -> Hop {
        if let Some(&hop) = self.topology.hops.get(&(node, iface, dst.into())) {
            return hop;
        }
        let hop = self.find_hop(node, iface, dst);
        // A link made just now forgot all hops; this one is remembered after it.
        self.topology.hops.insert((node, iface, dst.into()), hop);
        hop
    }

    fn find_hop(&mut self, node: NodeId, iface: IfaceId, dst: IpAddr) -> Hop {
        if (self.nodes[node.0 as usize].kind == Kind::Host && iface == LO) || dst.is_loopback() {
            return Hop::Link(self.loopback(node));
        }
        let owner = self.topology.owners.get(&dst).map(|&(owner, _)| owner);
        if owner == Some(node) {
            return Hop::Link(self.loopback(node));
        }
        if let Some(owner) = owner {
            if let Some(link) = self.first_link(node, Some(iface), owner) {
                return Hop::Link(link);
            }
            let hosts = [node, owner].map(|n| self.nodes[n.0 as usize].kind == Kind::Host);
            if let (Some(link), [true, true]) = (self.topology.default.clone(), hosts) {
                return Hop::Link(self.add_link(node, owner, &link));
            }
            return Hop::NoHost;
        }
        let void = self.topology.prefixes.iter().find(|(prefix, _)| prefix.contains(dst));
        match (void, self.nodes[node.0 as usize].ifaces[usize::from(iface.0)].link) {
            (Some(&(_, void)), _) => Hop::Void(void),
            (None, _) => Hop::NoHost,
        }
    }

    /// The first link of a shortest path to `target`, through endpoints that forward; of several, the one made first.
    fn first_link(&self, node: NodeId, iface: Option<IfaceId>, target: NodeId) -> Option<LinkId> {
        let mut seen = vec![false; self.nodes.len()];
        seen[node.0 as usize] = true;
        let mut queue: VecDeque<(LinkId, LinkId)> = VecDeque::new();
        for &link in &self.topology.out[node.0 as usize] {
            let place = &self.topology.links[link.0 as usize];
            let through = self.nodes[node.0 as usize].kind == Kind::Host || iface.is_none_or(|i| i == place.from_iface);
            if through && place.to != node {
                queue.push_back((link, link));
            }
        }
        while let Some((first, link)) = queue.pop_front() {
            let (at, came) = (self.topology.links[link.0 as usize].to, self.topology.links[link.0 as usize].to_iface);
            if at == target {
                return Some(first);
            }
            if std::mem::replace(&mut seen[at.0 as usize], true) {
                continue;
            }
            let endpoint = &self.nodes[at.0 as usize].endpoint;
            for &next in &self.topology.out[at.0 as usize] {
                if endpoint.forwards(came, self.topology.links[next.0 as usize].from_iface) {
                    queue.push_back((first, next));
                }
            }
        }
        None
    }
}

fn host_prefix(addr: IpAddr) -> Prefix {
    Prefix { addr, len: if addr.is_ipv4() { 32 } else { 128 } }
}

/// An address in 10.0.0.0/8 whose last byte is neither 0 nor 255.
fn derived_v4(name: &str, salt: u64) -> Ipv4Addr {
    let [a, b, c, ..] = xxh3_128_with_seed(name.as_bytes(), salt).to_le_bytes();
    Ipv4Addr::new(10, a, b, c % 254 + 1)
}

/// An address in fd00::/8 (RFC 4193).
fn derived_v6(name: &str, salt: u64) -> Ipv6Addr {
    let mut bytes = xxh3_128_with_seed(name.as_bytes(), salt).to_be_bytes();
    bytes[0] = 0xFD;
    Ipv6Addr::from(bytes)
}
