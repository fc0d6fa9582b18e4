use crate::endpoint::{Errno, Readiness, State};
use crate::time::Span;
use crate::wire::Flags;
use std::fmt;

/// What arrives: the control bits, and whether there is data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `S`.
    Syn,
    /// `S.`.
    SynAck,
    /// `FS`, which no honest peer sends.
    SynFin,
    /// `.`.
    Ack,
    /// `F`, without the ACK that it should have.
    Fin,
    /// `F.`.
    FinAck,
    /// `R`.
    Rst,
    /// `R.`.
    RstAck,
    /// `P.` with five bytes.
    Data,
    /// `PU.` with five bytes, all of them urgent.
    Urg,
}

/// Where SEG.SEQ lies, as seen by the receiver's window. Each place is right at its boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegSeq {
    /// The whole segment lies before RCV.NXT, its end at it: a FIN here is the retransmission of one received.
    OutsideLeft,
    /// RCV.NXT.
    LeftEdge,
    /// Ten octets past RCV.NXT.
    Inside,
    /// The last octet of the window.
    RightEdge,
    /// The first octet beyond it.
    OutsideRight,
}

/// Where SEG.ACK lies. Where the kind has no ACK bit, the field holds the number all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegAck {
    /// Before SND.UNA, by one octet.
    Old,
    /// SND.NXT.
    Acceptable,
    /// Past SND.NXT, by one octet.
    Beyond,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What arrived.
    pub kind: Kind,
    /// Where its SEG.SEQ was.
    pub seq: SegSeq,
    /// Where its SEG.ACK was.
    pub ack: SegAck,
    /// What came of it.
    pub outcome: Outcome,
    /// What the endpoint called it, where it says so: `SYN challenged`.
    pub why: Option<&'static str>,
}

/// What came of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came back, within half a second.
    pub replies: Vec<Reply>,
    /// The state after it; nothing where the endpoint shows none.
    pub state: Option<State>,
    /// Whether TIME-WAIT starts anew, where the endpoint tells of its timers.
    pub restarts: bool,
    /// What the application sees after it; nothing where there is none.
    pub view: Option<View>,
}

/// A segment that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How long it took.
    pub after: Span,
    /// Its control bits.
    pub flags: Flags,
    /// In the notation of segments, relative to the initial sequence numbers; `R seg.ack` for a reset that takes its
    /// number from SEG.ACK. What answers a segment of no connection counts from SEG.SEQ.
    pub text: String,
}

/// What an application sees: what `poll` says, and what its next call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// `poll`.
    pub readiness: Readiness,
    /// The call: `accept` of a listener, `connect` of a socket that connects, else `recv`.
    pub call: &'static str,
    /// Its result: the bytes of `recv`, 0 where the stream has ended.
    pub result: Result<usize, Errno>,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Syn,
        Kind::SynAck,
        Kind::SynFin,
        Kind::Ack,
        Kind::Fin,
        Kind::FinAck,
        Kind::Rst,
        Kind::RstAck,
        Kind::Data,
        Kind::Urg,
    ];

    /// As the table writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Syn => "SYN",
            Kind::SynAck => "SYN-ACK",
            Kind::SynFin => "SYN-FIN",
            Kind::Ack => "ACK",
            Kind::Fin => "FIN",
            Kind::FinAck => "FIN-ACK",
            Kind::Rst => "RST",
            Kind::RstAck => "RST-ACK",
            Kind::Data => "data",
            Kind::Urg => "URG",
        }
    }

    /// Its control bits.
    pub const fn flags(self) -> Flags {
        match self {
            Kind::Syn => Flags::SYN,
            Kind::SynAck => Flags::SYN.union(Flags::ACK),
            Kind::SynFin => Flags::SYN.union(Flags::FIN),
            Kind::Ack => Flags::ACK,
            Kind::Fin => Flags::FIN,
            Kind::FinAck => Flags::FIN.union(Flags::ACK),
            Kind::Rst => Flags::RST,
            Kind::RstAck => Flags::RST.union(Flags::ACK),
            Kind::Data => Flags::PSH.union(Flags::ACK),
            Kind::Urg => Flags::PSH.union(Flags::URG).union(Flags::ACK),
        }
    }

    /// Its data.
    pub(super) const fn data(self) -> &'static str {
        match self {
            Kind::Data | Kind::Urg => "hello",
            _ => "",
        }
    }
}

impl SegSeq {
    /// Every place, from the left.
    pub const ALL: [SegSeq; 5] =
        [SegSeq::OutsideLeft, SegSeq::LeftEdge, SegSeq::Inside, SegSeq::RightEdge, SegSeq::OutsideRight];

    /// As the table writes it.
    pub const fn name(self) -> &'static str {
        match self {
            SegSeq::OutsideLeft => "outside left",
            SegSeq::LeftEdge => "left edge",
            SegSeq::Inside => "inside",
            SegSeq::RightEdge => "right edge",
            SegSeq::OutsideRight => "outside right",
        }
    }
}

impl SegAck {
    /// Every place, from the left.
    pub const ALL: [SegAck; 3] = [SegAck::Old, SegAck::Acceptable, SegAck::Beyond];

    /// As the table writes it.
    pub const fn name(self) -> &'static str {
        match self {
            SegAck::Old => "old",
            SegAck::Acceptable => "acceptable",
            SegAck::Beyond => "beyond",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.after > Span::ZERO { write!(f, " after {}", self.after) } else { Ok(()) }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.readiness.iter_names().map(|(name, _)| match name {
            "READABLE" => "in",
            "WRITABLE" => "out",
            "ERROR" => "err",
            "HUP" => "hup",
            "RDHUP" => "rdhup",
            _ => "pri",
        });
        let names: Vec<&str> = names.collect();
        write!(f, "{}", if names.is_empty() { "-".to_owned() } else { names.join("|") })?;
        match (self.call, self.result) {
            (call, Err(errno)) => write!(f, ", {call} = {errno}"),
            (call @ "recv", Ok(n)) => write!(f, ", {call} = {n}"),
            (call, Ok(_)) => write!(f, ", {call} = 0"),
        }
    }
}
