//! Every sim, plain and in each variant: its expectations hold, its story is the one in `snapshots/`, it holds over
//! IPv6 as well, and each of its packets survives being turned into bytes.
//!
//! `cargo test NAME` runs what concerns one sim, its dashes written as underscores.

mod gallery;

use gallery::Story;
use std::collections::BTreeSet;
use wirefate::scenario::Played;
use wirefate::trace::{Keep, What};
use wirefate::wire::{Body, Packet, emit, parse, parse_raw};

/// The seed of snapshots.
const SEED: u64 = 7;

/// A test for each sim in each of three modules.
macro_rules! sims {
    ($($name:ident)*) => {
        const NAMED: &[&str] = &[$(stringify!($name)),*];

        mod the_story_holds {
            $(#[test] fn $name() { super::holds(stringify!($name)); })*
        }

        mod every_sim_passes_over_ipv6 {
            $(#[test] fn $name() { super::passes_over_ipv6(stringify!($name)); })*
        }

        mod every_packet_survives_its_bytes {
            $(#[test] fn $name() { super::packets_survive(stringify!($name)); })*
        }
    };
}

sims! {
    client_fin_lost
    close_at_once
    closed_port
    crash_and_reboot_discovered_by_rst
    four_way_close
    half_close_data_after_fin
    last_ack_lost
    lossy_reordered_upload
    nat_forgets
    old_segment_after_time_wait
    simultaneous_close
    simultaneous_open
    syn_ack_lost
    syn_flood
    syn_lost
    three_way_handshake
    two_way_handshake_deadlock
}

#[test]
fn every_sim_has_a_test_and_every_test_a_sim() {
    let files: BTreeSet<String> = gallery::names().into_iter().collect();
    let named: BTreeSet<String> = NAMED.iter().map(|name| name.replace('_', "-")).collect();
    let untested: Vec<_> = files.difference(&named).collect();
    assert!(untested.is_empty(), "add to the list `sims!` of tests/sims.rs: {untested:?}");
    let gone: Vec<_> = named.difference(&files).collect();
    assert!(gone.is_empty(), "there is no such file in sims/: {gone:?}");
}

#[test]
fn every_snapshot_belongs_to_a_story() {
    let stems: BTreeSet<String> = gallery::all().iter().map(Story::stem).collect();
    for entry in std::fs::read_dir(gallery::folder("snapshots")).expect("the folder is there") {
        let name = entry.expect("its entries can be read").file_name().into_string().expect("names are UTF-8");
        let Some(stem) = name.strip_suffix(".snap") else { continue };
        assert!(stems.contains(stem), "no sim has a variant for snapshots/{name}");
    }
}

/// Plays every story of a sim and compares it with its snapshot. A variant that shows the same as the plain story has
/// none.
fn holds(name: &str) {
    let mut plain: Option<String> = None;
    for story in gallery::stories_of(&name.replace('_', "-"), &[]) {
        let played = story.play(SEED, Keep::Story);
        assert_held(&story, &played);
        let text = played.snapshot();
        match &plain {
            Some(plain) if body(plain) == body(&text) => {
                let file = gallery::folder("snapshots").join(format!("{}.snap", story.stem()));
                assert!(!file.exists(), "{} shows nothing new: delete it", file.display());
            }
            _ => compare(&story.stem(), &text),
        }
        plain.get_or_insert(text);
    }
}

/// What comes after the header, which always differs.
fn body(text: &str) -> &str {
    text.split_once("\n\n").map_or(text, |(_, body)| body)
}

fn compare(stem: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stem, text));
}

#[track_caller]
fn assert_held(story: &Story, played: &Played) {
    if !played.verdict().held {
        let failures: Vec<String> = played.failures.iter().map(|failure| format!("  {failure}")).collect();
        panic!("{}:\n{}\n\n{}", story.stem(), failures.join("\n"), played.snapshot());
    }
}

fn passes_over_ipv6(name: &str) {
    for story in gallery::stories_of(&name.replace('_', "-"), &[("ip", "6")]) {
        let played = story.play(SEED, Keep::Story);
        assert_held(&story, &played);
        let over_ipv6 = packets(&played).any(|packet| packet.src.is_ipv6());
        assert!(over_ipv6, "{}: not one packet is IPv6", story.stem());
    }
}

fn packets_survive(name: &str) {
    let name = name.replace('_', "-");
    for set in [&[][..], &[("ip", "6")]] {
        for story in gallery::stories_of(&name, set) {
            let played = story.play(SEED, Keep::Story);
            for packet in packets(&played) {
                let bytes = emit(packet);
                assert_eq!(bytes.len(), packet.len() as usize, "{packet:?}");
                match packet.body {
                    // What was corrupted in flight is bytes and stays so; `parse` must go on refusing it.
                    Body::Raw(_) => {
                        assert!(parse(&bytes).is_err(), "{packet:?}");
                        let again = parse_raw(&bytes).unwrap_or_else(|error| panic!("{error}: {packet:?}"));
                        assert_eq!(again.body, packet.body);
                    }
                    _ => assert_eq!(parse(&bytes).as_ref(), Ok(packet)),
                }
            }
        }
    }
}

/// Every packet of a run, as it was sent and as it arrived.
fn packets(played: &Played) -> impl Iterator<Item = &Packet> {
    played.sim.records().iter().filter_map(|record| match &record.what {
        What::Sent(sent) => Some(&*sent.packet),
        What::Arrived(arrived) => Some(&*arrived.packet),
        _ => None,
    })
}
