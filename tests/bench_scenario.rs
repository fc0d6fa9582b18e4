//! The scenario among the benchmarks is the one that the command plays: both print the same digest.
#![cfg(feature = "cli")]

use std::process::Command;
use wirefate::scenario::{Scenario, play};
use wirefate::trace::Keep;

#[test]
fn the_command_and_the_benchmark_agree_on_the_digest() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/churn.toml");
    let set = ["--set", "count=20"];
    let command = Command::new(env!("CARGO_BIN_EXE_wirefate")).args(["run", file, "--seed", "1"]).args(set).output();
    let output = String::from_utf8(command.expect("the command runs").stdout).expect("it prints text");
    let printed = output.lines().find_map(|line| line.strip_prefix("digest ")).expect("it prints the digest");

    let text = std::fs::read_to_string(file).expect("the file can be read");
    let scenario = Scenario::parse(file, &text).unwrap_or_else(|errors| panic!("{errors}"));
    let instance = scenario.instance(None, &[("count", "20")], &[]).expect("the parameter is declared");
    let played = play("churn", &instance, 1, Keep::Nothing).expect("it can be built");
    assert_eq!(played.sim.digest().to_string(), printed);
}
