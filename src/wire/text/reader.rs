//! A place in a text, moving to the right.

use super::TextError;

/// Reads the words of the notation; knows the column it is at.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Byte offset of what is read next.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves past the next character.
    pub(super) fn advance(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    pub(super) fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Moves past `symbol`, if it comes next.
    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let there = self.rest().starts_with(symbol);
        if there {
            self.at += symbol.len();
        }
        there
    }

    /// Moves past spaces and `symbol`, which must come next.
    pub(super) fn expect(&mut self, symbol: &str, expected: &'static str) -> Result<(), TextError> {
        self.skip_spaces();
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The next word, after spaces: letters, digits and underscores. Does not move.
    pub(super) fn peek_word(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
    }

    /// Moves past `word` and spaces before it, if it is the next word.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.peek_word() == word && self.take(word)
    }

    /// Moves past `word`, which must come next.
    pub(super) fn expect_word(&mut self, word: &str, expected: &'static str) -> Result<(), TextError> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// A decimal number of at most `max`.
    pub(super) fn number(&mut self, max: u32, expected: &'static str) -> Result<u32, TextError> {
        let word = self.peek_word();
        if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(self.unexpected(expected));
        }
        let number = word.parse().ok().filter(|n| *n <= max);
        let number = number.ok_or_else(|| TextError::Range { column: self.column(), found: word.to_owned(), max })?;
        self.take(word);
        Ok(number)
    }

    /// A decimal number of 16 bits.
    pub(super) fn number_16(&mut self, expected: &'static str) -> Result<u16, TextError> {
        let number = self.number(u16::MAX.into(), expected)?;
        Ok(u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// A decimal number of 8 bits.
    pub(super) fn number_8(&mut self, expected: &'static str) -> Result<u8, TextError> {
        let number = self.number(u8::MAX.into(), expected)?;
        Ok(u8::try_from(number).unwrap_or(u8::MAX))
    }

    /// Bytes in hexadecimal, two digits each; none where no word comes next.
    pub(super) fn hex(&mut self) -> Result<Vec<u8>, TextError> {
        const EXPECTED: &str = "bytes in hexadecimal, two digits each";
        let word = self.peek_word();
        let digits: Option<Vec<u32>> = word.chars().map(|c| c.to_digit(16)).collect();
        let digits = digits.filter(|d| d.len() % 2 == 0).ok_or_else(|| self.unexpected(EXPECTED))?;
        self.take(word);
        Ok(digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap_or(u8::MAX)).collect())
    }

    /// Only spaces may be left.
    pub(super) fn end(&mut self, expected: &'static str) -> Result<(), TextError> {
        self.skip_spaces();
        if self.rest().is_empty() { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The column, in characters from 1.
    pub(super) fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    /// What comes next is not what was expected. It is shown up to the next space or punctuation.
    pub(super) fn unexpected(&self, expected: &'static str) -> TextError {
        let rest = self.rest();
        let word_end = rest.find(|c: char| c.is_whitespace() || ",<>()[]:".contains(c)).unwrap_or(rest.len());
        let end = if word_end == 0 { self.peek().map_or(0, char::len_utf8) } else { word_end };
        TextError::Unexpected { column: self.column(), found: rest[..end].to_owned(), expected }
    }
}
