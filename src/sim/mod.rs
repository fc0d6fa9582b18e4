//! The engine: the only place where endpoints meet the network.
//!
//! A [`Sim`] owns endpoints, links, applications and the agenda, and is itself sans-IO: [`Sim::next_event_at`],
//! [`Sim::step`], [`Sim::run_until`]; [`Sim::run`] loops over them.

mod agenda;
mod app;
pub mod apps;
mod budget;
mod calls;
mod clock;
mod disturb;
mod kept;
mod ledger;
mod netstat;
mod node;
mod observe;
mod packets;
mod recorder;
mod residence;
mod stats;
mod task;
mod topology;
mod watch;

pub use app::{App, AppCx, AppId, Wake};
pub use budget::{Budget, Exceeded};
pub use calls::{Connect, Stream};
pub use ledger::{Received, Returned};
pub use netstat::{Netstat, SocketRow};
pub use observe::{Ended, Outcome};
pub use residence::Residence;
pub use stats::{Attempt, AttemptEnd, Stats};
pub use topology::{Prefix, Void};
pub use watch::{Watch, WatchId, WatchRow};

use crate::endpoint::{Cx, Effect, Endpoint, Event, Readiness, SocketId};
use crate::time::{HostTime, SimTime};
use crate::trace::{Header, Keep, NodeId, Record, What};
use agenda::{Agenda, Class};
use budget::Used;
use disturb::Scheduled;
use ledger::Ledger;
use node::{Node, Pending, Presence};
use recorder::Recorder;
use std::borrow::Cow;
use std::collections::BTreeMap;
use topology::Topology;

/// One run: endpoints on a network, in virtual time, under one seed.
pub struct Sim {
    seed: u64,
    now: SimTime,
    agenda: Agenda,
    nodes: Vec<Node>,
    topology: Topology,
    header: Header,
    recorder: Recorder,
    /// Kept where asked for.
    residences: Option<residence::Residences>,
    watches: Vec<Watch>,
    /// When the next of them looks.
    next_look: Option<SimTime>,
    ledger: Ledger,
    scheduled: BTreeMap<(SimTime, u64), Scheduled>,
    next_scheduled: u64,
    faults: packets::Faults,
    budget: Budget,
    used: Used,
    ended: Option<Ended>,
    effects: Vec<Effect>,
    calls: Vec<(usize, crate::trace::Called)>,
}

impl Sim {
    /// A run under `seed`, with every oracle on and its story kept.
    pub fn new(seed: u64) -> Sim {
        Sim::with(seed, Keep::Story)
    }

    /// A run under `seed`, with every oracle on, that keeps as much of its trace as `keep` says.
    pub fn with(seed: u64, keep: Keep) -> Sim {
        Sim {
            seed,
            now: SimTime::ZERO,
            agenda: Agenda::default(),
            nodes: Vec::new(),
            topology: Topology::default(),
            header: Header { seed, ..Header::default() },
            recorder: Recorder::new(keep, crate::oracle::all()),
            residences: None,
            watches: Vec::new(),
            next_look: None,
            ledger: Ledger::default(),
            scheduled: BTreeMap::new(),
            next_scheduled: 0,
            faults: packets::Faults::default(),
            budget: Budget::default(),
            used: Used::default(),
            ended: None,
            effects: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The instant that the run has reached.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Sets what the run may use.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Breaks ties between events of one instant by a hash under `seed` instead of by class and source.
    ///
    /// # Panics
    /// If anything is on the agenda already.
    pub fn shuffle_ties(&mut self, seed: u64) {
        self.agenda.shuffle_ties(seed);
    }

    /// When the next event happens; nothing at quiescence.
    pub fn next_event_at(&mut self) -> Option<SimTime> {
        self.next_event().map(|(time, _, _)| time)
    }

    #[inline]
    fn next_event(&mut self) -> Option<(SimTime, Class, u32)> {
        self.settle_topology();
        if self.ended.is_some_and(|ended| ended != Ended::Quiescent) {
            return None;
        }
        self.agenda.first()
    }

    /// Lets the next event happen; false if there is none.
    pub fn step(&mut self) -> bool {
        let Some((time, class, source)) = self.next_event() else { return false };
        self.used.ties += u64::from(self.agenda.is_tied());
        debug_assert!(time >= self.now, "the agenda is in order");
        self.look_before(time);
        self.now = time;
        let checked = self.used.event(time, &self.budget).and_then(|()| self.check_network_budget());
        if let Err(exceeded) = checked {
            self.exceed(exceeded);
            return false;
        }
        self.ended = None;
        match class {
            Class::Delivery => self.deliver(source),
            Class::Timeout => self.timeout(NodeId(source)),
            Class::Application => self.wake(NodeId(source)),
            Class::Fault => self.disturb_now(),
        }
        true
    }

    /// Lets everything happen that is due until `time`, and moves the clock there.
    pub fn run_until(&mut self, time: SimTime) {
        while self.next_event_at().is_some_and(|next| next <= time) {
            if !self.step() {
                return;
            }
        }
        self.look_before(time);
        self.now = self.now.max(time);
    }

    /// Runs for `span` of virtual time.
    pub fn run_for(&mut self, span: crate::time::Span) {
        self.run_until(self.now + span);
    }

    /// Runs until nothing more will happen, or a budget is exceeded; then asks the oracles about the end.
    pub fn run(&mut self) {
        let span = tracing::debug_span!("run", sim = self.header.sim, seed = self.seed);
        let _entered = span.enter();
        while self.step() {}
        self.finish();
    }

    /// Calls `f` with an endpoint and its context, then carries out what it asked for.
    pub fn with_endpoint<R>(&mut self, node: NodeId, f: impl FnOnce(&mut dyn Endpoint, &mut Cx<'_>) -> R) -> R {
        // A call that panicked may have left some.
        self.effects.clear();
        let detail = self.recorder.wants_detail();
        let place = &mut self.nodes[node.0 as usize];
        let now = place.clock.to_host(self.now);
        let mut cx = Cx::new(now, &mut self.effects, &mut place.streams, detail);
        let result = f(&mut *place.endpoint, &mut cx);
        self.carry_out(node);
        result
    }

    fn timeout(&mut self, node: NodeId) {
        self.with_endpoint(node, |endpoint, cx| endpoint.on_timeout(cx));
    }

    /// Carries out effects in their order and puts the endpoint's next timeout on the agenda.
    fn carry_out(&mut self, node: NodeId) {
        for at in 0..self.effects.len() {
            self.one_effect(node, at);
        }
        self.effects.clear();
        self.rearm(node);
    }

    /// Carries out the effect at this place of the list, where it stays: effects are too large to be moved about.
    fn one_effect(&mut self, node: NodeId, at: usize) {
        match &mut self.effects[at] {
            Effect::Note(event) => {
                let conn = match *event {
                    Event::Transition { tuple, from, to, .. } => {
                        if let Some(residences) = &mut self.residences {
                            residences.transition(self.now, node, tuple, to);
                        }
                        self.recorder.conns.transition(tuple, from, to)
                    }
                    Event::Timer { tuple: Some(tuple), .. } | Event::Cwnd { tuple, .. } => {
                        self.recorder.conns.of(tuple.local, tuple.remote)
                    }
                    Event::Timer { tuple: None, .. } | Event::Arrival(_) | Event::Queue { .. } => None,
                };
                self.recorder.show(self.now, node, What::Noted { conn, event: *event });
            }
            Effect::Ready(socket, readiness) => {
                let place = &mut self.nodes[node.0 as usize];
                let Some(owner) = place.owners.get_mut(socket.0 as usize) else { return };
                let pending = match owner.app {
                    None => return,
                    Some(task::TASKS) => Pending::Task(*socket),
                    Some(app) => Pending::App(app, *socket, *readiness),
                };
                if !std::mem::replace(&mut owner.waking, true) {
                    place.wakes.push_back(pending);
                }
            }
            effect @ Effect::Send(..) => {
                let sent = std::mem::replace(effect, Effect::Ready(SocketId(0), Readiness::empty()));
                if let Effect::Send(iface, packet) = sent {
                    self.transmit(node, iface, packet);
                }
            }
        }
    }

    fn record(&mut self, node: Option<NodeId>, what: What<'_>) {
        self.recorder.take(&Record { at: self.now, node, what });
    }

    /// Puts an endpoint's next timeout and its applications' next wake-up on the agenda.
    fn rearm(&mut self, node: NodeId) {
        let place = &self.nodes[node.0 as usize];
        let (mut timeout, mut wake) = (None, None);
        if place.is_up() {
            let sim = |time: HostTime| place.clock.to_sim(time).max(self.now);
            timeout = place.endpoint.next_timeout().map(sim);
            wake = place.due.first().map(|&(time, _)| sim(time));
        }
        if !place.wakes.is_empty() && place.presence != Presence::Paused {
            wake = Some(self.now);
        }
        self.agenda.set(Class::Timeout, node.0, timeout);
        self.agenda.set(Class::Application, node.0, wake);
    }

    /// Wakes one application of `node`: the first in the queue, or the one whose timer is due.
    fn wake(&mut self, node: NodeId) {
        let place = &mut self.nodes[node.0 as usize];
        let pending = place.wakes.pop_front();
        if let Some(Pending::App(_, socket, _) | Pending::Task(socket)) = pending
            && let Some(owner) = place.owners.get_mut(socket.0 as usize)
        {
            owner.waking = false;
        }
        match pending {
            Some(Pending::App(app, socket, ready)) => self.run_app(node, app, Some(Wake::Ready(socket, ready))),
            Some(Pending::Task(socket)) => self.run_tasks(node, |tasks, cx, now| tasks.on_ready(cx, now, socket)),
            Some(Pending::Begin(stream)) => self.run_tasks(node, |tasks, cx, now| tasks.run(cx, now, stream)),
            None => {
                let Some(&(_, app)) = place.due.first() else { return self.rearm(node) };
                place.set_timer(app, None);
                self.run_app(node, app, Some(Wake::Timer));
            }
        }
    }

    /// Runs an application: `None` is its start.
    fn run_app(&mut self, node: NodeId, app: u32, wake: Option<Wake>) {
        let place = &mut self.nodes[node.0 as usize];
        let Some(running) = place.running(app) else { return self.rearm(node) };
        let Some(mut code) = running.app.take() else { return self.rearm(node) };
        let timer = running.timer;
        let timer = self.with_app_cx(node, app, timer, |cx| match wake {
            None => code.on_start(cx),
            Some(wake) => code.on_wake(cx, wake),
        });
        let place = &mut self.nodes[node.0 as usize];
        if let Some(running) = place.running(app) {
            running.app = Some(code);
        }
        place.set_timer(app, timer);
        self.rearm(node);
    }

    fn run_tasks(&mut self, node: NodeId, f: impl FnOnce(&mut task::Tasks, &mut AppCx<'_>, SimTime)) {
        let mut tasks = std::mem::take(&mut self.nodes[node.0 as usize].tasks);
        let now = self.now;
        self.with_app_cx(node, task::TASKS, None, |cx| f(&mut tasks, cx, now));
        self.nodes[node.0 as usize].tasks = tasks;
        self.rearm(node);
    }

    /// Calls `f` with the context of one application, then carries out what it asked for; returns its timer.
    fn with_app_cx(
        &mut self,
        node: NodeId,
        app: u32,
        mut timer: Option<HostTime>,
        f: impl FnOnce(&mut AppCx<'_>),
    ) -> Option<HostTime> {
        debug_assert!(self.effects.is_empty() && self.calls.is_empty(), "one application at a time");
        let detail = self.recorder.wants_detail();
        let place = &mut self.nodes[node.0 as usize];
        let cx = Cx::new(place.clock.to_host(self.now), &mut self.effects, &mut place.streams, detail);
        if let Some(sockets) = place.endpoint.sockets() {
            let (owners, ledger, recorder) = (&mut place.owners, &mut self.ledger, &mut self.recorder);
            let running = (app as usize).checked_sub(1).and_then(|n| place.apps.get_mut(n));
            let stats = running.map(|running| &mut running.stats);
            let calls = &mut self.calls;
            f(&mut AppCx { cx, sockets, app, node, owners, timer: &mut timer, stats, ledger, recorder, calls });
        }
        self.carry_out_with_calls(node);
        timer
    }

    /// Carries out effects, with each call recorded at its place among them.
    fn carry_out_with_calls(&mut self, node: NodeId) {
        // Calls nest: a blocking call is made of others.
        if !self.calls.is_sorted_by_key(|&(mark, _)| mark) {
            order(&mut self.calls, &self.effects);
        }
        let (mut at, mut told) = (0, 0);
        while at < self.effects.len() || told < self.calls.len() {
            match self.calls.get(told) {
                Some((mark, called)) if *mark <= at || at == self.effects.len() => {
                    self.recorder.show(self.now, node, What::Called(Cow::Borrowed(called)));
                    told += 1;
                }
                _ => {
                    self.one_effect(node, at);
                    at += 1;
                }
            }
        }
        self.effects.clear();
        self.calls.clear();
    }
}

/// Puts calls in the order of the effects that they were made between; those between the same two keep theirs. Details do not
/// count, so that the order is the same whether anyone looks at them or not, but stay where they were as far as that goes.
fn order(calls: &mut [(usize, crate::trace::Called)], effects: &[Effect]) {
    calls.sort_by_cached_key(|&(mark, _)| effects[..mark].iter().filter(|effect| !effect.is_detail()).count());
    let mut latest = 0;
    for (mark, _) in calls {
        latest = latest.max(*mark);
        *mark = latest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Readiness;
    use crate::time::Span;
    use crate::trace::{Call, CallKind, Called};
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn the_order_of_calls_is_the_same_whoever_looks_at_details() {
        let call = |backlog: u32| {
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let (call, took, kind) = (Call::Listen { local, backlog }, Span::ZERO, CallKind::Routine);
            Called { stream: None, tuple: None, call, result: None, took, kind }
        };
        let solid = || Effect::Ready(SocketId(0), Readiness::empty());
        let detail = || {
            let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            Effect::Note(Event::Queue { local, syn: (0, 1), accept: (0, 1) })
        };
        // Calls 1 and 2 are parts of call 3, which is told last; with details something lies between.
        let mut plain = vec![(1, call(1)), (1, call(2)), (0, call(3)), (2, call(4)), (1, call(5))];
        let mut looked = vec![(2, call(1)), (3, call(2)), (0, call(3)), (4, call(4)), (2, call(5))];
        order(&mut plain, &[solid(), solid()]);
        order(&mut looked, &[detail(), solid(), detail(), solid()]);
        let order = |calls: &[(usize, Called)]| calls.iter().map(|(_, called)| called.call.clone()).collect::<Vec<_>>();
        assert_eq!(order(&plain), [3, 1, 2, 5, 4].map(|n| call(n).call));
        assert_eq!(order(&looked), order(&plain));
        assert_eq!(looked.iter().map(|&(mark, _)| mark).collect::<Vec<_>>(), [0, 2, 3, 3, 4]);
    }
}
