use super::{Event, Readiness, SocketId};
use crate::choice::{Choices, MakerId};
use crate::map::Map;
use crate::time::HostTime;
use crate::wire::Packet;

/// An interface of one endpoint, counted from 0 in the order of attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfaceId(pub u16);

/// What an endpoint asks for during one call.
#[derive(Debug)]
pub enum Effect {
    /// Send a packet.
    Send(IfaceId, Box<Packet>),
    /// Tell about something that happened.
    Note(Event),
    /// The answer of `poll` for a socket may have changed to this.
    Ready(SocketId, Readiness),
}

impl Effect {
    /// Whether it is there only where someone looks at details, and changes nothing.
    pub(crate) fn is_detail(&self) -> bool {
        matches!(self, Effect::Note(Event::Timer { .. } | Event::Queue { .. } | Event::Cwnd { .. }))
    }
}

/// An endpoint's access to the world during one call: what time it is, and where effects go.
pub struct Cx<'a> {
    now: HostTime,
    effects: &'a mut Vec<Effect>,
    streams: &'a mut Streams,
    detail: bool,
}

impl<'a> Cx<'a> {
    /// The context of one call. `detail` says whether anyone looks at timers and queues.
    pub fn new(now: HostTime, effects: &'a mut Vec<Effect>, streams: &'a mut Streams, detail: bool) -> Cx<'a> {
        Cx { now, effects, streams, detail }
    }

    /// The endpoint's own clock.
    pub fn now(&self) -> HostTime {
        self.now
    }

    /// Sends `packet` through `iface`.
    pub fn send(&mut self, iface: IfaceId, packet: Packet) {
        self.effects.push(Effect::Send(iface, Box::new(packet)));
    }

    /// Tells that something happened.
    pub fn note(&mut self, event: Event) {
        self.effects.push(Effect::Note(event));
    }

    /// Tells the owner of `socket` that `poll` would now answer `readiness`.
    pub fn ready(&mut self, socket: SocketId, readiness: Readiness) {
        self.effects.push(Effect::Ready(socket, readiness));
    }

    /// How many effects there have been so far: where a call's record goes among them.
    pub(crate) fn mark(&self) -> usize {
        self.effects.len()
    }

    /// Whether timer and queue events are looked at; where they are not, noting them is wasted work and nothing else.
    pub fn detail(&self) -> bool {
        self.detail
    }

    /// The endpoint's stream of randomness called `name`.
    pub fn stream(&mut self, name: &'static str) -> &mut Choices {
        self.streams.get(name)
    }
}

/// The streams of one endpoint, made when first asked for.
#[derive(Debug)]
pub struct Streams {
    seed: u64,
    owner: String,
    maker: MakerId,
    streams: Map<&'static str, Choices>,
}

impl Streams {
    /// The streams of the endpoint `owner` in a run under `seed`.
    pub fn new(seed: u64, owner: &str, maker: MakerId) -> Streams {
        Streams { seed, owner: owner.to_owned(), maker, streams: Map::new() }
    }

    fn get(&mut self, name: &'static str) -> &mut Choices {
        let (seed, owner, maker) = (self.seed, &self.owner, self.maker);
        self.streams.get_or_insert_with(name, || Choices::random(maker, seed, &format!("{owner}/{name}"), 0))
    }
}
