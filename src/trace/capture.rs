//! Whole runs as capture files. Every packet stands in a file once: seen at both ends, it would read as a
//! retransmission.

use super::{Arrived, Capture, CaptureError, NodeId, Sent, Trace, What};
use crate::endpoint::{Arrival, DropReason};
use crate::time::SimTime;
use crate::wire::{Packet, emit};
use std::io::Write;
use std::net::IpAddr;

impl Trace<'_> {
    /// Writes every packet when it is sent, on an interface named after its sender, with its fate and name as comment:
    /// `LOST fault syn, client > server #1`. A packet that is forwarded is sent once more by each endpoint on its way;
    /// one that is changed on its way is written as it was sent.
    pub fn capture<W: Write>(&self, to: W) -> Result<W, CaptureError> {
        let nodes: Vec<&str> = self.names.all_nodes().map(|(_, name)| name).collect();
        let mut capture = Capture::new(to, &nodes, &self.hosts())?;
        for record in self.records {
            if let (What::Sent(sent), Some(node)) = (&record.what, record.node) {
                let comment = format!("{}, {}", sent.fate, self.packet_name(sent));
                write(&mut capture, node.0 as usize, record.at, &sent.packet, &comment)?;
            }
        }
        capture.finish()
    }

    /// Writes what a capture at `node` would show: what it sends, and what arrives there as it arrives. What it sends
    /// to itself is shown once; while it is down, nothing is. The comments name the packets and tell no fates.
    pub fn capture_at<W: Write>(&self, node: NodeId, to: W) -> Result<W, CaptureError> {
        let name = self.names.node(node);
        let mut capture = Capture::new(to, &[name], &self.hosts())?;
        for record in self.records.iter().filter(|record| record.node == Some(node)) {
            match &record.what {
                What::Sent(sent) if self.names.link(sent.link).from == name => {
                    write(&mut capture, 0, record.at, &sent.packet, &self.packet_name(sent))?;
                }
                What::Arrived(arrived) if self.is_seen(arrived) => {
                    let Arrived { link, n, packet, .. } = arrived;
                    write(&mut capture, 0, record.at, packet, &format!("{} #{n}", self.names.link(*link)))?;
                }
                _ => {}
            }
        }
        capture.finish()
    }

    /// Whether a capture where a packet arrives shows it for that.
    fn is_seen(&self, arrived: &Arrived<'_>) -> bool {
        let link = self.names.link(arrived.link);
        link.from != link.to && arrived.outcome != Some(Arrival::Dropped(DropReason::HostDown))
    }

    fn packet_name(&self, sent: &Sent<'_>) -> String {
        format!("{} #{}", self.names.link(sent.link), sent.n)
    }

    /// The names of all addresses that mean the same host everywhere.
    fn hosts(&self) -> Vec<(IpAddr, &str)> {
        self.names.all_addrs().filter(|(addr, _)| !addr.is_loopback()).collect()
    }
}

/// The most that the length field of an IP header can say.
const LONGEST: u32 = 65_535;

fn write<W: Write>(
    capture: &mut Capture<W>,
    interface: usize,
    at: SimTime,
    packet: &Packet,
    comment: &str,
) -> Result<(), CaptureError> {
    // The IPv6 header does not count itself.
    let longest = if packet.src.is_ipv4() { LONGEST } else { LONGEST + packet.ip_header_len() };
    if packet.len() > longest {
        return Err(CaptureError::Size(packet.len() as usize));
    }
    capture.packet(interface, at, &emit(packet), Some(comment))
}

#[cfg(test)]
mod tests {
    use crate::trace::NodeId;
    use crate::trace::sample::Sample;
    use crate::wire::{Body, parse};
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};

    /// Interface, seconds, comment, bytes of each packet of a capture.
    fn read(bytes: &[u8]) -> Vec<(u32, u64, String, Vec<u8>)> {
        let mut reader = PcapNgReader::new(bytes).unwrap();
        let mut found = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap() {
                let comment = match &packet.options[..] {
                    [EnhancedPacketOption::Comment(text)] => text.to_string(),
                    other => panic!("one comment, not {other:?}"),
                };
                let millis = u64::try_from(packet.timestamp.as_millis()).unwrap() - 946_684_800_000;
                found.push((packet.interface_id, millis, comment, packet.data.to_vec()));
            }
        }
        found
    }

    #[test]
    fn the_whole_run_shows_each_packet_once_with_its_fate() {
        let sample = Sample::lost_syn();
        let packets = read(&sample.trace().capture(Vec::new()).unwrap());
        let told: Vec<(u32, u64, &str)> = packets.iter().map(|(i, at, text, _)| (*i, *at, text.as_str())).collect();
        assert_eq!(told.len(), sample.sent());
        assert_eq!(
            told[..3],
            [
                (0, 0, "LOST fault syn, client > server #1"),
                (0, 1000, "20ms, client > server #2"),
                (1, 1020, "20ms, server > client #1")
            ]
        );
        assert!(packets.iter().all(|(_, _, _, bytes)| matches!(parse(bytes).unwrap().body, Body::Tcp(_))));
    }

    #[test]
    fn at_a_host_there_is_what_it_sends_and_what_reaches_it() {
        let sample = Sample::lost_syn();
        let packets = read(&sample.trace().capture_at(NodeId(1), Vec::new()).unwrap());
        let told: Vec<(u64, &str)> = packets.iter().map(|(_, at, text, _)| (*at, text.as_str())).collect();
        assert_eq!(
            told[..3],
            [(1020, "client > server #2"), (1020, "server > client #1"), (1060, "client > server #3")]
        );
    }
}
