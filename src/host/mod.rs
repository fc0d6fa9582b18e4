//! Our own host: sockets, listeners, ports, addresses and the storage of connections. What TCP does is in
//! [`crate::tcp`]; here is who does it, where it is kept, and what an application sees of it.
//!
//! A connection lives in one of three slabs: whole, half-open, or closing (TIME-WAIT, and FIN-WAIT-2 that nobody
//! owns). One look-up by its 4-tuple finds it, whichever it is. Timeouts stand in one heap, so that idle connections
//! cost nothing.
//!
//! Readiness follows the edges of `poll`: [`Cx::ready`] is called when its answer gains something, and once more for
//! each arrival of data, of urgent data, or of a connection to accept. What an application's own call takes away
//! (by reading everything, say) it is not told again.

mod addrs;
mod administer;
mod admission;
mod bandlim;
mod config;
mod cookie_open;
mod cookies;
mod counters;
mod datagram;
mod demux;
mod fast_open;
mod faults;
mod icmp;
mod input;
mod isn;
mod known;
mod linger;
mod listener;
mod memory;
mod options;
mod output;
mod ports;
mod profile;
mod reconnect;
mod routes;
mod siphash;
mod sockets;
mod stream;
mod syncache;
mod sysctl;
mod time_wait;
mod timers;
mod traffic;
mod verbs;
mod views;

pub use config::{ConfigError, HostConfig, Teaching};
pub use isn::IsnPolicy;
pub use profile::{Behaviour, Confidence, Profile, UnknownProfile};
pub use sysctl::{Sysctl, SysctlError, Text, Unit, Values};

use crate::endpoint::{
    Attach, Backoff, ConnView, Cx, Endpoint, HostFault, IfaceId, ListenView, Order, Refusal, SocketId, Sockets,
};
use crate::map::Map;
use crate::rng::Stream;
use crate::slab::Slab;
use crate::tcp::{Limits, TcpEvent};
use crate::time::HostTime;
use crate::wire::Packet;
use addrs::Addrs;
use bandlim::Bandlim;
use config::Settings;
use cookies::Cookies;
use counters::Counters;
use demux::Demux;
use fast_open::FastOpen;
use faults::Power;
use isn::Isn;
use known::{KnownPeers, PathMtus};
use linger::Lingering;
use listener::Half;
use memory::{Memory, Orphans};
use ports::{Ports, Scope};
use routes::Routes;
use sockets::SocketTable;
use stream::{Conn, Leftover};
use syncache::Syncache;
use time_wait::TimeWaits;
use timers::Timers;

/// One host of the network.
#[derive(Debug)]
pub struct Host {
    profile: Profile,
    settings: Settings,
    power: Power,
    addrs: Addrs,
    sockets: SocketTable,
    listeners: Map<(Scope, u16), Vec<SocketId>>,
    datagrams: Map<(Scope, u16), Vec<SocketId>>,
    tcp_ports: Ports,
    udp_ports: Ports,
    demux: Demux,
    conns: Slab<Conn>,
    halves: Slab<Half>,
    leftovers: Slab<Leftover>,
    /// Machines made so far: their order breaks ties between timeouts.
    births: u32,
    timers: Timers,
    isn: Isn,
    cookies: Cookies,
    known: KnownPeers,
    path_mtus: PathMtus,
    syncache: Syncache,
    time_waits: TimeWaits,
    fast_open: FastOpen,
    /// What the administrator says of ways to others.
    routes: Routes,
    limits: Limits,
    bandlim: Bandlim,
    orphans: Orphans,
    memory: Memory,
    /// Sockets whose `close` waits.
    lingering: Vec<Lingering>,
    /// What a machine notes during one touch; empty between touches.
    events: Vec<TcpEvent>,
    counters: Counters,
}

impl Host {
    /// A host as `config` says, in a run under `seed`; it has its loopback interface and learns of others by
    /// [`Endpoint::on_attach`].
    ///
    /// ```
    /// use wirefate::host::{Host, HostConfig};
    ///
    /// assert!(Host::new(HostConfig::named("server").sysctl("net.core.somaxconn", 8), 1).is_ok());
    /// let error = Host::new(HostConfig::named("server").sysctl("net.core.somaxcon", 8), 1).unwrap_err();
    /// assert!(error.to_string().ends_with("the nearest is `net.core.somaxconn`"));
    /// ```
    pub fn new(config: HostConfig, seed: u64) -> Result<Host, ConfigError> {
        let settings = config.settings()?;
        // TCP first, then UDP: each starts where its own word says.
        let mut ports = Stream::new(seed, &format!("{}/ports", config.name));
        let rules = (settings.port_rule, settings.bind_rule);
        let [tcp_ports, udp_ports] = [(); 2].map(|()| {
            let mut ports = Ports::new(rules, settings.ports, &mut ports);
            ports.reserve(&settings.reserved);
            ports
        });
        let mut isn = Isn::new(settings.isn, seed, &config.name);
        isn.dictate(&config.iss);
        Ok(Host {
            profile: config.profile,
            power: Power::Up,
            addrs: Addrs::new(),
            sockets: SocketTable::default(),
            listeners: Map::new(),
            datagrams: Map::new(),
            tcp_ports,
            udp_ports,
            demux: Demux::new(),
            conns: Slab::new(),
            halves: Slab::new(),
            leftovers: Slab::new(),
            births: 0,
            timers: Timers::default(),
            cookies: Cookies::new(seed, &config.name),
            known: KnownPeers::default(),
            path_mtus: PathMtus::default(),
            syncache: Syncache::default(),
            time_waits: TimeWaits::default(),
            routes: Routes::default(),
            fast_open: FastOpen::new(seed, &config.name),
            isn,
            limits: Limits::new(Stream::new(seed, &format!("{}/challenges", config.name)).word()),
            bandlim: Bandlim::default(),
            orphans: Orphans::default(),
            memory: Memory::default(),
            lingering: Vec::new(),
            events: Vec::new(),
            counters: Counters::new(),
            settings,
        })
    }

    /// The number of a machine just made.
    fn birth(&mut self) -> u32 {
        self.births = self.births.wrapping_add(1);
        self.births
    }
}

impl Endpoint for Host {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        self.addrs.attach(attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        self.take_packet(cx, iface, packet);
        self.settle_timers();
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        self.fire_timers(cx);
    }

    fn next_timeout(&self) -> Option<HostTime> {
        self.timers.next()
    }

    fn on_fault(&mut self, cx: &mut Cx<'_>, fault: HostFault) {
        self.suffer(cx, fault);
        self.settle_timers();
    }

    fn administer(&mut self, cx: &mut Cx<'_>, order: &Order) -> Result<(), Refusal> {
        self.carry_out(cx, order)?;
        self.settle_timers();
        Ok(())
    }

    fn sockets(&mut self) -> Option<&mut dyn Sockets> {
        Some(self)
    }

    fn shows_state(&self) -> bool {
        true
    }

    fn connections(&self, visit: &mut dyn FnMut(ConnView)) {
        self.view_connections(visit);
    }

    fn backoff(&self) -> Backoff {
        let knobs = &self.settings.knobs;
        // The least RTO reaches so far by its doublings.
        let factor = 1u64.checked_shl(knobs.rto_doublings.into()).unwrap_or(u64::MAX);
        let reached = knobs.rto_min * factor + knobs.rto_slop;
        Backoff { longest: knobs.rto_max.min(reached), slop: knobs.rto_slop }
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        self.counters.visit(&self.limits, visit);
    }

    fn listeners(&self, visit: &mut dyn FnMut(ListenView)) {
        self.view_listeners(visit);
    }
}
