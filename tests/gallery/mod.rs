//! The sims of `sims/` and every way to run them: each plain, and in each of its variants.
#![allow(dead_code, reason = "each of the tests that share this takes its own part of it")]

use std::path::{Path, PathBuf};
use wirefate::scenario::{Instance, Played, Scenario, play, play_prepared};
use wirefate::sim::Sim;
use wirefate::trace::Keep;

/// One story: a sim, plain or in one variant.
pub(crate) struct Story {
    pub(crate) sim: String,
    pub(crate) variant: Option<String>,
    pub(crate) instance: Instance,
}

/// The folder `name` of the package.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of all sims, sorted.
pub(crate) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder("sims")).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("its entries can be read").file_name());
    let names = names.map(|name| name.into_string().expect("names are UTF-8"));
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned())).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// The text of a sim's file.
pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(folder("sims").join(format!("{name}.toml"))).expect("the file can be read")
}

/// What the text of a scenario file says.
pub(crate) fn parse(name: &str, text: &str) -> Scenario {
    Scenario::parse(&format!("{name}.toml"), text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A sim's plain story, then its variants, with parameters `set`.
pub(crate) fn stories_of(name: &str, set: &[(&str, &str)]) -> Vec<Story> {
    let scenario = parse(name, &text(name));
    let variants = scenario.variants.iter().map(|variant| Some(variant.name.to_string()));
    let story = |variant: Option<String>| {
        let instance = scenario.instance(variant.as_deref(), set, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        Story { sim: name.to_owned(), variant, instance }
    };
    std::iter::once(None).chain(variants).map(story).collect()
}

/// Every story of every sim.
pub(crate) fn all() -> Vec<Story> {
    names().iter().flat_map(|name| stories_of(name, &[])).collect()
}

impl Story {
    /// The variant with dashes for spaces; `-` for none.
    pub(crate) fn dashed(&self) -> String {
        let variant = self.variant.as_deref().unwrap_or("-");
        variant.split_whitespace().collect::<Vec<_>>().join("-")
    }

    /// `nat-forgets`, `nat-forgets@a-NAT-that-resets`: the stem of its snapshot.
    pub(crate) fn stem(&self) -> String {
        if self.variant.is_none() { self.sim.clone() } else { format!("{}@{}", self.sim, self.dashed()) }
    }

    pub(crate) fn play(&self, seed: u64, keep: Keep) -> Played {
        play(&self.sim, &self.instance, seed, keep).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn play_prepared(&self, seed: u64, keep: Keep, prepare: impl FnOnce(&mut Sim)) -> Played {
        play_prepared(&self.sim, &self.instance, seed, keep, prepare).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The digest of a run of which nothing is kept, which is the fastest.
    pub(crate) fn digest(&self, seed: u64) -> String {
        self.play(seed, Keep::Nothing).sim.digest().to_string()
    }

    /// How many seeds the tests of determinism spend on this story: 50, or for floods of ten thousands of packets as
    /// many as take no longer.
    pub(crate) fn seeds(&self) -> u64 {
        match self.play(0, Keep::Nothing).sim.outcome().packets {
            0..1_000 => 50,
            1_000..10_000 => 10,
            _ => 2,
        }
    }
}
