use super::draw::Draw;
use super::load::LEAST_WRITE;
use super::system::{NAMES, config};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wirefate::endpoint::IfaceId;
use wirefate::middlebox::{Firewall, Limits, Nat, Refusal, Router};
use wirefate::net::Dist;
use wirefate::sim::apps::Raw;
use wirefate::sim::{AppId, Prefix, Sim, Void};
use wirefate::trace::NodeId;
use wirefate::{Link, ms, permille, secs, us};

/// The hosts of a run and what stands between them.
pub(crate) struct World {
    pub(crate) hosts: Vec<NodeId>,
    pub(crate) middleboxes: Vec<NodeId>,
    pub(crate) flooder: Option<NodeId>,
    /// What a request and its answer weigh.
    pub(crate) exchange: (u64, u64),
    /// Every application, for what it reports in the end.
    pub(crate) apps: Vec<AppId>,
}

/// Addresses that nobody has: packets vanish, the sender is told, nothing is known.
pub(crate) const BLACKHOLE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const UNREACHABLE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

impl World {
    pub(crate) fn build(sim: &mut Sim, draw: &mut Draw) -> World {
        let count = draw.index(5) + 2;
        let hosts: Vec<NodeId> = NAMES[..count].iter().map(|name| host(sim, draw, name)).collect();
        let exchange = (draw.scaled(LEAST_WRITE, 3_000), draw.scaled(LEAST_WRITE, 20_000));
        let mut world = World { hosts, middleboxes: Vec::new(), flooder: None, exchange, apps: Vec::new() };
        match draw.below(10) {
            0..4 => world.mesh(sim, draw),
            4 => sim.default_link(link(draw)),
            5 | 6 => world.star(sim, draw, Router::new()),
            7 => {
                let firewall = Firewall::new(limits(draw), refusal(draw));
                let firewall = if draw.chance(30) { firewall.open_from([IfaceId(0)]) } else { firewall };
                world.star(sim, draw, firewall);
            }
            _ => world.nat(sim, draw),
        }
        if draw.chance(15) {
            let flooder = sim.endpoint("flooder", Raw::new());
            let near = world.middleboxes.first().copied().unwrap_or(world.hosts[0]);
            sim.link(flooder, near, Link::new().delay(ms(1)));
            world.flooder = Some(flooder);
        }
        sim.void(prefix(BLACKHOLE), Void::Blackhole);
        sim.void(prefix(UNREACHABLE), Void::Unreachable);
        world
    }

    pub(crate) fn any_host(&self, draw: &mut Draw) -> NodeId {
        draw.of(&self.hosts)
    }

    /// Two hosts, most times different ones.
    pub(crate) fn two_hosts(&self, draw: &mut Draw) -> (NodeId, NodeId) {
        let (a, b) = (draw.index(self.hosts.len()), draw.index(self.hosts.len()));
        let b = if a == b && draw.chance(90) { (b + 1) % self.hosts.len() } else { b };
        (self.hosts[a], self.hosts[b])
    }

    pub(crate) fn remote(sim: &Sim, draw: &mut Draw, node: NodeId, port: u16) -> SocketAddr {
        let v6 = draw.chance(35);
        SocketAddr::new(sim.addr_of(node, v6).expect("a host has an address of each family"), port)
    }

    /// Links between two different endpoints, as far as there are any yet.
    pub(crate) fn links(sim: &Sim) -> Vec<(NodeId, NodeId)> {
        let links = sim.names().all_links().map(|(_, link)| link);
        let ends = links.filter_map(|link| Some((sim.find(&link.from)?, sim.find(&link.to)?)));
        ends.filter(|(from, to)| from != to).collect()
    }

    fn mesh(&self, sim: &mut Sim, draw: &mut Draw) {
        for (n, &a) in self.hosts.iter().enumerate() {
            for &b in &self.hosts[n + 1..] {
                both_ways(sim, draw, a, b);
            }
        }
    }

    fn star(&mut self, sim: &mut Sim, draw: &mut Draw, middle: impl wirefate::endpoint::Endpoint + 'static) {
        let middle = sim.middlebox("middle", middle);
        self.middleboxes.push(middle);
        for &host in &self.hosts {
            both_ways(sim, draw, middle, host);
        }
    }

    /// Some hosts inside, the others outside behind a router.
    fn nat(&mut self, sim: &mut Sim, draw: &mut Draw) {
        let nat = sim.middlebox("nat", Nat::new(IfaceId(0), limits(draw), refusal(draw)));
        let router = sim.middlebox("router", Router::new());
        self.middleboxes.extend([nat, router]);
        both_ways(sim, draw, nat, router);
        let inside = 1 + draw.index(self.hosts.len() - 1);
        for (n, &host) in self.hosts.iter().enumerate() {
            both_ways(sim, draw, if n < inside { nat } else { router }, host);
        }
    }
}

fn prefix(addr: IpAddr) -> Prefix {
    Prefix { addr, len: 24 }
}

fn refusal(draw: &mut Draw) -> Refusal {
    draw.of(&[Refusal::Silence, Refusal::Reset])
}

fn limits(draw: &mut Draw) -> Limits {
    let mut limits = Limits::default();
    if draw.chance(40) {
        limits.idle = draw.span(secs(1), secs(60));
        limits.udp_idle = draw.span(secs(1), secs(10));
    }
    if draw.chance(20) {
        limits.closing = draw.span(ms(1), secs(10));
    }
    if draw.chance(40) {
        limits.table = draw.small(1, 6);
    }
    limits
}

/// A host of some profile with some sysctls of its own.
fn host(sim: &mut Sim, draw: &mut Draw, name: &str) -> NodeId {
    sim.host(config(sim.seed(), draw, name))
}

/// Links in both directions: most times alike, at times each as it comes.
fn both_ways(sim: &mut Sim, draw: &mut Draw, a: NodeId, b: NodeId) {
    let there = link(draw);
    if draw.chance(70) {
        sim.link(a, b, there);
    } else {
        sim.link_one_way(a, b, there);
        sim.link_one_way(b, a, link(draw));
    }
}

/// A link with some impairments, none of them so strong that nothing comes through.
fn link(draw: &mut Draw) -> Link {
    let mut link = Link::new();
    if draw.chance(80) {
        link = link.delay(us(draw.scaled(0, 150_000)));
    }
    let rough = draw.chance(60);
    let has = |draw: &mut Draw, percent: u64| rough && draw.chance(percent);
    if has(draw, 8) {
        link = link.delay_dist(dist(draw));
    }
    if has(draw, 15) {
        link = link.jitter(draw.span(us(1), ms(50)));
    }
    if has(draw, 15) {
        link = link.jitter_reordering(draw.span(us(1), ms(20)));
    }
    if has(draw, 30) {
        link = link.loss(permille(draw.small(1, 80)));
    }
    if has(draw, 15) {
        link = link.burst_loss(permille(draw.small(1, 60)), draw.small(1, 8));
    }
    if has(draw, 20) {
        link = link.reorder_by(permille(draw.small(1, 100)), draw.span(us(1), ms(300)));
    }
    if has(draw, 20) {
        link = link.duplicate(permille(draw.small(1, 60)));
    }
    if has(draw, 20) {
        link = link.corrupt(permille(draw.small(1, 40)));
    }
    if has(draw, 20) {
        link = match draw.below(3) {
            0 => link.queue(draw.size(1, 50)),
            1 => link.queue_bytes(draw.between(3_000, 60_000)),
            _ => link,
        };
        link = link.rate(draw.between(200_000, 50_000_000));
    }
    if draw.chance(15) {
        link = link.mtu(draw.small(576, 1_500));
    }
    if draw.chance(20) {
        link = link.lifetime(draw.span(secs(30), secs(60)));
    }
    link
}

fn dist(draw: &mut Draw) -> Dist {
    match draw.below(5) {
        0 => Dist::fixed(draw.span(us(1), ms(50))),
        1 => Dist::uniform(ms(1), draw.span(ms(1), ms(100))),
        2 => Dist::normal(ms(50), ms(10)),
        3 => Dist::pareto(draw.span(us(1), ms(10))),
        _ => Dist::named("imc2015-50").expect("a published distribution"),
    }
}
