use super::args::StatesArgs;
use super::matrix::{of, profile};
use super::{End, Trouble, catalogue, progress};
use crate::matrix::Diagram;
use crate::scenario::play;
use crate::trace::Keep;
use std::io::{self, Write};

/// `wirefate states`.
pub(super) fn states(args: &StatesArgs) -> Result<End, Trouble> {
    let profile = profile(&args.profile)?;
    let mut diagram = Diagram::of(&of(profile)?);
    let mut title = format!("TCP of {profile}");
    let mut end = End::Held;
    if let Some(text) = &args.run {
        let sim = catalogue::find(text)?;
        let instance = sim.scenario()?.instance(args.variant.as_deref(), &[], &[])?;
        let played = progress::over_a_second(&sim.name, || play(&sim.name, &instance, args.seed, Keep::Full))?;
        diagram.mark(&played.sim);
        title += &format!(", and the ways of {} under seed {}", played.sim.header().sim, args.seed);
        if !played.verdict().held {
            end = End::Broken;
        }
    }
    let text = if args.dot { diagram.dot(&title) } else { format!("{title}\n\n{diagram}") };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))?;
    Ok(end)
}
