//! Broken scenario files: each has one mistake, and its error is what a user reads first.
#![cfg(feature = "scenario")]

use std::path::Path;
use wirefate::scenario::{Error, Errors, Fact, Played, Scenario, play};
use wirefate::trace::Keep;

fn error(name: &str, bytes: &[u8]) -> Errors {
    Scenario::parse_bytes(name, bytes).err().unwrap_or_else(|| panic!("{name} is not broken"))
}

fn only_fact(bytes: &[u8]) -> Fact {
    let errors = error("broken.toml", bytes);
    assert_eq!(errors.count(), 1, "{errors}");
    errors.iter().next().expect("there is one").fact().clone()
}

#[test]
fn each_file_has_one_clear_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("its entries can be read").file_name().into_string().expect("names are UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() >= 100, "only {} files", names.len());
    let mut many = Vec::new();
    for name in names {
        let errors = error(&name, &std::fs::read(folder.join(&name)).expect("the file can be read"));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_suffix(name.trim_end_matches(".toml"));
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("each_file_has_one_clear_error", errors.to_string()));
        if errors.count() != 1 {
            many.push(errors.to_string());
        }
    }
    assert!(many.is_empty(), "{}", many.join("\n\n"));
}

#[test]
fn a_file_that_is_no_text_says_where() {
    assert_eq!(only_fact(b"format = 1\ntitle = \"\xff\""), Fact::NotUtf8 { offset: 20 });
    insta::assert_snapshot!(error("broken.toml", b"\x89PNG"), @"broken.toml: the file is not UTF-8: the byte at offset 0 begins no character");
}

#[test]
fn a_file_of_any_size_is_refused_by_its_size() {
    let line = format!("title = \"{}\"", "a".repeat(100 << 20));
    assert_eq!(only_fact(line.as_bytes()), Fact::FileTooLarge { bytes: line.len(), max: 1 << 20 });
}

#[test]
fn a_long_line_is_shown_in_part() {
    let text = format!("format = 1\ntitle = \"é\"\nstory = \"{}\"\nhosts = {{}}\nx = 1\n", "a".repeat(1 << 19));
    assert!(error("broken.toml", text.as_bytes()).to_string().len() < 1_000);
    let text = format!("title = \"{}\" x", "a".repeat(1 << 19));
    assert!(error("broken.toml", text.as_bytes()).to_string().len() < 1_000);
}

#[test]
fn deep_nesting_is_no_danger() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        for depth in [50, 1_000, 100_000] {
            let text = format!("format = 1\ntitle = \"deep\"\nx = {}1{}\n", open.repeat(depth), close.repeat(depth));
            error("broken.toml", text.as_bytes());
        }
    }
    error("broken.toml", format!("{}x = 1\n", "a.".repeat(100_000)).as_bytes());
}

#[test]
fn independent_mistakes_are_reported_together() {
    let text = "format = 1\ntitle = \"Three mistakes\"\n[hosts]\na = { profile = \"rfc9293\" }\nb = { profil = \"x\" }\n\
                [links]\n\"a <> b\" = { loss = \"2\" }\n[[fault]]\ndo = \"drop\"\npacket = { flags = \"?\" }\n";
    let errors = error("broken.toml", text.as_bytes());
    let lines: Vec<usize> = errors.iter().filter_map(|error| Some(error.place()?.0)).collect();
    assert_eq!(lines, [5, 5, 7, 10], "{errors}");
}

#[test]
fn very_many_mistakes_are_counted() {
    let keys: String = (0..5_000).map(|n| format!("key{n} = 1\n")).collect();
    let errors = error("broken.toml", format!("format = 1\ntitle = \"Many\"\n{keys}").as_bytes());
    assert_eq!(errors.iter().count(), 20);
    assert!(errors.count() > 5_000);
    assert!(errors.to_string().ends_with("more"));
}

#[test]
fn no_cut_of_a_file_makes_it_panic() {
    let sim = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("sims/syn-flood.toml"))
        .expect("the file can be read");
    for end in (0..sim.len()).step_by(7) {
        let _ = Scenario::parse_bytes("cut.toml", &sim.as_bytes()[..end]);
        let mut flipped = sim.clone().into_bytes();
        flipped[end] ^= 1 << (end % 7);
        let _ = Scenario::parse_bytes("flipped.toml", &flipped);
    }
}

/// A file whose mistake only a run shows: `profile` and more keys of the server, a step, an expectation.
fn played(server: &str, step: &str, expect: &str) -> Result<Played, Error> {
    let text = format!(
        "format = 1\ntitle = \"A broken run\"\n[hosts]\nclient = {{ profile = \"rfc9293\" }}\nserver = {{ {server} }}\n\
         [links]\n\"client <> server\" = {{ delay = \"20ms\" }}\n[script]\nsteps = [\n  \
         {{ at = \"0s\", on = \"server\", do = \"serve\", port = 80, app = \"sink\" }},\n  \
         {{ at = \"0s\", on = \"client\", do = \"connect\", to = \"server:80\", as = \"c1\" }},\n{step}]\n\
         [expect]\n{expect}\n"
    );
    let scenario = Scenario::parse("broken.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let instance = scenario.instance(None, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
    play("broken", &instance, 7, Keep::Story)
}

fn refused(server: &str, expect: &str) -> String {
    played(server, "", expect).err().expect("the run is refused").to_string()
}

fn failures(step: &str, expect: &str) -> String {
    let played = played("profile = \"rfc9293\"", step, expect).unwrap_or_else(|error| panic!("{error}"));
    assert!(!played.verdict().held);
    played.verdict().broken.join("\n")
}

#[test]
fn a_step_that_never_comes_is_a_failure_that_names_it() {
    let step = "  { when = \"client c1 FIN-WAIT-2\", on = \"c1\", do = \"close\" },\n";
    insta::assert_snapshot!(failures(step, ""));
    let step = "  { when = \"client > server R\", name = \"reset\", on = \"c1\", do = \"close\" },\n";
    insta::assert_snapshot!(failures(step, ""));
}

#[test]
fn a_profile_that_does_not_exist_is_refused_with_those_that_do() {
    insta::assert_snapshot!(refused("profile = \"rfc9294\"", ""));
}

#[test]
fn an_unknown_sysctl_is_refused_with_the_nearest() {
    insta::assert_snapshot!(refused("profile = \"rfc9293\", sysctl = { \"net.ipv4.tcp_fin_timout\" = 1 }", ""));
}

#[test]
fn a_sysctl_out_of_its_range_is_refused_with_the_range() {
    insta::assert_snapshot!(refused("profile = \"rfc9293\", sysctl = { \"net.ipv4.tcp_fin_timeout\" = -1 }", ""));
}

#[test]
fn ticks_and_a_wheel_are_refused_where_the_system_has_none() {
    insta::assert_snapshot!(refused("profile = \"rfc9293\", hz = 250", ""));
    insta::assert_snapshot!(refused("profile = \"rfc9293\", timers = \"exact\"", ""));
}

#[test]
fn an_unknown_oracle_is_refused_with_those_that_there_are() {
    let expect = "violates = [ { oracle = \"stream-integrety\" } ]";
    insta::assert_snapshot!(refused("profile = \"rfc9293\"", expect));
}

#[test]
fn an_oracle_that_should_have_fired_is_a_failure() {
    insta::assert_snapshot!(failures("", "violates = [ { oracle = \"window\" } ]"));
}

#[test]
fn a_result_that_is_another_is_a_failure_with_both() {
    let step = "  { at = \"1s\", name = \"hi\", on = \"c1\", do = \"send\", data = \"hello\", result = 6 },\n";
    insta::assert_snapshot!(failures(step, ""));
}
