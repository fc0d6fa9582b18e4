use crate::endpoint::{Cx, Endpoint, IfaceId};
use crate::time::HostTime;
use crate::wire::Packet;

/// The other end of the wire: it writes down what comes, and sends what it is told to.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) seen: Vec<(HostTime, Packet)>,
}

impl Endpoint for Remote {
    fn on_packet(&mut self, cx: &mut Cx<'_>, _iface: IfaceId, packet: &Packet) {
        self.seen.push((cx.now(), packet.clone()));
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }
}
