use super::Host;
use super::addrs::unmapped;
use super::datagram::Queue;
use super::demux::Key;
use super::faults::Power;
use super::options::Options;
use super::ports::{Destination, Hold};
use super::reconnect::Looks;
use super::sockets::{Bound, Phase, Role, Socket, Stream};
use super::stream::{Linger, NewConn, Owner};
use crate::endpoint::{
    Cx, Errno, Family, MsgFlags, Readiness, Shutdown, SockOpt, SocketId, SocketKind, Sockets, TcpInfo, Tuple,
};
use crate::tcp::{Connection, Context, Ports};
use crate::time::{HostTime, Span};
use crate::wire::{Payload, Rope};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

impl Sockets for Host {
    fn socket(&mut self, _cx: &mut Cx<'_>, family: Family, kind: SocketKind) -> Result<SocketId, Errno> {
        if self.power == Power::Down {
            return Err(Errno::ENETDOWN);
        }
        let role = match kind {
            SocketKind::Stream => Role::Idle,
            SocketKind::Datagram => Role::Datagram(Box::default()),
        };
        let options = Options::new(&self.settings);
        self.sockets.insert(Socket::new(family, options, role), &self.settings)
    }

    fn bind(&mut self, _cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) -> Result<(), Errno> {
        self.bind_socket(socket, unmapped(local))
    }

    fn listen(&mut self, _cx: &mut Cx<'_>, socket: SocketId, backlog: u32) -> Result<(), Errno> {
        let entry = self.sockets.get(socket)?;
        match entry.role {
            Role::Idle | Role::Listener(_) => {}
            Role::Datagram(_) => return Err(Errno::EOPNOTSUPP),
            Role::Waiting(_) | Role::Stream(_) => return Err(Errno::EINVAL),
            Role::Lingering => return Err(Errno::EBADF),
        }
        if entry.bound.is_none() {
            let any = SocketAddr::new(entry.unspecified(), 0);
            self.bind_socket(socket, any)?;
        }
        self.start_listening(socket, backlog)
    }

    fn accept(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(SocketId, SocketAddr), Errno> {
        self.take_waiting(cx, socket)
    }

    fn connect(&mut self, cx: &mut Cx<'_>, socket: SocketId, remote: SocketAddr) -> Result<(), Errno> {
        let remote = here_if_unspecified(unmapped(remote));
        let result = match self.sockets.get(socket)?.role {
            Role::Datagram(_) => return self.connect_datagram(socket, remote),
            Role::Listener(_) => Err(Errno::EISCONN),
            Role::Waiting(_) => Err(Errno::EALREADY),
            Role::Lingering => Err(Errno::EBADF),
            Role::Stream(stream) => self.connect_again(socket, stream),
            Role::Idle => match self.take_socket_error(cx, socket)? {
                Some(error) => Err(error),
                None => self.connect_idle(cx, socket, remote),
            },
        };
        self.after_verb(cx, socket);
        result
    }

    fn send(&mut self, cx: &mut Cx<'_>, socket: SocketId, data: &Payload, flags: MsgFlags) -> Result<u32, Errno> {
        if let Role::Datagram(queue) = &self.sockets.get(socket)?.role {
            let peer = queue.peer.ok_or(Errno::EDESTADDRREQ)?;
            return self.send_datagram(cx, socket, data, peer);
        }
        self.send_stream(cx, socket, data, flags)
    }

    fn recv(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        max: usize,
        flags: MsgFlags,
        into: &mut Rope,
    ) -> Result<usize, Errno> {
        let stream = match &self.sockets.get(socket)?.role {
            Role::Stream(stream) => *stream,
            Role::Waiting(_) => return Err(Errno::EAGAIN),
            Role::Idle | Role::Listener(_) => return Err(Errno::ENOTCONN),
            Role::Lingering => return Err(Errno::EBADF),
            Role::Datagram(_) => {
                // What does not fit into `max` is lost with its datagram, as POSIX has it.
                let (payload, _) = self.recv_from(cx, socket)?;
                let len = payload.len().min(u32::try_from(max).unwrap_or(u32::MAX));
                into.push(payload.slice(0..len));
                return Ok(len as usize);
            }
        };
        let conn = self.conns.get(stream.conn).ok_or(Errno::ENOTCONN)?;
        if conn.indexed && matches!(stream.phase, Phase::Connecting | Phase::Deferred) {
            return Err(Errno::EAGAIN);
        }
        // The usual last call of a loop: nothing has come since the one before.
        if conn.tcp.readable() == 0 && !conn.tcp.has_urgent() && max > 0 && flags.is_empty() {
            let result = self.nothing_read(cx, socket, stream, flags);
            self.notify(cx, socket, false);
            return result;
        }
        let got = self.touch(cx, stream.conn, |tcp, context| tcp.receive(context, max, flags, into)).unwrap_or(0);
        let result = if got > 0 || max == 0 { Ok(got) } else { self.nothing_read(cx, socket, stream, flags) };
        self.after_verb(cx, socket);
        result
    }

    fn send_to(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        data: &Payload,
        to: SocketAddr,
        flags: MsgFlags,
    ) -> Result<u32, Errno> {
        match self.sockets.get(socket)?.role {
            Role::Datagram(_) => self.send_datagram(cx, socket, data, here_if_unspecified(unmapped(to))),
            _ if flags.contains(MsgFlags::FASTOPEN) => {
                let to = here_if_unspecified(unmapped(to));
                let result = self.send_fast(cx, socket, data, to, flags - MsgFlags::FASTOPEN);
                self.after_verb(cx, socket);
                result
            }
            _ => self.send(cx, socket, data, flags),
        }
    }

    fn recv_from(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(Payload, SocketAddr), Errno> {
        if !self.sockets.get(socket)?.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        if let Some(error) = self.take_socket_error(cx, socket)? {
            return Err(error);
        }
        let result = self.sockets.queue(socket).and_then(Queue::pop).ok_or(Errno::EAGAIN);
        self.after_verb(cx, socket);
        result
    }

    fn shutdown(&mut self, cx: &mut Cx<'_>, socket: SocketId, how: Shutdown) -> Result<(), Errno> {
        let result = self.shut(cx, socket, how);
        self.after_verb(cx, socket);
        result
    }

    fn close(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(), Errno> {
        let waits = match self.sockets.get(socket)?.options.linger.filter(|&span| span > Span::ZERO) {
            Some(_) if self.lingers(socket) => true,
            Some(span) => self.close_lingering(cx, socket, span),
            None => false,
        };
        if !waits {
            self.close_socket(cx, socket);
        }
        self.settle_timers();
        if waits { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    fn abort(&mut self, cx: &mut Cx<'_>, socket: SocketId) -> Result<(), Errno> {
        self.sockets.get_mut(socket)?.options.linger = Some(Span::ZERO);
        self.close(cx, socket)
    }

    fn set_option(&mut self, cx: &mut Cx<'_>, socket: SocketId, option: SockOpt) -> Result<(), Errno> {
        self.set_socket_option(cx, socket, option)?;
        self.after_verb(cx, socket);
        Ok(())
    }

    fn get_option(&mut self, cx: &mut Cx<'_>, socket: SocketId, option: SockOpt) -> Result<SockOpt, Errno> {
        self.socket_option(cx, socket, option)
    }

    fn tcp_info(&self, now: HostTime, socket: SocketId) -> Result<TcpInfo, Errno> {
        self.socket_info(now, socket)
    }

    fn queued_in(&self, socket: SocketId) -> Result<u32, Errno> {
        let socket = self.sockets.get(socket)?;
        let waiting = match &socket.role {
            Role::Stream(stream) => self.conns.get(stream.conn).map_or(0, |conn| conn.tcp.readable()),
            Role::Datagram(queue) => queue.first_len(),
            // tcp_ioctl(): EINVAL for a listener.
            Role::Listener(_) => return Err(Errno::EINVAL),
            Role::Lingering => return Err(Errno::EBADF),
            Role::Idle | Role::Waiting(_) => 0,
        };
        Ok(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    fn queued_out(&self, socket: SocketId) -> Result<u32, Errno> {
        let socket = self.sockets.get(socket)?;
        let unacked = match &socket.role {
            Role::Stream(stream) => self.conns.get(stream.conn).map_or(0, |conn| conn.tcp.snd_view().queued),
            Role::Listener(_) => return Err(Errno::EINVAL),
            Role::Lingering => return Err(Errno::EBADF),
            Role::Datagram(_) | Role::Idle | Role::Waiting(_) => 0,
        };
        Ok(u32::try_from(unacked).unwrap_or(u32::MAX))
    }

    fn readiness(&self, socket: SocketId) -> Readiness {
        self.poll(socket)
    }

    fn local_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        let socket = self.sockets.get(socket)?;
        let used = match &socket.role {
            Role::Stream(stream) => self.conns.get(stream.conn).map(|conn| conn.tuple.local),
            Role::Datagram(queue) => queue.local,
            _ => None,
        };
        let bound = socket.bound.map(|bound| bound.addr);
        Ok(used.or(bound).unwrap_or(SocketAddr::new(socket.unspecified(), 0)))
    }

    /// The peer is known as soon as `connect` was called, which POSIX does not promise.
    fn peer_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        let peer = match &self.sockets.get(socket)?.role {
            Role::Stream(stream) => self.conns.get(stream.conn).map(|conn| conn.tuple.remote),
            Role::Datagram(queue) => queue.peer,
            Role::Waiting(remote) => Some(*remote),
            _ => None,
        };
        peer.ok_or(Errno::ENOTCONN)
    }

    fn names(&self, socket: SocketId) -> Option<Tuple> {
        if let Role::Stream(stream) = &self.sockets.get(socket).ok()?.role {
            return self.conns.get(stream.conn).map(|conn| conn.tuple);
        }
        Some(Tuple { local: self.local_addr(socket).ok()?, remote: self.peer_addr(socket).ok()? })
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.addrs.outward().collect()
    }
}

impl Host {
    /// What a call has changed, its caller knows but for what was gained; timeouts may have moved.
    fn after_verb(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        self.notify(cx, id, false);
        self.settle_timers();
    }

    /// `send` on a stream.
    pub(super) fn send_stream(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        data: &Payload,
        flags: MsgFlags,
    ) -> Result<u32, Errno> {
        let stream = match &self.sockets.get(socket)?.role {
            Role::Stream(stream) => *stream,
            Role::Waiting(_) => return Err(Errno::EAGAIN),
            Role::Idle | Role::Listener(_) | Role::Datagram(_) => return Err(Errno::ENOTCONN),
            Role::Lingering => return Err(Errno::EBADF),
        };
        let conn = self.conns.get(stream.conn).ok_or(Errno::EPIPE)?;
        match stream.phase {
            Phase::Connecting if conn.indexed => {
                if flags.contains(MsgFlags::WAITS) {
                    self.touch(cx, stream.conn, |tcp, context| tcp.await_opening(context));
                }
                return Err(Errno::EAGAIN);
            }
            Phase::Deferred if conn.indexed => {
                let result = self.send_first(cx, socket, data, flags);
                self.after_verb(cx, socket);
                return result;
            }
            _ => {}
        }
        if let Some(error) = self.take_socket_error(cx, socket)? {
            return Err(error);
        }
        let conn = self.conns.get(stream.conn).ok_or(Errno::EPIPE)?;
        if !conn.indexed || conn.tcp.is_closed_for_sending() {
            return Err(Errno::EPIPE);
        }
        let taken = self.touch(cx, stream.conn, |tcp, context| tcp.send(context, data, flags)).unwrap_or(0);
        self.after_verb(cx, socket);
        if taken == 0 && !data.is_empty() { Err(Errno::EAGAIN) } else { Ok(taken) }
    }

    pub(super) fn bind_socket(&mut self, id: SocketId, local: SocketAddr) -> Result<(), Errno> {
        let socket = self.sockets.get(id)?;
        if socket.bound.is_some() || !matches!(socket.role, Role::Idle | Role::Datagram(_)) {
            return Err(Errno::EINVAL);
        }
        match (socket.family, local.is_ipv6()) {
            (Family::V4, true) => return Err(Errno::EAFNOSUPPORT),
            (Family::V6, false) if socket.options.v6_only => return Err(Errno::EINVAL),
            _ => {}
        }
        let (datagram, reuse) = (socket.is_datagram(), socket.options.reuse);
        let scope = self.addrs.scope(local.ip(), socket.options.v6_only).ok_or(Errno::EADDRNOTAVAIL)?;
        let ports = if datagram { &mut self.udp_ports } else { &mut self.tcp_ports };
        let port = match local.port() {
            0 => ports.next_unheld(scope, reuse).ok_or(Errno::EADDRINUSE)?,
            port if port < self.settings.unprivileged => return Err(Errno::EACCES),
            port => match ports.conflict(port, scope, reuse) {
                Some(errno) => return Err(errno),
                None => port,
            },
        };
        let hold = Hold::Bound;
        ports.hold(port, scope, hold, reuse);
        if datagram {
            self.enter_datagram(id, scope, port);
        }
        let addr = SocketAddr::new(local.ip(), port);
        self.sockets.get_mut(id)?.bound = Some(Bound { addr, scope, hold, reuse });
        Ok(())
    }

    /// How a socket shares its port has changed.
    pub(super) fn share_anew(&mut self, id: SocketId) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        let (reuse, datagram) = (socket.options.reuse, socket.is_datagram());
        let ports = if datagram { &mut self.udp_ports } else { &mut self.tcp_ports };
        if let Some(bound) = &mut socket.bound {
            ports.release(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
            bound.reuse = reuse;
            ports.hold(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
        }
        if let Role::Stream(stream) = socket.role {
            self.share_conn(stream.conn, reuse);
        }
        Ok(())
    }

    /// Begins to connect; `later`: the SYN waits to be told what it asks for. `EINPROGRESS` where all of it waits.
    pub(super) fn start_connecting(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        remote: SocketAddr,
        later: bool,
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        match (socket.family, remote.is_ipv6()) {
            (Family::V4, true) => return Err(Errno::EAFNOSUPPORT),
            (Family::V6, false) if socket.options.v6_only => return Err(Errno::ENETUNREACH),
            _ => {}
        }
        if remote.port() == 0 {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if let Power::Quiet { waiting, .. } = &mut self.power {
            waiting.push(id);
            socket.role = Role::Waiting(remote);
            return Err(Errno::EINPROGRESS);
        }
        self.open_stream(cx, id, remote, later)
    }

    /// CLOSED -> SYN-SENT; `later`: the SYN waits to be told what it asks for.
    pub(super) fn open_stream(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        remote: SocketAddr,
        later: bool,
    ) -> Result<(), Errno> {
        let socket = self.sockets.get(id)?;
        let path = self.narrowed(self.addrs.route(remote.ip())?, remote.ip(), cx.now());
        let (bound, reuse) = (socket.bound, socket.sharing());
        let source = match bound.map(|bound| bound.addr.ip()).filter(|addr| !addr.is_unspecified()) {
            Some(addr) if addr.is_ipv4() != remote.is_ipv4() => return Err(Errno::EINVAL),
            Some(addr) => addr,
            None => self.addrs.source(remote.ip(), path).ok_or(Errno::ENETUNREACH)?,
        };
        let local = self.addrs.own(source).ok_or(Errno::EADDRNOTAVAIL)?;
        let peer = self.addrs.use_peer(remote.ip());
        let to = Destination { local, remote: peer, remote_port: remote.port() };
        let key = |port| Key { remote: peer, local, local_port: port, remote_port: remote.port() };
        let (settings, demux, leftovers) = (&self.settings, &self.demux, &self.leftovers);
        let looks = Looks { settings, demux, leftovers, now: cx.now() };
        let loopback = source.is_loopback() || remote.ip().is_loopback();
        let chosen = match bound {
            Some(bound) => Some((bound.addr.port(), Hold::Bound)),
            None => {
                let taken = |port| looks.chosen(key(port), loopback).is_none();
                self.tcp_ports.next_towards(to, taken).map(|port| (port, Hold::Chosen))
            }
        };
        // TIME-WAIT included: that is what it is for (RFC 9293 3.6.1), unless timestamps tell the incarnations apart.
        let left = chosen.and_then(|(port, hold)| match (self.demux.contains(&key(port)), hold) {
            (false, _) => Some(None),
            (true, Hold::Chosen) => looks.chosen(key(port), loopback).map(Some),
            (true, _) => looks.bound(key(port)).map(Some),
        });
        let (Some((port, hold)), Some(left)) = (chosen, left) else {
            self.addrs.drop_peer(remote.ip());
            return Err(Errno::EADDRNOTAVAIL);
        };
        let tuple = Tuple { local: SocketAddr::new(source, port), remote };
        let mut setup = self.setup(&self.sockets.get(id)?.options, tuple, path);
        let iss = match left.and_then(|left| self.succeed(cx, left, &mut setup)) {
            Some(beyond) => self.isn.after(tuple, cx.now(), beyond, &self.settings),
            None => self.isn.next(tuple, cx.now()),
        };
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let open = if later { Connection::open_later } else { Connection::open };
        let ports = Ports { local: port, remote: remote.port() };
        let tcp = open(&mut context, ports, iss, &setup);
        let new = NewConn { tuple, key: key(port), path, owner: Owner::Socket(id), hold, reuse };
        let conn = self.add_conn(cx, tcp, new);
        let phase = if later { Phase::Deferred } else { Phase::Connecting };
        let stream = Stream { conn, phase, shut_read: false };
        self.sockets.get_mut(id)?.role = Role::Stream(stream);
        self.set_told(id);
        Ok(())
    }

    /// `connect` on a socket that has connected before: how that went.
    pub(super) fn connect_again(&mut self, id: SocketId, stream: Stream) -> Result<(), Errno> {
        match stream.phase {
            Phase::Open => return Err(Errno::EISCONN),
            Phase::Connected => {
                self.sockets.set_phase(id, Phase::Open);
                return Ok(());
            }
            Phase::Connecting | Phase::Deferred => {}
        }
        let conn = self.conns.get_mut(stream.conn).ok_or(Errno::ECONNABORTED)?;
        if conn.indexed {
            return Err(if stream.phase == Phase::Deferred { Errno::EISCONN } else { Errno::EALREADY });
        }
        // It failed; where the reason was taken already, there is only the fact.
        let error = conn.tcp.take_error().unwrap_or(Errno::ECONNABORTED);
        self.drop_conn(stream.conn);
        self.sockets.get_mut(id)?.role = Role::Idle;
        self.set_told(id);
        Err(error)
    }

    /// What `recv` answers where there is nothing to read.
    fn nothing_read(&mut self, cx: &mut Cx<'_>, id: SocketId, stream: Stream, flags: MsgFlags) -> Result<usize, Errno> {
        if flags.contains(MsgFlags::OOB) {
            // tcp_recv_urg()
            let conn = self.conns.get(stream.conn).filter(|conn| conn.tcp.awaits_urgent());
            return match conn {
                None => Err(Errno::EINVAL),
                Some(conn) if !conn.indexed || conn.tcp.at_end() || stream.shut_read => Ok(0),
                Some(_) => Err(Errno::EAGAIN),
            };
        }
        // tcp_recvmsg_locked(): SOCK_DONE comes before the error, RCV_SHUTDOWN after it.
        let end_first = self.settings.end_first;
        if end_first && self.conns.get(stream.conn).is_some_and(|conn| conn.tcp.at_end()) {
            return Ok(0);
        }
        if let Some(error) = self.take_socket_error(cx, id)? {
            return Err(error);
        }
        let conn = self.conns.get(stream.conn).ok_or(Errno::ENOTCONN)?;
        match (stream.phase, conn.indexed) {
            (Phase::Connecting | Phase::Deferred, false) if end_first => Ok(0),
            (Phase::Connecting | Phase::Deferred, _) => Err(Errno::ENOTCONN),
            (_, true) if !conn.tcp.at_end() && !stream.shut_read => Err(Errno::EAGAIN),
            _ => Ok(0),
        }
    }

    fn shut(&mut self, cx: &mut Cx<'_>, id: SocketId, how: Shutdown) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        match &mut socket.role {
            Role::Stream(stream) => {
                stream.shut_read |= how != Shutdown::Write;
                let index = stream.conn;
                if !self.conns.get(index).is_some_and(|conn| conn.indexed) {
                    return Err(Errno::ENOTCONN);
                }
                if how != Shutdown::Write {
                    self.touch(cx, index, |tcp, context| tcp.shut_reading(context));
                }
                if how != Shutdown::Read {
                    self.touch(cx, index, |tcp, context| tcp.close(context));
                }
                Ok(())
            }
            // As on Linux: a listener that reads no more listens no more.
            Role::Listener(_) if how != Shutdown::Write => {
                self.stop_listening(cx, id);
                Ok(())
            }
            Role::Listener(_) => Ok(()),
            Role::Datagram(queue) if queue.peer.is_some() => Ok(()),
            Role::Datagram(_) | Role::Idle | Role::Waiting(_) => Err(Errno::ENOTCONN),
            Role::Lingering => Err(Errno::EBADF),
        }
    }

    fn stop_listening(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let role = std::mem::replace(&mut socket.role, Role::Idle);
        let Role::Listener(listener) = role else {
            socket.role = role;
            return;
        };
        if let Some(bound) = &mut socket.bound {
            let place = (bound.scope, bound.addr.port());
            if let Some(group) = self.listeners.get_mut(&place) {
                group.retain(|&other| other != id);
                if group.is_empty() {
                    self.listeners.remove(&place);
                }
            }
            self.tcp_ports.release(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
            bound.hold = Hold::Bound;
            self.tcp_ports.hold(bound.addr.port(), bound.scope, bound.hold, bound.reuse);
        }
        self.end_listener(cx, id, *listener);
    }

    /// The descriptor is gone at once; what it stood for ends in its own time.
    pub(super) fn close_socket(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        self.stop_listening(cx, id);
        self.forget_lingering(id);
        let Ok(socket) = self.sockets.get(id) else { return };
        let (bound, datagram) = (socket.bound, socket.is_datagram());
        let conn = if let Role::Stream(stream) = socket.role { Some(stream.conn) } else { None };
        let linger = if socket.options.linger == Some(Span::ZERO) { Linger::Abort } else { Linger::Graceful };
        if let (Role::Waiting(_), Power::Quiet { waiting, .. }) = (&socket.role, &mut self.power) {
            waiting.retain(|&other| other != id);
        }
        self.sockets.discard(id);
        let ports = if datagram { &mut self.udp_ports } else { &mut self.tcp_ports };
        if let Some(Bound { addr, scope, hold, reuse }) = bound {
            ports.release(addr.port(), scope, hold, reuse);
            if datagram {
                self.leave_datagram(id, scope, addr.port());
            }
        }
        if let Some(index) = conn {
            self.orphan(cx, index, linger);
        }
    }
}

/// A packet to no address in particular goes to this host, as on Linux and BSD.
fn here_if_unspecified(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
