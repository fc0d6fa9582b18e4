use super::counters::{Counter, Counters, Machine};
use crate::endpoint::{Cx, Errno, Event, IfaceId, State, Tuple};
use crate::tcp::TcpEvent;
use crate::time::Span;
use crate::wire::{Body, Packet, Segment};

/// What a socket says of IP headers (`IP_TOS`, `IP_TTL`).
#[derive(Clone, Copy, Debug)]
pub(super) struct IpHeader {
    /// Type of service or traffic class without the bits of ECN, which are TCP's.
    pub(super) tos: u8,
    pub(super) ttl: u8,
}

/// The way out for what one machine says and sends.
pub(super) struct Output<'a, 'b> {
    pub(super) cx: &'a mut Cx<'b>,
    pub(super) counters: &'a mut Counters,
    pub(super) ip: IpHeader,
    pub(super) tuple: &'a Tuple,
    pub(super) of: Machine,
}

impl Output<'_, '_> {
    /// Tells what the machine has noted.
    #[inline]
    pub(super) fn tell(&mut self, events: &mut Vec<TcpEvent>) {
        if !events.is_empty() {
            self.tell_all(events);
        }
    }

    fn tell_all(&mut self, events: &mut Vec<TcpEvent>) {
        for event in &*events {
            self.counters.note(event, self.of);
            match event {
                TcpEvent::Transition { from, to, lasts, error } => {
                    note_transition(self.cx, self.tuple, (*from, *to), *lasts, *error);
                }
                event => note_other(self.cx, self.tuple, event),
            }
        }
        events.clear();
    }

    /// Sends a segment this way: the interface, and whether it has a carrier; without one it is lost where it stands.
    pub(super) fn send(&mut self, way: Option<(IfaceId, bool)>, segment: Segment) {
        let Some((iface, carrier)) = way else { return self.counters.add(Counter::IpOutNoRoutes) };
        self.counters.sent(&segment);
        self.emit(iface, carrier, segment, false);
    }

    /// Sends a segment that is counted already, where the interface has a carrier; `ect`: routers may mark it (RFC 3168 5: ECT(0)).
    pub(super) fn emit(&mut self, iface: IfaceId, carrier: bool, segment: Segment, ect: bool) {
        if carrier {
            let Tuple { local, remote } = *self.tuple;
            let tos = self.ip.tos | if ect { 2 } else { 0 };
            let packet = Packet { ttl: self.ip.ttl, tos, ..Packet::new(local.ip(), remote.ip(), Body::Tcp(segment)) };
            self.cx.send(iface, packet);
        }
    }
}

/// By itself, so that the addresses are copied as they lie: among the other kinds of events the compiler takes them to
/// pieces.
#[inline(never)]
fn note_transition(
    cx: &mut Cx<'_>,
    tuple: &Tuple,
    (from, to): (State, State),
    lasts: Option<Span>,
    error: Option<Errno>,
) {
    cx.note(Event::Transition { tuple: *tuple, from, to, lasts, error });
}

#[inline(never)]
fn note_other(cx: &mut Cx<'_>, tuple: &Tuple, event: &TcpEvent) {
    cx.note(event.at(*tuple));
}
