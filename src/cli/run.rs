use super::args::{Format, RunArgs, TableFormat};
use super::watch::Watches;
use super::{End, Trouble, catalogue, progress};
use crate::scenario::{Played, Scenario, play_prepared};
use crate::trace::{Keep, LEGEND};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// `wirefate run`.
pub(super) fn run(args: &RunArgs) -> Result<End, Trouble> {
    if args.legend {
        io::stdout().lock().write_all(LEGEND.as_bytes()).map_err(Trouble::own("standard output"))?;
        return Ok(End::Held);
    }
    progress::trace(args.verbose);
    let (mut end, mut head) = (End::Held, None);
    for text in &args.sims {
        let sim = catalogue::find(text)?;
        let scenario = sim.scenario()?;
        for variant in variants(&scenario, args.variant.as_deref())? {
            if one(args, &sim.name, &scenario, variant.as_deref(), &mut head)? == End::Broken {
                end = End::Broken;
            }
        }
    }
    Ok(end)
}

/// The variants that are wanted; `None` is the plain story.
fn variants(scenario: &Scenario, wanted: Option<&str>) -> Result<Vec<Option<String>>, Trouble> {
    let all = scenario.variants.iter().map(|variant| variant.name.to_string());
    match wanted {
        None => Ok(vec![None]),
        Some("all") => Ok(std::iter::once(None).chain(all.map(Some)).collect()),
        Some(name) => Ok(vec![Some(name.to_owned())]),
    }
}

fn one(
    args: &RunArgs,
    name: &str,
    scenario: &Scenario,
    variant: Option<&str>,
    head: &mut Option<String>,
) -> Result<End, Trouble> {
    let set: Vec<(&str, &str)> = args.set.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let sysctls: Vec<_> = args.sysctl.iter().map(|(h, n, v)| (h.as_str(), n.as_str(), v.as_str())).collect();
    let instance = scenario.instance(variant, &set, &sysctls)?;
    let keep = if args.format == Format::Full { Keep::Full } else { Keep::Story };
    let mut watches = Watches::asked(args, &instance)?;
    let played =
        progress::over_a_second(name, || play_prepared(name, &instance, args.seed, keep, |sim| watches.begin(sim)))?;
    match watches.is_empty() {
        true => print(args, &played)?,
        false => print_watched(args, &played, &watches, head)?,
    }
    if let Some(path) = &args.pcap {
        capture(&played, None, path)?;
    }
    if let Some(host) = &args.pcap_at {
        capture(&played, Some(host), Path::new(&format!("{host}.pcapng")))?;
    }
    Ok(if played.verdict().held { End::Held } else { End::Broken })
}

fn print(args: &RunArgs, played: &Played) -> Result<(), Trouble> {
    let trace = played.trace();
    let mut text = String::new();
    let written = match args.format {
        Format::Story => trace.story().absolute(args.absolute).write(&mut text),
        Format::Full => trace.full().absolute(args.absolute).write(&mut text),
        Format::Json => trace.json().write(&mut text),
        Format::Ladder => match trace.ladder(&[]) {
            Ok(ladder) => ladder.absolute(args.absolute).write(&mut text),
            Err(error) => return Err(Trouble::usage(error, "`--format story` draws no picture")),
        },
        Format::None => verdict(played, &mut text),
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    if args.format != Format::Json {
        text += &format!("digest {}\n", played.sim.digest());
    }
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))
}

/// The trace, then what was watched; or that alone.
fn print_watched(args: &RunArgs, played: &Played, watches: &Watches, head: &mut Option<String>) -> Result<(), Trouble> {
    let tables = watches.show(played, args.watch_format, head);
    let mut out = io::stdout();
    let mut told = String::new();
    if args.format != Format::None {
        print(args, played)?;
        out.write_all(b"\n").map_err(Trouble::own("standard output"))?;
    } else if !played.verdict().held || (args.is_several() && args.watch_format == TableFormat::Text) {
        let written = verdict(played, &mut told);
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    // Standard output is for tables alone; the verdict names them where there are several.
    io::stderr().write_all(told.as_bytes()).map_err(Trouble::own("standard error"))?;
    out.write_all(tables.as_bytes()).map_err(Trouble::own("standard output"))
}

/// The verdict alone.
fn verdict(played: &Played, text: &mut String) -> std::fmt::Result {
    let (header, verdict) = (played.sim.header(), played.verdict());
    writeln!(text, "{} seed {}: {}", header.sim, header.seed, if verdict.held { "HELD" } else { "BROKEN" })?;
    verdict.broken.iter().try_for_each(|broken| writeln!(text, "  {broken}"))
}

fn capture(played: &Played, at: Option<&str>, path: &Path) -> Result<(), Trouble> {
    let trace = played.trace();
    let node = match at {
        None => None,
        Some(host) => Some(played.sim.find(host).ok_or_else(|| {
            let names: Vec<&str> = trace.names.all_nodes().map(|(_, name)| name).collect();
            Trouble::usage(format!("there is no host `{host}`"), format!("there is {}", names.join(", ")))
        })?),
    };
    let file = BufWriter::new(File::create(path).map_err(Trouble::own(path.display()))?);
    let written = match node {
        None => trace.capture(file),
        Some(node) => trace.capture_at(node, file),
    };
    let mut file = written.map_err(io::Error::other).map_err(Trouble::own(path.display()))?;
    file.flush().map_err(Trouble::own(path.display()))
}
