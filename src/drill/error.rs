//! What is wrong with a script, where, and what would be right.

use crate::scenario::Source;
use crate::wire::TextError;
use miette::{Diagnostic, LabeledSpan, SourceCode};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One mistake. `Display` says it in one sentence, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Something else stands where a part of the language was expected.
    Unexpected {
        /// What stands there; empty at the end of the script.
        found: String,
        /// What the language has there.
        expected: String,
    },
    /// Something begins and does not end.
    Unclosed {
        /// How it begins.
        begins: &'static str,
        /// What would end it.
        ends: &'static str,
    },
    /// A number is larger than its field.
    Range {
        /// What it is.
        what: &'static str,
        /// The number.
        found: String,
        /// The largest the field takes.
        max: u64,
    },
    /// In `start:end(length)` the end is not the start and the length.
    Length {
        /// The end that was written.
        found: u64,
        /// Where the data ends.
        expected: u64,
    },
    /// The options of a segment are not in the notation.
    Options(TextError),
    /// The options do not fill whole words of four bytes, so that no header holds them.
    Unpadded {
        /// How many bytes they take.
        bytes: usize,
    },
    /// Something that only a segment towards the remote end can have.
    OutboundOnly(&'static str),
    /// A segment that is sent to the host says all of itself, its window too.
    NoWindow,
    /// A range of times that ends before it begins.
    TimeBackwards,
    /// The first event is not at time 0.
    FirstNotZero,
    /// An instant lies before that of the event above it.
    EarlierThanBefore,
    /// `#else`, `#endif` or `#ifdef` without its partner.
    Conditional(&'static str),
    /// An option that there is not, or with a value that it does not take.
    Option {
        /// The option.
        name: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Part of the language, and of nothing that wirefate simulates.
    Unsupported(String),
    /// The script is not UTF-8.
    NotUtf8,
    /// There is nothing to do in it.
    Empty,
}

/// A mistake and its place. `Display` shows the line with a mark under the offending text.
#[derive(Clone, Debug)]
pub struct ScriptError {
    mistake: Mistake,
    span: Range<usize>,
    source: Arc<Source>,
}

impl ScriptError {
    pub(super) fn new(source: &Arc<Source>, span: Range<usize>, mistake: Mistake) -> ScriptError {
        ScriptError { mistake, span, source: Arc::clone(source) }
    }

    /// What is wrong.
    pub fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// The name of the script.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line and column, both from 1.
    pub fn place(&self) -> (usize, usize) {
        self.source.place(self.span.start)
    }

    /// Whether the script is well written, but about something that is not simulated.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.mistake, Mistake::Unsupported(_))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::Unexpected { found, expected } if found.is_empty() => {
                write!(f, "the script ends where {expected} is expected")
            }
            Mistake::Unexpected { found, expected } => write!(f, "found `{found}`, expected {expected}"),
            Mistake::Unclosed { begins, ends } => write!(f, "`{begins}` is not closed: expected `{ends}`"),
            Mistake::Range { what, found, max } => write!(f, "found {found}, expected {what} up to {max}"),
            Mistake::Length { found, expected } => write!(f, "found the end {found}, expected {expected}"),
            Mistake::Options(error) => write!(f, "{}", without_column(error)),
            Mistake::Unpadded { bytes } => {
                write!(f, "the options take {bytes} bytes, expected a multiple of 4: fill up with `nop` or `eol`")
            }
            Mistake::OutboundOnly(what) => write!(f, "{what} can only be expected of outbound packets"),
            Mistake::NoWindow => f.write_str("an inbound segment needs a window: expected `win`"),
            Mistake::TimeBackwards => f.write_str("the range of times ends before it begins"),
            Mistake::FirstNotZero => f.write_str("the first event is expected at time 0"),
            Mistake::EarlierThanBefore => f.write_str("this event lies before the one above it"),
            Mistake::Conditional(what) => f.write_str(what),
            Mistake::Option { name, expected } => write!(f, "`--{name}`: expected {expected}"),
            Mistake::Unsupported(what) => write!(f, "{what} is not supported"),
            Mistake::NotUtf8 => f.write_str("the script is not UTF-8"),
            Mistake::Empty => f.write_str("the script has no events"),
        }
    }
}

/// The notation's own error begins with a column that counts from the options.
fn without_column(error: &TextError) -> String {
    let text = error.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned())
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.show(f, &self.span, &self.mistake).map(|_| ())
    }
}

impl std::error::Error for ScriptError {}

impl Diagnostic for ScriptError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (line, column) = self.place();
        let label = format!("{}:{line}:{column}", self.file());
        Some(Box::new(std::iter::once(LabeledSpan::new(Some(label), self.span.start, self.span.len()))))
    }
}
