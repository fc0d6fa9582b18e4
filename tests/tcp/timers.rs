//! Keepalive, and what the timers tell.

use super::script::check_with;
use wirefate::endpoint::{TimerChange, TimerKind};
use wirefate::secs;
use wirefate::tcp::{KeepAlive, Knobs, Setup, TcpEvent};
use wirefate::time::HostTime;

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 5000
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

fn kept() -> Setup {
    Setup { keepalive: Some(KeepAlive { idle: secs(60), interval: secs(5), count: 3 }), ..Setup::default() }
}

#[test]
fn a_silent_peer_is_probed_and_given_up() {
    let script = "wait 100s
         @60.000000 > . 0:0(0) ack 1
         @65.000000 > . 0:0(0) ack 1
         @70.000000 > . 0:0(0) ack 1
         @75.000000 = ESTABLISHED -> CLOSED ETIMEDOUT";
    check_with(Knobs::default(), kept(), &format!("{OPEN}{script}"));
}

#[test]
fn an_answer_starts_the_silence_anew() {
    let script = "wait 40s
         < . 1:1(0) ack 1 win 5000
         wait 60s
         @100.000000 > . 0:0(0) ack 1
         < . 1:1(0) ack 1 win 5000
         wait 60s
         @160.000000 > . 0:0(0) ack 1";
    // The timer looks at 60 s, 100 s, 105 s and 160 s; only what it sends is seen.
    check_with(Knobs::default(), kept(), &format!("{OPEN}{script}"));
}

#[test]
fn the_other_side_answers_a_probe() {
    let script = "< . 0:0(0) ack 1 win 5000
         ! out of window
         > . 1:1(0) ack 1";
    check_with(Knobs::default(), Setup::default(), &format!("{OPEN}{script}"));
}

#[test]
fn timers_tell_what_they_did() {
    use super::end::End;
    use super::script::OURS;
    let mut end = End::new((1000, 80), OURS, Knobs::default(), Setup::default());
    end.open();
    let set = |at| TcpEvent::Timer { timer: TimerKind::Retransmit, change: TimerChange::Set(HostTime::ZERO + at) };
    assert!(end.events.contains(&set(secs(1))), "{:?}", end.events);
    end.now = HostTime::ZERO + secs(1);
    end.on_timeout();
    let change = TimerChange::Fired { after: secs(1), count: 1, next: Some(secs(2)) };
    assert!(end.events.contains(&TcpEvent::Timer { timer: TimerKind::Retransmit, change }), "{:?}", end.events);
    assert!(end.events.contains(&set(secs(3))));
}
