//! W4: connections that are opened and then lie idle, from eight clients to one server; what an end of one costs.

use crate::measure::{Done, Meter};
use std::net::SocketAddr;
use wirefate::sim::apps::Idle;
use wirefate::{Link, ms};

const CLIENTS: u64 = 8;
/// So many connections each client opens at once.
const WAVE: u64 = 64;

pub(crate) fn run(meter: &mut Meter, connections: u64) -> Done {
    let mut sim = crate::sim();
    let server = crate::hosts(&mut sim, ["server"])[0];
    let clients: Vec<_> = (0..CLIENTS).map(|n| crate::hosts(&mut sim, [format!("client{n}").as_str()])[0]).collect();
    for &client in &clients {
        sim.link(client, server, Link::new().delay(ms(10)));
    }
    sim.app(server, Idle::server(80, 4_096));
    let remote = SocketAddr::new(sim.addr(server).expect("hosts have addresses"), 80);
    let each = connections / CLIENTS;
    let mut apps = Vec::new();
    for wave in 0..each.div_ceil(WAVE) {
        let count = u32::try_from(WAVE.min(each - wave * WAVE)).expect("a small number");
        apps.extend(clients.iter().map(|&client| sim.app(client, Idle::client(remote, count))));
        sim.run_for(ms(50));
    }
    sim.run();
    let open: u64 = apps.iter().map(|&app| sim.stats(app).ok() as u64).sum();
    let mut done = Done::of(&sim, open, connections);
    done.remark = format!("{}, {} B resident an end", done.remark, meter.grown() / (2 * connections));
    done
}
