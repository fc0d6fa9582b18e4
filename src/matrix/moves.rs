//! The ways out of a state that begin at home: calls of the user, and timers.

use super::cell::Reply;
use super::experiment::notation;
use super::reach::{Place, reach};
use super::stage::{NotReached, Stage};
use crate::endpoint::{Endpoint, Shutdown, State};
use crate::time::{Span, secs};
use crate::wire::Segment;

/// Longer than any retransmission goes on (RFC 9293 3.8.3 has minutes), shorter than keepalive's two hours.
const LONG: Span = secs(7_000);

/// A way out of a state that is no segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The call, or `timeout`.
    pub event: &'static str,
    /// What was sent.
    pub replies: Vec<Reply>,
    /// Where it leads.
    pub to: State,
}

const EVENTS: [&str; 6] = ["listen", "connect", "close", "close of the listener", "abort", "timeout"];

/// The moves out of `place`; those that lead nowhere else are left out, and those that the endpoint cannot make.
pub(super) fn moves(make: &dyn Fn() -> Box<dyn Endpoint>, place: Place) -> Vec<Move> {
    EVENTS.into_iter().filter_map(|event| one(make, place, event).ok().flatten()).collect()
}

fn one(make: &dyn Fn() -> Box<dyn Endpoint>, place: Place, event: &'static str) -> Result<Option<Move>, NotReached> {
    let state = place.state;
    let mut stage = reach(make, place)?;
    stage.sent.clear();
    match event {
        "listen" if state == State::Closed => stage.listen()?,
        "connect" if state == State::Closed => stage.connect()?,
        "close" if state == State::Listen || stage.socket.is_some() => stage.leave(state)?,
        "close of the listener" if state == State::SynReceived && !place.crossed => stage.leave(state)?,
        "abort" if stage.socket.is_some() => stage.abort()?,
        "timeout" => {
            if stage.wait_for_change(LONG)? {
                // What it sent on the way were retransmissions; the last word is what belongs to the move.
                let now = stage.now();
                stage.sent.retain(|(at, _)| *at == now);
            }
        }
        _ => return Ok(None),
    }
    let Some(to) = stage.state().filter(|to| *to != state) else { return Ok(None) };
    let (iss, none) = (stage.iss, Segment::default());
    let reply =
        |sent: &Segment| Reply { after: Span::ZERO, flags: sent.flags, text: notation(sent, &none, iss, state) };
    let replies = stage.sent.iter().map(|(_, sent)| reply(sent)).collect();
    Ok(Some(Move { event, replies, to }))
}

impl Stage {
    /// The user wants no more: `close` of what is not open yet, else `shutdown(SHUT_WR)`, the CLOSE of RFC 9293.
    fn leave(&mut self, state: State) -> Result<(), NotReached> {
        let Some(socket) = self.socket else {
            let Some(listener) = self.listener.take() else { return Ok(()) };
            return self.must("close", |s, cx| s.close(cx, listener));
        };
        if state == State::SynSent {
            return self.must("close", |s, cx| s.close(cx, socket));
        }
        self.must("shutdown", |s, cx| s.shutdown(cx, socket, Shutdown::Write))
    }

    fn abort(&mut self) -> Result<(), NotReached> {
        let Some(socket) = self.socket else { return Ok(()) };
        self.must("abort", |s, cx| s.abort(cx, socket))
    }
}
