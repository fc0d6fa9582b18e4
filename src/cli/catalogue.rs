//! The sims that come with wirefate, embedded in the binary, and files beside them.

use super::Trouble;
use crate::scenario::Scenario;
use include_dir::{Dir, include_dir};
use std::fs;
use std::path::Path;

static SIMS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sims");

/// A sim by its name: `syn-flood` for `sims/syn-flood.toml`.
pub(super) struct Sim {
    /// Its name.
    pub(super) name: String,
    /// What errors call its file.
    pub(super) file: String,
    /// The file.
    pub(super) bytes: Vec<u8>,
}

impl Sim {
    /// The scenario in the file.
    pub(super) fn scenario(&self) -> Result<Scenario, Trouble> {
        Ok(Scenario::parse_bytes(&self.file, &self.bytes)?)
    }
}

/// Every embedded sim, by name.
pub(super) fn all() -> Vec<Sim> {
    let mut sims: Vec<Sim> = SIMS.find("**/*.toml").into_iter().flatten().filter_map(embedded).collect();
    sims.sort_by(|a, b| a.name.cmp(&b.name));
    sims
}

fn embedded(entry: &include_dir::DirEntry<'_>) -> Option<Sim> {
    let file = entry.as_file()?;
    let name = file.path().with_extension("").display().to_string();
    Some(Sim { name, file: format!("sims/{}", file.path().display()), bytes: file.contents().to_vec() })
}

/// The sim that a user names: a file if there is one, else one of the catalogue.
pub(super) fn find(text: &str) -> Result<Sim, Trouble> {
    let path = Path::new(text);
    if path.is_file() {
        return read(path);
    }
    if let Some(sim) = all().into_iter().find(|sim| sim.name == text) {
        return Ok(sim);
    }
    let names: Vec<String> = all().into_iter().map(|sim| sim.name).collect();
    let near = names.iter().min_by_key(|name| strsim::damerau_levenshtein(name, text));
    let near = near.filter(|name| strsim::damerau_levenshtein(name, text) <= 1 + text.len() / 3);
    let help = match near {
        Some(name) => format!("there is `{name}`; `wirefate list` shows all of them"),
        None => "`wirefate list` shows the sims that come with wirefate".to_owned(),
    };
    Err(Trouble::usage(format!("`{text}` is neither a file nor a sim"), help))
}

/// The sim in a file.
pub(super) fn read(path: &Path) -> Result<Sim, Trouble> {
    let bytes = fs::read(path).map_err(Trouble::own(path.display()))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok(Sim { name, file: path.display().to_string(), bytes })
}
