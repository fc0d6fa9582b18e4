//! `wirefate profile`.
#![cfg(feature = "cli")]

use std::process::Command;

/// Exit code and output; of a refusal the error.
fn profile(args: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_wirefate")).arg("profile").args(args).output().expect("it runs");
    let text = if run.stdout.is_empty() { run.stderr } else { run.stdout };
    (run.status.code(), String::from_utf8(text).expect("text"))
}

#[test]
fn every_line_has_its_value_and_its_source() {
    let (code, text) = profile(&["linux"]);
    assert_eq!(code, Some(0));
    for line in [
        "net.ipv4.tcp_fin_timeout 60 seconds [specified: ip-sysctl.rst]",
        "TIME-WAIT 60 s, whatever the sysctls say [specified: TCP_TIMEWAIT_LEN in tcp.h]",
    ] {
        // Columns are as wide as their longest name.
        let found = text.lines().any(|shown| shown.split_whitespace().eq(line.split(' ')));
        assert!(found, "{line}\n{text}");
    }
    let facts = text.lines().filter(|line| line.starts_with("  ")).count();
    assert!(facts > 40 && text.lines().filter(|line| line.ends_with(']')).count() == facts, "{text}");
}

#[test]
fn a_difference_shows_both_and_nothing_else() {
    let (code, text) = profile(&["linux", "--diff", "rfc9293"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("  net.ipv4.tcp_sack\n    linux    1\n    rfc9293  0 (the profile has no selective"),
        "{text}"
    );
    assert!(!text.contains("net.ipv4.ip_default_ttl"), "both have 64\n{text}");
    let (_, text) = profile(&["linux", "--diff", "linux"]);
    assert_eq!(text, "linux and linux\n\nsysctls\n\nbehaviours\n");
}

#[test]
fn a_profile_that_does_not_exist_is_refused() {
    let (code, text) = profile(&["minix"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("there is no profile `minix`"), "{text}");
}
