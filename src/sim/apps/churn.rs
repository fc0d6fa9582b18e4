use super::flights::Flights;
use crate::sim::{App, AppCx, Wake};
use crate::time::Span;
use std::net::SocketAddr;

/// A client that goes through many connections: connects, sends 1 KiB, reads 1 KiB, closes, and starts the next.
///
/// Made for a [`RequestResponse`](super::RequestResponse) server of the same sizes, which closes its side in turn.
/// Each connection reports an attempt.
#[derive(Debug)]
pub struct Churn {
    remote: SocketAddr,
    left: u64,
    at_once: usize,
    flights: Flights,
}

impl Churn {
    /// `count` connections to `remote`, one after the other.
    pub fn new(remote: SocketAddr, count: u64) -> Churn {
        Churn { remote, left: count, at_once: 1, flights: Flights::new(1_024, 1_024) }
    }

    /// Keeps `n` connections going at a time, at least 1.
    pub fn at_once(mut self, n: usize) -> Churn {
        self.at_once = n.max(1);
        self
    }

    /// Sends `request` bytes and reads `response` bytes a connection.
    pub fn sizes(mut self, request: u64, response: u64) -> Churn {
        self.flights.set_sizes(request, response);
        self
    }

    /// Gives up a connection that has not ended `timeout` after its start.
    pub fn timeout(mut self, timeout: Span) -> Churn {
        self.flights.set_timeout(timeout);
        self
    }
}

impl App for Churn {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        cx.wake_at(cx.now());
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if let Wake::Ready(socket, _) = wake {
            self.flights.ready(cx, socket);
        }
        while self.flights.expire(cx) {}
        while self.left > 0 && self.flights.len() < self.at_once {
            self.left -= 1;
            self.flights.start(cx, self.remote);
        }
        cx.set_timer(self.flights.next_deadline());
    }
}
