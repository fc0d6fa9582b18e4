//! The way into each state: socket calls, and segments of a peer that keeps to the rules.

use super::stage::{NotReached, SERVICE, Stage};
use crate::endpoint::{Endpoint, Errno, Family, MsgFlags, Shutdown, SocketKind, State};
use crate::time::secs;
use crate::wire::{Flags, Payload, Rope, Seq};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What each end has sent and the other has read before the experiment: with the SYN the next number is 100.
const EXCHANGED: usize = 99;

/// A state, and which of two ways leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) state: State,
    /// SYN-RECEIVED, reached from SYN-SENT: both ends connected at once.
    pub(super) crossed: bool,
}

impl Place {
    /// Every state, SYN-RECEIVED in both ways.
    pub(super) fn all() -> Vec<Place> {
        let ways = |state| [false, true].into_iter().map(move |crossed| Place { state, crossed });
        let is_there = |place: &Place| place.state == State::SynReceived || !place.crossed;
        State::ALL.into_iter().flat_map(ways).filter(is_there).collect()
    }
}

/// Brings a fresh endpoint to `place`.
///
/// SYN-SENT comes of `connect`; every later state of a passive open, whose listener goes on listening: a SYN in
/// TIME-WAIT finds one. The subject closes by `shutdown(SHUT_WR)`, so that its socket stays and shows what comes.
pub(super) fn reach(make: &dyn Fn() -> Box<dyn Endpoint>, place: Place) -> Result<Stage, NotReached> {
    let state = place.state;
    let mut stage = Stage::new(make());
    match state {
        State::Closed => {}
        State::SynSent => stage.connect()?,
        _ if place.crossed => {
            stage.connect()?;
            stage.peer(Flags::SYN, Seq(0), "");
            stage.must_have_sent(Flags::SYN | Flags::ACK, "a SYN-ACK")?;
        }
        _ => stage.lead_to(state)?,
    }
    match stage.state() {
        Some(found) if found != state => Err(NotReached::Elsewhere { state: found }),
        _ => Ok(stage),
    }
}

impl Stage {
    /// The active open.
    pub(super) fn connect(&mut self) -> Result<(), NotReached> {
        let to = self.service();
        let socket = self.must("socket", |s, cx| s.socket(cx, Family::V4, SocketKind::Stream))?;
        match self.must("connect", |s, cx| s.connect(cx, socket, to)) {
            Ok(()) | Err(NotReached::Call { errno: Errno::EINPROGRESS, .. }) => {}
            Err(error) => return Err(error),
        }
        self.socket = Some(socket);
        self.must_have_sent(Flags::SYN, "a SYN")
    }

    /// The passive open, and on from there.
    fn lead_to(&mut self, state: State) -> Result<(), NotReached> {
        self.listen()?;
        if state == State::Listen {
            return Ok(());
        }
        self.peer(Flags::SYN, Seq(0), "");
        self.must_have_sent(Flags::SYN | Flags::ACK, "a SYN-ACK")?;
        if state == State::SynReceived {
            return Ok(());
        }
        self.accept()?;
        self.exchange()?;
        // What a FIN acknowledges where it crosses ours.
        let before_fin = self.snd_nxt;
        match state {
            State::CloseWait | State::LastAck => {
                self.peer(Flags::FIN | Flags::ACK, before_fin, "");
                if state == State::LastAck {
                    self.shut()?;
                }
            }
            State::FinWait1 => self.shut()?,
            State::FinWait2 | State::TimeWait => {
                self.shut()?;
                self.peer(Flags::ACK, self.snd_nxt, "");
                if state == State::TimeWait {
                    self.peer(Flags::FIN | Flags::ACK, self.snd_nxt, "");
                }
            }
            State::Closing => {
                self.shut()?;
                self.peer(Flags::FIN | Flags::ACK, before_fin, "");
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn listen(&mut self) -> Result<(), NotReached> {
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SERVICE);
        let listener = self.must("socket", |s, cx| s.socket(cx, Family::V4, SocketKind::Stream))?;
        self.must("bind", |s, cx| s.bind(cx, listener, at))?;
        self.must("listen", |s, cx| s.listen(cx, listener, 8))?;
        self.listener = Some(listener);
        Ok(())
    }

    fn accept(&mut self) -> Result<(), NotReached> {
        self.peer(Flags::ACK, self.snd_nxt, "");
        let Some(listener) = self.listener else { return Ok(()) };
        let (socket, _) = self.must("accept", |s, cx| s.accept(cx, listener))?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Both ends send, read and acknowledge: there is an old octet to point at on either side.
    fn exchange(&mut self) -> Result<(), NotReached> {
        let Some(socket) = self.socket else { return Ok(()) };
        let text = "x".repeat(EXCHANGED);
        self.peer(Flags::ACK | Flags::PSH, self.snd_nxt, &text);
        let read = self.must("recv", |s, cx| s.recv(cx, socket, 65_536, MsgFlags::empty(), &mut Rope::new()))?;
        if read != EXCHANGED {
            return Err(NotReached::Silent { expected: "to its application what the peer sent" });
        }
        let before = self.snd_nxt;
        let data = Payload::from(text.as_str());
        self.must("send", |s, cx| s.send(cx, socket, &data, MsgFlags::empty()))?;
        self.peer(Flags::ACK, self.snd_nxt, "");
        // Delayed acknowledgments and updates of the window have left.
        self.wait(secs(1))?;
        if self.snd_nxt.since(before) as usize != EXCHANGED {
            return Err(NotReached::Silent { expected: "what its application wrote" });
        }
        Ok(())
    }

    fn shut(&mut self) -> Result<(), NotReached> {
        let Some(socket) = self.socket else { return Ok(()) };
        self.must("shutdown", |s, cx| s.shutdown(cx, socket, Shutdown::Write))?;
        self.must_have_sent(Flags::FIN, "a FIN")
    }

    fn must_have_sent(&self, flags: Flags, expected: &'static str) -> Result<(), NotReached> {
        let sent = self.sent.last().is_some_and(|(_, segment)| segment.has(flags));
        if sent { Ok(()) } else { Err(NotReached::Silent { expected }) }
    }
}
