//! What a trace says about its records, in words: shared by the text and the ladder.

use super::{Arrived, Belongs, Call, Called, ConnId, Disturbance, Done, Following, Sent, Trace};
use crate::endpoint::{Arrival, DropReason, Event, HostFault, Shutdown, SockOpt, TimerChange, TimerKind};
use crate::time::Span;
use crate::wire::{Body, BodyText, Flags, Notation, Options, OptionsText, Packet, Payload, Seq, TcpOption};
use std::fmt;
use std::net::SocketAddr;

/// How much of a segment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Flags, sequence numbers, acknowledgment.
    Numbers,
    /// Also the window.
    Window,
    /// Also the options; of segments other than SYNs without timestamps and padding.
    Options,
    /// Also every option.
    AllOptions,
}

/// Puts records into words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) trace: &'a Trace<'a>,
    /// Sequence numbers as they stand in the header.
    pub(super) absolute: bool,
}

impl<'a> Words<'a> {
    /// A packet as it was sent.
    pub(super) fn sent(&self, sent: &Sent<'_>, following: &Following<'_>, depth: Depth) -> String {
        let belongs = sent.conn.or_else(|| following.quoted(&sent.packet).map(flipped));
        self.packet(&sent.packet, belongs, depth)
    }

    /// A packet as it arrived, and how its receiver sees it where that is in another incarnation.
    pub(super) fn arrived(&self, arrived: &Arrived<'_>, following: &Following<'_>) -> String {
        let belongs = arrived.conn.or_else(|| following.quoted(&arrived.packet).map(flipped));
        // The timestamp is what such a segment was dropped for.
        let paws = arrived.outcome == Some(Arrival::Dropped(DropReason::Paws));
        let mut text = self.packet(&arrived.packet, belongs, if paws { Depth::AllOptions } else { Depth::Numbers });
        if let (Some(here), Some(segment)) = (arrived.here, arrived.packet.segment())
            && let Some(incarnation) = self.trace.conns.get(here.conn)
        {
            let from = incarnation.side_of(SocketAddr::new(arrived.packet.src, segment.src_port));
            let (base, _) = self.bases(Belongs { conn: here.conn, from });
            let start = segment.seq.since(base);
            let end = start.wrapping_add(segment.payload.len());
            text += &format!(" = {start}:{end} in {}", self.conn(here.conn));
        }
        text
    }

    /// A packet in the numbers of the connection it belongs to.
    pub(super) fn packet(&self, packet: &Packet, belongs: Option<Belongs>, depth: Depth) -> String {
        let (seq_base, ack_base) = belongs.map_or((Seq(0), Seq(0)), |belongs| self.bases(belongs));
        let options = matches!(depth, Depth::Options | Depth::AllOptions);
        let notation = Notation { seq_base, ack_base, options, window: depth != Depth::Numbers };
        let mut text = BodyText::of(&packet.body, notation);
        if let BodyText::Tcp(segment) = &mut text
            && depth == Depth::Options
            && !segment.flags.contains(Flags::SYN)
            && let OptionsText::List(list) = segment.options
        {
            segment.options = telling(&list).map_or(OptionsText::Unwritten, OptionsText::List);
        }
        match (&packet.body, belongs) {
            (Body::Tcp(_) | Body::Udp(_), None) => match packet.ports() {
                Some((from, to)) => format!("{text} ports {from} > {to}"),
                None => text.to_string(),
            },
            _ => text.to_string(),
        }
    }

    fn bases(&self, belongs: Belongs) -> (Seq, Seq) {
        let Some(incarnation) = self.trace.conns.get(belongs.conn).filter(|_| !self.absolute) else {
            return (Seq(0), Seq(0));
        };
        let iss = |side| incarnation.iss(side).unwrap_or(Seq(0));
        (iss(belongs.from), iss(belongs.from.flipped()))
    }

    /// The name of a connection.
    pub(super) fn conn(&self, conn: ConnId) -> String {
        self.trace.conns.name(conn)
    }

    /// What an endpoint told, apart from arrivals.
    pub(super) fn event(&self, event: &Event) -> String {
        match *event {
            Event::Transition { from, to, lasts, error, .. } => {
                let lasts = lasts.map_or_else(String::new, |span| format!(" ({span})"));
                let error = error.map_or_else(String::new, |errno| format!(", {errno}"));
                format!("{from} -> {to}{lasts}{error}")
            }
            Event::Timer { timer, change, .. } => timer_text(timer, change),
            Event::Arrival(_) => String::new(),
            Event::Cwnd { cwnd, ssthresh, .. } if ssthresh >= UNLIMITED => format!("cwnd {cwnd}, no ssthresh"),
            Event::Cwnd { cwnd, ssthresh, .. } => format!("cwnd {cwnd} ssthresh {ssthresh}"),
            Event::Queue { syn, accept, .. } => format!("syn {}/{} accept {}/{}", syn.0, syn.1, accept.0, accept.1),
        }
    }

    /// A call with its result, or as it begins; `conn` is the connection of a socket that it made.
    pub(super) fn call(&self, called: &Called, conn: Option<ConnId>) -> String {
        let names = self.trace.names;
        let call = match &called.call {
            Call::Bind(addr) => format!("bind {}", names.socket(*addr)),
            Call::Listen { backlog, .. } => format!("listen backlog {backlog}"),
            // A call that begins may not know yet where its listener listens.
            Call::Accept { local } if local.port() == 0 => "accept".to_owned(),
            Call::Accept { local } => format!("accept {}", names.socket(*local)),
            Call::Connect(_) if called.result.is_some() => "connect".to_owned(),
            Call::Connect(addr) => format!("connect {}", names.socket(*addr)),
            Call::Send(data) => format!("send {}", data.len()),
            Call::SendTo(data, addr) => format!("sendto {} {}", names.socket(*addr), data.len()),
            Call::Recv { .. } if is_end(called) => "recv".to_owned(),
            Call::Recv { max: usize::MAX } => "recv".to_owned(),
            Call::Recv { max } => format!("recv {max}"),
            Call::RecvFrom => "recvfrom".to_owned(),
            Call::Shutdown(how) => format!("shutdown {}", shutdown_name(*how)),
            Call::Close => "close".to_owned(),
            Call::Abort => "abort".to_owned(),
            Call::SetOption(option) => format!("setsockopt {} {}", option.name(), option_value(*option)),
        };
        let result = match &called.result {
            None => return format!("{call} ..."),
            Some(Err(errno)) => errno.to_string(),
            Some(Ok(done)) => self.done(done, conn),
        };
        let took = if called.took > Span::ZERO { format!(" (took {})", called.took) } else { String::new() };
        format!("{call} = {result}{took}")
    }

    fn done(&self, done: &Done, conn: Option<ConnId>) -> String {
        let names = self.trace.names;
        match done {
            Done::Unit => "0".to_owned(),
            Done::Count(n) => n.to_string(),
            Done::Accepted { stream, peer } => {
                let from = conn.map_or_else(|| names.socket(*peer), |conn| self.conn(conn));
                format!("{} ({from})", names.stream(*stream))
            }
            Done::Data(data) if data.is_empty() => "0 (end of stream)".to_owned(),
            Done::Data(data) => format!("{} {}", data.len(), Preview(data)),
            Done::Datagram(data, from) => format!("{} {} from {}", data.len(), Preview(data), names.socket(*from)),
        }
    }

    /// What the script did.
    pub(super) fn disturbance(&self, disturbance: &Disturbance) -> String {
        match disturbance {
            Disturbance::Host(fault) => match fault {
                HostFault::Crash => "crash".to_owned(),
                HostFault::Reboot { quiet: Span::ZERO } => "reboot".to_owned(),
                HostFault::Reboot { quiet } => format!("reboot, quiet for {quiet}"),
                HostFault::Kill => "process killed".to_owned(),
                HostFault::Pause => "pause".to_owned(),
                HostFault::Resume => "resume".to_owned(),
                HostFault::LinkDown(iface) => format!("interface {} loses its carrier", iface.0),
                HostFault::LinkUp(iface) => format!("interface {} has its carrier again", iface.0),
            },
            Disturbance::Down(link) => format!("link {} down", self.trace.names.link(*link)),
            Disturbance::Up(link) => format!("link {} up", self.trace.names.link(*link)),
            Disturbance::Skew(ppm) => format!("clock runs {ppm:+} ppm"),
            Disturbance::Injected(link) => format!("inject on {}", self.trace.names.link(*link)),
            Disturbance::Note(text) => text.clone(),
        }
    }
}

/// What an arriving packet turned out to be.
pub(super) fn outcome_text(outcome: Option<Arrival>) -> String {
    match outcome {
        None => "ok".to_owned(),
        Some(Arrival::Duplicate) => "OLD duplicate".to_owned(),
        Some(Arrival::OutOfOrder) => "EARLY kept".to_owned(),
        Some(Arrival::Dropped(reason)) => format!("DROP {reason}"),
    }
}

/// A slow-start threshold from here on restricts nothing; it is what stacks begin with.
const UNLIMITED: u32 = 0x7FFF_FFFF;

/// An ICMP error quotes what its receiver sent, so that its own numbers are those of the other direction.
fn flipped(quoted: Belongs) -> Belongs {
    Belongs { from: quoted.from.flipped(), ..quoted }
}

/// The options that tell something about a segment after the handshake: timestamps are on every one. Nothing if there
/// are no others; all of a list that does not parse.
fn telling(options: &Options) -> Option<Options> {
    let (mut all, mut told) = (Options::NONE, Options::NONE);
    for option in options.iter() {
        all.push(option).ok()?;
        if !matches!(option, TcpOption::Nop | TcpOption::End | TcpOption::Timestamps { .. }) {
            told.push(option).ok()?;
        }
    }
    if options.as_bytes().strip_prefix(all.as_bytes()).is_none_or(|rest| rest.iter().any(|byte| *byte != 0)) {
        return Some(*options);
    }
    (!told.is_empty()).then_some(told)
}

fn timer_text(timer: TimerKind, change: TimerChange) -> String {
    match change {
        TimerChange::Set(until) => format!("{} set until {until}", timer.name()),
        TimerChange::Restarted(span) => format!("{} restarted, {span}", timer.name()),
        TimerChange::Fired { after, count, next } => {
            let counted = match timer {
                TimerKind::Retransmit | TimerKind::SynAck => format!(", retransmission {count}"),
                TimerKind::LossProbe | TimerKind::Persist | TimerKind::KeepAlive => format!(", probe {count}"),
                _ => String::new(),
            };
            let next = next.map_or_else(String::new, |span| format!(", next in {span}"));
            format!("{} {after} fired{counted}{next}", timer.name())
        }
    }
}

fn is_end(called: &Called) -> bool {
    matches!(&called.result, Some(Ok(Done::Data(data))) if data.is_empty())
}

pub(super) fn shutdown_name(how: Shutdown) -> &'static str {
    match how {
        Shutdown::Read => "SHUT_RD",
        Shutdown::Write => "SHUT_WR",
        Shutdown::Both => "SHUT_RDWR",
    }
}

pub(super) fn option_value(option: SockOpt) -> String {
    let off = || "off".to_owned();
    match option {
        SockOpt::ReuseAddr(on)
        | SockOpt::ReusePort(on)
        | SockOpt::ExclusiveAddrUse(on)
        | SockOpt::KeepAlive(on)
        | SockOpt::OobInline(on)
        | SockOpt::V6Only(on)
        | SockOpt::NoDelay(on)
        | SockOpt::Cork(on)
        | SockOpt::Inq(on)
        | SockOpt::FastOpenConnect(on)
        | SockOpt::FastOpenNoCookie(on)
        | SockOpt::QuickAck(on) => u8::from(on).to_string(),
        SockOpt::Linger(span) | SockOpt::Linger2(span) => span.map_or_else(off, |span| span.to_string()),
        SockOpt::SendBuffer(n)
        | SockOpt::ReceiveBuffer(n)
        | SockOpt::NotSentLowat(n)
        | SockOpt::FastOpen(n)
        | SockOpt::ReceiveLowat(n) => n.to_string(),
        SockOpt::FastOpenKey(key) => key.primary.iter().map(|byte| format!("{byte:02x}")).collect(),
        SockOpt::Congestion(name) => name.name().to_owned(),
        SockOpt::MaxPacingRate(n) => n.to_string(),
        SockOpt::MtuDiscover(how) => how.name().to_owned(),
        SockOpt::Tos(n) | SockOpt::Ttl(n) => n.to_string(),
        SockOpt::Error(errno) => errno.map_or_else(|| "0".to_owned(), |errno| errno.to_string()),
        SockOpt::MaxSeg(n) => n.to_string(),
        SockOpt::SynCount(n) | SockOpt::KeepCount(n) => n.to_string(),
        SockOpt::UserTimeout(span)
        | SockOpt::KeepIdle(span)
        | SockOpt::KeepInterval(span)
        | SockOpt::DeferAccept(span) => span.to_string(),
    }
}

/// The first bytes of some data, in quotes.
struct Preview<'a>(&'a Payload);

impl fmt::Display for Preview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.0[..self.0.len().min(16) as usize];
        write!(f, "\"{}\"{}", head.escape_ascii(), if self.0.len() > 16 { "..." } else { "" })
    }
}
