//! From an instance to a network: hosts, middleboxes, links.

use super::{
    Burst, Delay, Error, Fact, Host, Instance, Isn, Kernel, Kind, Middlebox, Nature, Path, PrefixKind, Refusal, Spanned,
};
use crate::endpoint::IfaceId;
use crate::host::{HostConfig, IsnPolicy, Profile, Teaching, UnknownProfile};
use crate::middlebox::{self, Firewall, Limits, Nat, Router};
use crate::net::{Dist, Link};
use crate::oracle;
use crate::sim::apps::Raw;
use crate::sim::{Prefix, Sim, Void};
use crate::tcp::{Handshake, TimerRule};
use crate::time::Span;
use crate::trace::NodeId;
use std::collections::BTreeMap;

/// The hosts of a run by name, groups member by member.
pub(super) type Hosts = BTreeMap<String, NodeId>;

/// Attaches everything that `instance` declares to `sim`.
pub(super) fn build(instance: &Instance, sim: &mut Sim) -> Result<Hosts, Error> {
    for violation in &instance.expect.violates {
        if !oracle::names().any(|name| name == violation.oracle.as_str()) {
            let (name, known) = (violation.oracle.to_string(), oracle::names().map(str::to_owned).collect());
            return Err(instance.mistake(&violation.oracle, Fact::UnknownName { kind: Kind::Oracle, name, known }));
        }
    }
    let mut hosts = Hosts::new();
    for host in &instance.hosts {
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
        Nature::Mute => Ok(sim.endpoint(name, Raw::new())),
        Nature::Middlebox(middlebox) => Ok(attach_middlebox(instance, middlebox, name, sim)),
        Nature::Profile { profile, sysctls, teaching, kernel } => {
            let config = HostConfig {
                name: name.to_owned(),
                profile: named_profile(instance, profile)?,
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
                hz: kernel.hz.as_ref().map(|hz| **hz),
                timers: timers(kernel),
                ..HostConfig::default()
            };
            refuse_kernel(instance, config.profile, kernel)?;
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

fn timers(kernel: &Kernel) -> TimerRule {
    if kernel.wheel.as_ref().is_some_and(|wheel| **wheel) { TimerRule::Wheel } else { TimerRule::Exact }
}

/// Only a kernel with Linux's timers is built with them.
fn refuse_kernel(instance: &Instance, profile: Profile, kernel: &Kernel) -> Result<(), Error> {
    if profile.has_timer_wheel() {
        return Ok(());
    }
    let lacks =
        |key: &str| Fact::Config(format!("`{key}` says how Linux is built: the profile `{profile}` has no ticks"));
    if let Some(hz) = &kernel.hz {
        return Err(instance.mistake(hz, lacks("hz")));
    }
    match &kernel.wheel {
        Some(wheel) => Err(instance.mistake(wheel, lacks("timers"))),
        None => Ok(()),
    }
}

fn attach_middlebox(instance: &Instance, middlebox: &Middlebox, name: &str, sim: &mut Sim) -> NodeId {
    let limits = |idle: Option<Span>, limit: Option<u32>| {
        let defaults = Limits::default();
        Limits { idle: idle.unwrap_or(defaults.idle), table: limit.unwrap_or(defaults.table), ..defaults }
    };
    let refusal = |refuse: Refusal| match refuse {
        Refusal::Silence => middlebox::Refusal::Silence,
        Refusal::Rst => middlebox::Refusal::Reset,
    };
    let (neighbours, numbers) = (neighbours(instance, name), (0u16..).map(IfaceId));
    let ifaces = |inside: &[Spanned<String>], wanted: bool| -> Vec<IfaceId> {
        let inside: Vec<String> = inside.iter().flat_map(|host| instance.members(host)).collect();
        let numbered = neighbours.iter().zip(numbers.clone());
        numbered.filter(|(peer, _)| inside.contains(peer) == wanted).map(|(_, iface)| iface).collect()
    };
    match middlebox {
        Middlebox::Router => sim.middlebox(name, Router::new()),
        Middlebox::Nat { inside, idle, limit, refuse } => {
            let outside = ifaces(inside, false).first().copied().unwrap_or(IfaceId(0));
            sim.middlebox(name, Nat::new(outside, limits(*idle, *limit), refusal(*refuse)))
        }
        Middlebox::Firewall { inside, idle, limit, refuse } => {
            let firewall = Firewall::new(limits(*idle, *limit), refusal(*refuse));
            sim.middlebox(name, firewall.open_from(ifaces(inside, true)))
        }
    }
}

/// The endpoints that a middlebox is linked to, in the order in which it gets its interfaces.
fn neighbours(instance: &Instance, name: &str) -> Vec<String> {
    let mut peers: Vec<String> = Vec::new();
    for ends in instance.links.iter().map(|link| &link.ends) {
        for from in instance.members(&ends.from) {
            for to in instance.members(&ends.to) {
                let peer = if from == name {
                    to
                } else if to == name {
                    from.clone()
                } else {
                    continue;
                };
                if !peers.contains(&peer) {
                    peers.push(peer);
                }
            }
        }
    }
    peers
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

fn named_profile(instance: &Instance, name: &Spanned<String>) -> Result<Profile, Error> {
    Profile::from_name(name).map_err(|error: UnknownProfile| instance.mistake(name, Fact::Config(error.to_string())))
}
