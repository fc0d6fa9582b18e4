//! Applications: servers, clients and loads to put on a host with [`Sim::app`](crate::sim::Sim::app).
//!
//! Each is a small machine over non-blocking socket calls, counts and reports through its
//! [`Stats`](crate::sim::Stats), and sets no timer that it does not need: a run in which nothing more will happen ends.
//! Clients begin when the run first goes on, not when they are added, so that links may be added after them.
//!
//! | application | what it does | socket calls | it ends |
//! |---|---|---|---|
//! | [`Sink`] | accepts, reads everything | `listen` `accept` `recv` `close` | a connection: at the end of its stream or an error; never, if told to leave it open |
//! | [`Echo`] | sends back what it reads; reads nothing while its send is blocked | `listen` `accept` `recv` `send` `close` | likewise, when all is sent back |
//! | [`Source`] | sends N bytes of a pattern, at a pace if told, as a client or to each client | `connect` or `listen` `accept`, `send` `close` | a connection: when all is sent |
//! | [`RequestResponse`] | answers requests of a fixed size | `listen` `accept` `recv` `send` `close` | a connection: at its end, after idling, or after one answer, as told |
//! | [`Requester`] | one connection a request, on a schedule, with a timeout | `connect` `send` `recv` `close` | after its last request |
//! | [`Retry`] | repeats one request with exponential back-off | `connect` `send` `recv` `close` | at the first answer, or after the last attempt |
//! | [`Churn`] | N connections, k at a time or at a rate, data both ways | `connect` `send` `recv` `close` | after the N-th |
//! | [`Pool`] | leases connections for its requests, keeps them for the next | `connect` `send` `recv` `close` | after its last request; what idles stays open until its idle timeout |
//! | [`Acceptor`] | accepts at a limited rate, stands still at times, reads everything | `listen` `accept` `recv` `close` | a connection: as [`Sink`] |
//! | [`Idle`] | opens or accepts connections, then nothing | `connect` or `listen` `accept` | never |
//! | [`DatagramSource`] | sends bursts of datagrams | `sendto` | after its last burst |
//! | [`DatagramSink`] | counts datagrams | `bind` `recvfrom` | never |
//!
//! [`Raw`] is no application but an endpoint without a stack: it sends the packets it is told to, SYN floods included.
//! [`Sim::raw`](crate::sim::Sim::raw) tells it, before the run or in its middle.
//!
//! A server that cannot listen, or a source of datagrams that gets no socket, reports it as a failed
//! [`Attempt`](crate::sim::Attempt).

mod acceptor;
mod alarms;
mod churn;
mod datagrams;
mod echo;
mod exchange;
mod flights;
mod idle;
mod listener;
mod pattern;
mod pool;
mod raw;
mod requester;
mod responder;
mod retry;
mod sink;
mod source;

pub use acceptor::Acceptor;
pub use churn::Churn;
pub use datagrams::{DatagramSink, DatagramSource};
pub use echo::Echo;
pub use idle::Idle;
pub use pattern::pattern;
pub use pool::{Pool, PoolPolicy};
pub use raw::{Raw, SynFlood};
pub use requester::Requester;
pub use responder::RequestResponse;
pub use retry::{Backoff, Retry};
pub use sink::Sink;
pub use source::Source;
