use super::wire::{C, S, World, any, at, rfc9293};
use wirefate::endpoint::{DropReason, Errno, Readiness, SocketId, State};
use wirefate::host::Teaching;
use wirefate::tcp::Handshake;
use wirefate::time::secs;
use wirefate::wire::{Flags, Segment, Seq};

fn connect(world: &mut World) -> SocketId {
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    id
}

/// A SYN from a port of an address that answers nothing.
fn spoofed_syn(world: &mut World, port: u16) {
    let from = format!("203.0.113.1:{port}").parse().unwrap();
    world.inject(from, at(S, 80), Segment { seq: Seq(1), flags: Flags::SYN, window: 1_000, ..Segment::default() });
}

#[test]
fn a_full_accept_queue_takes_no_syn() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 2);
    let ids = [(); 3].map(|()| connect(&mut world));
    assert_eq!(world.queues(S), (0, 2));
    assert_eq!(world.drops(), [(S, DropReason::AcceptQueueFull)]);
    assert_eq!((world.counter(S, "TcpExt.ListenOverflows"), world.counter(S, "TcpExt.ListenDrops")), (1, 1));
    assert_eq!(world.connect(C, ids[2], at(S, 80)), Err(Errno::EALREADY));
    world.accept(S, listener).unwrap();
    // The SYN comes again after a second, and now there is room.
    world.advance(secs(1));
    assert_eq!(world.connect(C, ids[2], at(S, 80)), Ok(()));
    assert_eq!(world.queues(S), (0, 2));
}

/// The queue fills up while a handshake is under way: the third segment is dropped, or answered with RST.
#[test]
fn the_third_segment_finds_the_queue_full() {
    for (abort, states) in [(0, vec![State::SynReceived, State::Established]), (1, vec![State::Established])] {
        let server = rfc9293("server").sysctl("net.ipv4.tcp_abort_on_overflow", abort);
        let mut world = World::new(vec![rfc9293("client"), server, rfc9293("third")]);
        world.call(S, |s, cx| {
            let id = s.socket(cx, wirefate::endpoint::Family::V4, wirefate::endpoint::SocketKind::Stream).unwrap();
            s.bind(cx, id, any(80)).unwrap();
            s.listen(cx, id, 1).unwrap();
        });
        // The ACK of the client's handshake is held up until another connection has come through.
        world.lose = Some(Box::new(|packet| {
            packet.src == super::wire::v4(C) && packet.segment().is_some_and(|s| s.flags == Flags::ACK)
        }));
        let client = connect(&mut world);
        assert_eq!(world.queues(S), (1, 0));
        // Queues of one: a second SYN has no place before the first is through, so it is let in by a larger backlog.
        world.call(S, |s, cx| s.listen(cx, SocketId(3), 2)).unwrap();
        let third = world.stream(2);
        assert_eq!(world.connect(2, third, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.call(S, |s, cx| s.listen(cx, SocketId(3), 1)).unwrap();
        assert_eq!(world.queues(S), (1, 1));
        world.lose = None;
        world.drops();
        assert_eq!(world.send(C, client, "hello"), Ok(5));
        world.run();
        assert_eq!(world.drops()[0], (S, DropReason::AcceptQueueFull));
        let mut seen = world.states(S);
        seen.sort();
        assert_eq!(seen, states);
        let reset = world.recv(C, client);
        assert_eq!(reset, Err(if abort == 1 { Errno::ECONNRESET } else { Errno::EAGAIN }));
        if abort == 0 {
            world.accept(S, SocketId(3)).unwrap();
            world.advance(secs(2));
            let server = world.accept(S, SocketId(3)).unwrap();
            assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
        }
    }
}

#[test]
fn a_full_syn_queue_takes_no_syn() {
    let server = rfc9293("server").sysctl("net.ipv4.tcp_max_syn_backlog", 2);
    let mut world = World::pair(rfc9293("client"), server);
    world.listen(S, any(80), 8);
    // The spoofed address must have a route back, as through a default gateway.
    let attach = wirefate::endpoint::Attach::Route {
        prefix: "0.0.0.0".parse().unwrap(),
        prefix_len: 0,
        iface: wirefate::endpoint::IfaceId(1),
    };
    world.with(S, |host, cx| wirefate::endpoint::Endpoint::on_attach(host, cx, &attach));
    for port in 1..=3 {
        spoofed_syn(&mut world, port);
    }
    assert_eq!(world.queues(S), (2, 0));
    assert_eq!(world.drops(), [(S, DropReason::SynQueueFull)]);
    assert_eq!((world.counter(S, "TcpExt.ListenOverflows"), world.counter(S, "TcpExt.ListenDrops")), (0, 1));
    // The SYN-ACKs are sent again until they are given up after 183 s.
    world.advance(secs(183));
    assert_eq!((world.queues(S), world.counter(S, "Tcp.RetransSegs")), ((0, 0), 14));
    let id = connect(&mut world);
    assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
}

#[test]
fn teaching_without_a_syn_queue_a_syn_takes_a_place_in_the_accept_queue() {
    let teaching = Teaching { syn_queue: false, ..Teaching::default() };
    let mut world = World::pair(rfc9293("client"), rfc9293("server").teaching(teaching));
    world.listen(S, any(80), 2);
    world.lose = Some(Box::new(|packet| packet.segment().is_some_and(|s| s.flags == Flags::ACK)));
    connect(&mut world);
    connect(&mut world);
    world.drops();
    connect(&mut world);
    assert_eq!(world.queues(S), (2, 0));
    assert_eq!(world.drops(), [(S, DropReason::AcceptQueueFull)]);
}

#[test]
fn teaching_two_way_a_syn_is_enough() {
    let teaching = Teaching { handshake: Handshake::TwoWay, ..Teaching::default() };
    let mut world = World::pair(rfc9293("client"), rfc9293("server").teaching(teaching));
    let listener = world.listen(S, any(80), 2);
    world.lose = Some(Box::new(|packet| packet.src == super::wire::v4(S)));
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    assert_eq!((world.states(C), world.states(S)), (vec![State::SynSent], vec![State::Established]));
    assert!(world.accept(S, listener).is_ok());
}

#[test]
fn accept_has_its_errors() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 2);
    assert_eq!(world.accept(S, listener), Err(Errno::EAGAIN));
    let idle = world.stream(S);
    assert_eq!(world.accept(S, idle), Err(Errno::EINVAL));
    assert_eq!(world.accept(S, SocketId(77)), Err(Errno::EBADF));
}

/// As on Linux: what died in the queue is accepted, and its first `recv` says so.
#[test]
fn a_connection_reset_in_the_queue_is_still_accepted() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 2);
    let client = connect(&mut world);
    world.call(C, |s, cx| s.abort(cx, client)).unwrap();
    world.run();
    assert_eq!((world.states(S), world.queues(S)), (vec![], (0, 1)));
    let server = world.accept(S, listener).unwrap();
    assert!(world.poll(S, server).contains(Readiness::ERROR));
    assert_eq!(world.recv(S, server), Err(Errno::ECONNRESET));
    assert_eq!(world.recv(S, server), Ok(String::new()));
}

/// Those that wait are reset; the half-open ones are forgotten and answered as a closed port would.
#[test]
fn closing_a_listener_resets_its_children() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 4);
    let waiting = connect(&mut world);
    world.lose = Some(Box::new(|packet| packet.segment().is_some_and(|s| s.flags == Flags::ACK)));
    let half = connect(&mut world);
    world.lose = None;
    assert_eq!(world.queues(S), (1, 1));
    world.close(S, listener);
    world.run();
    assert_eq!(world.states(S), []);
    assert_eq!(world.recv(C, waiting), Err(Errno::ECONNRESET));
    assert_eq!(world.recv(C, half), Err(Errno::EAGAIN));
    assert_eq!(world.send(C, half, "x"), Ok(1));
    world.run();
    assert_eq!(world.recv(C, half), Err(Errno::ECONNRESET));
}
