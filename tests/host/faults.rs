use super::wire::{C, S, World, any, at, v4};
use wirefate::endpoint::{DropReason, Endpoint, Errno, Family, HostFault, IfaceId, SocketKind, State};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Body, Flags, Packet, Payload};

#[test]
fn a_crash_is_silent_and_forgets() {
    let mut world = World::plain();
    let (client, listener, server) = world.connected(80);
    world.fault(S, HostFault::Crash);
    assert_eq!((world.sent(), world.states(S)), (vec![], vec![]));
    world.drops();
    assert_eq!(world.send(C, client, "x"), Ok(1));
    world.run();
    assert_eq!(world.drops(), [(S, DropReason::HostDown)]);
    assert_eq!(world.hosts[S].next_timeout(), None);
    assert_eq!(world.call(S, |s, cx| s.socket(cx, Family::V4, SocketKind::Stream)), Err(Errno::ENETDOWN));
    // It comes back and knows nothing: a retransmission is answered with a reset.
    world.fault(S, HostFault::Reboot { quiet: Span::ZERO });
    assert_eq!(world.recv(S, server), Err(Errno::EBADF));
    assert_eq!(world.accept(S, listener), Err(Errno::EBADF));
    world.advance(secs(1));
    assert_eq!(world.recv(C, client), Err(Errno::ECONNRESET));
}

/// RFC 9293 3.4.3: nothing is sent for the quiet time, and `connect` waits for its end.
#[test]
fn quiet_time() {
    let mut world = World::plain();
    world.listen(C, any(80), 1);
    world.fault(S, HostFault::Crash);
    world.fault(S, HostFault::Reboot { quiet: secs(120) });
    world.listen(S, any(80), 1);
    let (out, into, none) = (world.stream(S), world.stream(C), world.stream(S));
    assert_eq!(world.connect(S, out, at(C, 80)), Err(Errno::EINPROGRESS));
    assert_eq!(world.connect(S, out, at(C, 80)), Err(Errno::EALREADY));
    assert_eq!(world.connect(S, none, "192.0.2.1:80".parse().unwrap()), Err(Errno::EINPROGRESS));
    assert_eq!(world.connect(C, into, at(S, 80)), Err(Errno::EINPROGRESS));
    world.drops();
    world.advance(ms(119_999));
    assert!(world.drops().iter().all(|&drop| drop == (S, DropReason::Quiet)));
    assert!(world.sent().iter().all(|&(from, ..)| from == C));
    world.advance(ms(1));
    assert_eq!(world.connect(S, out, at(C, 80)), Ok(()));
    assert_eq!(world.connect(S, none, "192.0.2.1:80".parse().unwrap()), Err(Errno::ENETUNREACH));
    world.advance(secs(60));
    assert_eq!(world.connect(C, into, at(S, 80)), Ok(()));
}

#[test]
fn a_reboot_changes_the_secret() {
    let mut world = World::plain();
    let iss = |world: &mut World| {
        let id = world.stream(C);
        world.call(C, |s, cx| s.bind(cx, id, any(40_000))).unwrap();
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        let mut iss = None;
        world.hosts[C].connections(&mut |view| iss = view.snd.map(|snd| snd.iss));
        world.close(C, id);
        iss.unwrap()
    };
    let first = iss(&mut world);
    assert_eq!(iss(&mut world), first, "the same instant, the same tuple");
    world.fault(C, HostFault::Reboot { quiet: Span::ZERO });
    assert_ne!(iss(&mut world), first);
}

/// The system closes what a dead process had open: resets where something was unread or waited to be accepted.
#[test]
fn a_kill_closes_every_socket() {
    let mut world = World::plain();
    let (read, _, _) = world.connected(80);
    let (unread, _, _) = world.connected(81);
    assert_eq!(world.send(C, unread, "unread"), Ok(6));
    world.listen(S, any(82), 1);
    let waiting = world.stream(C);
    assert_eq!(world.connect(C, waiting, at(S, 82)), Err(Errno::EINPROGRESS));
    world.run();
    world.fault(S, HostFault::Kill);
    world.run();
    assert_eq!(world.recv(C, read), Ok(String::new()));
    assert_eq!(world.recv(C, unread), Err(Errno::ECONNRESET));
    assert_eq!(world.recv(C, waiting), Err(Errno::ECONNRESET));
    assert_eq!(world.states(S), [State::FinWait2]);
    let late = world.stream(C);
    assert_eq!(world.connect(C, late, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    assert_eq!(world.connect(C, late, at(S, 80)), Err(Errno::ECONNREFUSED));
}

#[test]
fn without_carrier_nothing_leaves() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    world.fault(C, HostFault::LinkDown(IfaceId(1)));
    assert_eq!(world.send(C, client, "late"), Ok(4));
    world.run();
    assert_eq!(world.sent(), []);
    world.fault(C, HostFault::LinkUp(IfaceId(1)));
    world.advance(secs(1));
    assert_eq!(world.recv(S, server), Ok("late".to_owned()));
}

#[test]
fn packets_that_are_not_taken_have_their_reason() {
    let mut world = World::plain();
    let raw = Packet::new(v4(C), v4(S), Body::Raw(Payload::from("garbage")));
    let stray = Packet { dst: v4(C), ..raw.clone() };
    let stray =
        Packet { body: Body::Tcp(wirefate::wire::Segment { flags: Flags::SYN, ..Default::default() }), ..stray };
    let martian = Packet { dst: "127.0.0.1".parse().unwrap(), ..stray.clone() };
    for packet in [raw, stray, martian] {
        world.with(S, |host, cx| host.on_packet(cx, IfaceId(1), &packet));
    }
    assert_eq!(world.drops(), [(S, DropReason::Checksum), (S, DropReason::NotMine), (S, DropReason::NotMine)]);
    assert_eq!(world.sent(), []);
}

/// A host with many idle connections is asked for nothing until the first of them has something to do.
#[test]
fn idle_connections_have_no_timeouts() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 512);
    for _ in 0..500 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.accept(S, listener).unwrap();
    }
    assert_eq!((world.hosts[C].next_timeout(), world.hosts[S].next_timeout()), (None, None));
    assert_eq!((world.states(C).len(), world.states(S).len()), (500, 500));
}
