//! Recordings of a real kernel: they load, they play, and a comparison finds each thing that differs.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]
#![allow(clippy::float_arithmetic, reason = "JSON numbers are changed as what JSON has")]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wirefate::golden::{
    Clock, Comparison, Machine, Manifest, Recording, Repeat, Timing, Totals, Verdict, compare, judge, replay,
    replay_on, to_json,
};
use wirefate::host::Profile;
use wirefate::tcp::TimerRule;
use wirefate::time::ms;

/// The clock of the machine that made them.
fn clock() -> Clock {
    Clock::parse("clock.json", include_bytes!("golden/clock.json")).unwrap()
}

/// Every recording in the folder, with how its second run went.
fn recordings() -> Vec<(Recording, Repeat)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let manifest = Manifest::parse("manifest.json", &fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let recording = Recording::parse(&file.display().to_string(), &fs::read(file).unwrap()).unwrap();
        let repeat = manifest.repeat(&recording.name);
        (recording, repeat)
    };
    files.iter().map(read).collect()
}

fn parsed(value: &Value) -> Recording {
    Recording::parse("mutated.json", value.to_string().as_bytes()).unwrap()
}

/// What differs, one word a difference, or nothing.
fn differing(recorded: &Value, ours: &Recording) -> Vec<String> {
    words(&compare(&parsed(recorded), ours, &Repeat::Identical, Timing::Exact))
}

fn words(comparison: &Comparison) -> Vec<String> {
    let all = comparison.differences.iter().chain(&comparison.windows).chain(&comparison.wide);
    all.map(|difference| difference.what.split(':').next().unwrap_or("").to_owned()).collect()
}

#[test]
fn every_recording_is_its_own_match() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 172);
    for (recording, repeat) in &recordings {
        let comparison = compare(recording, recording, repeat, Timing::Wheel);
        assert_eq!(words(&comparison), Vec::<String>::new(), "{}", recording.name);
        let again = compare(recording, &parsed(&to_json(recording)), repeat, Timing::Wheel);
        assert_eq!(words(&again), Vec::<String>::new(), "{} from its own text", recording.name);
    }
}

/// What the profile lacks makes a case unsupported; the front itself has nothing to refuse but these.
#[test]
fn every_recording_plays_or_names_what_is_missing() {
    let missing_here = ["setsockopt SO_REUSEPORT=1", "command ip route del default"];
    let missing_here = [&missing_here[..], &["command ip route add"]].concat();
    for (recording, repeat) in recordings() {
        let verdict = judge(&recording, &repeat, Profile::Rfc9293, None);
        let Err(missing) = verdict.result else { continue };
        for what in missing.0 {
            let known = what.starts_with("sysctl") || missing_here.iter().any(|known| what.starts_with(known));
            assert!(known, "{}: {what}", recording.name);
        }
    }
}

/// What is different about a recording that does not match, each word once.
fn seen(verdict: &Verdict) -> String {
    match &verdict.result {
        Err(missing) => format!("unsupported, {missing}"),
        Ok((_, comparison)) => {
            let all: BTreeSet<String> = words(comparison).into_iter().collect();
            all.into_iter().collect::<Vec<_>>().join(", ")
        }
    }
}

/// Each recording, once, on the machine that made it as `clock` has it.
fn on_their_machine(recordings: &[(Recording, Repeat)], clock: &Clock) -> Vec<Verdict> {
    let play = |(recording, repeat): &(Recording, Repeat)| {
        judge(recording, repeat, Profile::Linux, clock.machine(&recording.name))
    };
    recordings.iter().map(play).collect()
}

/// One number is found by trying, for all recordings together: on a machine that had been up for longer or less by a few
/// ticks of 4 ms, or by half a turn of its wheel, many more recordings differ.
#[test]
fn no_other_uptime_explains_the_recordings() {
    let (recordings, clock) = (recordings(), clock());
    let began = recordings.iter().filter(|(recording, _)| clock.machine(&recording.name).is_some()).count();
    assert_eq!(began, 169, "three have no capture");
    let differed = |uptime| Totals::of(&on_their_machine(&recordings, &clock.with_uptime(uptime))).differed;
    let here = differed(clock.uptime());
    assert!(here <= 5, "{here} differ");
    for by in [12, 40, 256, 1_024] {
        let elsewhere = differed(clock.uptime() + ms(by));
        assert!(elsewhere > 2 * here + 5, "{by} ms later {elsewhere} differ");
    }
}

/// The profile that is to be what was recorded: all but the exceptions match. `name | what differs | why`: one that comes
/// to match, or to differ in another way, changes the list.
#[test]
fn the_profile_linux_does_what_was_recorded() {
    let verdicts = on_their_machine(&recordings(), &clock());
    let totals = Totals::of(&verdicts);
    let open: Vec<String> = verdicts
        .iter()
        .filter(|verdict| verdict.word(&totals) != "matched")
        .map(|verdict| format!("{} | {}", verdict.name, seen(verdict)))
        .collect();
    let lines = include_str!("golden/exceptions.txt").lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<&str> = lines
        .map(|line| {
            let (what, why) = line.rsplit_once(" | ").unwrap();
            assert!(why.len() > 20, "{line} has no reason");
            what
        })
        .collect();
    assert_eq!(open, listed, "{totals}: tests/golden/exceptions.txt lists what does not match");
    let wide: usize = verdicts.iter().filter_map(|verdict| Some(verdict.result.as_ref().ok()?.1.wide.len())).sum();
    assert!(wide <= 5 && !totals.too_many_wide, "{wide} gaps need the wider rule");
}

/// A machine with a wheel of any phase is recognised by its times, and a time that no wheel has is not taken for one.
#[test]
fn the_phase_of_a_timer_wheel_is_found() {
    let all = recordings();
    let (recording, repeat) = all
        .iter()
        .find(|(recording, repeat)| {
            *repeat == Repeat::Identical
                && recording.script.iter().any(|call| call.args.starts_with("TCP_USER_TIMEOUT"))
        })
        .expect("some recording has a user's timeout");
    for machine in Machine::wheels().step_by(97).take(5) {
        assert_eq!(machine.timers, TimerRule::Wheel);
        let text = to_json(&replay_on(recording, Profile::Linux, machine).unwrap());
        let verdict = judge(&parsed(&text), repeat, Profile::Linux, None);
        assert_eq!(
            verdict.word(&Totals::of(std::slice::from_ref(&verdict))),
            "matched",
            "{machine:?}: {}",
            seen(&verdict)
        );
        // The last segment that a timer sent comes later than any wheel lets it.
        let mut late = text.clone();
        let last = late["segments"].as_array().unwrap().len() - 1;
        shift(&mut late["segments"][last]["t"], 700);
        let verdict = judge(&parsed(&late), repeat, Profile::Linux, None);
        assert_eq!(verdict.word(&Totals::of(std::slice::from_ref(&verdict))), "differed", "{machine:?}");
    }
}

/// A single recording may not need the wider rule at all: five gaps of a whole run may.
#[test]
fn one_recording_alone_has_no_wide_gaps() {
    let (mut recorded, ours) = subject();
    let at = with_flags(&recorded, "F.");
    shift(&mut recorded["segments"][at]["t"], 13);
    shift(&mut recorded["segments"][at]["t_rx"], 13);
    let comparison = compare(&parsed(&recorded), &ours, &Repeat::Identical, Timing::Exact);
    assert_eq!((comparison.differences.len(), comparison.wide.len()), (0, 1), "{comparison:?}");
    let result = Ok((ours, comparison));
    let verdict = Verdict { name: "one".to_owned(), machine: Machine::default(), result };
    let totals = Totals::of(std::slice::from_ref(&verdict));
    assert_eq!((verdict.word(&totals), totals.differed, totals.too_many_wide), ("differed", 1, true));
}

/// What a program does because a call has returned, it does when ours returns, not when the recorded one did.
#[test]
fn a_call_made_because_another_returned_waits_for_ours() {
    let (recorded, _) = subject();
    let script = recorded["script"].as_array().unwrap();
    let (blocked, end) = script
        .iter()
        .enumerate()
        .find_map(|(n, call)| (call["call"] == "connect").then(|| (n, call["t_end"].as_f64().unwrap())))
        .unwrap();
    let next = |recorded: &Value, sock: &Value, after: usize| {
        let script = recorded["script"].as_array().unwrap();
        (after + 1..script.len()).find(|&n| script[n]["sock"] == *sock).unwrap()
    };
    let follower = next(&recorded, &script[blocked]["sock"], blocked);
    for (gap, follows) in [(0.000_5, true), (0.001_5, false)] {
        let mut moved = recorded.clone();
        // The recorded call returned 3 ms later than ours will.
        moved["script"][blocked]["t_end"] = json!(end + 0.003);
        moved["script"][follower]["t"] = json!(end + 0.003 + gap);
        let ours = to_json(&replay(&parsed(&moved), Profile::Rfc9293).unwrap());
        let (returned, began) = (&ours["script"][blocked]["t_end"], &ours["script"][follower]["t"]);
        assert_eq!(returned == began, follows, "{gap}: {returned} {began}");
    }
}

/// Our own run, made a recording, is played again: the same in everything. So fates, injections, blocking calls, ports
/// and numbers all come back out of what is written down.
#[test]
fn our_own_runs_are_their_own_match() {
    let mut played = 0;
    for (recording, _) in recordings() {
        let Ok(first) = replay(&recording, Profile::Rfc9293) else { continue };
        // A call that was never made, since one before it on its socket did not return, cannot be written down as such.
        let returned = |recording: &Recording| recording.script.iter().filter(|call| call.result.is_some()).count();
        if returned(&first) < returned(&recording) {
            continue;
        }
        let text = to_json(&first);
        let second = replay(&parsed(&text), Profile::Rfc9293).unwrap();
        let comparison = compare(&parsed(&text), &second, &Repeat::Identical, Timing::Exact);
        let found: Vec<String> =
            comparison.differences.iter().chain(&comparison.wide).map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new(), "{}", recording.name);
        assert_eq!(comparison.windows, vec![], "{}", recording.name);
        played += 1;
    }
    assert!(played > 100, "{played} played");
}

#[test]
fn a_name_decides_nothing() {
    for (recording, repeat) in recordings() {
        let mut renamed = recording.clone();
        renamed.name = "another".to_owned();
        let results = [&recording, &renamed].map(|r| judge(r, &repeat, Profile::Rfc9293, None).result.map(|(_, c)| c));
        assert_eq!(results[0], results[1], "{}", recording.name);
    }
}

/// One run of ours with a handshake, data both ways, a refused connection and an orderly close.
fn subject() -> (Value, Recording) {
    let find = |(recording, _): &(Recording, Repeat)| recording.name == "hs_opts_none";
    let all = recordings();
    let (recording, _) = all.iter().find(|case| find(case)).unwrap_or(&all[0]);
    let ours = replay(recording, Profile::Rfc9293).unwrap();
    (to_json(&ours), ours)
}

/// Changes one field of a recording; says what the comparison finds.
fn mutated(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let (mut recorded, ours) = subject();
    assert_eq!(differing(&recorded, &ours), Vec::<String>::new());
    change(&mut recorded);
    differing(&recorded, &ours)
}

/// The index of the first segment with these flags.
fn with_flags(recorded: &Value, flags: &str) -> usize {
    recorded["segments"].as_array().unwrap().iter().position(|seg| seg["flags"] == flags).unwrap()
}

fn add(field: &mut Value, n: i64) {
    *field = json!(field.as_i64().unwrap() + n);
}

fn shift(field: &mut Value, millis: u32) {
    *field = json!(field.as_f64().unwrap() + f64::from(millis) / 1_000.0);
}

/// A segment that was forwarded and overtaken all the same is overtaken in the replay too, and its receiver says so.
#[test]
fn what_was_overtaken_is_overtaken_again() {
    let is_data = |seg: &Value| seg["act"] == "fwd" && seg["dir"] == "c>s" && seg["len"].as_i64() > Some(0);
    let (mut recorded, at) = recordings()
        .iter()
        .map(|(recording, _)| to_json(recording))
        .find_map(|json| {
            let at = json["segments"].as_array()?.windows(3).position(|three| three.iter().all(is_data))?;
            Some((json, at))
        })
        .expect("some recording has three data segments in a row");
    let gaps = |recorded: &Value| {
        let ours = replay(&parsed(recorded), Profile::Linux).unwrap();
        let is_sack = |option: &Value| option.as_str().is_some_and(|text| text.starts_with("sack "));
        let json = to_json(&ours);
        json["segments"].as_array().unwrap().iter().any(|seg| {
            seg["dir"] == "s>c" && seg["options"].as_array().is_some_and(|options| options.iter().any(is_sack))
        })
    };
    assert!(!gaps(&recorded), "in order as it was recorded");
    shift(&mut recorded["segments"][at]["t_rx"], 20);
    assert!(gaps(&recorded), "the first of the three comes last");
}

#[test]
fn each_changed_field_of_a_segment_differs() {
    for flags in ["S", "S.", ".", "P.", "F."] {
        let seg = |recorded: &mut Value, field: &str, n: i64| {
            let at = with_flags(recorded, flags);
            add(&mut recorded["segments"][at][field], n);
        };
        assert!(mutated(|r| seg(r, "seq", 1)).contains(&"seq".to_owned()), "{flags}");
        assert!(mutated(|r| seg(r, "len", 1)).iter().any(|what| what.contains("length")), "{flags}");
        assert!(mutated(|r| seg(r, "win", -1)).contains(&"window".to_owned()), "{flags}");
        if flags != "S" {
            assert!(mutated(|r| seg(r, "ack", 1)).contains(&"ack".to_owned()), "{flags}");
        }
        let other = if flags == "S" { "SP" } else { "R." };
        let found = mutated(|r| {
            let at = with_flags(r, flags);
            r["segments"][at]["flags"] = json!(other);
        });
        assert!(found.iter().any(|what| what.contains("flags")), "{flags}: {found:?}");
        let found = mutated(|r| {
            let at = with_flags(r, flags);
            let options = r["segments"][at]["options"].as_array_mut().unwrap();
            options.push(json!("nop"));
        });
        assert!(found.contains(&"options".to_owned()), "{flags}: {found:?}");
    }
}

#[test]
fn a_lost_or_added_segment_differs() {
    let found = mutated(|r| {
        let segments = r["segments"].as_array_mut().unwrap();
        segments.remove(segments.len() - 2);
    });
    assert!(!found.is_empty());
    let found = mutated(|r| {
        let segments = r["segments"].as_array_mut().unwrap();
        let again = segments[3].clone();
        segments.insert(4, again);
    });
    assert!(found.contains(&"not sent".to_owned()), "{found:?}");
}

#[test]
fn a_time_beyond_the_rule_differs_and_one_within_it_does_not() {
    let late = |millis: u32| {
        mutated(|r| {
            let at = with_flags(r, "F.");
            let seg = &mut r["segments"][at];
            shift(&mut seg["t"], millis);
            shift(&mut seg["t_rx"], millis);
        })
    };
    // Answered at once: a tick and 8 ms.
    assert!(!late(12).iter().any(|what| what == "time"), "{:?}", late(12));
    for beyond in [13, 20, 25] {
        assert!(late(beyond).iter().any(|what| what == "time"), "{:?}", late(beyond));
    }
}

#[test]
fn each_changed_result_differs() {
    let call = |name: &'static str, change: fn(&mut Value)| {
        mutated(|r| {
            let script = r["script"].as_array_mut().unwrap();
            change(script.iter_mut().find(|call| call["call"] == name).unwrap());
        })
    };
    for name in ["bind", "listen", "connect", "send", "recv", "close"] {
        assert_eq!(call(name, |call| add(&mut call["result"], 1)), ["result"], "{name}");
        let failed = call(name, |call| (call["result"], call["errno"]) = (json!(-1), json!("EPIPE")));
        assert!(failed.contains(&"result".to_owned()), "{name}: {failed:?}");
    }
    let other = call("accept", |call| call["result"] = json!("S peer=10.0.0.1:40009"));
    assert!(other.contains(&"result".to_owned()), "{other:?}");
    let late = call("connect", |call| shift(&mut call["t_end"], 12));
    assert!(!late.contains(&"time".to_owned()), "{late:?}");
    let late = call("connect", |call| shift(&mut call["t_end"], 13));
    assert!(late.contains(&"time".to_owned()), "{late:?}");
}

#[test]
fn each_changed_state_differs() {
    let (recorded, _) = subject();
    for n in 0..recorded["states"].as_array().unwrap().len() {
        let found = mutated(|r| r["states"][n]["to"] = json!("CLOSING"));
        assert!(found.iter().any(|what| what.contains("state")), "{n}: {found:?}");
        let found = mutated(|r| shift(&mut r["states"][n]["t"], 300));
        assert!(found.iter().any(|what| what.contains("state")), "{n}: {found:?}");
    }
    // Seen a poll late, and by no more than that beyond the rule; nothing else happens meanwhile.
    let last = recorded["states"].as_array().unwrap().len() - 1;
    let late = |millis: u32| mutated(|r| shift(&mut r["states"][last]["t"], millis));
    assert!(!late(24).iter().any(|what| what == "state time"), "{:?}", late(24));
    assert!(late(25).iter().any(|what| what == "state time"), "{:?}", late(25));
    // States that were too short to be seen are no difference; the last one is.
    assert_eq!(mutated(|r| drop(r["states"].as_array_mut().unwrap().remove(0))), Vec::<String>::new());
    // What comes within a poll of the end might not have been seen.
    let found = mutated(|r| {
        shift(&mut r["netstat"][0]["t"], 1_000);
        r["states"].as_array_mut().unwrap().pop();
    });
    assert_eq!(found, ["last state"]);
}

/// Stamps and SACK blocks, which our run has not: one recording against itself with one value changed.
#[test]
fn a_changed_option_of_a_real_recording_differs() {
    let all = recordings();
    let (mut changed, mut missed) = (0, Vec::new());
    for (recording, repeat) in all.iter().filter(|(_, repeat)| *repeat == Repeat::Identical) {
        let text = to_json(recording);
        for n in 0..recording.segments.len().min(12) {
            let line = &text["segments"][n];
            let stamps =
                line["options"].as_array().into_iter().flatten().position(|o| o.as_str().unwrap().starts_with("TS"));
            let (Some(place), false) = (stamps, line["act"] == "inject") else { continue };
            let stamp = line["options"][place].as_str().unwrap()[3..].to_owned();
            let (val, ecr) = stamp.split_once('/').unwrap();
            let (val, ecr): (i64, i64) = (val.parse().unwrap(), ecr.parse().unwrap());
            for other in [format!("TS {}/{ecr}", val + 9), format!("TS {val}/{}", ecr + 7_777)] {
                let mut mutated = text.clone();
                mutated["segments"][n]["options"][place] = json!(other);
                changed += 1;
                if compare(&parsed(&mutated), recording, repeat, Timing::Exact).differences.is_empty() {
                    missed.push(format!("{} {n} {other}", recording.name));
                }
            }
        }
    }
    assert!(changed > 1_000, "{changed}");
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn broken_files_have_one_clear_error_with_its_place() {
    let (good, _) = subject();
    let text = |change: fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        serde_json::to_string_pretty(&value).unwrap()
    };
    let whole = serde_json::to_string_pretty(&good).unwrap();
    let cases: [(String, &str); 12] = [
        (String::new(), "EOF while parsing a value"),
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        ("[1, 2]".to_owned(), "expected"),
        (text(|v| drop(v.as_object_mut().unwrap().remove("script"))), "missing field `script`"),
        (text(|v| v["client"] = json!("ten")), "invalid IP address"),
        (text(|v| v["segments"][0]["flags"] = json!("SX")), "flags `SX`"),
        (text(|v| v["segments"][0]["act"] = json!("lost")), "unknown act `lost`"),
        (text(|v| v["segments"][0]["dir"] = json!("up")), "unknown variant `up`"),
        (text(|v| v["segments"][0]["options"] = json!(["mss many"])), "bad option `mss many`"),
        (text(|v| drop(v["segments"][1].as_object_mut().unwrap().remove("win"))), "missing field `win`"),
        (text(|v| v["states"][0]["to"] = json!("DEAD")), "unknown state `DEAD`"),
        (text(|v| v["script"][0]["t"] = json!(-1)), "`-1` is no time"),
    ];
    for (text, expected) in cases {
        let error = Recording::parse("broken.json", text.as_bytes()).unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("broken.json:{}:{}: ", error.line, error.column)), "{shown}");
        assert!(shown.contains(expected), "{shown}: expected {expected}");
        assert!(error.line > 0, "{shown}");
    }
}

/// Runs `wirefate golden` and gives its exit code, its last line, and what it said about mistakes.
fn command(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wirefate")).arg("golden").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let last = text(output.stdout).lines().last().unwrap_or("").to_owned();
    (output.status.code(), last, text(output.stderr))
}

#[test]
fn the_command_ends_with_its_totals_and_an_exit_code() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let (code, last, _) = command(&[folder, "--filter", "closed_port_probes"]);
    assert_eq!((code, last.as_str()), (Some(0), "1 matched, 0 differed, 0 unsupported"));
    let one = format!("{folder}/cases/connect_blackhole_retries3_linear1.json");
    let (code, last, _) = command(&[&one]);
    assert_eq!((code, last.as_str()), (Some(0), "1 matched, 0 differed, 0 unsupported"));
    let (code, last, errors) = command(&[&one, "--profile", "plan9"]);
    assert_eq!((code, last.as_str()), (Some(2), ""));
    assert!(errors.contains("there is no profile `plan9`"), "{errors}");
    let (code, _, errors) = command(&["no-such-folder"]);
    assert!(code == Some(2) && errors.contains("no-such-folder"), "{errors}");
}

#[test]
fn the_command_tells_of_a_machine_only_where_there_is_one() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let run = |profile: &str| {
        let args = ["golden", folder, "--filter", "closed_port_probes", "--profile", profile];
        let output = Command::new(env!("CARGO_BIN_EXE_wirefate")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let told = "1 of 1 recordings were played on the machine that made them";
    assert!(run("linux").contains(told) && !run("rfc9293").contains("the machine"));
    let one = ["--filter", "zero_window_user_timeout", "--find-uptime"];
    let (code, last, _) = command(&[&[folder][..], &one].concat());
    assert!(code == Some(0) && last.starts_with("of 2048 uptimes; with the worst 1 differ"), "{last}");
    let (code, _, errors) = command(&[&[folder][..], &one, &["--profile", "rfc9293"]].concat());
    assert!(code == Some(2) && errors.contains("rfc9293 has no timer wheel"), "{errors}");
}

#[test]
fn the_command_names_the_place_of_a_mistake() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("golden");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("broken.json");
    fs::write(&file, "{\n  \"name\": 7\n}\n").unwrap();
    let (code, _, errors) = command(&[file.to_str().unwrap()]);
    assert!(code == Some(2) && errors.contains("broken.json:2:"), "{errors}");
}
