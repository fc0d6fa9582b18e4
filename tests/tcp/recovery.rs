//! Retransmission: RFC 6298, RFC 5681, RFC 6582.

use super::script::{check, check_with};
use wirefate::secs;
use wirefate::tcp::{GiveUp, Knobs, Setup};

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 20000 <mss 1000>
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

#[test]
fn syns_back_off_and_give_up_after_three_minutes() {
    check(
        "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         wait 300s
         @1.000000 > S 0:0(0)
         @3.000000 > S 0:0(0)
         @7.000000 > S 0:0(0)
         @15.000000 > S 0:0(0)
         @31.000000 > S 0:0(0)
         @63.000000 > S 0:0(0)
         @123.000000 > S 0:0(0)
         @180.000000 = SYN-SENT -> CLOSED ETIMEDOUT",
    );
}

#[test]
fn the_first_syn_timeouts_may_be_linear_and_are_counted() {
    let knobs = Knobs { syn_linear_timeouts: 2, syn_give_up: GiveUp::Retries(4), ..Knobs::default() };
    let script = "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         wait 300s
         @1.000000 > S 0:0(0)
         @2.000000 > S 0:0(0)
         @3.000000 > S 0:0(0)
         @5.000000 > S 0:0(0)
         @9.000000 = SYN-SENT -> CLOSED ETIMEDOUT";
    check_with(knobs, Setup::default(), script);
}

#[test]
fn data_is_sent_again_and_given_up_after_r2() {
    let script = "send 10
         > P. 1:11(10) ack 1
         wait 300s
         @1.000000 > P. 1:11(10) ack 1
         @3.000000 > P. 1:11(10) ack 1
         @7.000000 > P. 1:11(10) ack 1
         @15.000000 > P. 1:11(10) ack 1
         @31.000000 > P. 1:11(10) ack 1
         @63.000000 > P. 1:11(10) ack 1
         @100.000000 = ESTABLISHED -> CLOSED ETIMEDOUT";
    check(&format!("{OPEN}{script}"));
}

#[test]
fn a_user_timeout_takes_the_place_of_r2() {
    let setup = Setup { user_timeout: Some(secs(5)), ..Setup::default() };
    let script = "send 10
         > P. 1:11(10) ack 1
         wait 300s
         @1.000000 > P. 1:11(10) ack 1
         @3.000000 > P. 1:11(10) ack 1
         @5.000000 = ESTABLISHED -> CLOSED ETIMEDOUT";
    check_with(Knobs::default(), setup, &format!("{OPEN}{script}"));
}

#[test]
fn a_lost_fin_is_sent_again_with_the_data_it_followed() {
    let script = "send 10
         > P. 1:11(10) ack 1
         close
         = ESTABLISHED -> FIN-WAIT-1
         > F. 11:11(0) ack 1
         wait 1s
         @1.000000 > FP. 1:11(10) ack 1
         < . 1:1(0) ack 12 win 20000
         = FIN-WAIT-1 -> FIN-WAIT-2";
    check(&format!("{OPEN}{script}"));
}

#[test]
fn three_duplicate_acks_send_the_hole_again_and_partial_acks_the_next() {
    let knobs = Knobs { initial_window: Some(6), ..Knobs::default() };
    let script = "send 6000
         > . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         > . 3001:4001(1000) ack 1
         > . 4001:5001(1000) ack 1
         > P. 5001:6001(1000) ack 1
         # 1001 and 3001 are lost
         < . 1:1(0) ack 1001 win 20000
         < . 1:1(0) ack 1001 win 20000
         < . 1:1(0) ack 1001 win 20000
         < . 1:1(0) ack 1001 win 20000
         > . 1001:2001(1000) ack 1
         < . 1:1(0) ack 3001 win 20000
         > . 3001:4001(1000) ack 1
         < . 1:1(0) ack 6001 win 20000
         wait 10s";
    check_with(knobs, Setup::default(), &format!("{OPEN}{script}"));
}

#[test]
fn a_timeout_sends_all_again_in_slow_start() {
    let knobs = Knobs { initial_window: Some(4), ..Knobs::default() };
    let script = "send 4000
         > . 1:1001(1000) ack 1
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         > P. 3001:4001(1000) ack 1
         wait 1s
         @1.000000 > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1001 win 20000
         > . 1001:2001(1000) ack 1
         > . 2001:3001(1000) ack 1
         < . 1:1(0) ack 4001 win 20000
         wait 10s";
    check_with(knobs, Setup::default(), &format!("{OPEN}{script}"));
}

#[test]
fn a_shrunken_window_is_probed_by_the_first_segment_and_does_not_kill() {
    let script = "send 10
         > P. 1:11(10) ack 1
         < . 1:1(0) ack 1 win 0
         wait 63s
         @1.000000 > P. 1:11(10) ack 1
         @3.000000 > P. 1:11(10) ack 1
         @7.000000 > P. 1:11(10) ack 1
         @15.000000 > P. 1:11(10) ack 1
         @31.000000 > P. 1:11(10) ack 1
         @63.000000 > P. 1:11(10) ack 1
         < . 1:1(0) ack 1 win 0
         # the next was cut short to the end of R2, which the ACK has moved
         wait 60s
         @100.000000 > P. 1:11(10) ack 1
         < . 1:1(0) ack 11 win 100";
    check(&format!("{OPEN}{script}"));
}
