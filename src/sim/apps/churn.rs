use super::flights::Flights;
use crate::sim::{App, AppCx, Wake};
use crate::time::{HostTime, Span, ns};
use std::net::SocketAddr;

/// A client that goes through many connections: connects, sends, reads, closes, and starts the next.
///
/// Made for a [`RequestResponse`](super::RequestResponse) server of the same sizes, which closes its side in turn.
/// Each connection reports an attempt. A connection that fails at once is not waited for.
#[derive(Debug)]
pub struct Churn {
    remote: SocketAddr,
    count: u64,
    started: u64,
    at_once: usize,
    rate: Option<(u64, Span)>,
    began: HostTime,
    flights: Flights,
}

impl Churn {
    /// `count` connections to `remote`, one after the other, `request` bytes sent and `response` bytes read on each.
    pub fn new(remote: SocketAddr, count: u64, request: u64, response: u64) -> Churn {
        let flights = Flights::new(request, response);
        Churn { remote, count, started: 0, at_once: 1, rate: None, began: HostTime::ZERO, flights }
    }

    /// Keeps `n` connections going at a time, at least 1.
    pub fn at_once(mut self, n: usize) -> Churn {
        self.at_once = n.max(1);
        self
    }

    /// Starts `n` connections `per` so long, evenly spaced, at least 1, however many are going on.
    pub fn rate(mut self, n: u64, per: Span) -> Churn {
        self.at_once = usize::MAX;
        self.rate = Some((n.max(1), per));
        self
    }

    /// Lets the server close first: reads to the end of the stream before it closes.
    pub fn server_closes(mut self) -> Churn {
        self.flights.read_until_end();
        self
    }

    /// Gives up a connection that has not ended `timeout` after its start.
    pub fn timeout(mut self, timeout: Span) -> Churn {
        self.flights.set_timeout(timeout);
        self
    }

    /// When the next connection may start, if there is a next one.
    fn next(&self) -> Option<HostTime> {
        let due = self.rate.map_or(Span::ZERO, |(n, per)| {
            let nanos = u128::from(self.started) * u128::from(per.as_nanos()) / u128::from(n);
            ns(u64::try_from(nanos).unwrap_or(u64::MAX))
        });
        (self.started < self.count && self.flights.len() < self.at_once).then(|| self.began + due)
    }
}

impl App for Churn {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.began = cx.now();
        cx.wake_at(self.began);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if let Wake::Ready(socket, _) = wake {
            self.flights.ready(cx, socket);
        }
        while self.flights.expire(cx) {}
        while self.next().is_some_and(|next| next <= cx.now()) {
            self.started += 1;
            self.flights.start(cx, self.remote);
        }
        cx.set_timer(self.next().into_iter().chain(self.flights.next_deadline()).min());
    }
}
