use super::Host;
use super::config::Settings;
use super::datagram::Queue;
use super::linger::Lingering;
use super::listener::Listener;
use super::options::Options;
use super::ports::{Hold, Scope, Sharing};
use super::stream::Conn;
use crate::endpoint::{Cx, Errno, Family, Readiness, SocketId};
use crate::slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One open descriptor.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) family: Family,
    pub(super) options: Options,
    pub(super) role: Role,
    /// What `bind` gave it.
    pub(super) bound: Option<Bound>,
    /// An error that no connection keeps.
    pub(super) error: Option<Errno>,
    /// What its owner knows that `poll` answers.
    told: Readiness,
}

/// What a socket is.
#[derive(Debug)]
pub(super) enum Role {
    /// A stream without a connection.
    Idle,
    /// A stream that connects as soon as the quiet time is over.
    Waiting(SocketAddr),
    /// A stream with its connection.
    Stream(Stream),
    /// A stream that listens.
    Listener(Box<Listener>),
    /// A datagram socket.
    Datagram(Box<Queue>),
    /// A stream whose `close` waits, or has waited and was not asked again.
    Lingering,
}

/// The connection of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) conn: u32,
    pub(super) phase: Phase,
    /// Whether `shutdown` has ended reading.
    pub(super) shut_read: bool,
}

/// What `connect` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// `EISCONN`, though the SYN waits for what is written first (`TCP_FASTOPEN_CONNECT`).
    Deferred,
    /// `EALREADY`.
    Connecting,
    /// Success, once.
    Connected,
    /// `EISCONN`.
    Open,
}

/// The address that `bind` gave a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) addr: SocketAddr,
    pub(super) scope: Scope,
    pub(super) hold: Hold,
    pub(super) reuse: Sharing,
}

impl Socket {
    pub(super) fn new(family: Family, options: Options, role: Role) -> Socket {
        // As `poll` answers for a new one.
        let told = match role {
            Role::Datagram(_) => Readiness::WRITABLE,
            _ => Readiness::WRITABLE | Readiness::HUP,
        };
        Socket { family, options, role, bound: None, error: None, told }
    }

    /// How it shares its port, and with it what comes of it: once it is bound, as it was then, unless its options have been
    /// heard since.
    pub(super) fn sharing(&self) -> Sharing {
        self.bound.map_or(self.options.reuse, |bound| bound.reuse)
    }

    pub(super) fn is_datagram(&self) -> bool {
        matches!(self.role, Role::Datagram(_))
    }

    /// What `poll` answers.
    #[inline]
    fn poll(&self, id: SocketId, conns: &Slab<Conn>, lingering: &[Lingering]) -> Readiness {
        let answer = match &self.role {
            Role::Stream(Stream { conn, phase, shut_read }) => {
                conns.get(*conn).map_or(Readiness::empty(), |conn| conn.poll(*phase, *shut_read))
            }
            _ => self.poll_other(id, lingering),
        };
        match self.error {
            None => answer,
            Some(_) => answer | Readiness::ERROR | Readiness::READABLE | Readiness::WRITABLE,
        }
    }

    /// What it answers for what has no connection, but for errors.
    #[inline(never)]
    fn poll_other(&self, id: SocketId, lingering: &[Lingering]) -> Readiness {
        match &self.role {
            // As Linux answers for a stream that has never been connected.
            Role::Idle => Readiness::WRITABLE | Readiness::HUP,
            Role::Waiting(_) | Role::Stream(_) => Readiness::empty(),
            Role::Lingering if lingering.iter().any(|lingering| lingering.is_of(id)) => Readiness::empty(),
            Role::Lingering => Readiness::HUP,
            Role::Listener(listener) if listener.has_waiting() => Readiness::READABLE,
            Role::Listener(_) => Readiness::empty(),
            Role::Datagram(queue) if queue.is_empty() => Readiness::WRITABLE,
            Role::Datagram(_) => Readiness::WRITABLE | Readiness::READABLE,
        }
    }

    /// The address of a socket that is not bound.
    pub(super) fn unspecified(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// The descriptors of the host's one process: the lowest free number is given first.
#[derive(Debug, Default)]
pub(super) struct SocketTable {
    slots: Vec<Option<Socket>>,
    free: BinaryHeap<Reverse<u32>>,
    open: u32,
}

/// Numbers below are standard input, output and error.
const FIRST: u32 = 3;

impl SocketTable {
    pub(super) fn insert(&mut self, socket: Socket, settings: &Settings) -> Result<SocketId, Errno> {
        self.check_room(settings)?;
        self.open += 1;
        if let Some(Reverse(index)) = self.free.pop() {
            self.slots[index as usize] = Some(socket);
            return Ok(SocketId(index + FIRST));
        }
        let index = u32::try_from(self.slots.len()).map_err(|_| Errno::ENFILE)?;
        self.slots.push(Some(socket));
        Ok(SocketId(index + FIRST))
    }

    /// Whether there is room for one more: for the process a descriptor, for the host a file.
    pub(super) fn check_room(&self, settings: &Settings) -> Result<(), Errno> {
        match settings.files {
            _ if self.open >= settings.descriptors => Err(Errno::EMFILE),
            Some(most) if self.open >= most => Err(Errno::ENFILE),
            _ => Ok(()),
        }
    }

    pub(super) fn get(&self, id: SocketId) -> Result<&Socket, Errno> {
        let slot = id.0.checked_sub(FIRST).and_then(|index| self.slots.get(index as usize));
        slot.and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    pub(super) fn get_mut(&mut self, id: SocketId) -> Result<&mut Socket, Errno> {
        let slot = id.0.checked_sub(FIRST).and_then(|index| self.slots.get_mut(index as usize));
        slot.and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// Forgets a socket where it lies.
    pub(super) fn discard(&mut self, id: SocketId) {
        let Some(index) = id.0.checked_sub(FIRST) else { return };
        if let Some(slot) = self.slots.get_mut(index as usize)
            && slot.is_some()
        {
            *slot = None;
            self.free.push(Reverse(index));
            self.open -= 1;
        }
    }

    /// Every open descriptor, lowest first.
    pub(super) fn ids(&self) -> Vec<SocketId> {
        self.iter().map(|(id, _)| id).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        (FIRST..).map(SocketId).zip(&self.slots).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    pub(super) fn set_phase(&mut self, id: SocketId, phase: Phase) {
        if let Ok(Socket { role: Role::Stream(stream), .. }) = self.get_mut(id) {
            stream.phase = phase;
        }
    }

    pub(super) fn listener(&mut self, id: SocketId) -> Option<&mut Listener> {
        match self.get_mut(id) {
            Ok(Socket { role: Role::Listener(listener), .. }) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn queue(&mut self, id: SocketId) -> Option<&mut Queue> {
        match self.get_mut(id) {
            Ok(Socket { role: Role::Datagram(queue), .. }) => Some(queue),
            _ => None,
        }
    }
}

impl Host {
    /// What `poll` answers.
    pub(super) fn poll(&self, id: SocketId) -> Readiness {
        self.sockets.get(id).map_or(Readiness::empty(), |socket| socket.poll(id, &self.conns, &self.lingering))
    }

    /// Tells the owner of a socket where `poll` answers more than before, or `arrived` says that something came.
    #[inline(never)]
    pub(super) fn notify(&mut self, cx: &mut Cx<'_>, id: SocketId, arrived: bool) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let answer = socket.poll(id, &self.conns, &self.lingering);
        let told = std::mem::replace(&mut socket.told, answer);
        if arrived || !told.contains(answer) {
            cx.ready(id, answer);
        }
    }

    /// Its owner knows what `poll` answers now.
    pub(super) fn set_told(&mut self, id: SocketId) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.told = socket.poll(id, &self.conns, &self.lingering);
        }
    }
}
