//! Keepalive, and what the timers tell.

use super::pair::{Pair, perfect};
use super::script::check_with;
use wirefate::endpoint::{Errno, TimerChange, TimerKind};
use wirefate::secs;
use wirefate::tcp::{KeepAlive, Knobs, Setup, TcpEvent};
use wirefate::time::{HostTime, ms};

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

#[test]
fn the_user_timeout_tells_that_it_ended_a_connection() {
    use super::end::End;
    use super::script::OURS;
    let setup = Setup { user_timeout: Some(ms(1_500)), ..Setup::default() };
    let mut end = End::new((1000, 80), OURS, Knobs::default(), setup);
    end.open();
    for at in [1_000, 1_500] {
        end.now = HostTime::ZERO + ms(at);
        end.on_timeout();
    }
    let change = TimerChange::Fired { after: ms(1_500), count: 1, next: None };
    assert!(end.events.contains(&TcpEvent::Timer { timer: TimerKind::User, change }), "{:?}", end.events);
    assert_eq!(end.error(), Some(Errno::ETIMEDOUT));
}

#[test]
fn the_end_of_time_wait_and_of_an_orphan_is_told() {
    let fired = |timer, after| {
        let change = TimerChange::Fired { after, count: 1, next: None };
        TcpEvent::Timer { timer, change }
    };
    let mut pair = Pair::new(&Knobs { fin_wait2: Some(secs(60)), ..Knobs::default() }, &Setup::default());
    pair.ends[0].open();
    pair.run(secs(1), &mut perfect);
    pair.ends[0].verb(|conn, cx| {
        conn.close(cx);
        conn.stop_receiving(cx);
    });
    pair.run(secs(61), &mut perfect);
    assert!(pair.ends[0].events.contains(&fired(TimerKind::FinWait2, secs(60))), "{:?}", pair.ends[0].events);
    let mut pair = Pair::new(&Knobs::default(), &Setup::default());
    pair.ends[0].open();
    pair.run(secs(1), &mut perfect);
    for end in &mut pair.ends {
        end.verb(|conn, cx| conn.close(cx));
    }
    pair.run(secs(241), &mut perfect);
    assert!(pair.ends[0].events.contains(&fired(TimerKind::TimeWait, secs(240))), "{:?}", pair.ends[0].events);
}
