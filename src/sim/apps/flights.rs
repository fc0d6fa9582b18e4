use super::alarms::Alarms;
use super::exchange::{Exchange, Shape, connecting};
use crate::endpoint::SocketId;
use crate::map::Map;
use crate::sim::{AppCx, AttemptEnd};
use crate::time::{HostTime, Span};
use crate::wire::Rope;
use std::net::SocketAddr;

/// Exchanges under way, each on a connection of its own that is closed at its end, each end reported.
#[derive(Debug)]
pub(super) struct Flights {
    shape: Shape,
    timeout: Option<Span>,
    open: Map<SocketId, Exchange>,
    deadlines: Alarms<SocketId>,
    got: Rope,
}

impl Flights {
    pub(super) fn new(request: u64, response: u64) -> Flights {
        let shape = Shape::new(request, response);
        Flights { shape, timeout: None, open: Map::new(), deadlines: Alarms::default(), got: Rope::new() }
    }

    pub(super) fn read_until_end(&mut self) {
        self.shape.read_until_end();
    }

    pub(super) fn set_timeout(&mut self, timeout: Span) {
        self.timeout = Some(timeout);
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// When the next one times out.
    pub(super) fn next_deadline(&self) -> Option<HostTime> {
        self.deadlines.next()
    }

    /// Starts one; its end, where it fails at once.
    pub(super) fn start(&mut self, cx: &mut AppCx<'_>, remote: SocketAddr) -> Option<AttemptEnd> {
        let began = cx.now();
        cx.count("started", 1);
        match connecting(cx, remote) {
            Ok(socket) => {
                self.open.insert(socket, Exchange::connecting(began, remote));
                if let Some(timeout) = self.timeout {
                    self.deadlines.add(began + timeout, socket);
                }
                None
            }
            Err(errno) => {
                let end = AttemptEnd::Failed(errno);
                cx.attempted(began, end);
                Some(end)
            }
        }
    }

    /// `socket` is ready; the end of its exchange, if it comes to one.
    pub(super) fn ready(&mut self, cx: &mut AppCx<'_>, socket: SocketId) -> Option<AttemptEnd> {
        let exchange = self.open.get_mut(&socket)?;
        let end = exchange.go_on(cx, socket, &self.shape, &mut self.got)?;
        self.end(cx, socket, end);
        Some(end)
    }

    /// Gives up one whose time is over; whether there was one.
    pub(super) fn expire(&mut self, cx: &mut AppCx<'_>) -> bool {
        let Some(socket) = self.deadlines.pop(cx.now()) else { return false };
        self.end(cx, socket, AttemptEnd::TimedOut);
        true
    }

    fn end(&mut self, cx: &mut AppCx<'_>, socket: SocketId, end: AttemptEnd) {
        let Some(exchange) = self.open.remove(&socket) else { return };
        if let Some(timeout) = self.timeout {
            self.deadlines.remove(exchange.began + timeout, socket);
        }
        cx.attempted(exchange.began, end);
        cx.close(socket).ok();
    }
}
