//! Fast Open (RFC 7413): the cookies that the host gives, those that it was given, and who may use them
//! (net/ipv4/tcp_fastopen.c, tcp_metrics.c).

use super::Host;
use super::counters::{Counter, Machine};
use super::demux::Key;
use super::ports::Hold;
use super::siphash::siphash;
use super::sockets::{Phase, Role, Stream};
use super::stream::{NewConn, Owner};
use crate::endpoint::{Cx, Errno, FastOpenKey, MsgFlags, SocketId, State, Tuple};
use crate::map::Map;
use crate::rng::Stream as Words;
use crate::tcp::{Context, FastOpenAsk, FastOpenCookie, FastOpenKind, FastOpenLearned, HalfOpen, Ports, TcpEvent};
use crate::time::{HostTime, Span, secs};
use crate::wire::{Payload, Segment, Seq};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

bitflags::bitflags! {
    /// The bits of `net.ipv4.tcp_fastopen`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Uses: u32 {
        /// `TFO_CLIENT_ENABLE`.
        const CLIENT = 1;
        /// `TFO_SERVER_ENABLE`.
        const SERVER = 2;
        /// `TFO_CLIENT_NO_COOKIE`: data goes into SYNs without a cookie.
        const CLIENT_WITHOUT_COOKIE = 4;
        /// `TFO_SERVER_COOKIE_NOT_REQD`: and is taken without one.
        const SERVER_WITHOUT_COOKIE = 0x200;
        /// `TFO_SERVER_WO_SOCKOPT1`: each listener takes it, asked by `TCP_FASTOPEN` or not.
        const EVERY_LISTENER = 0x400;
    }
}

/// What the host knows of cookies.
#[derive(Debug)]
pub(super) struct FastOpen {
    secrets: Words,
    /// What its cookies are made with where no sysctl says it.
    own: FastOpenKey,
    /// By own address and peer.
    known: Map<(IpAddr, IpAddr), Known>,
}

/// What a host knows about a peer (`struct tcp_fastopen_metrics`).
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    mss: Option<u16>,
    cookie: Option<FastOpenCookie>,
    /// The options under which requests have gone unanswered: after both it is the assigned one again, for good.
    tried: Option<FastOpenKind>,
}

/// Connections of a listener whose handshake is not over.
#[derive(Debug, Default)]
pub(super) struct Pending {
    open: u32,
    /// Those that were reset count on, until then: a flood of SYNs with forged addresses looks like this.
    resets: VecDeque<HostTime>,
}

/// How long that is (`reqsk_fastopen_remove()`).
const RESETS_COUNT: Span = secs(60);

/// What a listener makes of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is one as always.
    Plain,
    /// So it is, but its SYN-ACK brings a cookie.
    Grant(FastOpenCookie),
    /// It opens a connection at once; a SYN with a cookie of the former key is answered by one of the new key.
    Open(Option<FastOpenCookie>),
}

/// Which of two keys a cookie was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MadeWith {
    Primary,
    Backup,
}

impl FastOpen {
    pub(super) fn new(seed: u64, name: &str) -> FastOpen {
        let secrets = Words::new(seed, &format!("{name}/fast-open"));
        let mut fast_open = FastOpen { secrets, own: FastOpenKey::default(), known: Map::new() };
        fast_open.renew();
        fast_open
    }

    /// The host has booted: a fresh key, and nothing is known of peers.
    pub(super) fn renew(&mut self) {
        let words = [self.secrets.word(), self.secrets.word()];
        self.own.primary[..8].copy_from_slice(&words[0].to_le_bytes());
        self.own.primary[8..].copy_from_slice(&words[1].to_le_bytes());
        self.forget();
    }

    /// `ip tcp_metrics flush`.
    pub(super) fn forget(&mut self) {
        self.known = Map::new();
    }

    /// `tcp_fastopen_cache_set()`.
    pub(super) fn learn(&mut self, tuple: Tuple, learned: FastOpenLearned) {
        let known = self.known.get_or_insert_with((tuple.local.ip(), tuple.remote.ip()), Known::default);
        known.mss = learned.mss.or(known.mss);
        if learned.cookie.is_some() {
            known.cookie = learned.cookie;
        } else if known.cookie.is_none() && known.tried != Some(FastOpenKind::Experimental) {
            known.tried = learned.unanswered.or(known.tried);
        }
    }

    /// `tcp_fastopen_cookie_check()`, where Fast Open does not pause.
    fn ask(&self, tuple: Tuple, without_cookie: bool) -> FastOpenAsk {
        let known = self.known.get(&(tuple.local.ip(), tuple.remote.ip())).copied().unwrap_or_default();
        match (without_cookie, known.cookie) {
            (true, _) => FastOpenAsk::Data { cookie: None, mss: known.mss },
            (false, cookie @ Some(_)) => FastOpenAsk::Data { cookie, mss: known.mss },
            (false, None) if known.tried == Some(FastOpenKind::Assigned) => {
                FastOpenAsk::Cookie(FastOpenKind::Experimental)
            }
            (false, None) => FastOpenAsk::Cookie(FastOpenKind::Assigned),
        }
    }
}

/// `__tcp_fastopen_cookie_gen_cipher()`: a hash of both addresses.
fn cookie_bytes(key: &[u8; 16], tuple: Tuple) -> [u8; 8] {
    let mut addrs = Vec::with_capacity(32);
    for addr in [tuple.remote.ip(), tuple.local.ip()] {
        match addr {
            IpAddr::V4(v4) => addrs.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => addrs.extend_from_slice(&v6.octets()),
        }
    }
    siphash(key, &addrs).to_le_bytes()
}

/// `tcp_fastopen_cookie_gen_check()`.
fn made_with(keys: FastOpenKey, tuple: Tuple, cookie: &FastOpenCookie) -> Option<MadeWith> {
    let by = |key| cookie.bytes() == cookie_bytes(key, tuple);
    match keys {
        FastOpenKey { primary, .. } if by(&primary) => Some(MadeWith::Primary),
        FastOpenKey { backup: Some(backup), .. } if by(&backup) => Some(MadeWith::Backup),
        _ => None,
    }
}

/// `net.ipv4.tcp_fastopen_key`: four words of hexadecimal digits, or twice that with a comma in between; each word is
/// little-endian.
pub(super) fn read_key(text: &str) -> Option<FastOpenKey> {
    let mut keys = text.trim().split(',').map(read_one_key);
    let primary = keys.next()??;
    let backup = keys.next();
    match (backup, keys.next()) {
        (None, _) => Some(FastOpenKey { primary, backup: None }),
        (Some(Some(backup)), None) => Some(FastOpenKey { primary, backup: Some(backup) }),
        _ => None,
    }
}

fn read_one_key(text: &str) -> Option<[u8; 16]> {
    let mut key = [0; 16];
    let mut words = text.split('-');
    for place in key.chunks_exact_mut(4) {
        let word = words.next().filter(|word| (1..=8).contains(&word.len()) && !word.starts_with('+'))?;
        place.copy_from_slice(&u32::from_str_radix(word, 16).ok()?.to_le_bytes());
    }
    words.next().is_none().then_some(key)
}

impl Host {
    fn fast_open_keys(&self, id: SocketId) -> FastOpenKey {
        let own = self.sockets.get(id).ok().and_then(|socket| socket.options.fast_open_key);
        own.or(self.settings.fast_open_key).unwrap_or(self.fast_open.own)
    }

    /// `tcp_try_fastopen()`: what the listener `id` makes of a SYN for which there is room.
    pub(super) fn judge_fast_open(&mut self, now: HostTime, id: SocketId, tuple: Tuple, syn: &Segment) -> Judged {
        let offered = FastOpenCookie::of(&syn.options);
        if offered.is_some_and(|cookie| cookie.is_request()) {
            self.counters.add(Counter::FastOpenCookieReqd);
        }
        let uses = self.settings.fast_open;
        let wanted = uses.contains(Uses::SERVER) && (offered.is_some() || !syn.payload.is_empty());
        if !wanted || !self.fast_open_has_room(now, id) {
            return Judged::Plain;
        }
        let exempt = self.sockets.get(id).is_ok_and(|socket| socket.options.fast_open_no_cookie);
        if exempt || uses.contains(Uses::SERVER_WITHOUT_COOKIE) {
            self.counters.add(Counter::FastOpenPassive);
            return Judged::Open(None);
        }
        let (Some(offered), keys) = (offered, self.fast_open_keys(id)) else { return Judged::Plain };
        let fresh = FastOpenCookie::new(offered.kind(), &cookie_bytes(&keys.primary, tuple));
        match made_with(keys, tuple, &offered) {
            _ if offered.is_request() => {}
            None => self.counters.add(Counter::FastOpenPassiveFail),
            Some(by) => {
                self.counters.add(Counter::FastOpenPassive);
                if by == MadeWith::Backup {
                    self.counters.add(Counter::FastOpenPassiveAltKey);
                }
                return Judged::Open(fresh.filter(|_| by == MadeWith::Backup));
            }
        }
        fresh.map_or(Judged::Plain, Judged::Grant)
    }

    /// `tcp_fastopen_queue_check()`.
    fn fast_open_has_room(&mut self, now: HostTime, id: SocketId) -> bool {
        let most = self.sockets.get(id).map_or(0, |socket| socket.options.fast_open);
        let Some(listener) = self.sockets.listener(id).filter(|_| most > 0) else { return false };
        let pending = &mut listener.fast_open;
        let resets = u32::try_from(pending.resets.len()).unwrap_or(u32::MAX);
        if pending.open + resets < most {
            return true;
        }
        if pending.resets.front().is_some_and(|until| *until <= now) {
            pending.resets.pop_front();
            return true;
        }
        self.counters.add(Counter::FastOpenListenOverflow);
        false
    }

    /// LISTEN -> SYN-RECEIVED of a connection that can be accepted at once.
    pub(super) fn open_early(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        (key, tuple): (Key, Tuple),
        syn: &Segment,
        (iss, cookie): (Seq, Option<FastOpenCookie>),
    ) {
        let (Ok(socket), Some(path)) = (self.sockets.get(id), self.path_to(tuple.remote.ip(), cx.now())) else {
            return;
        };
        let (setup, reuse) = (self.setup(&socket.options, tuple, path), socket.sharing());
        let event = TcpEvent::Transition { from: State::Listen, to: State::SynReceived, lasts: None, error: None };
        self.counters.note(&event, Machine::Conn);
        cx.note(event.at(tuple));
        let (now, detail) = (cx.now(), cx.detail());
        let (limits, events) = (&mut self.limits, &mut self.events);
        let mut context = Context { now, knobs: &self.settings.knobs, limits, events, detail, ecn: 0 };
        let ports = Ports { local: key.local_port, remote: key.remote_port };
        let tcp = HalfOpen::fast_open(&mut context, ports, syn, iss, cookie, &setup);
        let key = Key { remote: self.addrs.use_peer(tuple.remote.ip()), ..key };
        let new = NewConn { tuple, key, path, owner: Owner::Queue(id), hold: Hold::Bound, reuse };
        let conn = self.add_conn(cx, tcp, new);
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.early_for = Some(id);
            conn.traffic.came(syn);
        }
        if let Some(listener) = self.sockets.listener(id) {
            listener.fast_open.open += 1;
        }
        self.enqueue(cx, id, conn);
    }

    /// The handshake of the connection `index`, which came early, is over one way or another (`reqsk_fastopen_remove()`).
    pub(super) fn settle_early(&mut self, now: HostTime, index: u32) {
        let Some(conn) = self.conns.get_mut(index) else { return };
        let Some(id) = conn.early_for.take() else { return };
        // One that nobody has accepted yet is no sign of a forged address.
        let reset = matches!(conn.owner, Owner::Socket(_)) && conn.tcp.error() == Some(Errno::ECONNRESET);
        if let Some(listener) = self.sockets.listener(id) {
            listener.fast_open.open = listener.fast_open.open.saturating_sub(1);
            if reset {
                listener.fast_open.resets.push_back(now + RESETS_COUNT);
            }
        }
    }

    /// The listener `id` is gone: connections that came early belong to nobody's count.
    pub(super) fn forget_early(&mut self, id: SocketId, pending: &Pending) {
        if pending.open == 0 {
            return;
        }
        let mine: Vec<u32> =
            self.conns.iter().filter(|(_, conn)| conn.early_for == Some(id)).map(|(index, _)| index).collect();
        for index in mine {
            if let Some(conn) = self.conns.get_mut(index) {
                conn.early_for = None;
            }
        }
    }

    /// `connect` on a socket without a connection.
    pub(super) fn connect_idle(&mut self, cx: &mut Cx<'_>, id: SocketId, remote: SocketAddr) -> Result<(), Errno> {
        let later = self.sockets.get(id)?.options.fast_open_connect;
        self.start_connecting(cx, id, remote, later)?;
        if !later {
            return Err(Errno::EINPROGRESS);
        }
        match self.fast_open_ask(cx.now(), id)? {
            // tcp_fastopen_defer_connect(): the SYN leaves with what is written first.
            FastOpenAsk::Data { .. } => Ok(()),
            ask => {
                self.launch(cx, id, ask, &Payload::EMPTY, MsgFlags::DONTWAIT)?;
                Err(Errno::EINPROGRESS)
            }
        }
    }

    /// `tcp_sendmsg_fastopen()`: connects, with as much of `data` in the SYN as may go there; how much.
    pub(super) fn send_fast(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        data: &Payload,
        to: SocketAddr,
        flags: MsgFlags,
    ) -> Result<u32, Errno> {
        if !self.settings.fast_open.contains(Uses::CLIENT) {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.sockets.get(id)?.role {
            Role::Datagram(_) => Err(Errno::EOPNOTSUPP),
            Role::Listener(_) => Err(Errno::EISCONN),
            Role::Waiting(_) => Err(Errno::EALREADY),
            Role::Lingering => Err(Errno::EBADF),
            Role::Idle => {
                if let Some(error) = self.take_socket_error(cx, id)? {
                    return Err(error);
                }
                self.start_connecting(cx, id, to, true)?;
                self.send_first(cx, id, data, flags)
            }
            Role::Stream(Stream { phase: Phase::Deferred, .. }) => self.send_first(cx, id, data, flags),
            Role::Stream(stream) => {
                self.connect_again(id, stream)?;
                self.send_stream(cx, id, data, flags)
            }
        }
    }

    /// The first data of a connection whose SYN waits for it.
    pub(super) fn send_first(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        data: &Payload,
        flags: MsgFlags,
    ) -> Result<u32, Errno> {
        let ask = self.fast_open_ask(cx.now(), id)?;
        match self.launch(cx, id, ask, data, flags)? {
            0 => Err(Errno::EINPROGRESS),
            taken => Ok(taken),
        }
    }

    fn launch(
        &mut self,
        cx: &mut Cx<'_>,
        id: SocketId,
        ask: FastOpenAsk,
        data: &Payload,
        flags: MsgFlags,
    ) -> Result<u32, Errno> {
        let Role::Stream(stream) = self.sockets.get(id)?.role else { return Err(Errno::ENOTCONN) };
        self.sockets.set_phase(id, Phase::Connecting);
        let waits = !flags.contains(MsgFlags::DONTWAIT);
        let taken = self.touch(cx, stream.conn, |tcp, context| tcp.launch(context, ask, data, waits));
        self.set_told(id);
        Ok(taken.unwrap_or(0))
    }

    /// What the SYN of a socket asks for.
    fn fast_open_ask(&self, now: HostTime, id: SocketId) -> Result<FastOpenAsk, Errno> {
        let socket = self.sockets.get(id)?;
        let Role::Stream(stream) = socket.role else { return Err(Errno::ENOTCONN) };
        let tuple = self.conns.get(stream.conn).ok_or(Errno::ENOTCONN)?.tuple;
        if self.limits.fast_open_pauses(now, &self.settings.knobs) {
            return Ok(FastOpenAsk::Nothing);
        }
        let without = self.settings.fast_open.contains(Uses::CLIENT_WITHOUT_COOKIE);
        Ok(self.fast_open.ask(tuple, without || socket.options.fast_open_no_cookie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cookies that a Linux kernel gives with these keys between these addresses.
    #[test]
    fn cookies_are_those_of_linux() {
        for (key, remote, local, cookie) in [
            ("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "192.0.2.1", "192.168.0.1", "3021b9d889017eeb"),
            ("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1", "c1d1e9742a47a9bc"),
            ("a0bf63f7-ed803d81-cd641d30-cebc4a90", "10.248.0.2", "192.168.0.2", "00abaaabe8e954c2"),
            ("a0bf63f7-ed803d81-cd641d30-cebc4a90", "10.248.0.3", "192.168.0.2", "1313a2da994a0951"),
            ("a0bf63f7-ed803d81-cd641d30-cebc4a90", "10.248.0.3", "192.168.0.3", "76d2c1c530f51f79"),
        ] {
            let addr = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
            let tuple = Tuple { local: addr(local), remote: addr(remote) };
            let bytes = cookie_bytes(&read_key(key).unwrap().primary, tuple);
            assert_eq!(bytes.map(|byte| format!("{byte:02x}")).concat(), cookie, "{remote} {local}");
        }
    }

    #[test]
    fn keys_are_one_or_two_of_four_words() {
        let key = read_key("1-2-3-4").unwrap();
        assert_eq!(key.primary, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(read_key("1-2-3-4,1-2-3-4").unwrap().backup, Some(key.primary));
        for wrong in ["", "1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-4,", "1-2-3-4,1", "1-2-3-+4", "123456789-2-3-4"] {
            assert_eq!(read_key(wrong), None, "{wrong}");
        }
        assert_eq!(read_key("1-2-3-4,1-2-3-4,1-2-3-4"), None);
    }
}
