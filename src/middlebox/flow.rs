use crate::wire::{Body, Icmp, Packet, Quoted};
use std::net::SocketAddr;

/// One direction of what two sockets say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    /// IP protocol: 6 is TCP, 17 is UDP.
    pub(super) protocol: u8,
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

impl Flow {
    /// The flow of a TCP or UDP packet.
    pub(super) fn of(packet: &Packet) -> Option<Flow> {
        let protocol = match packet.body {
            Body::Tcp(_) => TCP,
            Body::Udp(_) => UDP,
            Body::Icmp(_) | Body::Raw(_) => return None,
        };
        let (src, dst) = packet.ports()?;
        Some(Flow { protocol, src: (packet.src, src).into(), dst: (packet.dst, dst).into() })
    }

    /// The flow that an ICMP error answers: against the direction of the packet it quotes.
    pub(super) fn answered_by(icmp: &Icmp) -> Option<Flow> {
        let Quoted { src, dst, protocol, src_port, dst_port, .. } = icmp.quoted()?;
        Some(Flow { protocol, src: (dst, dst_port).into(), dst: (src, src_port).into() })
    }

    /// The other direction.
    pub(super) fn flipped(self) -> Flow {
        Flow { src: self.dst, dst: self.src, ..self }
    }

    /// Makes `packet`, which is TCP or UDP, one of this flow.
    pub(super) fn readdress(self, packet: &mut Packet) {
        (packet.src, packet.dst) = (self.src.ip(), self.dst.ip());
        let ports = (self.src.port(), self.dst.port());
        match &mut packet.body {
            Body::Tcp(segment) => (segment.src_port, segment.dst_port) = ports,
            Body::Udp(datagram) => (datagram.src_port, datagram.dst_port) = ports,
            Body::Icmp(_) | Body::Raw(_) => {}
        }
    }
}
