use super::flow::Flow;
use super::forwarder::{Forwarder, Refusal, drop_packet};
use super::sessions::{Limits, Sessions};
use crate::endpoint::{Attach, Cx, DropReason, Endpoint, HostFault, IfaceId};
use crate::time::HostTime;
use crate::wire::{Body, Flags, Packet};

/// A stateful firewall: forwards what belongs to a session it has seen begin.
///
/// A TCP session begins with a SYN, a UDP session with any datagram. What belongs to none (a segment of a connection
/// that was idle for too long) is met as [`Refusal`] says; when the table is full, whatever would begin a session is
/// dropped without a word. ICMP errors pass if they quote a packet of a session.
#[derive(Debug, Default)]
pub struct Firewall {
    forwarder: Forwarder,
    sessions: Sessions,
    refusal: Refusal,
    openers: Option<Vec<IfaceId>>,
    forwarded: u64,
    refused: u64,
}

impl Firewall {
    /// A firewall without interfaces, which come with its links; sessions may begin on any of them.
    pub fn new(limits: Limits, refusal: Refusal) -> Firewall {
        Firewall { sessions: Sessions::new(limits), refusal, ..Firewall::default() }
    }

    /// Lets sessions begin only with packets that come in on these interfaces, numbered in the order of its links from
    /// 0; others are dropped without a word.
    pub fn open_from(mut self, ifaces: impl IntoIterator<Item = IfaceId>) -> Firewall {
        self.openers = Some(ifaces.into_iter().collect());
        self
    }

    /// Finds the packet's session or begins it; otherwise says why not.
    fn admit(&mut self, now: HostTime, from: IfaceId, packet: &Packet) -> Result<(), DropReason> {
        self.sessions.expire(now);
        let Some(flow) = Flow::of(packet) else {
            let Body::Icmp(icmp) = &packet.body else { return Err(DropReason::Checksum) };
            let flow = Flow::answered_by(icmp).ok_or(DropReason::IcmpIrrelevant)?;
            return self.sessions.find(&flow).map(|_| ()).ok_or(DropReason::IcmpIrrelevant);
        };
        let found = match self.sessions.find(&flow) {
            Some(found) => found,
            None if !begins(packet) => return Err(DropReason::NoState),
            None if self.openers.as_ref().is_some_and(|openers| !openers.contains(&from)) => {
                return Err(DropReason::Policy);
            }
            None => self.sessions.open(flow, flow.flipped()).ok_or(DropReason::TableFull)?,
        };
        self.sessions.touch(now, found, packet);
        Ok(())
    }
}

impl Endpoint for Firewall {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        self.forwarder.on_attach(attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        if self.forwarder.is_own(packet.dst) {
            return drop_packet(cx, DropReason::NoSocket);
        }
        let Some(packet) = self.forwarder.age(cx, iface, packet) else { return };
        let Some(out) = self.forwarder.way(cx, iface, &packet) else { return };
        match self.admit(cx.now(), iface, &packet) {
            Ok(()) => {
                self.forwarded += 1;
                cx.send(out, packet);
            }
            Err(why) => {
                self.refused += 1;
                let refusal = if why == DropReason::NoState { self.refusal } else { Refusal::Silence };
                self.forwarder.refuse(cx, iface, &packet, refusal, why);
            }
        }
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }

    fn on_fault(&mut self, _cx: &mut Cx<'_>, fault: HostFault) {
        if matches!(fault, HostFault::Crash | HostFault::Reboot { .. }) {
            self.sessions.clear();
        }
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("forwarded", self.forwarded);
        visit("refused", self.refused);
        self.sessions.counters(visit);
    }

    fn forwards(&self, from: IfaceId, to: IfaceId) -> bool {
        from != to
    }
}

/// Whether a packet may begin a session: a datagram, or a SYN that acknowledges nothing.
pub(super) fn begins(packet: &Packet) -> bool {
    packet.segment().is_none_or(|segment| segment.has(Flags::SYN) && !segment.flags.intersects(Flags::ACK | Flags::RST))
}
