//! The README's first Rust block is the text of a real test: a `#[test]` inside a doctest would never run.

use super::finding::Finding;

/// The page.
pub(crate) const PAGE: &str = "README.md";
/// The test it shows, between the two marks.
pub(crate) const TEST: &str = "tests/readme.rs";
const BEGIN: &str = "// README begin";
const END: &str = "// README end";

/// Compares page and test (`None`: the file does not exist), indentation apart.
pub(crate) fn compare(page: Option<&str>, test: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = part(PAGE, page, rust_block, "fenced block ```rust", &mut findings);
    let real = part(TEST, test, marked_region, "region between `// README begin` and `// README end`", &mut findings);
    if let (Some(shown), Some(real)) = (shown, real) {
        findings.extend(first_difference(&shown, &real));
    }
    findings
}

/// Lines of text and the number of the first.
struct Part {
    first: usize,
    lines: Vec<String>,
}

fn part(
    path: &str,
    text: Option<&str>,
    cut: fn(&[&str]) -> Option<(usize, usize)>,
    sought: &str,
    findings: &mut Vec<Finding>,
) -> Option<Part> {
    let Some(text) = text else {
        findings.push(Finding::new(path, 1, "the file does not exist", format!("write it, with a {sought}")));
        return None;
    };
    let lines: Vec<&str> = text.lines().collect();
    let Some((start, end)) =
        cut(&lines).filter(|(start, end)| lines[*start..*end].iter().any(|l| !l.trim().is_empty()))
    else {
        findings.push(Finding::new(path, 1, format!("there is no {sought} with text in it"), "add it"));
        return None;
    };
    Some(dedent(&lines[start..end], start + 1))
}

fn rust_block(lines: &[&str]) -> Option<(usize, usize)> {
    let is_rust =
        |line: &str| line.trim().strip_prefix("```").is_some_and(|info| info.split(',').next() == Some("rust"));
    let start = lines.iter().position(|line| is_rust(line))? + 1;
    let length = lines[start..].iter().position(|line| line.trim() == "```")?;
    Some((start, start + length))
}

fn marked_region(lines: &[&str]) -> Option<(usize, usize)> {
    let start = lines.iter().position(|line| line.trim() == BEGIN)? + 1;
    let length = lines[start..].iter().position(|line| line.trim() == END)?;
    Some((start, start + length))
}

/// Drops blank lines at both ends and the indentation that all lines share.
fn dedent(lines: &[&str], first: usize) -> Part {
    let is_blank = |line: &&&str| line.trim().is_empty();
    let before = lines.iter().take_while(is_blank).count();
    let after = lines[before..].iter().rev().take_while(is_blank).count();
    let lines = &lines[before..lines.len() - after];
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let lines = lines.iter().map(|line| line.get(shared..).unwrap_or("").trim_end().to_owned()).collect();
    Part { first: first + before, lines }
}

fn first_difference(shown: &Part, real: &Part) -> Option<Finding> {
    let longer = shown.lines.len().max(real.lines.len());
    let at = (0..longer).find(|&at| shown.lines.get(at) != real.lines.get(at))?;
    let text = |part: &Part| part.lines.get(at).cloned().unwrap_or_else(|| "(nothing more)".to_owned());
    let what = format!("shows `{}` where {TEST}:{} has `{}`", text(shown), real.first + at, text(real));
    Some(Finding::new(
        PAGE,
        shown.first + at,
        what,
        format!("copy the marked region of {TEST} into the first Rust block"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "# wirefate\n\n```sh\ncargo add\n```\n\n```rust\nuse a;\n\nfn b() {\n    c();\n}\n```\n\n```rust\nother\n```\n";
    const REAL: &str = "//! Doc.\nmod m {\n    // README begin\n    use a;\n\n    fn b() {\n        c();\n    }\n    // README end\n}\n";

    fn said(page: Option<&str>, test: Option<&str>) -> Vec<String> {
        compare(page, test).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn the_same_text_passes_whatever_its_indentation() {
        assert!(said(Some(README), Some(REAL)).is_empty());
        assert!(said(Some(&README.replace("```rust\nuse", "```rust,no_run\nuse")), Some(REAL)).is_empty());
    }

    #[test]
    fn the_first_difference_is_named_on_both_sides() {
        let found = said(Some(README), Some(&REAL.replace("c()", "d()")));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("README.md:11: shows `    c();` where tests/readme.rs:7 has `    d();`"),
            "{found:?}"
        );
        let longer = said(Some(&README.replace("    c();\n}\n", "    c();\n}\nmore\n")), Some(REAL));
        assert!(
            longer[0].starts_with("README.md:13: shows `more` where tests/readme.rs:9 has `(nothing more)`"),
            "{longer:?}"
        );
        assert_eq!(said(Some(&README.replace("    c()", "c()")), Some(REAL)).len(), 1, "inner indentation counts");
    }

    #[test]
    fn what_is_missing_is_found() {
        let both = said(None, None);
        assert!(both[0].starts_with("README.md:1: the file does not exist"), "{both:?}");
        assert!(both[1].starts_with("tests/readme.rs:1: the file does not exist"), "{both:?}");
        assert!(said(Some("# no code\n"), Some(REAL))[0].starts_with("README.md:1: there is no fenced block"));
        assert!(said(Some(README), Some("fn a() {}\n"))[0].starts_with("tests/readme.rs:1: there is no"));
        assert_eq!(
            said(Some("```rust\n```\n"), Some("// README begin\n// README end\n")).len(),
            2,
            "empty equals empty is no pass"
        );
    }
}
