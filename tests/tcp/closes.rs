//! Every order of closing: figures 12 and 13 of RFC 9293, half-close, abort, TIME-WAIT.

use super::pair::{Pair, perfect};
use super::script::{check, check_with};
use wirefate::endpoint::{MsgFlags, State};
use wirefate::tcp::{CheckRule, Knobs, Setup};
use wirefate::time::{Span, ms, secs};
use wirefate::wire::{Flags, Segment};

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 1000
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

fn check_open(script: &str) {
    check(&format!("{OPEN}{script}"));
}

#[test]
fn figure_12_normal_close() {
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < . 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> FIN-WAIT-2
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-2 -> TIME-WAIT
         > . 2:2(0) ack 2
         wait 240s
         @240.000000 = TIME-WAIT -> CLOSED",
    );
    check_open(
        "< F. 1:1(0) ack 1 win 1000
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 2
         close
         = CLOSE-WAIT -> LAST-ACK
         > F. 1:1(0) ack 2
         < . 2:2(0) ack 2 win 1000
         = LAST-ACK -> CLOSED",
    );
}

#[test]
fn figure_13_simultaneous_close() {
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 1 win 1000
         = FIN-WAIT-1 -> CLOSING
         > . 2:2(0) ack 2
         < . 2:2(0) ack 2 win 1000
         = CLOSING -> TIME-WAIT",
    );
    let mut pair = Pair::new(&Knobs::default(), &Setup::default());
    pair.ends[0].open();
    pair.run(secs(1), &mut perfect);
    for end in &mut pair.ends {
        end.verb(|conn, cx| conn.close(cx));
    }
    pair.run(secs(1), &mut perfect);
    assert_eq!(pair.states(), [State::TimeWait; 2]);
    pair.run(secs(240), &mut perfect);
    assert_eq!(pair.states(), [State::Closed; 2]);
}

/// A FIN that neither end has sent leaves each outside the window of the other (RFC 5961 7).
#[test]
fn a_forged_fin_makes_no_storm() {
    let sent = |knobs: &Knobs| {
        let mut pair = Pair::new(knobs, &Setup::default());
        pair.ends[0].open();
        pair.run(secs(1), &mut perfect);
        let [snd, rcv] = [0, 1].map(|end: usize| pair.ends[end].conn().snd_view());
        let forged = Segment {
            src_port: 1000,
            dst_port: 80,
            seq: snd.nxt,
            ack: rcv.nxt,
            flags: Flags::FIN | Flags::ACK,
            window: 1000,
            ..Segment::default()
        };
        let before = pair.segments;
        pair.ends[1].arrive(&forged);
        pair.run(secs(60), &mut perfect);
        pair.segments - before
    };
    let unlimited = Knobs { empty_answers: Span::ZERO, challenge_acks: None, ..Knobs::default() };
    assert_eq!(sent(&unlimited), 6_001);
    // The ACK of the forged FIN, the challenge to it, and one answer to that with its challenge.
    assert_eq!(sent(&Knobs { challenge_acks: None, ..Knobs::default() }), 4);
    assert_eq!(sent(&Knobs::default()), 4);
}

fn bsd() -> Knobs {
    Knobs { checks: CheckRule::Bsd, challenge_acks: None, empty_answers: ms(200), ..Knobs::default() }
}

/// BSD repeats its FIN with every acknowledgment. Where something is lost ahead of both FINs each repetition would be
/// answered by the other's.
#[test]
fn two_ends_that_repeat_their_fins_fall_silent() {
    let mut pair = Pair::new(&bsd(), &Setup::default());
    pair.ends[0].open();
    pair.run(ms(100), &mut perfect);
    for end in &mut pair.ends {
        end.verb(|conn, cx| _ = conn.send(cx, &"lost".into(), MsgFlags::empty()));
        end.verb(|conn, cx| conn.close(cx));
    }
    let mut fins = 0;
    pair.run(ms(600), &mut |_, seg| {
        fins += u32::from(seg.flags.contains(Flags::FIN));
        if seg.payload.is_empty() { vec![ms(10)] } else { vec![] }
    });
    // Ours, one with the answer to the peer's, and one with the answer to the first that came again.
    assert_eq!((pair.states(), fins), ([State::FinWait1; 2], 2 * 3));
}

/// Each has heard a FIN, and text, that the other has not sent, and acknowledges it with its own FIN.
#[test]
fn two_ends_that_acknowledge_what_was_not_sent_fall_silent() {
    let mut pair = Pair::new(&bsd(), &Setup::default());
    pair.ends[0].open();
    pair.run(ms(100), &mut perfect);
    for end in [0, 1] {
        let snd = pair.ends[1 - end].conn().snd_view();
        let (src_port, dst_port) = [(80, 1000), (1000, 80)][end];
        let ack = pair.ends[end].conn().snd_view().nxt;
        let (seq, flags) = (snd.nxt, Flags::FIN | Flags::ACK);
        let text = Segment { src_port, dst_port, seq, ack, flags, window: 1000, ..Segment::default() };
        pair.ends[end].arrive(&Segment { payload: "never sent".into(), ..text });
    }
    for end in &mut pair.ends {
        end.verb(|conn, cx| conn.close(cx));
    }
    let before = pair.segments;
    pair.run(ms(600), &mut |_, _| vec![ms(10)]);
    assert_eq!(pair.states(), [State::LastAck; 2]);
    assert!(pair.segments - before <= 10, "{}", pair.segments - before);
}

#[test]
fn fin_and_ack_of_fin_together_make_one_transition() {
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> TIME-WAIT
         > . 2:2(0) ack 2",
    );
}

#[test]
fn data_flows_to_a_half_closed_end_and_comes_with_its_fin() {
    check_open(
        "send 100
         > P. 1:101(100) ack 1
         close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 101:101(0) ack 1
         < . 1:1(0) ack 102 win 1000
         = FIN-WAIT-1 -> FIN-WAIT-2
         < P. 1:501(500) ack 102 win 1000
         < FP. 501:601(100) ack 102 win 1000
         = FIN-WAIT-2 -> TIME-WAIT
         > . 102:102(0) ack 602",
    );
    check_open(
        "< F. 1:1(0) ack 1 win 1000
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 2
         cork on
         send 100
         close
         = CLOSE-WAIT -> LAST-ACK
         > FP. 1:101(100) ack 2
         < . 2:2(0) ack 102 win 1000
         = LAST-ACK -> CLOSED",
    );
}

#[test]
fn a_fin_waits_for_the_data_before_it() {
    check_open(
        "< F. 101:101(0) ack 1 win 1000
         > . 1:1(0) ack 1
         < P. 1:101(100) ack 1 win 1000
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 102",
    );
}

#[test]
fn time_wait_answers_old_segments_and_restarts_on_the_fin_alone() {
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> TIME-WAIT
         > . 2:2(0) ack 2
         wait 100s
         < P. 1:1(0) ack 2 win 1000
         ! out of window
         > . 2:2(0) ack 2
         wait 100s
         < F. 1:1(0) ack 2 win 1000
         > . 2:2(0) ack 2
         wait 239s
         < R 5:5(0)
         ! inexact RST
         > . 2:2(0) ack 2
         wait 1s
         @440.000000 = TIME-WAIT -> CLOSED",
    );
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> TIME-WAIT
         > . 2:2(0) ack 2
         < R 2:2(0)
         = TIME-WAIT -> CLOSED",
    );
}

#[test]
fn rfc_1337_keeps_time_wait_from_being_assassinated() {
    let knobs = Knobs { time_wait_ignores_rst: true, ..Knobs::default() };
    let script = "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> TIME-WAIT
         > . 2:2(0) ack 2
         < R 2:2(0)
         ! RST ignored
         wait 240s
         @240.000000 = TIME-WAIT -> CLOSED";
    check_with(knobs, Setup::default(), &format!("{OPEN}{script}"));
}

#[test]
fn a_new_syn_reopens_time_wait_and_an_old_one_does_not() {
    check_open(
        "close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> TIME-WAIT
         > . 2:2(0) ack 2
         < S 2:2(0) win 1000
         ! SYN challenged
         > . 2:2(0) ack 2
         < S 3:3(0) win 1000
         > S. 128002:128002(0) ack 4",
    );
}

#[test]
fn closing_while_connecting_forgets_and_while_received_waits() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         close
         = SYN-SENT -> CLOSED",
    );
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S 0:0(0) win 1000
         = SYN-SENT -> SYN-RECEIVED
         > S. 0:0(0) ack 1
         close
         < . 1:1(0) ack 1 win 1000
         = SYN-RECEIVED -> ESTABLISHED
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1",
    );
}

#[test]
fn abort_resets() {
    check_open(
        "abort
         = ESTABLISHED -> CLOSED
         > R. 1:1(0) ack 1",
    );
}

#[test]
fn closing_with_unread_data_resets_and_so_does_data_after_the_close() {
    check_open(
        "hold
         < P. 1:11(10) ack 1 win 1000
         stop
         = ESTABLISHED -> CLOSED
         > R. 1:1(0) ack 11",
    );
    check_open(
        "stop
         close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < . 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> FIN-WAIT-2
         < P. 1:11(10) ack 2 win 1000
         ! data after close
         = FIN-WAIT-2 -> CLOSED
         > R 2:2(0)",
    );
}

#[test]
fn fin_wait_2_without_owner_ends_by_time_and_by_fin() {
    let limited = Knobs { fin_wait2: Some(secs(60)), ..Knobs::default() };
    let script = "stop
         close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 1:1(0) ack 1
         < . 1:1(0) ack 2 win 1000
         = FIN-WAIT-1 -> FIN-WAIT-2\n";
    let ends = "wait 60s
         @60.000000 = FIN-WAIT-2 -> CLOSED";
    check_with(limited.clone(), Setup::default(), &format!("{OPEN}{script}{ends}"));
    let fin = "< F. 1:1(0) ack 2 win 1000
         = FIN-WAIT-2 -> TIME-WAIT
         > . 2:2(0) ack 2
         wait 240s
         @240.000000 = TIME-WAIT -> CLOSED";
    check_with(limited.clone(), Setup::default(), &format!("{OPEN}{script}{fin}"));
    let data = "< P. 1:11(10) ack 2 win 1000
         ! data after close
         = FIN-WAIT-2 -> CLOSED
         > R 2:2(0)";
    check_with(limited, Setup::default(), &format!("{OPEN}{script}{data}"));
}

#[test]
fn a_reset_ends_closing_states_without_an_error() {
    check_open(
        "< F. 1:1(0) ack 1 win 1000
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 2
         close
         = CLOSE-WAIT -> LAST-ACK
         > F. 1:1(0) ack 2
         < R 2:2(0)
         = LAST-ACK -> CLOSED",
    );
}
