//! Why a text is no packet.

use std::fmt;

/// Where and why a text is not in the notation. Columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Something else stands where a part of the notation was expected.
    Unexpected {
        /// Where.
        column: usize,
        /// What stands there; empty at the end of the text.
        found: String,
        /// What the notation has there.
        expected: &'static str,
    },
    /// A number is larger than its field.
    Range {
        /// Where.
        column: usize,
        /// The number.
        found: String,
        /// The largest the field takes.
        max: u32,
    },
    /// In `start:end(length)` the end is not the start and the length.
    Length {
        /// Where.
        column: usize,
        /// The end that was written.
        found: u32,
        /// Where the data ends.
        expected: u32,
    },
    /// The options take more than 40 bytes.
    OptionsFull {
        /// Where the first option stands that does not fit.
        column: usize,
        /// That option.
        found: String,
    },
}

impl TextError {
    /// Where the text goes wrong, in characters from 1.
    pub fn column(&self) -> usize {
        match self {
            TextError::Unexpected { column, .. }
            | TextError::Range { column, .. }
            | TextError::Length { column, .. }
            | TextError::OptionsFull { column, .. } => *column,
        }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: ", self.column())?;
        match self {
            TextError::Unexpected { found, expected, .. } if found.is_empty() => {
                write!(f, "the text ends where {expected} is expected")
            }
            TextError::Unexpected { found, expected, .. } => write!(f, "found `{found}`, expected {expected}"),
            TextError::Range { found, max, .. } => write!(f, "found {found}, expected a number up to {max}"),
            TextError::Length { found, expected, .. } => write!(f, "found the end {found}, expected {expected}"),
            TextError::OptionsFull { found, .. } => {
                write!(f, "`{found}` does not fit: TCP options take at most 40 bytes")
            }
        }
    }
}

impl std::error::Error for TextError {}
