//! A connection from SYN-SENT to LAST-ACK.

mod ack;
mod acked;
mod bsd;
mod close;
mod early;
mod fast_open;
mod icmp;
mod info;
mod open;
mod output;
mod patience;
mod segment;
mod text;
mod timeout;
mod transmit;
mod user;
mod validate;

pub(super) use early::EarlySyns;

use self::fast_open::Fast;
use super::acks::Acks;
use super::newreno::NewReno;
use super::rcv::Rcv;
use super::rto::Rto;
use super::sack::Sacks;
use super::sender::Sender;
use super::snd::{End, Snd, Syn};
use super::throttle::Throttle;
use super::timers::Timers;
use super::timestamps::Timestamps;
use super::{Closing, Ports, Setup};
use crate::endpoint::{Errno, RcvView, SndView, State};
use crate::time::{HostTime, Span};
use crate::wire::Seq;

/// One connection: SYN-SENT, SYN-RECEIVED by simultaneous open, and every state from ESTABLISHED to LAST-ACK.
///
/// The contract of its methods stands at [the module](super). When it enters TIME-WAIT, [`Connection::poll_closing`]
/// gives the small machine that goes on; from then on this one sends nothing and waits for nothing, and is kept only
/// as long as the application has something to read.
#[derive(Clone, Debug)]
pub struct Connection {
    state: State,
    ports: Ports,
    snd: Snd,
    rcv: Rcv,
    rto: Rto,
    recovery: NewReno,
    /// Takes the place of `recovery` once our SYN is acknowledged, where losses are repaired by segments.
    sender: Option<Box<Sender>>,
    timers: Timers,
    ts: Option<Timestamps>,
    /// Whether both ends permit selective acknowledgments.
    sack: bool,
    /// Whether both scale their windows.
    scales: bool,
    sacks: Sacks,
    /// When a segment, a timeout or the application last made it look at the clock, and whether it has not since.
    read_at: HostTime,
    is_stale: bool,
    /// Where the last segment ends that was sent and was not full.
    partial: Option<Seq>,
    /// Whether what was transmitted last may be marked by the network (RFC 3168 5).
    ect: bool,
    persist: Persist,
    ack: Ack,
    pace: Acks,
    throttle: Throttle,
    urgently: Option<Urgently>,
    /// `MSG_MORE` on the last write: a partial segment waits for more.
    more: bool,
    /// Whether a write took less than was asked; the application waits for room.
    blocked: bool,
    /// Whether the write waits for memory, not for room in the buffer.
    starving: bool,
    /// Whether a write waits for the handshake.
    awaited: bool,
    /// Whether there is no way out: what is sent goes nowhere, and what is new is not sent.
    cut_off: bool,
    keep: Keep,
    /// When data last left, for RFC 5681 4.1.
    last_sent: HostTime,
    events: Pending,
    error: Option<Errno>,
    /// The last soft ICMP error: the reason given if the connection times out (RFC 9293 3.9.2.2).
    soft_error: Option<Errno>,
    /// Whether the application has shut down reading.
    shut: bool,
    closing: Option<Closing>,
    /// Where Fast Open has a part in it.
    fast: Option<Box<Fast>>,
    setup: Setup,
}

/// What the persist timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Persist {
    /// Nothing waits, or an acknowledgment will move it.
    Idle,
    /// The window is closed: probes (RFC 9293 3.8.6.1).
    Probe {
        /// Probes since the window closed, for the interval.
        sent: u8,
        /// Probes in a row that nothing answered.
        unanswered: u8,
        /// Since when.
        since: HostTime,
    },
    /// The window or a cork holds back a partial segment: the override timeout.
    Override,
    /// That timeout has passed: the next segment goes, however small.
    Overridden,
}

/// What we owe the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ack {
    /// Nothing.
    None,
    /// An acknowledgment of this many bytes, within the delay.
    Delayed(u32),
    /// An acknowledgment at once.
    Now,
}

/// What is sent before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgently {
    /// A reset with this number, and this acknowledgment where it carries one.
    Reset(Seq, Option<Seq>),
    /// The reset that CLOSED answers a SYN with which ends before this number (RFC 9293 3.10.7.1).
    Refuse(Seq),
    /// A challenge ACK that is no other acknowledgment.
    Challenge,
    /// A window probe.
    WindowProbe,
    /// A keepalive probe.
    KeepAlive,
    /// A tail loss probe.
    LossProbe,
}

/// Keepalive.
#[derive(Clone, Copy, Debug)]
struct Keep {
    /// When the peer was last heard.
    heard: HostTime,
    /// Probes since.
    probes: u8,
}

bitflags::bitflags! {
    /// Events that wait for `poll_event`, in the order in which it gives them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Pending: u8 {
        const CONNECTED = 1;
        const URGENT = 2;
        const READABLE = 4;
        const WRITABLE = 8;
        const PEER_CLOSED = 16;
        const ENDED = 32;
    }
}

/// What changed for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnEvent {
    /// The handshake is over.
    Connected,
    /// There is more to read.
    Readable,
    /// The send buffer has room again.
    Writable,
    /// The peer's FIN has come: the stream ends after what is queued.
    PeerClosed,
    /// New urgent data is announced.
    Urgent,
    /// The connection is over, with an error.
    Failed(Errno),
    /// The connection is over, in order.
    Closed,
}

impl Connection {
    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Bytes `receive` would give, an urgent byte out of line not counted.
    pub fn readable(&self) -> usize {
        let len = self.rcv.queue.len();
        let inside = |u: super::urgent::Urgent| (u.distance(self.rcv.read_seq()) as usize) < len;
        len - usize::from(!self.setup.oob_inline && self.rcv.urgent.is_some_and(inside))
    }

    /// Whether something has come that nobody has read past, if only an urgent byte that was read out of line.
    pub fn has_unread(&self) -> bool {
        !self.rcv.queue.is_empty()
    }

    /// Free bytes of the send buffer; 0 where nothing may be written.
    pub fn writable(&self) -> u32 {
        let open = matches!(self.state, State::Established | State::CloseWait)
            || (self.state == State::SynReceived && self.is_early());
        let may = open && self.snd.end == End::Open && !self.starving;
        if may && self.unsent() < self.setup.notsent_lowat.div_ceil(2) { self.snd.free() } else { 0 }
    }

    /// Bytes that are queued, to send and to be read, as the host's memory counts them.
    pub fn memory(&self) -> u64 {
        u64::from(self.snd.queued()) + self.rcv.memory()
    }

    /// Bytes written and not sent.
    fn unsent(&self) -> u32 {
        u32::try_from(self.snd.data_end().diff(self.snd.nxt.max(self.snd.iss + 1))).unwrap_or(0)
    }

    /// Whether the peer's FIN has been taken: behind what is readable, `receive` gives 0 for ever.
    pub fn at_end(&self) -> bool {
        self.rcv.at_end()
    }

    /// Whether urgent data is announced that the application has not read past.
    pub fn has_urgent(&self) -> bool {
        self.rcv.urgent.is_some()
    }

    /// Whether urgent data is announced whose last byte has not come.
    pub fn awaits_urgent(&self) -> bool {
        let ahead = |u: super::urgent::Urgent| u.distance(self.rcv.read_seq()) as usize;
        !self.setup.oob_inline && self.rcv.urgent.is_some_and(|u| ahead(u) >= self.rcv.queue.len())
    }

    /// Whether the next byte to read is the last urgent one (`sockatmark`).
    pub fn at_mark(&self) -> bool {
        self.rcv.urgent.is_some_and(|u| u.distance(self.rcv.read_seq()) == 0)
    }

    /// Why the connection died, until [`Connection::take_error`].
    pub fn error(&self) -> Option<Errno> {
        self.error
    }

    /// Gives the error and forgets it.
    pub fn take_error(&mut self) -> Option<Errno> {
        self.error.take()
    }

    /// The last ICMP error that did not end the connection.
    pub fn soft_error(&self) -> Option<Errno> {
        self.soft_error
    }

    /// Whether our FIN is acknowledged.
    pub fn fin_acked(&self) -> bool {
        self.snd.fin_acked()
    }

    /// Whether everything written is acknowledged.
    pub fn all_acked(&self) -> bool {
        self.snd.syn == Syn::Acked && self.snd.una == self.snd.all_end()
    }

    /// Whether the user has closed its side.
    pub fn is_closed_for_sending(&self) -> bool {
        self.snd.end == End::Closed
    }

    /// Whether the segment that `poll_transmit` gave last is to leave as one that the network may mark (RFC 3168 5).
    pub fn is_ect(&self) -> bool {
        self.ect
    }

    /// The size of the receive buffer, in bytes.
    pub fn receive_buffer(&self) -> u32 {
        self.rcv.buf
    }

    /// Smoothed round-trip time, once measured.
    pub fn srtt(&self) -> Option<Span> {
        self.rto.srtt()
    }

    /// Bytes a segment carries at most.
    pub fn send_mss(&self) -> u16 {
        self.snd.mss
    }

    /// Send sequence variables.
    pub fn snd_view(&self) -> SndView {
        let Snd { iss, una, nxt, wnd, .. } = self.snd;
        SndView { iss, una, nxt, wnd, cwnd: self.window_bytes().0, queued: u64::from(self.snd.queued()) }
    }

    /// Receive sequence variables; none before the peer's SYN.
    pub fn rcv_view(&self) -> Option<RcvView> {
        let Rcv { irs, nxt, .. } = self.rcv;
        let view = RcvView { irs, nxt, wnd: self.rcv.wnd(), queued: self.rcv.queue.len() as u64 };
        (self.state != State::SynSent).then_some(view)
    }

    /// When [`Connection::on_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<HostTime> {
        self.timers.next()
    }

    /// The next thing that changed for the application.
    pub fn poll_event(&mut self) -> Option<ConnEvent> {
        let next = Pending::from_bits_retain(self.events.bits() & self.events.bits().wrapping_neg());
        if next.is_empty() {
            return None;
        }
        self.events.remove(next);
        Some(match next {
            Pending::CONNECTED => ConnEvent::Connected,
            Pending::URGENT => ConnEvent::Urgent,
            Pending::READABLE => ConnEvent::Readable,
            Pending::WRITABLE => ConnEvent::Writable,
            Pending::PEER_CLOSED => ConnEvent::PeerClosed,
            _ => self.error.map_or(ConnEvent::Closed, ConnEvent::Failed),
        })
    }

    /// Whether it is closed, or gives way to another machine.
    pub fn is_over(&self) -> bool {
        self.state == State::Closed || self.closing.is_some()
    }

    /// The machine that goes on where this one ends: given once, on entering TIME-WAIT, or FIN-WAIT-2 without owner.
    pub fn poll_closing(&mut self) -> Option<Closing> {
        self.closing.take()
    }

    /// What must hold between calls.
    fn check(&self) {
        if !matches!(self.state, State::Closed | State::TimeWait) {
            self.snd.check();
        }
        if !matches!(self.state, State::Closed | State::SynSent) {
            self.rcv.check();
        }
    }
}
