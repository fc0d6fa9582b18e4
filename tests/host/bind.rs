use super::wire::{C, S, World, any, any6, at, rfc9293, v6};
use std::net::SocketAddr;
use wirefate::endpoint::{Errno, Family, SockOpt, SocketKind, State};
use wirefate::time::secs;

struct Case {
    first: &'static str,
    second: &'static str,
    reuse: (bool, bool),
    listens: bool,
    v6_only: bool,
    result: Result<(), Errno>,
}

/// Who may share a port with whom.
#[test]
fn conflicts() {
    const IN_USE: Result<(), Errno> = Err(Errno::EADDRINUSE);
    let case =
        |first, second, result| Case { first, second, reuse: (false, false), listens: false, v6_only: false, result };
    let cases = [
        case("0.0.0.0:80", "0.0.0.0:80", IN_USE),
        case("0.0.0.0:80", "0.0.0.0:81", Ok(())),
        case("0.0.0.0:80", "10.0.0.1:80", IN_USE),
        case("10.0.0.1:80", "0.0.0.0:80", IN_USE),
        case("10.0.0.1:80", "127.0.0.1:80", Ok(())),
        case("127.0.0.1:80", "127.0.0.2:80", Ok(())),
        case("[::]:80", "0.0.0.0:80", IN_USE),
        case("[::]:80", "10.0.0.1:80", IN_USE),
        case("[fd00::1]:80", "0.0.0.0:80", Ok(())),
        case("[::]:80", "[fd00::1]:80", IN_USE),
        Case { v6_only: true, ..case("[::]:80", "0.0.0.0:80", Ok(())) },
        Case { v6_only: true, ..case("[::]:80", "[fd00::1]:80", IN_USE) },
        Case { reuse: (true, true), ..case("0.0.0.0:80", "0.0.0.0:80", Ok(())) },
        Case { reuse: (false, true), ..case("0.0.0.0:80", "0.0.0.0:80", IN_USE) },
        Case { reuse: (true, false), ..case("0.0.0.0:80", "0.0.0.0:80", IN_USE) },
        Case { reuse: (true, true), listens: true, ..case("0.0.0.0:80", "0.0.0.0:80", IN_USE) },
    ];
    for case in cases {
        let mut world = World::plain();
        let mut bind = |text: &str, reuse: bool, v6_only: bool| {
            let addr: SocketAddr = text.parse().unwrap();
            let family = if addr.is_ipv4() { Family::V4 } else { Family::V6 };
            world.call(C, |s, cx| {
                let id = s.socket(cx, family, SocketKind::Stream).unwrap();
                s.set_option(cx, id, SockOpt::ReuseAddr(reuse)).unwrap();
                if family == Family::V6 {
                    s.set_option(cx, id, SockOpt::V6Only(v6_only)).unwrap();
                }
                s.bind(cx, id, addr).map(|()| id)
            })
        };
        let first = bind(case.first, case.reuse.0, case.v6_only).unwrap();
        if case.listens {
            world.call(C, |s, cx| s.listen(cx, first, 1)).unwrap();
        }
        let bind_second = |world: &mut World| {
            let addr: SocketAddr = case.second.parse().unwrap();
            let family = if addr.is_ipv4() { Family::V4 } else { Family::V6 };
            world.call(C, |s, cx| {
                let id = s.socket(cx, family, SocketKind::Stream).unwrap();
                s.set_option(cx, id, SockOpt::ReuseAddr(case.reuse.1)).unwrap();
                let result = s.bind(cx, id, addr);
                s.close(cx, id).unwrap();
                result
            })
        };
        assert_eq!(bind_second(&mut world), case.result, "{} then {}", case.first, case.second);
        world.close(C, first);
        assert_eq!(bind_second(&mut world), Ok(()), "{} after {} was closed", case.second, case.first);
    }
}

#[test]
fn mistakes_have_their_errors() {
    let mut world = World::plain();
    let mut bind = |family, addr: SocketAddr| {
        world.call(C, |s, cx| {
            let id = s.socket(cx, family, SocketKind::Stream).unwrap();
            s.bind(cx, id, addr).map(|()| (s.bind(cx, id, addr), s.local_addr(id).unwrap()))
        })
    };
    assert_eq!(bind(Family::V4, at(S, 80)), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(bind(Family::V4, any6(80)), Err(Errno::EAFNOSUPPORT));
    assert_eq!(bind(Family::V4, any(80)), Ok((Err(Errno::EINVAL), any(80))));
    let (again, chosen) = bind(Family::V6, any6(0)).unwrap();
    assert_eq!(again, Err(Errno::EINVAL));
    assert!(chosen.port() >= 49_152, "{chosen}");
    assert_eq!(bind(Family::V6, SocketAddr::new(v6(C), 81)).unwrap().1, SocketAddr::new(v6(C), 81));
}

#[test]
fn only_one_of_two_that_share_may_listen() {
    let mut world = World::plain();
    let ids = [(); 2].map(|()| {
        world.call(C, |s, cx| {
            let id = s.socket(cx, Family::V4, SocketKind::Stream).unwrap();
            s.set_option(cx, id, SockOpt::ReuseAddr(true)).unwrap();
            s.bind(cx, id, any(80)).unwrap();
            id
        })
    });
    let mut listen = |id| world.call(C, |s, cx| s.listen(cx, id, 1));
    assert_eq!(listen(ids[0]), Ok(()));
    assert_eq!(listen(ids[0]), Ok(()), "a second call changes the backlog");
    assert_eq!(listen(ids[1]), Err(Errno::EADDRINUSE));
}

/// The port of a TIME-WAIT is free for `bind` only where the new socket wants to share it.
#[test]
fn a_port_in_time_wait_takes_reuse() {
    let in_use = Err(Errno::EADDRINUSE);
    for (had, reuse, result) in
        [(false, false, in_use), (true, false, in_use), (false, true, Ok(())), (true, true, Ok(()))]
    {
        let mut world = World::plain();
        let listener = world.call(S, |s, cx| {
            let id = s.socket(cx, Family::V4, SocketKind::Stream).unwrap();
            s.set_option(cx, id, SockOpt::ReuseAddr(had)).unwrap();
            s.bind(cx, id, any(80)).unwrap();
            s.listen(cx, id, 1).unwrap();
            id
        });
        let client = world.stream(C);
        assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        let server = world.accept(S, listener).unwrap();
        world.close(S, server);
        world.close(S, listener);
        world.run();
        world.close(C, client);
        world.run();
        assert_eq!(world.states(S), [State::TimeWait]);
        let mut bind = || {
            world.call(S, |s, cx| {
                let id = s.socket(cx, Family::V4, SocketKind::Stream).unwrap();
                s.set_option(cx, id, SockOpt::ReuseAddr(reuse)).unwrap();
                let result = s.bind(cx, id, any(80));
                s.close(cx, id).unwrap();
                result
            })
        };
        assert_eq!(bind(), result);
        world.advance(secs(240));
        assert_eq!(world.states(S), []);
    }
}

#[test]
fn descriptors_run_out_and_the_lowest_comes_first() {
    let mut world = World::pair(rfc9293("client").sysctl("fs.nr_open", 3), rfc9293("server"));
    let ids = [(); 3].map(|()| world.stream(C));
    let mut socket = || world.call(C, |s, cx| s.socket(cx, Family::V4, SocketKind::Stream));
    assert_eq!(socket(), Err(Errno::EMFILE));
    world.close(C, ids[2]);
    world.close(C, ids[0]);
    assert_eq!((world.stream(C), world.stream(C)), (ids[0], ids[2]));
    assert_eq!(world.call(C, |s, cx| s.close(cx, wirefate::endpoint::SocketId(99))), Err(Errno::EBADF));
}
