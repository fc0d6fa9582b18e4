//! RFC 1337: what may happen when an old segment ends a TIME-WAIT, and what keeps it from that.

use super::stage::{Setting, both, check, check_believed};
use wirefate::host::Profile;

/// A has the numbers 101 and, in the next incarnation, 5001; B begins with 300 both times.
fn hosts(profile: Profile) -> Setting {
    both(profile, &[100, 5_000], &[300, 300]).plain()
}

/// A connection that A closes first; A is in TIME-WAIT then, and B's second segment, ten bytes, is still on its way once
/// more.
fn closed_first_by_a(profile: Profile) -> String {
    // Linux acknowledges the first segments of a connection at once, and a FIN after 40 ms.
    let linux = profile == Profile::Linux;
    let at_once = if linux { "A > . 101:101(0) ack 311\nlost A" } else { "" };
    let of_fin = "B > . 311:311(0) ack 102";
    let of_fin = if linux { format!("wait 50ms\n{of_fin}") } else { format!("{of_fin}\nwait 50ms") };
    format!(
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
B send 10
B > P. 301:311(10) ack 101
A takes
{at_once}
A read
A got xxxxxxxxxx
A close
A = ESTABLISHED -> FIN-WAIT-1
A > F. 101:101(0) ack 311
B takes
B = ESTABLISHED -> CLOSE-WAIT
{of_fin}
A takes
A = FIN-WAIT-1 -> FIN-WAIT-2
B close
B = CLOSE-WAIT -> LAST-ACK
B > F. 311:311(0) ack 102
A takes
A = FIN-WAIT-2 -> TIME-WAIT
A > . 102:102(0) ack 312
B takes
B = LAST-ACK -> CLOSED
"
    )
}

/// Section 1, figure 1: TIME-WAIT assassination. A duplicate of B's data arrives late (5.1), its acknowledgment (5.2)
/// finds nobody at B, and B's reset (5.3) ends the TIME-WAIT.
const ASSASSINATION: &str = "
A takes 2
A ! out of window
A > . 102:102(0) ack 312
B takes
B ! no meaning
B > R 312:312(0)
A takes
A = TIME-WAIT -> CLOSED
";

/// Fix F1, section 3: "Ignore RST segments in TIME-WAIT state."
const NO_ASSASSINATION: &str = "
A takes 2
A ! out of window
A > . 102:102(0) ack 312
B takes
B ! no meaning
B > R 312:312(0)
A takes
A ! RST ignored
";

/// The next incarnation.
const OPENED_ANEW: &str = "
A open
A = CLOSED -> SYN-SENT
A > S 5000:5000(0)
B takes
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 5001
A takes
A = SYN-SENT -> ESTABLISHED
A > . 5001:5001(0) ack 301
B takes
B = SYN-RECEIVED -> ESTABLISHED
";

#[test]
fn time_wait_assassination() {
    for profile in [Profile::Rfc9293, Profile::Linux] {
        check(&hosts(profile), &[&closed_first_by_a(profile), ASSASSINATION].concat());
    }
    let windows = [&closed_first_by_a(Profile::Windows), ASSASSINATION].concat();
    check_believed(&hosts(Profile::Windows), "RST in TIME-WAIT", &windows);
}

/// FreeBSD always ignores the RST, Linux with tcp_rfc1337. TIME-WAIT goes on and keeps the 4-tuple, so that none of the
/// hazards can begin.
#[test]
fn time_wait_that_ignores_resets_lives() {
    let over = "A open\nA got EADDRNOTAVAIL";
    for setting in [hosts(Profile::FreeBsd), hosts(Profile::Linux).sysctl("net.ipv4.tcp_rfc1337", 1)] {
        let script = [&closed_first_by_a(setting.profile()), NO_ASSASSINATION, over].concat();
        check(&setting, &script);
    }
}

/// H1: after the assassination A opens the connection anew, and the old data comes once more; its number fits.
#[test]
fn h1_old_data_is_accepted() {
    let accepted = "
A takes 2
A read
A got xxxxxxxxxx
";
    let script = |profile| [&closed_first_by_a(profile), ASSASSINATION, OPENED_ANEW, accepted].concat();
    check(&hosts(Profile::Rfc9293), &script(Profile::Rfc9293));
    let at_once = accepted.replace("A read", "A > . 5001:5001(0) ack 311\nA read");
    let linux = [&closed_first_by_a(Profile::Linux), ASSASSINATION, OPENED_ANEW, &at_once].concat();
    check(&hosts(Profile::Linux), &linux);
    check_believed(&hosts(Profile::Windows), "RST in TIME-WAIT", &script(Profile::Windows));
}

/// Fix F2: with timestamps, as Linux has them by default, the old data is older than what has come since (RFC 7323 5).
#[test]
fn h1_is_stopped_by_timestamps() {
    let setting = both(Profile::Linux, &[100, 5_000], &[300, 300]);
    let before = closed_first_by_a(Profile::Linux).replace("B send 10", "wait 10ms\nB send 10");
    let script = [
        &before,
        &ASSASSINATION.replace("out of window", "PAWS"),
        "wait 10ms",
        OPENED_ANEW,
        "
A takes 2
A ! PAWS
A > . 5001:5001(0) ack 301
A read
A got EAGAIN
",
    ];
    check(&setting, &script.concat());
}

/// H2: A has taken old data for new and acknowledges what B has not sent. The two never agree again; the limit of
/// RFC 5961 7 ends their quarrel, which would go on for ever by RFC 793.
#[test]
fn h2_the_two_ends_disagree() {
    let script = [
        &closed_first_by_a(Profile::Rfc9293),
        ASSASSINATION,
        OPENED_ANEW,
        "
A takes 2
wait 200ms
A > . 5001:5001(0) ack 311
B takes
B ! ack of unsent
B > . 301:301(0) ack 5001
A takes
A ! out of window
A > . 5001:5001(0) ack 311
B takes
B ! ack of unsent
B > . 301:301(0) ack 5001
A takes
A ! out of window, unanswered
wait 1s
",
    ];
    check(&hosts(Profile::Rfc9293), &script.concat());
}

/// H2 on Linux: the same quarrel ends by its limit for each connection.
#[test]
fn h2_on_linux() {
    let script = [
        &closed_first_by_a(Profile::Linux),
        ASSASSINATION,
        OPENED_ANEW,
        "
A takes 2
A > . 5001:5001(0) ack 311
B takes
B ! ack of unsent
B > . 301:301(0) ack 5001
A takes
A ! out of window
A > . 5001:5001(0) ack 311
B takes
B ! ack of unsent
wait 1s
",
    ];
    check(&hosts(Profile::Linux), &script.concat());
}

/// H3: an old acknowledgment in SYN-SENT is answered by a reset with its number. When that comes late, and B has received
/// just so much by then, the connection dies that both believe to be open.
#[test]
fn h3_the_new_connection_dies() {
    let script = "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
A < . 700:700(0) ack 106
A ! ack of unsent
A > R 106:106(0)
B takes 1
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes 3
B = SYN-RECEIVED -> ESTABLISHED
B accept
A send 5
A > P. 101:106(5) ack 301
B takes 4
B takes 2
B = ESTABLISHED -> CLOSED ECONNRESET
";
    check(&both(Profile::Rfc9293, &[100], &[300]).plain(), script);
    let linux = script.replace("B takes 4", "B takes 4\nB > . 301:301(0) ack 106");
    check(&both(Profile::Linux, &[100], &[300]).plain(), &linux);
    check_believed(&both(Profile::Windows, &[100], &[300]), "challenge ACKs", script);
    // While FreeBSD delays its acknowledgment, the number to hit is that of the last one: tcp_do_segment().
    let challenged =
        script.replace("B = ESTABLISHED -> CLOSED ECONNRESET", "B ! inexact RST\nB > . 301:301(0) ack 106");
    check(&both(Profile::FreeBsd, &[100], &[300]).plain(), &challenged);
    let later = script.replace("B takes 4", "B takes 4\nwait 40ms\nB > . 301:301(0) ack 106");
    check(&both(Profile::FreeBsd, &[100], &[300]).plain(), &later);
}

/// The same where the number is only inside the window: RFC 5961 3.2 has taken away most of H3.
#[test]
fn h3_is_rare_since_rfc_5961() {
    let script = "
B listen
A open
A = CLOSED -> SYN-SENT
A > S 100:100(0)
A < . 700:700(0) ack 5000
A ! ack of unsent
A > R 5000:5000(0)
B takes 1
B = LISTEN -> SYN-RECEIVED
B > S. 300:300(0) ack 101
A takes
A = SYN-SENT -> ESTABLISHED
A > . 101:101(0) ack 301
B takes 3
B = SYN-RECEIVED -> ESTABLISHED
B accept
B takes 2
B ! inexact RST
B > . 301:301(0) ack 101
";
    for profile in [Profile::Rfc9293, Profile::Linux, Profile::FreeBsd] {
        check(&both(profile, &[100], &[300]).plain(), script);
    }
    check_believed(&both(Profile::Windows, &[100], &[300]), "challenge ACKs", script);
    // And as it was before, with FreeBSD's net.inet.tcp.insecure_rst.
    let challenge = "B ! inexact RST\nB > . 301:301(0) ack 101";
    let before = script.replace(challenge, "B = ESTABLISHED -> CLOSED ECONNRESET");
    check(&both(Profile::FreeBsd, &[100], &[300]).plain().sysctl("net.inet.tcp.insecure_rst", 1), &before);
}
