use super::app::{App, Owner};
use super::clock::Clock;
use super::stats::Stats;
use super::task::Tasks;
use crate::endpoint::{Endpoint, IfaceId, Readiness, SocketId, Streams};
use crate::net::Arrived;
use crate::time::HostTime;
use crate::trace::{LinkId, StreamId};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

/// One endpoint and what the engine knows about it.
pub(super) struct Node {
    pub(super) endpoint: Box<dyn Endpoint>,
    pub(super) kind: Kind,
    pub(super) ifaces: Vec<Iface>,
    pub(super) streams: Streams,
    pub(super) clock: Clock,
    pub(super) presence: Presence,
    /// Packets that wait for a paused endpoint.
    pub(super) held: Vec<Held>,
    pub(super) tasks: Tasks,
    /// Applications by number; number 0 is the tasks and has no entry of its own.
    pub(super) apps: Vec<Running>,
    /// Applications' timers, the earliest first.
    pub(super) due: BTreeSet<(HostTime, u32)>,
    pub(super) owners: Vec<Owner>,
    pub(super) wakes: VecDeque<Pending>,
}

/// How an endpoint is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A loopback and one interface, whatever the number of its links.
    Host,
    /// An interface a link.
    Middlebox,
}

/// Whether an endpoint takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Up,
    Paused,
    Down,
}

#[derive(Clone, Debug)]
pub(super) struct Iface {
    pub(super) addrs: Vec<IpAddr>,
    /// The one link of a middlebox's interface.
    pub(super) link: Option<LinkId>,
}

/// A packet on its way into an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) link: LinkId,
    pub(super) iface: IfaceId,
    pub(super) arrived: Arrived,
}

pub(super) struct Running {
    /// Taken out while it runs.
    pub(super) app: Option<Box<dyn App>>,
    pub(super) timer: Option<HostTime>,
    pub(super) stats: Stats,
}

/// A wake-up that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    App(u32, SocketId, Readiness),
    Task(SocketId),
    /// A call was appended to a task.
    Begin(StreamId),
}

impl Node {
    pub(super) fn new(endpoint: Box<dyn Endpoint>, kind: Kind, streams: Streams) -> Node {
        Node {
            endpoint,
            kind,
            ifaces: Vec::new(),
            streams,
            clock: Clock::default(),
            presence: Presence::Up,
            held: Vec::new(),
            tasks: Tasks::default(),
            apps: Vec::new(),
            due: BTreeSet::new(),
            owners: Vec::new(),
            wakes: VecDeque::new(),
        }
    }

    /// Adds an application and returns its number.
    pub(super) fn add_app(&mut self, app: Box<dyn App>) -> u32 {
        self.apps.push(Running { app: Some(app), timer: None, stats: Stats::default() });
        u32::try_from(self.apps.len()).expect("fewer than 2^32 applications")
    }

    pub(super) fn running(&mut self, app: u32) -> Option<&mut Running> {
        self.apps.get_mut((app as usize).checked_sub(1)?)
    }

    /// Sets when application `app` is to be woken by its timer.
    pub(super) fn set_timer(&mut self, app: u32, timer: Option<HostTime>) {
        let Some(running) = self.apps.get_mut((app as usize).wrapping_sub(1)) else { return };
        if running.timer != timer {
            if let Some(old) = running.timer {
                self.due.remove(&(old, app));
            }
            running.timer = timer;
            self.due.extend(timer.map(|time| (time, app)));
        }
    }

    /// The address that others know it by.
    pub(super) fn main_addr(&self, v6: bool) -> Option<IpAddr> {
        let addrs = self.ifaces.iter().flat_map(|iface| iface.addrs.iter());
        addrs.copied().find(|addr| addr.is_ipv6() == v6 && !addr.is_loopback())
    }

    /// Whether the endpoint takes packets and timeouts now.
    pub(super) fn is_up(&self) -> bool {
        self.presence == Presence::Up
    }
}
