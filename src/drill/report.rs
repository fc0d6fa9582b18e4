//! What came of a script, and how it is told.

use std::fmt;

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All was as it says.
    Passed,
    /// Something was not.
    Failed(Failure),
    /// It asks for something that is not simulated.
    Unsupported {
        /// Where.
        line: usize,
        /// For what.
        what: String,
    },
}

/// The first thing that was not as the script says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The line of the script.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// That line.
    pub source: String,
    /// What it expects, where that is a packet.
    pub expected: Option<String>,
    /// What came instead.
    pub actual: Option<String>,
    /// The last lines of the trace before it.
    pub trace: Vec<String>,
}

impl Verdict {
    /// As reports write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "failed",
            Verdict::Unsupported { .. } => "unsupported",
        }
    }

    /// The line that it is about, and why.
    pub fn reason(&self) -> Option<(usize, String)> {
        match self {
            Verdict::Passed => None,
            Verdict::Failed(failure) => Some((failure.line, failure.summary())),
            Verdict::Unsupported { line, what } => Some((*line, what.clone())),
        }
    }
}

impl Failure {
    /// All of it in one line.
    pub fn summary(&self) -> String {
        let mut text = self.what.clone();
        if let (Some(expected), Some(actual)) = (&self.expected, &self.actual) {
            text.push_str(&format!(" (expected {expected}; actual {})", actual.replace('\n', ", ")));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  line {}: {}", self.line, self.what)?;
        if !self.source.is_empty() {
            writeln!(f, "    script    {}", self.source)?;
        }
        if let Some(expected) = &self.expected {
            writeln!(f, "    expected  {expected}")?;
        }
        if let Some(actual) = &self.actual {
            for (n, line) in actual.lines().enumerate() {
                writeln!(f, "    {}  {line}", if n == 0 { "actual  " } else { "        " })?;
            }
        }
        if !self.trace.is_empty() {
            writeln!(f, "    the last that happened; the script starts at 1.000250:")?;
            self.trace.iter().try_for_each(|line| writeln!(f, "    {}", line.trim_end()))?;
        }
        Ok(())
    }
}
