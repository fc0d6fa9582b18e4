use crate::choice::MakerId;
use crate::endpoint::{
    Arrival, Attach, Cx, Effect, Endpoint, Errno, Event, IfaceId, SocketId, Sockets, State, Streams, TimerChange,
    TimerKind, Tuple,
};
use crate::time::{HostTime, Span};
use crate::wire::{Body, Flags, Packet, Segment, Seq};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const SUBJECT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// Where the subject listens, and the peer where the subject connects to it.
pub(super) const SERVICE: u16 = 80;
/// The port of a peer that connects.
const CLIENT: u16 = 50_000;
/// The peer's initial sequence number.
pub(super) const PEER_ISS: Seq = Seq(1_000_000_000);
/// Stands for the subject's where it has none.
pub(super) const NO_ISS: Seq = Seq(2_000_000_000);
/// Timeouts that may fire in one wait; an endpoint with more does nothing else.
const TIMEOUTS: u32 = 100_000;

/// Why an endpoint could not be brought into a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReached {
    /// It offers no sockets.
    NoSockets,
    /// A socket call failed.
    Call {
        /// Which.
        call: &'static str,
        /// How.
        errno: Errno,
    },
    /// It did not send what it had to.
    Silent {
        /// What was expected.
        expected: &'static str,
    },
    /// The way led into another state.
    Elsewhere {
        /// Which.
        state: State,
    },
    /// Its timeouts do not end.
    Restless,
}

/// An endpoint alone on a wire, and a peer that sends what it is told to.
pub(super) struct Stage {
    endpoint: Box<dyn Endpoint>,
    streams: Streams,
    now: HostTime,
    /// What the subject sent, and when.
    pub(super) sent: Vec<(HostTime, Segment)>,
    /// What the last arrival was called.
    pub(super) why: Option<&'static str>,
    /// Whether TIME-WAIT was started anew.
    pub(super) restarts: bool,
    pub(super) tuple: Tuple,
    /// The subject's, once its SYN was seen.
    pub(super) iss: Option<Seq>,
    /// What the subject sends next, as the wire shows it.
    pub(super) snd_nxt: Seq,
    /// The last octet that the subject's window takes, plus one.
    pub(super) rcv_end: Seq,
    /// What the peer sends next.
    pub(super) peer_nxt: Seq,
    pub(super) listener: Option<SocketId>,
    pub(super) socket: Option<SocketId>,
}

impl Stage {
    pub(super) fn new(endpoint: Box<dyn Endpoint>) -> Stage {
        let tuple = Tuple { local: SocketAddr::new(SUBJECT, SERVICE), remote: SocketAddr::new(PEER, CLIENT) };
        let mut stage = Stage {
            endpoint,
            streams: Streams::new(1, "subject", MakerId(0)),
            now: HostTime::ZERO,
            sent: Vec::new(),
            why: None,
            restarts: false,
            tuple,
            iss: None,
            snd_nxt: NO_ISS,
            rcv_end: PEER_ISS,
            peer_nxt: PEER_ISS,
            listener: None,
            socket: None,
        };
        let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        stage.attach(&Attach::Iface { iface: IfaceId(0), addrs: loopback, mtu: 65_536 });
        stage.attach(&Attach::Iface { iface: IfaceId(1), addrs: vec![SUBJECT], mtu: 1_500 });
        stage.attach(&Attach::Route { prefix: PEER, prefix_len: 32, iface: IfaceId(1) });
        stage
    }

    fn attach(&mut self, attach: &Attach) {
        self.with(|endpoint, cx| endpoint.on_attach(cx, attach));
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut dyn Endpoint, &mut Cx<'_>) -> R) -> R {
        let mut effects = Vec::new();
        let mut cx = Cx::new(self.now, &mut effects, &mut self.streams, true);
        let result = f(&mut *self.endpoint, &mut cx);
        for effect in effects {
            match effect {
                Effect::Send(_, packet) => self.take(*packet),
                Effect::Note(Event::Arrival(arrival)) => self.why = Some(named(arrival)),
                Effect::Note(Event::Timer {
                    timer: TimerKind::TimeWait, change: TimerChange::Restarted(_), ..
                }) => {
                    self.restarts = true;
                }
                Effect::Note(_) | Effect::Ready(..) => {}
            }
        }
        result
    }

    /// What the subject sends reaches the peer at once.
    fn take(&mut self, packet: Packet) {
        let Body::Tcp(segment) = packet.body else { return };
        if packet.dst != PEER {
            return;
        }
        if segment.has(Flags::SYN) && self.iss.is_none() {
            self.iss = Some(segment.seq);
            self.snd_nxt = segment.seq;
            // An active open: only now is the subject's port known.
            self.tuple.local.set_port(segment.src_port);
            self.tuple.remote.set_port(segment.dst_port);
        }
        if self.iss.is_some() && !segment.has(Flags::RST) {
            self.snd_nxt = self.snd_nxt.max(segment.end());
            if segment.has(Flags::ACK) {
                self.rcv_end = self.rcv_end.max(segment.ack + u32::from(segment.window));
            }
        }
        self.sent.push((self.now, segment));
    }

    /// The peer sends `segment`.
    pub(super) fn deliver(&mut self, segment: Segment) {
        let (src_port, dst_port) = (self.tuple.remote.port(), self.tuple.local.port());
        let packet = Packet::new(PEER, SUBJECT, Body::Tcp(Segment { src_port, dst_port, ..segment }));
        self.with(|endpoint, cx| endpoint.on_packet(cx, IfaceId(1), &packet));
    }

    /// The peer sends the next segment of its own: SEG.SEQ goes on from what it sent before.
    pub(super) fn peer(&mut self, flags: Flags, ack: Seq, data: &str) {
        let ack = if flags.contains(Flags::ACK) { ack } else { Seq(0) };
        let segment =
            Segment { seq: self.peer_nxt, ack, flags, window: u16::MAX, payload: data.into(), ..Segment::default() };
        self.peer_nxt = segment.end();
        self.deliver(segment);
    }

    /// A socket call of the subject's application.
    pub(super) fn call<R>(
        &mut self,
        f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> Result<R, Errno>,
    ) -> Option<Result<R, Errno>> {
        self.with(|endpoint, cx| endpoint.sockets().map(|sockets| f(sockets, cx)))
    }

    /// The same, where it must succeed.
    pub(super) fn must<R>(
        &mut self,
        call: &'static str,
        f: impl FnOnce(&mut dyn Sockets, &mut Cx<'_>) -> Result<R, Errno>,
    ) -> Result<R, NotReached> {
        let result = self.call(f).ok_or(NotReached::NoSockets)?;
        result.map_err(|errno| NotReached::Call { call, errno })
    }

    /// Lets `span` pass.
    pub(super) fn wait(&mut self, span: Span) -> Result<(), NotReached> {
        let end = self.now + span;
        while self.fire_before(end)? {}
        self.now = end;
        Ok(())
    }

    /// Lets time pass until a timeout has changed the state, `span` at most; true if one did.
    pub(super) fn wait_for_change(&mut self, span: Span) -> Result<bool, NotReached> {
        let (end, before) = (self.now + span, self.state());
        while self.state() == before {
            if !self.fire_before(end)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fires the next instant with timeouts, if it comes before `end`.
    fn fire_before(&mut self, end: HostTime) -> Result<bool, NotReached> {
        let Some(due) = self.endpoint.next_timeout().filter(|due| *due <= end) else { return Ok(false) };
        self.now = self.now.max(due);
        for _ in 0..TIMEOUTS {
            self.with(|endpoint, cx| endpoint.on_timeout(cx));
            if self.endpoint.next_timeout().is_none_or(|next| next > self.now) {
                return Ok(true);
            }
        }
        Err(NotReached::Restless)
    }

    /// The state of the connection, or of the listener where there is no connection; nothing where none is shown.
    pub(super) fn state(&self) -> Option<State> {
        if !self.endpoint.shows_state() {
            return None;
        }
        let mut state = None;
        self.endpoint.connections(&mut |view| {
            if view.tuple == self.tuple {
                state = Some(view.state);
            }
        });
        let mut listens = false;
        self.endpoint.listeners(&mut |view| listens |= Some(view.socket) == self.listener);
        // Once there is a socket, the connection is what counts, not the listener that it came from.
        let listens = listens && self.socket.is_none();
        Some(state.unwrap_or(if listens { State::Listen } else { State::Closed }))
    }

    pub(super) fn now(&self) -> HostTime {
        self.now
    }

    pub(super) fn service(&self) -> SocketAddr {
        SocketAddr::new(PEER, SERVICE)
    }
}

fn named(arrival: Arrival) -> &'static str {
    match arrival {
        Arrival::Duplicate => "duplicate",
        Arrival::OutOfOrder => "out of order",
        Arrival::Dropped(reason) => reason.name(),
    }
}

impl fmt::Display for NotReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReached::NoSockets => f.write_str("the endpoint offers no sockets"),
            NotReached::Call { call, errno } => write!(f, "{call} = {errno}"),
            NotReached::Silent { expected } => write!(f, "it did not send {expected}"),
            NotReached::Elsewhere { state } => write!(f, "the way there ended in {state}"),
            NotReached::Restless => f.write_str("its timeouts do not end"),
        }
    }
}

impl std::error::Error for NotReached {}
