//! TCP (RFC 9293) as three pure machines: `(state, now, input) -> outputs`.
//!
//! [`Connection`] is everything from SYN-SENT to LAST-ACK; [`HalfOpen`] is a passive SYN-RECEIVED; [`Closing`] is
//! TIME-WAIT and a FIN-WAIT-2 that nobody owns. A `HalfOpen` ends by yielding a `Connection`, a `Connection` by
//! yielding a `Closing`. LISTEN and CLOSED are not connections: a listener belongs to the host, and the answer of
//! CLOSED is [`reset_for`].
//!
//! # Contract
//! There are four kinds of method and no others:
//! - getters;
//! - `on_*`: what comes from outside (segment, timeout, ICMP error);
//! - user verbs (`open`, `send`, `receive`, `close`, `abort`, options);
//! - `poll_*`: what comes out (segments, events, the small machine that follows, the next timeout).
//!
//! After each touch drain fully, in this order: `poll_transmit` until `None`, `poll_event` until `None`,
//! `poll_closing`, then `poll_timeout`. Whatever comes from outside arrives in a borrowed [`Context`]; what happened
//! besides is noted there as a [`TcpEvent`]. Nothing here fails or panics on what the network brings: the answer is a
//! segment, a change of state, or a named reason for a drop.

mod acks;
mod closing;
mod connection;
mod context;
mod cookie;
mod fast_open;
mod give_up;
mod half_open;
mod handshake;
mod knobs;
mod nagle;
mod newreno;
mod rcv;
mod reset;
mod rto;
mod sack;
mod sender;
mod snd;
mod space;
mod tally;
mod throttle;
mod ticks;
mod timers;
mod timestamps;
mod urgent;
mod window;

pub use closing::{Closing, ClosingStep};
pub use connection::{ConnEvent, Connection};
pub use context::{Context, Limits, Ports, TcpEvent};
pub use cookie::{Kept, cookie_syn_ack};
pub use fast_open::{FastOpenAsk, FastOpenCookie, FastOpenKind, FastOpenLearned};
pub use give_up::GiveUp;
pub use half_open::{Demands, HalfOpen, HalfOpenStep};
pub use knobs::{
    AckRule, CheckRule, ClosingRule, EcnRule, GiveUpReset, Handshake, IcmpRule, KeepAlive, Knobs, Linger2, Losses,
    NagleRule, RecoveryRule, Route, RttRule, Setup, SynLayout, SynReceivedRule, WindowProbe, WindowRule,
};
pub use reset::reset_for;
pub use tally::{Arrived, Tally};
pub use ticks::{Ticks, TimerRule};
