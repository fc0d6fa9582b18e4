//! What an ICMP error quotes of the packet it is about.

use super::codec::{Head, emit};
use super::{Icmp, Packet, Payload, Seq};
use etherparse::ip_number;
use std::net::IpAddr;

/// RFC 792: "internet header + 64 bits of original data datagram".
const QUOTED_BODY_V4: u32 = 8;
/// RFC 4443 2.4 (c): as much as fits into the minimum MTU of 1280, less the IPv6 and ICMPv6 headers of the error.
const QUOTED_V6: u32 = 1280 - 40 - 8;

/// The start of `packet` that an ICMP error about it carries: on IPv4 the header and 8 bytes, on IPv6 all that fits
/// into an error of 1280 bytes.
pub fn quote_of(packet: &Packet) -> Payload {
    let all = Payload::from(emit(packet));
    let len = if packet.src.is_ipv4() { packet.ip_header_len() + QUOTED_BODY_V4 } else { QUOTED_V6 };
    all.slice(0..len.min(all.len()))
}

/// The packet that an ICMP error is about, as far as the quote tells: enough to find its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quoted {
    /// Who sent the packet: the receiver of the error.
    pub src: IpAddr,
    /// Where the packet was to go.
    pub dst: IpAddr,
    /// IP protocol: 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ, if it was TCP.
    pub seq: Option<Seq>,
    /// Length of the data, if it was TCP and the quote is long enough to hold the data offset; RFC 792's 8 bytes are not.
    pub payload_len: Option<u32>,
}

impl Icmp {
    /// Reads the quote; nothing where it is too short, or not of TCP or UDP.
    pub fn quoted(&self) -> Option<Quoted> {
        let head = Head::read(&self.quote).ok()?;
        let body = self.quote.get(head.len..)?;
        let first: [u8; 8] = body.get(..8)?.try_into().ok()?;
        let [a, b, c, d, seq @ ..] = first;
        let tcp = head.protocol == ip_number::TCP;
        if !tcp && head.protocol != ip_number::UDP {
            return None;
        }
        let header_len = body.get(12).map(|offset| usize::from(offset >> 4) * 4);
        let payload_len = header_len.and_then(|len| u32::try_from(head.total.checked_sub(head.len + len)?).ok());
        Some(Quoted {
            src: head.src,
            dst: head.dst,
            protocol: head.protocol.0,
            src_port: u16::from_be_bytes([a, b]),
            dst_port: u16::from_be_bytes([c, d]),
            seq: tcp.then(|| Seq(u32::from_be_bytes(seq))),
            payload_len: payload_len.filter(|_| tcp),
        })
    }
}
