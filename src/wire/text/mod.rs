//! The one-line notation of packets, packetdrill's: one printer and one parser for traces, expectations, faults and
//! scripts.
//!
//! | text | what it is |
//! |---|---|
//! | `S 0:0(0) win 64240 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>` | a SYN and its options |
//! | `P. 1:6(5) ack 1 win 502` | five bytes; `start:end(length)` counts data, not SYN and FIN |
//! | `. 1:1(0) ack 1 win 502 <sack 11:21 31:41>` | SACK blocks count like `ack` |
//! | `PU. 1:6(5) ack 1 win 502 urg 5` | urgent data |
//! | `udp (100)` | a datagram of 100 bytes |
//! | `icmp port_unreachable`, `icmp frag_needed mtu 1400 [1:1461(1460)]` | an ICMP error, and the data it is about |
//! | `raw (40)` | an IP packet that is none of these |
//!
//! Flags, in the order they print: `F` FIN, `S` SYN, `R` RST, `P` PSH, `U` URG, `E` ECE, `W` CWR, `A` AE, `.` ACK;
//! `-` stands for none. They are read in any order.
//!
//! Options: `mss N`, `nop`, `eol`, `sackOK`, `wscale N`, `TS val N ecr N`, `sack A:B …`, `FO HEX` (a Fast Open cookie;
//! without HEX a request), `FOEXP HEX`, `md5 HEX`, `ECN e0b N ceb N e1b N` (read only; printed as `opt`), `opt KIND HEX`
//! for any other, and `bytes HEX` for what is no well-formed list. `<>` is an empty list, `<...>` any list.
//!
//! Sequence numbers are relative to a base, the window is as it stands in the header, unscaled.

mod body;
mod error;
mod flags;
mod options;
mod reader;
mod segment;

pub use body::{BodyText, IcmpText, QuoteText};
pub use error::TextError;
pub use flags::{flags_text, parse_flags};
pub(crate) use options::shifted as shifted_sack;
pub use segment::{Notation, OptionsText, PayloadLength, SegmentText};
