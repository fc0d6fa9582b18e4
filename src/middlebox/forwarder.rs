use crate::endpoint::{Arrival, Attach, Cx, DropReason, Event, IfaceId};
use crate::map::Map;
use crate::wire::{Body, Flags, Icmp, IcmpKind, Packet, Segment, Seq, quote_of};
use std::net::IpAddr;

/// How a middlebox meets a packet it has no state for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It says nothing.
    #[default]
    Silence,
    /// It answers in the name of the destination: TCP with a reset, UDP with ICMP port unreachable.
    Reset,
}

/// What every middlebox can do: find the way on, take 1 off the TTL, and say so where there is no way.
#[derive(Debug, Default)]
pub(super) struct Forwarder {
    /// By range: first address and number of leading bits.
    routes: Map<(IpAddr, u8), IfaceId>,
    /// Every number of leading bits there is, longest first.
    lengths: Vec<u8>,
    addrs: Vec<(IfaceId, IpAddr)>,
}

impl Forwarder {
    pub(super) fn on_attach(&mut self, attach: &Attach) {
        match attach {
            Attach::Iface { iface, addrs, .. } => self.addrs.extend(addrs.iter().map(|&addr| (*iface, addr))),
            Attach::Route { prefix, prefix_len, iface } => {
                self.routes.insert((masked(*prefix, *prefix_len), *prefix_len), *iface);
                if let Err(at) = self.lengths.binary_search_by(|len| prefix_len.cmp(len)) {
                    self.lengths.insert(at, *prefix_len);
                }
            }
            Attach::NoRoute { .. } => {}
        }
    }

    /// The interface on the way to `dst`: the route with the most leading bits decides.
    pub(super) fn route(&self, dst: IpAddr) -> Option<IfaceId> {
        let fits = self.lengths.iter().filter(|&&len| dst.is_ipv6() || len <= 32);
        fits.filter_map(|&len| self.routes.get(&(masked(dst, len), len))).next().copied()
    }

    /// Whether `addr` is one of the middlebox's own.
    pub(super) fn is_own(&self, addr: IpAddr) -> bool {
        self.addrs.iter().any(|&(_, own)| own == addr)
    }

    /// The first address of `iface` in the family of `like`.
    pub(super) fn addr(&self, iface: IfaceId, like: IpAddr) -> Option<IpAddr> {
        let mut own = self.addrs.iter().filter(|&&(on, addr)| on == iface && addr.is_ipv4() == like.is_ipv4());
        own.next().map(|&(_, addr)| addr)
    }

    /// Takes 1 off the TTL of a packet that came in on `from`. Where nothing is left, its sender is told (RFC 1812
    /// 5.3.1), and there is no packet any more.
    pub(super) fn age(&self, cx: &mut Cx<'_>, from: IfaceId, packet: &Packet) -> Option<Packet> {
        if packet.ttl <= 1 {
            self.error(cx, from, packet, IcmpKind::TimeExceeded);
            drop_packet(cx, DropReason::TtlExpired);
            return None;
        }
        Some(Packet { ttl: packet.ttl - 1, ..packet.clone() })
    }

    /// The interface on which to send a packet that came in on `from`. Where there is none, its sender is told.
    pub(super) fn way(&self, cx: &mut Cx<'_>, from: IfaceId, packet: &Packet) -> Option<IfaceId> {
        let way = self.route(packet.dst);
        if way.is_none() {
            // RFC 1812 5.2.7.1: no route at all is a network unreachable.
            self.error(cx, from, packet, IcmpKind::NetUnreachable);
            drop_packet(cx, DropReason::NotMine);
        }
        way
    }

    /// Meets a packet that came in on `from` without a state.
    pub(super) fn refuse(&self, cx: &mut Cx<'_>, from: IfaceId, packet: &Packet, refusal: Refusal, why: DropReason) {
        if refusal == Refusal::Reset {
            match &packet.body {
                Body::Tcp(segment) => {
                    if let Some(reset) = reset_for(segment) {
                        cx.send(from, Packet::new(packet.dst, packet.src, Body::Tcp(reset)));
                    }
                }
                Body::Udp(_) => self.error(cx, from, packet, IcmpKind::PortUnreachable),
                Body::Icmp(_) | Body::Raw(_) => {}
            }
        }
        drop_packet(cx, why);
    }

    /// Sends an ICMP error about a packet back to where it came in, from the address of that interface.
    fn error(&self, cx: &mut Cx<'_>, from: IfaceId, packet: &Packet, kind: IcmpKind) {
        // RFC 1122 3.2.2: no error about an error. Nor about what cannot be read.
        if matches!(packet.body, Body::Icmp(_) | Body::Raw(_)) {
            return;
        }
        if let Some(own) = self.addr(from, packet.src) {
            let icmp = Icmp { kind, quote: quote_of(packet) };
            let answer = Packet { dont_fragment: false, ..Packet::new(own, packet.src, Body::Icmp(icmp)) };
            cx.send(from, answer);
        }
    }
}

/// Says that the packet at hand is not taken, and why.
pub(super) fn drop_packet(cx: &mut Cx<'_>, why: DropReason) {
    cx.note(Event::Arrival(Arrival::Dropped(why)));
}

/// The reset that answers a segment of no connection (RFC 9293 3.5.2, group 1).
fn reset_for(segment: &Segment) -> Option<Segment> {
    if segment.has(Flags::RST) {
        return None;
    }
    let (src_port, dst_port) = (segment.dst_port, segment.src_port);
    let (seq, ack, flags) = if segment.has(Flags::ACK) {
        (segment.ack, Seq(0), Flags::RST)
    } else {
        (Seq(0), segment.end(), Flags::RST | Flags::ACK)
    };
    Some(Segment { src_port, dst_port, seq, ack, flags, ..Segment::default() })
}

/// The first `len` bits of `addr`, followed by zeros.
fn masked(addr: IpAddr, len: u8) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => {
            let host = u32::MAX.checked_shr(len.into()).unwrap_or(0);
            IpAddr::V4((addr.to_bits() & !host).into())
        }
        IpAddr::V6(addr) => {
            let host = u128::MAX.checked_shr(len.into()).unwrap_or(0);
            IpAddr::V6((addr.to_bits() & !host).into())
        }
    }
}
