//! Our own scripts of packetdrill, in `sims/drill/PROFILE/`: each passes in every way of IP that it is meant for, and with
//! one thing changed it fails.
//!
//! `cargo test NAME` runs one script, its dashes written as underscores; `wirefate drill sims/drill` runs all.

#[path = "drill_scripts/mutants.rs"]
mod mutants;

use mutants::{Kind, Mutant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wirefate::drill::{self, Defines, Platform, Run, Script, Site, Variant, Verdict, Wanted};
use wirefate::endpoint::Endpoint;
use wirefate::host::{Host, HostConfig, Profile};

/// A test for each script of each profile.
macro_rules! scripts {
    ($($profile:ident { $($name:ident)* })*) => {
        const NAMED: &[(&str, &[&str])] = &[$((stringify!($profile), &[$(stringify!($name)),*])),*];

        $(mod $profile {
            $(#[test] fn $name() { super::passes(stringify!($profile), stringify!($name)); })*
        })*
    };
}

scripts! {
    freebsd {
        accept_queue_full_ack_dropped
        accept_queue_holds_half_as_many_more
        ack_at_once_after_a_window_of_zero
        bound_port_is_closed
        buffers_of_whole_segments
        cookie_after_an_overflow
        cookie_without_overflow
        delayed_ack
        delayed_ack_of_one_segment
        dsack_of_what_fills_a_gap
        fin_again_with_every_ack
        fin_again_with_every_kind_of_ack
        finwait2_as_long_as_keepalive
        finwait2_recycled_fast
        icmp_refusals_end_syn_sent
        icmp_says_nothing_to_a_connection
        insecure_rst
        insecure_syn
        insecure_syn_counts_from_the_last_ack
        keepalive_always
        missing_timestamp_dropped
        missing_timestamp_taken
        old_data_brings_its_ack
        pushed_out_and_no_cookies
        retries_gives_up_with_a_reset
        rto_has_a_slop
        secure_rst
        secure_rst_as_far_as_the_buffer
        secure_rst_counts_from_the_last_ack
        secure_syn
        syn_cache_paused_by_a_full_row
        syn_options
        syn_options_without_timestamps
        syn_received_ack_of_another_number
        syn_received_syn_again
        syn_schedule_and_keepinit
        synack_again_once
        synack_schedule_has_a_slop
        takes_what_it_has_room_for
        time_wait_answers_each
        time_wait_is_twice_the_msl
        time_wait_only_a_fin_prolongs_it
        time_wait_rst_dropped
        time_wait_syn_ack
        time_wait_syn_higher_number
        time_wait_syn_newer_timestamp
        window_scale_of_the_largest_buffer
    }
    linux {
        accept_queue_full_ack_ignored
        accept_queue_full_ack_reset
        accept_queue_full_syn_abort_0
        accept_queue_full_syn_abort_1
        ack_of_long_ago
        ack_of_what_was_not_sent
        challenges_are_rare
        challenges_unlimited
        close_with_all_data_read
        close_with_an_urgent_byte_read
        close_with_only_a_fin_unread
        close_with_some_data_unread
        close_with_unread_data
        close_with_unread_data_and_unsent
        closing_repeats_its_fin
        connect_blocks_and_is_refused
        connect_called_again
        connect_icmp_host_prohibited
        connect_icmp_host_unreachable
        connect_icmp_net_unreachable
        connect_icmp_not_of_this_syn
        connect_icmp_port_unreachable
        connect_icmp_while_it_does_not_block
        cookie_for_another_number
        cookie_forged
        cookie_meets_a_full_queue
        cookie_third_ack_lost
        cookie_too_old
        cookies_when_the_queue_is_full
        cookies_with_timestamps
        cookies_without_timestamps
        cork
        cork_forgotten
        data_behind_the_fin_of_the_peer
        data_below_the_window
        data_for_an_orphan
        data_for_an_orphan_in_fin_wait_1
        data_out_of_the_window
        defer_accept_waits_for_data
        defer_accept_without_data
        delayed_ack
        dsack_among_compressed_acks
        empty_acks_out_of_the_window
        fin_joins_data_held_by_nagle
        fin_out_of_order
        fin_out_of_order_for_an_orphan
        fin_out_of_order_for_an_orphan_in_fin_wait_1
        fin_wait_2_in_time
        fin_wait_2_longest
        fin_wait_2_of_an_open_socket
        fin_wait_2_of_an_orphan_and_resets
        fin_wait_2_too_late
        fin_with_data_arrives
        half_close_peer_goes_on
        half_close_we_go_on
        icmp_for_an_established_connection
        icmp_names_the_reason_in_the_end
        keepalive_answered
        keepalive_data_puts_it_off
        keepalive_idle_counts_what_was
        keepalive_of_the_sysctls
        keepalive_probe_for_us
        keepalive_unanswered
        keepalive_with_user_timeout
        last_ack_repeats_its_fin
        linger2_negative_and_the_fin_of_the_peer
        linger2_negative_resets
        linger2_shortens_fin_wait_2
        linger_gives_up
        linger_waits_for_the_last_ack
        linger_waits_though_nonblocking
        linger_zero_drops_unsent_data
        linger_zero_resets
        listener_closed_before_accept
        listener_closed_half_open
        listener_drops_data_of_a_syn
        nagle_off
        nagle_waits
        no_answer_first_rto_is_a_probe
        no_cookies_when_there_is_room
        orphan_gives_up_at_the_greatest_rto
        orphan_gives_up_its_fin
        paws_drops_an_old_timestamp
        paws_forgives_one_tick
        paws_lets_resets_pass
        probes_of_a_closed_port
        probes_of_a_listener
        quickack_off
        reconnect_from_time_wait
        reconnect_without_timestamps
        reset_and_who_writes_first
        reset_at_the_edge_of_a_sack_block
        reset_at_the_next_number
        reset_in_close_wait
        reset_in_last_ack
        reset_in_the_window
        reset_out_of_the_window
        retries2_gives_up
        retries2_whatever_the_least_rto
        rto_after_a_lost_syn
        segments_without_ack
        shutdown_both_then_data
        shutdown_read_then_data
        simultaneous_close
        simultaneous_open
        simultaneous_open_by_an_ack
        syn_again_synack_again
        syn_fin_in_syn_sent
        syn_in_a_connection
        syn_queue_full_without_cookies
        syn_received_data_with_a_gap
        syn_received_fin
        syn_received_old_syn
        syn_received_other_syn
        syn_received_resets
        syn_received_wrong_ack
        syn_schedule
        syn_schedule_exponential
        syn_schedule_one_linear
        syn_schedule_retries_3
        syn_sent_bad_ack
        syn_sent_bad_synack
        syn_sent_ignores
        syn_sent_reset
        syn_user_timeout
        syn_with_a_tiny_mss
        synack_given_up
        synack_retransmitted
        synack_with_data
        syncnt
        third_ack_lost
        third_ack_lost_and_nothing_said
        three_segment_close
        time_wait_assassination
        time_wait_bare_ack
        time_wait_buckets_full
        time_wait_fin_again
        time_wait_fin_again_and_again
        time_wait_lasts_a_minute
        time_wait_old_data
        time_wait_rst_elsewhere
        time_wait_rst_ends_it
        time_wait_rst_ignored
        time_wait_syn_and_nobody_listens
        time_wait_syn_higher_number
        time_wait_syn_lower_number
        time_wait_syn_newer_timestamp
        time_wait_syn_older_timestamp
        time_wait_syn_same_timestamp
        time_wait_syn_without_timestamp
        too_big_is_not_believed_below_552
        tw_reuse_off
        tw_reuse_on
        unknown_peers_let_in
        unknown_peers_refused
        urgent_inline
        urgent_out_of_band
        urgent_sent
        urgent_still_to_come
        user_timeout_with_data
        zero_window_dead_peer
        zero_window_over_data_in_flight
        zero_window_over_data_user_timeout
        zero_window_probes
        zero_window_probes_double_no_more
        zero_window_user_timeout
    }
    rfc9293 {
        challenges_are_ten_in_five_seconds
        close_with_unread_data
        delayed_ack
        first_rto_is_a_second
        icmp_does_not_end_connect
        paws_wants_a_timestamp
        reset_in_the_window
        simultaneous_open
        syn_received_other_syn
        syn_schedule
        syn_sent_bad_ack
        synack_with_data
        time_wait_bare_ack
        time_wait_fin_again
        time_wait_lasts_four_minutes
        time_wait_reset_ends_it
        time_wait_syn_higher_number
        zero_window_probe_has_a_byte
    }
    windows {
        bind_beside_time_wait
        data_five_times_again
        data_twice_again
        delayed_ack_as_set
        delayed_ack_frequency_1
        dynamic_ports_begin_at_49152
        initial_window_of_three
        keepalive_after_two_hours
        keepalive_time_and_interval
        no_cookies
        one_dynamic_port
        options_as_set
        syn_schedule_of_300_ms
        syn_schedule_of_windows_7
        time_wait_of_30_s
        time_wait_of_four_minutes
    }
}

/// Where the scripts are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sims/drill")
}

/// `PROFILE/NAME` of every script there is.
fn files() -> BTreeSet<String> {
    let entries = |path: &Path| {
        let all = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        all.map(|entry| entry.expect("entries can be read").path()).collect::<Vec<_>>()
    };
    let profiles = entries(&folder()).into_iter().filter(|path| path.is_dir());
    let scripts = profiles.flat_map(|profile| entries(&profile));
    let name = |path: PathBuf| {
        let path = path.strip_prefix(folder()).expect("it is in the folder").with_extension("");
        path.to_str().expect("names are UTF-8").replace('\\', "/")
    };
    scripts.map(name).collect()
}

fn named() -> BTreeSet<String> {
    let of = |(profile, names): &(&str, &[&str])| {
        let profile = (*profile).to_owned();
        names.iter().map(move |name| format!("{profile}/{}", name.replace('_', "-"))).collect::<Vec<_>>()
    };
    NAMED.iter().flat_map(of).collect()
}

#[test]
fn every_script_has_a_test_and_every_test_a_script() {
    let (files, named) = (files(), named());
    let untested: Vec<_> = files.difference(&named).collect();
    assert!(untested.is_empty(), "add to the list `scripts!` of tests/drill_scripts.rs: {untested:?}");
    let gone: Vec<_> = named.difference(&files).collect();
    assert!(gone.is_empty(), "there is no such file in sims/drill/: {gone:?}");
    assert!(files.len() >= 60, "{}", files.len());
}

/// The profile that a script names itself is that of its folder, and it says first what it shows, and where that is
/// from.
#[test]
fn every_script_says_what_it_shows() {
    for name in files() {
        let text = text(&name);
        let script = read(&name, &text);
        let (profile, _) = name.split_once('/').expect("it is in a folder");
        assert_eq!(script.profile().unwrap_or("linux"), profile, "{name}");
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("// ")).collect();
        let cites = ["RFC ", "()", "recordings", "TCP_TIMEWAIT_LEN"];
        assert!(cites.iter().any(|source| head.join(" ").contains(source)), "{name} does not say where this is from");
        let long = text.lines().find(|line| line.len() > 120);
        assert_eq!(long, None, "{name}");
    }
}

fn text(name: &str) -> String {
    let path = folder().join(format!("{name}.pkt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.replace("\r\n", "\n")
}

fn read(name: &str, text: &str) -> Script {
    let script = Script::parse(&format!("{name}.pkt"), text.as_bytes(), &Variant::Ipv4.defines());
    script.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs the text of a script on a host of its profile.
fn run(name: &str, text: &str, profile: &str, variant: Variant) -> Run {
    let platform = Platform::of_profile(profile);
    let profile = Profile::ALL.into_iter().find(|known| known.name() == profile).expect("there is such a profile");
    let make = |site: &Site| -> Result<Box<dyn Endpoint>, String> {
        let config = HostConfig { profile, addrs: vec![site.addr], hz: Some(1_000), ..HostConfig::named(site.name) };
        Ok(Box::new(Host::new(config, site.seed).map_err(|error| error.to_string())?))
    };
    let file = format!("{name}.pkt");
    drill::run_text(&file, text.as_bytes(), variant, platform, &Defines::new(), Wanted::default(), &make)
}

/// The script passes in each way, and there are at least two ways of IPv4.
fn passes(profile: &str, name: &str) {
    let name = format!("{profile}/{}", name.replace('_', "-"));
    let text = text(&name);
    let variants = drill::variants(&read(&name, &text));
    assert!(variants.contains(&Variant::Ipv4) && variants.contains(&Variant::Mapped), "{name}: {variants:?}");
    for variant in variants {
        let run = run(&name, &text, profile, variant);
        if let Verdict::Failed(failure) = &run.verdict {
            panic!("{name} ({variant})\n{failure}");
        }
        assert_eq!(run.verdict, Verdict::Passed, "{name} ({variant})");
        assert_eq!(run.warnings, Vec::<String>::new(), "{name} ({variant})");
    }
}

/// Whether a changed script may be right: the first number of a connection is what the script's other numbers count from,
/// and the host's own may be any.
fn is_free(text: &str, mutant: &Mutant) -> bool {
    let line = text.lines().nth(mutant.line - 1).unwrap_or("");
    mutant.kind == Kind::Sequence && [" > S ", " > S. "].iter().any(|syn| line.contains(syn))
}

#[test]
fn a_script_with_one_thing_changed_fails() {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    let (mut survivors, mut free) = (Vec::new(), 0);
    for name in files() {
        let text = text(&name);
        let (profile, _) = name.split_once('/').expect("it is in a folder");
        for mutant in mutants::of(&text) {
            *counts.entry(mutant.kind).or_default() += 1;
            let verdict = run(&name, &mutant.text, profile, Variant::Ipv4).verdict;
            if matches!(verdict, Verdict::Failed(_)) {
                continue;
            }
            if is_free(&text, &mutant) {
                free += 1;
                continue;
            }
            let line = mutant.text.lines().nth(mutant.line - 1).unwrap_or("").to_owned();
            survivors.push(format!("{name}:{} {:?} {verdict:?}: {line}", mutant.line, mutant.kind));
        }
    }
    let all: usize = counts.values().sum();
    assert!(survivors.is_empty(), "{} of {all} survive:\n{}", survivors.len(), survivors.join("\n"));
    assert!(all > 4_500 && counts.len() == 12, "{all}: {counts:?}");
    assert!(free <= files().len(), "{free} with another first number: that is more than one a script");
}
