use super::wire::{C, S, World, any, at, rfc9293};
use wirefate::endpoint::{DropReason, Errno, Shutdown, SockOpt, State};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Flags, Segment, Seq};

#[test]
fn a_stream_ends_and_its_errors_come_once() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    assert_eq!(world.send(C, client, "hello"), Ok(5));
    world.run();
    assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
    assert_eq!(world.recv(S, server), Err(Errno::EAGAIN));
    world.call(C, |s, cx| s.shutdown(cx, client, Shutdown::Write)).unwrap();
    world.run();
    assert_eq!(world.recv(S, server), Ok(String::new()), "the end of the stream");
    assert_eq!(world.send(C, client, "x"), Err(Errno::EPIPE));
    // Half-closed: the other direction goes on.
    assert_eq!(world.send(S, server, "still here"), Ok(10));
    world.run();
    assert_eq!(world.recv(C, client), Ok("still here".to_owned()));
    world.close(S, server);
    world.run();
    assert_eq!(world.recv(C, client), Ok(String::new()));
    assert_eq!((world.states(C), world.states(S)), (vec![State::TimeWait], vec![]));
    world.close(C, client);
    world.advance(secs(240));
    assert_eq!(world.states(C), []);
}

#[test]
fn a_reset_is_told_once() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    world.call(S, |s, cx| s.abort(cx, server)).unwrap();
    world.run();
    assert_eq!(world.sent(), [(S, Flags::RST | Flags::ACK, 0)]);
    assert_eq!(world.recv(C, client), Err(Errno::ECONNRESET));
    assert_eq!(world.recv(C, client), Ok(String::new()));
    assert_eq!(world.send(C, client, "x"), Err(Errno::EPIPE));
    assert_eq!(world.call(C, |s, cx| s.shutdown(cx, client, Shutdown::Write)), Err(Errno::ENOTCONN));
    assert_eq!(world.counter(C, "Tcp.EstabResets"), 1);
    assert_eq!((world.states(C), world.states(S)), (vec![], vec![]));
}

#[test]
fn so_error_takes_the_error_away() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    world.call(S, |s, cx| s.abort(cx, server)).unwrap();
    world.run();
    let mut so_error = || world.call(C, |s, cx| s.get_option(cx, client, SockOpt::Error(None)));
    assert_eq!(so_error(), Ok(SockOpt::Error(Some(Errno::ECONNRESET))));
    assert_eq!(so_error(), Ok(SockOpt::Error(None)));
    assert_eq!(world.recv(C, client), Ok(String::new()));
}

/// RFC 9293 3.6.1: whoever closes without having read everything resets.
#[test]
fn unread_data_turns_close_into_a_reset() {
    for (read, flags, counter) in [(true, Flags::FIN | Flags::ACK, 0), (false, Flags::RST | Flags::ACK, 1)] {
        let mut world = World::plain();
        let (client, _, server) = world.connected(80);
        assert_eq!(world.send(C, client, "hello"), Ok(5));
        world.run();
        if read {
            assert_eq!(world.recv(S, server), Ok("hello".to_owned()));
        }
        world.sent();
        world.close(S, server);
        assert_eq!(world.sent()[0].1, flags);
        assert_eq!(world.counter(S, "TcpExt.TCPAbortOnClose"), counter);
    }
}

#[test]
fn linger_of_no_time_resets() {
    let mut world = World::plain();
    let (client, _, _) = world.connected(80);
    world.call(C, |s, cx| s.set_option(cx, client, SockOpt::Linger(Some(Span::ZERO)))).unwrap();
    world.close(C, client);
    assert_eq!(world.sent(), [(C, Flags::RST | Flags::ACK, 0)]);
    assert_eq!((world.states(C), world.counter(C, "TcpExt.TCPAbortOnData")), (vec![], 1));
}

/// `SO_LINGER` with a time: `close` waits for the acknowledgment of the FIN, for that time at most; a non-blocking caller
/// asks again.
#[test]
fn linger_waits_for_the_fin_or_its_time() {
    for answered in [true, false] {
        let mut world = World::plain();
        let (client, _, _) = world.connected(80);
        world.call(C, |s, cx| s.set_option(cx, client, SockOpt::Linger(Some(secs(5))))).unwrap();
        if !answered {
            world.lose = Some(Box::new(|_| true));
        }
        let close = |world: &mut World| world.call(C, |s, cx| s.close(cx, client));
        assert_eq!(close(&mut world), Err(Errno::EAGAIN));
        assert_eq!(world.sent(), [(C, Flags::FIN | Flags::ACK, 0)]);
        assert_eq!(close(&mut world), Err(Errno::EAGAIN), "asking again sends nothing");
        assert_eq!(world.send(C, client, "x"), Err(Errno::EBADF));
        world.told();
        if answered {
            world.advance(secs(1));
        } else {
            world.advance(ms(4_999));
            assert_eq!((world.told(), close(&mut world)), (vec![], Err(Errno::EAGAIN)), "just below its time");
            world.advance(ms(1));
        }
        let told = world.told().iter().filter(|(host, ..)| *host == C).count();
        assert_eq!(told, 1, "{answered}");
        assert_eq!(close(&mut world), Ok(()));
        assert_eq!(close(&mut world), Err(Errno::EBADF));
        let left = if answered { State::FinWait2 } else { State::FinWait1 };
        assert_eq!(world.states(C), [left], "the connection goes on without its socket");
    }
}

/// There is nothing to wait for where the close resets, and a time of a closed listener means nothing.
#[test]
fn linger_does_not_wait_where_nothing_is_on_its_way() {
    let mut world = World::plain();
    let (client, listener, server) = world.connected(80);
    for (host, id) in [(S, server), (S, listener)] {
        world.call(host, |s, cx| s.set_option(cx, id, SockOpt::Linger(Some(secs(5))))).unwrap();
    }
    assert_eq!(world.send(C, client, "unread"), Ok(6));
    world.run();
    assert_eq!(world.call(S, |s, cx| s.close(cx, server)), Ok(()));
    assert_eq!(world.call(S, |s, cx| s.close(cx, listener)), Ok(()));
    assert_eq!(world.states(S), []);
}

/// What was written before `close` arrives although nobody owns the connection any more.
#[test]
fn an_orphan_finishes_its_work() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    let much = "x".repeat(40_000);
    assert_eq!(world.send(C, client, &much), Ok(40_000));
    world.close(C, client);
    world.advance(secs(2));
    let mut got = String::new();
    loop {
        let piece = world.recv(S, server).unwrap();
        world.advance(secs(1));
        if piece.is_empty() {
            break;
        }
        got += &piece;
    }
    assert_eq!(got, much);
    assert_eq!(world.states(C), [State::FinWait2]);
    world.close(S, server);
    world.advance(secs(1));
    assert_eq!(world.states(C), [State::TimeWait]);
}

#[test]
fn an_orphan_leaves_fin_wait_2_in_time() {
    let client = rfc9293("client").sysctl("net.ipv4.tcp_fin_timeout", 7);
    let mut world = World::pair(client, rfc9293("server"));
    let (client, _, _) = world.connected(80);
    world.close(C, client);
    world.run();
    assert_eq!((world.states(C), world.states(S)), (vec![State::FinWait2], vec![State::CloseWait]));
    world.advance(secs(7));
    assert_eq!(world.states(C), []);
}

/// Data for an orphan finds no reader (RFC 9293 3.6.1).
#[test]
fn data_for_an_orphan_is_reset() {
    let mut world = World::plain();
    let (client, _, server) = world.connected(80);
    world.close(C, client);
    world.run();
    assert_eq!(world.send(S, server, "too late"), Ok(8));
    world.run();
    assert_eq!((world.states(C), world.states(S)), (vec![], vec![]));
    assert_eq!(world.recv(S, server), Err(Errno::ECONNRESET));
}

#[test]
fn a_new_syn_ends_time_wait_of_the_server() {
    let mut world = World::plain();
    let (client, listener, server) = world.connected(80);
    let from = world.call(C, |s, _| s.local_addr(client)).unwrap();
    let last = std::cell::Cell::new(Seq(0));
    world.hosts[C].connections(&mut |view| last.set(view.snd.unwrap().nxt));
    use wirefate::endpoint::Endpoint;
    world.close(S, server);
    world.run();
    world.close(C, client);
    world.run();
    assert_eq!(world.states(S), [State::TimeWait]);
    let syn = |seq| Segment { seq, flags: Flags::SYN, window: 1_000, ..Segment::default() };
    world.drops();
    // The client would answer with a reset, which is another story.
    world.lose = Some(Box::new(|_| true));
    world.inject(from, at(S, 80), syn(last.get() - 1));
    assert_eq!((world.states(S), world.drops()), (vec![State::TimeWait], vec![(S, DropReason::OutOfWindow)]));
    world.sent();
    world.inject(from, at(S, 80), syn(last.get() + 1_000));
    assert_eq!(world.states(S), [State::SynReceived]);
    assert_eq!(world.sent(), [(S, Flags::SYN | Flags::ACK, 0)]);
    world.close(S, listener);
    assert_eq!(world.states(S), []);
}

/// Every answer of a closed port (RFC 9293 3.10.7.1).
#[test]
fn closed_ports_answer_with_resets() {
    let mut world = World::plain();
    let (rst, ack) = (Flags::RST, Flags::ACK);
    let cases = [
        (Flags::SYN, vec![(S, rst | ack, 0)]),
        (ack, vec![(S, rst, 0)]),
        (Flags::FIN | ack, vec![(S, rst, 0)]),
        (rst, vec![]),
        (rst | ack, vec![]),
        (Flags::empty(), vec![(S, rst | ack, 0)]),
    ];
    for (flags, answer) in cases {
        world.inject(at(C, 1), at(S, 9), Segment { seq: Seq(5), ack: Seq(7), flags, ..Segment::default() });
        let answers: Vec<_> = world.sent().into_iter().filter(|(from, ..)| *from == S).collect();
        assert_eq!(answers, answer, "{flags:?}");
    }
    let drops: Vec<_> = world.drops().into_iter().filter(|(host, _)| *host == S).collect();
    assert_eq!(drops, [(S, DropReason::NoSocket); 6]);
}

/// And of a listener to what is no SYN (RFC 9293 3.10.7.2).
#[test]
fn listeners_answer_stray_segments() {
    let mut world = World::plain();
    world.listen(S, any(80), 1);
    let cases = [
        (Flags::RST, vec![], DropReason::RstIgnored),
        (Flags::ACK, vec![(S, Flags::RST, 0)], DropReason::NoMeaning),
        (Flags::SYN | Flags::ACK, vec![(S, Flags::RST, 0)], DropReason::NoMeaning),
        (Flags::FIN, vec![], DropReason::NoMeaning),
    ];
    for (flags, answer, reason) in cases {
        world.inject(at(C, 1), at(S, 80), Segment { seq: Seq(5), ack: Seq(7), flags, ..Segment::default() });
        let answers: Vec<_> = world.sent().into_iter().filter(|(from, ..)| *from == S).collect();
        let drops: Vec<_> = world.drops().into_iter().filter(|(host, _)| *host == S).collect();
        assert_eq!((answers, drops), (answer, vec![(S, reason)]), "{flags:?}");
    }
}
