use crate::wire::{Flags, Segment, Seq};

/// What CLOSED answers to `seg`: a reset, except to a reset (RFC 9293 3.10.7.1).
pub fn reset_for(seg: &Segment) -> Option<Segment> {
    if seg.has(Flags::RST) {
        return None;
    }
    // "If the ACK bit is off, sequence number zero is used: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
    // If the ACK bit is on: <SEQ=SEG.ACK><CTL=RST>."
    let (seq, ack, flags) = match seg.has(Flags::ACK) {
        true => (seg.ack, Seq::default(), Flags::RST),
        false => (Seq::default(), seg.end(), Flags::RST | Flags::ACK),
    };
    Some(Segment { src_port: seg.dst_port, dst_port: seg.src_port, seq, ack, flags, ..Segment::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_resets_everything_but_resets() {
        let seg = |flags| Segment { src_port: 1, dst_port: 2, seq: Seq(10), ack: Seq(77), flags, ..Segment::default() };
        let reset = reset_for(&seg(Flags::SYN)).unwrap();
        assert_eq!((reset.seq, reset.ack, reset.flags), (Seq(0), Seq(11), Flags::RST | Flags::ACK));
        assert_eq!((reset.src_port, reset.dst_port), (2, 1));
        let reset = reset_for(&seg(Flags::ACK)).unwrap();
        assert_eq!((reset.seq, reset.flags), (Seq(77), Flags::RST));
        assert_eq!(reset_for(&seg(Flags::RST)), None);
        assert_eq!(reset_for(&seg(Flags::RST | Flags::ACK)), None);
    }
}
