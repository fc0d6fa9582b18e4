//! A TCP segment as parsed fields (RFC 9293 3.1).

use super::{Options, Payload, Seq};

bitflags::bitflags! {
    /// The control bits of a segment, at their places in bytes 12 and 13 of the header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u16 {
        /// No more data from the sender.
        const FIN = 0x001;
        /// Synchronise sequence numbers.
        const SYN = 0x002;
        /// Reset the connection.
        const RST = 0x004;
        /// Push.
        const PSH = 0x008;
        /// The acknowledgment field counts.
        const ACK = 0x010;
        /// The urgent pointer counts.
        const URG = 0x020;
        /// ECN echo (RFC 3168).
        const ECE = 0x040;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x080;
        /// Accurate ECN (formerly NS).
        const AE = 0x100;
    }
}

/// One segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: Seq,
    /// SEG.ACK; means something only with [`Flags::ACK`].
    pub ack: Seq,
    /// Control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, unscaled.
    pub window: u16,
    /// Urgent pointer; means something only with [`Flags::URG`].
    pub urgent: u16,
    /// Options, in their order.
    pub options: Options,
    /// The data.
    pub payload: Payload,
}

impl Segment {
    /// SEG.LEN: octets of sequence space, SYN and FIN included (RFC 9293 3.4).
    pub fn seq_len(&self) -> u32 {
        self.payload.len() + u32::from(self.flags.contains(Flags::SYN)) + u32::from(self.flags.contains(Flags::FIN))
    }

    /// The sequence number just past this segment.
    pub fn end(&self) -> Seq {
        self.seq + self.seq_len()
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// Header length in bytes, options padded to a multiple of four.
    pub fn header_len(&self) -> u32 {
        20 + self.options.padded_len()
    }
}
