use super::flow::Flow;
use crate::map::Map;
use crate::slab::Slab;
use crate::time::{HostTime, Span, secs};
use crate::wire::{Body, Flags, Packet};
use std::collections::BTreeSet;

/// How long a middlebox remembers, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A TCP session without a packet for this long is forgotten: by default 2 hours 4 minutes (RFC 5382, REQ-5).
    pub idle: Span,
    /// The same for UDP: by default 5 minutes (RFC 4787, REQ-5).
    pub udp_idle: Span,
    /// The same for a TCP session in which both sides sent a FIN, or one a RST: by default 10 s.
    pub closing: Span,
    /// The most sessions at a time: by default 65,536.
    pub table: u32,
}

/// What a middlebox remembers of the flows that pass it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    limits: Limits,
    sessions: Slab<Session>,
    by_flow: Map<Flow, u32>,
    /// When to look at a session next; its own deadline may have moved on since.
    checks: BTreeSet<(HostTime, u32)>,
    forgotten: u64,
}

#[derive(Debug)]
struct Session {
    /// The flow as the opener sends it.
    forward: Flow,
    /// The flow of the answers as they come in; its destination is what the other side takes for the opener.
    reverse: Flow,
    deadline: HostTime,
    /// Who sent a FIN: the opener, the other side.
    fin: [bool; 2],
    reset: bool,
}

/// Which way a packet of a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Reverse,
}

/// A packet's session: its number, and which way the packet goes.
pub(super) type Found = (u32, Way);

impl Default for Limits {
    fn default() -> Limits {
        Limits { idle: secs(7_440), udp_idle: secs(300), closing: secs(10), table: 65_536 }
    }
}

impl Sessions {
    pub(super) fn new(limits: Limits) -> Sessions {
        Sessions { limits, ..Sessions::default() }
    }

    /// Forgets what has ended by `now`.
    pub(super) fn expire(&mut self, now: HostTime) {
        while let Some(&(check, id)) = self.checks.first()
            && check <= now
        {
            self.checks.pop_first();
            match self.sessions.get(id).map(|session| session.deadline) {
                Some(deadline) if deadline > now => {
                    self.checks.insert((deadline, id));
                }
                _ => self.forget(id),
            }
        }
    }

    /// The session with this flow in it.
    pub(super) fn find(&self, flow: &Flow) -> Option<Found> {
        let id = *self.by_flow.get(flow)?;
        let way = if self.sessions.get(id)?.forward == *flow { Way::Forward } else { Way::Reverse };
        Some((id, way))
    }

    /// Opens a session; nothing if the table is full. [`Sessions::touch`] gives it its time.
    pub(super) fn open(&mut self, forward: Flow, reverse: Flow) -> Option<Found> {
        if self.sessions.len() >= self.limits.table as usize {
            return None;
        }
        let session = Session { forward, reverse, deadline: HostTime::ZERO, fin: [false; 2], reset: false };
        let id = self.sessions.insert(session);
        self.by_flow.insert(forward, id);
        self.by_flow.insert(reverse, id);
        Some((id, Way::Forward))
    }

    /// A packet of the session passes.
    pub(super) fn touch(&mut self, now: HostTime, (id, way): Found, packet: &Packet) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let mut idle = self.limits.udp_idle;
        if let Body::Tcp(segment) = &packet.body {
            session.fin[way as usize] |= segment.has(Flags::FIN);
            session.reset |= segment.has(Flags::RST);
            if segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
                // The ports are used again: the former connection's end does not count for this one.
                (session.fin, session.reset) = ([false; 2], false);
            }
            let ended = session.reset || session.fin == [true; 2];
            idle = if ended { self.limits.closing } else { self.limits.idle };
        }
        let deadline = now + idle;
        if session.deadline == HostTime::ZERO || deadline < session.deadline {
            // A check that lies later would come too late; the one that was due then finds a later deadline or nothing.
            self.checks.insert((deadline, id));
        }
        session.deadline = deadline;
    }

    /// The two flows of a session: as its opener sends, and as the answers come in.
    pub(super) fn flows(&self, id: u32) -> Option<(Flow, Flow)> {
        self.sessions.get(id).map(|session| (session.forward, session.reverse))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Sessions { forgotten: self.forgotten, ..Sessions::new(self.limits) };
    }

    pub(super) fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("sessions", self.sessions.len() as u64);
        visit("forgotten", self.forgotten);
    }

    fn forget(&mut self, id: u32) {
        if let Some(session) = self.sessions.remove(id) {
            self.by_flow.remove(&session.forward);
            self.by_flow.remove(&session.reverse);
            self.forgotten += 1;
        }
    }
}
