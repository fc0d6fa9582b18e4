//! A script as data.

use crate::scenario::Source;
use crate::time::Span;
use crate::wire::{Flags, IcmpKind, Options};
use std::fmt;
use std::sync::Arc;

/// A script, read and checked.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) source: Arc<Source>,
    /// Its option lines, in their order.
    pub options: Vec<OptionLine>,
    /// The command before the first event.
    pub init: Option<Command>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// The command behind the last event.
    pub cleanup: Option<Command>,
}

/// `--name=value`, or `--name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionLine {
    /// Where it stands.
    pub line: usize,
    /// Without its dashes.
    pub name: String,
    /// What follows `=`.
    pub value: Option<String>,
    pub(super) span: std::ops::Range<usize>,
}

/// One thing that is done, or that is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it stands.
    pub line: usize,
    /// When.
    pub time: When,
    /// What.
    pub action: Action,
}

/// When an event happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `0.1`: so long after the start.
    At(Span),
    /// `+0.1`: so long after the event before it.
    After(Span),
    /// `*`: whenever it comes.
    Any,
    /// `0.1~0.2`: between two instants.
    Between(Span, Span),
    /// `+0.1~+0.2`: between two instants, counted from the event before it.
    Within(Span, Span),
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A packet that is sent to the host, or expected of it.
    Packet(PacketLine),
    /// A socket call of the host's application.
    Call(Call),
    /// A command line in backticks.
    Command(Command),
    /// A snippet of Python.
    Code(Code),
}

/// A command line, as it stands between its backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line in which it begins.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// What stands between `%{` and `}%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The line in which it begins.
    pub line: usize,
    /// What stands there, without blanks around it.
    pub text: String,
}

/// A packet: `< S 0:0(0) win 1000`, `> . 1:1(0) ack 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketLine {
    /// Whether the host under test sends it.
    pub outbound: bool,
    /// What is said of its IP header.
    pub ip: IpInfo,
    /// `1234 > 8080`: source and destination port, where they are not the connection's.
    pub ports: Option<(u16, u16)>,
    /// `/udp(9811 > 8080)`: ports of UDP around the segment.
    pub encapsulated: Option<(u16, u16)>,
    /// What it carries.
    pub body: PacketBody,
}

/// What is said of an IP header: `[ect0]`, `(ttl 5)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpInfo {
    /// Type of service or traffic class.
    pub tos: Option<Tos>,
    /// Time to live or hop limit.
    pub ttl: Option<u8>,
    /// IPv6 flow label; other labels are other flows, the numbers themselves are not compared.
    pub flow_label: Option<u32>,
}

/// What is said of the type of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tos {
    /// The two bits of ECN.
    Ecn(u8),
    /// `ect01`: either of the two that say ECN works.
    Ect01,
    /// `dscp`: the six bits beside ECN.
    Dscp(u8),
    /// All eight bits.
    All(u8),
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketBody {
    /// A segment.
    Tcp(TcpLine),
    /// `udp (100)`.
    Udp {
        /// Length of the data.
        len: u16,
    },
    /// `icmp unreachable frag_needed mtu 1400 [1:1461(1460)]`.
    Icmp(IcmpLine),
}

/// A segment as a script writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpLine {
    /// Control bits.
    pub flags: Flags,
    /// `.5`: the three bits AE, CWR, ECE as a number, and whether they were so written.
    pub ace: bool,
    /// Sequence number.
    pub seq: u32,
    /// Length of the data.
    pub len: u16,
    /// `0:0(0)!`, `...(0)`: whether the sequence number counts as the connection does.
    pub seq_check: SeqCheck,
    /// Acknowledgment number.
    pub ack: u32,
    /// The window, unscaled.
    pub window: Option<u16>,
    /// The urgent pointer.
    pub urgent: u16,
    /// The options; none: `<...>`, whatever they are.
    pub options: Option<Options>,
    /// `TS val ... ecr 5!`: how timestamps are meant.
    pub ts: TsCheck,
}

/// How a sequence number is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeqCheck {
    /// As the connection counts.
    #[default]
    Relative,
    /// As it stands in the header.
    Absolute,
    /// It does not matter.
    Ignored,
}

/// How timestamps are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TsCheck {
    /// The value does not matter and is not learnt from.
    pub val_ignored: bool,
    /// The echo is that of the header.
    pub ecr_absolute: bool,
}

/// An ICMP message as a script writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpLine {
    /// What it means, where that is something to a host that takes part in TCP; nothing for messages such as
    /// `source_quench`, which hosts ignore.
    pub kind: Option<IcmpKind>,
    /// The name was one that only ICMPv6 has.
    pub v6_only: bool,
    /// The name was one that only ICMP for IPv4 has.
    pub v4_only: bool,
    /// Sequence number and length of the segment it is about.
    pub quote: Option<(u32, u32)>,
    /// Whether it is about a datagram of UDP.
    pub about_udp: bool,
}

/// A socket call: `+0...0.1 connect(3, ..., ...) = -1 ETIMEDOUT (Connection timed out)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where a call blocks: when it returns, as the event's own time is written.
    pub until: Option<Span>,
    /// Its name.
    pub name: String,
    /// What it is given.
    pub args: Vec<Expr>,
    /// What it returns.
    pub result: Expr,
    /// The error, by its name.
    pub errno: Option<String>,
}

/// An argument or result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `...`: something suitable.
    Ellipsis,
    /// A number.
    Int(i64),
    /// A symbol.
    Word(String),
    /// A text.
    Text(String),
    /// `a|b`.
    Or(Box<Expr>, Box<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{a=b, c=d}` or `{a, b}`.
    Braces(Vec<Expr>),
    /// `name = value`, with what stands in parentheses behind the name: `msg_iov(1)=[…]`.
    Field(String, Option<Box<Expr>>, Box<Expr>),
    /// `htons(8080)`.
    Of(String, Vec<Expr>),
}

impl Script {
    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Whose behaviour its option lines ask for: `--profile=rfc9293`. The stock tool, which has no choice of hosts, does
    /// not know that option.
    pub fn profile(&self) -> Option<&str> {
        self.options.iter().rev().find(|option| option.name == "profile")?.value.as_deref()
    }

    /// A line of it, counted from 1.
    pub fn text_of(&self, line: usize) -> &str {
        self.source.text.lines().nth(line.saturating_sub(1)).unwrap_or("").trim()
    }

    /// Whether it names addresses or things that only one version of IP has, so that it can run in one way only.
    pub fn fixes_addresses(&self) -> bool {
        self.options.iter().any(|option| matches!(option.name.as_str(), "local_ip" | "remote_ip" | "ip_version"))
            || self.has_icmp(|icmp| icmp.v6_only)
    }

    pub(super) fn has_icmp(&self, which: impl Fn(&IcmpLine) -> bool) -> bool {
        self.events.iter().any(|event| match &event.action {
            Action::Packet(PacketLine { body: PacketBody::Icmp(icmp), .. }) => which(icmp),
            _ => false,
        })
    }
}

impl Expr {
    /// The field of this name, where this is a structure.
    pub(super) fn field(&self, name: &str) -> Option<&Expr> {
        let Expr::Braces(items) = self else { return None };
        items.iter().find_map(|item| match item {
            Expr::Field(field, _, value) if field == name => Some(&**value),
            _ => None,
        })
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Expr]| {
            items.iter().enumerate().try_for_each(|(n, item)| {
                f.write_str(if n == 0 { "" } else { ", " })?;
                item.fmt(f)
            })
        };
        match self {
            Expr::Ellipsis => f.write_str("..."),
            Expr::Int(n) => n.fmt(f),
            Expr::Word(word) => f.write_str(word),
            Expr::Text(text) => write!(f, "\"{text}\""),
            Expr::Or(a, b) => write!(f, "{a}|{b}"),
            Expr::List(items) => {
                f.write_str("[")?;
                list(f, items)?;
                f.write_str("]")
            }
            Expr::Braces(items) => {
                f.write_str("{")?;
                list(f, items)?;
                f.write_str("}")
            }
            Expr::Field(name, None, value) => write!(f, "{name}={value}"),
            Expr::Field(name, Some(arg), value) => write!(f, "{name}({arg})={value}"),
            Expr::Of(name, args) => {
                write!(f, "{name}(")?;
                list(f, args)?;
                f.write_str(")")
            }
        }
    }
}
