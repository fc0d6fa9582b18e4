//! Words of the language, one at a time.

use super::error::{Mistake, ScriptError};
use crate::scenario::Source;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// One word, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, or what a define puts in its place.
    Word(String),
    /// A decimal number.
    Int(i64),
    /// A number after `0x`.
    Hex(i64),
    /// A number with a point, in millionths.
    Micros(i64),
    /// A text between quotation marks, as it stands there.
    Text(String),
    /// What stands between backticks.
    Ticks(String),
    /// What stands between `%{` and `}%`.
    Code(String),
    /// `--name`.
    Option(String),
    /// `192.0.2.1`, `fd00::1`.
    Address(String),
    /// `...`.
    Ellipsis,
    /// Any other character.
    Char(char),
    /// The end of the script.
    End,
}

/// A place in the script, moving on.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    source: &'a Arc<Source>,
    defines: &'a BTreeMap<String, String>,
    at: usize,
    /// Whether an `#ifdef` is open whose `#else` has not come.
    branch: Branch,
}

/// Where in a conditional part of the script a place is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    Outside,
    Then,
    Else,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a Arc<Source>, defines: &'a BTreeMap<String, String>) -> Lexer<'a> {
        Lexer { source, defines, at: 0, branch: Branch::Outside }
    }

    fn rest(&self) -> &'a str {
        &self.source.text[self.at..]
    }

    /// A mistake at `span`.
    pub(super) fn error(&self, span: Range<usize>, mistake: Mistake) -> ScriptError {
        ScriptError::new(self.source, span, mistake)
    }

    /// `token` is not what belongs here.
    pub(super) fn unexpected(&self, token: &Token, expected: impl Into<String>) -> ScriptError {
        let found = self.source.text.get(token.span.clone()).unwrap_or("");
        let found: String = found.lines().next().unwrap_or("").chars().take(40).collect();
        self.error(token.span.clone(), Mistake::Unexpected { found, expected: expected.into() })
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.source.place(offset).0
    }

    /// The place of what comes next, blanks and comments skipped.
    pub(super) fn place(&mut self) -> Result<usize, ScriptError> {
        self.skip_blanks()?;
        Ok(self.at)
    }

    /// The next word, without moving.
    pub(super) fn peek(&mut self) -> Result<Token, ScriptError> {
        let before = (self.at, self.branch);
        let token = self.next();
        (self.at, self.branch) = before;
        token
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Token, ScriptError> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = self.read()?;
        Ok(Token { kind, span: start..self.at })
    }

    /// Moves past `symbol` if it comes next.
    pub(super) fn take(&mut self, symbol: char) -> Result<bool, ScriptError> {
        let there = self.peek()?.kind == Kind::Char(symbol);
        if there {
            self.next()?;
        }
        Ok(there)
    }

    /// Moves past `symbol`, which must come next.
    pub(super) fn expect(&mut self, symbol: char, expected: &str) -> Result<(), ScriptError> {
        let token = self.next()?;
        if token.kind == Kind::Char(symbol) { Ok(()) } else { Err(self.unexpected(&token, expected)) }
    }

    /// Moves past the word `word` if it comes next.
    pub(super) fn take_word(&mut self, word: &str) -> Result<bool, ScriptError> {
        let there = matches!(self.peek()?.kind, Kind::Word(found) if found == word);
        if there {
            self.next()?;
        }
        Ok(there)
    }

    /// Everything up to and with `ends`, as it stands; the place of the part before `ends`.
    pub(super) fn raw_until(
        &mut self,
        ends: char,
        begins: &'static str,
        closing: &'static str,
    ) -> Result<Range<usize>, ScriptError> {
        let start = self.at;
        let Some(len) = self.rest().find(ends) else {
            let span = start.saturating_sub(begins.len())..start;
            return Err(self.error(span, Mistake::Unclosed { begins, ends: closing }));
        };
        self.at = start + len + ends.len_utf8();
        Ok(start..start + len)
    }

    /// Everything that stands together here, up to the next blank.
    pub(super) fn raw_word(&mut self) -> Result<(String, Range<usize>), ScriptError> {
        self.skip_blanks()?;
        let start = self.at;
        let len = self.rest().find(char::is_whitespace).unwrap_or(self.rest().len());
        self.at += len;
        Ok((self.source.text[start..self.at].to_owned(), start..self.at))
    }

    /// The text at a place.
    pub(super) fn text(&self, span: Range<usize>) -> &'a str {
        &self.source.text[span]
    }

    /// What a define puts in the place of `word`.
    pub(super) fn defined(&self, word: &str) -> Option<&'a str> {
        self.defines.get(word).map(String::as_str)
    }

    fn skip_blanks(&mut self) -> Result<(), ScriptError> {
        loop {
            self.at = self.source.text.len() - self.rest().trim_start().len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.between("/*", "*/")?;
            } else if self.rest().starts_with('#') {
                self.conditional()?;
            } else {
                return Ok(());
            }
        }
    }

    /// `#ifdef NAME … #else … #endif`: what does not hold is skipped like a comment.
    fn conditional(&mut self) -> Result<(), ScriptError> {
        let (start, rest) = (self.at, self.rest());
        let word_len = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = &rest[..word_len];
        let span = start..start + word_len;
        self.at += word_len;
        match (word, self.branch) {
            ("#ifdef", Branch::Outside) => self.condition(span),
            ("#ifdef", _) => Err(self.error(span, Mistake::Conditional("an `#ifdef` within another one"))),
            // What came before was taken, so this is not.
            ("#else", Branch::Then) => self.skip_branch(false),
            ("#endif", Branch::Then | Branch::Else) => {
                self.branch = Branch::Outside;
                Ok(())
            }
            ("#else" | "#endif", _) => {
                Err(self.error(span, Mistake::Conditional("there is no `#ifdef` that this belongs to")))
            }
            _ => {
                let expected = "`#ifdef NAME`, `#else` or `#endif`".to_owned();
                Err(self.error(span, Mistake::Unexpected { found: word.to_owned(), expected }))
            }
        }
    }

    /// Reads the name behind `#ifdef`.
    fn condition(&mut self, span: Range<usize>) -> Result<(), ScriptError> {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start().len();
        let name = &rest[skipped..][..word_len(rest.trim_start())];
        if name.is_empty() {
            return Err(self.error(span, Mistake::Conditional("`#ifdef` needs a name behind it")));
        }
        if !rest.contains("#endif") {
            return Err(self.error(span, Mistake::Unclosed { begins: "#ifdef", ends: "#endif" }));
        }
        self.at += skipped + name.len();
        if self.defines.contains_key(name) {
            self.branch = Branch::Then;
            return Ok(());
        }
        self.skip_branch(true)
    }

    /// Skips to behind the next `#endif`, or `#else` where that counts.
    fn skip_branch(&mut self, stops_at_else: bool) -> Result<(), ScriptError> {
        let rest = self.rest();
        let Some(end) = rest.find("#endif") else {
            let span = self.at..self.at;
            return Err(self.error(span, Mistake::Unclosed { begins: "#ifdef", ends: "#endif" }));
        };
        match rest[..end].find("#else").filter(|_| stops_at_else) {
            Some(other) => (self.at, self.branch) = (self.at + other + "#else".len(), Branch::Else),
            None => (self.at, self.branch) = (self.at + end + "#endif".len(), Branch::Outside),
        }
        Ok(())
    }

    /// What stands between two marks; moves past both.
    fn between(&mut self, begins: &'static str, ends: &'static str) -> Result<&'a str, ScriptError> {
        let start = self.at + begins.len();
        let Some(len) = self.source.text[start..].find(ends) else {
            return Err(self.error(self.at..start, Mistake::Unclosed { begins, ends }));
        };
        self.at = start + len + ends.len();
        Ok(&self.source.text[start..start + len])
    }

    /// What stands between two equal marks, where a backslash keeps the next character from ending it.
    fn quoted(&mut self, mark: &'static str) -> Result<&'a str, ScriptError> {
        let start = self.at + mark.len();
        let mut chars = self.source.text[start..].char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if mark.starts_with(c) {
                self.at = start + at + mark.len();
                return Ok(&self.source.text[start..start + at]);
            }
        }
        Err(self.error(self.at..start, Mistake::Unclosed { begins: mark, ends: mark }))
    }

    fn read(&mut self) -> Result<Kind, ScriptError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Kind::End) };
        if rest.starts_with("...") {
            self.at += 3;
            return Ok(Kind::Ellipsis);
        }
        if rest.starts_with("%{") {
            let code = self.between("%{", "}%")?;
            return Ok(Kind::Code(code.trim_matches([' ', '\t']).to_owned()));
        }
        match first {
            '"' => return Ok(Kind::Text(self.quoted("\"")?.to_owned())),
            '`' => return Ok(Kind::Ticks(self.quoted("`")?.to_owned())),
            _ => {}
        }
        if let Some(len) = address(rest) {
            self.at += len;
            return Ok(Kind::Address(rest[..len].to_owned()));
        }
        if let Some(name) = rest.strip_prefix("--") {
            let len = word_len(name);
            if len > 0 {
                self.at += 2 + len;
                return Ok(Kind::Option(name[..len].to_owned()));
            }
        }
        self.number_or_word(rest, first)
    }

    fn number_or_word(&mut self, rest: &'a str, first: char) -> Result<Kind, ScriptError> {
        let start = self.at;
        let sign = usize::from(first == '-');
        let digits = rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let word = if sign == 0 { word_len(rest) } else { 0 };
        let fraction =
            rest[sign + digits..].strip_prefix('.').map_or(0, |f| f.bytes().take_while(u8::is_ascii_digit).count());
        let too_long = |what| Mistake::Range { what, found: rest[..sign + digits].to_owned(), max: i64::MAX as u64 };
        // The longest reading wins, as in flex; of two equally long ones the number.
        if fraction > 0 && sign + digits + 1 + fraction > word {
            self.at += sign + digits + 1 + fraction;
            let micros = millionths(&rest[sign..self.at - start]);
            let micros = micros.ok_or_else(|| self.error(start..self.at, too_long("a number of seconds")))?;
            return Ok(Kind::Micros(if sign == 1 { -micros } else { micros }));
        }
        if digits > 0 && sign + digits >= word {
            self.at += sign + digits;
            let number = rest[..sign + digits].parse().ok();
            return number.map(Kind::Int).ok_or_else(|| self.error(start..self.at, too_long("a number")));
        }
        if word == 0 {
            self.at += first.len_utf8();
            return Ok(Kind::Char(first));
        }
        self.at += word;
        let word = &rest[..word];
        if let Some(hex) = hexadecimal(word) {
            return Ok(Kind::Hex(hex));
        }
        Ok(self.defined(word).map_or_else(|| Kind::Word(word.to_owned()), substitute))
    }
}

/// What a define stands for: a text, a command, a number, or another word.
fn substitute(value: &str) -> Kind {
    let inner = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    if let Some(text) = inner('"') {
        return Kind::Text(text.to_owned());
    }
    if let Some(text) = inner('`') {
        return Kind::Ticks(text.to_owned());
    }
    match (value.parse(), hexadecimal(value)) {
        (Ok(number), _) => Kind::Int(number),
        (_, Some(number)) => Kind::Hex(number),
        _ => Kind::Word(value.to_owned()),
    }
}

fn word_len(text: &str) -> usize {
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

fn hexadecimal(word: &str) -> Option<i64> {
    let digits = word.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

/// `1.5` as 1500000; digits behind the sixth are dropped.
fn millionths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
    whole.checked_mul(1_000_000)?.checked_add(six.parse().ok()?)
}

/// How long the address is that begins `text`, if one does.
fn address(text: &str) -> Option<usize> {
    let of = |bytes: &[u8]| text.bytes().take_while(|b| b.is_ascii_hexdigit() || bytes.contains(b)).count();
    let v4 = of(b".");
    if text[..v4].bytes().filter(|b| *b == b'.').count() == 3 && text[..v4].parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(v4);
    }
    let v6 = of(b":.");
    // `1:1001(1000)` and `1:2 3:4` are no addresses: those have two colons together or seven in all.
    let colons = text[..v6].bytes().filter(|b| *b == b':').count();
    let is_v6 = (text[..v6].contains("::") || colons == 7) && text[..v6].parse::<std::net::Ipv6Addr>().is_ok();
    is_v6.then_some(v6)
}
