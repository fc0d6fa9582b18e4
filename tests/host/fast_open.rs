//! Fast Open between two hosts of the profile `linux`.

use super::wire::{C, S, World, any, at};
use wirefate::endpoint::{Endpoint, Errno, FastOpenKey, MsgFlags, Order, Readiness, SockOpt, SocketId, State, TcpInfo};
use wirefate::host::{HostConfig, Profile};
use wirefate::time::{ms, secs};
use wirefate::wire::{Flags, Packet, Payload};

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

/// A client that may, and a server that takes data in SYNs on every listener.
fn both() -> (HostConfig, HostConfig) {
    (linux("client"), linux("server").sysctl("net.ipv4.tcp_fastopen", 0x402))
}

fn pair((client, server): (HostConfig, HostConfig)) -> World {
    World::pair(client, server)
}

fn fast(world: &mut World, id: SocketId, data: &str) -> Result<u32, Errno> {
    let flags = MsgFlags::FASTOPEN | MsgFlags::DONTWAIT;
    world.call(C, |s, cx| s.send_to(cx, id, &Payload::from(data), at(S, 80), flags))
}

fn info(world: &mut World, host: usize, id: SocketId) -> TcpInfo {
    let now = world.now;
    world.call(host, |s, _| s.tcp_info(now, id)).unwrap()
}

fn set(world: &mut World, host: usize, id: SocketId, option: SockOpt) -> Result<(), Errno> {
    world.call(host, |s, cx| s.set_option(cx, id, option))
}

fn sysctl(world: &mut World, host: usize, name: &str, value: &str) {
    let order = Order::Sysctl { name: name.to_owned(), value: value.to_owned() };
    world.with(host, |host, cx| host.administer(cx, &order)).unwrap();
}

/// Connects once for the cookie, and closes on both sides.
fn ask_for_cookie(world: &mut World, listener: SocketId) {
    let id = world.stream(C);
    assert_eq!(fast(world, id, ""), Err(Errno::EINPROGRESS));
    world.run();
    world.accept_and_part(C, id, listener);
    world.sent();
}

/// Loses every segment of the client that has neither SYN nor data: third segments above all.
fn lose_bare_acks(world: &mut World) {
    world.lose = Some(Box::new(|packet: &Packet| {
        packet.segment().is_some_and(|segment| {
            packet.dst == at(S, 0).ip() && !segment.has(Flags::SYN) && segment.payload.is_empty()
        })
    }));
}

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const SYN_ACK: Flags = Flags::SYN.union(Flags::ACK);
const DATA: Flags = Flags::ACK.union(Flags::PSH);

#[test]
fn the_first_connection_asks_and_the_second_brings_its_data() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    let first = world.stream(C);
    assert_eq!(fast(&mut world, first, "hello"), Err(Errno::EINPROGRESS));
    assert_eq!(fast(&mut world, first, "hello"), Err(Errno::EALREADY));
    world.run();
    assert_eq!(world.sent(), [(C, SYN, 0), (S, SYN_ACK, 0), (C, ACK, 0)]);
    assert!(!info(&mut world, C, first).syn_data);
    // Once connected the same call sends, but not twice.
    assert_eq!(fast(&mut world, first, "hello"), Ok(5));
    assert_eq!(fast(&mut world, first, "hello"), Err(Errno::EISCONN));
    world.run();
    world.sent();

    let second = world.stream(C);
    assert_eq!(fast(&mut world, second, "hello"), Ok(5));
    world.run();
    assert_eq!(world.sent(), [(C, SYN, 5), (S, SYN_ACK, 0), (C, ACK, 0)]);
    world.accept(S, listener).unwrap();
    let server = world.accept(S, listener).unwrap();
    assert_eq!(world.recv(S, server).as_deref(), Ok("hello"));
    assert!(info(&mut world, C, second).syn_data && info(&mut world, S, server).syn_data);
    let counted = |world: &World, host, name: &str| world.counter(host, &format!("TcpExt.TCPFastOpen{name}"));
    assert_eq!([counted(&world, C, "Active"), counted(&world, C, "ActiveFail")], [1, 0]);
    assert_eq!(["CookieReqd", "Passive", "PassiveFail"].map(|name| counted(&world, S, name)), [1, 1, 0]);
}

#[test]
fn a_connection_is_accepted_read_and_written_before_its_third_segment() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    lose_bare_acks(&mut world);
    let client = world.stream(C);
    assert_eq!(fast(&mut world, client, "ping"), Ok(4));
    world.run();
    let server = world.accept(S, listener).unwrap();
    assert_eq!(info(&mut world, S, server).state, State::SynReceived);
    assert_eq!(world.recv(S, server).as_deref(), Ok("ping"));
    assert_eq!(world.send(S, server, "pong"), Ok(4));
    world.run();
    assert_eq!(world.recv(C, client).as_deref(), Ok("pong"));
    world.sent();
    // The SYN-ACK alone goes again, and has the timer for itself.
    world.advance(ms(2_999));
    assert_eq!(world.sent().iter().filter(|sent| sent.0 == S).collect::<Vec<_>>(), [&(S, SYN_ACK, 0)]);
    assert_eq!(info(&mut world, S, server).total_retrans, 1);
    world.lose = None;
    world.advance(ms(1));
    assert_eq!(info(&mut world, S, server).state, State::Established);
}

#[test]
fn one_that_is_never_acknowledged_ends_one_try_later_than_a_half_open_one() {
    let (client, server) = both();
    let mut world = pair((client, server.sysctl("net.ipv4.tcp_synack_retries", 1)));
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    lose_bare_acks(&mut world);
    let client = world.stream(C);
    assert_eq!(fast(&mut world, client, "x"), Ok(1));
    world.run();
    let server = world.accept(S, listener).unwrap();
    world.sent();
    // At 1 s and 3 s the SYN-ACK goes again; at 7 s it is over.
    world.advance(ms(6_999));
    assert_eq!(world.sent().iter().filter(|sent| **sent == (S, SYN_ACK, 0)).count(), 2);
    assert_eq!(info(&mut world, S, server).state, State::SynReceived);
    world.advance(ms(1));
    assert_eq!(info(&mut world, S, server).state, State::Closed);
    assert_eq!(world.recv(S, server).as_deref(), Ok("x"));
    assert_eq!(world.recv(S, server), Err(Errno::ETIMEDOUT));
}

#[test]
fn no_more_than_the_option_says_are_without_a_third_segment() {
    let (client, server) = both();
    let mut world = pair((client, server.sysctl("net.ipv4.tcp_fastopen", 2)));
    let listener = world.listen(S, any(80), 8);
    let overflows = |world: &World| world.counter(S, "TcpExt.TCPFastOpenListenOverflow");
    set(&mut world, S, listener, SockOpt::FastOpen(1)).unwrap();
    ask_for_cookie(&mut world, listener);
    lose_bare_acks(&mut world);
    let [first, second] = [world.stream(C), world.stream(C)];
    assert_eq!(fast(&mut world, first, "one"), Ok(3));
    world.run();
    assert_eq!((overflows(&world), world.queues(S)), (0, (0, 1)));
    assert_eq!(fast(&mut world, second, "two"), Ok(3));
    world.run();
    // Its data was not taken, and comes again in the third segment.
    assert_eq!((overflows(&world), world.queues(S)), (1, (0, 2)));
    assert_eq!(world.counter(C, "TcpExt.TCPFastOpenActiveFail"), 1);
    let texts = [(); 2].map(|()| {
        let id = world.accept(S, listener).unwrap();
        world.recv(S, id).unwrap()
    });
    assert_eq!(texts, ["one", "two"]);
    assert!(info(&mut world, C, first).syn_data && !info(&mut world, C, second).syn_data);
}

#[test]
fn a_reset_of_an_accepted_one_counts_for_a_minute() {
    let (client, server) = both();
    let mut world = pair((client, server.sysctl("net.ipv4.tcp_fastopen", 2)));
    let listener = world.listen(S, any(80), 8);
    set(&mut world, S, listener, SockOpt::FastOpen(1)).unwrap();
    ask_for_cookie(&mut world, listener);
    let taken = |world: &mut World| {
        let id = world.stream(C);
        fast(world, id, "x").unwrap();
        world.run();
        let server = world.accept(S, listener).unwrap();
        (id, server, info(world, C, id).syn_data)
    };
    lose_bare_acks(&mut world);
    let (client, server, was_taken) = taken(&mut world);
    assert!(was_taken);
    world.lose = None;
    world.call(C, |s, cx| s.abort(cx, client)).unwrap();
    world.run();
    assert_eq!(world.recv(S, server).as_deref(), Ok("x"));
    assert_eq!(world.recv(S, server), Err(Errno::ECONNRESET));
    assert!(!taken(&mut world).2);
    world.advance(ms(59_999));
    assert!(!taken(&mut world).2);
    world.advance(ms(1));
    assert!(taken(&mut world).2);
}

#[test]
fn cookies_follow_the_keys_of_the_sysctl_and_of_the_listener() {
    const KEY: &str = "net.ipv4.tcp_fastopen_key";
    let (client, server) = both();
    let mut world = pair((client, server.sysctl(KEY, "1-2-3-4")));
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    let taken = |world: &mut World| {
        let id = world.stream(C);
        fast(world, id, "x").unwrap();
        world.run();
        info(world, C, id).syn_data
    };
    let counted = |world: &World| {
        ["Passive", "PassiveAltKey", "PassiveFail"].map(|name| world.counter(S, &format!("TcpExt.TCPFastOpen{name}")))
    };
    assert!(taken(&mut world));
    // The former key is good, and the SYN-ACK brings a cookie of the new one.
    sysctl(&mut world, S, KEY, "5-6-7-8,1-2-3-4");
    assert!(taken(&mut world));
    assert_eq!(counted(&world), [2, 1, 0]);
    sysctl(&mut world, S, KEY, "5-6-7-8");
    assert!(taken(&mut world));
    assert_eq!(counted(&world), [3, 1, 0]);
    // A listener with a key of its own takes no other, and gives what it takes.
    let key = FastOpenKey { primary: *b"0123456789abcdef", backup: None };
    set(&mut world, S, listener, SockOpt::FastOpenKey(key)).unwrap();
    assert!(!taken(&mut world));
    assert_eq!(counted(&world), [3, 1, 1]);
    assert!(taken(&mut world));
}

#[test]
fn without_cookies_both_ends_have_to_be_told() {
    for (client, server, data_taken) in [(5, 0x602, true), (5, 0x402, false)] {
        let configs = (
            linux("client").sysctl("net.ipv4.tcp_fastopen", client),
            linux("server").sysctl("net.ipv4.tcp_fastopen", server),
        );
        let mut world = pair(configs);
        let listener = world.listen(S, any(80), 8);
        let id = world.stream(C);
        assert_eq!(fast(&mut world, id, "data"), Ok(4));
        world.run();
        assert_eq!(info(&mut world, C, id).syn_data, data_taken);
        let sent = world.sent();
        assert_eq!(sent[..2], [(C, SYN, 4), (S, SYN_ACK, 0)]);
        assert_eq!(sent[2], if data_taken { (C, ACK, 0) } else { (C, DATA, 4) });
        let server = world.accept(S, listener).unwrap();
        assert_eq!(world.recv(S, server).as_deref(), Ok("data"));
    }
}

#[test]
fn a_lost_syn_goes_again_without_data_and_the_data_after_it() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    world.lose = Some(Box::new(|packet| {
        packet.segment().is_some_and(|segment| segment.has(Flags::SYN) && !segment.payload.is_empty())
    }));
    let id = world.stream(C);
    assert_eq!(fast(&mut world, id, "late"), Ok(4));
    world.advance(ms(999));
    assert_eq!(world.sent(), [(C, SYN, 4)]);
    world.advance(ms(1));
    assert_eq!(world.sent()[..3], [(C, SYN, 0), (S, SYN_ACK, 0), (C, DATA, 4)]);
    let server = world.accept(S, listener).unwrap();
    assert_eq!(world.recv(S, server).as_deref(), Ok("late"));
}

#[test]
fn connect_waits_for_the_first_data_where_a_cookie_is_known() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    let open = |world: &mut World| {
        let id = world.stream(C);
        set(world, C, id, SockOpt::FastOpenConnect(true)).unwrap();
        let result = world.connect(C, id, at(S, 80));
        (id, result)
    };
    let (first, result) = open(&mut world);
    assert_eq!((result, world.poll(C, first)), (Err(Errno::EINPROGRESS), Readiness::empty()));
    world.run();
    world.accept(S, listener).unwrap();
    world.sent();
    let (second, result) = open(&mut world);
    assert_eq!((result, world.poll(C, second)), (Ok(()), Readiness::WRITABLE));
    assert_eq!(world.connect(C, second, at(S, 80)), Err(Errno::EISCONN));
    assert_eq!(world.recv(C, second), Err(Errno::EAGAIN));
    assert_eq!(world.sent(), []);
    assert_eq!(world.send(C, second, "now"), Ok(3));
    world.run();
    assert_eq!(world.sent(), [(C, SYN, 3), (S, SYN_ACK, 0), (C, ACK, 0)]);
    // One that is closed before it has written has never been on the wire.
    let (third, _) = open(&mut world);
    world.close(C, third);
    world.advance(secs(10));
    assert_eq!(world.sent(), []);
}

#[test]
fn only_who_may_opens_fast() {
    let mut world = pair((linux("client").sysctl("net.ipv4.tcp_fastopen", 2), linux("server")));
    let id = world.stream(C);
    assert_eq!(fast(&mut world, id, "x"), Err(Errno::EOPNOTSUPP));
    assert_eq!(set(&mut world, C, id, SockOpt::FastOpenConnect(true)), Err(Errno::EOPNOTSUPP));
    let mut world = World::plain();
    let id = world.stream(C);
    assert_eq!(fast(&mut world, id, "x"), Err(Errno::EOPNOTSUPP));
    for option in [SockOpt::FastOpen(1), SockOpt::FastOpenConnect(true), SockOpt::FastOpenNoCookie(true)] {
        assert_eq!(set(&mut world, C, id, option), Err(Errno::ENOPROTOOPT));
    }
}

#[test]
fn a_listener_that_closes_resets_what_nobody_accepted() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    lose_bare_acks(&mut world);
    let id = world.stream(C);
    fast(&mut world, id, "x").unwrap();
    world.run();
    world.sent();
    world.close(S, listener);
    world.run();
    assert_eq!(world.sent(), [(S, Flags::RST | ACK, 0)]);
    assert_eq!(world.recv(C, id), Err(Errno::ECONNRESET));
}

#[test]
fn a_network_that_swallows_it_makes_it_pause() {
    let (client, server) = both();
    let mut world = pair((client.sysctl("net.ipv4.tcp_fastopen_blackhole_timeout_sec", 60), server));
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    world.lose = Some(Box::new(|_| true));
    let id = world.stream(C);
    assert_eq!(fast(&mut world, id, "x"), Ok(1));
    // The third timeout in a row tells, at 3 s.
    world.advance(secs(3));
    assert_eq!(world.counter(C, "TcpExt.TCPFastOpenActiveFail"), 1);
    world.lose = None;
    let second = world.stream(C);
    assert_eq!(fast(&mut world, second, "x"), Err(Errno::EINPROGRESS));
    world.advance(ms(59_999));
    let third = world.stream(C);
    assert_eq!(fast(&mut world, third, "x"), Err(Errno::EINPROGRESS));
    world.advance(ms(1));
    let fourth = world.stream(C);
    assert_eq!(fast(&mut world, fourth, "x"), Ok(1));
}

#[test]
fn what_an_administrator_flushes_is_asked_for_again() {
    let mut world = pair(both());
    let listener = world.listen(S, any(80), 8);
    ask_for_cookie(&mut world, listener);
    world.with(C, |host, cx| host.administer(cx, &Order::FlushMetrics)).unwrap();
    let id = world.stream(C);
    assert_eq!(fast(&mut world, id, "x"), Err(Errno::EINPROGRESS));
}
