use super::Host;
use super::counters::Counter;
use super::listener::drop_segment;
use super::ports::Scope;
use super::sockets::Socket;
use crate::endpoint::{Cx, DropReason, Errno, Family, SocketId};
use crate::wire::{Body, Datagram, IcmpKind, Packet, Payload};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// What a datagram socket has: its peer, where it is connected, and what has arrived.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) local: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    arrived: VecDeque<(Payload, SocketAddr)>,
    bytes: u32,
}

/// What each datagram counts against the receive buffer besides its data, so that empty ones count too.
const OVERHEAD: u32 = 256;
/// The longest datagram that an IPv4 packet holds.
const LONGEST: u32 = 65_507;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// Keeps a datagram unless the buffer is full.
    fn push(&mut self, payload: Payload, from: SocketAddr, buffer: u32) -> bool {
        if self.bytes >= buffer {
            return false;
        }
        self.bytes += payload.len() + OVERHEAD;
        self.arrived.push_back((payload, from));
        true
    }

    pub(super) fn pop(&mut self) -> Option<(Payload, SocketAddr)> {
        let (payload, from) = self.arrived.pop_front()?;
        self.bytes -= payload.len() + OVERHEAD;
        Some((payload, from))
    }

    /// How long the datagram is that `recv` gives next; 0 if there is none.
    pub(super) fn first_len(&self) -> usize {
        self.arrived.front().map_or(0, |(payload, _)| payload.len() as usize)
    }
}

impl Host {
    pub(super) fn take_datagram(&mut self, cx: &mut Cx<'_>, local: u16, packet: &Packet, datagram: &Datagram) {
        let to = SocketAddr::new(packet.dst, datagram.dst_port);
        let from = SocketAddr::new(packet.src, datagram.src_port);
        let Some(id) = self.find_datagram(local, to, from) else {
            self.counters.add(Counter::UdpNoPorts);
            drop_segment(cx, DropReason::NoSocket);
            return self.port_unreachable(cx, packet);
        };
        let buffer = self.sockets.get(id).map_or(0, |socket| socket.options.receive_buffer);
        let taken = self.sockets.queue(id).is_some_and(|queue| queue.push(datagram.payload.clone(), from, buffer));
        if taken {
            self.counters.add(Counter::UdpInDatagrams);
            self.notify(cx, id, true);
        } else {
            self.counters.add(Counter::UdpRcvbufErrors);
            drop_segment(cx, DropReason::BufferFull);
        }
    }

    /// The socket for a datagram: connected to its sender before not connected, bound to the address before bound to
    /// all, the last bound of several.
    fn find_datagram(&self, local: u16, to: SocketAddr, from: SocketAddr) -> Option<SocketId> {
        let v6 = to.is_ipv6();
        let any = if v6 { Scope::AnyV6 } else { Scope::AnyV4 };
        let mut open = None;
        for scope in [Scope::One { local, v6 }, any, Scope::Any] {
            for &id in self.datagrams.get(&(scope, to.port())).into_iter().flatten().rev() {
                let Ok(Socket { role: super::sockets::Role::Datagram(queue), .. }) = self.sockets.get(id) else {
                    continue;
                };
                match queue.peer {
                    Some(peer) if peer == from && queue.local.is_none_or(|own| own.ip() == to.ip()) => return Some(id),
                    Some(_) => {}
                    None => open = open.or(Some(id)),
                }
            }
        }
        open
    }

    /// Enters a socket that was bound under its scope and port.
    pub(super) fn enter_datagram(&mut self, id: SocketId, scope: Scope, port: u16) {
        self.datagrams.get_or_insert_with((scope, port), Vec::new).push(id);
    }

    pub(super) fn leave_datagram(&mut self, id: SocketId, scope: Scope, port: u16) {
        if let Some(ids) = self.datagrams.get_mut(&(scope, port)) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.datagrams.remove(&(scope, port));
            }
        }
    }

    /// `connect` of a datagram socket: a peer by default, and the only one that it hears.
    pub(super) fn connect_datagram(&mut self, id: SocketId, remote: SocketAddr) -> Result<(), Errno> {
        let source = self.datagram_source(id, remote)?;
        self.bind_datagram(id)?;
        let port = self.sockets.get(id)?.bound.map_or(0, |bound| bound.addr.port());
        if let Some(queue) = self.sockets.queue(id) {
            (queue.local, queue.peer) = (Some(SocketAddr::new(source, port)), Some(remote));
        }
        Ok(())
    }

    pub(super) fn send_datagram(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        data: &Payload,
        to: SocketAddr,
    ) -> Result<u32, Errno> {
        if let Some(error) = self.take_socket_error(cx, id)? {
            return Err(error);
        }
        let source = self.datagram_source(id, to)?;
        let path = self.addrs.route(to.ip())?;
        self.bind_datagram(id)?;
        let src_port = self.sockets.get(id)?.bound.map_or(0, |bound| bound.addr.port());
        let body = Body::Udp(Datagram { src_port, dst_port: to.port(), payload: data.clone() });
        // A datagram may be fragmented (RFC 1122 3.3.3), but nothing here fragments.
        let packet = Packet { ttl: self.settings.ttl, dont_fragment: false, ..Packet::new(source, to.ip(), body) };
        if data.len() > LONGEST || packet.len() > path.mtu {
            return Err(Errno::EMSGSIZE);
        }
        self.counters.add(Counter::UdpOutDatagrams);
        self.counters.add(Counter::IpOutRequests);
        if self.addrs.has_carrier(path.iface) {
            cx.send(path.iface, packet);
        }
        Ok(data.len())
    }

    /// The address that a datagram to `to` comes from.
    fn datagram_source(&mut self, id: SocketId, to: SocketAddr) -> Result<IpAddr, Errno> {
        let socket = self.sockets.get(id)?;
        if to.port() == 0 {
            return Err(Errno::EINVAL);
        }
        match (socket.family, to.is_ipv6()) {
            (Family::V4, true) => return Err(Errno::EAFNOSUPPORT),
            (Family::V6, false) if socket.options.v6_only => return Err(Errno::ENETUNREACH),
            _ => {}
        }
        let bound = socket.bound.map(|bound| bound.addr.ip()).filter(|addr| !addr.is_unspecified());
        let path = self.addrs.route(to.ip())?;
        match bound {
            Some(addr) if addr.is_ipv4() != to.is_ipv4() => Err(Errno::EINVAL),
            Some(addr) => Ok(addr),
            None => self.addrs.source(to.ip(), path).ok_or(Errno::ENETUNREACH),
        }
    }

    /// Gives a datagram socket an ephemeral port, if it has none.
    fn bind_datagram(&mut self, id: SocketId) -> Result<(), Errno> {
        let socket = self.sockets.get(id)?;
        if socket.bound.is_some() {
            return Ok(());
        }
        let any = SocketAddr::new(socket.unspecified(), 0);
        // Out of ports is EAGAIN for a send and for a connect of a datagram socket, as on Linux.
        self.bind_socket(id, any).map_err(|_| Errno::EAGAIN)
    }

    /// An ICMP error about a datagram of ours: only a connected socket hears of it, and only of what is final
    /// (RFC 1122 4.1.3.3). Whether there was one.
    pub(super) fn datagram_error(
        &mut self,
        cx: &mut Cx<'_>,
        kind: IcmpKind,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let Some(number) = self.addrs.own(local.ip()) else { return false };
        let Some(id) = self.find_datagram(number, local, remote) else { return false };
        let connected = self.sockets.queue(id).is_some_and(|queue| queue.peer == Some(remote));
        let error = match kind {
            IcmpKind::PortUnreachable => Errno::ECONNREFUSED,
            IcmpKind::ProtocolUnreachable => Errno::ENOPROTOOPT,
            _ => return connected,
        };
        if connected && let Ok(socket) = self.sockets.get_mut(id) {
            socket.error = Some(error);
            self.notify(cx, id, false);
        }
        connected
    }
}
