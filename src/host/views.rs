use super::Host;
use super::sockets::Role;
use super::stream::Owner;
use crate::endpoint::{ConnView, Errno, ListenView, SocketId, State, TcpInfo};
use crate::time::HostTime;

impl Host {
    /// Every connection, in the order of its addresses.
    pub(super) fn view_connections(&self, visit: &mut dyn FnMut(ConnView)) {
        let mut views: Vec<ConnView> = Vec::new();
        for (_, conn) in self.conns.iter().filter(|(_, conn)| conn.indexed) {
            let socket = if let Owner::Socket(id) = conn.owner { Some(id) } else { None };
            let (snd, rcv) = (Some(conn.tcp.snd_view()), conn.tcp.rcv_view());
            views.push(ConnView { tuple: conn.tuple, state: conn.tcp.state(), socket, snd, rcv });
        }
        for (_, half) in self.halves.iter() {
            let tuple = self.tuple(half.key());
            views.push(ConnView { tuple, state: half.tcp.state(), socket: None, snd: None, rcv: None });
        }
        for (_, leftover) in self.leftovers.iter() {
            let tuple = self.tuple(leftover.key());
            views.push(ConnView { tuple, state: leftover.tcp.state(), socket: None, snd: None, rcv: None });
        }
        views.sort_by_key(|view| view.tuple);
        views.into_iter().for_each(visit);
    }

    /// Every listener, in the order of its socket.
    pub(super) fn view_listeners(&self, visit: &mut dyn FnMut(ListenView)) {
        let listeners = self.sockets.iter().filter_map(|(id, socket)| match &socket.role {
            Role::Listener(listener) => Some((id, listener)),
            _ => None,
        });
        for (socket, listener) in listeners {
            let socket: SocketId = socket;
            visit(ListenView {
                local: listener.local,
                socket,
                syn: listener.syn,
                syn_max: listener.syn_max,
                accept: listener.waiting(),
                accept_max: listener.accept_max,
            });
        }
    }

    /// `TCP_INFO` of a socket.
    pub(super) fn socket_info(&self, now: HostTime, id: SocketId) -> Result<TcpInfo, Errno> {
        match &self.sockets.get(id)?.role {
            Role::Datagram(_) => Err(Errno::EOPNOTSUPP),
            Role::Idle | Role::Waiting(_) => Ok(TcpInfo::CLOSED),
            Role::Lingering => Err(Errno::EBADF),
            // As Linux has it since 2.6.24: the two numbers of `ss -lnt` in fields that a listener has no use for.
            Role::Listener(listener) => {
                let (unacked, sacked) = (listener.waiting(), listener.accept_max);
                Ok(TcpInfo { state: State::Listen, unacked, sacked, ..TcpInfo::CLOSED })
            }
            Role::Stream(stream) => {
                Ok(self.conns.get(stream.conn).map_or(TcpInfo::CLOSED, |conn| conn.info(now, &self.settings.knobs)))
            }
        }
    }
}
