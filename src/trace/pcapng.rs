//! Capture files in pcapng, for Wireshark and tshark: raw IP packets, nanoseconds, hosts by name, fates as comments.

use crate::time::SimTime;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::name_resolution::{Ipv4Record, Ipv6Record, NameResolutionBlock, Record};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

/// Where virtual time starts in the file: 2000-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(946_684_800);
/// The `if_tsresol` of nanoseconds: 10^-9.
const NANOSECONDS: u8 = 9;
/// The longest option of a pcapng block: its length field has 16 bits.
const OPTION_MAX: usize = 65_535;

/// A capture file being written. The bytes depend on the arguments alone, not on the machine.
///
/// Names of interfaces, names of hosts and comments are cut at 65,535 bytes, which is what the format can say;
/// a host's name is cut at a NUL, which ends it there.
pub struct Capture<W: Write> {
    writer: PcapNgWriter<W>,
    interfaces: usize,
}

impl<W: Write> Capture<W> {
    /// Starts the file: its header, one description an interface, and the names of the addresses.
    pub fn new(
        writer: W,
        interfaces: &[impl AsRef<str>],
        hosts: &[(IpAddr, impl AsRef<str>)],
    ) -> Result<Capture<W>, CaptureError> {
        let section = SectionHeaderBlock {
            // Not the machine's own: the same run gives the same file everywhere.
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication("wirefate".into())],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(writer, section)?;
        for name in interfaces {
            // LINKTYPE_RAW, 101: packets start at their IP header. Snap length 0: packets are whole.
            let mut block = InterfaceDescriptionBlock::new(DataLink::RAW, 0);
            block.options.push(InterfaceDescriptionOption::IfName(fitting(name.as_ref()).into()));
            block.options.push(InterfaceDescriptionOption::IfTsResol(NANOSECONDS));
            writer.write_pcapng_block(block)?;
        }
        let records: Vec<Record<'_>> = hosts.iter().filter_map(|(addr, name)| record(*addr, name.as_ref())).collect();
        if !records.is_empty() {
            writer.write_pcapng_block(NameResolutionBlock { records, options: Vec::new() })?;
        }
        Ok(Capture { writer, interfaces: interfaces.len() })
    }

    /// Writes one packet, `bytes` from its IP header on, seen on the interface at this place of the list at time `at`.
    pub fn packet(
        &mut self,
        interface: usize,
        at: SimTime,
        bytes: &[u8],
        comment: Option<&str>,
    ) -> Result<(), CaptureError> {
        let unknown = CaptureError::Interface { number: interface, count: self.interfaces };
        let interface_id = u32::try_from(interface).ok().filter(|_| interface < self.interfaces).ok_or(unknown)?;
        let original_len = u32::try_from(bytes.len()).map_err(|_| CaptureError::Size(bytes.len()))?;
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: timestamp(at),
            original_len,
            data: bytes.into(),
            options: comment.map(|text| EnhancedPacketOption::Comment(fitting(text).into())).into_iter().collect(),
        };
        self.writer.write_pcapng_block(block)?;
        Ok(())
    }

    /// Flushes the writer and gives it back.
    pub fn finish(self) -> Result<W, CaptureError> {
        let mut writer = self.writer.into_inner();
        writer.flush().map_err(CaptureError::Io)?;
        Ok(writer)
    }
}

/// Why a capture file cannot be written.
#[derive(Debug)]
pub enum CaptureError {
    /// The writer failed.
    Io(io::Error),
    /// There is no interface of this number.
    Interface {
        /// The number.
        number: usize,
        /// How many there are, from 0.
        count: usize,
    },
    /// A packet of this many bytes is larger than the format can say.
    Size(usize),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureError::Io(error) => write!(f, "writing the capture failed: {error}"),
            CaptureError::Interface { number, count } => {
                write!(f, "the capture has no interface {number}; there are {count}, from 0")
            }
            CaptureError::Size(len) => write!(f, "a packet of {len} bytes is too large for a capture"),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let CaptureError::Io(error) = self { Some(error) } else { None }
    }
}

impl From<PcapError> for CaptureError {
    fn from(error: PcapError) -> CaptureError {
        match error {
            PcapError::IoError(error) => CaptureError::Io(error),
            // The others are of reading, or of an interface number, which `packet` has checked.
            other => CaptureError::Io(io::Error::other(other)),
        }
    }
}

/// The time as the file has it; the last that its 64 bits of nanoseconds hold, in July 2554, for all that are later.
fn timestamp(at: SimTime) -> Duration {
    (EPOCH + Duration::from_nanos(at.as_nanos())).min(Duration::from_nanos(u64::MAX))
}

/// What a record can hold of a host's name; nothing where that is nothing, for readers take such a record for an error.
fn record(addr: IpAddr, name: &str) -> Option<Record<'_>> {
    let name = name.split('\0').next().unwrap_or_default();
    // The record's length counts the address and the NUL behind the name as well.
    let name = cut(name, OPTION_MAX - 17);
    let names = vec![name.into()];
    (!name.is_empty()).then(|| match addr {
        IpAddr::V4(addr) => Record::Ipv4(Ipv4Record { ip_addr: addr.octets().to_vec().into(), names }),
        IpAddr::V6(addr) => Record::Ipv6(Ipv6Record { ip_addr: addr.octets().to_vec().into(), names }),
    })
}

fn fitting(text: &str) -> &str {
    cut(text, OPTION_MAX)
}

/// The longest start of `text` that takes at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ns, secs};
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn the_file_reads_back() {
        let hosts = [("10.0.0.1".parse().unwrap(), "client"), ("fd00::2".parse().unwrap(), "server")];
        let mut capture = Capture::new(Vec::new(), &["client/eth0", "server/eth0"], &hosts).unwrap();
        let at = SimTime::ZERO + secs(1) + ns(7);
        capture.packet(1, at, &[0x45, 1, 2], Some("lost: fault syn")).unwrap();
        capture.packet(0, SimTime::NEVER, &[0x60], None).unwrap();
        let bytes = capture.finish().unwrap();
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        let mut packets = Vec::new();
        let mut names = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap().into_owned() {
                Block::EnhancedPacket(packet) => packets.push(packet),
                Block::InterfaceDescription(interface) => names.push(interface.options[0].clone()),
                Block::NameResolution(block) => assert_eq!(block.records.len(), 2),
                other => panic!("unexpected block {other:?}"),
            }
        }
        assert_eq!(
            names,
            ["client/eth0", "server/eth0"].map(|name| InterfaceDescriptionOption::IfName(name.to_owned().into()))
        );
        assert_eq!((packets[0].interface_id, &packets[0].data[..], packets.len()), (1, &[0x45, 1, 2][..], 2));
        assert_eq!(packets[0].timestamp, Duration::new(946_684_801, 7));
        assert_eq!(packets[0].options, [EnhancedPacketOption::Comment("lost: fault syn".into())]);
        assert_eq!((packets[1].timestamp, packets[1].options.len()), (Duration::from_nanos(u64::MAX), 0));
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        let mut capture = Capture::new(Vec::new(), &["a"], &[] as &[(IpAddr, &str)]).unwrap();
        let error = capture.packet(1, SimTime::ZERO, &[], None).unwrap_err();
        assert_eq!(error.to_string(), "the capture has no interface 1; there are 1, from 0");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!((cut("añb", 2), cut("añb", 3), cut("añb", 9)), ("a", "añ", "añb"));
        let long = "é".repeat(40_000);
        let mut capture = Capture::new(Vec::new(), &[&long], &[("::1".parse::<IpAddr>().unwrap(), &long)]).unwrap();
        capture.packet(0, SimTime::ZERO, &[], Some(&long)).unwrap();
        let bytes = capture.finish().unwrap();
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        let mut blocks = 0;
        while let Some(block) = reader.next_block() {
            block.unwrap();
            blocks += 1;
        }
        assert_eq!(blocks, 3);
    }
}
