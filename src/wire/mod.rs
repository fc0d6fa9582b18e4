//! Packets: sequence numbers, segments, options; their bytes, and their one-line notation.

mod options;
mod packet;
mod payload;
mod segment;
mod seq;

pub use options::{Options, OptionsFull, SackBlocks, TcpOption};
pub use packet::{Body, Datagram, Icmp, IcmpKind, Packet};
pub use payload::{Payload, Rope};
pub use segment::{Flags, Segment};
pub use seq::Seq;
