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
    let server = world.accept(S, listener).unwrap();
    world.close(C, id);
    world.run();
    world.close(S, server);
    world.run();
    assert_eq!(world.states(C), [State::TimeWait]);
    let again = world.stream(C);
    assert_eq!(world.call(C, |s, cx| s.bind(cx, again, any(5_000))), Ok(()));
}

#[test]
fn so_reuseaddr_takes_a_port_over_where_the_profile_believes_so() {
    assert_eq!(confidence("bind to a port in use"), Confidence::Unverified);
    for (takes, result) in [(true, Ok(())), (false, Err(Errno::EADDRINUSE))] {
        let mut world = World::pair(windows("client"), windows("server"));
        world.listen(S, any(80), 8);
        let id = world.stream(S);
        world.call(S, |s, cx| s.set_option(cx, id, SockOpt::ReuseAddr(takes))).unwrap();
        assert_eq!(world.call(S, |s, cx| s.bind(cx, id, any(80))), result);
        if takes {
            assert_eq!(world.call(S, |s, cx| s.listen(cx, id, 8)), Ok(()));
        }
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
