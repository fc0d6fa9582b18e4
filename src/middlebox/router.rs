use super::forwarder::{Forwarder, drop_packet};
use crate::endpoint::{Attach, Cx, DropReason, Endpoint, IfaceId};
use crate::time::HostTime;
use crate::wire::Packet;

/// Forwards every packet by its destination, and remembers nothing.
#[derive(Debug, Default)]
pub struct Router {
    forwarder: Forwarder,
    forwarded: u64,
}

impl Router {
    /// A router without interfaces; they come with its links.
    pub fn new() -> Router {
        Router::default()
    }
}

impl Endpoint for Router {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        self.forwarder.on_attach(attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        if self.forwarder.is_own(packet.dst) {
            return drop_packet(cx, DropReason::NoSocket);
        }
        let Some(packet) = self.forwarder.age(cx, iface, packet) else { return };
        if let Some(out) = self.forwarder.way(cx, iface, &packet) {
            self.forwarded += 1;
            cx.send(out, packet);
        }
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("forwarded", self.forwarded);
    }

    fn forwards(&self, from: IfaceId, to: IfaceId) -> bool {
        from != to
    }
}
