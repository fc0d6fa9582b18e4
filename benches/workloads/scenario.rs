//! S1: a scenario file, as `wirefate run` plays it.

use crate::measure::{Done, Meter};
use wirefate::scenario::{Scenario, play};
use wirefate::trace::Keep;

const FILE: &str = "benches/churn.toml";

/// An operation is a packet.
pub(crate) fn run(_meter: &mut Meter) -> Done {
    let scenario = Scenario::parse(FILE, include_str!("../churn.toml")).expect("a scenario");
    let instance = scenario.instance(None, &[], &[]).expect("its defaults are good");
    let played = play("churn", &instance, 1, Keep::Nothing).expect("it can be built");
    let packets = played.sim.outcome().packets;
    let mut done = Done::of(&played.sim, packets, packets);
    done.wrong.extend(played.verdict().broken);
    done
}
