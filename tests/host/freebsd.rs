//! What a host of the profile `freebsd` does in its own way.

use super::wire::{C, S, World, any, any6, at};
use std::net::SocketAddr;
use wirefate::endpoint::{
    DropReason, Errno, Event, Family, MsgFlags, Shutdown, SockOpt, SocketKind, State, TimerChange, TimerKind,
};
use wirefate::host::{HostConfig, Profile};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Flags, Payload, Segment, Seq, TcpOption};

fn freebsd(name: &str) -> HostConfig {
    HostConfig { profile: Profile::FreeBsd, ..HostConfig::named(name) }
}

fn with_server(sysctls: &[(&str, u64)]) -> World {
    let server = sysctls.iter().fold(freebsd("server"), |server, (name, value)| server.sysctl(name, value));
    World::pair(freebsd("client"), server)
}

/// Opens a connection from port `port` of the client, and closes it there first.
fn closed(world: &mut World, listener: wirefate::endpoint::SocketId, port: u16) {
    let id = world.stream(C);
    world.call(C, |s, cx| s.set_option(cx, id, SockOpt::ReuseAddr(true))).unwrap();
    world.call(C, |s, cx| s.bind(cx, id, any(port))).unwrap();
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.accept_and_part(C, id, listener);
}

#[test]
fn a_connection_of_the_host_with_itself_has_no_time_wait() {
    for (sysctls, waits) in [(&[][..], false), (&[("net.inet.tcp.nolocaltimewait", 0)][..], true)] {
        let mut world = with_server(sysctls);
        let listener = world.listen(S, any(80), 5);
        let id = world.stream(S);
        assert_eq!(world.connect(S, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.accept_and_part(S, id, listener);
        assert_eq!(world.states(S).contains(&State::TimeWait), waits, "{sysctls:?}");
    }
}

/// in6_localaddr() looks at the prefix, in_localip() at the address.
#[test]
fn over_ipv6_a_connection_with_a_host_of_the_subnet_has_no_time_wait() {
    for (v6, nolocal, waits) in [(true, 1, false), (true, 0, true), (false, 1, true)] {
        let client = freebsd("client").sysctl("net.inet.tcp.nolocaltimewait", nolocal);
        let mut world = World::pair(client, freebsd("server"));
        let listener = world.listen(S, if v6 { any6(80) } else { any(80) }, 5);
        let family = if v6 { Family::V6 } else { Family::V4 };
        let id = world.call(C, |s, cx| s.socket(cx, family, SocketKind::Stream)).unwrap();
        let to = if v6 { SocketAddr::new(super::wire::v6(S), 80) } else { at(S, 80) };
        assert_eq!(world.connect(C, id, to), Err(Errno::EINPROGRESS));
        world.run();
        world.accept_and_part(C, id, listener);
        assert_eq!(world.states(C).contains(&State::TimeWait), waits, "IPv6: {v6}, nolocaltimewait = {nolocal}");
    }
}

fn client(port: u16) -> SocketAddr {
    at(C, port)
}

fn syn(world: &mut World, port: u16) {
    let mut segment = Segment { seq: Seq(1), flags: Flags::SYN, window: 1_000, ..Segment::default() };
    segment.options.push(TcpOption::Mss(1_460)).unwrap();
    world.inject(client(port), at(S, 80), segment);
}

/// The overflow test is qlen > 3 * limit / 2: a backlog of 128 holds 193.
#[test]
fn a_backlog_of_128_holds_193() {
    for (backlog, holds) in [(0, 1), (1, 2), (2, 4), (128, 193), (1_000, 193)] {
        let mut world = with_server(&[]);
        let listener = world.listen(S, any(80), backlog);
        for _ in 0..holds {
            let id = world.stream(C);
            assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
            world.run();
        }
        assert_eq!(world.queues(S).1, holds, "a backlog of {backlog}");
        world.sent();
        // One more: its SYN is answered all the same, and its third segment by RST.
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        let flags: Vec<_> = world.sent().into_iter().map(|(from, flags, _)| (from, flags)).collect();
        let reset = (S, Flags::RST);
        assert_eq!(flags, [(C, Flags::SYN), (S, Flags::SYN | Flags::ACK), (C, Flags::ACK), reset]);
        assert!(world.accept(S, listener).is_ok());
    }
}

#[test]
fn without_rst_on_sock_fail_the_third_segment_is_dropped() {
    let mut world = with_server(&[("net.inet.tcp.syncache.rst_on_sock_fail", 0)]);
    world.listen(S, any(80), 0);
    for _ in 0..2 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
    }
    assert!(world.sent().iter().all(|(_, flags, _)| !flags.contains(Flags::RST)));
    assert!(world.drops().contains(&(S, DropReason::AcceptQueueFull)));
    assert_eq!(world.queues(S), (0, 1), "syncache_expand() has taken it out of the cache before");
}

/// A row of the cache holds bucketlimit; one more pushes the oldest out, and its third segment opens by its cookie.
#[test]
fn who_is_pushed_out_of_the_cache_comes_back_by_its_cookie() {
    for (cookies, comes_back) in [(1, true), (0, false)] {
        let mut world = with_server(&[
            ("net.inet.tcp.syncache.hashsize", 1),
            ("net.inet.tcp.syncache.bucketlimit", 3),
            ("net.inet.tcp.syncookies", cookies),
        ]);
        let listener = world.listen(S, any(80), 8);
        let id = world.stream(C);
        // The client's third segment stays on the wire while others come.
        world.lose = Some(Box::new(|packet| packet.segment().is_some_and(|seg| seg.flags == Flags::ACK)));
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        assert_eq!(world.queues(S).0, 1);
        world.lose = None;
        for port in 1..=2 {
            syn(&mut world, port);
        }
        // Their SYN-ACKs find nobody, and are reset.
        let halves = world.queues(S).0;
        assert_eq!(halves, 1, "only the one that is real is left");
        world.lose = Some(Box::new(|packet| packet.src == super::wire::v4(C)));
        for port in 1..=3 {
            syn(&mut world, port);
        }
        assert_eq!(world.queues(S).0, 3, "a row of three");
        world.lose = None;
        world.drops();
        assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
        assert_eq!(world.send(C, id, "hello"), Ok(5));
        world.run();
        let accepted = world.accept(S, listener);
        assert_eq!(accepted.is_ok(), comes_back, "syncookies = {cookies}");
        if let Ok(server) = accepted {
            assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
        }
    }
}

/// A row that overflows pauses the cache: cookies alone for 15 s, then for twice as long, since it overflows again at once.
#[test]
fn a_full_row_pauses_the_cache() {
    let mut world = with_a_row_of_two(1);
    for pause in [secs(15), secs(30)] {
        (1..=3).for_each(|port| syn(&mut world, port));
        assert_eq!((world.queues(S).0, world.sent().len()), (2, 3), "the third has pushed one out");
        syn(&mut world, 4);
        assert_eq!(world.sent(), [(S, Flags::SYN | Flags::ACK, 0)], "answered by a cookie");
        // At its first timeout the row is emptied, and no SYN-ACK goes again.
        world.advance(secs(1));
        assert_eq!((world.queues(S).0, world.sent()), (0, vec![]));
        world.advance(pause.saturating_sub(secs(1) + ms(1)));
        syn(&mut world, 5);
        assert_eq!((world.queues(S).0, world.sent().len()), (0, 1));
        world.advance(ms(1));
    }
}

/// Without cookies nothing is paused: each SYN pushes one out, and SYN-ACKs go again.
#[test]
fn without_cookies_the_cache_goes_on() {
    let mut world = with_a_row_of_two(0);
    (1..=4).for_each(|port| syn(&mut world, port));
    assert_eq!((world.queues(S).0, world.sent().len()), (2, 4));
    world.advance(secs(1));
    assert_eq!((world.queues(S).0, world.sent().len()), (2, 2));
}

/// A server with one row of two places, that hears of strangers only.
fn with_a_row_of_two(cookies: u64) -> World {
    let mut world = with_server(&[
        ("net.inet.tcp.syncache.hashsize", 1),
        ("net.inet.tcp.syncache.bucketlimit", 2),
        ("net.inet.tcp.syncookies", cookies),
    ]);
    world.listen(S, any(80), 8);
    world.lose = Some(Box::new(|_| true));
    world
}

/// While the cache is paused nobody asks it: a RST for what it holds is ignored, and its third segment opens by its cookie.
#[test]
fn a_paused_cache_is_not_asked() {
    let mut world = with_server(&[("net.inet.tcp.syncache.hashsize", 1), ("net.inet.tcp.syncache.bucketlimit", 2)]);
    let listener = world.listen(S, any(80), 8);
    let id = world.stream(C);
    // Neither the resets of what strangers have not asked for nor the third segment come through.
    world.lose = Some(Box::new(|packet| {
        let strange = packet.src == super::wire::v4(C) && packet.segment().is_some_and(|seg| seg.flags == Flags::RST);
        strange || packet.segment().is_some_and(|seg| seg.flags == Flags::ACK)
    }));
    syn(&mut world, 1);
    syn(&mut world, 2);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    assert_eq!(world.queues(S).0, 2, "the second stranger and the client, which has overflowed the row");
    let reset = Segment { seq: Seq(2), flags: Flags::RST, ..Segment::default() };
    world.drops();
    world.inject(client(2), at(S, 80), reset);
    assert_eq!((world.queues(S).0, world.drops()), (2, vec![(S, DropReason::RstIgnored)]));
    world.lose = None;
    assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
    assert_eq!(world.send(C, id, "hello"), Ok(5));
    world.run();
    let server = world.accept(S, listener).unwrap();
    assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
    assert_eq!((world.queues(S).0, world.counter(S, "TcpExt.SyncookiesRecv")), (1, 1));
}

/// A cookie counts for as long as a key after its row has overflowed, and at no other time.
#[test]
fn without_an_overflow_no_cookie_counts() {
    let mut world = with_server(&[("net.inet.tcp.syncache.rexmtlimit", 0)]);
    let listener = world.listen(S, any(80), 8);
    let id = world.stream(C);
    world.lose = Some(Box::new(|packet| packet.segment().is_some_and(|seg| seg.flags == Flags::ACK)));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    // The half-open connection is given up at its first timeout.
    world.advance(secs(2));
    assert_eq!(world.queues(S).0, 0);
    world.lose = None;
    assert_eq!(world.connect(C, id, at(S, 80)), Ok(()));
    assert_eq!(world.send(C, id, "hello"), Ok(5));
    world.run();
    assert_eq!(world.accept(S, listener), Err(Errno::EAGAIN));
}

/// A full cache answers by cookies who falls into an empty row, but sch_last_overflow is the row's, and the third segment is
/// of nothing.
#[test]
fn a_full_cache_is_no_overflow_of_an_empty_row() {
    for (limit, opens) in [(2, true), (1, false)] {
        let mut world = with_server(&[("net.inet.tcp.syncache.cachelimit", limit)]);
        let listener = world.listen(S, any(80), 8);
        world.lose = Some(Box::new(|packet| packet.segment().is_some_and(|seg| seg.flags == Flags::RST)));
        syn(&mut world, 1);
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        assert_eq!((world.queues(S).0, world.accept(S, listener).is_ok()), (1, opens), "cachelimit = {limit}");
        assert_eq!(world.drops().contains(&(S, DropReason::NoMeaning)), !opens);
    }
}

/// With syncookies_only nothing is remembered at all.
#[test]
fn cookies_alone_open_with_their_options() {
    for rfc1323 in 0..=3 {
        cookies_alone_open(rfc1323);
    }
}

fn cookies_alone_open(rfc1323: u64) {
    let mut world = with_server(&[("net.inet.tcp.syncookies_only", 1), ("net.inet.tcp.rfc1323", rfc1323)]);
    let (client, _, server) = world.connected(80);
    assert_eq!(world.queues(S).0, 0);
    assert_eq!(world.send(C, client, "hello"), Ok(5));
    world.advance(secs(1));
    assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
}

/// One connection more than maxtcptw takes the place of the one that would end first.
#[test]
fn the_oldest_time_wait_gives_way() {
    let limited = freebsd("client").sysctl("net.inet.tcp.maxtcptw", 2);
    let mut world = World::pair(limited, freebsd("server"));
    let listener = world.listen(S, any(80), 8);
    for port in [5_001, 5_002, 5_003] {
        closed(&mut world, listener, port);
        world.advance(ms(100));
    }
    let mut left = Vec::new();
    wirefate::endpoint::Endpoint::connections(&world.hosts[C], &mut |view| left.push(view.tuple.local.port()));
    left.sort_unstable();
    assert_eq!(left, [5_002, 5_003]);
    // 2 * 30 s after its own beginning each of them ends.
    world.advance(secs(60));
    assert!(world.states(C).is_empty());
}

#[test]
fn time_wait_is_twice_the_msl_and_msl_is_a_sysctl() {
    for (msl, lasts) in [(30_000, secs(60)), (1_000, secs(2))] {
        let client = freebsd("client").sysctl("net.inet.tcp.msl", msl);
        let mut world = World::pair(client, freebsd("server"));
        let listener = world.listen(S, any(80), 8);
        closed(&mut world, listener, 5_001);
        world.advance(lasts.saturating_sub(ms(1)));
        assert_eq!(world.states(C), [State::TimeWait]);
        world.advance(ms(1));
        assert!(world.states(C).is_empty());
    }
}

/// FIN-WAIT-2 without an owner lasts as long as keepalive would try, or finwait2_timeout where that is chosen. The
/// acknowledgment that leads there counts as heard within that time: "<=" in tcp_timer_2msl().
#[test]
fn fin_wait_2_is_recycled_fast_where_asked() {
    for (fast, lasts) in [(0, secs(600 + 75)), (1, secs(60))] {
        let client = freebsd("client").sysctl("net.inet.tcp.fast_finwait2_recycle", fast);
        let mut world = World::pair(client, freebsd("server"));
        let (client, ..) = world.connected(80);
        world.close(C, client);
        world.run();
        world.advance(lasts.saturating_sub(ms(1)));
        assert_eq!(world.states(C), [State::FinWait2]);
        world.advance(ms(1));
        assert!(world.states(C).is_empty());
    }
}

/// Each firing tells how long it had been set for and its number in a row, whenever in between the peer was heard.
#[test]
fn a_prolonged_fin_wait_2_tells_how_long_it_had_waited() {
    let mut world = with_server(&[]);
    let (client, ..) = world.connected(80);
    let local = world.call(C, |s, _| s.local_addr(client)).unwrap();
    world.close(C, client);
    world.run();
    world.events.clear();
    world.advance(secs(100));
    // A segment that is not taken, but heard.
    let stray = Segment { seq: Seq(1), ack: Seq(1), flags: Flags::ACK, ..Segment::default() };
    world.inject(at(S, 80), local, stray);
    world.advance(secs(700));
    assert!(world.states(C).is_empty());
    let fired = world.events.iter().filter_map(|(host, event)| match event {
        Event::Timer { timer: TimerKind::FinWait2, change: TimerChange::Fired { after, count, next }, .. } => {
            assert_eq!(*host, C);
            Some((*after, *count, *next))
        }
        _ => None,
    });
    let again = Some(secs(75));
    assert_eq!(
        fired.collect::<Vec<_>>(),
        [(secs(600), 1, again), (secs(75), 2, again), (secs(75), 3, None)],
        "heard after 100 s, so that it is over at 750 s"
    );
}

/// 12 retransmissions with max(rexmit_min, ...) doubled nine times at most, and 200 ms each time; then tcp_drop() resets
/// the peer.
#[test]
fn data_is_sent_twelve_times_again_and_then_a_reset() {
    let mut world = with_server(&[]);
    let (client, ..) = world.connected(80);
    world.lose = Some(Box::new(|packet| packet.dst == super::wire::v4(S)));
    let begun = world.now;
    assert_eq!(world.send(C, client, "hello"), Ok(5));
    let mut sent: Vec<(Span, Flags)> = Vec::new();
    for _ in 0..200_000 {
        world.advance(ms(1));
        let now = world.now.since(begun);
        sent.extend(world.sent().iter().filter(|(from, ..)| *from == C).map(|(_, flags, _)| (now, *flags)));
        if world.states(C).is_empty() {
            break;
        }
    }
    let waits = (0..13).map(|n: u32| (n, ms(30 * (1u64 << n.min(9)) + 200)));
    let times: Vec<(Span, Flags)> = waits
        .scan(Span::ZERO, |at, (n, wait)| {
            *at = *at + wait;
            Some((*at, if n < 12 { Flags::PSH | Flags::ACK } else { Flags::RST | Flags::ACK }))
        })
        .collect();
    assert_eq!(sent[1..], times, "12 retransmissions and a reset");
    assert!(world.states(C).is_empty());
}

/// Where the peer was last heard before the socket was closed, nothing prolongs it.
#[test]
fn fin_wait_2_of_a_silent_peer_ends_in_time() {
    for (silent, lasts) in [(ms(0), secs(675)), (ms(1), secs(600))] {
        let mut world = with_server(&[]);
        let (client, ..) = world.connected(80);
        world.call(C, |s, cx| s.shutdown(cx, client, Shutdown::Write)).unwrap();
        world.run();
        world.advance(silent);
        world.close(C, client);
        world.advance(lasts.saturating_sub(ms(1)));
        assert_eq!(world.states(C), [State::FinWait2]);
        world.advance(ms(1));
        assert!(world.states(C).is_empty(), "{silent}");
    }
}

#[test]
fn keepalive_is_on_for_every_connection() {
    for (always, probes) in [(1, 1), (0, 0)] {
        let client = freebsd("client").sysctl("net.inet.tcp.always_keepalive", always);
        let mut world = World::pair(client, freebsd("server").sysctl("net.inet.tcp.always_keepalive", 0));
        world.connected(80);
        world.advance(secs(7_199));
        assert!(world.sent().is_empty());
        world.advance(secs(2));
        assert_eq!(world.sent().iter().filter(|(from, ..)| *from == C).count(), probes);
    }
}

/// Each port is drawn anew, from the whole range.
#[test]
fn ports_are_random_in_their_range() {
    let mut world = with_server(&[]);
    world.listen(S, any(80), 128);
    let mut ports = Vec::new();
    for _ in 0..50 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        ports.push(world.call(C, |s, _| s.local_addr(id)).unwrap().port());
    }
    assert!(ports.iter().all(|port| *port >= 10_000));
    let next = ports.windows(2).filter(|pair| pair[0].checked_add(1) == Some(pair[1])).count();
    assert!(next < 3, "one after the other: {ports:?}");
    assert!(ports.iter().any(|port| *port < 32_768) && ports.iter().any(|port| *port > 42_000), "{ports:?}");
}

#[test]
fn a_range_is_exhausted_and_its_bounds_are_two_sysctls() {
    let client = freebsd("client").sysctl("net.inet.ip.portrange.first", 20_000);
    let client = client.sysctl("net.inet.ip.portrange.last", 20_002);
    let mut world = World::pair(client, freebsd("server"));
    world.listen(S, any(80), 128);
    let mut connect = || {
        let id = world.stream(C);
        world.connect(C, id, at(S, 80))
    };
    let results: Vec<_> = (0..4).map(|_| connect()).collect();
    let started = Err(Errno::EINPROGRESS);
    assert_eq!(results, [started, started, started, Err(Errno::EADDRNOTAVAIL)]);
}

/// FreeBSD's order of options, and the end of the list where they do not fill a word.
#[test]
fn options_of_a_syn_stand_as_freebsd_writes_them() {
    for (rfc1323, sack, kinds) in [
        (1, 1, vec![2, 1, 3, 4, 8]),
        (0, 1, vec![2, 4, 0, 0]),
        (2, 1, vec![2, 1, 3, 4, 0, 0]),
        (2, 0, vec![2, 1, 3]),
        (3, 1, vec![2, 4, 8]),
        (1, 0, vec![2, 1, 3, 1, 1, 8]),
        (0, 0, vec![2]),
    ] {
        let client = freebsd("client").sysctl("net.inet.tcp.rfc1323", rfc1323).sysctl("net.inet.tcp.sack.enable", sack);
        let mut world = World::pair(client, freebsd("server"));
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = std::rc::Rc::clone(&seen);
        world.lose = Some(Box::new(move |packet| {
            sink.borrow_mut().extend(packet.segment().map(|segment| segment.options));
            true
        }));
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        let bytes = seen.borrow()[0].as_bytes().to_vec();
        let mut found = Vec::new();
        let mut place = 0;
        while place < bytes.len() {
            found.push(bytes[place]);
            place += if bytes[place] < 2 { 1 } else { usize::from(bytes[place + 1]) };
        }
        assert_eq!((found, bytes.len() % 4), (kinds, 0), "rfc1323 = {rfc1323}, sack.enable = {sack}");
    }
}

/// Resets from closed ports, resets from open ones and ICMP errors are counted apart, by the second.
#[test]
fn answers_to_what_is_for_nobody_are_so_many_a_second() {
    for (limit, answers) in [(200, 200), (3, 3), (0, 250)] {
        let mut world = with_server(&[("net.inet.icmp.icmplim", limit)]);
        world.listen(S, any(80), 8);
        let mut resets = |port: u16, flags: Flags| {
            for n in 0..250 {
                world.inject(client(1_000 + n), at(S, port), Segment { seq: Seq(1), flags, ..Segment::default() });
            }
            let from_server = |(from, flags, _): &(usize, Flags, u32)| *from == S && flags.contains(Flags::RST);
            world.sent().iter().filter(|sent| from_server(sent)).count()
        };
        assert_eq!(resets(81, Flags::SYN), answers, "a closed port, icmplim = {limit}");
        assert_eq!(resets(80, Flags::ACK), answers, "an open one, icmplim = {limit}");
        world.advance(ms(999));
        let mut again = |after| {
            world.advance(after);
            let segment = Segment { seq: Seq(1), flags: Flags::SYN, ..Segment::default() };
            world.inject(client(1_000), at(S, 81), segment);
            world.sent().len()
        };
        assert_eq!(again(ms(0)), usize::from(limit == 0), "in the same second, icmplim = {limit}");
        assert_eq!(again(ms(1)), 1, "in the next");
    }
}

#[test]
fn unreachable_ports_are_told_so_often_a_second() {
    for v6 in [false, true] {
        let mut world = with_server(&[("net.inet.icmp.icmplim", 5), ("net.inet6.icmp6.errppslimit", 3)]);
        let family = if v6 { Family::V6 } else { Family::V4 };
        let to = if v6 { SocketAddr::new(super::wire::v6(S), 9) } else { at(S, 9) };
        let id = world.call(C, |s, cx| s.socket(cx, family, SocketKind::Datagram)).unwrap();
        for _ in 0..10 {
            world.call(C, |s, cx| s.send_to(cx, id, &Payload::from("?"), to, MsgFlags::empty())).unwrap();
            world.run();
        }
        assert_eq!(world.counter(S, "Icmp.OutDestUnreachs"), if v6 { 3 } else { 5 });
    }
}
