//! What a rule hands back: the place, what is wrong there, and the way out.

use std::fmt;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) way_out: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), way_out: way_out.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    way out: {}", self.path, self.line, self.what, self.way_out)
    }
}

/// Fails the calling test with every finding on its own lines.
#[track_caller]
pub(crate) fn assert_none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} finding(s)\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn a_finding_names_file_line_and_way_out() {
    let finding = Finding::new("src/a.rs", 7, "too long", "split it");
    assert_eq!(finding.to_string(), "src/a.rs:7: too long\n    way out: split it");
}

#[test]
#[should_panic(expected = "1 finding(s)\nsrc/a.rs:7: too long")]
fn a_finding_fails_the_test() {
    assert_none(vec![Finding::new("src/a.rs", 7, "too long", "split it")]);
}
