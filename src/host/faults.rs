use super::Host;
use super::bandlim::Bandlim;
use super::demux::{Demux, Place};
use super::known::{KnownPeers, PathMtus};
use super::memory::{Memory, Orphans};
use super::sockets::{Role, SocketTable};
use super::syncache::Syncache;
use super::time_wait::TimeWaits;
use super::timers::Alarm;
use crate::endpoint::{Cx, Event, HostFault, SocketId, TimerChange, TimerKind};
use crate::map::Map;
use crate::slab::Slab;
use crate::time::{HostTime, Span};

/// Whether the host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// It runs.
    Up,
    /// It runs, but its TCP says nothing until then: it does not know which sequence numbers are still under way.
    Quiet {
        until: HostTime,
        /// How long it was to last.
        lasts: Span,
        /// Sockets that connect then, in the order of their calls.
        waiting: Vec<SocketId>,
    },
    /// It does not.
    Down,
}

impl Host {
    pub(super) fn suffer(&mut self, cx: &mut Cx<'_>, fault: HostFault) {
        match fault {
            HostFault::Crash => {
                self.forget_everything();
                self.power = Power::Down;
            }
            HostFault::Reboot { quiet } => self.reboot(cx, quiet),
            HostFault::Kill => {
                for id in self.sockets.ids() {
                    self.close_socket(cx, id);
                }
            }
            HostFault::LinkDown(iface) => self.addrs.set_carrier(iface, false),
            HostFault::LinkUp(iface) => self.addrs.set_carrier(iface, true),
            // The engine holds back what a paused host must not see.
            HostFault::Pause | HostFault::Resume => {}
        }
    }

    /// Sockets, connections and counts of what was going on are lost; nobody is told. Counters go on, as a monitor's
    /// record of them would.
    fn forget_everything(&mut self) {
        self.sockets = SocketTable::default();
        (self.listeners, self.datagrams) = (Map::new(), Map::new());
        (self.conns, self.halves, self.leftovers) = (Slab::new(), Slab::new(), Slab::new());
        self.demux = Demux::new();
        self.tcp_ports.clear();
        self.udp_ports.clear();
        self.addrs.forget_peers();
        self.timers.clear();
        self.limits.forget();
        self.bandlim = Bandlim::default();
        (self.known, self.path_mtus) = (KnownPeers::default(), PathMtus::default());
        (self.syncache, self.time_waits) = (Syncache::default(), TimeWaits::default());
        self.orphans = Orphans::default();
        self.lingering.clear();
        self.memory = Memory::default();
    }

    /// Power is back. RFC 9293 3.4.3: "a TCP implementation must keep quiet for an MSL before assigning any sequence
    /// numbers upon starting up or recovering from a situation where memory of sequence numbers in use was lost".
    fn reboot(&mut self, cx: &mut Cx<'_>, quiet: Span) {
        self.forget_everything();
        self.counters.forget_current();
        self.isn.renew();
        self.cookies.renew();
        self.fast_open.renew();
        self.power = Power::Up;
        if quiet > Span::ZERO {
            let until = cx.now() + quiet;
            self.power = Power::Quiet { until, lasts: quiet, waiting: Vec::new() };
            let birth = self.birth();
            self.timers.set(Alarm { due: until, birth, slot: Place::Quiet.slot() });
        }
    }

    /// The quiet time is over: who waits for it connects.
    pub(super) fn end_quiet(&mut self, cx: &mut Cx<'_>) {
        let Power::Quiet { until, lasts, waiting } = &mut self.power else { return };
        if *until > cx.now() {
            return;
        }
        let (waiting, after) = (std::mem::take(waiting), *lasts);
        self.power = Power::Up;
        if cx.detail() {
            let change = TimerChange::Fired { after, count: 1, next: None };
            cx.note(Event::Timer { tuple: None, timer: TimerKind::Quiet, change });
        }
        for id in waiting {
            let Ok(socket) = self.sockets.get_mut(id) else { continue };
            let Role::Waiting(remote) = socket.role else { continue };
            socket.role = Role::Idle;
            if let Err(error) = self.open_stream(cx, id, remote, false) {
                if let Ok(socket) = self.sockets.get_mut(id) {
                    socket.error = Some(error);
                }
                self.notify(cx, id, false);
            }
        }
    }
}
