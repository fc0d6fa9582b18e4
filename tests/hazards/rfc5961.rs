//! RFC 5961: three attacks of one who knows addresses and ports, and guesses numbers.

use super::stage::{both, check, check_believed};
use wirefate::host::Profile;

/// Section 3: a RST is believed with the very number that comes next; another in the window is challenged.
#[test]
fn blind_reset() {
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
B < R 99:99(0)
B ! RST ignored
B < R 5000:5000(0)
B ! inexact RST
B > . 301:301(0) ack 101
A takes
B < R 101:101(0)
B = ESTABLISHED -> CLOSED ECONNRESET
B read
B got ECONNRESET
";
    for profile in [Profile::Rfc9293, Profile::Linux, Profile::FreeBsd] {
        check(&both(profile, &[100], &[300]).plain(), script);
    }
    check_believed(&both(Profile::Windows, &[100], &[300]), "challenge ACKs", script);
}

/// As it was before: FreeBSD with net.inet.tcp.insecure_rst.
#[test]
fn blind_reset_believed() {
    check(
        &both(Profile::FreeBsd, &[100], &[300]).plain().sysctl("net.inet.tcp.insecure_rst", 1),
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
B < R 5000:5000(0)
B = ESTABLISHED -> CLOSED ECONNRESET
B read
B got ECONNRESET
",
    );
}

/// Section 4: a SYN is challenged wherever it lies; a peer that has really begun anew answers with a RST that is exact.
#[test]
fn blind_syn() {
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
B < S 5000:5000(0)
B ! SYN challenged
B > . 301:301(0) ack 101
A takes
wait 1s
B < S 7:7(0)
B ! out of window
B > . 301:301(0) ack 101
A takes
";
    check(&both(Profile::Rfc9293, &[100], &[300]).plain(), script);
    // Before the window it is taken for an old segment here, and not on Linux and FreeBSD; the answer is the same.
    let others = script.replace("out of window", "SYN challenged");
    for profile in [Profile::Linux, Profile::FreeBsd] {
        check(&both(profile, &[100], &[300]).plain(), &others);
    }
    check_believed(&both(Profile::Windows, &[100], &[300]), "challenge ACKs", script);
}

#[test]
fn blind_syn_believed() {
    check(
        &both(Profile::FreeBsd, &[100], &[300]).plain().sysctl("net.inet.tcp.insecure_syn", 1),
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
B < S 5000:5000(0)
B = ESTABLISHED -> CLOSED ECONNRESET
B > R. 301:301(0) ack 101
B read
B got ECONNRESET
",
    );
}

/// Section 5: data counts only with an acknowledgment between SND.UNA - MAX.SND.WND and SND.NXT.
#[test]
fn blind_data_injection() {
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
B < P. 101:104(3) ack 2147484000
B ! ack too old
B > . 301:301(0) ack 101
B read
B got EAGAIN
wait 1s
B < P. 101:104(3) ack 4294000000
B ! ack too old
B > . 301:301(0) ack 101
B read
B got EAGAIN
wait 1s
B < P. 101:104(3) ack 301
B read
B got ooo
";
    check(&both(Profile::Rfc9293, &[100], &[300]).plain(), script);
    // FreeBSD takes an acknowledgment of what is long acknowledged for an old one, however old, and the data with it.
    let (before, _) = script.split_once("B ! ack too old").expect("it is refused");
    check(&both(Profile::FreeBsd, &[100], &[300]).plain(), &format!("{before}B read\nB got ooo\n"));
    // The first segments of a connection are acknowledged at once on Linux.
    let linux = script.replace("ack 301\nB read", "ack 301\nB > . 301:301(0) ack 104\nB read");
    check(&both(Profile::Linux, &[100], &[300]).plain(), &linux);
    check_believed(&both(Profile::Windows, &[100], &[300]), "challenge ACKs", script);
}
