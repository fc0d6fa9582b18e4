//! `net.ipv4.tcp_mem`: what all connections together may have queued.

use super::wire::{C, S, World};
use wirefate::endpoint::{Errno, SocketId, State};
use wirefate::host::{Host, HostConfig, Profile};
use wirefate::time::secs;
use wirefate::wire::Flags;

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

/// A connection whose client, or whose server, has this `tcp_mem`.
fn connected(limited: usize, tcp_mem: &str) -> (World, SocketId, SocketId) {
    let [client, server] = [(C, "client"), (S, "server")].map(|(host, name)| match limited == host {
        true => linux(name).sysctl("net.ipv4.tcp_mem", tcp_mem),
        false => linux(name),
    });
    let mut world = World::pair(client, server);
    let (client, _, server) = world.connected(80);
    (world, client, server)
}

/// A thousand bytes go to the server; they take 2,304 bytes of memory there until they are read.
fn thousand(world: &mut World, client: SocketId) {
    assert_eq!(world.send(C, client, &"x".repeat(1_000)), Ok(1_000));
    world.run();
}

#[test]
fn pressure_is_counted_when_it_begins() {
    let (mut world, client, server) = connected(S, "1 2 100");
    for round in 1..=2 {
        (0..3).for_each(|_| thousand(&mut world, client));
        assert_eq!(world.counter(S, "TcpExt.TCPMemoryPressures"), round - 1, "two pages are as many as may be");
        (0..3).for_each(|_| thousand(&mut world, client));
        assert_eq!(world.counter(S, "TcpExt.TCPMemoryPressures"), round, "and it is the same pressure still");
        while world.recv(S, server).is_ok() {}
    }
}

#[test]
fn a_receiver_without_memory_takes_only_what_its_application_waits_for() {
    let (mut world, client, server) = connected(S, "0 0 1");
    (0..2).for_each(|_| thousand(&mut world, client));
    assert_eq!(world.counter(S, "TcpExt.TCPRcvQDrop"), 0, "one page was taken: no more than may be");
    thousand(&mut world, client);
    assert_eq!(world.counter(S, "TcpExt.TCPRcvQDrop"), 1);
    assert_eq!(world.recv(S, server).map(|text| text.len()), Ok(2_000));
    world.advance(secs(1));
    assert_eq!(world.recv(S, server).map(|text| text.len()), Ok(1_000), "it comes again");
}

#[test]
fn a_sender_without_memory_has_the_least_buffer() {
    for (tcp_mem, more) in [("0 0 1", Err(Errno::EAGAIN)), ("0 0 2", Ok(10))] {
        let (mut world, client, _) = connected(C, tcp_mem);
        world.lose = Some(Box::new(|_| true));
        assert_eq!(world.send(C, client, &"x".repeat(5_000)), Ok(5_000), "two pages");
        assert_eq!(world.send(C, client, "0123456789"), more, "{tcp_mem}");
        world.lose = None;
        world.advance(secs(5));
        assert_eq!(world.send(C, client, "0123456789"), Ok(10), "all is acknowledged");
    }
}

/// `tcp_check_oom()`: what has more than 4,608 bytes to send is reset when nobody owns it.
#[test]
fn an_orphan_goes_where_there_is_no_memory() {
    for (tcp_mem, len, stays) in [("0 0 1", 5_000, false), ("0 0 2", 5_000, true), ("0 0 1", 4_608, true)] {
        let (mut world, client, _) = connected(C, tcp_mem);
        world.lose = Some(Box::new(|_| true));
        assert_eq!(world.send(C, client, &"x".repeat(len)), Ok(u32::try_from(len).unwrap()));
        world.sent();
        world.close(C, client);
        let left = if stays { vec![State::FinWait1] } else { vec![] };
        assert_eq!(world.states(C), left, "{tcp_mem} {len}");
        assert_eq!(world.counter(C, "TcpExt.TCPAbortOnMemory"), u64::from(!stays));
        let reset = world.sent().iter().any(|(_, flags, _)| flags.contains(Flags::RST));
        assert_eq!(reset, !stays);
    }
}

#[test]
fn it_is_three_numbers_that_rise() {
    for (value, expected) in [
        ("1 2", "expected 3 numbers, each from 0 to 1099511627776 pages"),
        ("1 2 -3", "expected 3 numbers, each from 0 to 1099511627776 pages"),
        ("1 3 2", "expected numbers in ascending order"),
    ] {
        let error = Host::new(linux("client").sysctl("net.ipv4.tcp_mem", value), 1).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}
