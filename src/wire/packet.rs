//! An IP packet: parsed headers over a shared payload, or raw bytes where they do not parse.

use super::{Payload, Segment};
use std::net::IpAddr;

/// One packet on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class; the low two bits are ECN (RFC 3168 5).
    pub tos: u8,
    /// IPv4 "don't fragment"; IPv6 never fragments in flight. wirefate fragments nothing: a packet larger than the
    /// MTU is dropped, and answered with ICMP where this is set.
    pub dont_fragment: bool,
    /// What it carries.
    pub body: Body,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// TCP.
    Tcp(Segment),
    /// UDP.
    Udp(Datagram),
    /// An ICMP or ICMPv6 error.
    Icmp(Icmp),
    /// The whole IP packet as bytes, because it is none of the above or its checksum is wrong.
    Raw(Payload),
}

/// A UDP datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// The data.
    pub payload: Payload,
}

/// An ICMP error (RFC 792, RFC 4443) and the packet it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Which error.
    pub kind: IcmpKind,
    /// The start of the packet that caused it: its IP header and at least 8 bytes.
    pub quote: Payload,
}

/// The ICMP errors, one name for both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpKind {
    /// Network unreachable (v4 3/0; v6 1/0 "no route").
    NetUnreachable,
    /// Host unreachable (v4 3/1; v6 1/3 "address unreachable").
    HostUnreachable,
    /// Protocol unreachable (v4 3/2; v6 4/1 "unrecognized next header").
    ProtocolUnreachable,
    /// Port unreachable (v4 3/3; v6 1/4).
    PortUnreachable,
    /// Administratively prohibited (v4 3/13; v6 1/1).
    AdminProhibited,
    /// Fragmentation needed (v4 3/4) or packet too big (v6 2/0).
    TooBig {
        /// MTU of the next hop.
        mtu: u16,
    },
    /// Time exceeded in transit (v4 11/0; v6 3/0).
    TimeExceeded,
}

impl Packet {
    /// A packet with the usual TTL of 64, no ECN, not to be fragmented.
    pub fn new(src: IpAddr, dst: IpAddr, body: Body) -> Packet {
        debug_assert_eq!(src.is_ipv4(), dst.is_ipv4(), "both addresses are of one family");
        Packet { src, dst, ttl: 64, tos: 0, dont_fragment: true, body }
    }

    /// The segment, if this is TCP.
    pub fn segment(&self) -> Option<&Segment> {
        if let Body::Tcp(segment) = &self.body { Some(segment) } else { None }
    }

    /// Length of the IP header in bytes: 20 or 40.
    pub fn ip_header_len(&self) -> u32 {
        if self.src.is_ipv4() { 20 } else { 40 }
    }

    /// Length of the whole IP packet in bytes.
    pub fn len(&self) -> u32 {
        match &self.body {
            Body::Tcp(segment) => self.ip_header_len() + segment.header_len() + segment.payload.len(),
            Body::Udp(datagram) => self.ip_header_len() + 8 + datagram.payload.len(),
            Body::Icmp(icmp) => self.ip_header_len() + 8 + icmp.quote.len(),
            Body::Raw(bytes) => bytes.len(),
        }
    }

    /// Never: every packet has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// `(source port, destination port)` of TCP and UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.body {
            Body::Tcp(segment) => Some((segment.src_port, segment.dst_port)),
            Body::Udp(datagram) => Some((datagram.src_port, datagram.dst_port)),
            Body::Icmp(_) | Body::Raw(_) => None,
        }
    }
}
