use super::wire::{C, S, World, any, at};
use wirefate::endpoint::{Errno, MsgFlags, Readiness, Shutdown, SockOpt};
use wirefate::wire::Payload;

const IN: Readiness = Readiness::READABLE;
const OUT: Readiness = Readiness::WRITABLE;

/// Each gain is told when it comes, each arrival is told, and nothing else is.
#[test]
fn edges_and_arrivals() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 8);
    let client = world.stream(C);
    assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
    assert_eq!((world.told(), world.poll(C, client)), (vec![], Readiness::empty()));
    world.run();
    assert_eq!(world.told(), [(C, client, OUT), (S, listener, IN)]);
    assert_eq!(world.connect(C, client, at(S, 80)), Ok(()));
    let server = world.accept(S, listener).unwrap();
    assert_eq!((world.told(), world.poll(S, listener)), (vec![], Readiness::empty()));
    world.call(C, |s, cx| s.set_option(cx, client, SockOpt::NoDelay(true))).unwrap();
    for text in ["one", "two"] {
        assert_eq!(world.send(C, client, text), Ok(3));
        world.run();
        assert_eq!(world.told(), [(S, server, IN | OUT)], "each arrival is news");
    }
    assert_eq!(world.recv(S, server), Ok("onetwo".to_owned()));
    assert_eq!((world.told(), world.poll(S, server)), (vec![], OUT), "who reads knows");
    world.call(C, |s, cx| s.shutdown(cx, client, Shutdown::Write)).unwrap();
    world.run();
    assert_eq!(world.told(), [(S, server, IN | OUT | Readiness::RDHUP)]);
    assert_eq!(world.recv(S, server), Ok(String::new()));
    world.close(S, server);
    world.run();
    assert_eq!(world.told(), [(C, client, IN | OUT | Readiness::RDHUP | Readiness::HUP)]);
}

#[test]
fn a_full_buffer_is_told_when_it_drains() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    let chunk = Payload::from(vec![7; 16_384]);
    let mut written = 0;
    loop {
        match world.call(C, |s, cx| s.send(cx, client, &chunk, MsgFlags::empty())) {
            Ok(n) => written += n,
            Err(error) => break assert_eq!(error, Errno::EAGAIN),
        }
        world.run();
    }
    // What silly-window avoidance holds back is less than a segment.
    assert!(written > 65_536 + 65_535 - 1_460, "the peer's receive buffer and our send buffer: {written}");
    assert_eq!(world.poll(C, client), Readiness::empty());
    world.told();
    let mut read = 0;
    while read < written as usize {
        match world.recv(S, server) {
            Ok(text) => read += text.len(),
            Err(Errno::EAGAIN) => world.advance(wirefate::time::ms(500)),
            Err(error) => panic!("{error}"),
        }
        world.run();
    }
    assert_eq!(world.told().iter().find(|(host, ..)| *host == C), Some(&(C, client, OUT)));
    assert_eq!(world.poll(C, client), OUT);
}

#[test]
fn every_connection_to_accept_is_told() {
    let mut world = World::plain();
    let listener = world.listen(S, any(80), 8);
    for n in 1..=3 {
        let id = world.stream(C);
        assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        let told = world.told().into_iter().filter(|&(host, socket, _)| (host, socket) == (S, listener)).count();
        assert_eq!(told, 1, "connection {n}");
    }
    assert_eq!((0..4).map(|_| world.accept(S, listener).is_ok()).collect::<Vec<_>>(), [true, true, true, false]);
}
