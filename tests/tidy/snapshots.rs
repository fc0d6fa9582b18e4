//! Snapshots: each belongs to something that exists, and is short enough to be read in a review.

use super::finding::Finding;
use super::tokens::each_level;
use super::tree::Source;
use proc_macro2::{TokenStream, TokenTree};

/// Lines a snapshot may have, its header apart.
const LINES: usize = 150;

/// Snapshots in `snapshots/` that no sim in `sims/` stands behind: `NAME.snap` or `NAME@variant.snap` of `NAME.toml`.
pub(crate) fn without_sim(snaps: &[String], sims: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in snaps.iter().filter(|path| path.ends_with(".snap")) {
        let name = name(path.trim_start_matches("snapshots/"));
        let sim = format!("sims/{name}.toml");
        if !sims.contains(&sim) {
            let way_out =
                "delete the snapshot, or name it after the sim that draws it (`NAME.snap`, `NAME@variant.snap`)";
            findings.push(Finding::new(path, 1, format!("a snapshot without its sim: there is no {sim}"), way_out));
        }
    }
    findings
}

/// Snapshots beside tests (`…/snapshots/module__name@variant-2.snap`) whose name no source file next to them speaks of.
pub(crate) fn without_test(paths: &[String], sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".snap")) {
        let Some((home, file)) = path.rsplit_once("/snapshots/") else {
            let way_out = "move it into a folder `snapshots` beside the test that draws it";
            findings.push(Finding::new(path, 1, "a snapshot outside a folder `snapshots`", way_out));
            continue;
        };
        let name = name(file).rsplit("__").next().unwrap_or_default();
        let mut beside = sources.iter().filter(|source| source.path.starts_with(&format!("{home}/")));
        if !beside.any(|source| speaks_of(&source.tokens, name)) {
            let what = format!("an orphan: no source file in {home}/ speaks of `{name}`");
            findings.push(Finding::new(path, 1, what, "delete the snapshot, or restore the test that draws it"));
        }
    }
    findings
}

/// The file's name without `@variant` and extension.
fn name(file: &str) -> &str {
    let stem = file.strip_suffix(".snap").unwrap_or(file);
    stem.split_once('@').map_or(stem, |(name, _)| name)
}

/// Whether a function (`name`, `test_name`, for the second snapshot in it `name-2`) or a literal carries the name.
fn speaks_of(stream: &TokenStream, name: &str) -> bool {
    let counted = name.rsplit_once('-').filter(|(_, count)| count.parse::<u32>().is_ok()).map(|(name, _)| name);
    let mut found = false;
    each_level(stream, &mut |tokens| {
        found |= tokens.iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                let ident = ident.to_string();
                let ident = ident.strip_prefix("test_").unwrap_or(&ident);
                ident == name || counted == Some(ident)
            }
            TokenTree::Literal(literal) => literal.to_string() == format!("\"{name}\""),
            _ => false,
        });
    });
    found
}

pub(crate) fn long(path: &str, text: &str) -> Vec<Finding> {
    let header = header_lines(text);
    let lines = text.lines().count() - header;
    if lines <= LINES {
        return Vec::new();
    }
    let what = format!("{lines} lines; a snapshot has at most {LINES}, its header apart");
    let way_out = "show less: a filter, a shorter story, or an assertion on the one line that matters";
    vec![Finding::new(path, header + LINES + 1, what, way_out)]
}

/// Lines of the front matter between two `---`, both included; 0 where there is none.
fn header_lines(text: &str) -> usize {
    let mut lines = text.lines();
    if lines.next() != Some("---") {
        return 0;
    }
    lines.position(|line| line == "---").map_or(0, |between| between + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    fn places(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_snapshot_needs_its_sim() {
        let sims = owned(&["sims/flood.toml", "sims/deep/nat.toml"]);
        let good = ["snapshots/flood.snap", "snapshots/flood@cookies-off.snap", "snapshots/deep/nat.snap"];
        assert!(without_sim(&owned(&good), &sims).is_empty());
        let bad = ["snapshots/floods.snap", "snapshots/gone@x.snap", "snapshots/nat.snap"];
        assert_eq!(places(without_sim(&owned(&bad), &sims)), bad);
    }

    #[test]
    fn a_snapshot_needs_its_test() {
        let text = "#[test] fn test_reset() { assert_snapshot!(x); } fn twice() {} fn c() { snap(\"given\"); } // gone";
        let sources = [Source::new("tests/wire.rs", text), Source::new("src/a.rs", "fn other() {}")];
        let good = ["wire__reset.snap", "wire__twice.snap", "wire__twice-2.snap", "wire__deep__given@v6.snap"];
        let good: Vec<String> = good.iter().map(|file| format!("tests/snapshots/{file}")).collect();
        assert!(without_test(&good, &sources).is_empty());
        let bad = [
            "tests/snapshots/wire__gone.snap",
            "tests/snapshots/wire__other.snap",
            "src/snapshots/a__reset.snap",
            "tests/stray.snap",
        ];
        assert_eq!(places(without_test(&owned(&bad), &sources)), bad);
    }

    #[test]
    fn snapshots_at_and_above_the_limit() {
        let header = "---\nsource: tests/sims.rs\n---\n";
        assert!(long("a.snap", &format!("{header}{}", "x\n".repeat(LINES))).is_empty());
        let found = long("a.snap", &format!("{header}{}", "x\n".repeat(LINES + 1)));
        assert_eq!((found.len(), found[0].line), (1, LINES + 4));
        assert_eq!(long("a.snap", &"x\n".repeat(LINES + 1)).len(), 1);
    }
}
