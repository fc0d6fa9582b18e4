use super::{Errno, State};
use crate::time::{HostTime, Span};
use std::fmt;
use std::net::SocketAddr;

/// The two ends of a connection, seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Tuple {
    /// The same connection seen from the other end.
    pub const fn flipped(self) -> Tuple {
        Tuple { local: self.remote, remote: self.local }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <> {}", self.local, self.remote)
    }
}

/// What an endpoint tells about itself, through [`super::Cx::note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection changed its state.
    Transition {
        /// Which connection.
        tuple: Tuple,
        /// From.
        from: State,
        /// To.
        to: State,
        /// How long the new state lasts at most, where a timer ends it (TIME-WAIT, FIN-WAIT-2).
        lasts: Option<Span>,
        /// The error the application will see, where the connection failed.
        error: Option<Errno>,
    },
    /// A timer was set, fired or was stopped.
    Timer {
        /// Whose; none: the host's own.
        tuple: Option<Tuple>,
        /// Which.
        timer: TimerKind,
        /// What happened to it.
        change: TimerChange,
    },
    /// What the packet at hand turned out to be, where it was not simply taken.
    Arrival(Arrival),
    /// The congestion window changed by more than an acknowledgment's growth.
    Cwnd {
        /// Whose.
        tuple: Tuple,
        /// New window in bytes.
        cwnd: u32,
        /// New slow-start threshold in bytes.
        ssthresh: u32,
    },
    /// The queues of a listener changed.
    Queue {
        /// Where it listens.
        local: SocketAddr,
        /// Half-open connections, and the most there may be.
        syn: (u32, u32),
        /// Connections that wait for `accept`, and the most there may be.
        accept: (u32, u32),
    },
}

/// The timers of a TCP connection, and of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// Retransmission (RFC 6298).
    Retransmit,
    /// Tail loss probe (RFC 8985 7).
    LossProbe,
    /// RACK reordering window (RFC 8985 6.3).
    Reorder,
    /// Zero-window probe (RFC 9293 3.8.6.1); also the override of silly-window avoidance.
    Persist,
    /// Delayed acknowledgment (RFC 9293 3.8.6.3).
    DelayedAck,
    /// Keepalive (RFC 9293 3.8.4).
    KeepAlive,
    /// FIN-WAIT-2 of a connection that nobody owns.
    FinWait2,
    /// 2MSL (RFC 9293 3.6.1).
    TimeWait,
    /// User timeout (RFC 9293 3.8.3, RFC 5482).
    User,
    /// SYN-ACK of a half-open connection.
    SynAck,
    /// Quiet time after a reboot (RFC 9293 3.4.3).
    Quiet,
}

impl TimerKind {
    /// Every timer.
    pub const ALL: [TimerKind; 11] = [
        TimerKind::Retransmit,
        TimerKind::LossProbe,
        TimerKind::Reorder,
        TimerKind::Persist,
        TimerKind::DelayedAck,
        TimerKind::KeepAlive,
        TimerKind::FinWait2,
        TimerKind::TimeWait,
        TimerKind::User,
        TimerKind::SynAck,
        TimerKind::Quiet,
    ];

    /// As the trace writes it.
    pub const fn name(self) -> &'static str {
        match self {
            TimerKind::Retransmit => "rto",
            TimerKind::LossProbe => "tlp",
            TimerKind::Reorder => "reorder",
            TimerKind::Persist => "persist",
            TimerKind::DelayedAck => "delayed-ack",
            TimerKind::KeepAlive => "keepalive",
            TimerKind::FinWait2 => "fin-wait-2",
            TimerKind::TimeWait => "time-wait",
            TimerKind::User => "user",
            TimerKind::SynAck => "syn-ack",
            TimerKind::Quiet => "quiet",
        }
    }
}

/// What happened to a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// It will fire at this instant.
    Set(HostTime),
    /// It fired after having been set for this long; `count` is the number of its firings in a row, and `next` its
    /// next length, where it goes on.
    Fired {
        /// How long it had been set for.
        after: Span,
        /// Firings in a row, this one included.
        count: u32,
        /// Its next length.
        next: Option<Span>,
    },
    /// It was running and was started anew for this long.
    Restarted(Span),
}

/// What an arriving packet turned out to be, where it was not simply taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// All of its data, or its FIN, had been received before.
    Duplicate,
    /// It lies ahead of what is expected and was kept.
    OutOfOrder,
    /// It was not taken.
    Dropped(DropReason),
}

/// Why an endpoint did not take a packet. The trace shows the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// A checksum is wrong or the bytes do not parse.
    Checksum,
    /// Not addressed to this host.
    NotMine,
    /// The host is down.
    HostDown,
    /// No socket takes it; answered by RST or ICMP.
    NoSocket,
    /// Sequence number outside the window (RFC 9293 3.10.7.4, first).
    OutOfWindow,
    /// The same, with nothing in it, and so soon after the last such segment that it is not answered (RFC 5961 7).
    OutOfWindowUnanswered,
    /// Timestamp too old (RFC 7323 5).
    Paws,
    /// No ACK bit where one must be (RFC 9293 3.10.7.4, fifth).
    NoAck,
    /// Acknowledges what was never sent.
    AckUnsent,
    /// Acknowledges what is far too old (RFC 5961 5).
    AckTooOld,
    /// RST in the window but not at its edge: challenged (RFC 5961 3).
    RstNotExact,
    /// RST outside the window, or in a state that ignores it.
    RstIgnored,
    /// SYN on a synchronized connection: challenged (RFC 5961 4).
    SynChallenged,
    /// No control bits that mean anything in this state.
    NoMeaning,
    /// Data after the receiver is gone, or past the end of the stream.
    DataAfterClose,
    /// SYN queue full.
    SynQueueFull,
    /// Accept queue full.
    AcceptQueueFull,
    /// A third segment without data, where the listener waits for data (`TCP_DEFER_ACCEPT`).
    Deferred,
    /// Receive buffer full.
    BufferFull,
    /// All connections together have no memory left (`net.ipv4.tcp_mem`).
    NoMemory,
    /// A SYN cookie that is not ours or too old.
    CookieInvalid,
    /// TCP keeps quiet after a reboot.
    Quiet,
    /// ICMP about no connection of ours, or with a sequence number that is not in flight (RFC 5927 4.1).
    IcmpIrrelevant,
    /// Middlebox: no mapping or no state for it.
    NoState,
    /// Middlebox: its table is full.
    TableFull,
    /// Middlebox: refused by policy.
    Policy,
    /// Middlebox: TTL ran out.
    TtlExpired,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 27] = [
        DropReason::Checksum,
        DropReason::NotMine,
        DropReason::HostDown,
        DropReason::NoSocket,
        DropReason::OutOfWindow,
        DropReason::OutOfWindowUnanswered,
        DropReason::Paws,
        DropReason::NoAck,
        DropReason::AckUnsent,
        DropReason::AckTooOld,
        DropReason::RstNotExact,
        DropReason::RstIgnored,
        DropReason::SynChallenged,
        DropReason::NoMeaning,
        DropReason::DataAfterClose,
        DropReason::SynQueueFull,
        DropReason::AcceptQueueFull,
        DropReason::Deferred,
        DropReason::BufferFull,
        DropReason::NoMemory,
        DropReason::CookieInvalid,
        DropReason::Quiet,
        DropReason::IcmpIrrelevant,
        DropReason::NoState,
        DropReason::TableFull,
        DropReason::Policy,
        DropReason::TtlExpired,
    ];

    /// As the trace and scenario files write it.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Checksum => "checksum",
            DropReason::NotMine => "not mine",
            DropReason::HostDown => "host down",
            DropReason::NoSocket => "no socket",
            DropReason::OutOfWindow => "out of window",
            DropReason::OutOfWindowUnanswered => "out of window, unanswered",
            DropReason::Paws => "PAWS",
            DropReason::NoAck => "no ACK",
            DropReason::AckUnsent => "ack of unsent",
            DropReason::AckTooOld => "ack too old",
            DropReason::RstNotExact => "inexact RST",
            DropReason::RstIgnored => "RST ignored",
            DropReason::SynChallenged => "SYN challenged",
            DropReason::NoMeaning => "no meaning",
            DropReason::DataAfterClose => "data after close",
            DropReason::SynQueueFull => "syn queue full",
            DropReason::AcceptQueueFull => "accept queue full",
            DropReason::Deferred => "deferred",
            DropReason::BufferFull => "buffer full",
            DropReason::NoMemory => "no memory",
            DropReason::CookieInvalid => "bad cookie",
            DropReason::Quiet => "quiet time",
            DropReason::IcmpIrrelevant => "irrelevant ICMP",
            DropReason::NoState => "no state",
            DropReason::TableFull => "table full",
            DropReason::Policy => "policy",
            DropReason::TtlExpired => "TTL expired",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
