//! A segment as text.

use super::flags::{flags_text, read_flags};
use super::reader::Reader;
use super::{TextError, options};
use crate::wire::{Flags, Options, Payload, Segment, Seq};
use std::fmt;
use std::str::FromStr;

/// What numbers count from, and how much of a segment is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notation {
    /// Sequence number that shows as 0: the sender's ISS, usually.
    pub seq_base: Seq,
    /// Acknowledgment number that shows as 0, the receiver's ISS usually; SACK blocks and what ICMP errors quote are
    /// numbers of the same stream.
    pub ack_base: Seq,
    /// Whether to show the options.
    pub options: bool,
    /// Whether to show the window.
    pub window: bool,
}

impl Notation {
    /// Everything, in the numbers of the header.
    pub const ABSOLUTE: Notation = Notation { seq_base: Seq(0), ack_base: Seq(0), options: true, window: true };

    /// Everything, relative to these bases.
    pub const fn relative(seq_base: Seq, ack_base: Seq) -> Notation {
        Notation { seq_base, ack_base, options: true, window: true }
    }
}

/// The text of a segment, taken apart. `Display` prints it, `FromStr` reads it: `P. 1:6(5) ack 1 win 502`.
///
/// As a pattern ([`SegmentText::matches`]) it leaves open what is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentText {
    /// Control bits.
    pub flags: Flags,
    /// SEG.SEQ, relative.
    pub start: u32,
    /// Length of the data.
    pub len: u32,
    /// SEG.ACK, relative.
    pub ack: Option<u32>,
    /// The window of the header.
    pub window: Option<u16>,
    /// The urgent pointer.
    pub urgent: Option<u16>,
    /// The options; SACK blocks are relative as `ack` is.
    pub options: OptionsText,
}

/// What a text says about options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptionsText {
    /// Nothing is written.
    #[default]
    Unwritten,
    /// `<...>`: any.
    Any,
    /// `<mss 1460,…>`: these; `<>`: none.
    List(Options),
}

/// A payload is not as long as the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLength {
    /// The length in the text.
    pub written: u32,
    /// The length of the payload.
    pub given: u32,
}

impl fmt::Display for PayloadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the segment says {} bytes of data, its payload has {}", self.written, self.given)
    }
}

impl std::error::Error for PayloadLength {}

impl SegmentText {
    /// What `notation` shows of `segment`. An acknowledgment number or urgent pointer shows where its flag is set, and
    /// where it is not zero.
    pub fn of(segment: &Segment, notation: Notation) -> SegmentText {
        let list = || OptionsText::List(options::shifted(&segment.options, notation.ack_base.0.wrapping_neg()));
        SegmentText {
            flags: segment.flags & Flags::all(),
            start: segment.seq.since(notation.seq_base),
            len: segment.payload.len(),
            ack: (segment.has(Flags::ACK) || segment.ack.0 != 0).then(|| segment.ack.since(notation.ack_base)),
            window: notation.window.then_some(segment.window),
            urgent: (segment.has(Flags::URG) || segment.urgent != 0).then_some(segment.urgent),
            options: if notation.options && !segment.options.is_empty() { list() } else { OptionsText::Unwritten },
        }
    }

    /// The segment that the text describes, with these bases and this payload. Ports are 0: the text has none.
    ///
    /// What is not written: `ack` is `ack_base` where the ACK flag is set and 0 elsewhere, the window is the largest
    /// (it restricts nothing), the urgent pointer is 0, options are none.
    pub fn into_segment(self, seq_base: Seq, ack_base: Seq, payload: Payload) -> Result<Segment, PayloadLength> {
        if payload.len() != self.len {
            return Err(PayloadLength { written: self.len, given: payload.len() });
        }
        let unwritten_ack = if self.flags.contains(Flags::ACK) { ack_base } else { Seq(0) };
        Ok(Segment {
            src_port: 0,
            dst_port: 0,
            seq: seq_base + self.start,
            ack: self.ack.map_or(unwritten_ack, |n| ack_base + n),
            flags: self.flags,
            window: self.window.unwrap_or(u16::MAX),
            urgent: self.urgent.unwrap_or(0),
            options: match self.options {
                OptionsText::List(list) => options::shifted(&list, ack_base.0),
                OptionsText::Unwritten | OptionsText::Any => Options::NONE,
            },
            payload,
        })
    }

    /// Whether `segment` is as described: flags, sequence number and length are, and each of `ack`, `win`, `urg` and
    /// the options is where it is written. The bytes of the data are not looked at.
    pub fn matches(&self, segment: &Segment, seq_base: Seq, ack_base: Seq) -> bool {
        let it = SegmentText::of(segment, Notation::relative(seq_base, ack_base));
        let options = match (self.options, it.options) {
            (OptionsText::Unwritten | OptionsText::Any, _) => true,
            (OptionsText::List(list), OptionsText::Unwritten | OptionsText::Any) => list.is_empty(),
            (OptionsText::List(list), OptionsText::List(found)) => list == found,
        };
        (self.flags, self.start, self.len) == (it.flags, it.start, it.len)
            && (self.ack.is_none() || self.ack == it.ack)
            && (self.window.is_none() || self.window == it.window)
            && self.urgent.is_none_or(|urgent| urgent == segment.urgent)
            && options
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<SegmentText, TextError> {
        let flags = read_flags(reader)?;
        let (start, len) = read_range(reader)?;
        let mut text =
            SegmentText { flags, start, len, ack: None, window: None, urgent: None, options: OptionsText::Unwritten };
        if reader.take_word("ack") {
            text.ack = Some(reader.number(u32::MAX, "the acknowledgment number")?);
        }
        if reader.take_word("win") {
            text.window = Some(reader.number_16("the window")?);
        }
        if reader.take_word("urg") {
            text.urgent = Some(reader.number_16("the urgent pointer")?);
        }
        reader.skip_spaces();
        if reader.take("<") {
            text.options = options::read(reader)?.map_or(OptionsText::Any, OptionsText::List);
        }
        reader.end(expected_after(&text))?;
        Ok(text)
    }
}

impl fmt::Display for SegmentText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", flags_text(self.flags))?;
        print_range(self.start, self.len, f)?;
        if let Some(ack) = self.ack {
            write!(f, " ack {ack}")?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if let Some(urgent) = self.urgent {
            write!(f, " urg {urgent}")?;
        }
        match &self.options {
            OptionsText::Unwritten => Ok(()),
            OptionsText::Any => f.write_str(" <...>"),
            OptionsText::List(list) => {
                f.write_str(" <")?;
                options::print(list, f)?;
                f.write_str(">")
            }
        }
    }
}

impl FromStr for SegmentText {
    type Err = TextError;

    fn from_str(text: &str) -> Result<SegmentText, TextError> {
        SegmentText::read(&mut Reader::new(text))
    }
}

impl FromStr for OptionsText {
    type Err = TextError;

    /// Reads `<mss 1460,nop>`, `<...>`, or nothing at all.
    fn from_str(text: &str) -> Result<OptionsText, TextError> {
        let mut reader = Reader::new(text);
        reader.skip_spaces();
        let read = if reader.take("<") {
            options::read(&mut reader)?.map_or(OptionsText::Any, OptionsText::List)
        } else {
            OptionsText::Unwritten
        };
        reader.end("the end behind the options")?;
        Ok(read)
    }
}

/// Prints `start:end(len)`.
pub(super) fn print_range(start: u32, len: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{start}:{}({len})", start.wrapping_add(len))
}

/// Reads `start:end(len)`.
pub(super) fn read_range(reader: &mut Reader<'_>) -> Result<(u32, u32), TextError> {
    let start = reader.number(u32::MAX, "a sequence number, as in `1:6(5)`")?;
    reader.expect(":", "`:` between start and end of the data")?;
    reader.skip_spaces();
    let column = reader.column();
    let found = reader.number(u32::MAX, "the sequence number behind the data")?;
    reader.expect("(", "`(` before the length of the data")?;
    let len = reader.number(u32::MAX, "the length of the data")?;
    reader.expect(")", "`)` behind the length of the data")?;
    let expected = start.wrapping_add(len);
    if found == expected { Ok((start, len)) } else { Err(TextError::Length { column, found, expected }) }
}

/// What could have followed in place of what does.
fn expected_after(text: &SegmentText) -> &'static str {
    match text {
        SegmentText { options: OptionsText::Any | OptionsText::List(_), .. } => "the end behind the options",
        SegmentText { urgent: Some(_), .. } => "options in `<>` or the end",
        SegmentText { window: Some(_), .. } => "`urg`, options in `<>` or the end",
        SegmentText { ack: Some(_), .. } => "`win`, `urg`, options in `<>` or the end",
        _ => "`ack`, `win`, `urg`, options in `<>` or the end",
    }
}
