use super::clock::Instant;
use super::remote::Remote;
use crate::drill::config::Config;
use crate::endpoint::{Cx, Endpoint, Errno, IfaceId, Order, Refusal, Sockets};
use crate::net::Link;
use crate::sim::Sim;
use crate::time::{SimTime, ms, us};
use crate::trace::{Keep, NodeId};
use crate::wire::Packet;
use std::any::Any;
use std::collections::VecDeque;

/// The interface that is not the loopback.
pub(super) const ETH: IfaceId = IfaceId(1);

/// The seed of every run: nothing that a script looks at depends on it.
pub(super) const SEED: u64 = 1;

/// A host, and a wire that a script looks at.
pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) host: NodeId,
    remote: NodeId,
    start: SimTime,
    seen: VecDeque<(Instant, Packet)>,
    /// The queue to the wire takes no packet.
    pub(super) cut: bool,
}

impl World {
    pub(super) fn new(endpoint: Box<dyn Endpoint>, config: &Config, keep: Keep) -> World {
        let mut sim = Sim::with(SEED, keep);
        // Scripted segments break the rules that oracles know.
        sim.set_oracles(Vec::new());
        let host = sim.endpoint_at("host", endpoint, vec![config.local], config.mtu);
        let remote = sim.endpoint_at("remote", Box::<Remote>::default(), vec![config.remote], config.mtu);
        sim.link(host, remote, Link::new());
        // Far enough from the birth of the host, and a quarter of a millisecond into a tick, as the stock tool starts.
        let start = SimTime::ZERO + ms(1_000) + us(250);
        sim.run_until(start);
        World { sim, host, remote, start, seen: VecDeque::new(), cut: false }
    }

    fn instant(&self, time: SimTime) -> Instant {
        let nanos = i128::from(time.as_nanos()) - i128::from(self.start.as_nanos());
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }

    fn sim_time(&self, at: Instant) -> SimTime {
        let nanos = i128::from(self.start.as_nanos()) + i128::from(at);
        SimTime::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// What time it is.
    pub(super) fn now(&self) -> Instant {
        self.instant(self.sim.now())
    }

    /// Lets the next event happen if it is due until `limit`; else moves the clock there, and gives false.
    pub(super) fn step(&mut self, limit: Instant) -> bool {
        let until = self.sim_time(limit);
        let due = self.sim.next_event_at().is_some_and(|next| next <= until);
        if !due || !self.sim.step() {
            self.sim.run_until(until);
            return false;
        }
        true
    }

    /// When the next event is due.
    pub(super) fn next_event(&mut self) -> Option<Instant> {
        self.sim.next_event_at().map(|time| self.instant(time))
    }

    /// Lets all that is due now happen.
    pub(super) fn settle(&mut self) {
        let now = self.sim.now();
        self.sim.run_until(now);
    }

    /// A socket call; nothing where the endpoint has no sockets.
    pub(super) fn call<R>(&mut self, f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> R) -> Option<R> {
        let host = self.host;
        let result = self.sim.with_endpoint(host, |endpoint, cx| endpoint.sockets().map(|sockets| f(sockets, cx)));
        self.settle();
        result
    }

    /// The same for a call that can fail.
    pub(super) fn attempt<R>(
        &mut self,
        f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        self.call(f).unwrap_or(Err(Errno::EOPNOTSUPP))
    }

    pub(super) fn administer(&mut self, order: &Order) -> Result<(), Refusal> {
        let host = self.host;
        let result = self.sim.with_endpoint(host, |endpoint, cx| endpoint.administer(cx, order));
        self.settle();
        result
    }

    /// Sends `packet` to the host; it is there at once.
    pub(super) fn inject(&mut self, packet: Packet) {
        let remote = self.remote;
        self.sim.with_endpoint(remote, |_, cx| cx.send(ETH, packet));
        self.settle();
    }

    /// The next packet that the host has sent, with its time.
    pub(super) fn sniff(&mut self) -> Option<(Instant, Packet)> {
        let remote = self.remote;
        let seen = self.sim.with_endpoint(remote, |endpoint, _| {
            let endpoint: &mut dyn Any = endpoint;
            endpoint.downcast_mut::<Remote>().map(|remote| std::mem::take(&mut remote.seen)).unwrap_or_default()
        });
        // The clock of an endpoint that nothing skews is the run's.
        for (at, packet) in seen.into_iter().filter(|_| !self.cut) {
            let at = self.instant(SimTime::from_nanos(at.as_nanos()));
            self.seen.push_back((at, packet));
        }
        self.seen.pop_front()
    }

    /// The counters of the host by their names.
    pub(super) fn counters(&mut self) -> Vec<(String, u64)> {
        let host = self.host;
        self.sim.with_endpoint(host, |endpoint, _| {
            let mut all = Vec::new();
            endpoint.counters(&mut |name, value| all.push((name.replace('.', ""), value)));
            all
        })
    }
}
