//! What the script does to the world: hosts that crash, links that are cut, clocks that drift.

use super::node::Presence;
use super::{Class, Sim};
use crate::endpoint::HostFault;
use crate::time::{SimTime, Span};
use crate::trace::{Disturbance, LinkId, NodeId, What};
use crate::wire::Packet;

/// A disturbance on the agenda.
#[derive(Clone, Debug)]
pub(super) enum Scheduled {
    Host(NodeId, HostFault),
    Link(LinkId, bool),
    Skew(NodeId, i32),
    Inject(LinkId, Box<Packet>),
}

impl Sim {
    /// Power is cut at `node`: its state is lost, and nothing is sent.
    pub fn crash(&mut self, node: NodeId) {
        self.disturb(Scheduled::Host(node, HostFault::Crash));
    }

    /// Power is back at `node`; its TCP keeps quiet for `quiet` (RFC 9293 3.4.3).
    pub fn reboot(&mut self, node: NodeId, quiet: Span) {
        self.disturb(Scheduled::Host(node, HostFault::Reboot { quiet }));
    }

    /// The process that owns the sockets of `node` dies; the system closes them.
    pub fn kill(&mut self, node: NodeId) {
        self.disturb(Scheduled::Host(node, HostFault::Kill));
    }

    /// `node` stands still: packets and timeouts wait.
    pub fn pause(&mut self, node: NodeId) {
        self.disturb(Scheduled::Host(node, HostFault::Pause));
    }

    /// `node` goes on.
    pub fn resume(&mut self, node: NodeId) {
        self.disturb(Scheduled::Host(node, HostFault::Resume));
    }

    /// From now on the clock of `node` runs `ppm` parts per million too fast.
    pub fn skew(&mut self, node: NodeId, ppm: i32) {
        self.disturb(Scheduled::Skew(node, ppm));
    }

    /// Cuts the link from `from` to `to`; what is in flight arrives.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        let link = self.existing_link(from, to);
        self.disturb(Scheduled::Link(link, false));
    }

    /// Mends the link from `from` to `to`.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn mend(&mut self, from: NodeId, to: NodeId) {
        let link = self.existing_link(from, to);
        self.disturb(Scheduled::Link(link, true));
    }

    /// Cuts both directions between `a` and `b`.
    pub fn partition(&mut self, a: NodeId, b: NodeId) {
        self.cut(a, b);
        self.cut(b, a);
    }

    /// Mends both directions between `a` and `b`.
    pub fn heal(&mut self, a: NodeId, b: NodeId) {
        self.mend(a, b);
        self.mend(b, a);
    }

    /// Puts `packet` on the link from `from` to `to`, as if an attacker or a delayed past had sent it.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn inject(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        let link = self.existing_link(from, to);
        self.disturb(Scheduled::Inject(link, Box::new(packet)));
    }

    /// Cuts both directions between `a` and `b` at `at` for `down`, and again `every` so often, `times` times in all.
    pub fn flap(&mut self, a: NodeId, b: NodeId, at: SimTime, down: Span, every: Span, times: u32) {
        let links = [self.existing_link(a, b), self.existing_link(b, a)];
        for n in 0..u64::from(times) {
            let start = at + every * n;
            for link in links {
                self.schedule(start, Scheduled::Link(link, false));
                self.schedule(start + down, Scheduled::Link(link, true));
            }
        }
    }

    fn existing_link(&self, from: NodeId, to: NodeId) -> LinkId {
        let names = || format!("no link from {} to {}", self.name_of(from), self.name_of(to));
        self.link_between(from, to).unwrap_or_else(|| panic!("{}", names()))
    }

    /// Puts a disturbance on the agenda.
    pub(super) fn schedule(&mut self, at: SimTime, disturbance: Scheduled) {
        self.scheduled.insert((at.max(self.now), self.next_scheduled), disturbance);
        self.next_scheduled += 1;
        self.rearm_scheduled();
    }

    fn rearm_scheduled(&mut self) {
        let next = self.scheduled.first_key_value().map(|(&(at, _), _)| at);
        self.agenda.set(Class::Fault, 0, next);
    }

    /// The next scheduled disturbance comes.
    pub(super) fn disturb_now(&mut self) {
        if let Some((_, disturbance)) = self.scheduled.pop_first() {
            self.disturb(disturbance);
        }
        self.rearm_scheduled();
    }

    fn disturb(&mut self, disturbance: Scheduled) {
        match disturbance {
            Scheduled::Host(node, fault) => self.disturb_host(node, fault),
            Scheduled::Link(link, up) => {
                let place = &mut self.topology.links[link.0 as usize];
                place.lane.set_up(up);
                let from = place.from;
                let what = if up { Disturbance::Up(link) } else { Disturbance::Down(link) };
                self.record(Some(from), What::Disturbed(what));
            }
            Scheduled::Skew(node, ppm) => {
                self.record(Some(node), What::Disturbed(Disturbance::Skew(ppm)));
                self.nodes[node.0 as usize].clock.skew(self.now, ppm);
                self.rearm(node);
            }
            Scheduled::Inject(link, packet) => {
                let from = self.topology.links[link.0 as usize].from;
                self.record(Some(from), What::Disturbed(Disturbance::Injected(link)));
                self.put_on(from, link, packet);
            }
        }
    }

    fn disturb_host(&mut self, node: NodeId, fault: HostFault) {
        self.record(Some(node), What::Disturbed(Disturbance::Host(fault)));
        if matches!(fault, HostFault::Crash | HostFault::Reboot { .. }) && self.residences.is_some() {
            let (at, lost) = (self.now, self.connections(node));
            self.residences.iter_mut().for_each(|residences| residences.forget(at, node, &lost));
        }
        let place = &mut self.nodes[node.0 as usize];
        match fault {
            HostFault::Crash => {
                place.presence = Presence::Down;
                place.forget_applications();
            }
            HostFault::Kill => place.forget_applications(),
            HostFault::Reboot { .. } => place.presence = Presence::Up,
            // A host without power neither stands still nor goes on.
            HostFault::Resume if place.presence == Presence::Paused => place.presence = Presence::Up,
            HostFault::Pause if place.presence == Presence::Up => place.presence = Presence::Paused,
            HostFault::Pause | HostFault::Resume => return,
            HostFault::LinkDown(_) | HostFault::LinkUp(_) => {}
        }
        self.with_endpoint(node, |endpoint, cx| endpoint.on_fault(cx, fault));
        // A crash leaves nobody to hold packets back for: they arrive at a host that is down.
        if matches!(fault, HostFault::Resume | HostFault::Crash) {
            for held in std::mem::take(&mut self.nodes[node.0 as usize].held) {
                self.hand_over(node, (held.link, held.iface), &held.arrived);
            }
        }
    }
}

impl super::node::Node {
    /// The processes of this host are gone, with their timers and calls.
    fn forget_applications(&mut self) {
        self.tasks.clear();
        self.wakes.clear();
        self.due.clear();
        self.owners.clear();
        for running in &mut self.apps {
            (running.app, running.timer) = (None, None);
        }
    }
}
