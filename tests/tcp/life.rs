//! The end of life as Linux has it, each rule beside the one of RFC 9293.

use super::script::check_with;
use wirefate::endpoint::Errno;
use wirefate::tcp::{CheckRule, ClosingRule, Knobs, Linger2, Setup, Ticks};
use wirefate::time::{ms, secs};

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 1000
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

/// Up to TIME-WAIT.
const CLOSED: &str = "close
    = ESTABLISHED -> FIN-WAIT-1
    > F. 1:1(0) ack 1
    < F. 1:1(0) ack 2 win 1000
    = FIN-WAIT-1 -> TIME-WAIT
    > . 2:2(0) ack 2\n";

/// Up to FIN-WAIT-2 that nobody owns.
const ORPHAN: &str = "stop
    close
    = ESTABLISHED -> FIN-WAIT-1
    > F. 1:1(0) ack 1
    < . 1:1(0) ack 2 win 1000
    = FIN-WAIT-1 -> FIN-WAIT-2\n";

fn linux() -> Knobs {
    Knobs {
        closing: ClosingRule::Linux,
        checks: CheckRule::Linux,
        time_wait: secs(60),
        fin_wait2: Some(secs(60)),
        ..Knobs::default()
    }
}

fn rfc() -> Knobs {
    Knobs { time_wait: secs(60), fin_wait2: Some(secs(60)), ..Knobs::default() }
}

fn check_open(knobs: Knobs, script: &str) {
    check_with(knobs, Setup::default(), &format!("{OPEN}{script}"));
}

fn check_closed(knobs: Knobs, script: &str) {
    check_open(knobs, &format!("{CLOSED}{script}"));
}

fn check_orphan(knobs: Knobs, script: &str) {
    check_open(knobs, &format!("{ORPHAN}{script}"));
}

#[test]
fn a_bare_ack_starts_time_wait_anew() {
    check_closed(
        linux(),
        "wait 10s
         < . 2:2(0) ack 2 win 1000
         wait 60s
         @70.000000 = TIME-WAIT -> CLOSED",
    );
    check_closed(
        rfc(),
        "wait 10s
         < . 2:2(0) ack 2 win 1000
         wait 60s
         @60.000000 = TIME-WAIT -> CLOSED",
    );
}

#[test]
fn old_data_starts_time_wait_anew_and_is_always_answered() {
    check_closed(
        linux(),
        "wait 10s
         < . 1:2(1) ack 2 win 1000
         ! out of window
         > . 2:2(0) ack 2
         < . 1:2(1) ack 2 win 1000
         ! out of window
         > . 2:2(0) ack 2
         wait 60s
         @70.000000 = TIME-WAIT -> CLOSED",
    );
}

/// One answer in 500 ms to what has no sequence numbers, and to SYNs that may not open.
#[test]
fn time_wait_limits_answers_to_empty_segments() {
    check_closed(
        linux(),
        "< . 1:1(0) ack 2 win 1000
         ! out of window
         > . 2:2(0) ack 2
         < . 1:1(0) ack 2 win 1000
         ! out of window, unanswered
         < S 1:1(0) win 1000
         ! out of window, unanswered
         wait 499ms
         < S 1:1(0) win 1000
         ! out of window, unanswered
         wait 1ms
         < S 1:1(0) win 1000
         ! out of window
         > . 2:2(0) ack 2
         wait 60s
         @60.000000 = TIME-WAIT -> CLOSED",
    );
}

#[test]
fn time_wait_assassination_follows_rfc1337() {
    check_closed(linux(), "< R 2:2(0)\n= TIME-WAIT -> CLOSED");
    let careful = Knobs { time_wait_ignores_rst: true, ..linux() };
    check_closed(
        careful,
        "wait 10s
         < R 2:2(0)
         ! RST ignored
         wait 50s
         @60.000000 = TIME-WAIT -> CLOSED",
    );
    for inexact in [1, 3] {
        check_closed(linux(), &format!("< R {inexact}:{inexact}(0)\n! RST ignored"));
    }
}

#[test]
fn a_syn_opens_beyond_the_old_number_only() {
    check_closed(linux(), "< S 2:2(0) win 1000\n! out of window\n> . 2:2(0) ack 2");
    check_closed(
        linux(),
        "< S 3:3(0) win 1000
         > S. 128002:128002(0) ack 4",
    );
}

#[test]
fn an_orphan_is_reset_by_data_and_by_any_rst_in_the_window() {
    check_orphan(linux(), "< P. 1:2(1) ack 2 win 1000\n! data after close\n= FIN-WAIT-2 -> CLOSED\n> R 2:2(0)");
    check_orphan(linux(), "< R 9:9(0)\n= FIN-WAIT-2 -> CLOSED");
    // Where the RFC wants an exact one, and says nothing to one outside.
    check_orphan(rfc(), "< R 9:9(0)\n! inexact RST\n> . 2:2(0) ack 1");
    check_orphan(linux(), "< R 0:0(0)\n! out of window\n> . 2:2(0) ack 1");
    check_orphan(rfc(), "< R 0:0(0)\n! RST ignored");
    check_orphan(
        linux(),
        "< S 1:1(0) win 1000
         ! no meaning
         = FIN-WAIT-2 -> CLOSED
         > R. 4294867296:4294867296(0) ack 2",
    );
}

/// Up to the length of TIME-WAIT, FIN-WAIT-2 lasts as long as it may; beyond, for twice the excess.
#[test]
fn a_long_fin_wait_2_is_two_waits() {
    for (lasts, ends) in [(secs(5), 5), (secs(60), 60), (secs(61), 2), (secs(90), 60)] {
        let knobs = Knobs { fin_wait2: Some(lasts), ..linux() };
        check_orphan(knobs, &format!("wait 100s\n@{ends}.000000 = FIN-WAIT-2 -> CLOSED"));
    }
    let knobs = Knobs { fin_wait2: Some(secs(90)), ..rfc() };
    check_orphan(knobs, "wait 100s\n@90.000000 = FIN-WAIT-2 -> CLOSED");
}

#[test]
fn linger2_takes_the_place_of_the_sysctl() {
    let script = |rest: &str| format!("{OPEN}{ORPHAN}{rest}");
    let setup = |linger2| Setup { linger2, ..Setup::default() };
    // Never shorter than 3.5 RTO: 1 s here.
    for (asked, ends) in [(ms(4_000), "4.000000"), (ms(2_000), "3.500000")] {
        let rest = format!("wait 100s\n@{ends} = FIN-WAIT-2 -> CLOSED");
        check_with(linux(), setup(Linger2::For(asked)), &script(&rest));
    }
    // The acknowledgment of the FIN is answered as one of no connection.
    check_with(linux(), setup(Linger2::Never), &script("= FIN-WAIT-2 -> CLOSED\n> R 2:2(0)"));
}

#[test]
fn a_challenge_is_answered_once_in_500_ms() {
    let script = |again: &str| {
        format!(
            "< R 9:9(0)
             ! inexact RST
             > . 1:1(0) ack 1
             wait 499ms
             < S 9:9(0) win 1000
             ! SYN challenged
             {again}wait 1ms
             < R 9:9(0)
             ! inexact RST
             > . 1:1(0) ack 1"
        )
    };
    check_open(linux(), &script(""));
    check_open(rfc(), &script("> . 1:1(0) ack 1\n"));
}

#[test]
fn a_rst_at_the_end_of_what_came_out_of_order_resets() {
    let script = |options: &str, at: u32, rest: &str| {
        let open = OPEN.replace("win 1000", &format!("win 1000{options}"));
        format!("{open}< . 11:21(10) ack 1 win 1000\n> . 1:1(0) ack 1\n< R {at}:{at}(0)\n{rest}")
    };
    let check = |knobs: Knobs, script: &str| check_with(Knobs { sack: true, ..knobs }, Setup::default(), script);
    let challenged = "! inexact RST\n> . 1:1(0) ack 1";
    check(linux(), &script(" <sackOK>", 21, "= ESTABLISHED -> CLOSED ECONNRESET"));
    check(linux(), &script(" <sackOK>", 20, challenged));
    check(linux(), &script("", 21, challenged));
    check(rfc(), &script(" <sackOK>", 21, challenged));
}

#[test]
fn a_rst_after_the_fin_has_its_own_error() {
    let script = |error: Errno| {
        format!(
            "< F. 1:1(0) ack 1 win 1000
             = ESTABLISHED -> CLOSE-WAIT
             > . 1:1(0) ack 2
             < R 2:2(0)
             = CLOSE-WAIT -> CLOSED {error}"
        )
    };
    check_open(Knobs { reset_after_fin: (Errno::EPIPE, None), ..linux() }, &script(Errno::EPIPE));
    check_open(linux(), &script(Errno::ECONNRESET));
}

/// A timestamp may be one tick older than the last one, and may be missing; RST needs none.
#[test]
fn old_timestamps_have_one_tick() {
    let knobs = Knobs { timestamps: true, ..linux() };
    let open = "open
        = CLOSED -> SYN-SENT
        > S 0:0(0)
        < S. 0:0(0) ack 1 win 1000 <TS val 1000 ecr 0>
        = SYN-SENT -> ESTABLISHED
        > . 1:1(0) ack 1\n";
    let data = |options: &str, rest: &str| format!("{open}< P. 1:2(1) ack 1 win 1000{options}\n{rest}");
    for (options, rest) in [
        (" <TS val 1000 ecr 0>", ""),
        (" <TS val 999 ecr 0>", ""),
        (" <TS val 998 ecr 0>", "! PAWS\n> . 1:1(0) ack 1"),
        ("", ""),
    ] {
        check_with(knobs.clone(), Setup::default(), &data(options, rest));
    }
    let reset = format!("{open}< R 1:1(0) <TS val 1 ecr 0>\n= ESTABLISHED -> CLOSED ECONNRESET");
    check_with(knobs, Setup::default(), &reset);
}

#[test]
fn a_bad_ack_brings_the_first_syn_again() {
    let syn = "open
        = CLOSED -> SYN-SENT
        > S 0:0(0)\n";
    let bad = "< . 5:5(0) ack 77 win 1000
        ! ack of unsent
        > R 77:77(0)\n";
    let knobs = Knobs { syn_again: Some(2), ticks: Ticks { length: Some(ms(4)), ..Ticks::default() }, ..linux() };
    let check = |knobs: &Knobs, script: &str| check_with(knobs.clone(), Setup::default(), script);
    check(&knobs, &format!("{syn}{bad}wait 500ms\n@0.008000 > S 0:0(0)"));
    check(&Knobs { syn_again: None, ..knobs.clone() }, &format!("{syn}{bad}wait 500ms"));
    // Not once it has gone again by itself.
    check(&knobs, &format!("{syn}wait 1s\n@1.000000 > S 0:0(0)\n{bad}wait 500ms"));
}

#[test]
fn a_syn_ack_opens_and_nothing_else() {
    let script = "open
        = CLOSED -> SYN-SENT
        > S 0:0(0)
        < SF. 0:3(3) ack 1 win 1000
        = SYN-SENT -> ESTABLISHED\n";
    let check = |knobs: Knobs, rest: &str| check_with(knobs, Setup::default(), &format!("{script}{rest}"));
    check(Knobs { syn_ack_text: false, ..linux() }, "> . 1:1(0) ack 1");
    check(linux(), "= ESTABLISHED -> CLOSE-WAIT\n> . 1:1(0) ack 5");
}
