use super::args::MatrixArgs;
use super::{End, Trouble};
use crate::endpoint::{Endpoint, State};
use crate::host::{Host, HostConfig, Profile};
use crate::matrix::{Diff, Matrix};
use std::io::{self, Write};

/// `wirefate matrix`.
pub(super) fn matrix(args: &MatrixArgs) -> Result<End, Trouble> {
    let state = args.state.as_deref().map(state).transpose()?;
    let keep = |mut matrix: Matrix| {
        matrix.blocks.retain(|block| state.is_none_or(|state| block.state == state));
        matrix
    };
    let text = match &args.diff[..] {
        [left, right] => {
            let (left, right) = (profile(left)?, profile(right)?);
            let (ours, theirs) = (keep(of(left)?), keep(of(right)?));
            Diff::of_profiles((left, &ours), (right, &theirs)).to_string()
        }
        _ => keep(of(profile(&args.profile)?)?).to_string(),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))?;
    Ok(End::Held)
}

/// The profile with this name.
pub(super) fn profile(name: &str) -> Result<Profile, Trouble> {
    Profile::from_name(name).map_err(|error| {
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        Trouble::usage(error, format!("choose one of: {}", names.join(", ")))
    })
}

/// The matrix of a host of this profile.
pub(super) fn of(profile: Profile) -> Result<Matrix, Trouble> {
    let config = HostConfig { profile, ..HostConfig::named("subject") };
    let host = Host::new(config, 1).map_err(|error| Trouble::usage(error, "this profile's own defaults are at fault"));
    // Each experiment has a fresh host; what makes one makes all.
    host.map(|_| Matrix::of(|| fresh(profile)))
}

fn fresh(profile: Profile) -> Box<dyn Endpoint> {
    let config = HostConfig { profile, ..HostConfig::named("subject") };
    Box::new(Host::new(config, 1).expect("the same configuration made a host before"))
}

fn state(name: &str) -> Result<State, Trouble> {
    let names: Vec<&str> = State::ALL.iter().map(|state| state.name()).collect();
    State::from_name(&name.to_uppercase()).ok_or_else(|| {
        Trouble::usage(format!("there is no state `{name}`"), format!("choose one of: {}", names.join(", ")))
    })
}
