//! W1: connect, 1 KiB each way, close both ways, and again; what is read is hashed.

use crate::measure::{Done, Meter};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wirefate::endpoint::{Errno, Family, MsgFlags, Readiness, SocketId, SocketKind};
use wirefate::sim::apps::pattern;
use wirefate::sim::{App, AppCx, Wake};
use wirefate::wire::{Payload, Rope};
use wirefate::{Link, ms};
use xxhash_rust::xxh3::Xxh3;

const SIZE: usize = 1_024;
const PORT: u16 = 80;

/// `connections` in all from so many clients, each with one at a time.
pub(crate) fn run(_meter: &mut Meter, clients: u64, connections: u64) -> Done {
    let mut sim = crate::sim();
    let server = crate::hosts(&mut sim, ["server"])[0];
    let sum = Arc::new(Sum::default());
    sim.app(
        server,
        Server {
            message: pattern(SIZE).into(),
            got: BTreeMap::new(),
            listener: None,
            sum: sum.clone(),
            hash: Xxh3::new(),
        },
    );
    let remote = SocketAddr::new(sim.addr(server).expect("hosts have addresses"), PORT);
    let each = connections / clients;
    for n in 0..clients {
        let client = crate::hosts(&mut sim, [format!("client{n}").as_str()])[0];
        sim.link(client, server, Link::new().delay(ms(10)));
        let message = pattern(SIZE).into();
        sim.app(
            client,
            Client { remote, left: each, message, socket: None, got: None, sum: sum.clone(), hash: Xxh3::new() },
        );
    }
    sim.run();
    let mut done = Done::of(&sim, sum.connections.load(Relaxed), each * clients);
    let served = sum.served.load(Relaxed);
    if served != each * clients {
        done.wrong.push(format!("the server has served {served}"));
    }
    done.remark = format!("{}, xxh3 {:016x}", done.remark, sum.clients.load(Relaxed) ^ sum.server.load(Relaxed));
    done
}

#[derive(Default)]
struct Sum {
    connections: AtomicU64,
    served: AtomicU64,
    /// What clients have read, added up.
    clients: AtomicU64,
    server: AtomicU64,
}

/// One connection after the other.
struct Client {
    remote: SocketAddr,
    left: u64,
    message: Payload,
    socket: Option<SocketId>,
    /// Bytes of the answer, once the request is sent.
    got: Option<usize>,
    sum: Arc<Sum>,
    hash: Xxh3,
}

impl Client {
    fn start(&mut self, cx: &mut AppCx<'_>) {
        if self.left == 0 {
            self.sum.clients.fetch_add(self.hash.digest(), Relaxed);
            return;
        }
        self.left -= 1;
        let socket = cx.socket(Family::V4, SocketKind::Stream).expect("a socket");
        (self.socket, self.got) = (Some(socket), None);
        match cx.connect(socket, self.remote) {
            Err(Errno::EINPROGRESS) => {}
            other => panic!("connect: {other:?}"),
        }
    }
}

impl App for Client {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        cx.wake_at(cx.now());
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let socket = match (wake, self.socket) {
            (Wake::Timer, _) => return self.start(cx),
            (Wake::Ready(ready, _), Some(socket)) if ready == socket => socket,
            _ => return,
        };
        if self.got.is_none() {
            match cx.connect(socket, self.remote) {
                Ok(()) => {}
                Err(Errno::EINPROGRESS | Errno::EALREADY) => return,
                Err(errno) => panic!("connect: {errno}"),
            }
            let sent = cx.send(socket, &self.message, MsgFlags::empty()).expect("room for a small request");
            assert_eq!(sent as usize, SIZE, "a small request fits");
            self.got = Some(0);
        }
        let got = read(cx, socket, &mut self.hash).0 + self.got.unwrap_or(0);
        self.got = Some(got);
        if got == SIZE {
            cx.close(socket).expect("an open socket");
            self.sum.connections.fetch_add(1, Relaxed);
            self.start(cx);
        }
    }
}

/// Answers each request of so many bytes with as many, and closes at the end of the stream.
struct Server {
    message: Payload,
    got: BTreeMap<SocketId, usize>,
    listener: Option<SocketId>,
    sum: Arc<Sum>,
    hash: Xxh3,
}

impl Server {
    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        let Some(so_far) = self.got.get_mut(&socket) else { return };
        let (n, is_end) = read(cx, socket, &mut self.hash);
        let before = *so_far;
        *so_far += n;
        if before < SIZE && *so_far == SIZE {
            cx.send(socket, &self.message, MsgFlags::empty()).expect("room for a small answer");
        }
        if is_end {
            self.got.remove(&socket);
            cx.close(socket).expect("an open socket");
            self.sum.served.fetch_add(1, Relaxed);
            self.sum.server.store(self.hash.digest(), Relaxed);
        }
    }
}

impl App for Server {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        let socket = cx.socket(Family::V6, SocketKind::Stream).expect("a socket");
        let local = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT);
        cx.bind(socket, local).expect("a free port");
        cx.listen(socket, 1_024).expect("a bound socket listens");
        self.listener = Some(socket);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let Wake::Ready(socket, _) = wake else { return };
        if self.listener != Some(socket) {
            return self.go_on(cx, socket);
        }
        while let Ok((accepted, _)) = cx.accept_quietly(socket) {
            // What came before is told once more.
            self.got.insert(accepted, 0);
        }
    }
}

/// Reads and hashes what there is: how many bytes, and whether the stream has ended.
fn read(cx: &mut AppCx<'_>, socket: SocketId, hash: &mut Xxh3) -> (usize, bool) {
    const MOST: usize = 64 << 10;
    let (mut total, mut got) = (0, Rope::new());
    let ready = cx.readiness(socket);
    while ready.contains(Readiness::READABLE) {
        got.clear();
        match cx.recv(socket, MOST, MsgFlags::empty(), &mut got) {
            Ok(0) => return (total, true),
            Ok(n) => {
                total += n;
                got.pieces().for_each(|piece| hash.update(piece));
                // Less than was asked for was all there is, but for the end.
                if n < MOST && !ready.contains(Readiness::RDHUP) {
                    break;
                }
            }
            Err(errno) => panic!("recv: {errno}"),
        }
    }
    (total, false)
}
