//! W5: datagrams of 100 bytes, bursts of 32 each millisecond, both ways; what is read is hashed.

use crate::measure::{Done, Meter};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wirefate::endpoint::{Errno, Family, SocketId, SocketKind};
use wirefate::sim::apps::DatagramSource;
use wirefate::sim::{App, AppCx, Wake};
use wirefate::{Link, ms, percent};
use xxhash_rust::xxh3::Xxh3;

const BURST: u64 = 32;

/// `count` datagrams sent in all. An operation is a datagram sent, as in `smoltcp`'s measure.
pub(crate) fn run(_meter: &mut Meter, count: u64, loss: u32) -> Done {
    let mut sim = crate::sim();
    let nodes = crate::hosts(&mut sim, ["a", "b"]);
    let mut link = Link::new().delay(ms(10));
    if loss > 0 {
        link = link.loss(percent(loss));
    }
    sim.link(nodes[0], nodes[1], link);
    let sums = [(); 2].map(|()| Arc::new(Sum::default()));
    for n in 0..2 {
        sim.app(nodes[n], Hasher { sum: sums[n].clone(), hash: Xxh3::new(), socket: None });
    }
    let bursts = count / 2 / BURST;
    let sources = [0, 1].map(|n| {
        let remote = SocketAddr::new(sim.addr(nodes[1 - n]).expect("hosts have addresses"), PORT);
        sim.app(nodes[n], DatagramSource::new(remote, 100, BURST as u32, ms(1), bursts))
    });
    sim.run();
    let sent: u64 = sources.iter().map(|&source| sim.stats(source).get("sent")).sum();
    let got: u64 = sums.iter().map(|sum| sum.datagrams.load(Relaxed)).sum();
    let mut done = Done::of(&sim, sent, bursts * BURST * 2);
    let lost = sim.outcome().lost;
    if got + lost != sent {
        done.wrong.push(format!("{sent} were sent and {lost} lost, but {got} were read"));
    }
    let hash = sums[0].hash.load(Relaxed) ^ sums[1].hash.load(Relaxed).rotate_left(1);
    done.remark = format!("{}, xxh3 {hash:016x}", done.remark);
    done
}

const PORT: u16 = 9_999;

#[derive(Default)]
struct Sum {
    datagrams: AtomicU64,
    hash: AtomicU64,
}

/// Receives datagrams and hashes what is in them.
struct Hasher {
    sum: Arc<Sum>,
    hash: Xxh3,
    socket: Option<SocketId>,
}

impl App for Hasher {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        let socket = cx.socket(Family::V6, SocketKind::Datagram).expect("a socket");
        let local = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT);
        cx.bind(socket, local).expect("a free port");
        self.socket = Some(socket);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, _wake: Wake) {
        let Some(socket) = self.socket else { return };
        loop {
            match cx.recv_from(socket) {
                Ok((data, _)) => {
                    self.sum.datagrams.fetch_add(1, Relaxed);
                    self.hash.update(&data);
                }
                Err(Errno::EAGAIN) => break,
                Err(errno) => panic!("recvfrom: {errno}"),
            }
        }
        self.sum.hash.store(self.hash.digest(), Relaxed);
    }
}
