use super::Host;
use super::counters::{Counter, Machine};
use super::demux::{Key, Place, Slot};
use super::ports::{Hold, Scope};
use super::sockets::{Phase, Role, Socket, Stream};
use super::stream::{Linger, NewConn, Output, Owner};
use crate::endpoint::{Arrival, Cx, DropReason, Errno, Event, SocketId, State, Tuple};
use crate::tcp::{self, Context, HalfOpen, HalfOpenStep, Handshake, Ports, TcpEvent};
use crate::wire::{Flags, Segment, Seq};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The two queues of a listener: SYNs that are answered, and connections that wait for `accept`.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) local: SocketAddr,
    pub(super) syn: u32,
    pub(super) syn_max: u32,
    waiting: VecDeque<u32>,
    pub(super) accept_max: u32,
    /// Teaching: half-open connections take places in the accept queue.
    one_queue: bool,
}

/// A half-open connection.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) tcp: HalfOpen,
    remote: u32,
    local: u16,
    pub(super) birth: u32,
    listener: SocketId,
}

const _: () = assert!(
    size_of::<Option<Half>>() + size_of::<(Key, Slot)>() <= 96,
    "a half-open connection takes at most 96 bytes with its index entry, over IPv6 too"
);

impl Half {
    pub(super) fn key(&self) -> Key {
        let Ports { local, remote } = self.tcp.ports();
        Key { remote: self.remote, local: self.local, local_port: local, remote_port: remote }
    }
}

impl Listener {
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Connections that wait for `accept`.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    fn accept_is_full(&self) -> bool {
        let halves = if self.one_queue { self.syn } else { 0 };
        self.waiting() + halves >= self.accept_max
    }

    fn event(&self) -> Event {
        let (syn, accept) = ((self.syn, self.syn_max), (self.waiting(), self.accept_max));
        Event::Queue { local: self.local, syn, accept }
    }
}

impl Host {
    /// Makes a socket listen, or changes the length of its queues.
    pub(super) fn start_listening(&mut self, id: SocketId, backlog: u32) -> Result<(), Errno> {
        let accept_max = backlog.min(self.settings.somaxconn).max(1);
        let one_queue = !self.settings.syn_queue;
        let syn_max = if one_queue { accept_max } else { accept_max.min(self.settings.syn_backlog) };
        if let Some(listener) = self.sockets.listener(id) {
            (listener.accept_max, listener.syn_max) = (accept_max, syn_max);
            return Ok(());
        }
        let socket = self.sockets.get_mut(id)?;
        let Some(bound) = &mut socket.bound else { return Err(Errno::EINVAL) };
        if self.tcp_ports.listened(bound.addr.port(), bound.scope) {
            return Err(Errno::EADDRINUSE);
        }
        self.tcp_ports.release(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
        bound.hold = Hold::Listening;
        self.tcp_ports.hold(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
        self.listeners.insert((bound.scope, bound.addr.port()), id);
        let local = bound.addr;
        let listener = Listener { local, syn: 0, syn_max, waiting: VecDeque::new(), accept_max, one_queue };
        socket.role = Role::Listener(Box::new(listener));
        self.set_told(id);
        Ok(())
    }

    /// The listener for segments to `local`: one bound to the address comes before one bound to all.
    pub(super) fn find_listener(&self, local: u16, v6: bool, port: u16) -> Option<SocketId> {
        let any = if v6 { Scope::AnyV6 } else { Scope::AnyV4 };
        let scopes = [Scope::One { local, v6 }, any, Scope::Any];
        scopes.into_iter().find_map(|scope| self.listeners.get(&(scope, port)).copied())
    }

    /// A segment for a listener and for no connection (RFC 9293 3.10.7.2). `beyond` is a number that a new ISS must
    /// exceed: the SYN ends a TIME-WAIT.
    pub(super) fn listener_segment(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        segment: &Segment,
        beyond: Option<Seq>,
    ) {
        // First: "an incoming RST should be ignored".
        if segment.has(Flags::RST) {
            return drop_segment(cx, DropReason::RstIgnored);
        }
        // Second: "any acknowledgment is bad if it arrives on a connection still in the LISTEN state".
        if segment.has(Flags::ACK) {
            drop_segment(cx, DropReason::NoMeaning);
            return self.refuse(cx, tuple, segment);
        }
        if !segment.has(Flags::SYN) {
            return drop_segment(cx, DropReason::NoMeaning);
        }
        let Some(listener) = self.sockets.listener(id) else { return };
        let full = if listener.accept_is_full() {
            self.counters.add(Counter::ListenOverflows);
            Some(DropReason::AcceptQueueFull)
        } else if listener.syn >= listener.syn_max {
            self.counters.add(Counter::ReqQFullDrop);
            Some(DropReason::SynQueueFull)
        } else {
            None
        };
        if let Some(reason) = full {
            self.counters.add(Counter::ListenDrops);
            return drop_segment(cx, reason);
        }
        self.passive_open(cx, id, (key, tuple), segment, beyond);
    }

    /// LISTEN -> SYN-RECEIVED.
    fn passive_open(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        syn: &Segment,
        beyond: Option<Seq>,
    ) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.addrs.path(tuple.remote.ip())) else { return };
        let setup = self.setup(&socket.options, tuple, path);
        let mut iss = self.isn.next(tuple, cx.now());
        if let Some(beyond) = beyond.filter(|&beyond| iss.le(beyond)) {
            // RFC 9293 3.6.1, MAY-2: "assigns its initial sequence number for the new connection to be larger than
            // the largest sequence number it used on the previous connection incarnation".
            iss = beyond + 65_537;
        }
        let event = TcpEvent::Transition { from: State::Listen, to: State::SynReceived, lasts: None, error: None };
        self.counters.note(&event, Machine::Half);
        cx.note(event.at(tuple));
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail };
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let tcp = HalfOpen::new(&mut context, ports, syn, iss, &setup);
        let key = Key { remote: self.addrs.use_peer(tuple.remote.ip()), ..key };
        if self.settings.knobs.handshake == Handshake::TwoWay {
            let tcp = tcp.establish(&mut context, &setup);
            let reuse = self.sockets.get(id).is_ok_and(|socket| socket.options.reuse);
            let hold = Hold::Bound;
            let index = self.add_conn(cx, tcp, NewConn { tuple, key, path, owner: Owner::Queue(id), hold, reuse });
            return self.enqueue(cx, id, index);
        }
        let (wants, birth) = (tcp.poll_timeout(), self.birth());
        let half = Half { tcp, remote: key.remote, local: key.local, birth, listener: id };
        let index = self.halves.insert(half);
        let slot = Place::Half(index).slot();
        self.index(key, slot);
        self.rearm(slot, birth, None, wants);
        if let Some(listener) = self.sockets.listener(id) {
            listener.syn += 1;
        }
        self.note_queues(cx, id);
        self.touch_half(cx, index, |_, _| HalfOpenStep::Stay);
    }

    /// Calls `f` with a half-open connection, then carries out what it asks for.
    fn touch_half(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        f: impl FnOnce(&mut HalfOpen, &mut Context<'_>) -> HalfOpenStep,
    ) -> Option<HalfOpenStep> {
        let tuple = self.tuple(self.halves.get(index)?.key());
        let path = self.addrs.path(tuple.remote.ip());
        let carrier = path.is_some_and(|path| self.addrs.has_carrier(path.iface));
        let half = self.halves.get_mut(index)?;
        self.timers.doubt(Place::Half(index).slot());
        let had = half.tcp.poll_timeout();
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail };
        let first = half.tcp.is_due();
        let step = f(&mut half.tcp, &mut context);
        let (ttl, of) = (self.settings.ttl, Machine::Half);
        let mut out = Output { cx, counters: &mut self.counters, ttl, tuple, of };
        out.tell(context.events);
        while let Some(segment) = half.tcp.poll_transmit(&mut context) {
            if segment.has(Flags::SYN) && !first {
                out.counters.syn_ack_again();
            }
            out.send(path.map_or(crate::endpoint::IfaceId(0), |path| path.iface), carrier, segment);
            out.tell(context.events);
        }
        let (wants, birth) = (half.tcp.poll_timeout(), half.birth);
        match step {
            HalfOpenStep::Stay => self.rearm(Place::Half(index).slot(), birth, had, wants),
            HalfOpenStep::Gone => self.drop_half(cx, index),
            HalfOpenStep::Complete => {}
        }
        Some(step)
    }

    pub(super) fn half_timeout(&mut self, cx: &mut Cx<'_>, index: u32) {
        // The alarm that rang is gone: whatever it wants next needs a new one.
        let step = self.touch_half(cx, index, HalfOpen::on_timeout);
        if let (Some(HalfOpenStep::Stay), Some(half)) = (step, self.halves.get(index)) {
            let (wants, birth) = (half.tcp.poll_timeout(), half.birth);
            self.rearm(Place::Half(index).slot(), birth, None, wants);
        }
    }

    /// A segment for a half-open connection.
    pub(super) fn half_segment(&mut self, cx: &mut Cx<'_>, index: u32, tuple: Tuple, segment: &Segment) {
        let step = self.touch_half(cx, index, |tcp, context| tcp.on_segment(context, segment));
        if step == Some(HalfOpenStep::Gone) {
            self.counters.add(Counter::AttemptFails);
            self.counters.add(Counter::EmbryonicRsts);
        }
        if step != Some(HalfOpenStep::Complete) {
            return;
        }
        let Some(id) = self.halves.get(index).map(|half| half.listener) else { return };
        let Some(listener) = self.sockets.listener(id) else { return };
        // Without a queue of its own it has had its place since its SYN.
        if !listener.one_queue && listener.accept_is_full() {
            self.counters.add(Counter::ListenOverflows);
            self.counters.add(Counter::ListenDrops);
            drop_segment(cx, DropReason::AcceptQueueFull);
            if self.settings.abort_on_overflow {
                self.refuse(cx, tuple, segment);
                self.forget_half(cx, index);
            }
            return;
        }
        self.complete(cx, index, id, tuple, segment);
    }

    /// SYN-RECEIVED -> ESTABLISHED, into the accept queue.
    fn complete(&mut self, cx: &mut Cx<'_>, index: u32, id: SocketId, tuple: Tuple, segment: &Segment) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.addrs.path(tuple.remote.ip())) else { return };
        let (setup, reuse) = (self.setup(&socket.options, tuple, path), socket.options.reuse);
        let Some(half) = self.halves.remove(index) else { return };
        self.timers.doubt(Place::Half(index).slot());
        let key = half.key();
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail };
        let tcp = half.tcp.complete(&mut context, segment, &setup);
        if let Some(listener) = self.sockets.listener(id) {
            listener.syn -= 1;
        }
        let new = NewConn { tuple, key, path, owner: Owner::Queue(id), hold: Hold::Bound, reuse };
        let conn = self.add_conn(cx, tcp, new);
        self.enqueue(cx, id, conn);
    }

    fn enqueue(&mut self, cx: &mut Cx<'_>, id: SocketId, conn: u32) {
        self.counters.add(Counter::PassiveOpens);
        if let Some(listener) = self.sockets.listener(id) {
            listener.waiting.push_back(conn);
        }
        self.note_queues(cx, id);
        self.notify(cx, id, true);
    }

    /// The next connection of a listener as a socket of its own; a connection that has died meanwhile too, as on Linux.
    pub(super) fn take_waiting(&mut self, cx: &mut Cx<'_>, id: SocketId) -> Result<(SocketId, SocketAddr), Errno> {
        let most = self.settings.descriptors;
        let full = self.sockets.is_full(most);
        let socket = self.sockets.get_mut(id)?;
        let (family, options) = (socket.family, socket.options.clone());
        let listener = match &mut socket.role {
            Role::Listener(listener) => listener,
            Role::Datagram(_) => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::EINVAL),
        };
        if !listener.has_waiting() {
            return Err(Errno::EAGAIN);
        }
        if full {
            return Err(Errno::EMFILE);
        }
        let Some(index) = listener.waiting.pop_front() else { return Err(Errno::EAGAIN) };
        let stream = Stream { conn: index, phase: Phase::Open, shut_read: false };
        let new = self.sockets.insert(Socket::new(family, options, Role::Stream(stream)), most)?;
        let conn = self.conns.get_mut(index).ok_or(Errno::ECONNABORTED)?;
        conn.owner = Owner::Socket(new);
        let remote = conn.tuple.remote;
        // Whoever accepts knows that it can write; that something came before `accept` is news.
        let arrived = conn.tcp.readable() > 0 || conn.tcp.at_end() || !conn.indexed;
        self.set_told(new);
        if arrived {
            self.notify(cx, new, true);
        }
        self.set_told(id);
        self.note_queues(cx, id);
        Ok((new, remote))
    }

    /// A listener is closed: its half-open connections are forgotten, and those that wait are reset.
    pub(super) fn end_listener(&mut self, cx: &mut Cx<'_>, id: SocketId, listener: Listener) {
        let mut halves: Vec<(u32, u32)> = Vec::new();
        if listener.syn > 0 {
            let mine = self.halves.iter().filter(|(_, half)| half.listener == id);
            halves.extend(mine.map(|(index, half)| (half.birth, index)));
        }
        halves.sort_unstable();
        for (_, index) in halves {
            self.forget_half(cx, index);
        }
        for index in listener.waiting {
            self.orphan(cx, index, Linger::Abort);
        }
    }

    /// A half-open connection ends without a word.
    pub(super) fn forget_half(&mut self, cx: &mut Cx<'_>, index: u32) {
        let Some(half) = self.halves.get(index) else { return };
        let tuple = self.tuple(half.key());
        let event = TcpEvent::Transition { from: State::SynReceived, to: State::Closed, lasts: None, error: None };
        self.counters.note(&event, Machine::Half);
        cx.note(event.at(tuple));
        self.drop_half(cx, index);
    }

    fn drop_half(&mut self, cx: &mut Cx<'_>, index: u32) {
        let Some(half) = self.halves.remove(index) else { return };
        self.timers.doubt(Place::Half(index).slot());
        self.unindex(half.key());
        if let Some(listener) = self.sockets.listener(half.listener) {
            listener.syn -= 1;
        }
        self.note_queues(cx, half.listener);
    }

    /// The answer of CLOSED.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, tuple: Tuple, segment: &Segment) {
        if let Some(reset) = tcp::reset_for(segment) {
            self.send_bare(cx, tuple, reset);
        }
    }

    fn note_queues(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        if cx.detail()
            && let Some(listener) = self.sockets.listener(id)
        {
            cx.note(listener.event());
        }
    }
}

/// The segment at hand is not taken.
pub(super) fn drop_segment(cx: &mut Cx<'_>, reason: DropReason) {
    cx.note(Event::Arrival(Arrival::Dropped(reason)));
}
