//! Figures 5 to 11 of RFC 9293, and what SYNs agree on.

use super::end::{End, Machine};
use super::pair::{Pair, perfect};
use super::script::{OURS, check, check_with, segment};
use wirefate::endpoint::{Errno, State};
use wirefate::tcp::{Handshake, Knobs, Setup};
use wirefate::time::secs;
use wirefate::wire::Seq;

#[test]
fn figure_6_three_way_handshake() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S. 0:0(0) ack 1 win 1000
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1
         send 5
         > P. 1:6(5) ack 1",
    );
    check(
        "listen
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         < . 1:1(0) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED",
    );
}

#[test]
fn figure_7_simultaneous_open() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S 0:0(0) win 1000
         = SYN-SENT -> SYN-RECEIVED
         > S. 0:0(0) ack 1
         < S. 0:0(0) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED
         send 5
         > P. 1:6(5) ack 1",
    );
    let mut pair = Pair::new(&Knobs::default(), &Setup::default());
    pair.ends[0].open();
    pair.ends[1].open();
    pair.run(secs(10), &mut perfect);
    assert_eq!(pair.states(), [State::Established; 2]);
    assert!(pair.segments <= 6, "{} segments", pair.segments);
}

#[test]
fn figure_8_an_old_duplicate_syn_is_reset_by_its_supposed_sender() {
    // The listener answers the old SYN; the reset that this provokes returns it to LISTEN; the real SYN opens.
    check(
        "listen
         < S 5000:5000(0) win 1000
         > S. 0:0(0) ack 5001
         < R 5001:5001(0)
         = SYN-RECEIVED -> CLOSED
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         < . 1:1(0) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED",
    );
    // The sender's side of it: an ACK of what it never sent.
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S. 0:0(0) ack 500 win 1000
         ! ack of unsent
         > R 500:500(0)
         < S. 0:0(0) ack 1 win 1000
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1",
    );
}

#[test]
fn figure_9_half_open_after_a_crash_of_the_other_side() {
    // The peer lost its memory and opens anew: its SYN is challenged, its RST then is exact.
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S. 0:0(0) ack 1 win 1000
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1
         < S 300:300(0) win 1000
         ! SYN challenged
         > . 1:1(0) ack 1
         < R 1:1(0)
         = ESTABLISHED -> CLOSED ECONNRESET",
    );
    // The peer's own side: in SYN-SENT, an ACK of the old connection is answered by RST.
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < . 700:700(0) ack 4000 win 1000
         ! ack of unsent
         > R 4000:4000(0)",
    );
}

#[test]
fn figure_10_active_side_of_a_half_open_connection_is_reset() {
    let mut end = End::new((1000, 80), OURS, Knobs::default(), Setup::default());
    end.arrive(&segment("P. 1:11(10) ack 77"));
    assert_eq!((end.out.len(), end.out[0].seq), (1, OURS + 77));
}

#[test]
fn figure_11_an_old_duplicate_syn_ack_finds_a_listener() {
    let mut end = End::new((1000, 80), OURS, Knobs::default(), Setup::default());
    end.machine = Machine::Listen;
    end.arrive(&segment("S. 0:0(0) ack 55"));
    assert_eq!((end.out[0].seq, end.state()), (OURS + 55, State::Listen));
}

#[test]
fn a_refused_connection_fails() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < R 0:0(0)
         ! RST ignored
         < R. 0:0(0) ack 1
         = SYN-SENT -> CLOSED ECONNREFUSED",
    );
}

#[test]
fn data_and_fin_may_come_with_the_third_segment() {
    check(
        "listen
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         < FP. 1:11(10) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 12",
    );
}

#[test]
fn data_written_while_connecting_waits_for_established() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         send 10
         < S. 0:0(0) ack 1 win 1000
         = SYN-SENT -> ESTABLISHED
         > P. 1:11(10) ack 1",
    );
}

#[test]
fn a_lost_syn_ack_is_sent_again_for_the_syn_and_by_its_timer() {
    check(
        "listen
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         wait 8s
         @1.000000 > S. 0:0(0) ack 1
         @3.000000 > S. 0:0(0) ack 1
         @7.000000 > S. 0:0(0) ack 1
         < . 1:1(0) ack 9 win 1000
         ! ack of unsent
         > R 9:9(0)
         < . 1:1(0) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED",
    );
}

#[test]
fn two_way_handshake_believes_an_old_duplicate() {
    let knobs = Knobs { handshake: Handshake::TwoWay, ..Knobs::default() };
    check_with(
        knobs,
        Setup::default(),
        "listen
         < S 0:0(0) win 1000
         = SYN-RECEIVED -> ESTABLISHED
         > S. 0:0(0) ack 1
         nodelay
         send 3
         > P. 1:4(3) ack 1
         < . 1:1(0) ack 4 win 1000
         < P. 1:6(5) ack 4 win 1000
         wait 1s
         @0.200000 > . 4:4(0) ack 6",
    );
}

#[test]
fn mss_window_scale_and_timestamps_are_agreed_on() {
    let offer = |knobs: Knobs, mss: u16| {
        let setup = Setup { mss, rcv_buf: 500_000, window_shift: 4, ..Setup::default() };
        let mut pair = Pair::new(&knobs, &setup);
        pair.ends[1].setup.mss = 900;
        pair.ends[0].open();
        let mut seen = Vec::new();
        pair.run(secs(1), &mut |from, seg| {
            seen.push((seg.options.mss(), seg.options.window_scale(), seg.options.timestamps().is_some()));
            perfect(from, seg)
        });
        (seen, pair.ends[0].conn().send_mss(), pair.ends[0].conn().snd_view().wnd)
    };
    let plain = offer(Knobs::default(), 1460);
    assert_eq!(plain.0, [(Some(1460), None, false), (Some(900), None, false), (None, None, false)]);
    assert_eq!((plain.1, plain.2), (900, 65_535));
    let knobs = Knobs { timestamps: true, window_scale: true, ..Knobs::default() };
    let full = offer(knobs, 1460);
    assert_eq!(full.0, [(Some(1460), Some(4), true), (Some(900), Some(4), true), (None, None, true)]);
    assert_eq!(full.1, 888, "timestamps take 12 bytes");
}

#[test]
fn icmp_ends_an_attempt_and_not_a_connection() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         icmp host 0
         icmp port 7
         ! irrelevant ICMP
         icmp port 0
         = SYN-SENT -> CLOSED ECONNREFUSED",
    );
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S. 0:0(0) ack 1 win 9000 <mss 1460>
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1
         send 1460
         > P. 1:1461(1460) ack 1
         icmp port 1
         icmp 1040 1
         > . 1:1001(1000) ack 1
         > P. 1001:1461(460) ack 1",
    );
}

#[test]
fn a_soft_error_names_the_reason_of_a_timeout() {
    let mut end = End::new((1000, 80), Seq(1), Knobs::default(), Setup { syn_count: Some(0), ..Setup::default() });
    end.open();
    end.verb(|conn, cx| conn.on_icmp(cx, wirefate::wire::IcmpKind::HostUnreachable, Seq(1)));
    end.now = end.next_timeout().unwrap();
    end.on_timeout();
    assert_eq!((end.state(), end.error()), (State::Closed, Some(Errno::EHOSTUNREACH)));
}
