//! From an instance to a network: hosts, middleboxes, links.

use super::{
    Burst, Delay, Error, Fact, Host, Instance, IpVersion, Isn, Middlebox, Nature, Path, PrefixKind, Refusal, Start,
    Target, Traffic,
};
use crate::host::{Handshake, HostConfig, IsnPolicy, Teaching};
use crate::middlebox::{Firewall, Nat, Refuse, Router};
use crate::net::{Dist, Link};
use crate::sim::apps::{Raw, SynFlood};
use crate::sim::{Prefix, Sim, Void};
use crate::time::HostTime;
use crate::trace::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The hosts of a run by name, groups member by member.
pub(super) type Hosts = BTreeMap<String, NodeId>;

/// Attaches everything that `instance` declares to `sim`.
pub(super) fn build(instance: &Instance, sim: &mut Sim) -> Result<Hosts, Error> {
    let mut hosts = Hosts::new();
    // Floods need the address of their target: endpoints without a stack come last.
    let is_mute = |host: &&Host| host.nature == Nature::Mute;
    let (mute, others): (Vec<&Host>, Vec<&Host>) = instance.hosts.iter().partition(is_mute);
    for host in others.into_iter().chain(mute) {
        for name in instance.members(&host.name) {
            let node = attach(instance, host, &name, sim)?;
            if host.skew_ppm != 0 {
                sim.skew(node, host.skew_ppm);
            }
            hosts.insert(name, node);
        }
    }
    if let Some(path) = &instance.default_link {
        sim.default_link(link(instance, path)?);
    }
    for prefix in &instance.prefixes {
        let void = match prefix.kind {
            PrefixKind::Blackhole => Void::Blackhole,
            PrefixKind::Unreachable => Void::Unreachable,
        };
        sim.void(Prefix { addr: prefix.first, len: prefix.len }, void);
    }
    for entry in &instance.links {
        let made = link(instance, &entry.path)?;
        for from in instance.members(&entry.ends.from) {
            for to in instance.members(&entry.ends.to) {
                let (from, to) = (hosts[&from], hosts[&to]);
                if entry.ends.both {
                    sim.link(from, to, made.clone());
                } else {
                    sim.link_one_way(from, to, made.clone());
                }
            }
        }
    }
    Ok(hosts)
}

fn attach(instance: &Instance, host: &Host, name: &str, sim: &mut Sim) -> Result<NodeId, Error> {
    match &host.nature {
        Nature::Mute => Ok(sim.endpoint(name, raw(instance, host, sim)?)),
        Nature::Middlebox(middlebox) => Ok(attach_middlebox(instance, middlebox, name, sim)),
        Nature::Profile { profile, sysctls, teaching } => {
            let config = HostConfig {
                name: name.to_owned(),
                profile: profile.to_string(),
                sysctls: sysctls.iter().map(|s| (s.name.to_string(), s.value.to_string())).collect(),
                teaching: Teaching {
                    time_wait: teaching.time_wait,
                    isn: teaching.isn.map(|isn| match isn {
                        Isn::Constant => IsnPolicy::Constant,
                        Isn::Clock => IsnPolicy::Clock,
                        Isn::Rfc6528 => IsnPolicy::Rfc6528,
                    }),
                    handshake: if teaching.two_way_handshake { Handshake::TwoWay } else { Handshake::ThreeWay },
                    syn_queue: !teaching.no_syn_queue,
                },
                addrs: host.addrs.clone(),
            };
            sim.try_host(config).map_err(|error| {
                let text = error.to_string();
                // The mistake stands where its sysctl stands, or else where the profile is named.
                let guilty = sysctls.iter().find(|sysctl| text.contains(sysctl.name.as_str()));
                match guilty {
                    Some(sysctl) => instance.mistake(&sysctl.name, Fact::Config(text)),
                    None => instance.mistake(profile, Fact::Config(text)),
                }
            })
        }
    }
}

fn attach_middlebox(instance: &Instance, middlebox: &Middlebox, name: &str, sim: &mut Sim) -> NodeId {
    let inside_names = |inside: &[super::Spanned<String>]| -> Vec<String> {
        inside.iter().flat_map(|host| instance.members(host)).collect()
    };
    let refuse = |refuse: Refusal| match refuse {
        Refusal::Silence => Refuse::Silence,
        Refusal::Rst => Refuse::Rst,
    };
    match middlebox {
        Middlebox::Router => sim.middlebox(name, Router::new()),
        Middlebox::Nat { inside, idle, limit, refuse: r } => {
            let mut nat = Nat::new(inside_names(inside)).refuse(refuse(*r));
            if let Some(idle) = idle {
                nat = nat.idle(*idle);
            }
            if let Some(limit) = limit {
                nat = nat.limit(*limit as usize);
            }
            sim.middlebox(name, nat)
        }
        Middlebox::Firewall { inside, idle, limit, refuse: r } => {
            let mut firewall = Firewall::new(inside_names(inside)).refuse(refuse(*r));
            if let Some(idle) = idle {
                firewall = firewall.idle(*idle);
            }
            if let Some(limit) = limit {
                firewall = firewall.limit(*limit as usize);
            }
            sim.middlebox(name, firewall)
        }
    }
}

/// The impairments in the order in which they act: what is lost or changed at random, the bottleneck, the way.
fn link(instance: &Instance, path: &Path) -> Result<Link, Error> {
    let mut link = Link::new();
    if let Some(mtu) = path.mtu {
        link = link.mtu(mtu);
    }
    if let Some(share) = path.loss {
        link = link.loss(share);
    }
    if let Some(Burst { mean, length }) = path.burst {
        link = link.burst_loss(mean, length);
    }
    if let Some(share) = path.corrupt {
        link = link.corrupt(share);
    }
    if let Some(rate) = path.rate {
        link = match path.queue {
            Some(packets) => link.queue(packets as usize),
            None => link,
        };
        link = link.rate(rate.bits_per_second);
    }
    link = match &path.delay {
        Delay::Fixed(span) => link.delay(*span),
        Delay::Dist(name) => {
            let dist = Dist::named(name).map_err(|error| instance.mistake(name, Fact::Config(error.to_string())))?;
            link.delay_dist(dist)
        }
    };
    if let Some(most) = path.jitter {
        link = link.jitter(most);
    }
    if let Some(reorder) = path.reorder {
        link = link.reorder_by(reorder.chance, reorder.by);
    }
    if let Some(share) = path.duplicate {
        link = link.duplicate(share);
    }
    Ok(match path.lifetime {
        Some(span) => link.lifetime(span),
        None => link,
    })
}

/// An endpoint without a stack, with the floods that come from it.
fn raw(instance: &Instance, host: &Host, sim: &Sim) -> Result<Raw, Error> {
    let mut raw = Raw::new();
    for load in instance.loads.iter().filter(|load| *load.on == *host.name) {
        let Traffic::SynFlood { from: (addr, len), rate, count } = load.traffic else { continue };
        let Start::At(at) = load.start else {
            return Err(instance.mistake(&load.name, Fact::Config("a flood starts `at` a time".to_owned())));
        };
        let to = match &load.to {
            Target::Addr(to) => *to,
            Target::Host { host: target, port } => {
                let v6 = instance.ip == IpVersion::V6;
                let node = sim.find(target);
                let addr = node.and_then(|node| sim.addr_of(node, v6).or(sim.addr(node)));
                let early = || Fact::Config(format!("the target `{target}` of a flood has no address of the run's IP version"));
                SocketAddr::new(addr.ok_or_else(|| instance.mistake(target, early()))?, *port)
            }
        };
        if to.is_ipv4() != addr.is_ipv4() {
            let text = "the spoofed addresses are of another IP version than the target".to_owned();
            return Err(instance.mistake(&load.name, Fact::Config(text)));
        }
        let per_second = (rate.count * 1_000_000_000 / rate.per.as_nanos()).max(1);
        let lasts = rate.per * count / rate.count;
        raw = raw.syn_flood(SynFlood { at: HostTime::ZERO + at, per_second, lasts, from: Prefix { addr, len }, to });
    }
    Ok(raw)
}
