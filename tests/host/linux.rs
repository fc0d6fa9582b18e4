//! What the sockets of the profile `linux` do in their own way.

use super::wire::{C, S, World, any, at};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use wirefate::endpoint::{
    Attach, Endpoint, Errno, Family, HostFault, IfaceId, MsgFlags, NoRoute, Order, Readiness, Shutdown, SockOpt,
    SocketId, SocketKind, State,
};
use wirefate::host::{HostConfig, Profile};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Flags, IcmpKind, Payload};

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

fn plain() -> World {
    World::pair(linux("client"), linux("server"))
}

fn with_client(sysctl: &str, value: &str) -> World {
    World::pair(linux("client").sysctl(sysctl, value), linux("server"))
}

/// A socket on the client with `SO_REUSEADDR`, bound to `port`.
fn bound(world: &mut World, port: u16) -> SocketId {
    let id = world.stream(C);
    world.call(C, |s, cx| s.set_option(cx, id, SockOpt::ReuseAddr(true))).unwrap();
    world.call(C, |s, cx| s.bind(cx, id, any(port))).unwrap();
    id
}

/// Opens and closes a connection from the client, which then is in TIME-WAIT; its socket was `id`.
fn closed(world: &mut World, listener: SocketId, id: SocketId) {
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.accept_and_part(C, id, listener);
    assert_eq!(world.states(C), [State::TimeWait]);
}

fn so_error(world: &mut World, id: SocketId) -> Option<Errno> {
    match world.call(C, |s, cx| s.get_option(cx, id, SockOpt::Error(None))) {
        Ok(SockOpt::Error(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bound_port_in_time_wait_connects_at_once_where_timestamps_are() {
    for (timestamps, reuse, result) in [
        ("1", "0", Errno::EINPROGRESS),
        ("1", "2", Errno::EINPROGRESS),
        ("0", "0", Errno::EADDRNOTAVAIL),
        ("0", "1", Errno::EADDRNOTAVAIL),
    ] {
        let client =
            linux("client").sysctl("net.ipv4.tcp_timestamps", timestamps).sysctl("net.ipv4.tcp_tw_reuse", reuse);
        let mut world = World::pair(client, linux("server"));
        let listener = world.listen(S, any(80), 8);
        let first = bound(&mut world, 5_000);
        closed(&mut world, listener, first);
        let again = bound(&mut world, 5_000);
        assert_eq!(world.connect(C, again, at(S, 80)), Err(result), "timestamps {timestamps}, tcp_tw_reuse {reuse}");
    }
}

#[test]
fn tcp_tw_reuse_gives_a_chosen_port_after_its_delay() {
    for (reuse, after, result) in [
        ("0", ms(5_000), Errno::EADDRNOTAVAIL),
        ("1", ms(1_000), Errno::EADDRNOTAVAIL),
        ("1", ms(1_001), Errno::EINPROGRESS),
        ("2", ms(5_000), Errno::EADDRNOTAVAIL),
    ] {
        let client = linux("client").sysctl("net.ipv4.ip_local_port_range", "40000 40000");
        let mut world = World::pair(client.sysctl("net.ipv4.tcp_tw_reuse", reuse), linux("server"));
        let listener = world.listen(S, any(80), 8);
        let first = world.stream(C);
        closed(&mut world, listener, first);
        world.advance(after);
        let again = world.stream(C);
        assert_eq!(world.connect(C, again, at(S, 80)), Err(result), "tcp_tw_reuse {reuse} after {after}");
    }
}

/// TIME-WAIT is a socket like others: both the old and the new one need `SO_REUSEADDR`.
#[test]
fn bind_beside_time_wait_takes_reuse_on_both() {
    for (old, new, result) in
        [(true, true, Ok(())), (false, true, Err(Errno::EADDRINUSE)), (true, false, Err(Errno::EADDRINUSE))]
    {
        let mut world = plain();
        let listener = world.listen(S, any(80), 8);
        let first = bound(&mut world, 5_000);
        world.call(C, |s, cx| s.set_option(cx, first, SockOpt::ReuseAddr(old))).unwrap();
        closed(&mut world, listener, first);
        let again = world.stream(C);
        world.call(C, |s, cx| s.set_option(cx, again, SockOpt::ReuseAddr(new))).unwrap();
        assert_eq!(world.call(C, |s, cx| s.bind(cx, again, any(5_000))), result, "{old} {new}");
    }
}

#[test]
fn reuseport_spreads_connections_over_its_listeners() {
    let mut world = plain();
    let mut listeners = Vec::new();
    for port_too in [true, true, false] {
        let id = world.stream(S);
        world.call(S, |s, cx| s.set_option(cx, id, SockOpt::ReusePort(port_too))).unwrap();
        let result = world.call(S, |s, cx| s.bind(cx, id, any(80)));
        assert_eq!(result, if port_too { Ok(()) } else { Err(Errno::EADDRINUSE) });
        if port_too {
            world.call(S, |s, cx| s.listen(cx, id, 64)).unwrap();
            listeners.push(id);
        }
    }
    for _ in 0..32 {
        let client = world.stream(C);
        assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
    }
    world.run();
    let counts = [0, 1].map(|n| (0..).take_while(|_| world.accept(S, listeners[n]).is_ok()).count());
    assert!(counts[0] + counts[1] == 32 && counts.iter().all(|&count| count > 4), "{counts:?}");
    // One goes: all that come go to the other.
    world.close(S, listeners[0]);
    let client = world.stream(C);
    assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    assert!(world.accept(S, listeners[1]).is_ok());
}

/// `connect` takes the low end's parity first, `bind` the other; then there are none.
#[test]
fn ephemeral_ports_go_by_parity() {
    let mut world = with_client("net.ipv4.ip_local_port_range", "40000 40007");
    world.listen(S, any(80), 64);
    world.listen(S, any(81), 64);
    let mut ports = Vec::new();
    for _ in 0..8 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        ports.push(world.call(C, |s, _| s.local_addr(id)).unwrap().port());
    }
    assert!(ports[..4].iter().all(|port| port % 2 == 0) && ports[4..].iter().all(|port| port % 2 == 1), "{ports:?}");
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8);
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(world.connect(C, id, at(S, 81)), Err(Errno::EINPROGRESS), "another destination shares the ports");
    let id = world.stream(C);
    assert_eq!(world.call(C, |s, cx| s.bind(cx, id, any(0))), Err(Errno::EADDRINUSE));
    let mut world = with_client("net.ipv4.ip_local_port_range", "40000 40007");
    let mut bind = || {
        let id = world.stream(C);
        world.call(C, |s, cx| s.bind(cx, id, any(0))).unwrap();
        world.call(C, |s, _| s.local_addr(id)).unwrap().port()
    };
    let ports: Vec<u16> = (0..8).map(|_| bind()).collect();
    assert!(ports[..4].iter().all(|port| port % 2 == 1) && ports[4..].iter().all(|port| port % 2 == 0), "{ports:?}");
}

#[test]
fn a_refused_socket_has_its_errors_in_order() {
    let mut world = plain();
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EALREADY));
    world.run();
    let all = Readiness::READABLE | Readiness::WRITABLE | Readiness::ERROR | Readiness::HUP | Readiness::RDHUP;
    assert_eq!(world.poll(C, id), all);
    assert_eq!((so_error(&mut world, id), so_error(&mut world, id)), (Some(Errno::ECONNREFUSED), None));
    assert_eq!(world.recv(C, id), Ok(String::new()));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::ECONNABORTED));
}

#[test]
fn a_reset_after_the_end_of_the_stream_is_epipe_for_writers_only() {
    let mut world = plain();
    let (client, _, server) = world.connected(80);
    world.call(S, |s, cx| s.shutdown(cx, server, Shutdown::Write)).unwrap();
    world.run();
    world.call(S, |s, cx| s.abort(cx, server)).unwrap();
    world.run();
    assert_eq!(world.recv(C, client), Ok(String::new()));
    assert_eq!(world.send(C, client, "x"), Err(Errno::EPIPE));
    assert_eq!(so_error(&mut world, client), None);
}

#[test]
fn what_arrives_after_shutdown_of_reading_is_kept_and_of_both_is_reset() {
    for (how, text, error) in [(Shutdown::Read, "hello", None), (Shutdown::Both, "", Some(Errno::ECONNRESET))] {
        let mut world = plain();
        let (client, _, server) = world.connected(80);
        world.call(C, |s, cx| s.shutdown(cx, client, how)).unwrap();
        world.run();
        assert_eq!(world.send(S, server, "hello"), Ok(5));
        world.run();
        assert_eq!(so_error(&mut world, client), error);
        assert_eq!(world.recv(C, client), Ok(text.to_owned()));
    }
}

#[test]
fn every_route_that_leads_nowhere_has_its_error() {
    let mut world = plain();
    let kinds = [NoRoute::Absent, NoRoute::Unreachable, NoRoute::Blackhole, NoRoute::Prohibit];
    for (kind, error) in kinds.into_iter().zip([Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::EINVAL, Errno::EACCES])
    {
        let attach = Attach::NoRoute { prefix: at(S, 80).ip(), prefix_len: 32, kind };
        world.with(C, |host, cx| host.on_attach(cx, &attach));
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(error));
        let udp = world.call(C, |s, cx| s.socket(cx, Family::V4, SocketKind::Datagram)).unwrap();
        assert_eq!(world.call(C, |s, cx| s.send_to(cx, udp, &"x".into(), at(S, 80), MsgFlags::empty())), Err(error));
    }
}

#[test]
fn files_and_low_ports_have_limits() {
    let client = linux("client").sysctl("fs.file-max", 2).sysctl("net.ipv4.ip_unprivileged_port_start", 1_024);
    let mut world = World::pair(client, linux("server"));
    let socket = |world: &mut World| world.call(C, |s, cx| s.socket(cx, Family::V4, SocketKind::Stream));
    let id = socket(&mut world).unwrap();
    let mut bind = |port| world.call(C, |s, cx| s.bind(cx, id, SocketAddr::new(at(C, 0).ip(), port)));
    assert_eq!(bind(1_023), Err(Errno::EACCES));
    assert_eq!(bind(1_024), Ok(()));
    assert!(socket(&mut world).is_ok());
    assert_eq!(socket(&mut world), Err(Errno::ENFILE));
    let mut world = with_client("fs.nr_open", "1");
    assert!(socket(&mut world).is_ok());
    assert_eq!(socket(&mut world), Err(Errno::EMFILE));
}

/// Clients that have just closed while nothing reaches anybody: what each sends in the next second.
fn orphaned(world: &mut World, count: usize, apart: Span) -> Vec<Vec<Flags>> {
    let listener = world.listen(S, any(80), 8);
    let clients: Vec<SocketId> = (0..count).map(|_| world.stream(C)).collect();
    for &client in &clients {
        assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.accept(S, listener).unwrap();
    }
    world.lose = Some(Box::new(|_| true));
    world.sent();
    let sent = |world: &mut World| world.sent().into_iter().map(|(_, flags, _)| flags).collect();
    let mut all = Vec::new();
    for client in clients {
        world.close(C, client);
        all.push(sent(world));
        world.advance(apart);
    }
    all
}

/// One orphan too many is reset after its FIN. They are counted ten times a second: those of one moment all pass.
#[test]
fn orphans_have_a_limit() {
    let (fin, rst) = (Flags::FIN | Flags::ACK, Flags::RST | Flags::ACK);
    for (most, apart, sent) in [
        ("1", ms(100), [vec![fin], vec![fin], vec![fin, rst]]),
        ("0", ms(100), [vec![fin], vec![fin, rst], vec![fin, rst]]),
        ("1", ms(1), [vec![fin], vec![fin], vec![fin]]),
    ] {
        let mut world = with_client("net.ipv4.tcp_max_orphans", most);
        world.advance(ms(5));
        assert_eq!(orphaned(&mut world, 3, apart), sent, "{most} {apart}");
        let reset = sent.iter().filter(|flags| flags.contains(&rst)).count();
        assert_eq!(world.counter(C, "TcpExt.TCPAbortOnMemory"), reset as u64);
    }
}

/// `tcp_out_of_resources()`: a timeout looks again, and one that an ICMP error is about counts twice.
#[test]
fn orphans_yield_at_their_timeouts() {
    for (most, icmp, left) in [("2", false, 2), ("1", false, 0), ("2", true, 1), ("4", true, 2)] {
        let mut world = with_client("net.ipv4.tcp_max_orphans", most);
        world.advance(ms(5));
        orphaned(&mut world, 2, ms(1));
        if icmp {
            let first = world.views(C).remove(0);
            world.icmp(&first, IcmpKind::HostUnreachable);
        }
        world.sent();
        world.advance(secs(1));
        assert_eq!(world.states(C).len(), left, "{most} {icmp}");
        let resets = world.sent().into_iter().filter(|(_, flags, _)| flags.contains(Flags::RST)).count();
        assert_eq!((resets, world.counter(C, "TcpExt.TCPAbortOnMemory")), (2 - left, 2 - left as u64));
    }
}

/// What is in FIN-WAIT-2 or TIME-WAIT does not count.
#[test]
fn what_is_left_of_a_connection_is_no_orphan() {
    let mut world = with_client("net.ipv4.tcp_max_orphans", "1");
    let (client, listener, _) = world.connected(80);
    world.close(C, client);
    world.advance(secs(1));
    assert_eq!(world.states(C), [State::FinWait2]);
    let second = world.stream(C);
    assert_eq!(world.connect(C, second, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.accept(S, listener).unwrap();
    world.close(C, second);
    assert_eq!(world.counter(C, "TcpExt.TCPAbortOnMemory"), 0);
}

#[test]
fn linger2_is_kept_within_its_limits() {
    let mut world = plain();
    let id = world.stream(C);
    let mut set = |span| {
        world.call(C, |s, cx| s.set_option(cx, id, SockOpt::Linger2(span))).unwrap();
        world.call(C, |s, cx| s.get_option(cx, id, SockOpt::Linger2(None))).unwrap()
    };
    assert_eq!(set(Some(secs(0))), SockOpt::Linger2(Some(secs(60))));
    assert_eq!(set(Some(secs(120))), SockOpt::Linger2(Some(secs(120))));
    assert_eq!(set(Some(secs(121))), SockOpt::Linger2(Some(secs(120))));
    assert_eq!(set(None), SockOpt::Linger2(None));
}

/// Where TIME-WAIT is full, already FIN-WAIT-2 has no place: the peer's FIN meets a closed port.
#[test]
fn too_many_time_waits_end_orphans() {
    for (most, last) in [("0", Flags::RST), ("1", Flags::ACK)] {
        let mut world = with_client("net.ipv4.tcp_max_tw_buckets", most);
        let (client, _, server) = world.connected(80);
        world.close(C, client);
        world.advance(ms(100));
        world.sent();
        world.close(S, server);
        world.advance(ms(100));
        assert_eq!(world.sent().last().map(|&(from, flags, _)| (from, flags)), Some((C, last)));
    }
}

/// Without a carrier nothing new leaves; what waits is tried for again as a closed window is, and leaves with the first
/// try that finds a way (`tcp_write_wakeup()`).
#[test]
fn what_is_written_without_carrier_leaves_with_a_later_try() {
    let mut world = plain();
    let (client, _, server) = world.connected(80);
    world.sent();
    world.fault(C, HostFault::LinkDown(IfaceId(1)));
    assert_eq!(world.send(C, client, "hello"), Ok(5));
    world.advance(ms(500));
    world.fault(C, HostFault::LinkUp(IfaceId(1)));
    // Tries after an RTO, here 201 ms, and two more.
    world.advance(ms(102));
    assert_eq!(world.sent(), []);
    world.advance(ms(2));
    assert_eq!(world.sent()[0], (C, Flags::ACK | Flags::PSH, 5));
    assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
}

/// A write that waits for the handshake brings the acknowledgment of the SYN-ACK along (`sk_write_pending`).
#[test]
fn a_write_that_waits_saves_the_third_segment() {
    for (flags, first) in [(MsgFlags::WAITS, (C, Flags::ACK | Flags::PSH, 5)), (MsgFlags::empty(), (C, Flags::ACK, 0))]
    {
        let mut world = plain();
        world.listen(S, any(80), 1);
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        let data = Payload::from("hello");
        let send = |world: &mut World| world.call(C, |s, cx| s.send(cx, id, &data, flags));
        assert_eq!(send(&mut world), Err(Errno::EAGAIN));
        world.sent();
        world.run();
        assert_eq!(send(&mut world), Ok(5));
        assert_eq!(world.sent()[1], first, "after the SYN-ACK");
    }
}

/// `ip_local_reserved_ports`: who names a port gets it, nobody else does; it may change at any time.
#[test]
fn reserved_ports_are_given_to_who_asks_for_them() {
    let client = linux("client")
        .sysctl("net.ipv4.ip_local_port_range", "40000 40003")
        .sysctl("net.ipv4.ip_local_reserved_ports", "80,40001-40003");
    let mut world = World::pair(client, linux("server"));
    world.listen(S, any(80), 64);
    let connect = |world: &mut World| {
        let id = world.stream(C);
        let result = world.connect(C, id, at(S, 80));
        (result, world.call(C, |s, _| s.local_addr(id)).unwrap().port())
    };
    assert_eq!(connect(&mut world), (Err(Errno::EINPROGRESS), 40_000));
    assert_eq!(connect(&mut world), (Err(Errno::EADDRNOTAVAIL), 0));
    let id = world.stream(C);
    assert_eq!(world.call(C, |s, cx| s.bind(cx, id, any(0))), Err(Errno::EADDRINUSE));
    assert_eq!(world.call(C, |s, cx| s.bind(cx, id, any(40_002))), Ok(()));
    let order = Order::Sysctl { name: "net.ipv4.ip_local_reserved_ports".to_owned(), value: String::new() };
    world.with(C, |host, cx| host.administer(cx, &order)).unwrap();
    // Port 40002 is bound.
    assert_eq!([connect(&mut world).1, connect(&mut world).1].into_iter().collect::<BTreeSet<_>>().len(), 2);
    assert_eq!(connect(&mut world).0, Err(Errno::EADDRNOTAVAIL));
}

/// `tcp_timestamps`: 1 hides the clock behind the connection, 2 does not.
#[test]
fn timestamps_are_the_clock_where_asked() {
    for (value, same) in [("1", false), ("2", true)] {
        let mut world = with_client("net.ipv4.tcp_timestamps", value);
        world.advance(secs(5));
        let stamps = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = stamps.clone();
        world.lose = Some(Box::new(move |packet| {
            let val = packet.segment().and_then(|segment| segment.options.timestamps());
            seen.borrow_mut().extend(val.map(|(val, _)| val));
            true
        }));
        for port in [80, 81] {
            let id = world.stream(C);
            assert_eq!(world.connect(C, id, at(S, port)), Err(Errno::EINPROGRESS));
        }
        let stamps = stamps.borrow();
        assert_eq!((stamps.len(), stamps[0] == stamps[1]), (2, same), "{value}");
    }
}

/// Each destination has a row of its own, which goes on by 2 to 16 ports at a time; `bind` takes any port, and one that is to
/// be shared from the lower half while there is one.
#[test]
fn ephemeral_ports_are_of_their_destination() {
    let mut world = plain();
    let mut chosen = |port: u16| {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, port)), Err(Errno::EINPROGRESS));
        world.call(C, |s, _| s.local_addr(id)).unwrap().port()
    };
    let [mut first, mut second] = [chosen(80), chosen(81)];
    assert_ne!(first, second);
    let mut steps = BTreeSet::new();
    for _ in 0..40 {
        for (port, last) in [(80, &mut first), (81, &mut second)] {
            let next = chosen(port);
            steps.insert((i32::from(next) - i32::from(*last)).rem_euclid(28_232));
            *last = next;
        }
    }
    assert_eq!(steps.into_iter().collect::<Vec<_>>(), [2, 4, 6, 8, 10, 12, 14, 16]);
    let mut bound = |shares: bool| {
        let id = world.stream(C);
        world.call(C, |s, cx| s.set_option(cx, id, SockOpt::ReuseAddr(shares))).unwrap();
        world.call(C, |s, cx| s.bind(cx, id, any(0))).unwrap();
        world.call(C, |s, _| s.local_addr(id)).unwrap().port()
    };
    let half = 32_768 + 28_232 / 2;
    assert!((0..40).map(|_| bound(true)).all(|port| port < half && port % 2 == 1));
    let any: Vec<u16> = (0..40).map(|_| bound(false)).collect();
    assert!(any.iter().any(|&port| port >= half) && !any.is_sorted() && any.iter().all(|port| port % 2 == 1));
}

/// Two connections of the client, to one server.
fn two_connections() -> (World, [SocketId; 2]) {
    let mut world = plain();
    let (first, listener, _) = world.connected(80);
    let second = world.stream(C);
    assert_eq!(world.connect(C, second, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.accept(S, listener).unwrap();
    (world, [first, second])
}

/// A path MTU that one connection has learned is that of the next ones, for ten minutes, and the MSS that they announce.
/// Of two that are told different things all go by the less.
#[test]
fn a_wider_path_mtu_takes_no_narrower_one_back() {
    let (mut world, [first, second]) = two_connections();
    world.lose = Some(Box::new(|_| true));
    for id in [first, second] {
        world.send(C, id, &"x".repeat(1_448)).unwrap();
    }
    for (view, mtu) in world.views(C).into_iter().zip([1_000, 1_200]) {
        world.icmp(&view, IcmpKind::TooBig { mtu });
    }
    world.lose = None;
    let third = world.stream(C);
    assert_eq!(world.connect(C, third, at(S, 80)), Err(Errno::EINPROGRESS));
    let now = world.now;
    let known = |id, world: &mut World| world.call(C, |s, _| s.tcp_info(now, id)).unwrap().pmtu;
    let known: Vec<u32> = [first, second, third].into_iter().map(|id| known(id, &mut world)).collect();
    assert_eq!(known, [1_000, 1_000, 1_000]);
}

/// RFC 1191 5: a router that is older says 0; what is believed is what is told.
#[test]
fn what_is_told_of_a_path_is_what_is_believed() {
    for (profile, mtu, mss) in [(Profile::Linux, 552, 500), (Profile::Rfc9293, 576, 536)] {
        let config = |name| HostConfig { profile, ..HostConfig::named(name) };
        let mut world = World::pair(config("client"), config("server"));
        let (client, _, _) = world.connected(80);
        world.lose = Some(Box::new(|_| true));
        world.send(C, client, &"x".repeat(1_448)).unwrap();
        let first = world.views(C).remove(0);
        world.icmp(&first, IcmpKind::TooBig { mtu: 0 });
        let now = world.now;
        let info = world.call(C, |s, _| s.tcp_info(now, client)).unwrap();
        assert_eq!((info.pmtu, info.snd_mss), (mtu, mss), "{profile}");
    }
}

#[test]
fn a_path_mtu_is_remembered() {
    let mut world = plain();
    let (client, listener, _) = world.connected(80);
    world.lose = Some(Box::new(|_| true));
    world.send(C, client, &"x".repeat(1_448)).unwrap();
    let first = world.views(C).remove(0);
    world.icmp(&first, IcmpKind::TooBig { mtu: 1_000 });
    let now = world.now;
    let mss = |world: &mut World| {
        let mss = std::rc::Rc::new(std::cell::Cell::new(None));
        let told = mss.clone();
        world.lose = Some(Box::new(move |packet| {
            let syn = packet.segment().filter(|segment| segment.flags == Flags::SYN);
            syn.into_iter().for_each(|segment| told.set(segment.options.mss()));
            false
        }));
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.accept(S, listener).unwrap();
        let info = world.call(C, |s, _| s.tcp_info(now, id)).unwrap();
        (mss.get(), info.pmtu, info.snd_mss)
    };
    assert_eq!(world.call(C, |s, _| s.tcp_info(now, client)).map(|info| (info.pmtu, info.snd_mss)), Ok((1_000, 948)));
    assert_eq!(mss(&mut world), (Some(960), 1_000, 948));
    world.advance(secs(599));
    assert_eq!(mss(&mut world), (Some(960), 1_000, 948));
    world.advance(secs(1));
    assert_eq!(mss(&mut world), (Some(1_460), 1_500, 1_448));
}

/// A connection looks at its path before each segment: it follows what another was told, and what is forgotten of that.
#[test]
fn the_others_follow_a_path_mtu() {
    let (mut world, [first, second]) = two_connections();
    let longest = |world: &mut World, id| {
        let most = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = most.clone();
        world.lose = Some(Box::new(move |packet| {
            let len = packet.segment().map_or(0, |segment| segment.payload.len());
            seen.set(seen.get().max(len));
            false
        }));
        world.send(C, id, &"x".repeat(4_000)).unwrap();
        world.run();
        most.get()
    };
    assert_eq!(longest(&mut world, second), 1_448);
    world.lose = Some(Box::new(|_| true));
    world.send(C, first, &"x".repeat(1_448)).unwrap();
    let told = world.views(C).remove(0);
    world.icmp(&told, IcmpKind::TooBig { mtu: 1_000 });
    assert_eq!(longest(&mut world, second), 948);
    world.advance(secs(599));
    assert_eq!(longest(&mut world, second), 948);
    world.advance(secs(1));
    assert_eq!([second, first].map(|id| longest(&mut world, id)), [1_448; 2]);
}

/// `listen` asks once more whether the port may be shared, by what the sockets say then (`inet_csk_listen_start()`).
#[test]
fn listen_checks_the_port_as_bind_does() {
    for (first, second, result) in [
        ((true, false), (true, false), Ok(())),
        ((false, false), (true, false), Err(Errno::EADDRINUSE)),
        ((true, false), (false, false), Err(Errno::EADDRINUSE)),
        ((false, true), (false, true), Ok(())),
        ((true, false), (false, true), Err(Errno::EADDRINUSE)),
    ] {
        let mut world = plain();
        let ids = [bound(&mut world, 80), bound(&mut world, 80)];
        for (id, (addr, port)) in ids.into_iter().zip([first, second]) {
            world.call(C, |s, cx| {
                s.set_option(cx, id, SockOpt::ReuseAddr(addr)).unwrap();
                s.set_option(cx, id, SockOpt::ReusePort(port)).unwrap();
            });
        }
        let listen = |world: &mut World| world.call(C, |s, cx| s.listen(cx, ids[0], 1));
        assert_eq!(listen(&mut world), result, "{first:?} beside {second:?}");
        // The socket keeps its port: alone on it, it may listen.
        world.close(C, ids[1]);
        assert_eq!(listen(&mut world), Ok(()));
    }
}
