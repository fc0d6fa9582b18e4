//! RFC 9293, figures 5 to 13, with their numbers.

use super::stage::{both, check};
use wirefate::endpoint::State;
use wirefate::host::{Host, HostConfig, Profile};
use wirefate::matrix::{Diagram, Matrix};

/// Every profile does as the figure shows.
fn all(a: &[u32], b: &[u32], script: &str) {
    for profile in Profile::ALL {
        check(&both(profile, a, b).plain(), script);
    }
}

/// Figure 5, and note 2 below it: every way of the diagram is found by trying, whatever the profile.
#[test]
fn figure_5_connection_states() {
    use State::*;
    for profile in Profile::ALL {
        let config = HostConfig { profile, ..HostConfig::named("subject") };
        let diagram = Diagram::of(&Matrix::of(|| Box::new(Host::new(config.clone(), 1).unwrap())));
        for (from, to) in [
            (Closed, Listen),
            (Closed, SynSent),
            (Listen, Closed),
            (Listen, SynReceived),
            (SynSent, Closed),
            (SynSent, SynReceived),
            (SynSent, Established),
            (SynReceived, Listen),
            (SynReceived, Established),
            (Established, FinWait1),
            (Established, CloseWait),
            (FinWait1, FinWait2),
            (FinWait1, Closing),
            (FinWait1, TimeWait),
            (FinWait2, TimeWait),
            (CloseWait, LastAck),
            (Closing, TimeWait),
            (LastAck, Closed),
            (TimeWait, Closed),
        ] {
            let has = diagram.edges.iter().any(|edge| (edge.from, edge.to) == (from, to));
            assert!(has, "{profile}: {from} -> {to}\n{diagram}");
        }
    }
}

#[test]
fn figure_6_basic_three_way_handshake() {
    let script = "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
A send 5
A > P. 101:106(5) ack 301
B takes
";
    for profile in Profile::ALL {
        // The first segments of a connection are acknowledged at once on Linux.
        let more = if profile == Profile::Linux { "B > . 301:301(0) ack 106" } else { "" };
        check(&both(profile, &[100], &[300]).plain(), &[script, more].concat());
    }
}

/// On Linux the SYN-ACK that comes is a duplicate of the SYN that came, and is acknowledged.
#[test]
fn figure_7_simultaneous_open() {
    let script = "
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B open
B = CLOSED -> SYN-SENT
B > S 300:300(0)
A takes
A = SYN-SENT -> SYN-RECEIVED
A > S. 100:100(0) ack 301
B takes
B = SYN-SENT -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-RECEIVED -> ESTABLISHED
B takes
B = SYN-RECEIVED -> ESTABLISHED
";
    for profile in [Profile::Rfc9293, Profile::FreeBsd, Profile::Windows] {
        check(&both(profile, &[100], &[300]).plain(), script);
    }
    let a = "A = SYN-RECEIVED -> ESTABLISHED";
    let b = "B = SYN-RECEIVED -> ESTABLISHED";
    let linux = script.replace(a, &format!("{a}\nA > . 101:101(0) ack 301"));
    let linux = linux.replace(b, &format!("{b}\nB > . 301:301(0) ack 101"));
    check(&both(Profile::Linux, &[100], &[300]).plain(), &linux);
}

#[test]
fn figure_8_recovery_from_old_duplicate_syn() {
    all(
        &[100],
        &[300, 400],
        "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B < S 90:90(0)
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 91
A takes
A ! ack of unsent
A > R 91:91(0)
B takes 2
B = SYN-RECEIVED -> CLOSED
B takes 1
B = LISTEN -> SYN-RECEIVED
B > S. 400:400(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 401
B takes 3
B = SYN-RECEIVED -> ESTABLISHED
",
    );
}

#[test]
fn figure_9_half_open_connection_discovery() {
    all(
        &[100, 400],
        &[300, 500],
        "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
A crash
A open
A = CLOSED -> SYN-SENT
A > S 400:400(0)
B takes
B ! SYN challenged
B > . 301:301(0) ack 101
A takes
A ! ack of unsent
A > R 101:101(0)
B takes
B = ESTABLISHED -> CLOSED ECONNRESET
wait 1s
A > S 400:400(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 500:500(0) ack 401
",
    );
}

#[test]
fn figure_10_active_side_causes_half_open_connection_discovery() {
    all(
        &[100],
        &[300],
        "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
B accept
A crash
B send 10
B > P. 301:311(10) ack 101
A takes
A ! no socket
A > R 101:101(0)
B takes
B = ESTABLISHED -> CLOSED ECONNRESET
",
    );
}

#[test]
fn figure_11_old_duplicate_syn_initiates_a_reset_on_two_passive_sockets() {
    all(
        &[100],
        &[300],
        "
A listen
B listen
B < S 90:90(0)
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 91
A takes
A ! no meaning
A > R 91:91(0)
B takes
B = SYN-RECEIVED -> CLOSED
",
    );
}

#[test]
fn figure_12_normal_close() {
    let script = "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
B accept
A close
A = ESTABLISHED -> FIN-WAIT-1
A > F. 101:101(0) ack 301
B takes
B = ESTABLISHED -> CLOSE-WAIT
B > . 301:301(0) ack 102
wait 50ms
A takes
A = FIN-WAIT-1 -> FIN-WAIT-2
B close
B = CLOSE-WAIT -> LAST-ACK
B > F. 301:301(0) ack 102
A takes
A = FIN-WAIT-2 -> TIME-WAIT
A > . 102:102(0) ack 302
B takes
B = LAST-ACK -> CLOSED
wait 240s
A = TIME-WAIT -> CLOSED
";
    for profile in Profile::ALL {
        // Linux delays the acknowledgment of a FIN by 40 ms.
        let at_once = "B > . 301:301(0) ack 102\nwait 50ms";
        let script = match profile {
            Profile::Linux => script.replace(at_once, "wait 50ms\nB > . 301:301(0) ack 102"),
            Profile::Rfc9293 | Profile::FreeBsd | Profile::Windows => script.to_owned(),
        };
        check(&both(profile, &[100], &[300]).plain(), &script);
    }
}

#[test]
fn figure_13_simultaneous_close() {
    let script = "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
B accept
A close
A = ESTABLISHED -> FIN-WAIT-1
A > F. 101:101(0) ack 301
B close
B = ESTABLISHED -> FIN-WAIT-1
B > F. 301:301(0) ack 101
A takes
A = FIN-WAIT-1 -> CLOSING
A > . 102:102(0) ack 302
B takes
B = FIN-WAIT-1 -> CLOSING
B > . 302:302(0) ack 102
A takes
A = CLOSING -> TIME-WAIT
B takes
B = CLOSING -> TIME-WAIT
wait 240s
A = TIME-WAIT -> CLOSED
B = TIME-WAIT -> CLOSED
";
    // tcp_output() of BSD repeats the FIN that is not acknowledged; it is old, and answered once more out of TIME-WAIT.
    let again = script
        .replace("A > . 102:102(0) ack 302", "A > F. 101:101(0) ack 302")
        .replace("B > . 302:302(0) ack 102", "B > F. 301:301(0) ack 102")
        .replace("A = CLOSING -> TIME-WAIT", "A = CLOSING -> TIME-WAIT\nA > . 102:102(0) ack 302")
        .replace("B = CLOSING -> TIME-WAIT", "B = CLOSING -> TIME-WAIT\nB > . 302:302(0) ack 102");
    for profile in Profile::ALL {
        let repeats = profile == Profile::FreeBsd;
        check(&both(profile, &[100], &[300]).plain(), if repeats { &again } else { script });
    }
}
