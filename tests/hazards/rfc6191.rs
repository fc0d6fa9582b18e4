//! RFC 6191 section 2: which SYN may open a connection anew that is in TIME-WAIT, in its seven cases.

use super::stage::{Setting, both, last};
use wirefate::host::{Confidence, Profile};

/// B in TIME-WAIT after a connection with A, which ended at 102 and, with timestamps, at 20.
fn time_wait(timestamps: bool) -> String {
    let option = |val: u32| if timestamps { format!(" <nop,nop,TS val {val} ecr 0>") } else { String::new() };
    format!(
        "B listen
        B < S 100:100(0) win 60000{}
        B < . 101:101(0) ack 301 win 60000{}
        B accept
        B close
        B < . 101:101(0) ack 302 win 60000{}
        B < F. 101:101(0) ack 302 win 60000{}",
        option(10),
        option(11),
        option(12),
        option(20)
    )
}

fn with_timestamps(profile: Profile) -> Setting {
    let setting = both(profile, &[], &[300, 90_000]);
    match profile {
        Profile::Rfc9293 => setting.sysctl("net.ipv4.tcp_timestamps", 1),
        Profile::Windows => setting.sysctl("Tcp1323Opts", 3),
        Profile::Linux | Profile::FreeBsd => setting,
    }
}

/// A name, whether timestamps were used, the number and timestamp of the SYN, and whether each profile opens.
type Case = (&'static str, bool, u32, Option<u32>, [bool; 4]);

/// The cases: a name, whether the old connection used timestamps, the SYN's number and timestamp; and under which
/// profiles it opens.
const CASES: [Case; 13] = [
    // The old connection used timestamps.
    ("1, a greater timestamp", true, 50, Some(21), [true, true, false, true]),
    ("1, both greater", true, 500, Some(21), [true; 4]),
    ("2, the same timestamp and a greater number", true, 500, Some(20), [true; 4]),
    ("2, the same timestamp and no greater number", true, 50, Some(20), [false; 4]),
    ("3, no timestamp and a greater number", true, 500, None, [true; 4]),
    ("4, a smaller timestamp", true, 50, Some(19), [false; 4]),
    ("4, a smaller timestamp and a greater number", true, 500, Some(19), [false, false, true, false]),
    ("4, no timestamp and no greater number", true, 50, None, [false; 4]),
    // It did not.
    ("5, a timestamp", false, 50, Some(1), [true, false, false, true]),
    ("5, a timestamp and a greater number", false, 500, Some(1), [true; 4]),
    ("6, a greater number", false, 500, None, [true; 4]),
    ("7, the last number", false, 102, None, [false; 4]),
    ("7, no greater number", false, 50, None, [false; 4]),
];

/// Section 2. What the systems do: Linux `tcp_timewait_state_process()`, which looks at a timestamp only where the old
/// connection had one; FreeBSD `tcp_twcheck()`, which looks at no timestamp; of Windows nothing is known, and it stands
/// here as its profile is made.
#[test]
fn the_seven_cases() {
    for (case, timestamps, seq, val, opens) in CASES {
        let option = val.map(|val| format!(" <mss 1460,nop,nop,TS val {val} ecr 0>")).unwrap_or_default();
        let script = format!("{}\nB < S {seq}:{seq}(0) win 60000{option}", time_wait(timestamps));
        for (profile, opens) in Profile::ALL.into_iter().zip(opens) {
            let lines = last(&with_timestamps(profile), &script);
            let opened = lines.iter().any(|line| line == "B = LISTEN -> SYN-RECEIVED");
            assert_eq!(opened, opens, "{profile}, case {case}: {lines:?}");
            // What does not open leaves TIME-WAIT as it is.
            assert!(opens || !lines.iter().any(|line| line.contains(" = ")), "{profile}, case {case}: {lines:?}");
        }
    }
    let windows = Profile::Windows.behaviours().iter().find(|line| line.name == "SYN in TIME-WAIT").unwrap();
    assert_eq!(windows.confidence, Confidence::Unverified);
}
