//! The queues of a listener as Linux has them: their lengths, cookies, deferred accepts.

use super::wire::{C, S, World, any, at, v4};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use wirefate::endpoint::{Attach, DropReason, Endpoint, Errno, IfaceId, SockOpt, SocketId, State};
use wirefate::host::{HostConfig, Profile};
use wirefate::time::{ms, secs};
use wirefate::wire::{Flags, Segment, Seq, TcpOption};

/// What the server has sent to addresses of nobody.
type Answers = Rc<RefCell<Vec<Segment>>>;

fn linux(name: &str) -> HostConfig {
    HostConfig { profile: Profile::Linux, ..HostConfig::named(name) }
}

/// A world whose server reaches every address.
fn world(server: HostConfig) -> (World, Answers) {
    let mut world = World::pair(linux("client"), server);
    let attach = Attach::Route { prefix: "0.0.0.0".parse().unwrap(), prefix_len: 0, iface: IfaceId(1) };
    world.with(S, |host, cx| host.on_attach(cx, &attach));
    let answers = Answers::default();
    let seen = Rc::clone(&answers);
    world.lose = Some(Box::new(move |packet| {
        if packet.src == v4(S) && packet.dst != v4(C) {
            seen.borrow_mut().extend(packet.segment().cloned());
        }
        false
    }));
    (world, answers)
}

fn connect(world: &mut World) -> SocketId {
    let id = world.stream(C);
    assert_eq!(world.connect(C, id, at(S, 80)), Err(Errno::EINPROGRESS));
    world.run();
    id
}

/// A port of an address that answers nothing.
fn nobody(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], port))
}

fn spoofed(world: &mut World, port: u16, flags: Flags, numbers: (u32, u32), options: &[TcpOption<'_>]) {
    let mut segment = Segment { seq: Seq(numbers.0), ack: Seq(numbers.1), flags, window: 1_000, ..Segment::default() };
    for option in options {
        segment.options.push(*option).unwrap();
    }
    world.inject(nobody(port), at(S, 80), segment);
}

fn syn(world: &mut World, port: u16) {
    spoofed(world, port, Flags::SYN, (1, 0), &[TcpOption::Mss(1_460)]);
}

/// The third segment that the SYN-ACK `answer` asks for.
fn third(world: &mut World, answer: &Segment) {
    spoofed(world, answer.dst_port, Flags::ACK, (answer.ack.0, answer.seq.0 + 1), &[]);
}

fn last(answers: &Answers) -> Segment {
    answers.borrow().last().unwrap().clone()
}

fn cookies(world: &World) -> [u64; 3] {
    ["Sent", "Recv", "Failed"].map(|what| world.counter(S, &format!("TcpExt.Syncookies{what}")))
}

#[test]
fn the_accept_queue_holds_one_more_than_its_backlog() {
    for backlog in [0, 1, 5] {
        let (mut world, _) = world(linux("server"));
        let listener = world.listen(S, any(80), backlog);
        let ids: Vec<_> = (0..backlog + 2).map(|_| connect(&mut world)).collect();
        assert_eq!(world.queues(S), (0, backlog + 1));
        assert_eq!(world.drops(), [(S, DropReason::AcceptQueueFull)]);
        assert_eq!((world.counter(S, "TcpExt.ListenOverflows"), world.counter(S, "TcpExt.ListenDrops")), (1, 1));
        world.accept(S, listener).unwrap();
        world.advance(ms(1_100));
        assert_eq!(world.connect(C, *ids.last().unwrap(), at(S, 80)), Ok(()));
    }
}

#[test]
fn somaxconn_bounds_the_backlog() {
    let (mut world, _) = world(linux("server").sysctl("net.core.somaxconn", 2));
    world.listen(S, any(80), 100);
    for _ in 0..4 {
        connect(&mut world);
    }
    assert_eq!(world.queues(S), (0, 3));
}

#[test]
fn the_syn_queue_holds_one_more_than_its_backlog() {
    for (cookies, drops) in [(0, vec![(S, DropReason::SynQueueFull)]), (1, vec![])] {
        let (mut world, answers) = world(linux("server").sysctl("net.ipv4.tcp_syncookies", cookies));
        world.listen(S, any(80), 2);
        (1..=4).for_each(|port| syn(&mut world, port));
        assert_eq!((world.queues(S), world.drops()), ((3, 0), drops));
        assert_eq!(answers.borrow().len(), if cookies == 0 { 3 } else { 4 });
        let counters = ["ReqQFullDrop", "ReqQFullDoCookies"].map(|c| world.counter(S, &format!("TcpExt.TCP{c}")));
        assert_eq!(counters, if cookies == 0 { [1, 0] } else { [0, 1] });
    }
}

#[test]
fn without_cookies_the_last_quarter_is_for_known_peers() {
    let config = linux("server").sysctl("net.ipv4.tcp_syncookies", 0).sysctl("net.ipv4.tcp_max_syn_backlog", 8);
    let (mut world, _) = world(config);
    let listener = world.listen(S, any(80), 64);
    (1..=9).for_each(|port| syn(&mut world, port));
    // Seven leave one place, which is less than a quarter of eight.
    assert_eq!((world.queues(S), world.drops().len()), ((7, 0), 2));
    assert_eq!(world.counter(S, "TcpExt.TCPReqQFullDrop"), 0);
    let stranger = connect(&mut world);
    assert_eq!(world.connect(C, stranger, at(S, 80)), Err(Errno::EALREADY));
    world.close(C, stranger);
    // Once they have expired a connection comes in, and its peer is known from its end on.
    world.advance(secs(70));
    let client = connect(&mut world);
    let server = world.accept(S, listener).unwrap();
    world.close(C, client);
    world.advance(secs(1));
    world.close(S, server);
    world.advance(secs(1));
    (1..=9).for_each(|port| syn(&mut world, port));
    let known = connect(&mut world);
    assert_eq!(world.connect(C, known, at(S, 80)), Ok(()));
}

#[test]
fn a_cookie_stands_for_its_syn() {
    let (mut world, answers) = world(linux("server").sysctl("net.ipv4.tcp_syncookies", 2));
    let listener = world.listen(S, any(80), 4);
    syn(&mut world, 1);
    assert_eq!((world.queues(S), cookies(&world)), ((0, 0), [1, 0, 0]));
    let answer = last(&answers);
    // Without timestamps there is no place for the other options.
    assert_eq!((answer.flags, answer.options.iter().count()), (Flags::SYN | Flags::ACK, 1));
    // Nothing is sent again; the third segment is good in this minute and the next.
    world.advance(secs(100));
    assert_eq!(answers.borrow().len(), 1);
    third(&mut world, &answer);
    assert_eq!((world.queues(S), cookies(&world)), ((0, 1), [1, 1, 0]));
    assert_eq!(world.states(S), [State::Established]);
    assert!(world.accept(S, listener).is_ok());
}

#[test]
fn a_cookie_that_is_old_or_forged_is_reset() {
    let (mut world, answers) = world(linux("server").sysctl("net.ipv4.tcp_syncookies", 2));
    world.listen(S, any(80), 4);
    // Where no cookie was sent lately none is looked for.
    spoofed(&mut world, 7, Flags::ACK, (1, 12_345), &[]);
    assert_eq!((last(&answers).flags, last(&answers).seq, cookies(&world)), (Flags::RST, Seq(12_345), [0, 0, 0]));
    syn(&mut world, 1);
    let answer = last(&answers);
    spoofed(&mut world, 1, Flags::ACK, (2, 12_345), &[]);
    assert_eq!((last(&answers).flags, last(&answers).seq, cookies(&world)), (Flags::RST, Seq(12_345), [1, 0, 1]));
    // Begun in the first minute, it ends with the second.
    world.advance(ms(119_999));
    third(&mut world, &Segment { dst_port: 2, ..answer.clone() });
    assert_eq!(cookies(&world), [1, 0, 2]);
    world.advance(ms(1));
    third(&mut world, &answer);
    assert_eq!((world.queues(S), cookies(&world)), ((0, 0), [1, 0, 3]));
    assert_eq!(last(&answers).flags, Flags::RST);
}

#[test]
fn options_live_on_in_the_timestamp() {
    let (mut world, answers) = world(linux("server").sysctl("net.ipv4.tcp_syncookies", 2));
    let listener = world.listen(S, any(80), 4);
    world.advance(ms(1_000));
    let options = [TcpOption::Mss(1_000), TcpOption::SackPermitted, TcpOption::Timestamps { val: 9, ecr: 0 }];
    spoofed(&mut world, 1, Flags::SYN, (1, 0), &[&options[..], &[TcpOption::WindowScale(5)]].concat());
    let answer = last(&answers);
    assert_eq!(answer.options.window_scale(), Some(7));
    let (val, _) = answer.options.timestamps().unwrap();
    let echo = TcpOption::Timestamps { val: 10, ecr: val };
    spoofed(&mut world, 1, Flags::ACK, (2, answer.seq.0 + 1), &[echo]);
    let server = world.accept(S, listener).unwrap();
    assert_eq!(world.call(S, |s, cx| s.get_option(cx, server, SockOpt::MaxSeg(0))), Ok(SockOpt::MaxSeg(524)));
    // A window of 1000 in units of 32 bytes takes 20 kB at once; without its scale it would take one segment.
    answers.borrow_mut().clear();
    assert_eq!(world.send(S, server, &"x".repeat(9 * 524)), Ok(9 * 524));
    let sent: u32 = answers.borrow().iter().map(|segment| segment.payload.len()).sum();
    assert_eq!(sent, 9 * 524);
}

/// Whatever `tcp_abort_on_overflow` says.
#[test]
fn a_cookie_that_finds_the_accept_queue_full_is_dropped_silently() {
    let config = linux("server").sysctl("net.ipv4.tcp_syncookies", 2).sysctl("net.ipv4.tcp_abort_on_overflow", 1);
    let (mut world, answers) = world(config);
    let listener = world.listen(S, any(80), 0);
    syn(&mut world, 1);
    let answer = last(&answers);
    connect(&mut world);
    assert_eq!(world.queues(S), (0, 1));
    world.drops();
    third(&mut world, &answer);
    assert_eq!(world.drops(), [(S, DropReason::AcceptQueueFull)]);
    assert_eq!((answers.borrow().len(), world.queues(S)), (1, (0, 1)));
    // The next segment with the same number, its first data say, brings the cookie again.
    world.accept(S, listener).unwrap();
    third(&mut world, &answer);
    assert_eq!(world.queues(S), (0, 1));
}

#[test]
fn a_third_segment_that_finds_the_accept_queue_full() {
    for abort in [0, 1] {
        let (mut world, answers) = world(linux("server").sysctl("net.ipv4.tcp_abort_on_overflow", abort));
        let listener = world.listen(S, any(80), 0);
        syn(&mut world, 1);
        let answer = last(&answers);
        connect(&mut world);
        third(&mut world, &answer);
        assert_eq!(world.counter(S, "TcpExt.ListenOverflows"), 1);
        if abort == 1 {
            assert_eq!((last(&answers).flags, world.queues(S)), (Flags::RST, (0, 1)));
            continue;
        }
        // The SYN-ACK goes on, and the answer to it finds room in the end.
        assert_eq!((answers.borrow().len(), world.queues(S)), (1, (1, 1)));
        world.advance(ms(3_100));
        assert_eq!(answers.borrow().len(), 3);
        world.accept(S, listener).unwrap();
        third(&mut world, &answer);
        assert_eq!(world.queues(S), (0, 1));
    }
}

#[test]
fn a_crowded_queue_gives_syn_acks_up_sooner() {
    // Where more than half of the places are taken by SYNs that have seen a timeout, for 7 s and not for 63.
    for (count, left) in [(1, 1), (4, 4), (5, 4), (9, 4)] {
        let (mut world, _) = world(linux("server"));
        world.listen(S, any(80), 8);
        (1..=count).for_each(|port| syn(&mut world, port));
        world.advance(ms(6_999));
        assert_eq!(world.queues(S), (u32::from(count), 0));
        world.advance(ms(10));
        assert_eq!(world.queues(S), (left, 0));
        world.advance(ms(55_990));
        assert_eq!(world.queues(S), (left, 0));
        world.advance(ms(10));
        assert_eq!(world.queues(S), (0, 0));
    }
}

#[test]
fn a_deferred_accept_waits_for_data() {
    let (mut world, answers) = world(linux("server"));
    let listener = world.listen(S, any(80), 4);
    let defer = |world: &mut World, seconds: u64| {
        let option = SockOpt::DeferAccept(secs(seconds));
        world.call(S, |s, cx| s.set_option(cx, listener, option)).unwrap();
        world.call(S, |s, cx| s.get_option(cx, listener, option)).unwrap()
    };
    // In timeouts of 1, 2, 4 ... seconds.
    for (asked, given) in [(0, 0), (1, 1), (2, 3), (3, 3), (4, 7), (8, 15)] {
        assert_eq!(defer(&mut world, asked), SockOpt::DeferAccept(secs(given)));
    }
    defer(&mut world, 3);
    syn(&mut world, 1);
    let answer = last(&answers);
    third(&mut world, &answer);
    assert_eq!((world.queues(S), world.drops()), ((1, 0), vec![(S, DropReason::Deferred)]));
    assert_eq!(world.counter(S, "TcpExt.TCPDeferAcceptDrop"), 1);
    // No SYN-ACK after 1 s, one after 3 s, and its acknowledgment is enough.
    world.advance(ms(2_999));
    assert_eq!(answers.borrow().len(), 1);
    world.advance(ms(2));
    assert_eq!(answers.borrow().len(), 2);
    third(&mut world, &answer);
    assert_eq!(world.queues(S), (0, 1));
    // Data is enough at once.
    let client = connect(&mut world);
    assert_eq!((world.queues(S), world.connect(C, client, at(S, 80))), ((1, 1), Ok(())));
    assert_eq!(world.send(C, client, "x"), Ok(1));
    world.run();
    assert_eq!(world.queues(S), (0, 2));
    // Elsewhere there is no such option.
    let mut world = World::plain();
    let id = world.stream(S);
    let option = SockOpt::DeferAccept(secs(3));
    assert_eq!(world.call(S, |s, cx| s.set_option(cx, id, option)), Err(Errno::ENOPROTOOPT));
}

#[test]
fn a_half_open_connection_outlives_its_listener_until_something_happens_to_it() {
    let (mut world, answers) = world(linux("server"));
    let listener = world.listen(S, any(80), 4);
    syn(&mut world, 1);
    syn(&mut world, 2);
    let answer = last(&answers);
    world.close(S, listener);
    // The descriptor's number is taken by another listener, which has nothing to do with them.
    assert_eq!(world.listen(S, any(81), 4), listener);
    assert_eq!((world.states(S).len(), world.queues(S)), (2, (0, 0)));
    third(&mut world, &answer);
    assert_eq!((world.states(S).len(), last(&answers).flags), (1, Flags::RST));
    world.advance(ms(1_100));
    assert_eq!((world.states(S).len(), answers.borrow().len()), (0, 3));
}

#[test]
fn what_a_listener_answers() {
    let (mut world, answers) = world(linux("server"));
    world.listen(S, any(80), 8);
    let mut port = 0;
    let mut answer = |flags: Flags| {
        port += 1;
        answers.borrow_mut().clear();
        spoofed(&mut world, port, flags, (1_000, 777), &[]);
        answers.borrow().first().map(|segment| (segment.flags, segment.seq.0, segment.ack.0))
    };
    let (s, f, r, a) = (Flags::SYN, Flags::FIN, Flags::RST, Flags::ACK);
    for flags in [s, s | Flags::PSH, s | Flags::URG] {
        assert_eq!(answer(flags).map(|(flags, _, ack)| (flags, ack)), Some((s | a, 1_001)));
    }
    assert_eq!(answer(s | Flags::ECE | Flags::CWR).map(|(flags, ..)| flags), Some(s | a | Flags::ECE));
    for flags in [a, f | a, s | a] {
        assert_eq!(answer(flags), Some((r, 777, 0)));
    }
    for flags in [f, r, r | a, s | f, s | r, f | Flags::PSH | Flags::URG, Flags::empty()] {
        assert_eq!(answer(flags), None, "{flags:?}");
    }
}
