//! Packets to bytes and back. Bytes are made only at edges: capture files, foreign stacks, corruption.

use super::{Body, Datagram, Flags, Icmp, IcmpKind, Options, Packet, Payload, Segment, Seq};
use etherparse::checksum::Sum16BitWords;
use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6Header, UdpHeader, ip_number};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bytes of `packet`, all checksums valid.
///
/// `parse(&emit(&p)) == Ok(p)` for every packet of TCP, UDP or ICMP whose option bytes are a multiple of four long
/// (see [`Options::padded`]) and which, on IPv6, has `dont_fragment` set; [`Body::Raw`] is never
/// the result of [`parse`]. Other options come back with the zeros (end-of-list) that the header needed.
///
/// A [`Packet`] does not keep everything that bytes can hold. What it drops, [`emit`] writes as zero: the IPv4
/// identification (RFC 6864 4.1: an atomic datagram needs none) and reserved bit, the IPv6 flow label, the reserved
/// bits of TCP, the unused fields of ICMP, and bytes behind the IP length. A missing UDP checksum is filled in.
///
/// # Panics
/// See [`emit_into`].
pub fn emit(packet: &Packet) -> Vec<u8> {
    let mut out = Vec::with_capacity(packet.len() as usize);
    emit_into(packet, &mut out);
    out
}

/// Appends the bytes of `packet` to `out`.
///
/// # Panics
/// If the two addresses are of different families, or if the packet is larger than its IP length field can say:
/// 65535 bytes, header included for IPv4 and excluded for IPv6.
pub fn emit_into(packet: &Packet, out: &mut Vec<u8>) {
    let v4 = packet.src.is_ipv4();
    let protocol = match &packet.body {
        Body::Tcp(_) => ip_number::TCP,
        Body::Udp(_) => ip_number::UDP,
        Body::Icmp(_) if v4 => ip_number::ICMP,
        Body::Icmp(_) => ip_number::IPV6_ICMP,
        Body::Raw(bytes) => return out.extend_from_slice(bytes),
    };
    let body_len = packet.len() - packet.ip_header_len();
    push_ip_header(packet, protocol, body_len, out);
    let start = out.len();
    match &packet.body {
        Body::Tcp(segment) => push_segment(segment, out),
        Body::Udp(datagram) => push_datagram(datagram, body_len, out),
        Body::Icmp(icmp) => push_icmp(icmp, v4, out),
        Body::Raw(_) => unreachable!("raw bytes have no header of ours"),
    }
    let sum = pseudo_header(packet.src, packet.dst, protocol, body_len).add_slice(&out[start..]);
    let checksum = match protocol {
        // RFC 768: a computed zero is sent as all ones, for zero means "no checksum".
        ip_number::UDP => sum.to_ones_complement_with_no_zero(),
        _ => sum.ones_complement(),
    };
    let at = start + checksum_place(protocol);
    out[at..at + 2].copy_from_slice(&checksum.to_be().to_be_bytes());
}

/// The packet in `bytes`, which start at its IP header. Every checksum is verified, so a bit flipped in flight is an
/// error here, as it is a silent drop in a real host.
pub fn parse(bytes: &[u8]) -> Result<Packet, ParseError> {
    let head = Head::read(bytes)?;
    head.verify(bytes)?;
    let body = &bytes[head.len..head.total];
    let (v4, layer) = (head.src.is_ipv4(), head.layer_above()?);
    let body = match layer {
        Layer::Tcp => Body::Tcp(parse_segment(&head, body)?),
        Layer::Udp => Body::Udp(parse_datagram(&head, body)?),
        _ => Body::Icmp(parse_icmp(&head, layer, body, v4)?),
    };
    Ok(head.packet(body))
}

/// The packet in `bytes` as [`Body::Raw`], under the addresses of its IP header: what a foreign stack sent that
/// [`parse`] refuses can still travel.
pub fn parse_raw(bytes: &[u8]) -> Result<Packet, ParseError> {
    Ok(Head::read(bytes)?.packet(Body::Raw(bytes.into())))
}

/// Why bytes are no packet that wirefate understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The IP version is neither 4 nor 6.
    Version(u8),
    /// Fewer bytes than the header, or the length in it, asks for.
    Truncated {
        /// Whose header or length.
        layer: Layer,
        /// Bytes it asks for.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A length field says less than the header itself takes.
    HeaderLength {
        /// Whose field.
        layer: Layer,
        /// Bytes it says.
        said: usize,
        /// The least it may say.
        least: usize,
    },
    /// A checksum is wrong.
    Checksum {
        /// Whose checksum.
        layer: Layer,
        /// The one in the packet.
        found: u16,
        /// The one its bytes have.
        computed: u16,
    },
    /// The IPv4 header carries this many bytes of options, which are not modelled.
    Options(usize),
    /// A fragment; wirefate does not reassemble.
    Fragment {
        /// Where it starts in the whole, in bytes.
        offset: u32,
        /// Whether more follow.
        more: bool,
    },
    /// An IPv6 extension header, which is not modelled.
    Extension(u8),
    /// An IP protocol other than TCP, UDP and ICMP.
    Protocol(u8),
    /// An ICMP message that is none of the modelled errors.
    IcmpMessage {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// A header that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// ICMPv6.
    Icmpv6,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Layer::Ipv4 => "IPv4",
            Layer::Ipv6 => "IPv6",
            Layer::Tcp => "TCP",
            Layer::Udp => "UDP",
            Layer::Icmp => "ICMP",
            Layer::Icmpv6 => "ICMPv6",
        })
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Version(found) => write!(f, "IP version {found}, not 4 or 6"),
            ParseError::Truncated { layer, needed, got } => write!(f, "{layer} needs {needed} bytes, there are {got}"),
            ParseError::HeaderLength { layer, said, least } => {
                write!(f, "{layer} length field says {said} bytes, the least is {least}")
            }
            ParseError::Checksum { layer, found, computed } => {
                write!(f, "{layer} checksum is {found:#06x}, its bytes give {computed:#06x}")
            }
            ParseError::Options(len) => write!(f, "{len} bytes of IPv4 options, which are not modelled"),
            ParseError::Fragment { offset, more } => {
                write!(f, "{} fragment at byte {offset}; there is no reassembly", if *more { "a" } else { "the last" })
            }
            ParseError::Extension(number) => write!(f, "IPv6 extension header {number}, which is not modelled"),
            ParseError::Protocol(number) => write!(f, "IP protocol {number}, not TCP, UDP or ICMP"),
            ParseError::IcmpMessage { kind, code } => write!(f, "ICMP type {kind} code {code}, not a modelled error"),
        }
    }
}

impl std::error::Error for ParseError {}

/// What an IP header says.
pub(super) struct Head {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    ttl: u8,
    tos: u8,
    dont_fragment: bool,
    pub(super) protocol: IpNumber,
    /// Length of the header.
    pub(super) len: usize,
    /// Length of the packet, as the header says.
    pub(super) total: usize,
    /// Fragment offset in bytes, and whether more fragments follow.
    fragment: (u32, bool),
}

impl Head {
    /// Reads the header; checks only that it is one.
    pub(super) fn read(bytes: &[u8]) -> Result<Head, ParseError> {
        match bytes.first().map(|b| b >> 4) {
            Some(4) => Head::read_v4(bytes),
            Some(6) => Head::read_v6(bytes),
            Some(version) => Err(ParseError::Version(version)),
            None => Err(truncated(Layer::Ipv4, Ipv4Header::MIN_LEN, 0)),
        }
    }

    fn read_v4(bytes: &[u8]) -> Result<Head, ParseError> {
        let said = usize::from(bytes[0] & 0xF) * 4;
        if said < Ipv4Header::MIN_LEN {
            return Err(ParseError::HeaderLength { layer: Layer::Ipv4, said, least: Ipv4Header::MIN_LEN });
        }
        let (ip, _) = Ipv4Header::from_slice(bytes).map_err(|_| truncated(Layer::Ipv4, said, bytes.len()))?;
        Ok(Head {
            src: Ipv4Addr::from(ip.source).into(),
            dst: Ipv4Addr::from(ip.destination).into(),
            ttl: ip.time_to_live,
            tos: bytes[1],
            dont_fragment: ip.dont_fragment,
            protocol: ip.protocol,
            len: said,
            total: ip.total_len.into(),
            fragment: (u32::from(ip.fragment_offset.value()) * 8, ip.more_fragments),
        })
    }

    fn read_v6(bytes: &[u8]) -> Result<Head, ParseError> {
        let (ip, _) =
            Ipv6Header::from_slice(bytes).map_err(|_| truncated(Layer::Ipv6, Ipv6Header::LEN, bytes.len()))?;
        Ok(Head {
            src: Ipv6Addr::from(ip.source).into(),
            dst: Ipv6Addr::from(ip.destination).into(),
            ttl: ip.hop_limit,
            tos: ip.traffic_class,
            dont_fragment: true,
            protocol: ip.next_header,
            len: Ipv6Header::LEN,
            total: Ipv6Header::LEN + usize::from(ip.payload_length),
            fragment: (0, false),
        })
    }

    /// Checks what makes the header one that we take: its checksum, its length, nothing unmodelled in it.
    fn verify(&self, bytes: &[u8]) -> Result<(), ParseError> {
        let v4 = self.src.is_ipv4();
        let layer = if v4 { Layer::Ipv4 } else { Layer::Ipv6 };
        if v4 {
            check(layer, Sum16BitWords::new(), &bytes[..self.len], 10)?;
        }
        if self.total < self.len {
            return Err(ParseError::HeaderLength { layer, said: self.total, least: self.len });
        }
        if self.total > bytes.len() {
            return Err(truncated(layer, self.total, bytes.len()));
        }
        if self.len > self.packet_header_len() {
            return Err(ParseError::Options(self.len - self.packet_header_len()));
        }
        match self.fragment {
            (0, false) => Ok(()),
            (offset, more) => Err(ParseError::Fragment { offset, more }),
        }
    }

    fn layer_above(&self) -> Result<Layer, ParseError> {
        match (self.protocol, self.src.is_ipv4()) {
            (ip_number::TCP, _) => Ok(Layer::Tcp),
            (ip_number::UDP, _) => Ok(Layer::Udp),
            (ip_number::ICMP, true) => Ok(Layer::Icmp),
            (ip_number::IPV6_ICMP, false) => Ok(Layer::Icmpv6),
            (other, false) if other.is_ipv6_ext_header_value() => Err(ParseError::Extension(other.0)),
            (other, _) => Err(ParseError::Protocol(other.0)),
        }
    }

    fn packet_header_len(&self) -> usize {
        if self.src.is_ipv4() { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN }
    }

    fn packet(&self, body: Body) -> Packet {
        let &Head { src, dst, ttl, tos, dont_fragment, .. } = self;
        Packet { src, dst, ttl, tos, dont_fragment, body }
    }

    /// The sum to start from for a body of `len` bytes.
    fn pseudo_header(&self, len: usize) -> Sum16BitWords {
        pseudo_header(self.src, self.dst, self.protocol, u32::try_from(len).unwrap_or(u32::MAX))
    }
}

fn push_ip_header(packet: &Packet, protocol: IpNumber, body_len: u32, out: &mut Vec<u8>) {
    let fits = |len: u32| u16::try_from(len).expect("an IP packet is no larger than its 16-bit length field can say");
    match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = Ipv4Header {
                dscp: IpDscp::try_new(packet.tos >> 2).expect("six bits"),
                ecn: IpEcn::try_new(packet.tos & 3).expect("two bits"),
                total_len: fits(packet.ip_header_len() + body_len),
                dont_fragment: packet.dont_fragment,
                time_to_live: packet.ttl,
                protocol,
                source: src.octets(),
                destination: dst.octets(),
                ..Ipv4Header::default()
            };
            header.header_checksum = header.calc_header_checksum();
            out.extend_from_slice(&header.to_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = Ipv6Header {
                traffic_class: packet.tos,
                payload_length: fits(body_len),
                next_header: protocol,
                hop_limit: packet.ttl,
                source: src.octets(),
                destination: dst.octets(),
                ..Ipv6Header::default()
            };
            out.extend_from_slice(&header.to_bytes());
        }
        (src, dst) => panic!("{src} and {dst} are of different families"),
    }
}

/// RFC 9293 3.1.
fn push_segment(segment: &Segment, out: &mut Vec<u8>) {
    out.extend_from_slice(&segment.src_port.to_be_bytes());
    out.extend_from_slice(&segment.dst_port.to_be_bytes());
    out.extend_from_slice(&segment.seq.0.to_be_bytes());
    out.extend_from_slice(&segment.ack.0.to_be_bytes());
    let options = segment.options.padded();
    let words = u16::try_from(segment.header_len() / 4).expect("at most 15 words");
    let offset_and_flags = words << 12 | (segment.flags & Flags::all()).bits();
    out.extend_from_slice(&offset_and_flags.to_be_bytes());
    out.extend_from_slice(&segment.window.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&segment.urgent.to_be_bytes());
    out.extend_from_slice(options.as_bytes());
    out.extend_from_slice(&segment.payload);
}

fn parse_segment(head: &Head, bytes: &[u8]) -> Result<Segment, ParseError> {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let long = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    at_least(Layer::Tcp, 20, bytes)?;
    let said = usize::from(bytes[12] >> 4) * 4;
    if said < 20 {
        return Err(ParseError::HeaderLength { layer: Layer::Tcp, said, least: 20 });
    }
    at_least(Layer::Tcp, said, bytes)?;
    check(Layer::Tcp, head.pseudo_header(bytes.len()), bytes, checksum_place(ip_number::TCP))?;
    Ok(Segment {
        src_port: word(0),
        dst_port: word(2),
        seq: Seq(long(4)),
        ack: Seq(long(8)),
        // RFC 9293 3.1: the reserved bits are ignored where the future feature is not implemented.
        flags: Flags::from_bits_truncate(word(12)),
        window: word(14),
        urgent: word(18),
        options: Options::from_bytes(&bytes[20..said]).expect("four bits of data offset leave at most 40 bytes"),
        payload: bytes[said..].into(),
    })
}

fn push_datagram(datagram: &Datagram, len: u32, out: &mut Vec<u8>) {
    let header = UdpHeader {
        source_port: datagram.src_port,
        destination_port: datagram.dst_port,
        length: u16::try_from(len).expect("the IP header has said that it fits"),
        checksum: 0,
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(&datagram.payload);
}

fn parse_datagram(head: &Head, bytes: &[u8]) -> Result<Datagram, ParseError> {
    let (header, _) = UdpHeader::from_slice(bytes).map_err(|_| truncated(Layer::Udp, UdpHeader::LEN, bytes.len()))?;
    let said = usize::from(header.length);
    if said < UdpHeader::LEN {
        return Err(ParseError::HeaderLength { layer: Layer::Udp, said, least: UdpHeader::LEN });
    }
    at_least(Layer::Udp, said, bytes)?;
    // RFC 768: zero is "no checksum"; RFC 8200 8.1: on IPv6 there must be one.
    if header.checksum != 0 || head.src.is_ipv6() {
        check(Layer::Udp, head.pseudo_header(said), &bytes[..said], checksum_place(ip_number::UDP))?;
    }
    Ok(Datagram {
        src_port: header.source_port,
        dst_port: header.destination_port,
        payload: bytes[UdpHeader::LEN..said].into(),
    })
}

/// Type and code of the errors that have no parameter: in ICMP (RFC 792, RFC 1812 5.2.7.1), in ICMPv6 (RFC 4443).
const ICMP_ERRORS: [(IcmpKind, [u8; 2], [u8; 2]); 6] = [
    (IcmpKind::NetUnreachable, [3, 0], [1, 0]),
    (IcmpKind::HostUnreachable, [3, 1], [1, 3]),
    (IcmpKind::ProtocolUnreachable, [3, 2], [4, 1]),
    (IcmpKind::PortUnreachable, [3, 3], [1, 4]),
    (IcmpKind::AdminProhibited, [3, 13], [1, 1]),
    (IcmpKind::TimeExceeded, [11, 0], [3, 0]),
];
/// Type and code of "fragmentation needed" (RFC 1191 4) and of "packet too big" (RFC 4443 3.2).
const TOO_BIG: ([u8; 2], [u8; 2]) = ([3, 4], [2, 0]);

fn push_icmp(icmp: &Icmp, v4: bool, out: &mut Vec<u8>) {
    let named = ICMP_ERRORS.iter().find(|(kind, ..)| *kind == icmp.kind).map_or(TOO_BIG, |&(_, a, b)| (a, b));
    let rest: u32 = match icmp.kind {
        IcmpKind::TooBig { mtu } => mtu.into(),
        // RFC 4443 3.4: the pointer leads to the field at fault, the next header in byte 6 of the quoted header.
        IcmpKind::ProtocolUnreachable if !v4 => 6,
        _ => 0,
    };
    out.extend_from_slice(if v4 { &named.0 } else { &named.1 });
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&rest.to_be_bytes());
    out.extend_from_slice(&icmp.quote);
}

fn parse_icmp(head: &Head, layer: Layer, bytes: &[u8], v4: bool) -> Result<Icmp, ParseError> {
    at_least(layer, 8, bytes)?;
    check(layer, head.pseudo_header(bytes.len()), bytes, checksum_place(head.protocol))?;
    let found = [bytes[0], bytes[1]];
    let kind = if found == if v4 { TOO_BIG.0 } else { TOO_BIG.1 } {
        // ICMPv6 has 32 bits for the MTU; no link here is that large.
        let wide = !v4 && bytes[4..6] != [0, 0];
        IcmpKind::TooBig { mtu: if wide { u16::MAX } else { u16::from_be_bytes([bytes[6], bytes[7]]) } }
    } else {
        let named = ICMP_ERRORS.iter().find(|(_, in_v4, in_v6)| found == if v4 { *in_v4 } else { *in_v6 });
        named.ok_or(ParseError::IcmpMessage { kind: found[0], code: found[1] })?.0
    };
    Ok(Icmp { kind, quote: Payload::from(&bytes[8..]) })
}

/// Where in its header a protocol keeps its checksum.
fn checksum_place(protocol: IpNumber) -> usize {
    match protocol {
        ip_number::TCP => 16,
        ip_number::UDP => 6,
        _ => 2,
    }
}

/// RFC 9293 3.1 and RFC 8200 8.1; ICMP of IPv4 has none.
fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: IpNumber, len: u32) -> Sum16BitWords {
    let sum = Sum16BitWords::new();
    let mut sum = match (src, dst) {
        _ if protocol == ip_number::ICMP => return sum,
        (IpAddr::V4(src), IpAddr::V4(dst)) => sum.add_slice(&src.octets()).add_slice(&dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => sum.add_slice(&src.octets()).add_slice(&dst.octets()),
        (src, dst) => panic!("{src} and {dst} are of different families"),
    };
    sum.add_4bytes(len.to_be_bytes()).add_2bytes([0, protocol.0])
}

/// Whether the checksum at `place` of `bytes` is right, given the sum of what comes before them.
fn check(layer: Layer, before: Sum16BitWords, bytes: &[u8], place: usize) -> Result<(), ParseError> {
    // RFC 1071 1: the sum over everything, checksum included, is all ones. All ones and zero both stand for zero.
    if before.clone().add_slice(bytes).ones_complement() == 0 {
        return Ok(());
    }
    let computed = before.add_slice(&bytes[..place]).add_slice(&bytes[place + 2..]).ones_complement().to_be();
    Err(ParseError::Checksum { layer, found: u16::from_be_bytes([bytes[place], bytes[place + 1]]), computed })
}

fn at_least(layer: Layer, needed: usize, bytes: &[u8]) -> Result<(), ParseError> {
    if bytes.len() < needed { Err(truncated(layer, needed, bytes.len())) } else { Ok(()) }
}

fn truncated(layer: Layer, needed: usize, got: usize) -> ParseError {
    ParseError::Truncated { layer, needed, got }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: Body) -> Packet {
        Packet::new([192, 168, 0, 1].into(), [192, 168, 0, 199].into(), body)
    }

    fn v6(body: Body) -> Packet {
        let addr = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into();
        Packet::new(addr(1), addr(2), body)
    }

    /// `emit(packet)` with one byte changed and the IPv4 checksum made right again.
    fn refused(packet: &Packet, at: usize, byte: u8) -> ParseError {
        let mut bytes = emit(packet);
        bytes[at] = byte;
        if packet.src.is_ipv4() && at < 20 {
            bytes[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(&bytes[..usize::from(bytes[0] & 0xF) * 4]);
            bytes[10..12].copy_from_slice(&sum.ones_complement().to_be().to_be_bytes());
        }
        parse(&bytes).unwrap_err()
    }

    #[test]
    fn headers_are_as_the_rfcs_draw_them() {
        let mut segment = Segment { src_port: 0x1234, dst_port: 80, seq: Seq(1), ack: Seq(2), ..Segment::default() };
        (segment.flags, segment.window, segment.urgent) = (Flags::AE | Flags::ACK | Flags::URG, 502, 3);
        segment.options.push(super::super::TcpOption::SackPermitted).unwrap();
        segment.payload = "hi".into();
        let bytes = emit(&packet(Body::Tcp(segment)));
        assert_eq!(bytes[..10], [0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6]);
        let tcp = [0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x61, 0x30, 0x01, 0xF6];
        assert_eq!(bytes[20..36], tcp);
        assert_eq!(bytes[38..], [0, 3, 4, 2, 0, 0, b'h', b'i']);
        // The header checksum of a UDP packet of 115 bytes between these hosts, as widely published.
        let datagram = Datagram { payload: vec![0; 87].into(), ..Datagram::default() };
        assert_eq!(emit(&packet(Body::Udp(datagram)))[10..12], [0xB8, 0x61]);
        let kind = IcmpKind::TooBig { mtu: 1400 };
        let bytes = emit(&packet(Body::Icmp(Icmp { kind, quote: Payload::EMPTY })));
        assert_eq!(bytes[20..], [3, 4, 0xF7, 0x83, 0, 0, 5, 0x78]);
        let bytes = emit(&v6(Body::Icmp(Icmp { kind: IcmpKind::ProtocolUnreachable, quote: Payload::EMPTY })));
        assert_eq!((&bytes[40..42], &bytes[44..]), (&[4, 1][..], &[0, 0, 0, 6][..]));
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let tcp = packet(Body::Tcp(Segment::default()));
        let udp = packet(Body::Udp(Datagram::default()));
        let icmp = packet(Body::Icmp(Icmp { kind: IcmpKind::TimeExceeded, quote: Payload::EMPTY }));
        let length = |layer, said, least| ParseError::HeaderLength { layer, said, least };
        assert_eq!(parse(&[]), Err(truncated(Layer::Ipv4, 20, 0)));
        assert_eq!(parse(&emit(&tcp)[..39]), Err(truncated(Layer::Ipv4, 40, 39)));
        assert_eq!(parse(&emit(&v6(tcp.body.clone()))[..39]), Err(truncated(Layer::Ipv6, 40, 39)));
        assert_eq!(refused(&tcp, 0, 0x55), ParseError::Version(5));
        assert_eq!(parse(&[0x44; 40]), Err(length(Layer::Ipv4, 16, 20)));
        assert_eq!(refused(&tcp, 3, 19), length(Layer::Ipv4, 19, 20));
        assert_eq!(refused(&tcp, 0, 0x46), ParseError::Options(4));
        assert_eq!(refused(&tcp, 6, 0x20), ParseError::Fragment { offset: 0, more: true });
        assert_eq!(refused(&tcp, 7, 2), ParseError::Fragment { offset: 16, more: false });
        assert_eq!(refused(&tcp, 9, 47), ParseError::Protocol(47));
        assert_eq!(refused(&v6(tcp.body.clone()), 6, 44), ParseError::Extension(44));
        assert_eq!(refused(&v6(icmp.body.clone()), 6, 1), ParseError::Protocol(1));
        assert_eq!(refused(&tcp, 3, 39), truncated(Layer::Tcp, 20, 19));
        assert_eq!(refused(&tcp, 32, 0x40), length(Layer::Tcp, 16, 20));
        assert_eq!(refused(&tcp, 32, 0x60), truncated(Layer::Tcp, 24, 20));
        assert_eq!(refused(&udp, 25, 7), length(Layer::Udp, 7, 8));
        assert_eq!(refused(&udp, 25, 9), truncated(Layer::Udp, 9, 8));
        let error = refused(&tcp, 21, 1);
        assert!(matches!(error, ParseError::Checksum { layer: Layer::Tcp, .. }), "{error}");
        let mut echo = emit(&icmp);
        echo[20..24].copy_from_slice(&[8, 0, 0xF7, 0xFF]);
        assert_eq!(parse(&echo), Err(ParseError::IcmpMessage { kind: 8, code: 0 }));
    }

    #[test]
    fn a_missing_udp_checksum_is_for_ipv4_alone() {
        let body = Body::Udp(Datagram { src_port: 1, dst_port: 2, payload: "data".into() });
        for (packet, at) in [(packet(body.clone()), 26), (v6(body), 46)] {
            let mut bytes = emit(&packet);
            bytes[at..at + 2].fill(0);
            match parse(&bytes) {
                Ok(read) => assert_eq!((read.src.is_ipv4(), read), (true, packet)),
                Err(error) => assert!(packet.src.is_ipv6(), "{error}"),
            }
        }
    }
}
