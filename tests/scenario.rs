//! Scenario files: what parses, what it means, and that it prints what it reads.
#![cfg(feature = "scenario")]

use std::path::{Path, PathBuf};
use wirefate::endpoint::{Errno, State};
use wirefate::scenario::{
    Bound, Compare, Delay, Disturbance, IpVersion, Moment, Nature, Outcome, ParamValue, Received, Scenario, Start,
    Traffic, Verb, What, play,
};
use wirefate::time::{Span, ms, secs};
use wirefate::trace::Keep;

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = ["sims", "tests/scenario"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("the folder is there"))
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 15, "{files:?}");
    files
}

fn parse(path: &Path) -> Scenario {
    let text = std::fs::read(path).expect("the file can be read");
    Scenario::parse_bytes(&path.display().to_string(), &text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn example(name: &str) -> Scenario {
    parse(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario").join(name))
}

fn reparse(text: &str) -> Scenario {
    Scenario::parse("printed", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[test]
fn every_file_prints_what_it_reads() {
    for path in files() {
        let scenario = parse(&path);
        let again = reparse(&scenario.to_toml());
        assert_eq!(again, scenario, "{}", path.display());
        assert_eq!(again.to_toml(), scenario.to_toml(), "{}", path.display());
    }
}

#[test]
fn every_variant_stands_alone() {
    for path in files() {
        let scenario = parse(&path);
        let variants = scenario.variants.iter().map(|variant| Some(variant.name.as_str()));
        for variant in variants.chain([None]) {
            let instance = scenario.instance(variant, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
            let again = reparse(&instance.to_toml());
            assert_eq!(again.instance(None, &[], &[]).unwrap(), instance, "{}: {variant:?}", path.display());
        }
    }
}

#[test]
fn every_sim_runs_over_both_ip_versions() {
    for path in files() {
        let instance = parse(&path).instance(None, &[("ip", "6")], &[]).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(instance.ip, IpVersion::V6);
    }
}

#[test]
fn the_handshake_is_as_written() {
    let instance = example("three-way-handshake.toml").instance(None, &[], &[]).unwrap();
    assert_eq!(instance.hosts.len(), 2);
    assert_eq!(instance.links[0].path.delay, Delay::Fixed(ms(20)));
    let connect = &instance.steps[1];
    assert_eq!(connect.name.as_ref().unwrap().as_str(), "c1");
    assert_eq!(connect.start, Start::At(Span::ZERO));
    assert_eq!(**connect.result.as_ref().unwrap(), Outcome::Number(0));
    assert_eq!(connect.took, Some(Compare::exactly(ms(40))));
    assert_eq!(**instance.steps[4].result.as_ref().unwrap(), Outcome::Text("hello".into()));
    assert_eq!(instance.expect.always[1].path, [State::SynReceived, State::Established]);
    assert_eq!(instance.expect.segments.len(), 5);
    assert_eq!(instance.expect.segments[3].to_string(), "client > server P. 1:6(5) ack 1");
    let What::Netstat { counts, .. } = &instance.expect.at[0].what else { panic!("a netstat expectation") };
    assert_eq!(*counts, [(State::Listen, Compare::exactly(1)), (State::SynReceived, Compare::exactly(1))]);
}

#[test]
fn a_variant_sets_parameters_results_and_expectations() {
    let scenario = example("old-segment-after-time-wait.toml");
    let base = scenario.instance(None, &[], &[]).unwrap();
    assert!(base.story.contains("for 90s"), "{}", base.story);
    assert_eq!(base.expect.violates.len(), 1);
    assert_eq!(**base.steps[4].result.as_ref().unwrap(), Outcome::Number(0));
    assert_eq!(base.steps[5].start, Start::Next(secs(98)));
    let Disturbance::Packets { select, .. } = &base.faults[0].disturbance else { panic!("a fault on packets") };
    assert_eq!((select.nth, select.packet), (Some(1), None));

    let guarded = scenario.instance(Some("2MSL"), &[], &[]).unwrap();
    assert!(guarded.expect.violates.is_empty());
    assert_eq!(**guarded.steps[4].result.as_ref().unwrap(), Outcome::Error(Errno::EADDRNOTAVAIL));
    let Nature::Profile { teaching, .. } = &guarded.hosts[0].nature else { panic!("a host with a profile") };
    assert_eq!(teaching.time_wait, Some(secs(240)));
    assert_eq!(guarded.expect.at.len(), 1);
    assert!(matches!(guarded.expect.at[0].what, What::Segment { count, .. } if count == Compare::exactly(1)));
}

#[test]
fn a_parameter_may_say_when() {
    let scenario = example("old-segment-after-time-wait.toml");
    let instance = scenario.instance(None, &[("reopen", "after c1 CLOSED")], &[]).unwrap();
    assert!(matches!(&instance.steps[4].start, Start::When { offset: Span::ZERO, .. }));
}

#[test]
fn parameters_reach_sums_sysctls_and_loads() {
    let scenario = example("syn-flood.toml");
    let instance = scenario
        .instance(Some("both"), &[("rate", "10/s"), ("retries", "3")], &[("server", "net.ipv4.tcp_syncookies", "2")])
        .unwrap();
    let What::Load { ok, of, .. } = &instance.expect.at[0].what else { panic!("a load expectation") };
    assert_eq!((*ok, *of), (Some(Compare::exactly(20)), Some(Compare::exactly(20))));
    let server = instance.host("server").unwrap();
    let Nature::Profile { sysctls, .. } = &server.nature else { panic!("a host with a profile") };
    let values: Vec<_> = sysctls.iter().map(|sysctl| (sysctl.name.as_str(), sysctl.value.as_str())).collect();
    assert_eq!(
        values,
        [("net.ipv4.tcp_syncookies", "0"), ("net.ipv4.tcp_synack_retries", "3"), ("net.ipv4.tcp_syncookies", "2"),]
    );
    let Traffic::SynFlood { count, rate, .. } = &instance.loads[0].traffic else { panic!("a SYN flood") };
    assert_eq!((*count, rate.interval()), (600, ms(100)));
    assert!(matches!(instance.steps[0].verb, Verb::Serve { backlog: 4096, .. }));
    assert_eq!(instance.members("customers").len(), 20);

    let base = scenario.instance(None, &[], &[]).unwrap();
    let What::Queue { syn, .. } = &base.expect.at[0].what else { panic!("a queue expectation") };
    assert_eq!(*syn, Some(Compare::exactly(129)));
    let What::Counter { counts, .. } = &base.expect.at[2].what else { panic!("a counter expectation") };
    assert_eq!(counts[0].0.as_str(), "TcpExt.ListenDrops");
    assert_eq!(counts[0].1, Compare { bound: Bound::Above, with: 0 });
    assert_eq!(base.expect.at[2].time, Moment::End);
}

#[test]
fn what_comes_from_outside_is_checked_like_the_file() {
    let scenario = example("old-segment-after-time-wait.toml");
    let message = |overrides: &[(&str, &str)], sysctls: &[(&str, &str, &str)]| {
        scenario.instance(None, overrides, sysctls).unwrap_err().to_string().replace(scenario.file_name(), "FILE")
    };
    let unknown = scenario.instance(Some("PAW"), &[], &[]).unwrap_err().to_string();
    let messages = [
        message(&[("hold", "1s")], &[]),
        message(&[("timestamps", "yes")], &[]),
        message(&[("held", "soon")], &[]),
        message(&[("ip", "5")], &[]),
        message(&[], &[("sever", "net.ipv4.tcp_sack", "0")]),
        unknown.replace(scenario.file_name(), "FILE"),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_sweep_has_axes() {
    let sweep = example("old-segment-after-time-wait.toml").sweep.unwrap();
    assert_eq!(sweep.seeds, 1000);
    assert_eq!(sweep.set[0].1, ParamValue::Text("after c1 CLOSED".into()));
    assert_eq!(sweep.over.len(), 2);
    assert_eq!(sweep.measure[1].1.as_str(), "c2 result = EADDRNOTAVAIL");
}

#[test]
fn received_data_is_expected_by_text() {
    let instance = example("old-segment-after-time-wait.toml").instance(None, &[], &[]).unwrap();
    let What::Stream { socket, received } = &instance.expect.at[0].what else { panic!("a stream expectation") };
    assert_eq!((socket.as_str(), received), ("c2.peer", &Received::Text("OLD!".into())));
}

#[test]
fn dollars_survive_printing() {
    let text = "format = 1\ntitle = \"5 $ and $x\"\n[hosts]\na = { profile = \"rfc9293\" }\n[script]\nsteps = [\n\
                { at = \"0s\", on = \"a\", do = \"connect\", to = \"a:1\", as = \"c\" },\n\
                { at = \"+1s\", on = \"c\", do = \"send\", data = \"$$ip costs $$$ip\\u0007\\\"\" } ]\n";
    let instance = reparse(text).instance(None, &[], &[]).unwrap();
    let again = reparse(&instance.to_toml()).instance(None, &[], &[]).unwrap();
    assert_eq!(again, instance);
    assert!(instance.to_toml().contains("$$ip costs $$4\\u0007\\\""), "{}", instance.to_toml());
}

/// `close` of a socket with `SO_LINGER` waits for the acknowledgment of its FIN, or for its time: on exact timers just so
/// long, on the wheel of a kernel of 250 Hz until the end of the bucket.
#[test]
fn a_close_that_lingers_takes_its_time() {
    let answered = "took = \"40ms\"";
    let cut = |took: &str| format!("took = \"{took}\"");
    let cases = [
        ("profile = \"rfc9293\"", true, answered.to_owned()),
        ("profile = \"rfc9293\"", false, cut("5s")),
        ("profile = \"linux\", hz = 250", false, cut("5s")),
        ("profile = \"linux\", hz = 250, timers = \"exact\"", false, cut("5s")),
        ("profile = \"linux\", hz = 250, timers = \"wheel\"", false, cut("5168ms")),
        ("profile = \"linux\", hz = 1000, timers = \"wheel\"", false, cut("5168ms")),
    ];
    for (client, answers, took) in cases {
        let partition = if answers { "" } else { "{ at = \"1s\", do = \"partition\", link = \"client <> server\" }," };
        let text = format!(
            "format = 1\ntitle = \"A close that lingers\"\n[hosts]\nclient = {{ {client} }}\nserver = {{ profile = \
             \"rfc9293\" }}\n[links]\n\"client <> server\" = {{ delay = \"20ms\" }}\n[script]\nsteps = [\n\
             {{ at = \"0s\", on = \"server\", do = \"serve\", port = 80, app = \"sink\" }},\n\
             {{ at = \"0s\", on = \"client\", do = \"connect\", to = \"server:80\", as = \"c1\" }},\n\
             {{ at = \"500ms\", on = \"c1\", do = \"set-option\", option = \"SO_LINGER\", value = \"5s\" }},\n{partition}\n\
             {{ at = \"2s\", on = \"c1\", do = \"close\", result = 0, {took} }},\n]\n[expect]\n"
        );
        let scenario = Scenario::parse("linger.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
        let instance = scenario.instance(None, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let played = play("linger", &instance, 1, Keep::Story).unwrap_or_else(|error| panic!("{error}"));
        assert!(played.verdict().held, "{client} {took}: {:?}", played.verdict().broken);
    }
}
