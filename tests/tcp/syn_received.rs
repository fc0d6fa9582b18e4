//! A half-open connection by the rules of `tcp_check_req()`.

use super::script::{check, check_with};
use wirefate::tcp::{GiveUp, Knobs, Setup, SynReceivedRule};

fn linux(script: &str) {
    let knobs = Knobs {
        syn_received: SynReceivedRule::Linux,
        synack_give_up: GiveUp::Retries(2),
        timestamps: true,
        ..Knobs::default()
    };
    let setup = Setup { rcv_buf: 1_000, ..Setup::default() };
    check_with(knobs, setup, &format!("listen\n< S 0:0(0) win 1000 <TS val 500 ecr 0>\n> S. 0:0(0) ack 1\n{script}"));
}

#[test]
fn a_syn_in_the_window_ends_it() {
    for (seq, end) in [(1, 2), (4, 5), (1_000, 1_001)] {
        linux(&format!(
            "< S {seq}:{seq}(0) win 1000 <TS val 500 ecr 0>
             = SYN-RECEIVED -> CLOSED
             > R. 4294867296:4294867296(0) ack {end}"
        ));
    }
    // One outside, on either side, is challenged.
    for seq in [1_001, u32::MAX] {
        linux(&format!(
            "< S {seq}:{seq}(0) win 1000 <TS val 500 ecr 0>
             ! out of window
             > . 1:1(0) ack 1"
        ));
    }
    // The RFC has no reset for it.
    check(
        "listen
         < S 0:0(0) win 1000
         > S. 0:0(0) ack 1
         < S 4:4(0) win 1000
         = SYN-RECEIVED -> CLOSED",
    );
}

#[test]
fn the_same_syn_is_answered_as_before_and_its_timer_starts_anew() {
    linux(
        "wait 900 ms
         < S 0:0(0) win 1000 <TS val 1400 ecr 0>
         > S. 0:0(0) ack 1
         wait 499 ms
         < S 0:0(0) win 1000 <TS val 1899 ecr 0>
         ! out of window, unanswered
         wait 500 ms
         < S 0:0(0) win 1000 <TS val 2399 ecr 0>
         > S. 0:0(0) ack 1
         wait 10 s
         @2.899000 > S. 0:0(0) ack 1
         @4.899000 > S. 0:0(0) ack 1
         @8.899000 = SYN-RECEIVED -> CLOSED",
    );
}

#[test]
fn a_wrong_acknowledgment_is_reset_and_changes_nothing() {
    for ack in [0, 2, 100] {
        linux(&format!(
            "< . 1:1(0) ack {ack} win 1000 <TS val 500 ecr 0>
             > R {ack}:{ack}(0)
             < . 1:1(0) ack 1 win 1000 <TS val 500 ecr 0>
             = SYN-RECEIVED -> ESTABLISHED"
        ));
    }
    // What a RST acknowledges does not matter.
    linux("< R. 1:1(0) ack 2 <TS val 500 ecr 0>\n= SYN-RECEIVED -> CLOSED");
}

#[test]
fn only_the_exact_reset_ends_it() {
    linux(
        "< R 0:0(0) <TS val 500 ecr 0>
         ! out of window
         < R 1002:1002(0) <TS val 500 ecr 0>
         ! out of window
         < R 1001:1001(0) <TS val 500 ecr 0>
         ! inexact RST
         > . 1:1(0) ack 1
         # Once in 500 ms, whatever it has.
         < R 2:2(0) <TS val 500 ecr 0>
         ! inexact RST
         < R 2:7(5) <TS val 500 ecr 0>
         ! inexact RST
         wait 500 ms
         < R 2:2(0) <TS val 500 ecr 0>
         ! inexact RST
         > . 1:1(0) ack 1
         < R 1:1(0) <TS val 500 ecr 0>
         = SYN-RECEIVED -> CLOSED",
    );
}

#[test]
fn what_lies_outside_is_answered_twice_a_second_at_most() {
    linux(
        "< . 1002:1002(0) ack 1 win 1000 <TS val 500 ecr 0>
         ! out of window
         > . 1:1(0) ack 1
         wait 499 ms
         < . 1002:1002(0) ack 1 win 1000 <TS val 500 ecr 0>
         ! out of window, unanswered
         # Data is answered always.
         < . 1002:1007(5) ack 1 win 1000 <TS val 500 ecr 0>
         ! out of window
         > . 1:1(0) ack 1
         wait 1 ms
         < . 1002:1002(0) ack 1 win 1000 <TS val 500 ecr 0>
         ! out of window
         > . 1:1(0) ack 1",
    );
}

#[test]
fn timestamps_are_neither_older_than_the_syn_nor_echo_what_was_never_sent() {
    linux(
        "wait 10 ms
         < . 1:1(0) ack 1 win 1000 <TS val 499 ecr 0>
         ! PAWS
         > . 1:1(0) ack 1
         < P. 1:6(5) ack 1 win 1000 <TS val 510 ecr 1>
         ! PAWS
         > . 1:1(0) ack 1
         < P. 1:6(5) ack 1 win 1000 <TS val 510 ecr 0>
         = SYN-RECEIVED -> ESTABLISHED",
    );
    // After one more SYN-ACK both times are known, and those between.
    for (echo, believed) in [(0, true), (1_000, true), (1_001, false)] {
        let answer = if believed { "= SYN-RECEIVED -> ESTABLISHED" } else { "! PAWS\n> . 1:1(0) ack 1" };
        linux(&format!(
            "wait 1 s
             @1.000000 > S. 0:0(0) ack 1
             < . 1:1(0) ack 1 win 1000 <TS val 510 ecr {echo}>
             {answer}"
        ));
    }
}

#[test]
fn what_carries_no_ack_is_ignored() {
    linux(
        "< P 1:6(5) win 1000 <TS val 500 ecr 0>
         ! no ACK
         < F 1:1(0) win 1000 <TS val 500 ecr 0>
         ! no ACK
         < FP. 1:6(5) ack 1 win 1000 <TS val 500 ecr 0>
         = SYN-RECEIVED -> ESTABLISHED
         = ESTABLISHED -> CLOSE-WAIT
         > . 1:1(0) ack 7",
    );
}
