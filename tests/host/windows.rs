//! What a host of the profile `windows` does in its own way. Where its profile says that nobody has verified it, these
//! tests hold the host to its profile, and not to Windows.

use super::wire::{C, S, World, any, at};
use wirefate::endpoint::{Errno, SockOpt, State};
use wirefate::host::{Confidence, HostConfig, Profile};
use wirefate::time::{ms, secs};
use wirefate::wire::Flags;

fn windows(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Windows, ..HostConfig::named(name) }
}

fn confidence(behaviour: &str) -> Confidence {
    Profile::Windows.behaviours().iter().find(|line| line.name == behaviour).unwrap().confidence
}

/// Its dynamic ports: 49152 and 16384 of them.
#[test]
fn the_dynamic_range_is_a_start_and_a_number() {
    for (sysctls, first, last) in [
        (&[][..], 49_152, 65_535),
        (&[("DynamicPortRangeStartPort", 10_000), ("DynamicPortRangeNumberOfPorts", 2)], 10_000, 10_001),
        (&[("DynamicPortRangeNumberOfPorts", 3)], 49_152, 49_154),
        (&[("DynamicPortRangeStartPort", 60_000)], 60_000, 65_535),
    ] {
        let client = sysctls.iter().fold(windows("client"), |client, (name, value)| client.sysctl(name, value));
        let mut world = World::pair(client, windows("server"));
        world.listen(S, any(80), 200);
        for _ in 0..40 {
            let id = world.stream(C);
            if world.connect(C, id, at(S, 80)) == Err(Errno::EADDRNOTAVAIL) {
                break;
            }
            let port = world.call(C, |s, _| s.local_addr(id)).unwrap().port();
            assert!((first..=last).contains(&port), "{port}");
        }
    }
}

/// TIME-WAIT does not keep `bind` out.
#[test]
fn time_wait_keeps_nobody_out() {
    assert_eq!(confidence("bind beside TIME-WAIT"), Confidence::Documented);
    let mut world = World::pair(windows("client"), windows("server"));
    let listener = world.listen(S, any(80), 8);
    let id = world.stream(C);
    world.call(C, |s, cx| s.bind(cx, id, any(5_000))).unwrap();
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.accept_and_part(C, id, listener);
    assert_eq!(world.states(C), [State::TimeWait]);
    let again = world.stream(C);
    assert_eq!(world.call(C, |s, cx| s.bind(cx, again, any(5_000))), Ok(()));
}

/// Microsoft's table for Windows Server 2003 and later and one user account: rows are the first bind, columns the second,
/// each without an option, with SO_REUSEADDR and with SO_EXCLUSIVEADDRUSE, on the wildcard address and on a specific one.
#[test]
fn two_sockets_bind_one_port_as_the_table_says() {
    const TABLE: [&str; 6] = [
        "inuse  ok      access ok      inuse ok",
        "ok     inuse   ok     access  inuse inuse",
        "inuse  ok      ok     ok      inuse ok",
        "ok     inuse   ok     ok      inuse inuse",
        "inuse  access  access access  inuse access",
        "ok     inuse   ok     access  inuse inuse",
    ];
    assert_eq!(confidence("bind to a port in use"), Confidence::Documented);
    let options = [None, Some(SockOpt::ReuseAddr(true)), Some(SockOpt::ExclusiveAddrUse(true))];
    let calls = options.into_iter().flat_map(|option| [any(80), at(S, 80)].map(|addr| (option, addr)));
    let calls: Vec<_> = calls.collect();
    for (row, &first) in calls.iter().enumerate() {
        for (word, &second) in TABLE[row].split_whitespace().zip(&calls) {
            let mut world = World::pair(windows("client"), windows("server"));
            let mut bind = |(option, addr): (Option<SockOpt>, _)| {
                let id = world.stream(S);
                option.iter().for_each(|&option| world.call(S, |s, cx| s.set_option(cx, id, option)).unwrap());
                let bound = world.call(S, |s, cx| s.bind(cx, id, addr));
                bound.inspect(|()| assert_eq!(world.call(S, |s, cx| s.listen(cx, id, 8)), Ok(())))
            };
            assert_eq!(bind(first), Ok(()));
            let result = match word {
                "ok" => Ok(()),
                "inuse" => Err(Errno::EADDRINUSE),
                _ => Err(Errno::EACCES),
            };
            assert_eq!(bind(second), result, "{first:?} before {second:?}");
        }
    }
}

/// "another socket (also with SO_EXCLUSIVEADDRUSE) cannot bind to the same port as the first socket until the original
/// connection becomes inactive".
#[test]
fn a_connection_of_its_listener_keeps_an_exclusive_socket_out() {
    let mut world = World::pair(windows("client"), windows("server"));
    let (_, listener, _) = world.connected(80);
    world.close(S, listener);
    for (exclusive, result) in [(true, Err(Errno::EADDRINUSE)), (false, Ok(()))] {
        let id = world.stream(S);
        world.call(S, |s, cx| s.set_option(cx, id, SockOpt::ExclusiveAddrUse(exclusive))).unwrap();
        assert_eq!(world.call(S, |s, cx| s.bind(cx, id, any(80))), result);
    }
}

#[test]
fn exclusive_and_shared_exclude_each_other_and_are_settled_by_bind() {
    let (exclusive, shared) = (SockOpt::ExclusiveAddrUse(true), SockOpt::ReuseAddr(true));
    let mut world = World::pair(HostConfig::named("client"), windows("server"));
    for (first, second) in [(exclusive, shared), (shared, exclusive)] {
        let id = world.stream(S);
        assert_eq!(world.call(S, |s, cx| s.set_option(cx, id, first)), Ok(()));
        assert_eq!(world.call(S, |s, cx| s.set_option(cx, id, second)), Err(Errno::EINVAL));
        assert_eq!(world.call(S, |s, cx| s.get_option(cx, id, first)), Ok(first));
    }
    let id = world.stream(S);
    world.call(S, |s, cx| s.bind(cx, id, any(80))).unwrap();
    assert_eq!(world.call(S, |s, cx| s.set_option(cx, id, shared)), Ok(()));
    let late = world.stream(S);
    world.call(S, |s, cx| s.set_option(cx, late, shared)).unwrap();
    assert_eq!(world.call(S, |s, cx| s.bind(cx, late, any(80))), Err(Errno::EACCES), "it came after the bind");
    // Nobody else has it.
    let linux = world.stream(C);
    assert_eq!(world.call(C, |s, cx| s.set_option(cx, linux, exclusive)), Err(Errno::ENOPROTOOPT));
    world.call(C, |s, cx| s.set_option(cx, linux, shared)).unwrap();
    assert_eq!(world.call(C, |s, cx| s.set_option(cx, linux, exclusive)), Err(Errno::ENOPROTOOPT));
}

/// Nor has what is set after the bind an effect on what comes of the socket.
#[test]
fn an_accepted_connection_shares_as_its_listener_did_at_bind() {
    for late in [false, true] {
        let mut world = World::pair(HostConfig::named("client"), windows("server"));
        let listener = world.stream(S);
        world.call(S, |s, cx| s.bind(cx, listener, any(80))).unwrap();
        if late {
            world.call(S, |s, cx| s.set_option(cx, listener, SockOpt::ReuseAddr(true))).unwrap();
        }
        world.call(S, |s, cx| s.listen(cx, listener, 8)).unwrap();
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.accept(S, listener).unwrap();
        world.close(S, listener);
        let next = world.stream(S);
        world.call(S, |s, cx| s.set_option(cx, next, SockOpt::ReuseAddr(true))).unwrap();
        assert_eq!(world.call(S, |s, cx| s.bind(cx, next, at(S, 80))), Err(Errno::EACCES), "set late: {late}");
    }
}

#[test]
fn a_full_accept_queue_refuses_where_the_profile_believes_so() {
    assert_eq!(confidence("accept queue full"), Confidence::Unverified);
    let mut world = World::pair(windows("client"), windows("server"));
    world.listen(S, any(80), 1);
    for _ in 0..2 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
    }
    let last = world.sent().last().copied();
    assert_eq!(last, Some((S, Flags::RST | Flags::ACK, 0)));
}

/// TcpMaxDataRetransmissions is 5 by the documentation of Windows up to 7.
#[test]
fn data_is_sent_five_times_again() {
    let mut world = World::pair(windows("client"), windows("server"));
    let (client, ..) = world.connected(80);
    world.lose = Some(Box::new(|packet| packet.dst == super::wire::v4(S)));
    assert_eq!(world.send(C, client, "hello"), Ok(5));
    world.advance(secs(120));
    assert_eq!(world.sent().iter().filter(|(from, ..)| *from == C).count(), 6);
    assert!(world.states(C).is_empty());
}

/// What Windows 7 is reported to do can be set: 3 s, two retransmissions, 21 s in all.
#[test]
fn a_connect_to_nowhere_takes_21_seconds_with_the_numbers_of_windows_7() {
    let client = windows("client").sysctl("InitialRtoMs", 3_000).sysctl("MaxSynRetransmissions", 2);
    let mut world = World::pair(client, windows("server"));
    world.lose = Some(Box::new(|_| true));
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.advance(secs(21).saturating_sub(ms(1)));
    assert_eq!((world.states(C).len(), world.sent().len()), (1, 3));
    world.advance(ms(1));
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::ETIMEDOUT));
}
