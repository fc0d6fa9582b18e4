//! `wirefate profile`: a profile's table, or where two of them differ.

use super::args::ProfileArgs;
use super::{End, Trouble, matrix};
use crate::host::{Behaviour, Confidence, Profile, Sysctl};
use std::fmt::Write as _;
use std::io::{self, Write};

pub(super) fn profile(args: &ProfileArgs) -> Result<End, Trouble> {
    let one = matrix::profile(&args.name)?;
    let text = match &args.diff {
        None => table(one),
        Some(other) => difference(one, matrix::profile(other)?),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))?;
    Ok(End::Held)
}

/// A line of a profile's table.
struct Line {
    name: &'static str,
    value: String,
    source: &'static str,
    confidence: Confidence,
}

impl Line {
    fn of_sysctl(sysctl: &Sysctl) -> Line {
        let numbers: Vec<String> = sysctl.default[..sysctl.count].iter().map(u64::to_string).collect();
        let value = match (sysctl.text, sysctl.lacks) {
            (Some(text), _) => text.default.to_owned(),
            (None, Some(lacks)) => format!("{} (the profile has no {lacks})", numbers.join(" ")),
            (None, None) => format!("{}{}", numbers.join(" "), sysctl.unit.suffix()),
        };
        Line { name: sysctl.name, value, source: sysctl.source, confidence: sysctl.confidence }
    }

    fn of_behaviour(behaviour: &Behaviour) -> Line {
        let &Behaviour { name, value, source, confidence, .. } = behaviour;
        Line { name, value: value.to_owned(), source, confidence }
    }

    /// The value, with a question mark where nobody has verified it.
    fn shown(&self) -> String {
        if self.confidence == Confidence::Unverified { format!("{} ?", self.value) } else { self.value.clone() }
    }
}

/// No column of names is wider.
const WIDEST: usize = 44;

fn lines(profile: Profile) -> [(&'static str, Vec<Line>); 2] {
    let sysctls = profile.sysctls().iter().map(Line::of_sysctl).collect();
    let behaviours = profile.behaviours().iter().map(Line::of_behaviour).collect();
    [("sysctls", sysctls), ("behaviours", behaviours)]
}

fn table(profile: Profile) -> String {
    let mut text = format!("{profile}\n");
    for (title, lines) in lines(profile) {
        text += &format!("\n{title}\n");
        let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0).min(WIDEST);
        for line in lines {
            let (shown, confidence) = (line.shown(), line.confidence);
            _ = writeln!(text, "  {:width$}  {shown}  [{confidence}: {}]", line.name, line.source);
        }
    }
    text
}

/// What only one of the two has, or each in its own way.
fn difference(left: Profile, right: Profile) -> String {
    let mut text = format!("{left} and {right}\n");
    for ((title, ours), (_, theirs)) in lines(left).into_iter().zip(lines(right)) {
        let mut names: Vec<&str> = ours.iter().chain(&theirs).map(|line| line.name).collect();
        names.sort_unstable();
        names.dedup();
        let find = |lines: &[Line], name: &str| lines.iter().find(|line| line.name == name).map(Line::shown);
        text += &format!("\n{title}\n");
        for name in names {
            let (ours, theirs) = (find(&ours, name), find(&theirs, name));
            if ours != theirs {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                _ = writeln!(text, "  {name}\n    {left:8} {}\n    {right:8} {}", shown(ours), shown(theirs));
            }
        }
    }
    text
}
