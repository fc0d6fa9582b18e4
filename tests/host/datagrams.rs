use super::wire::{C, S, World, any, any6, at, v6};
use std::net::SocketAddr;
use wirefate::endpoint::{DropReason, Errno, Family, MsgFlags, Readiness, SockOpt, SocketId, SocketKind};
use wirefate::wire::Payload;

fn socket(world: &mut World, host: usize, local: Option<SocketAddr>) -> SocketId {
    let family = if local.is_some_and(|local| local.is_ipv6()) { Family::V6 } else { Family::V4 };
    world.call(host, |s, cx| {
        let id = s.socket(cx, family, SocketKind::Datagram).unwrap();
        if let Some(local) = local {
            s.bind(cx, id, local).unwrap();
        }
        id
    })
}

fn send_to(world: &mut World, host: usize, id: SocketId, text: &str, to: SocketAddr) -> Result<u32, Errno> {
    let result = world.call(host, |s, cx| s.send_to(cx, id, &Payload::from(text), to, MsgFlags::empty()));
    world.run();
    result
}

fn recv_from(world: &mut World, host: usize, id: SocketId) -> Result<(String, SocketAddr), Errno> {
    let (payload, from) = world.call(host, |s, cx| s.recv_from(cx, id))?;
    Ok((String::from_utf8(payload.to_vec()).unwrap(), from))
}

#[test]
fn datagrams_arrive_whole_and_say_from_where() {
    let mut world = World::plain();
    let (client, server) = (socket(&mut world, C, Some(any(4_000))), socket(&mut world, S, Some(any(53))));
    assert_eq!(recv_from(&mut world, S, server), Err(Errno::EAGAIN));
    assert_eq!(send_to(&mut world, C, client, "one", at(S, 53)), Ok(3));
    assert_eq!(send_to(&mut world, C, client, "", at(S, 53)), Ok(0));
    let ready = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(world.told(), [(S, server, ready), (S, server, ready)]);
    assert_eq!(recv_from(&mut world, S, server), Ok(("one".to_owned(), at(C, 4_000))));
    assert_eq!(recv_from(&mut world, S, server), Ok((String::new(), at(C, 4_000))));
    assert_eq!((recv_from(&mut world, S, server), world.poll(S, server)), (Err(Errno::EAGAIN), Readiness::WRITABLE));
    let long = "x".repeat(1_473);
    assert_eq!(send_to(&mut world, C, client, &long, at(S, 53)), Err(Errno::EMSGSIZE));
    assert_eq!(send_to(&mut world, C, client, &long[..1_472], at(S, 53)), Ok(1_472));
    assert_eq!(send_to(&mut world, C, client, "x", SocketAddr::new(v6(S), 53)), Err(Errno::EAFNOSUPPORT));
    let stream = world.stream(C);
    assert_eq!(send_to(&mut world, C, stream, "x", at(S, 53)), Err(Errno::ENOTCONN));
}

/// Port unreachable reaches a connected socket and no other (RFC 1122 4.1.3.3).
#[test]
fn a_closed_port_refuses_a_connected_socket() {
    let mut world = World::plain();
    let (open, connected) = (socket(&mut world, C, None), socket(&mut world, C, None));
    assert_eq!(send_to(&mut world, C, open, "x", at(S, 53)), Ok(1));
    assert_eq!(world.drops(), [(S, DropReason::NoSocket), (C, DropReason::IcmpIrrelevant)]);
    assert_eq!(recv_from(&mut world, C, open), Err(Errno::EAGAIN));
    let send = |world: &mut World| {
        let result = world.call(C, |s, cx| s.send(cx, connected, &Payload::from("x"), MsgFlags::empty()));
        world.run();
        result
    };
    assert_eq!(send(&mut world), Err(Errno::EDESTADDRREQ));
    assert_eq!(world.connect(C, connected, at(S, 53)), Ok(()));
    assert_eq!(send(&mut world), Ok(1));
    assert!(world.poll(C, connected).contains(Readiness::ERROR));
    assert_eq!(recv_from(&mut world, C, connected), Err(Errno::ECONNREFUSED));
    assert_eq!(recv_from(&mut world, C, connected), Err(Errno::EAGAIN));
    assert_eq!((world.counter(S, "Udp.NoPorts"), world.counter(S, "Icmp.OutDestUnreachs")), (2, 2));
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut world = World::plain();
    let server = socket(&mut world, S, Some(any(53)));
    let (a, b) = (socket(&mut world, C, Some(any(1_001))), socket(&mut world, C, Some(any(1_002))));
    assert_eq!(world.connect(S, server, at(C, 1_001)), Ok(()));
    assert_eq!(send_to(&mut world, C, b, "stranger", at(S, 53)), Ok(8));
    assert_eq!(send_to(&mut world, C, a, "friend", at(S, 53)), Ok(6));
    assert_eq!(recv_from(&mut world, S, server), Ok(("friend".to_owned(), at(C, 1_001))));
    assert_eq!(recv_from(&mut world, S, server), Err(Errno::EAGAIN));
}

#[test]
fn a_full_buffer_drops() {
    let mut world = World::plain();
    let (client, server) = (socket(&mut world, C, None), socket(&mut world, S, Some(any(53))));
    world.call(S, |s, cx| s.set_option(cx, server, SockOpt::ReceiveBuffer(4_096))).unwrap();
    for _ in 0..20 {
        assert_eq!(send_to(&mut world, C, client, &"x".repeat(1_000), at(S, 53)), Ok(1_000));
    }
    let dropped = world.drops().len() as u64;
    assert_eq!((dropped, world.counter(S, "Udp.RcvbufErrors")), (16, 16));
    assert_eq!((0..20).filter(|_| recv_from(&mut world, S, server).is_ok()).count(), 4);
}

#[test]
fn one_socket_serves_both_families() {
    let mut world = World::plain();
    let server = socket(&mut world, S, Some(any6(53)));
    let client = socket(&mut world, C, Some(any6(4_000)));
    for to in [at(S, 53), SocketAddr::new(v6(S), 53)] {
        assert_eq!(send_to(&mut world, C, client, "x", to), Ok(1));
        let (_, from) = recv_from(&mut world, S, server).unwrap();
        assert_eq!((from.is_ipv4(), from.port()), (to.is_ipv4(), 4_000));
        assert_eq!(send_to(&mut world, S, server, "y", from), Ok(1));
        assert_eq!(recv_from(&mut world, C, client), Ok(("y".to_owned(), to)));
    }
}

#[test]
fn stream_options_are_none_of_a_datagram_socket() {
    let mut world = World::plain();
    let id = socket(&mut world, C, None);
    let mut set = |option| world.call(C, |s, cx| s.set_option(cx, id, option));
    assert_eq!(set(SockOpt::ReuseAddr(true)), Ok(()));
    assert_eq!(set(SockOpt::NoDelay(true)), Err(Errno::ENOPROTOOPT));
    assert_eq!(set(SockOpt::V6Only(true)), Err(Errno::ENOPROTOOPT));
    let mut verbs = world;
    assert_eq!(verbs.call(C, |s, cx| s.listen(cx, id, 1)), Err(Errno::EOPNOTSUPP));
    assert_eq!(verbs.accept(C, id), Err(Errno::EOPNOTSUPP));
}
