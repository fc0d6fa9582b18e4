//! The first and the last lines of a rendering: what was run, and what came of it.

use super::{Header, Verdict};
use std::fmt;

/// What was run, a line a fact.
pub(super) fn header(header: &Header, to: &mut impl fmt::Write) -> fmt::Result {
    if !header.sim.is_empty() {
        writeln!(to, "sim       {}", header.sim)?;
    }
    writeln!(to, "seed      {}", header.seed)?;
    if !header.params.is_empty() {
        let params: Vec<String> = header.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        writeln!(to, "params    {}", params.join(", "))?;
    }
    // Profiles in the order of their first host.
    let mut profiles: Vec<(&str, Vec<&str>)> = Vec::new();
    for (host, profile) in &header.profiles {
        match profiles.iter_mut().find(|(name, _)| name == profile) {
            Some((_, hosts)) => hosts.push(host),
            None => profiles.push((profile, vec![host])),
        }
    }
    for (profile, hosts) in profiles {
        let hosts = if hosts.len() > 8 { format!("{} hosts", hosts.len()) } else { hosts.join(", ") };
        writeln!(to, "profile   {profile}: {hosts}")?;
    }
    header.teaching.iter().try_for_each(|setting| writeln!(to, "teaching  {setting} (not real)"))?;
    writeln!(to)
}

/// `11 oracles, 3 expectations; 9 packets, 2 lost; quiescent`
pub(super) fn verdict_text(verdict: &Verdict) -> String {
    let Verdict { oracles, not_applicable, expectations, packets, lost, ended, .. } = verdict;
    let idle = match &not_applicable[..] {
        [] => String::new(),
        names => format!(" ({}: not applicable)", names.join(", ")),
    };
    let s = |one: bool| if one { "" } else { "s" };
    format!(
        "{oracles} oracle{}{idle}, {expectations} expectation{}; {packets} packet{}, {lost} lost; {ended}",
        s(*oracles == 1),
        s(*expectations == 1),
        s(*packets == 1)
    )
}
