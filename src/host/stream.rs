use super::Host;
use super::addrs::Path;
use super::counters::{Counter, Machine};
use super::demux::{Key, Place, Slot};
use super::listener::QueueRule;
use super::options::Options;
use super::output::{IpHeader, Output};
use super::ports::{Destination, Hold, Scope, Sharing};
use super::sockets::{Phase, Role};
use super::traffic::Traffic;
use crate::endpoint::{Cx, Errno, Readiness, SocketId, State, TcpInfo, Tuple};
use crate::tcp::{Closing, ClosingStep, ConnEvent, Connection, Context, Knobs, Ports, Setup, Tally, TcpEvent};
use crate::time::{HostTime, Span, secs};
use crate::wire::{Segment, Seq};
use std::net::{IpAddr, SocketAddr};

/// A whole connection.
#[derive(Debug)]
pub(super) struct Conn {
    /// In a box: it is large, and made elsewhere.
    pub(super) tcp: Box<Connection>,
    pub(super) tuple: Tuple,
    pub(super) key: Key,
    pub(super) path: Path,
    pub(super) birth: u32,
    /// When its alarm rings; never where it has none.
    pub(super) armed: HostTime,
    pub(super) owner: Owner,
    pub(super) hold: Hold,
    pub(super) reuse: Sharing,
    /// Whether segments still find it; once closed it is kept for what the application has not read.
    pub(super) indexed: bool,
    /// The end of what was ever sent, to tell retransmissions.
    sent: Seq,
    /// Segments that were sent again.
    resent: u32,
    pub(super) traffic: Traffic,
    /// When new data came in order, or before that, when the handshake ended.
    received: Option<HostTime>,
    /// Pages that it takes.
    pub(super) pages: u64,
    /// The listener in whose count of connections without a third segment it stands.
    pub(super) early_for: Option<SocketId>,
    /// What its socket says of IP headers.
    ip: IpHeader,
}

/// Who has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A socket.
    Socket(SocketId),
    /// The accept queue of a listener.
    Queue(SocketId),
    /// Nobody: its socket was closed, and it ends in its own time.
    Orphan,
}

/// What is left of a connection that we closed.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    pub(super) tcp: Closing,
    remote: u32,
    local: u16,
    hold: Hold,
    reuse: Sharing,
    pub(super) birth: u32,
}

const _: () = assert!(
    size_of::<Option<Leftover>>() + size_of::<(Key, Slot)>() <= 96,
    "TIME-WAIT takes at most 96 bytes with its index entry, over IPv6 too"
);

impl Conn {
    /// `TCP_INFO`; of a connection that is over, what it was like at its end.
    pub(super) fn info(&self, now: HostTime, knobs: &Knobs) -> TcpInfo {
        let mut info = TcpInfo {
            pmtu: self.path.mtu,
            total_retrans: self.resent,
            last_data_recv: self.received.map(|at| now.since(at)),
            ..self.tcp.info(now, knobs)
        };
        self.traffic.tell(&mut info);
        info
    }
}

/// What a connection has for the application.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    changed: bool,
    /// Something came that is told again.
    arrived: bool,
    connected: bool,
}

impl Conn {
    #[inline]
    fn hear(&mut self, now: HostTime) -> Heard {
        let mut heard = Heard::default();
        while let Some(event) = self.tcp.poll_event() {
            heard.changed = true;
            match event {
                ConnEvent::Connected => (heard.connected, self.received) = (true, self.received.or(Some(now))),
                ConnEvent::Readable => (heard.arrived, self.received) = (true, Some(now)),
                ConnEvent::Urgent | ConnEvent::PeerClosed => heard.arrived = true,
                ConnEvent::Writable | ConnEvent::Failed(_) | ConnEvent::Closed => {}
            }
        }
        heard
    }

    /// What `poll` answers for its socket.
    pub(super) fn poll(&self, phase: Phase, shut_read: bool) -> Readiness {
        let (tcp, over) = (&self.tcp, !self.indexed);
        match phase {
            Phase::Connected | Phase::Open => {}
            Phase::Connecting | Phase::Deferred if over => {}
            Phase::Connecting => return Readiness::empty(),
            // tcp_poll(): "Active TCP fastopen socket with defer_connect".
            Phase::Deferred => return Readiness::WRITABLE,
        }
        let error = tcp.error().is_some();
        let no_more_in = tcp.at_end() | shut_read | over;
        let no_more_out = tcp.is_closed_for_sending() | over;
        let bits = |readiness: Readiness, on: bool| if on { readiness } else { Readiness::empty() };
        bits(Readiness::READABLE, (tcp.readable() > 0) | no_more_in | error)
            | bits(Readiness::WRITABLE, no_more_out | error || tcp.writable() > 0)
            | bits(Readiness::ERROR, error)
            | bits(Readiness::RDHUP, no_more_in)
            | bits(Readiness::HUP, no_more_in & no_more_out)
            | bits(Readiness::URGENT, tcp.has_urgent())
    }
}

impl Leftover {
    pub(super) fn key(&self) -> Key {
        let Ports { local, remote } = self.tcp.ports();
        Key { remote: self.remote, local: self.local, local_port: local, remote_port: remote }
    }
}

impl Key {
    pub(super) fn destination(self) -> Destination {
        Destination { local: self.local, remote: self.remote, remote_port: self.remote_port }
    }
}

impl Host {
    /// The addresses behind a key that is in use.
    pub(super) fn tuple(&self, key: Key) -> Tuple {
        let local = SocketAddr::new(self.addrs.own_addr(key.local), key.local_port);
        let remote = SocketAddr::new(self.addrs.peer_addr(key.local, key.remote), key.remote_port);
        Tuple { local, remote }
    }

    /// The way to a peer, as far as it is known now.
    pub(super) fn path_to(&self, peer: IpAddr, now: HostTime) -> Option<Path> {
        self.addrs.path(peer).map(|path| self.narrowed(path, peer, now))
    }

    /// `path` with what ICMP errors have told of it.
    pub(super) fn narrowed(&self, path: Path, peer: IpAddr, now: HostTime) -> Path {
        let told = self.path_mtus.to(peer, now, self.settings.path_mtu_lasts);
        Path { mtu: told.map_or(path.mtu, |mtu| mtu.min(path.mtu)), ..path }
    }

    /// A connection has believed that packets to its peer may be no larger than that (`__ip_rt_update_pmtu()`): where less
    /// is known already, that stays.
    pub(super) fn learn_path_mtu(&mut self, index: u32, mtu: u32, now: HostTime) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let (peer, lasts) = (conn.tuple.remote.ip(), self.settings.path_mtu_lasts);
        conn.path.mtu = conn.path.mtu.min(mtu);
        if lasts > Span::ZERO && self.path_mtus.to(peer, now, lasts).is_none_or(|known| mtu <= known) {
            self.path_mtus.learn(peer, mtu, now);
        }
    }

    /// A connection looks again at what is known of its path before it sends anything: another may have been told that less
    /// fits, or what was told is out of date (`tcp_current_mss()`: `dst_mtu()`, `__sk_dst_check()`).
    #[inline(never)]
    fn follow_path(&mut self, index: u32, now: HostTime) {
        let Some((peer, before)) = self.conns.get(index).map(|conn| (conn.tuple.remote.ip(), conn.path.mtu)) else {
            return;
        };
        let lasts = self.settings.path_mtu_lasts > Span::ZERO;
        let Some(path) = self.path_to(peer, now).filter(|path| lasts && path.mtu != before) else { return };
        let most = self.routes.to(peer).and_then(|metrics| metrics.mtu).unwrap_or(u32::MAX);
        if let Some(conn) = self.conns.get_mut(index)
            && conn.tcp.follow_path(path.mtu.min(most))
        {
            conn.path.mtu = path.mtu;
        }
    }

    /// What a connection of this socket over this path is born with.
    pub(super) fn setup(&self, options: &Options, tuple: Tuple, path: Path) -> Setup {
        let knobs = &self.settings.knobs;
        let hides = knobs.timestamps && !self.settings.plain_timestamps;
        let offset = if hides { self.isn.ts_offset(tuple) } else { 0 };
        let metrics = self.routes.to(tuple.remote.ip());
        let mtu = metrics.and_then(|metrics| metrics.mtu).map_or(path.mtu, |mtu| mtu.min(path.mtu));
        options.setup(mtu, tuple.local.is_ipv6(), &self.settings, offset, metrics)
    }

    /// Makes the index point to `slot`; a new 4-tuple takes its ephemeral port.
    pub(super) fn index(&mut self, key: Key, slot: Slot) {
        if self.demux.insert(key, slot).is_none() {
            self.tcp_ports.occupy(key.destination(), key.local_port);
        }
    }

    /// Takes a 4-tuple out of the index, and gives its peer's number back.
    pub(super) fn unindex(&mut self, key: Key) {
        if self.demux.remove(&key).is_some() {
            self.tcp_ports.vacate(key.destination(), key.local_port);
            self.addrs.drop_peer(self.addrs.peer_addr(key.local, key.remote));
        }
    }

    fn scope_of(&self, key: Key) -> Scope {
        Scope::One { local: key.local, v6: self.addrs.own_addr(key.local).is_ipv6() }
    }

    /// What the socket of a connection, or the listener that it came from, says of IP headers.
    fn ip_of(&self, owner: Owner) -> IpHeader {
        match owner {
            Owner::Socket(id) | Owner::Queue(id) => self.ip_of_socket(id),
            Owner::Orphan => IpHeader { tos: 0, ttl: self.settings.ttl },
        }
    }

    pub(super) fn ip_of_socket(&self, id: SocketId) -> IpHeader {
        let own = self.sockets.get(id).map(|socket| socket.options.ip_header());
        own.unwrap_or(IpHeader { tos: 0, ttl: self.settings.ttl })
    }

    /// The socket of `index` says something else of IP headers from now on.
    pub(super) fn set_ip_header(&mut self, index: u32, ip: IpHeader) {
        if let Some(conn) = self.conns.get_mut(index) {
            conn.ip = ip;
        }
    }

    /// Stores a connection just made and lets it speak.
    pub(super) fn add_conn(&mut self, cx: &mut Cx<'_>, tcp: Box<Connection>, new: NewConn) -> u32 {
        let NewConn { tuple, key, path, owner, hold, reuse } = new;
        let view = tcp.snd_view();
        let (birth, sent) = (self.birth(), if tcp.is_early() { view.iss } else { view.nxt });
        let taken = u32::from(!tcp.is_early() && matches!(owner, Owner::Queue(_)));
        let traffic = Traffic::new(&tcp, taken);
        let armed = HostTime::NEVER;
        self.tcp_ports.hold(key.local_port, self.scope_of(key), hold, reuse);
        let conn = Conn {
            tcp,
            tuple,
            key,
            path,
            birth,
            armed,
            owner,
            hold,
            reuse,
            indexed: true,
            sent,
            resent: 0,
            traffic,
            received: None,
            pages: 0,
            early_for: None,
            ip: self.ip_of(owner),
        };
        let index = self.conns.insert(conn);
        self.index(key, Place::Conn(index).slot());
        self.touch(cx, index, |_, _| ());
        index
    }

    /// Calls `f` with a connection, then carries out all that it asks for.
    pub(super) fn touch<R>(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        f: impl FnOnce(&mut Connection, &mut Context<'_>) -> R,
    ) -> Option<R> {
        if !self.path_mtus.is_empty() {
            self.follow_path(index, cx.now());
        }
        let conn = self.conns.get_mut(index)?;
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        conn.tcp.on_carrier(self.addrs.has_carrier(conn.path.iface));
        let result = f(&mut conn.tcp, &mut context);
        self.drain(cx, index);
        Some(result)
    }

    /// What follows from a touch: segments, events for the application, the machine that takes over, the end, the next
    /// timeout.
    #[inline(never)]
    fn drain(&mut self, cx: &mut Cx<'_>, index: u32) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let mut out = Output { cx, counters: &mut self.counters, ip: conn.ip, tuple: &conn.tuple, of: Machine::Conn };
        out.tell(context.events);
        let mut probes = context.limits.tally(Tally::WinProbe);
        while let Some(segment) = conn.tcp.poll_transmit(&mut context) {
            // A window probe asks; the byte in it is sent when it fits.
            let before = std::mem::replace(&mut probes, context.limits.tally(Tally::WinProbe));
            let data = segment.seq_len() > 0 && probes == before;
            let again = data && segment.seq.lt(conn.sent);
            conn.traffic.left(&segment, again);
            if again {
                conn.resent += 1;
                out.counters.sent_again(&segment, conn.tcp.is_early());
            } else {
                out.counters.sent(&segment);
                if data {
                    out.counters.sent_new(&segment);
                }
            }
            if data {
                conn.sent = conn.sent.max(segment.end());
            }
            let carrier = self.addrs.has_carrier(conn.path.iface);
            out.emit(conn.path.iface, carrier, segment, conn.tcp.is_ect());
            out.tell(context.events);
        }
        if self.settings.memory.is_some() || conn.pages > 0 {
            self.memory.count(conn, &self.settings, &mut self.limits, &mut self.counters);
        }
        conn.traffic.look(&conn.tcp, &mut self.counters);
        let (owner, heard) = (conn.owner, conn.hear(now));
        if heard.connected
            && let Some(learned) = conn.tcp.poll_fast_open()
        {
            self.fast_open.learn(conn.tuple, learned);
        }
        let over = conn.tcp.is_over();
        if over || conn.early_for.is_some() {
            self.move_on(cx, index, over);
        } else {
            self.timers.rearm_conn(index, conn);
        }
        if let (Owner::Socket(id), true) = (owner, heard.changed) {
            if heard.connected {
                self.sockets.set_phase(id, Phase::Connected);
            }
            self.notify(cx, id, heard.arrived);
        }
        if !self.lingering.is_empty() {
            self.end_lingering(cx);
        }
    }

    /// Looks after a connection that is over, or that a listener counts among those without a third segment.
    #[inline(never)]
    fn move_on(&mut self, cx: &mut Cx<'_>, index: u32, over: bool) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let settled = conn.early_for.is_some() && !conn.tcp.is_early();
        let owner = conn.owner;
        if over && std::mem::replace(&mut conn.indexed, false) {
            let closing = conn.tcp.poll_closing();
            self.retire(cx, index, closing);
        }
        if settled {
            self.settle_early(cx.now(), index);
        }
        if over && owner == Owner::Orphan {
            self.orphans.remove(cx.now(), &self.settings);
            self.drop_conn(index);
        } else if let Some(conn) = self.conns.get_mut(index) {
            self.timers.rearm_conn(index, conn);
        }
    }

    /// A connection has left the index: `closing` takes its place there, or nothing does.
    fn retire(&mut self, cx: &mut Cx<'_>, index: u32, closing: Option<Closing>) {
        let Some(conn) = self.conns.get(index) else { return };
        let (key, tuple, hold, reuse) = (conn.key, conn.tuple, conn.hold, conn.reuse);
        if self.settings.queues == QueueRule::Linux && conn.tcp.srtt().is_some() && conn.tcp.fin_acked() {
            self.known.prove(tuple.remote.ip(), cx.now());
        }
        let Some(closing) = closing else { return self.release(key, hold, reuse) };
        let is_left_out = self.settings.no_local_time_wait && self.addrs.is_local(tuple.remote.ip());
        let overflows = !is_left_out && !self.has_time_wait_room();
        if overflows {
            self.counters.add(Counter::TimeWaitOverflow);
        }
        if is_left_out || overflows {
            let (from, to) = (closing.state(), State::Closed);
            let event = TcpEvent::Transition { from, to, lasts: None, error: None };
            self.counters.note(&event, Machine::Left(from));
            cx.note(event.at(tuple));
            return self.release(key, hold, reuse);
        }
        let hold = self.leave(key, hold, reuse);
        let (wants, birth) = (closing.poll_timeout(), self.birth());
        // As on Linux: what is to last four seconds at most counts as killed.
        let long = wants.is_some_and(|due| due > cx.now() + secs(4));
        self.counters.add(if long { Counter::TimeWaits } else { Counter::TimeWaitsKilled });
        let leftover = Leftover { tcp: closing, remote: key.remote, local: key.local, hold, reuse, birth };
        let index = self.leftovers.insert(leftover);
        let slot = Place::Closing(index).slot();
        self.index(key, slot);
        self.rearm(slot, birth, None, wants);
        self.move_time_wait(None, self.time_wait(index));
        self.reuse_oldest(cx);
    }

    /// What is left of a connection holds a bound port less firmly than its socket did.
    fn leave(&mut self, key: Key, hold: Hold, reuse: Sharing) -> Hold {
        if hold != Hold::Bound {
            return hold;
        }
        let scope = self.scope_of(key);
        self.tcp_ports.release(key.local_port, scope, hold, reuse);
        self.tcp_ports.hold(key.local_port, scope, Hold::Left, reuse);
        Hold::Left
    }

    /// The socket of `index` shares its port in another way from now on.
    pub(super) fn share_conn(&mut self, index: u32, reuse: Sharing) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let (key, hold, before) = (conn.key, conn.hold, std::mem::replace(&mut conn.reuse, reuse));
        if conn.indexed {
            let scope = self.scope_of(key);
            self.tcp_ports.release(key.local_port, scope, hold, before);
            self.tcp_ports.hold(key.local_port, scope, hold, reuse);
        }
    }

    fn release(&mut self, key: Key, hold: Hold, reuse: Sharing) {
        self.tcp_ports.release(key.local_port, self.scope_of(key), hold, reuse);
        self.unindex(key);
    }

    /// Calls `f` with what is left of a connection, then carries out what it asks for.
    pub(super) fn touch_leftover(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        f: impl FnOnce(&mut Closing, &mut Context<'_>) -> ClosingStep,
    ) -> Option<ClosingStep> {
        let key = self.leftovers.get(index)?.key();
        let (tuple, waited) = (self.tuple(key), self.time_wait(index));
        let leftover = self.leftovers.get_mut(index)?;
        let of = Machine::Left(leftover.tcp.state());
        self.timers.doubt(Place::Closing(index).slot());
        let had = leftover.tcp.poll_timeout();
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let step = f(&mut leftover.tcp, &mut context);
        let ip = IpHeader { tos: 0, ttl: self.settings.ttl };
        let mut out = Output { cx, counters: &mut self.counters, ip, tuple: &tuple, of };
        out.tell(context.events);
        while let Some(segment) = leftover.tcp.poll_transmit(&mut context) {
            out.send(self.addrs.way_out(tuple.remote.ip()), segment);
            out.tell(context.events);
        }
        let (wants, birth) = (leftover.tcp.poll_timeout(), leftover.birth);
        self.move_time_wait(waited, self.time_wait(index));
        match step {
            ClosingStep::Stay => {
                self.rearm(Place::Closing(index).slot(), birth, had, wants);
                self.reuse_oldest(cx);
            }
            ClosingStep::Gone | ClosingStep::Reopen => self.drop_leftover(index),
        }
        Some(step)
    }

    pub(super) fn drop_leftover(&mut self, index: u32) {
        self.move_time_wait(self.time_wait(index), None);
        self.timers.forget(Place::Closing(index).slot());
        if let Some(leftover) = self.leftovers.remove(index) {
            self.release(leftover.key(), leftover.hold, leftover.reuse);
        }
    }

    pub(super) fn leftover_timeout(&mut self, cx: &mut Cx<'_>, index: u32) {
        // The alarm that rang is gone: whatever it wants next needs a new one.
        let step = self.touch_leftover(cx, index, Closing::on_timeout);
        if let (Some(ClosingStep::Stay), Some(leftover)) = (step, self.leftovers.get(index)) {
            let (wants, birth) = (leftover.tcp.poll_timeout(), leftover.birth);
            self.rearm(Place::Closing(index).slot(), birth, None, wants);
        }
    }

    /// Sends one segment that belongs to no connection, such as a reset, back to where `tuple.remote` is.
    pub(super) fn send_bare(&mut self, cx: &mut Cx<'_>, tuple: Tuple, segment: Segment) {
        let ip = IpHeader { tos: 0, ttl: self.settings.ttl };
        let mut out = Output { cx, counters: &mut self.counters, ip, tuple: &tuple, of: Machine::Conn };
        out.send(self.addrs.way_out(tuple.remote.ip()), segment);
    }

    /// The socket of `index` gives its connection up; what is left to do is done without it.
    pub(super) fn orphan(&mut self, cx: &mut Cx<'_>, index: u32, linger: Linger) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        if !conn.indexed {
            return self.drop_conn(index);
        }
        conn.owner = Owner::Orphan;
        self.orphans.add(cx.now(), &self.settings);
        let unread = conn.tcp.has_unread() && self.settings.knobs.reset_unread;
        if linger == Linger::Child {
            // inet_child_forget() counts nothing, whatever the connection has received.
            self.touch(cx, index, |tcp, context| tcp.disconnect(context));
        } else if unread {
            self.counters.add(Counter::AbortOnClose);
            // RFC 9293 3.6.1: "if such a host issues a CLOSE call while received data is still pending in TCP, or if
            // new data is received after CLOSE is called, its TCP SHOULD send a RST to show that data was lost".
            self.touch(cx, index, |tcp, context| tcp.abort(context));
        } else if linger == Linger::Abort {
            self.counters.add(Counter::AbortOnData);
            self.touch(cx, index, |tcp, context| tcp.disconnect(context));
        } else {
            self.touch(cx, index, |tcp, context| {
                tcp.stop_receiving(context);
                tcp.close(context);
            });
            // tcp_check_oom(): after the FIN.
            let left = self.conns.get(index).is_some_and(|conn| conn.indexed && conn.owner == Owner::Orphan);
            if left && self.has_to_go(cx.now(), index) {
                self.counters.add(Counter::AbortOnMemory);
                self.touch(cx, index, |tcp, context| tcp.abort(context));
            }
        }
    }

    /// Why the connection of a socket died, once.
    pub(super) fn take_socket_error(&mut self, cx: &mut Cx<'_>, id: SocketId) -> Result<Option<Errno>, Errno> {
        let socket = self.sockets.get_mut(id)?;
        let mut conn = match &socket.role {
            Role::Stream(stream) => self.conns.get_mut(stream.conn),
            _ => None,
        };
        if socket.error.is_none() && conn.as_ref().is_none_or(|conn| conn.tcp.error().is_none()) {
            return Ok(None);
        }
        let error = socket.error.take().or_else(|| conn.as_mut()?.tcp.take_error());
        self.notify(cx, id, false);
        Ok(error)
    }
}

/// Where a connection just made belongs.
pub(super) struct NewConn {
    pub(super) tuple: Tuple,
    pub(super) key: Key,
    pub(super) path: Path,
    pub(super) owner: Owner,
    pub(super) hold: Hold,
    pub(super) reuse: Sharing,
}

/// How a socket lets go of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linger {
    /// What was written is sent, then FIN.
    Graceful,
    /// RST at once.
    Abort,
    /// The same for one that nobody has accepted: its listener is closed.
    Child,
}
