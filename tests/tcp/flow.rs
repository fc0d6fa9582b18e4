//! Windows, Nagle, silly windows, delayed ACKs.

use super::script::{check, check_with};
use wirefate::tcp::{Knobs, Setup};

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 5000 <mss 1000>
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

#[track_caller]
fn check_open(script: &str) {
    check(&format!("{OPEN}{script}"));
}

#[test]
fn nagle_holds_a_small_segment_while_one_is_in_flight() {
    check_open(
        "send 10
         > P. 1:11(10) ack 1
         send 10
         send 10
         < . 1:1(0) ack 11 win 5000
         > P. 11:31(20) ack 1
         send 999
         send 1
         > P. 31:1031(1000) ack 1
         nodelay
         send 5
         > P. 1031:1036(5) ack 1",
    );
}

#[test]
fn a_cork_and_msg_more_hold_until_pulled_filled_or_overridden() {
    check_open(
        "cork on
         send 10
         send 995
         > . 1:1001(1000) ack 1
         < . 1:1(0) ack 1001 win 5000
         cork off
         > P. 1001:1006(5) ack 1
         < . 1:1(0) ack 1006 win 5000
         more 7
         wait 1s
         @0.500000 > P. 1006:1013(7) ack 1
         < . 1:1(0) ack 1013 win 5000
         more 7
         send 1
         > P. 1013:1021(8) ack 1",
    );
}

#[test]
fn every_second_full_segment_is_acknowledged_at_once_and_one_alone_within_the_delay() {
    check_open(
        "< P. 1:1001(1000) ack 1 win 5000
         < P. 1001:2001(1000) ack 1 win 5000
         > . 1:1(0) ack 2001
         < P. 2001:3001(1000) ack 1 win 5000
         wait 199ms
         wait 1ms
         @0.200000 > . 1:1(0) ack 3001
         < P. 3001:3101(100) ack 1 win 5000
         send 10
         > P. 1:11(10) ack 3101
         wait 500ms",
    );
}

#[test]
fn gaps_are_acknowledged_at_once_when_they_open_and_when_they_close() {
    check_open(
        "< P. 101:201(100) ack 1 win 5000
         > . 1:1(0) ack 1
         < P. 301:401(100) ack 1 win 5000
         > . 1:1(0) ack 1
         < P. 1:101(100) ack 1 win 5000
         > . 1:1(0) ack 201
         < P. 201:301(100) ack 1 win 5000
         > . 1:1(0) ack 401
         < P. 301:401(100) ack 1 win 5000
         > . 1:1(0) ack 401",
    );
}

#[test]
fn a_closed_window_is_probed_at_doubling_intervals_as_long_as_it_takes() {
    check_open(
        "send 10
         > P. 1:11(10) ack 1
         < . 1:1(0) ack 11 win 0
         send 100
         wait 100s
         @1.000000 > . 11:12(1) ack 1
         @3.000000 > . 11:12(1) ack 1
         @7.000000 > . 11:12(1) ack 1
         @15.000000 > . 11:12(1) ack 1
         @31.000000 > . 11:12(1) ack 1
         @63.000000 > . 11:12(1) ack 1
         < . 1:1(0) ack 11 win 0
         wait 90s
         @123.000000 > . 11:12(1) ack 1
         @183.000000 > . 11:12(1) ack 1
         < . 1:1(0) ack 12 win 500
         > P. 12:111(99) ack 1",
    );
}

#[test]
fn a_probe_that_finds_no_answer_for_r2_ends_the_connection() {
    check_open(
        "< . 1:1(0) ack 1 win 0
         send 100
         wait 300s
         @1.000000 > . 1:2(1) ack 1
         @3.000000 > . 1:2(1) ack 1
         @7.000000 > . 1:2(1) ack 1
         @15.000000 > . 1:2(1) ack 1
         @31.000000 > . 1:2(1) ack 1
         @63.000000 > . 1:2(1) ack 1
         @123.000000 = ESTABLISHED -> CLOSED ETIMEDOUT",
    );
}

#[test]
fn the_sender_takes_no_small_bites_of_a_window() {
    check_open(
        "send 10
         > P. 1:11(10) ack 1
         < . 1:1(0) ack 11 win 300
         send 900
         wait 1s
         @0.500000 > . 11:311(300) ack 1
         < . 1:1(0) ack 311 win 2500
         > P. 311:911(600) ack 1",
    );
}

#[test]
fn the_receiver_closes_its_window_and_opens_it_by_a_worthwhile_step() {
    let setup = Setup { rcv_buf: 2_000, mss: 1_000, ..Setup::default() };
    let script = "win
         open
         = CLOSED -> SYN-SENT
         > S 0:0(0) win 2000
         < S. 0:0(0) ack 1 win 5000 <mss 1000>
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1 win 2000
         hold
         < P. 1:1001(1000) ack 1 win 5000
         < P. 1001:2001(1000) ack 1 win 5000
         > . 1:1(0) ack 2001 win 0
         < P. 2001:2002(1) ack 1 win 5000
         ! buffer full
         > . 1:1(0) ack 2001 win 0
         < R 2002:2002(0)
         ! RST ignored
         read 999
         read 1
         > . 1:1(0) ack 2001 win 1000";
    check_with(Knobs::default(), setup, script);
}

#[test]
fn an_acknowledgment_counts_though_the_window_is_closed_to_its_data() {
    let setup = Setup { rcv_buf: 1_000, ..Setup::default() };
    let script = "open
         = CLOSED -> SYN-SENT
         > S 0:0(0)
         < S. 0:0(0) ack 1 win 5000 <mss 1000>
         = SYN-SENT -> ESTABLISHED
         > . 1:1(0) ack 1
         hold
         < P. 1:1001(1000) ack 1 win 5000
         wait 200ms
         @0.200000 > . 1:1(0) ack 1001
         send 10
         > P. 1:11(10) ack 1001
         send 10
         < P. 1001:1002(1) ack 11 win 5000
         ! buffer full
         > P. 11:21(10) ack 1001";
    check_with(Knobs::default(), setup, script);
}
