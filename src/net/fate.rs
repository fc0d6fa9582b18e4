use crate::time::Span;
use std::fmt;

/// What the network did with one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after this long.
    Delivered(Span),
    /// It arrives, but not only, or not as it was.
    Changed {
        /// How long it takes.
        after: Span,
        /// How long each duplicate takes.
        copies: Vec<Span>,
        /// The bit that is flipped, counted from the start of the transport header.
        corrupt_bit: Option<u32>,
    },
    /// It never arrives.
    Lost(Loss),
    /// It is held back until it is released.
    Held(String),
}

/// Why a packet never arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// An impairment, by its name.
    Impairment(&'static str),
    /// A scripted fault, by its name where it has one.
    Fault(Option<String>),
    /// Larger than the link's MTU.
    TooBig {
        /// The MTU.
        mtu: u32,
    },
    /// Older on arrival than the network lets packets become.
    Expired {
        /// The most it may be.
        lifetime: Span,
    },
    /// The link is cut.
    Down,
    /// Nobody has its address.
    NoHost,
    /// Its address is in a range where packets vanish.
    Blackhole,
    /// Its address is in a range that is known to be unreachable.
    Unreachable,
}

impl Fate {
    /// Whether the packet never arrives.
    pub fn is_lost(&self) -> bool {
        matches!(self, Fate::Lost(_))
    }

    /// How many copies arrive besides the packet itself.
    pub fn copies(&self) -> usize {
        if let Fate::Changed { copies, .. } = self { copies.len() } else { 0 }
    }

    /// The MTU that the packet was larger than.
    pub fn too_big(&self) -> Option<u32> {
        if let Fate::Lost(Loss::TooBig { mtu }) = self { Some(*mtu) } else { None }
    }
}

/// `20ms`, `LOST loss`, `LOST fault syn`, `13ms dup 14ms`, `20ms CORRUPT bit 312`, `EXPIRED 90s`.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Fate::Delivered(after) => after.to_string(),
            Fate::Changed { after, copies, corrupt_bit } => {
                let copies = copies.iter().map(|copy| format!(" dup {copy}"));
                let corrupt = corrupt_bit.map(|bit| format!(" CORRUPT bit {bit}"));
                std::iter::once(after.to_string()).chain(copies).chain(corrupt).collect()
            }
            Fate::Lost(loss) => loss.to_string(),
            Fate::Held(name) => format!("HELD {name}"),
        };
        f.pad(&text)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Impairment(name) => write!(f, "LOST {name}"),
            Loss::Fault(Some(name)) => write!(f, "LOST fault {name}"),
            Loss::Fault(None) => f.write_str("LOST fault"),
            Loss::TooBig { mtu } => write!(f, "LOST mtu {mtu}"),
            Loss::Expired { lifetime } => write!(f, "EXPIRED {lifetime}"),
            Loss::Down => f.write_str("LOST down"),
            Loss::NoHost => f.write_str("no host"),
            Loss::Blackhole => f.write_str("blackhole"),
            Loss::Unreachable => f.write_str("unreachable"),
        }
    }
}
