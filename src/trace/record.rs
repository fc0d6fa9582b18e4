use super::{Belongs, LinkId, NodeId, StreamId};
use crate::endpoint::{Arrival, Errno, Event, HostFault, Shutdown, SockOpt, Tuple};
use crate::net::Fate;
use crate::time::{SimTime, Span};
use crate::wire::{Packet, Payload};
use std::borrow::Cow;
use std::net::SocketAddr;

/// One thing that happened, the unit of everything that looks at a run: trace, digest, oracles, captures.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// When.
    pub at: SimTime,
    /// Where; none for what concerns the whole run.
    pub node: Option<NodeId>,
    /// What.
    pub what: What<'a>,
}

/// The kinds of things that happen.
#[derive(Clone, Debug)]
pub enum What<'a> {
    /// A packet was sent, and its fate is decided.
    Sent(Sent<'a>),
    /// A packet arrived.
    Arrived(Arrived<'a>),
    /// An endpoint told about itself.
    Noted {
        /// The connection it is about, where it is about one.
        conn: Option<Belongs>,
        /// What it told.
        event: Event,
    },
    /// A socket call began or returned.
    Called(Cow<'a, Called>),
    /// The script disturbed the world.
    Disturbed(Disturbance),
    /// A rule was broken, or an expectation failed.
    Violated {
        /// Which rule.
        rule: &'static str,
        /// What happened, with its numbers.
        text: String,
    },
}

/// A packet at the moment of sending.
#[derive(Clone, Debug)]
pub struct Sent<'a> {
    /// The link it was put on.
    pub link: LinkId,
    /// The how-manieth packet of that link, counted from 1.
    pub n: u64,
    /// The packet.
    pub packet: Cow<'a, Packet>,
    /// Its connection and the sender's side of it.
    pub conn: Option<Belongs>,
    /// What the network does with it.
    pub fate: Cow<'a, Fate>,
    /// Whether the sender only passes it on.
    pub forwarded: bool,
}

/// A packet at the moment of arrival.
#[derive(Clone, Debug)]
pub struct Arrived<'a> {
    /// The link it came from.
    pub link: LinkId,
    /// Its number on that link, counted from 1.
    pub n: u64,
    /// 0 for the packet itself, 1 and up for its duplicates.
    pub copy: u8,
    /// The packet as it arrived.
    pub packet: Cow<'a, Packet>,
    /// When it was sent.
    pub sent: SimTime,
    /// The connection it was sent in.
    pub conn: Option<Belongs>,
    /// The connection that the receiver takes it for, where that is another incarnation.
    pub here: Option<Belongs>,
    /// What the receiver made of it, where it did not simply take it.
    pub outcome: Option<Arrival>,
}

/// A socket call.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The socket, as the trace names it; none for a call on no named socket.
    pub stream: Option<StreamId>,
    /// The two ends of its connection, where it has one.
    pub tuple: Option<Tuple>,
    /// The call and its arguments.
    pub call: Call,
    /// Its result; none where it has only begun.
    pub result: Option<Result<Done, Errno>>,
    /// How long it blocked.
    pub took: Span,
    /// What kind of call it is.
    pub kind: CallKind,
}

/// Who made a call, and whether the story shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// An application's call that the story shows.
    Plain,
    /// One of many by a loop, or part of a blocking call: left out of the story.
    Routine,
    /// A blocking call of a task, made of routine calls: what oracles count is in those.
    Blocking,
}

/// A socket call's name and arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// `bind`.
    Bind(SocketAddr),
    /// `listen`.
    Listen {
        /// Where.
        local: SocketAddr,
        /// `backlog`.
        backlog: u32,
    },
    /// `accept`.
    Accept {
        /// Where the listener listens.
        local: SocketAddr,
    },
    /// `connect`.
    Connect(SocketAddr),
    /// `send`.
    Send(Payload),
    /// `sendto`.
    SendTo(Payload, SocketAddr),
    /// `recv`.
    Recv {
        /// At most this many bytes.
        max: usize,
    },
    /// `recvfrom`.
    RecvFrom,
    /// `shutdown`.
    Shutdown(Shutdown),
    /// `close`.
    Close,
    /// RFC 9293's ABORT.
    Abort,
    /// `setsockopt`.
    SetOption(SockOpt),
}

/// What a successful call gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// Nothing but success.
    Unit,
    /// So many bytes were taken.
    Count(u64),
    /// A new socket.
    Accepted {
        /// The new socket's name.
        stream: StreamId,
        /// Its peer.
        peer: SocketAddr,
    },
    /// Data was read; empty is the end of the stream.
    Data(Payload),
    /// A datagram was read.
    Datagram(Payload, SocketAddr),
}

/// What the script does to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Something happened to a host.
    Host(HostFault),
    /// A directed link was cut.
    Down(LinkId),
    /// It carries packets again.
    Up(LinkId),
    /// A host's clock now runs this many parts per million too fast.
    Skew(i32),
    /// A packet was put on a link out of nothing.
    Injected(LinkId),
    /// The application stopped reading or went on; free text for applications.
    Note(String),
}

impl What<'_> {
    /// Whether it only borrows what it shows.
    pub(crate) fn owns_nothing(&self) -> bool {
        match self {
            What::Sent(sent) => matches!((&sent.packet, &sent.fate), (Cow::Borrowed(_), Cow::Borrowed(_))),
            What::Arrived(arrived) => matches!(arrived.packet, Cow::Borrowed(_)),
            What::Called(called) => matches!(called, Cow::Borrowed(_)),
            What::Noted { .. } => true,
            What::Disturbed(_) | What::Violated { .. } => false,
        }
    }

    /// Whether it is told about only where someone looks at details.
    pub(crate) fn is_detail(&self) -> bool {
        matches!(self, What::Noted { event: Event::Timer { .. } | Event::Queue { .. }, .. })
    }
}

impl Record<'_> {
    /// The same record, owning what it shows.
    pub fn into_owned(self) -> Record<'static> {
        let what = match self.what {
            What::Sent(s) => What::Sent(Sent {
                packet: Cow::Owned(s.packet.into_owned()),
                fate: Cow::Owned(s.fate.into_owned()),
                ..s
            }),
            What::Arrived(a) => What::Arrived(Arrived { packet: Cow::Owned(a.packet.into_owned()), ..a }),
            What::Noted { conn, event } => What::Noted { conn, event },
            What::Called(called) => What::Called(Cow::Owned(called.into_owned())),
            What::Disturbed(disturbance) => What::Disturbed(disturbance),
            What::Violated { rule, text } => What::Violated { rule, text },
        };
        Record { at: self.at, node: self.node, what }
    }
}
