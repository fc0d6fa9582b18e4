use super::args::{ListArgs, ShowArgs};
use super::{End, Trouble, catalogue};
use std::io::{self, Write};

/// `wirefate list`.
pub(super) fn list(args: &ListArgs) -> Result<End, Trouble> {
    let wanted = args.query.as_deref().unwrap_or_default().to_lowercase();
    let mut rows = Vec::new();
    for sim in catalogue::all() {
        let scenario = sim.scenario()?;
        let hay = format!("{} {} {}", sim.name, scenario.title, scenario.topic).to_lowercase();
        if hay.contains(&wanted) {
            rows.push((sim.name, scenario.topic, scenario.title));
        }
    }
    if rows.is_empty() {
        let query = args.query.as_deref().unwrap_or_default();
        return Err(Trouble::usage(format!("no sim has `{query}` in it"), "`wirefate list` shows all of them"));
    }
    let wide = |column: fn(&(String, String, String)) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let (names, topics) = (wide(|row| row.0.len()), wide(|row| row.1.len()));
    let mut out = io::stdout().lock();
    for (name, topic, title) in &rows {
        writeln!(out, "{name:names$}  {topic:topics$}  {title}").map_err(Trouble::own("standard output"))?;
    }
    Ok(End::Held)
}

/// `wirefate show`.
pub(super) fn show(args: &ShowArgs) -> Result<End, Trouble> {
    let sim = catalogue::find(&args.sim)?;
    let scenario = sim.scenario()?;
    let mut text = format!("{}\n{}\n\n{}\n", scenario.title, scenario.source, scenario.story.trim());
    for param in &scenario.params {
        text += &format!("\n  --set {}={}\n      {}", param.name, param.default, param.doc);
    }
    for variant in &scenario.variants {
        text += &format!("\n  --variant '{}'", variant.name);
    }
    text += &format!("\n\n# {}\n{}", sim.file, String::from_utf8_lossy(&sim.bytes));
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))?;
    Ok(End::Held)
}
