//! Packets: sequence numbers, segments, options; their bytes, and their one-line notation.

mod codec;
mod options;
mod packet;
mod payload;
mod quote;
mod segment;
mod seq;
mod text;

pub use codec::{Layer, ParseError, emit, emit_into, parse, parse_raw};
pub use options::{Options, OptionsFull, SackBlocks, TcpOption};
pub use packet::{Body, Datagram, Icmp, IcmpKind, Packet};
pub use payload::{Payload, Rope};
pub use quote::{Quoted, quote_of};
pub use segment::{Flags, Segment};
pub use seq::Seq;
pub(crate) use text::shifted_sack;
pub use text::{
    BodyText, IcmpText, Notation, OptionsText, PayloadLength, QuoteText, SegmentText, TextError, flags_text,
    parse_flags,
};
