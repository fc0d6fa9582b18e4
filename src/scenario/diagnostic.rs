//! Mistakes as `miette` shows them on a terminal.

use super::error::{Error, Errors};
use miette::{Diagnostic, LabeledSpan, SourceCode};
use std::fmt::Display;

impl Diagnostic for Error {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        let lines: Vec<String> = self.note.iter().cloned().chain(Error::help(self)).collect();
        if lines.is_empty() { None } else { Some(Box::new(lines.join("\n"))) }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.as_ref().map(|_| &self.source.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        let (line, column) = self.place()?;
        let label = format!("{}:{line}:{column}", self.file());
        Some(Box::new(std::iter::once(LabeledSpan::new(Some(label), span.start, span.len()))))
    }
}

impl Diagnostic for Errors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.iter().map(|error| error as &dyn Diagnostic)))
    }
}
