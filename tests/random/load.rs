use super::clumsy::{Clumsy, Hasty};
use super::draw::Draw;
use super::world::{BLACKHOLE, NOWHERE, UNREACHABLE, World};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wirefate::endpoint::{MsgFlags, Shutdown, SockOpt};
use wirefate::sim::apps::{
    Acceptor, Backoff, Churn, DatagramSink, DatagramSource, Echo, Idle, Pool, PoolPolicy, RequestResponse, Requester,
    Retry, Sink, Source, SynFlood, pattern,
};
use wirefate::sim::{App, Connect, Prefix, Sim, Stream};
use wirefate::trace::NodeId;
use wirefate::{ms, secs};

/// What listens where, on hosts that have it.
/// The least that anyone writes at once. A cookie is checked against the number before the segment that brings it back: where
/// that is not the third segment but one behind less than four bytes, Linux may read another MSS out of it, and the
/// bytes are never received (`check_tcp_syn_cookie()`). Oracles find that, and rightly so.
pub(crate) const LEAST_WRITE: u64 = 4;

const SINK: u16 = 80;
const ECHO: u16 = 81;
const SOURCE: u16 = 82;
const RESPONDER: u16 = 83;
const ACCEPTOR: u16 = 84;
const IDLE: u16 = 85;
/// A listener that nobody, or a script, accepts from.
const LISTENER: u16 = 86;
const ONCE: u16 = 87;
const LEAVER: u16 = 88;
const DATAGRAMS: u16 = 53;
const STREAMS: [u16; 9] = [SINK, ECHO, SOURCE, RESPONDER, ACCEPTOR, IDLE, LISTENER, ONCE, LEAVER];
/// Ports that clients bind themselves, few, so that connections meet their predecessors.
const OWN_PORTS: (u16, u16) = (5_000, 5_002);

/// What one call of a script writes, or has written to it in answer.
const MOST: u64 = 60_000;

/// Starts some servers on `node`.
pub(crate) fn serve(sim: &mut Sim, world: &mut World, draw: &mut Draw, node: NodeId) {
    let (request, response) = world.exchange;
    let backlog = if draw.chance(25) { draw.small(1, 3) } else { 64 };
    for port in STREAMS {
        if !draw.chance(75) {
            continue;
        }
        match port {
            SINK => start(sim, world, node, Sink::new(port, backlog)),
            LEAVER => start(sim, world, node, Sink::new(port, backlog).leave_open()),
            ECHO => start(sim, world, node, Echo::new(port, backlog)),
            SOURCE => {
                let source = Source::server(port, backlog, LEAST_WRITE * draw.scaled(0, 7_500));
                let paced = draw.chance(30);
                let source = if paced {
                    source.pace(draw.between(LEAST_WRITE, 3_000), draw.span(ms(1), secs(1)))
                } else {
                    source
                };
                start(sim, world, node, source);
            }
            RESPONDER => {
                let mut server = RequestResponse::new(port, backlog, request, response);
                if draw.chance(30) {
                    server = server.think(draw.span(ms(1), secs(3)));
                }
                if draw.chance(30) {
                    server = server.idle(draw.span(ms(100), secs(20)));
                }
                start(sim, world, node, server);
            }
            ONCE => start(sim, world, node, RequestResponse::new(port, backlog, request, response).once()),
            ACCEPTOR => {
                let server = Acceptor::new(port, backlog).rate(draw.between(1, 10), secs(1));
                let pauses = draw.chance(50);
                let server = if pauses { server.pause(secs(5), draw.span(ms(1), secs(4))) } else { server };
                start(sim, world, node, server);
            }
            IDLE => start(sim, world, node, Idle::server(port, backlog)),
            _ => {
                let listener = sim.listener(node, port, backlog);
                for _ in 0..draw.below(3) {
                    let conn = sim.accept(listener);
                    talk(sim, draw, conn, 1_000);
                }
            }
        }
    }
    if draw.chance(80) {
        start(sim, world, node, DatagramSink::new(DATAGRAMS));
    }
}

/// Starts something that asks for connections or sends datagrams.
pub(crate) fn ask(sim: &mut Sim, world: &mut World, draw: &mut Draw) {
    let (client, server) = world.two_hosts(draw);
    match draw.below(20) {
        0..8 => connection(sim, world, draw, client, server),
        8 => source(sim, world, draw, client, server),
        9 => requests(sim, world, draw, client, server),
        10 => retry(sim, world, draw, client, server),
        11 => pool(sim, world, draw, client, server),
        12 => churn(sim, world, draw, client, server),
        13 => {
            let remote = target(sim, draw, server, DATAGRAMS);
            let size = draw.port(0, 1_400);
            let app =
                DatagramSource::new(remote, size, draw.small(1, 5), draw.span(ms(1), secs(1)), draw.between(1, 10));
            start(sim, world, client, app);
        }
        14 => datagrams(sim, draw, client, server),
        15 => {
            let remote = World::remote(sim, draw, server, IDLE);
            start(sim, world, client, Idle::client(remote, draw.small(1, 5)));
        }
        16 => {
            let port = draw.of(&STREAMS);
            let remote = World::remote(sim, draw, server, port);
            let app = Clumsy {
                remote,
                port: draw.of(&[SINK, 5_000]),
                pause: draw.span(ms(0), secs(2)),
                begun: false,
                connected: None,
            };
            start(sim, world, client, app);
        }
        17 => at_the_same_time(sim, world, draw, client, server),
        18 => crowd(sim, draw, client, server),
        _ => flood(sim, world, draw, server),
    }
}

fn start(sim: &mut Sim, world: &mut World, node: NodeId, app: impl App + 'static) {
    let app = sim.app(node, app);
    world.apps.push(app);
}

/// `port` of `server`; at times an address that leads nowhere.
fn target(sim: &Sim, draw: &mut Draw, server: NodeId, port: u16) -> SocketAddr {
    match draw.below(40) {
        0 => SocketAddr::new(draw.of(&[BLACKHOLE, UNREACHABLE, NOWHERE]), port),
        1 => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        2 => World::remote(sim, draw, server, 7),
        _ => World::remote(sim, draw, server, port),
    }
}

/// One connection with a script of its own.
fn connection(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let port = draw.of(&STREAMS);
    let remote = target(sim, draw, server, port);
    let from = draw.chance(35).then(|| draw.port(OWN_PORTS.0, OWN_PORTS.1));
    let mut options: Vec<SockOpt> = (0..draw.below(4)).map(|_| option(draw)).collect();
    if draw.chance(80) {
        options.push(SockOpt::ReuseAddr(true));
    }
    let conn = sim.connect_to(client, remote, Connect { from, options, name: None });
    let (request, response) = world.exchange;
    match port {
        RESPONDER | ONCE if draw.chance(80) => {
            for _ in 0..draw.between(1, 3) {
                sim.write(conn, pattern(usize::try_from(request).expect("a size")));
                sim.read_all(conn, usize::try_from(response).expect("a size"));
            }
            sim.close(conn);
        }
        SOURCE if draw.chance(80) => {
            if draw.chance(70) {
                sim.read_to_end(conn);
            } else {
                sim.read(conn, draw.size(1, 3_000));
            }
            sim.close(conn);
        }
        ECHO if draw.chance(80) => {
            sim.write(conn, pattern(draw.size(LEAST_WRITE, 20_000)));
            sim.shutdown(conn, Shutdown::Write);
            sim.read_to_end(conn);
            sim.close(conn);
        }
        SINK if draw.chance(50) => {
            sim.write(conn, pattern(draw.size(LEAST_WRITE, 200_000)));
            sim.close(conn);
        }
        // Every request in what is written is answered: with one byte for 20,000 that would be a gigabyte.
        RESPONDER | ONCE => talk(sim, draw, conn, (MOST * request / response).clamp(1, MOST)),
        _ => talk(sim, draw, conn, MOST),
    }
}

/// Any calls in any order.
fn talk(sim: &mut Sim, draw: &mut Draw, conn: Stream, most: u64) {
    for _ in 0..draw.below(6) {
        match draw.below(12) {
            0..5 => sim.write(conn, pattern(draw.size(LEAST_WRITE, most))),
            5 => sim.send(conn, pattern(draw.size(LEAST_WRITE, 500)), draw.of(&[MsgFlags::OOB, MsgFlags::MORE])),
            6 | 7 => sim.read(conn, draw.size(1, 5_000)),
            8 => sim.read_all(conn, draw.size(1, 2_000)),
            9 => sim.shutdown(conn, draw.of(&[Shutdown::Read, Shutdown::Write, Shutdown::Both])),
            _ => {
                let option = option(draw);
                sim.set_option(conn, option);
            }
        }
    }
    match draw.below(20) {
        0 => {}
        1..4 => sim.abort(conn),
        4..7 => {
            sim.shutdown(conn, Shutdown::Write);
            sim.read_to_end(conn);
            sim.close(conn);
        }
        _ => sim.close(conn),
    }
}

fn option(draw: &mut Draw) -> SockOpt {
    match draw.below(17) {
        0 => SockOpt::KeepAlive(true),
        1 => SockOpt::KeepIdle(draw.span(secs(1), secs(60))),
        2 => SockOpt::KeepInterval(draw.span(secs(1), secs(20))),
        3 => SockOpt::KeepCount(u8::try_from(draw.between(1, 9)).expect("small")),
        4 => SockOpt::Linger(draw.of(&[None, Some(secs(0)), Some(secs(1)), Some(secs(30))])),
        5 => SockOpt::SendBuffer(draw.small(256, 100_000)),
        6 => SockOpt::ReceiveBuffer(draw.small(256, 100_000)),
        7 => SockOpt::OobInline(draw.chance(50)),
        8 => SockOpt::NoDelay(draw.chance(70)),
        9 => SockOpt::Cork(draw.chance(50)),
        // No less than the least MSS that a SYN cookie remembers, for IPv6: Linux sends more to a peer that asked for less.
        10 => SockOpt::MaxSeg(draw.port(1_220, 1_460)),
        11 => SockOpt::SynCount(u8::try_from(draw.between(1, 6)).expect("small")),
        12 | 13 => SockOpt::UserTimeout(draw.span(ms(500), secs(60))),
        14 => SockOpt::Linger2(draw.of(&[None, Some(secs(1)), Some(secs(20))])),
        15 => SockOpt::QuickAck(draw.chance(50)),
        _ => SockOpt::KeepAlive(draw.chance(70)),
    }
}

fn source(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let port = draw.of(&[SINK, ACCEPTOR, IDLE, ECHO, LEAVER, LISTENER]);
    let app = Source::client(target(sim, draw, server, port), LEAST_WRITE * draw.scaled(0, 25_000));
    let paced = draw.chance(30);
    let app = if paced { app.pace(draw.between(LEAST_WRITE, 5_000), draw.span(ms(1), secs(1))) } else { app };
    start(sim, world, client, app);
}

fn requests(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let (request, response) = world.exchange;
    let port = draw.of(&[RESPONDER, RESPONDER, ONCE, SINK]);
    let app = Requester::new(target(sim, draw, server, port), request, response)
        .timeout(draw.span(ms(50), secs(30)))
        .after(draw.span(ms(0), secs(3)))
        .every(draw.span(ms(20), secs(5)), draw.between(1, 6));
    start(sim, world, client, app);
}

fn retry(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let (request, response) = world.exchange;
    let backoff = Backoff {
        first: draw.span(ms(1), secs(3)),
        factor: draw.small(1, 3),
        ceiling: secs(20),
        attempts: draw.small(1, 6),
        jitter_percent: u8::try_from(draw.between(0, 100)).expect("small"),
    };
    let port = draw.of(&[RESPONDER, RESPONDER, ONCE, 7]);
    let remote = target(sim, draw, server, port);
    let app = Retry::new(remote, request, response, backoff).timeout(draw.span(ms(50), secs(10)));
    start(sim, world, client, app);
}

fn pool(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let (request, response) = world.exchange;
    let other = world.any_host(draw);
    let remotes = [target(sim, draw, server, RESPONDER), World::remote(sim, draw, other, RESPONDER)];
    let policy = PoolPolicy {
        limit: draw.small(1, 4),
        limit_each: draw.small(1, 3),
        wait: Some(draw.span(ms(10), secs(30))),
        timeout: Some(draw.span(ms(50), secs(30))),
        idle: draw.chance(50).then(|| draw.span(ms(100), secs(60))),
        validate: draw.chance(50),
        leak: draw.chance(20).then_some(3),
    };
    let app = Pool::new(&remotes, request, response, policy).every(draw.span(ms(5), secs(5)), draw.between(1, 12));
    start(sim, world, client, app);
}

fn churn(sim: &mut Sim, world: &mut World, draw: &mut Draw, client: NodeId, server: NodeId) {
    let (request, response) = world.exchange;
    let closes_first = draw.chance(30);
    let remote = World::remote(sim, draw, server, if closes_first { ONCE } else { RESPONDER });
    let mut app = Churn::new(remote, draw.between(1, 12), request.min(500), response.min(1_500));
    app = app.timeout(draw.span(ms(50), secs(20)));
    app = if draw.chance(50) { app.at_once(draw.index(4) + 1) } else { app.rate(draw.between(1, 20), secs(1)) };
    app = if closes_first { app.server_closes() } else { app };
    start(sim, world, client, app);
}

fn datagrams(sim: &mut Sim, draw: &mut Draw, client: NodeId, server: NodeId) {
    let (a, b) = (draw.port(6_000, 6_003), draw.port(6_000, 6_003));
    let any = |v6| SocketAddr::new(if v6 { "::".parse() } else { "0.0.0.0".parse() }.expect("an address"), 0);
    let v6 = draw.chance(40);
    let local = |port| SocketAddr::new(any(v6).ip(), port);
    let addr = |node| sim.addr_of(node, v6).expect("an address of each family");
    let (to, back) = (SocketAddr::new(addr(server), b), SocketAddr::new(addr(client), a));
    let one = sim.bind_udp(client, local(a), format!("u{a}"));
    let other = sim.bind_udp(server, local(b), format!("u{b}"));
    for _ in 0..draw.between(1, 4) {
        sim.send_to(one, pattern(draw.size(1, 1_400)), to);
        sim.recv_from(other);
        sim.send_to(other, pattern(draw.size(1, 100)), back);
        if draw.chance(70) {
            sim.recv_from(one);
        }
    }
    sim.close(one);
    sim.close(other);
}

/// Both ends connect to each other, and close when it pleases them.
fn at_the_same_time(sim: &mut Sim, world: &mut World, draw: &mut Draw, a: NodeId, b: NodeId) {
    let (p, q) = (draw.port(5_000, 5_040), draw.port(5_000, 5_040));
    let v6 = draw.chance(40);
    let addr = |sim: &Sim, node, port| SocketAddr::new(sim.addr_of(node, v6).expect("an address"), port);
    let (at_a, at_b) = (addr(sim, a, p), addr(sim, b, q));
    if draw.chance(50) {
        let after = draw.span(ms(0), ms(300));
        start(sim, world, a, Hasty { port: p, remote: at_b, after, socket: None });
        let after = if draw.chance(50) { after } else { draw.span(ms(0), secs(5)) };
        start(sim, world, b, Hasty { port: q, remote: at_a, after, socket: None });
        return;
    }
    for (node, port, remote) in [(a, p, at_b), (b, q, at_a)] {
        let how = Connect { from: Some(port), options: vec![SockOpt::ReuseAddr(true)], name: None };
        let conn = sim.connect_to(node, remote, how);
        if draw.chance(60) {
            sim.write(conn, pattern(draw.size(LEAST_WRITE, 3_000)));
            sim.shutdown(conn, Shutdown::Write);
            sim.read_to_end(conn);
            sim.close(conn);
        } else {
            sim.close(conn);
        }
    }
}

/// Many connections at once to a listener with a short queue.
fn crowd(sim: &mut Sim, draw: &mut Draw, client: NodeId, server: NodeId) {
    let port = draw.of(&[LISTENER, LISTENER, ACCEPTOR, SINK]);
    let remote = World::remote(sim, draw, server, port);
    let size = draw.size(LEAST_WRITE, 500);
    for _ in 0..draw.between(3, 10) {
        let conn = sim.connect_to(client, remote, Connect::default());
        sim.write(conn, pattern(size));
        sim.close(conn);
    }
}

fn flood(sim: &mut Sim, world: &mut World, draw: &mut Draw, server: NodeId) {
    let Some(flooder) = world.flooder else { return connection(sim, world, draw, server, server) };
    let to = SocketAddr::new(sim.addr_of(server, false).expect("an address"), draw.of(&STREAMS));
    let from = Prefix { addr: draw.of(&[BLACKHOLE, UNREACHABLE, NOWHERE]), len: 24 };
    let at = sim.host_now(flooder);
    let flood = SynFlood { at, rate: (draw.between(10, 1_000), secs(1)), count: draw.scaled(1, 100), from, to };
    sim.raw(flooder, |raw| raw.syn_flood(flood));
}
