//! W2 and W3: one connection, one way, 10 ms; what is read is hashed.

use crate::measure::{Done, Meter};
use std::net::SocketAddr;
use wirefate::sim::apps::{Sink, Source};
use wirefate::{Link, ms, percent};

/// Full segments carry so much: 1 500 less 20, 20 and 12 bytes of timestamps, where they are used.
const SEGMENT: u64 = 1_448;

pub(crate) fn run(_meter: &mut Meter, bytes: u64, loss: u32) -> Done {
    let mut sim = crate::sim();
    let [server, client] = crate::hosts(&mut sim, ["server", "client"]);
    let mut link = Link::new().delay(ms(10));
    if loss > 0 {
        link = link.loss(percent(loss));
    }
    sim.link(server, client, link);
    sim.app(server, Sink::new(80, 128));
    let remote = SocketAddr::new(sim.addr(server).expect("hosts have addresses"), 80);
    sim.app(client, Source::client(remote, bytes));
    sim.run();
    let [stream] = sim.streams_of(server)[..] else {
        return Done { wrong: vec!["nothing was accepted".to_owned()], ..Done::of(&sim, 0, 0) };
    };
    let received = sim.received(stream);
    let (len, hash) = (received.len(), received.hash());
    let mut done = Done::of(&sim, len.div_ceil(SEGMENT), bytes.div_ceil(SEGMENT));
    done.remark = format!("{}, xxh3 {hash:016x}", done.remark);
    done
}
