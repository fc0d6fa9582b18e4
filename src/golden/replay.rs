use super::field::{Dir, Side};
use super::flow::Flow;
use super::plan::Plan;
use super::player::Player;
use super::recording::{Call, Recording};
use super::verb::Verb;
use super::wire::Wire;
use crate::endpoint::Tuple;
use crate::host::{HostConfig, Profile};
use crate::net::Link;
use crate::sim::Sim;
use crate::tcp::TimerRule;
use crate::time::{Span, ns};
use crate::trace::{Keep, NodeId};
use serde_json::Value;
use std::fmt;

/// Why a recording cannot be played: what it asks for and we have not, each named once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsupported(pub Vec<String>);

/// Sysctls that change nothing that a recording shows: whether IPv6 is on, where only IPv4 is spoken; how the table of
/// established connections is split among namespaces.
const WITHOUT_EFFECT: &[&str] = &["net.ipv6.conf.all.disable_ipv6", "net.ipv4.tcp_child_ehash_entries"];

/// The seed of every replay: what it would decide, the recording decides.
const SEED: u64 = 1;

/// What the recorded kernels were built with.
const HZ: u32 = 250;

/// The kernels that a recording is played on, as far as nothing in it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether their timers fire at their tick, or at the end of a bucket of their wheel.
    pub timers: TimerRule,
    /// How long they had been up when the recording began: where their ticks and buckets lie.
    pub uptime: Span,
}

impl Machine {
    /// Machines with a timer wheel, of every phase that makes a difference to timers below two minutes: its buckets are
    /// of 512 ticks and less. Whole ticks first, then what lies between them.
    pub fn wheels() -> impl Iterator<Item = Machine> {
        let tick = 1_000_000_000 / u64::from(HZ);
        let at = move |quarter: u64, n: u64| ns(n * tick + quarter * tick / 4);
        let uptimes = [0, 2, 1, 3].into_iter().flat_map(move |quarter| (0..512).map(move |n| at(quarter, n)));
        uptimes.map(|uptime| Machine { timers: TimerRule::Wheel, uptime })
    }
}

/// Plays `recording` on two hosts of `profile` whose timers are exact, and hands back what was seen as a recording of its
/// own.
pub fn replay(recording: &Recording, profile: Profile) -> Result<Recording, Unsupported> {
    replay_on(recording, profile, Machine::default())
}

/// The same on other machines.
pub fn replay_on(recording: &Recording, profile: Profile, machine: Machine) -> Result<Recording, Unsupported> {
    let mut missing = Unsupported::default();
    let verbs: Vec<Verb> = recording.script.iter().filter_map(|call| missing.verb(call)).collect();
    let plan = Plan::of(recording).map_err(|what| missing.add(what)).unwrap_or_default();
    let configs = [Side::Client, Side::Server].map(|side| {
        let Machine { timers, uptime } = machine;
        HostConfig { timers, uptime, ..missing.config(recording, &plan, side, profile) }
    });
    let mut sim = Sim::with(SEED, Keep::Story);
    // Forged segments break the rules that oracles know.
    sim.set_oracles(Vec::new());
    let mut hosts = Vec::new();
    for config in configs {
        match sim.try_host(config) {
            Ok(node) => hosts.push(node),
            Err(error) => missing.add(format!("sysctl: {error}")),
        }
    }
    let [client, server] = hosts[..] else { return Err(missing) };
    if !missing.0.is_empty() {
        return Err(missing);
    }
    let wire = attach_wire(&mut sim, plan, recording, client, server);
    let mut player = Player::new(sim, recording, verbs, [client, server, wire]);
    player.play();
    player.finish().map_err(|what| Unsupported(vec![what]))
}

/// Puts the wire between the hosts, and behind it whoever has the addresses of neither.
fn attach_wire(sim: &mut Sim, plan: Plan, recording: &Recording, client: NodeId, server: NodeId) -> NodeId {
    let elsewhere = plan.elsewhere.clone();
    let wire = sim.middlebox("wire", Wire::new(plan, recording.client));
    sim.link(client, wire, Link::new());
    sim.link(server, wire, Link::new());
    if !elsewhere.is_empty() {
        let config = HostConfig { addrs: elsewhere, ..HostConfig::named("elsewhere") };
        let other = sim.host(config);
        sim.link(other, wire, Link::new());
    }
    wire
}

impl Unsupported {
    fn add(&mut self, what: String) {
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    fn verb(&mut self, call: &Call) -> Option<Verb> {
        Verb::of(call).map_err(|what| self.add(what)).ok()
    }

    /// One of the hosts, as it was recorded. A build parameter of a profile (`hz`) belongs here: the recordings' is 250.
    fn config(&mut self, recording: &Recording, plan: &Plan, side: Side, profile: Profile) -> HostConfig {
        let (name, addr, own) = match side {
            Side::Server => ("server", recording.server, &recording.sysctls.server),
            _ => ("client", recording.client, &recording.sysctls.client),
        };
        let dir = if side == Side::Server { Dir::ToClient } else { Dir::ToServer };
        let hz = Some(HZ);
        let mut config = HostConfig { profile, addrs: vec![addr], hz, ..HostConfig::named(name) };
        for ((flow, way), all) in plan.iss.iter().filter(|((_, way), _)| *way == dir) {
            config.iss.extend(all.iter().map(|&iss| (tuple(*flow, *way), iss)));
        }
        for (name, value) in recording.sysctls.both.iter().chain(own) {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if profile.sysctls().iter().any(|sysctl| sysctl.name == name) {
                config.sysctls.retain(|(known, _)| known != name);
                config = config.sysctl(name, value);
            } else if !WITHOUT_EFFECT.contains(&name.as_str()) {
                self.add(format!("sysctl {name}"));
            }
        }
        config
    }
}

fn tuple(flow: Flow, dir: Dir) -> Tuple {
    let (local, remote) = flow.ends(dir);
    Tuple { local, remote }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Unsupported {}
