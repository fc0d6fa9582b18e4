//! What the profile `linux` counts, as `nstat` names it, each where the kernel counts it.

use super::wire::{C, S, World, any, at};
use wirefate::endpoint::{ConnView, Errno, Shutdown, SockOpt, SocketId, State};
use wirefate::host::{HostConfig, Profile};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Flags, Options, Segment, TcpOption};

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

fn plain() -> World {
    World::pair(linux("client"), linux("server"))
}

fn set(world: &mut World, host: usize, id: SocketId, option: SockOpt) {
    world.call(host, |s, cx| s.set_option(cx, id, option)).unwrap();
}

fn shut(world: &mut World, host: usize, id: SocketId) {
    world.call(host, |s, cx| s.shutdown(cx, id, Shutdown::Write)).unwrap();
}

/// What a host has counted of `names`, in their order.
fn counts<const N: usize>(world: &World, host: usize, names: [&str; N]) -> [u64; N] {
    names.map(|name| world.counter(host, &format!("TcpExt.{name}")))
}

fn only(world: &World, host: usize) -> ConnView {
    let mut views = world.views(host);
    assert_eq!(views.len(), 1);
    views.remove(0)
}

/// A segment of the client to its only connection, `from` bytes beyond what the server expects.
fn forged(world: &World, from: i32, flags: Flags, stamp: Option<u32>) -> Segment {
    let (snd, rcv) = (only(world, S).snd.unwrap(), only(world, S).rcv.unwrap());
    let mut options = Options::NONE;
    if let Some(val) = stamp {
        options.push(TcpOption::Timestamps { val, ecr: 0 }).unwrap();
    }
    let seq = rcv.nxt + from.cast_unsigned();
    Segment { seq, ack: snd.nxt, flags, window: 1_000, options, ..Segment::default() }
}

fn forge(world: &mut World, segment: Segment) {
    let port = only(world, S).tuple.remote.port();
    world.inject(at(C, port), at(S, 80), segment);
}

/// Sends a byte of the client; the timestamp that it carries.
fn stamp_of_peer(world: &mut World, client: SocketId) -> u32 {
    let stamp = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = stamp.clone();
    world.lose = Some(Box::new(move |packet| {
        let val = packet.segment().and_then(|segment| segment.options.timestamps());
        val.into_iter().for_each(|(val, _)| seen.set(val));
        false
    }));
    world.send(C, client, "x").unwrap();
    world.lose = None;
    stamp.get()
}

#[test]
fn a_syn_on_a_connection_is_an_error_and_a_challenge() {
    let mut world = plain();
    world.connected(80);
    let names = ["TCPSYNChallenge", "TCPChallengeACK", "TCPACKSkippedChallenge"];
    for (after, counted) in [(ms(1_000), [1, 1, 0]), (ms(100), [2, 1, 1]), (ms(500), [3, 2, 1])] {
        world.advance(after);
        let syn = forged(&world, 5_000, Flags::SYN, None);
        forge(&mut world, syn);
        assert_eq!(counts(&world, S, names), counted);
        assert_eq!(world.counter(S, "Tcp.InErrs"), counted[0]);
    }
    // RST in the window, not exact: the same limit, no error.
    let reset = forged(&world, 10, Flags::RST, None);
    forge(&mut world, reset);
    assert_eq!(counts(&world, S, names), [3, 2, 2]);
    assert_eq!(world.counter(S, "Tcp.InErrs"), 3);
}

#[test]
fn an_old_timestamp_is_counted_whether_it_is_answered_or_not() {
    let mut world = plain();
    let (client, _, server) = world.connected(80);
    world.advance(secs(5));
    let stamp = stamp_of_peer(&mut world, client);
    world.run();
    assert_eq!(world.recv(S, server), Ok("x".to_owned()));
    world.advance(secs(1));
    let names = ["PAWSEstab", "TCPACKSkippedPAWS", "TCPACKSkippedSeq", "PAWSOldAck"];
    // An empty one beyond what is expected: answered once in 500 ms.
    for counted in [[1, 0, 0, 0], [2, 1, 0, 0]] {
        let old = forged(&world, 5, Flags::ACK, Some(stamp.wrapping_sub(3_000)));
        forge(&mut world, old);
        assert_eq!(counts(&world, S, names), counted);
    }
    // An acknowledgment from before the last data is what reordering brings, and no answer is due.
    let late = forged(&world, -1, Flags::ACK, Some(stamp.wrapping_sub(3_000)));
    forge(&mut world, late);
    assert_eq!(counts(&world, S, names), [2, 1, 0, 1]);
    // Outside the window with a good timestamp.
    let outside = forged(&world, 1 << 20, Flags::ACK, None);
    forge(&mut world, outside);
    assert_eq!(counts(&world, S, names), [2, 1, 1, 1]);
}

/// `TCP_PAWS_WRAP`: 2147 s without a word, and the last timestamp says nothing any more.
#[test]
fn a_timestamp_of_more_than_half_an_hour_ago_keeps_nothing_out() {
    for (silence, dropped) in [(secs(2_146), 2), (secs(2_148), 0)] {
        let mut world = plain();
        let (client, _, _) = world.connected(80);
        let stamp = stamp_of_peer(&mut world, client);
        world.run();
        world.advance(silence);
        // It is the last one from then on.
        for _ in 0..2 {
            let old = forged(&world, 0, Flags::ACK | Flags::PSH, Some(stamp.wrapping_sub(100_000)));
            forge(&mut world, Segment { payload: "y".into(), ..old });
        }
        assert_eq!(counts(&world, S, ["PAWSEstab"]), [dropped], "{silence}");
    }
}

#[test]
fn what_comes_twice_is_told_and_counted() {
    let mut world = plain();
    let (client, _, _) = world.connected(80);
    world.send(C, client, "hello").unwrap();
    world.run();
    let names = ["TCPDSACKOldSent", "TCPDSACKOfoSent", "DelayedACKLost", "TCPOFOQueue", "TCPOFOMerge"];
    let again = Segment { payload: "hello".into(), ..forged(&world, -5, Flags::ACK | Flags::PSH, None) };
    forge(&mut world, again);
    assert_eq!(counts(&world, S, names), [1, 0, 1, 0, 0]);
    for counted in [[1, 0, 1, 1, 0], [1, 1, 1, 2, 1]] {
        let ahead = Segment { payload: "later".into(), ..forged(&world, 10, Flags::ACK | Flags::PSH, None) };
        forge(&mut world, ahead);
        assert_eq!(counts(&world, S, names), counted);
    }
}

/// Both ways in which `TCP_LINGER2` below 0 resets: in `close`, and when the FIN of an orphan is acknowledged, which then
/// gets the answer of no connection.
#[test]
fn linger2_below_0_is_counted_by_who_resets() {
    let names = ["TCPAbortOnLinger", "TCPAbortOnData"];
    for (half_closed, counted, reset) in [(true, [1, 0], Flags::RST | Flags::ACK), (false, [0, 1], Flags::RST)] {
        let mut world = plain();
        let (client, _, _) = world.connected(80);
        set(&mut world, C, client, SockOpt::Linger2(None));
        if half_closed {
            shut(&mut world, C, client);
            world.advance(secs(1));
            assert_eq!(world.states(C), [State::FinWait2]);
        }
        world.sent();
        world.close(C, client);
        world.advance(secs(1));
        assert_eq!(counts(&world, C, names), counted);
        assert_eq!(world.sent().into_iter().rfind(|(from, ..)| *from == C), Some((C, reset, 0)));
        assert_eq!((world.states(C), world.states(S)), (vec![], vec![]));
    }
}

/// `tcp_need_reset()`: once both have closed there is nothing to reset, but what was never sent is lost.
#[test]
fn linger_0_resets_nothing_where_both_have_closed() {
    for (window, resets) in [(true, 0), (false, 1)] {
        let mut world = plain();
        let (client, _, server) = world.connected(80);
        world.close(C, client);
        world.advance(secs(1));
        assert_eq!(world.states(S), [State::CloseWait]);
        if !window {
            let closed = Segment { window: 0, ..forged(&world, 0, Flags::ACK, None) };
            world.lose = Some(Box::new(|_| true));
            forge(&mut world, closed);
            world.send(S, server, "hello").unwrap();
        }
        world.lose = Some(Box::new(|_| true));
        shut(&mut world, S, server);
        assert_eq!(world.states(S), [State::LastAck]);
        set(&mut world, S, server, SockOpt::Linger(Some(Span::ZERO)));
        world.close(S, server);
        assert_eq!(world.states(S), []);
        assert_eq!(world.counter(S, "Tcp.OutRsts"), resets);
        assert_eq!(counts(&world, S, ["TCPAbortOnData", "TCPAbortOnClose"]), [1, 0]);
    }
}

/// Nobody has read what the child has received, and nobody is counted to have closed it.
#[test]
fn children_of_a_closed_listener_count_as_no_abort() {
    let mut world = plain();
    let listener = world.listen(S, any(80), 8);
    let client = world.stream(C);
    assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    world.send(C, client, "hello").unwrap();
    world.run();
    world.close(S, listener);
    world.run();
    assert_eq!(counts(&world, S, ["TCPAbortOnData", "TCPAbortOnClose"]), [0, 0]);
    assert_eq!([world.counter(S, "Tcp.OutRsts"), world.counter(S, "Tcp.EstabResets")], [1, 1]);
}

/// `tcp_done()` counts attempts that fail; `close` goes another way.
#[test]
fn an_attempt_that_is_given_up_has_not_failed() {
    for (given_up, failed) in [(true, 0), (false, 1)] {
        let mut world = plain();
        let client = world.stream(C);
        if given_up {
            world.lose = Some(Box::new(|_| true));
        }
        assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        world.close(C, client);
        assert_eq!(world.states(C), []);
        assert_eq!(world.counter(C, "Tcp.AttemptFails"), failed);
    }
}

#[test]
fn a_time_wait_that_gives_its_place_is_recycled() {
    let mut world = plain();
    let listener = world.listen(S, any(80), 8);
    for recycled in 0..2 {
        let client = world.stream(C);
        set(&mut world, C, client, SockOpt::ReuseAddr(true));
        world.call(C, |s, cx| s.bind(cx, client, any(5_000))).unwrap();
        assert_eq!(world.connect(C, client, at(S, 80)), Err(Errno::EINPROGRESS));
        world.run();
        let server = world.accept(S, listener).unwrap();
        assert_eq!(counts(&world, C, ["TWRecycled", "TW"]), [recycled, recycled]);
        world.close(C, client);
        world.run();
        world.close(S, server);
        world.run();
        world.advance(secs(2));
    }
}

/// The timer of a SYN-ACK counts whether it sends one or gives up; a SYN that comes again is answered at any time.
#[test]
fn a_half_open_connection_counts_its_timeouts() {
    let mut world = World::pair(linux("client"), linux("server").sysctl("net.ipv4.tcp_synack_retries", 2));
    world.listen(S, any(80), 8);
    let syn = Segment { flags: Flags::SYN, window: 1_000, ..Segment::default() };
    world.lose = Some(Box::new(|_| true));
    for _ in 0..2 {
        world.inject(at(C, 9), at(S, 80), syn.clone());
    }
    assert_eq!(counts(&world, S, ["TCPTimeouts", "TCPSynRetrans"]), [0, 1]);
    // RST in the window: a challenge, within the limit of all answers.
    let reset = Segment { seq: wirefate::wire::Seq(10), flags: Flags::RST, ..Segment::default() };
    for (after, counted) in [(ms(100), [0, 1]), (ms(500), [1, 1])] {
        world.advance(after);
        world.inject(at(C, 9), at(S, 80), reset.clone());
        assert_eq!(counts(&world, S, ["TCPChallengeACK", "TCPACKSkippedChallenge"]), counted);
    }
    world.advance(secs(10));
    assert_eq!(counts(&world, S, ["TCPTimeouts", "TCPSynRetrans", "ListenDrops"]), [3, 3, 0]);
    assert_eq!([world.counter(S, "Tcp.AttemptFails"), world.counter(S, "Tcp.PassiveOpens")], [0, 0]);
}

/// `TCP_INFO` of both ends after data that was lost once, and came out of order (RFC 4898).
#[test]
fn tcp_info_counts_segments_and_bytes() {
    let mut world = plain();
    let (client, _, server) = world.connected(80);
    let mut lost = false;
    world.lose = Some(Box::new(move |packet| {
        let data = packet.segment().is_some_and(|segment| !segment.payload.is_empty());
        data && !std::mem::replace(&mut lost, true)
    }));
    for _ in 0..2 {
        world.send(C, client, &"x".repeat(1_448)).unwrap();
        world.advance(ms(1));
    }
    world.advance(secs(1));
    let now = world.now;
    let mut info = |host, id| world.call(host, |s, _| s.tcp_info(now, id)).unwrap();
    let [sent, came] = [info(C, client), info(S, server)];
    // SYN, ACK, two segments, one of them again.
    assert_eq!((sent.segs_out, sent.data_segs_out, sent.data_segs_in), (5, 3, 0));
    assert_eq!((sent.bytes_sent, sent.bytes_retrans, sent.bytes_acked), (3 * 1_448, 1_448, 2 * 1_448 + 1));
    // The SYN, the third segment, and what was not lost.
    assert_eq!((came.segs_in, came.data_segs_in, came.data_segs_out), (4, 2, 0));
    assert_eq!((came.bytes_received, came.rcv_ooopack, came.bytes_sent), (2 * 1_448, 1, 0));
    // The SYN-ACK is the listener's.
    assert_eq!((sent.segs_in, came.segs_out), (3, 2));
    assert_eq!((came.bytes_acked, sent.bytes_received), (0, 0));
    // The SYN and what was sent once.
    assert_eq!(counts(&world, C, ["TCPDelivered", "TCPOrigDataSent"]), [3, 2]);
    assert_eq!(counts(&world, S, ["TCPDelivered", "TCPOFOQueue"]), [0, 1]);
}

/// As `connect_blackhole_retries3_linear0` of the recordings has it.
#[test]
fn retransmissions_are_lost_in_their_turn() {
    let client =
        linux("client").sysctl("net.ipv4.tcp_syn_retries", "3").sysctl("net.ipv4.tcp_syn_linear_timeouts", "0");
    let mut world = World::pair(client, linux("server"));
    world.lose = Some(Box::new(|_| true));
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    let mut total = 0;
    for _ in 0..30 {
        world.advance(secs(1));
        let now = world.now;
        total = world.call(C, |s, _| s.tcp_info(now, id)).unwrap().total_rto.max(total);
    }
    assert_eq!(total, 3);
    assert_eq!(counts(&world, C, ["TCPLostRetransmit", "TCPSynRetrans", "TCPTimeouts"]), [2, 3, 4]);
}

/// As `rto_first_data_4_notlp` of the recordings has it: the last of four gets through.
#[test]
fn data_is_lost_again() {
    let client = linux("client").sysctl("net.ipv4.tcp_early_retrans", "0");
    let mut world = World::pair(client, linux("server"));
    let (client, ..) = world.connected(80);
    world.lose = Some(Box::new(|_| true));
    world.send(C, client, "x").unwrap();
    for _ in 0..40 {
        if counts(&world, C, ["TCPTimeouts"]) == [3] {
            world.lose = None;
        }
        world.advance(ms(100));
    }
    let names = ["TCPLostRetransmit", "TCPTimeouts", "TCPDelivered", "TCPOrigDataSent"];
    assert_eq!(counts(&world, C, names), [3, 4, 2, 1]);
    let now = world.now;
    assert_eq!(world.call(C, |s, _| s.tcp_info(now, client)).unwrap().total_rto, 4);
}
