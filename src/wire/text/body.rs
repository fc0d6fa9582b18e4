//! What a packet carries, as text.

use super::TextError;
use super::reader::Reader;
use super::segment::{Notation, SegmentText, print_range, read_range};
use crate::wire::{Body, Icmp, IcmpKind};
use std::fmt;
use std::str::FromStr;

/// The text of a packet, taken apart. `Display` prints it, `FromStr` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyText {
    /// `P. 1:6(5) ack 1 win 502`
    Tcp(SegmentText),
    /// `udp (100)`
    Udp {
        /// Length of the data.
        len: u32,
    },
    /// `icmp frag_needed mtu 1400 [1:1461(1460)]`
    Icmp(IcmpText),
    /// `raw (40)`
    Raw {
        /// Length of the packet.
        len: u32,
    },
}

/// The text of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpText {
    /// Which error.
    pub kind: IcmpKind,
    /// The segment it is about, if it was one of TCP.
    pub quote: Option<QuoteText>,
}

/// The segment that an ICMP error is about: `[1:1461(1460)]`, or `[1]` where the quote is too short to tell the length
/// (RFC 792's 8 bytes are).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteText {
    /// Its sequence number, relative to [`Notation::ack_base`]: the receiver of the error sent it.
    pub start: u32,
    /// Length of its data.
    pub len: Option<u32>,
}

/// The errors by their names in packetdrill; one name for both IP versions. The MTU of the last is a number behind it.
const NAMES: [(&str, IcmpKind); 7] = [
    ("net_unreachable", IcmpKind::NetUnreachable),
    ("host_unreachable", IcmpKind::HostUnreachable),
    ("protocol_unreachable", IcmpKind::ProtocolUnreachable),
    ("port_unreachable", IcmpKind::PortUnreachable),
    ("admin_prohibited", IcmpKind::AdminProhibited),
    ("time_exceeded", IcmpKind::TimeExceeded),
    ("frag_needed", IcmpKind::TooBig { mtu: 0 }),
];

impl BodyText {
    /// What `notation` shows of `body`.
    pub fn of(body: &Body, notation: Notation) -> BodyText {
        match body {
            Body::Tcp(segment) => BodyText::Tcp(SegmentText::of(segment, notation)),
            Body::Udp(datagram) => BodyText::Udp { len: datagram.payload.len() },
            Body::Icmp(icmp) => BodyText::Icmp(IcmpText::of(icmp, notation)),
            Body::Raw(bytes) => BodyText::Raw { len: bytes.len() },
        }
    }
}

impl IcmpText {
    /// What `notation` shows of `icmp`.
    pub fn of(icmp: &Icmp, notation: Notation) -> IcmpText {
        let quote = icmp.quoted().and_then(|quoted| {
            Some(QuoteText { start: quoted.seq?.since(notation.ack_base), len: quoted.payload_len })
        });
        IcmpText { kind: icmp.kind, quote }
    }

    fn read(reader: &mut Reader<'_>) -> Result<IcmpText, TextError> {
        let name = reader.peek_word();
        let Some((_, mut kind)) = NAMES.into_iter().find(|(known, _)| *known == name) else {
            return Err(reader.unexpected(
                "an ICMP error: net_, host_, protocol_ or port_unreachable, admin_prohibited, time_exceeded, frag_needed",
            ));
        };
        reader.take(name);
        if let IcmpKind::TooBig { mtu } = &mut kind {
            reader.expect_word("mtu", "`mtu` behind `frag_needed`")?;
            *mtu = reader.number_16("the MTU of the next hop")?;
        }
        reader.skip_spaces();
        let quote = if reader.take("[") { Some(QuoteText::read(reader)?) } else { None };
        Ok(IcmpText { kind, quote })
    }
}

impl QuoteText {
    /// Reads what follows the `[`.
    fn read(reader: &mut Reader<'_>) -> Result<QuoteText, TextError> {
        let mut ahead = reader.clone();
        let start = ahead.number(u32::MAX, "a sequence number, as in `[1]` or `[1:6(5)]`")?;
        ahead.skip_spaces();
        let quote = if ahead.peek() == Some(':') {
            let (start, len) = read_range(reader)?;
            QuoteText { start, len: Some(len) }
        } else {
            *reader = ahead;
            QuoteText { start, len: None }
        };
        reader.expect("]", "`]` behind the quoted segment")?;
        Ok(quote)
    }
}

impl fmt::Display for BodyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyText::Tcp(segment) => segment.fmt(f),
            BodyText::Udp { len } => write!(f, "udp ({len})"),
            BodyText::Icmp(icmp) => icmp.fmt(f),
            BodyText::Raw { len } => write!(f, "raw ({len})"),
        }
    }
}

impl fmt::Display for IcmpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |kind: IcmpKind| std::mem::discriminant(&kind) == std::mem::discriminant(&self.kind);
        let name = NAMES.iter().find(|(_, kind)| same(*kind)).map_or("", |(name, _)| name);
        write!(f, "icmp {name}")?;
        if let IcmpKind::TooBig { mtu } = self.kind {
            write!(f, " mtu {mtu}")?;
        }
        match self.quote {
            None => Ok(()),
            Some(QuoteText { start, len: None }) => write!(f, " [{start}]"),
            Some(QuoteText { start, len: Some(len) }) => {
                f.write_str(" [")?;
                print_range(start, len, f)?;
                f.write_str("]")
            }
        }
    }
}

impl FromStr for BodyText {
    type Err = TextError;

    fn from_str(text: &str) -> Result<BodyText, TextError> {
        let mut reader = Reader::new(text);
        let body = if reader.take_word("udp") {
            BodyText::Udp { len: read_len(&mut reader)? }
        } else if reader.take_word("icmp") {
            BodyText::Icmp(IcmpText::read(&mut reader)?)
        } else if reader.take_word("raw") {
            BodyText::Raw { len: read_len(&mut reader)? }
        } else {
            return SegmentText::read(&mut reader).map(BodyText::Tcp);
        };
        reader.end("the end of the packet")?;
        Ok(body)
    }
}

/// Reads `(len)`.
fn read_len(reader: &mut Reader<'_>) -> Result<u32, TextError> {
    reader.expect("(", "`(` before the length")?;
    let len = reader.number(u32::MAX, "the length")?;
    reader.expect(")", "`)` behind the length")?;
    Ok(len)
}
