use super::flights::Flights;
use crate::sim::{App, AppCx, Wake};
use crate::time::{HostTime, Span};
use std::net::SocketAddr;

/// A client that makes requests on a schedule, each on a connection of its own: connects, sends the request, reads the
/// whole response, closes.
///
/// One request at once, unless told otherwise. The next does not wait for the last. Each reports an attempt.
#[derive(Debug)]
pub struct Requester {
    remote: SocketAddr,
    after: Span,
    every: Span,
    times: u64,
    /// When the next one starts, if there is a next one.
    next: Option<HostTime>,
    flights: Flights,
}

impl Requester {
    /// One request of `request` bytes to `remote`, answered by `response` bytes.
    pub fn new(remote: SocketAddr, request: u64, response: u64) -> Requester {
        let flights = Flights::new(request, response);
        Requester { remote, after: Span::ZERO, every: Span::ZERO, times: 1, next: None, flights }
    }

    /// Gives up a request that has not ended `timeout` after its start, and closes its connection.
    pub fn timeout(mut self, timeout: Span) -> Requester {
        self.flights.set_timeout(timeout);
        self
    }

    /// Starts the first request `after` so long.
    pub fn after(mut self, after: Span) -> Requester {
        self.after = after;
        self
    }

    /// Makes `times` requests, one `every` so often.
    pub fn every(mut self, every: Span, times: u64) -> Requester {
        (self.every, self.times) = (every, times);
        self
    }
}

impl App for Requester {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.next = (self.times > 0).then(|| cx.now() + self.after);
        cx.set_timer(self.next);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if let Wake::Ready(socket, _) = wake {
            self.flights.ready(cx, socket);
        }
        while self.flights.expire(cx) {}
        while let Some(next) = self.next
            && next <= cx.now()
        {
            self.times -= 1;
            self.next = (self.times > 0).then(|| next + self.every);
            self.flights.start(cx, self.remote);
        }
        cx.set_timer(self.next.into_iter().chain(self.flights.next_deadline()).min());
    }
}
