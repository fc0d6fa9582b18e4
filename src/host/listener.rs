use super::Host;
use super::admission::Admission;
use super::bandlim::Answer;
use super::cookies::CookieUse;
use super::counters::{Counter, Machine};
use super::demux::{Key, Place, Slot};
use super::fast_open::{Judged, Pending, Uses};
use super::output::Output;
use super::ports::{Hold, Scope};
use super::sockets::{Phase, Role, Socket, Stream};
use super::stream::{Linger, NewConn, Owner};
use crate::endpoint::{Arrival, Cx, DropReason, Errno, Event, SocketId, State, Tuple};
use crate::tcp::{self, Context, Demands, FastOpenCookie, GiveUp, HalfOpen, HalfOpenStep, Handshake, Ports, TcpEvent};
use crate::time::HostTime;
use crate::wire::{Flags, Segment, Seq};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// How long the queues of a listener are, and what else decides about a SYN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum QueueRule {
    /// As many as `listen` says, and one at least; half-open connections also no more than the host's limit.
    #[default]
    Plain,
    /// One more of either kind than `listen` says (`sk_acceptq_is_full()`, `inet_csk_reqsk_queue_is_full()`). The
    /// host's limit counts without cookies only, and its last quarter is for peers that are known. SYN-ACKs are given up
    /// the sooner the fuller the queue is. A SYN with FIN is none.
    Linux,
    /// One cache for the half-open connections of all listeners, whose oldest give way (`syncache_add()` of FreeBSD); half
    /// as many more wait for `accept` than `listen` says, and one (`sonewconn()`). Neither queue keeps a SYN out.
    Syncache,
}

/// The two queues of a listener: SYNs that are answered, and connections that wait for `accept`.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) local: SocketAddr,
    pub(super) syn: u32,
    pub(super) syn_max: u32,
    /// Half-open connections whose timer has never fired.
    young: u32,
    /// When a SYN was last answered by a cookie, to the second.
    pub(super) overflowed: Option<HostTime>,
    waiting: VecDeque<u32>,
    pub(super) accept_max: u32,
    /// Teaching: half-open connections take places in the accept queue.
    one_queue: bool,
    /// Connections whose SYN brought a Fast Open cookie, and whose third segment has not come.
    pub(super) fast_open: Pending,
}

/// The listener of a half-open connection whose listener was closed.
const NOBODY: SocketId = SocketId(u32::MAX);

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

    pub(super) fn accept_is_full(&self) -> bool {
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
        let backlog = backlog.min(self.settings.somaxconn);
        let one_queue = !self.settings.syn_queue;
        let (accept_max, syn_max) = match self.settings.queues {
            QueueRule::Plain if one_queue => (backlog.max(1), backlog.max(1)),
            QueueRule::Plain => (backlog.max(1), backlog.max(1).min(self.settings.syn_backlog)),
            QueueRule::Linux => (backlog + 1, backlog + 1),
            QueueRule::Syncache => (3 * backlog / 2 + 1, self.settings.syncache.all),
        };
        if let Some(listener) = self.sockets.listener(id) {
            (listener.accept_max, listener.syn_max) = (accept_max, syn_max);
            return Ok(());
        }
        let socket = self.sockets.get_mut(id)?;
        let Some(bound) = &mut socket.bound else { return Err(Errno::EINVAL) };
        let (port, scope) = (bound.addr.port(), bound.scope);
        self.tcp_ports.release(port, scope, bound.hold, bound.reuse);
        let refused = self.tcp_ports.keeps_from_listening(port, scope, bound.reuse);
        if refused.is_none() {
            bound.hold = Hold::Listening;
        }
        self.tcp_ports.hold(port, scope, bound.hold, bound.reuse);
        if let Some(errno) = refused {
            return Err(errno);
        }
        self.listeners.get_or_insert_with((bound.scope, bound.addr.port()), Vec::new).push(id);
        let local = bound.addr;
        let listener = Listener {
            local,
            syn: 0,
            syn_max,
            young: 0,
            overflowed: None,
            waiting: VecDeque::new(),
            accept_max,
            one_queue,
            fast_open: Pending::default(),
        };
        // inet_listen(): "Enable TFO w/o requiring TCP_FASTOPEN socket option".
        if self.settings.fast_open.contains(Uses::SERVER | Uses::EVERY_LISTENER) && socket.options.fast_open == 0 {
            socket.options.fast_open = backlog;
        }
        socket.role = Role::Listener(Box::new(listener));
        self.set_told(id);
        Ok(())
    }

    /// The listener for segments to `tuple.local`, which is the host's address `local`: one bound to the address comes
    /// before one bound to all. Of those that share a port each 4-tuple has its own.
    pub(super) fn find_listener(&self, local: u16, tuple: Tuple) -> Option<SocketId> {
        let v6 = tuple.local.is_ipv6();
        let any = if v6 { Scope::AnyV6 } else { Scope::AnyV4 };
        let scopes = [Scope::One { local, v6 }, any, Scope::Any];
        let group = scopes.into_iter().find_map(|scope| self.listeners.get(&(scope, tuple.local.port())))?;
        match group[..] {
            [id] => Some(id),
            _ => {
                let place = (u64::from(self.isn.ts_offset(tuple)) * group.len() as u64) >> 32;
                group.get(usize::try_from(place).unwrap_or(0)).copied()
            }
        }
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
            if !segment.has(Flags::SYN) && self.cookie_segment(cx, id, (key, tuple), segment) {
                return;
            }
            return self.drop_with_reset(cx, tuple, segment, (DropReason::NoMeaning, Answer::OpenPort));
        }
        if !segment.has(Flags::SYN) || segment.has(Flags::FIN) && self.settings.queues == QueueRule::Linux {
            return drop_segment(cx, DropReason::NoMeaning);
        }
        match self.admit(cx.now(), id, tuple, beyond.is_some()) {
            Ok(Admission::Remembered) => self.passive_open(cx, id, (key, tuple), segment, beyond),
            Ok(Admission::Cookie) => self.answer_by_cookie(cx, id, (key, tuple), segment),
            Err(reason) => {
                self.counters.add(Counter::ListenDrops);
                drop_segment(cx, reason);
                if self.settings.refuses_overflow && reason == DropReason::AcceptQueueFull {
                    self.refuse(cx, tuple, segment, Answer::Connection);
                }
            }
        }
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
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.path_to(tuple.remote.ip(), cx.now())) else {
            return;
        };
        let setup = self.setup(&socket.options, tuple, path);
        let by_cookie = self.settings.queues == QueueRule::Syncache && self.settings.cookies != CookieUse::Never;
        let iss = match beyond {
            Some(beyond) => self.isn.after(tuple, cx.now(), beyond, &self.settings),
            // Whoever is pushed out of the cache may come back by its number.
            None if by_cookie && !self.isn.is_dictated(tuple) => {
                self.cookies.bake_all(tuple, syn.seq, &syn.options, cx.now())
            }
            None => self.isn.next(tuple, cx.now()),
        };
        self.make_cache_room(cx, tuple);
        let grant = match self.judge_fast_open(cx.now(), id, tuple, syn) {
            Judged::Open(cookie) => return self.open_early(cx, id, (key, tuple), syn, (iss, cookie)),
            Judged::Grant(cookie) => Some(cookie),
            Judged::Plain => None,
        };
        let event = TcpEvent::Transition { from: State::Listen, to: State::SynReceived, lasts: None, error: None };
        self.counters.note(&event, Machine::Half);
        cx.note(event.at(tuple));
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let tcp = HalfOpen::new(&mut context, ports, syn, iss, &setup);
        let key = Key { remote: self.addrs.use_peer(tuple.remote.ip()), ..key };
        if self.settings.knobs.handshake == Handshake::TwoWay {
            let tcp = tcp.establish(&mut context, &setup);
            let reuse = self.sockets.get(id).map(Socket::sharing).unwrap_or_default();
            let hold = Hold::Bound;
            let index = self.add_conn(cx, tcp, NewConn { tuple, key, path, owner: Owner::Queue(id), hold, reuse });
            return self.enqueue(cx, id, index);
        }
        let (wants, birth) = (tcp.poll_timeout(), self.birth());
        let half = Half { tcp, remote: key.remote, local: key.local, birth, listener: id };
        let index = self.halves.insert(half);
        self.enter_cache(tuple, index);
        let slot = Place::Half(index).slot();
        self.index(key, slot);
        self.rearm(slot, birth, None, wants);
        if let Some(listener) = self.sockets.listener(id) {
            listener.syn += 1;
            listener.young += 1;
        }
        self.note_queues(cx, id);
        self.touch_half(cx, index, grant, |_, _| HalfOpenStep::Stay);
    }

    /// Calls `f` with a half-open connection, then carries out what it asks for. `grant`: a Fast Open cookie that its
    /// SYN-ACK takes along.
    fn touch_half(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        grant: Option<FastOpenCookie>,
        f: impl FnOnce(&mut HalfOpen, &mut Context<'_>) -> HalfOpenStep,
    ) -> Option<HalfOpenStep> {
        let tuple = self.tuple(self.halves.get(index)?.key());
        let ip = self.ip_of_socket(self.halves.get(index)?.listener);
        let half = self.halves.get_mut(index)?;
        self.timers.doubt(Place::Half(index).slot());
        let had = half.tcp.poll_timeout();
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let first = half.tcp.is_due();
        let step = f(&mut half.tcp, &mut context);
        let mut out = Output { cx, counters: &mut self.counters, ip, tuple: &tuple, of: Machine::Half };
        out.tell(context.events);
        while let Some(mut segment) = half.tcp.poll_transmit(&mut context) {
            if segment.has(Flags::SYN) && !first {
                out.counters.syn_ack_again();
            }
            if let Some(cookie) = grant.filter(|_| first && segment.has(Flags::SYN)) {
                cookie.write(&mut segment.options);
            }
            out.send(self.addrs.way_out(tuple.remote.ip()), segment);
            out.tell(context.events);
        }
        let (wants, birth) = (half.tcp.poll_timeout(), half.birth);
        match step {
            HalfOpenStep::Stay | HalfOpenStep::Refuse | HalfOpenStep::Listener => {
                self.rearm(Place::Half(index).slot(), birth, had, wants);
            }
            HalfOpenStep::Gone | HalfOpenStep::GoneRefused => self.drop_half(cx, index),
            HalfOpenStep::Complete => {}
        }
        Some(step)
    }

    pub(super) fn half_timeout(&mut self, cx: &mut Cx<'_>, index: u32) {
        if self.forget_abandoned(cx, index) || self.clear_paused_row(cx, index) {
            return;
        }
        let Some(half) = self.halves.get(index) else { return };
        let (id, young) = (half.listener, half.tcp.is_young());
        let demands = Demands { retries: self.synack_retries(id), ..self.demands(id) };
        // The alarm that rang is gone: whatever it wants next needs a new one.
        let step = self.touch_half(cx, index, None, |tcp, context| tcp.on_timeout(context, demands));
        if let (Some(HalfOpenStep::Stay), Some(half)) = (step, self.halves.get(index)) {
            let (wants, birth, aged) = (half.tcp.poll_timeout(), half.birth, young && !half.tcp.is_young());
            self.rearm(Place::Half(index).slot(), birth, None, wants);
            if let Some(listener) = self.sockets.listener(id).filter(|_| aged) {
                listener.young -= 1;
            }
        }
    }

    fn demands(&self, id: SocketId) -> Demands {
        let defer = self.sockets.get(id).map_or(0, |socket| socket.options.defer_accept);
        Demands { defer, retries: None }
    }

    /// How often the SYN-ACKs of a listener are sent again, where that is not the host's rule: the less often, the more
    /// of the half-open connections have seen a timeout (`reqsk_timer_handler()` in inet_connection_sock.c).
    fn synack_retries(&mut self, id: SocketId) -> Option<u8> {
        let own = self.sockets.get(id).ok()?.options.syn_count;
        let (QueueRule::Linux, GiveUp::Retries(most)) = (self.settings.queues, self.settings.knobs.synack_give_up)
        else {
            return own;
        };
        let listener = self.sockets.listener(id)?;
        let mut most = own.unwrap_or(most);
        if 2 * listener.syn > listener.syn_max.saturating_sub(1).max(8) {
            let mut young = 2 * listener.young;
            while most > 2 && listener.syn >= young {
                most -= 1;
                young = young.saturating_mul(2);
            }
        }
        Some(most)
    }

    /// A segment for a half-open connection.
    pub(super) fn half_segment(&mut self, cx: &mut Cx<'_>, index: u32, (key, tuple): (Key, Tuple), segment: &Segment) {
        let Some(id) = self.halves.get(index).map(|half| half.listener) else { return };
        if self.asks_no_cache(cx.now()) {
            return self.listener_segment(cx, id, (key, tuple), segment, None);
        }
        let demands = self.demands(id);
        match self.touch_half(cx, index, None, |tcp, context| tcp.on_segment(context, segment, demands)) {
            Some(HalfOpenStep::Complete) => {}
            Some(HalfOpenStep::Listener) => return self.listener_segment(cx, id, (key, tuple), segment, None),
            Some(step @ (HalfOpenStep::Gone | HalfOpenStep::GoneRefused)) => {
                self.counters.add(Counter::AttemptFails);
                self.counters.add(Counter::EmbryonicRsts);
                return if step == HalfOpenStep::GoneRefused {
                    self.refuse(cx, tuple, segment, Answer::OpenPort);
                };
            }
            Some(HalfOpenStep::Refuse) => return self.refuse(cx, tuple, segment, Answer::OpenPort),
            Some(HalfOpenStep::Stay) | None => return,
        }
        let Some(listener) = self.sockets.listener(id) else { return };
        // Without a queue of its own it has had its place since its SYN.
        if !listener.one_queue && listener.accept_is_full() {
            self.counters.add(Counter::ListenOverflows);
            self.counters.add(Counter::ListenDrops);
            drop_segment(cx, DropReason::AcceptQueueFull);
            if self.settings.abort_on_overflow {
                self.counters.add(Counter::EmbryonicRsts);
                self.refuse(cx, tuple, segment, Answer::Connection);
                self.forget_half(cx, index);
            } else if self.settings.queues == QueueRule::Syncache {
                // syncache_expand(): it has left the cache before there is room for it.
                self.forget_half(cx, index);
            } else if let Some(half) = self.halves.get_mut(index) {
                half.tcp.found_no_room();
            }
            return;
        }
        let Some(half) = self.take_half(index) else { return };
        self.establish(cx, id, half.tcp, (key, tuple), segment);
    }

    /// SYN-RECEIVED -> ESTABLISHED, into the accept queue.
    pub(super) fn establish(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        half: HalfOpen,
        (key, tuple): (Key, Tuple),
        segment: &Segment,
    ) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.path_to(tuple.remote.ip(), cx.now())) else {
            return;
        };
        let setup = self.setup(&socket.options, tuple, path);
        let reuse = socket.sharing();
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let tcp = half.complete(&mut context, segment, &setup);
        let new = NewConn { tuple, key, path, owner: Owner::Queue(id), hold: Hold::Bound, reuse };
        let index = self.add_conn(cx, tcp, new);
        if let Some(conn) = self.conns.get_mut(index) {
            conn.traffic.came(segment);
        }
        self.enqueue(cx, id, index);
    }

    pub(super) fn enqueue(&mut self, cx: &mut Cx<'_>, id: SocketId, conn: u32) {
        self.counters.add(Counter::PassiveOpens);
        if let Some(listener) = self.sockets.listener(id) {
            listener.waiting.push_back(conn);
        }
        self.note_queues(cx, id);
        self.notify(cx, id, true);
    }

    /// The next connection of a listener as a socket of its own; a connection that has died meanwhile too, as on Linux.
    pub(super) fn take_waiting(&mut self, cx: &mut Cx<'_>, id: SocketId) -> Result<(SocketId, SocketAddr), Errno> {
        let room = self.sockets.check_room(&self.settings);
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
        room?;
        let Some(index) = listener.waiting.pop_front() else { return Err(Errno::EAGAIN) };
        let stream = Stream { conn: index, phase: Phase::Open, shut_read: false };
        let new = self.sockets.insert(Socket::new(family, options, Role::Stream(stream)), &self.settings)?;
        let conn = self.conns.get_mut(index).ok_or(Errno::ECONNABORTED)?;
        conn.owner = Owner::Socket(new);
        conn.tcp.accepted();
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
        self.forget_early(id, &listener.fast_open);
        let mut halves: Vec<(u32, u32)> = Vec::new();
        if listener.syn > 0 {
            let mine = self.halves.iter().filter(|(_, half)| half.listener == id);
            halves.extend(mine.map(|(index, half)| (half.birth, index)));
        }
        halves.sort_unstable();
        for (_, index) in halves {
            match self.settings.queues {
                QueueRule::Plain => self.forget_half(cx, index),
                QueueRule::Linux | QueueRule::Syncache => self.abandon_half(index),
            }
        }
        for index in listener.waiting {
            self.orphan(cx, index, Linger::Child);
        }
    }

    /// A half-open connection has lost its listener, and ends when something next happens to it (`tcp_v4_rcv()`,
    /// `reqsk_timer_handler()`: the listener's state is looked at then).
    fn abandon_half(&mut self, index: u32) {
        if let Some(half) = self.halves.get_mut(index) {
            half.listener = NOBODY;
        }
    }

    /// Forgets a half-open connection that has lost its listener; whether that was so.
    pub(super) fn forget_abandoned(&mut self, cx: &mut Cx<'_>, index: u32) -> bool {
        let abandoned = self.halves.get(index).is_some_and(|half| half.listener == NOBODY);
        if abandoned {
            self.forget_half(cx, index);
        }
        abandoned
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
        let Some(half) = self.take_half(index) else { return };
        self.unindex(half.key());
        self.note_queues(cx, half.listener);
    }

    /// A half-open connection leaves its queue; the index still knows it.
    fn take_half(&mut self, index: u32) -> Option<Half> {
        let half = self.halves.remove(index)?;
        self.leave_cache(self.tuple(half.key()), index);
        self.timers.forget(Place::Half(index).slot());
        if let Some(listener) = self.sockets.listener(half.listener) {
            listener.syn -= 1;
            listener.young -= u32::from(half.tcp.is_young());
        }
        Some(half)
    }

    /// The segment at hand is not taken, and answered as CLOSED answers it (`tcp_dropwithreset()`).
    pub(super) fn drop_with_reset(
        &mut self,
        cx: &mut Cx<'_>,
        tuple: Tuple,
        segment: &Segment,
        (reason, answer): (DropReason, Answer),
    ) {
        drop_segment(cx, reason);
        self.refuse(cx, tuple, segment, answer);
    }

    /// The answer of CLOSED, unless there were too many of its kind.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, tuple: Tuple, segment: &Segment, answer: Answer) {
        let Some(reset) = tcp::reset_for(segment) else { return };
        if self.bandlim.allows(cx.now(), answer, self.settings.answers) {
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
