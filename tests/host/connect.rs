use super::wire::{C, S, World, any, any6, at, rfc9293, v4, v6};
use std::net::SocketAddr;
use wirefate::endpoint::{DropReason, Errno, Family, Readiness, SockOpt, SocketId, SocketKind, State};
use wirefate::host::{IsnPolicy, Teaching};
use wirefate::time::{ms, secs};
use wirefate::wire::{Body, Flags, Icmp, IcmpKind, Packet, quote_of};

const IN_PROGRESS: Result<(), Errno> = Err(Errno::EINPROGRESS);

#[test]
fn connect_says_how_it_went_once() {
    let mut world = World::plain();
    world.listen(S, any(80), 8);
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EALREADY));
    assert_eq!(world.send(C, id, "x"), Err(Errno::EAGAIN));
    assert_eq!(world.recv(C, id), Err(Errno::EAGAIN));
    world.run();
    assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EISCONN));
    assert_eq!(world.send(C, id, "x"), Ok(1));
    let segments: Vec<Flags> = world.sent().iter().map(|&(_, flags, _)| flags).collect();
    assert_eq!(segments[..3], [Flags::SYN, Flags::SYN | Flags::ACK, Flags::ACK]);
    assert_eq!((world.counter(C, "Tcp.ActiveOpens"), world.counter(S, "Tcp.PassiveOpens")), (1, 1));
    assert_eq!((world.counter(C, "Tcp.CurrEstab"), world.counter(S, "Tcp.CurrEstab")), (1, 1));
}

#[test]
fn a_closed_port_refuses() {
    let mut world = World::plain();
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
    world.run();
    assert_eq!(world.sent().last(), Some(&(S, Flags::RST | Flags::ACK, 0)));
    assert_eq!(world.drops(), [(S, DropReason::NoSocket)]);
    let ready = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR | Readiness::RDHUP | Readiness::HUP;
    assert_eq!(world.told(), [(C, id, ready)]);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::ECONNREFUSED));
    assert_eq!((world.counter(C, "Tcp.AttemptFails"), world.counter(S, "Tcp.OutRsts")), (1, 1));
    // The socket may try again.
    world.listen(S, any(80), 1);
    assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
    world.run();
    assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
}

/// R2 of a SYN: 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 s.
#[test]
fn nobody_answers() {
    let mut world = World::plain();
    world.lose = Some(Box::new(|_| true));
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
    world.advance(ms(182_999));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EALREADY));
    world.advance(ms(1));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::ETIMEDOUT));
    assert_eq!((world.sent().len(), world.counter(C, "Tcp.RetransSegs")), (8, 7));
    assert_eq!(world.hosts[C].next(), None);
}

trait Next {
    fn next(&self) -> Option<wirefate::time::HostTime>;
}

impl Next for wirefate::host::Host {
    fn next(&self) -> Option<wirefate::time::HostTime> {
        wirefate::endpoint::Endpoint::next_timeout(self)
    }
}

#[test]
fn places_that_cannot_be_reached() {
    let mut world = World::plain();
    let mut connect = |family, to: SocketAddr, only: bool| {
        world.call(C, |s, cx| {
            let id = s.socket(cx, family, SocketKind::Stream).unwrap();
            if only {
                s.set_option(cx, id, SockOpt::V6Only(true)).unwrap();
            }
            s.connect(cx, id, to)
        })
    };
    let stranger: SocketAddr = "192.0.2.1:80".parse().unwrap();
    assert_eq!(connect(Family::V4, stranger, false), Err(Errno::ENETUNREACH));
    assert_eq!(connect(Family::V4, SocketAddr::new(v6(S), 80), false), Err(Errno::EAFNOSUPPORT));
    assert_eq!(connect(Family::V6, at(S, 80), true), Err(Errno::ENETUNREACH));
    assert_eq!(connect(Family::V6, at(S, 80), false), IN_PROGRESS);
    assert_eq!(connect(Family::V4, at(S, 0), false), Err(Errno::EADDRNOTAVAIL));
}

/// A hard ICMP error ends the attempt; a soft one is the reason given in the end (RFC 9293 3.9.2.2).
#[test]
fn icmp_errors() {
    let cases = [
        (IcmpKind::PortUnreachable, Err(Errno::ECONNREFUSED), Errno::ECONNREFUSED),
        (IcmpKind::HostUnreachable, Err(Errno::EALREADY), Errno::EHOSTUNREACH),
        (IcmpKind::NetUnreachable, Err(Errno::EALREADY), Errno::ENETUNREACH),
    ];
    for (kind, at_once, in_the_end) in cases {
        let mut world = World::plain();
        let syn = std::rc::Rc::new(std::cell::RefCell::new(None));
        let kept = syn.clone();
        world.lose = Some(Box::new(move |packet| {
            kept.borrow_mut().get_or_insert_with(|| packet.clone());
            true
        }));
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
        let syn: Packet = syn.borrow().clone().unwrap();
        let icmp = Icmp { kind, quote: quote_of(&syn) };
        let error = Packet::new(v4(S), v4(C), Body::Icmp(icmp));
        world.arrive(C, error);
        assert_eq!(world.drops(), []);
        if at_once == Err(Errno::EALREADY) {
            assert_eq!(world.connect(C, id, at(S, 80)), at_once);
            world.advance(secs(200));
        }
        assert_eq!(world.connect(C, id, at(S, 80)), Err(in_the_end), "{kind:?}");
    }
}

#[test]
fn a_range_of_three_ports_makes_three_connections() {
    let range = rfc9293("client").sysctl("net.ipv4.ip_local_port_range", "50000 50002");
    let mut world = World::pair(range, rfc9293("server"));
    world.listen(S, any(80), 8);
    world.listen(S, any(81), 8);
    let connect = |world: &mut World, port| {
        let id = world.stream(C);
        let result = world.connect(C, id, at(S, port));
        world.run();
        (result, id)
    };
    let ids: Vec<SocketId> = (0..3).map(|_| connect(&mut world, 80).1).collect();
    let ports: std::collections::BTreeSet<u16> =
        ids.iter().map(|&id| world.call(C, |s, _| s.local_addr(id)).unwrap().port()).collect();
    assert_eq!(ports, (50_000..=50_002).collect());
    assert_eq!(connect(&mut world, 80).0, Err(Errno::EADDRNOTAVAIL));
    assert_eq!(connect(&mut world, 81).0, IN_PROGRESS, "another destination has all ports");
    // A reset frees its port at once; TIME-WAIT frees it after 240 s.
    world.call(C, |s, cx| s.abort(cx, ids[0])).unwrap();
    world.run();
    assert_eq!(connect(&mut world, 80).0, IN_PROGRESS);
    assert_eq!(connect(&mut world, 80).0, Err(Errno::EADDRNOTAVAIL));
}

/// The side that closed first cannot connect from the same port to the same place for 2MSL.
#[test]
fn time_wait_holds_its_4_tuple() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 8);
    let open = |world: &mut World| {
        let id = world.call(C, |s, cx| {
            let id = s.socket(cx, Family::V4, SocketKind::Stream).unwrap();
            s.set_option(cx, id, SockOpt::ReuseAddr(true)).unwrap();
            s.bind(cx, id, any(40_000)).unwrap();
            id
        });
        let result = world.connect(C, id, at(S, 80));
        world.run();
        (id, result)
    };
    let (client, _) = open(&mut world);
    world.accept_and_part(C, client, listener);
    assert_eq!((world.states(C), world.states(S)), (vec![State::TimeWait], vec![]));
    let (second, refused) = open(&mut world);
    assert_eq!(refused, Err(Errno::EADDRNOTAVAIL));
    world.close(C, second);
    world.advance(ms(239_999));
    assert_eq!(world.states(C), [State::TimeWait]);
    world.advance(ms(1));
    assert_eq!(world.states(C), []);
    assert_eq!(open(&mut world).1, IN_PROGRESS);
}

#[test]
fn time_waits_beyond_the_limit_are_dropped() {
    let few = rfc9293("client").sysctl("net.ipv4.tcp_max_tw_buckets", 2);
    let mut world = World::pair(few, rfc9293("server"));
    let listener = world.listen(S, any(80), 8);
    for _ in 0..3 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
        world.run();
        world.accept_and_part(C, id, listener);
    }
    assert_eq!(world.states(C), [State::TimeWait; 2]);
    assert_eq!((world.counter(C, "TcpExt.TW"), world.counter(C, "TcpExt.TCPTimeWaitOverflow")), (2, 1));
}

#[test]
fn one_socket_serves_both_families() {
    for (only, v4_answer) in [(false, Ok(())), (true, Err(Errno::ECONNREFUSED))] {
        let mut world = World::plain();
        let listener = world.call(S, |s, cx| {
            let id = s.socket(cx, Family::V6, SocketKind::Stream).unwrap();
            s.set_option(cx, id, SockOpt::V6Only(only)).unwrap();
            s.bind(cx, id, any6(80)).unwrap();
            s.listen(cx, id, 8).unwrap();
            id
        });
        for (remote, answer) in [(v4(S), v4_answer), (v6(S), Ok(()))] {
            let family = if remote.is_ipv4() { Family::V4 } else { Family::V6 };
            let id = world.call(C, |s, cx| s.socket(cx, family, SocketKind::Stream)).unwrap();
            let remote = SocketAddr::new(remote, 80);
            assert_eq!(world.connect(C, id, remote), IN_PROGRESS);
            world.run();
            assert_eq!(world.connect(C, id, remote), answer);
            if answer.is_ok() {
                let (_, peer) = world.call(S, |s, cx| s.accept(cx, listener)).unwrap();
                assert_eq!(peer, world.call(C, |s, _| s.local_addr(id)).unwrap());
            }
        }
    }
}

#[test]
fn own_addresses_are_reached_over_the_loopback() {
    let mut world = World::plain();
    let listener = world.listen(C, any(80), 8);
    for to in [at(C, 80), "127.0.0.1:80".parse().unwrap(), "127.9.9.9:80".parse().unwrap(), any(80)] {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, to), IN_PROGRESS);
        world.run();
        assert_eq!(world.connect(C, id, to), Ok(()), "{to}");
        let server = world.accept(C, listener).unwrap();
        assert_eq!(world.send(C, id, "over lo"), Ok(7));
        world.run();
        assert_eq!(world.recv(C, server), Ok("over lo".to_owned()));
    }
    assert_eq!(world.sent(), []);
}

/// Whatever the policy, two incarnations of a connection under `constant` begin alike and otherwise do not.
#[test]
fn sequence_numbers_follow_their_policy() {
    for (isn, alike) in [(IsnPolicy::Constant, true), (IsnPolicy::Clock, false), (IsnPolicy::Rfc6528, false)] {
        let teaching = Teaching { isn: Some(isn), ..Teaching::default() };
        let mut world = World::pair(rfc9293("client").teaching(teaching), rfc9293("server"));
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let log = seen.clone();
        world.lose = Some(Box::new(move |packet| {
            log.borrow_mut().extend(packet.segment().filter(|s| s.has(Flags::SYN)).map(|s| s.seq));
            true
        }));
        for _ in 0..2 {
            let id = world.stream(C);
            world.call(C, |s, cx| s.bind(cx, id, any(40_000))).unwrap();
            assert_eq!(world.connect(C, id, at(S, 80)), IN_PROGRESS);
            world.close(C, id);
            world.now += secs(1);
        }
        let seen = seen.borrow();
        assert_eq!((seen.len(), seen[0] == seen[1]), (2, alike), "{isn:?}");
    }
}
