use super::flow::Flow;
use crate::wire::Payload;
use std::net::IpAddr;

/// The quote of an ICMP error with other addresses and ports: as if the packet it is about were one of `flow`.
///
/// The IPv4 header's checksum is made new. A transport checksum that the quote may reach is left as it is: nobody can
/// verify it without the rest of the packet.
pub(super) fn requote(quote: &Payload, flow: Flow) -> Payload {
    let mut bytes = quote.to_vec();
    let (src, dst) = (flow.src, flow.dst);
    let (addr_at, header) = if src.is_ipv4() { (12, 20) } else { (8, 40) };
    let mut edits = vec![(header, src.port().to_be_bytes().to_vec()), (header + 2, dst.port().to_be_bytes().to_vec())];
    for (n, ip) in [src.ip(), dst.ip()].into_iter().enumerate() {
        let octets = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        edits.push((addr_at + n * octets.len(), octets));
    }
    for (at, octets) in edits {
        if let Some(place) = bytes.get_mut(at..at + octets.len()) {
            place.copy_from_slice(&octets);
        }
    }
    if src.is_ipv4()
        && let Some(header) = bytes.get_mut(..20)
    {
        header[10..12].fill(0);
        let sum = ones_complement(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    bytes.into()
}

/// The Internet checksum (RFC 1071).
fn ones_complement(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    !u16::try_from((folded & 0xFFFF) + (folded >> 16)).unwrap_or(u16::MAX)
}
