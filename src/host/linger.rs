use super::Host;
use super::demux::Place;
use super::sockets::{Bound, Role};
use super::stream::Linger;
use super::timers::Alarm;
use crate::endpoint::{Cx, SocketId, State};
use crate::time::{HostTime, Span};

/// A socket whose `close` waits (`SO_LINGER` with a time): it has given its connection up and is only its descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lingering {
    socket: SocketId,
    /// The connection, and its birth: its place may be another's by then.
    conn: (u32, u32),
    until: HostTime,
}

impl Lingering {
    /// Whether it is the `close` of this socket.
    pub(super) fn is_of(&self, id: SocketId) -> bool {
        self.socket == id
    }
}

impl Host {
    /// `close` of a socket that lingers: whether it waits. It does so until its FIN is acknowledged or the connection is
    /// over, and for `span` at most (`sk_stream_wait_close()`), on a non-blocking socket too; a reset leaves nothing to
    /// wait for.
    pub(super) fn close_lingering(&mut self, cx: &mut Cx<'_>, id: SocketId, span: Span) -> bool {
        let Ok(socket) = self.sockets.get_mut(id) else { return false };
        let Role::Stream(stream) = socket.role else { return false };
        let Some(birth) = self.conns.get(stream.conn).map(|conn| conn.birth) else { return false };
        socket.role = Role::Lingering;
        if let Some(Bound { addr, scope, hold, reuse }) = socket.bound.take() {
            self.tcp_ports.release(addr.port(), scope, hold, reuse);
        }
        self.orphan(cx, stream.conn, Linger::Graceful);
        let until = self.settings.knobs.ticks.after(cx.now(), span);
        let lingering = Lingering { socket: id, conn: (stream.conn, birth), until };
        if !self.has_unacked_fin(lingering) {
            return false;
        }
        self.lingering.push(lingering);
        let birth = self.birth();
        self.timers.set(Alarm { due: until, birth, slot: Place::Linger.slot() });
        true
    }

    /// Whether the `close` of this socket still waits.
    pub(super) fn lingers(&self, id: SocketId) -> bool {
        self.lingering.iter().any(|lingering| lingering.is_of(id))
    }

    /// Whether someone's time is over at `due`.
    pub(super) fn lingers_until(&self, due: HostTime) -> bool {
        self.lingering.iter().any(|lingering| lingering.until == due)
    }

    /// Tells the owners of sockets whose `close` has nothing more to wait for.
    pub(super) fn end_lingering(&mut self, cx: &mut Cx<'_>) {
        let mut over = Vec::new();
        for lingering in &self.lingering {
            if lingering.until <= cx.now() || !self.has_unacked_fin(*lingering) {
                over.push(lingering.socket);
            }
        }
        for &id in &over {
            self.forget_lingering(id);
        }
        for id in over {
            self.notify(cx, id, true);
        }
    }

    /// Nobody waits for this `close` any more.
    pub(super) fn forget_lingering(&mut self, id: SocketId) {
        self.lingering.retain(|lingering| lingering.socket != id);
        self.timers.doubt(Place::Linger.slot());
    }

    fn has_unacked_fin(&self, lingering: Lingering) -> bool {
        let (index, birth) = lingering.conn;
        let waits = [State::FinWait1, State::Closing, State::LastAck];
        self.conns.get(index).is_some_and(|conn| conn.birth == birth && waits.contains(&conn.tcp.state()))
    }
}
