//! Words of a snippet, with its lines and indentation.

use super::eval::Fault;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Name(String),
    Int(i64),
    Text(String),
    /// An operator or bracket.
    Op(&'static str),
    /// The end of a line.
    Newline,
    Indent,
    Dedent,
    End,
}

/// Longest first.
const OPS: [&str; 36] = [
    "**=", "//=", "<<=", ">>=", "==", "!=", "<=", ">=", "<<", ">>", "//", "**", "+=", "-=", "*=", "/=", "%=", "&=",
    "|=", "^=", "<", ">", "=", "+", "-", "*", "%", "&", "|", "^", "~", "(", ")", "[", "]", ",",
];
const MORE_OPS: [&str; 4] = [":", ";", "/", "."];

/// The words of `text`, each with its line within it, from 0.
pub(super) fn words(text: &str) -> Result<Vec<(Word, usize)>, (Fault, usize)> {
    let mut lexer = Lexer { words: Vec::new(), indents: vec![0], line: 0, depth: 0 };
    let mut rest = text;
    while !rest.is_empty() {
        rest = lexer.line_start(rest)?;
        rest = lexer.line(rest)?;
    }
    if !matches!(lexer.words.last(), None | Some((Word::Newline | Word::Dedent, _))) {
        lexer.push(Word::Newline);
    }
    while lexer.indents.pop().is_some_and(|indent| indent > 0) {
        lexer.push(Word::Dedent);
    }
    lexer.push(Word::End);
    Ok(lexer.words)
}

struct Lexer {
    words: Vec<(Word, usize)>,
    indents: Vec<usize>,
    line: usize,
    /// Open brackets: within them lines do not end.
    depth: usize,
}

impl Lexer {
    fn push(&mut self, word: Word) {
        self.words.push((word, self.line));
    }

    /// Reads the indentation of a line; lines of nothing but blanks and comments have none.
    fn line_start<'a>(&mut self, text: &'a str) -> Result<&'a str, (Fault, usize)> {
        let body = text.trim_start_matches([' ', '\t']);
        let indent = text.len() - body.len();
        if self.depth > 0 || body.is_empty() || body.starts_with(['\n', '#', '\r']) {
            return Ok(body);
        }
        let current = self.indents.last().copied().unwrap_or(0);
        if indent > current {
            self.indents.push(indent);
            self.push(Word::Indent);
        }
        while self.indents.last().is_some_and(|&last| last > indent) {
            self.indents.pop();
            self.push(Word::Dedent);
        }
        if self.indents.last() != Some(&indent) {
            return Err((Fault::Syntax("lines that belong together are indented differently".to_owned()), self.line));
        }
        Ok(body)
    }

    /// Reads up to the end of the line, and what is continued on the next.
    fn line<'a>(&mut self, mut rest: &'a str) -> Result<&'a str, (Fault, usize)> {
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r']);
            let Some(first) = rest.chars().next() else { return Ok(rest) };
            match first {
                '\n' => {
                    let ends = self.depth == 0 && !matches!(self.words.last(), None | Some((Word::Newline, _)));
                    if ends && !matches!(self.words.last(), Some((Word::Indent | Word::Dedent, _))) {
                        self.push(Word::Newline);
                    }
                    self.line += 1;
                    return Ok(&rest[1..]);
                }
                '#' => rest = &rest[rest.find('\n').unwrap_or(rest.len())..],
                '\\' => {
                    let after = rest[1..].trim_start_matches([' ', '\t', '\r']);
                    let Some(next) = after.strip_prefix('\n') else {
                        return Err((Fault::Syntax("something stands behind a `\\`".to_owned()), self.line));
                    };
                    self.line += 1;
                    rest = next;
                }
                _ => rest = self.word(rest, first)?,
            }
        }
    }

    fn word<'a>(&mut self, rest: &'a str, first: char) -> Result<&'a str, (Fault, usize)> {
        if first.is_ascii_digit() {
            let len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let number = number(&rest[..len]);
            let number = number.ok_or((Fault::Syntax(format!("`{}` is no whole number", &rest[..len])), self.line))?;
            if rest[len..].starts_with('.') {
                return Err((Fault::Beyond("numbers with a point"), self.line));
            }
            self.push(Word::Int(number));
            return Ok(&rest[len..]);
        }
        if first.is_alphabetic() || first == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.push(Word::Name(rest[..len].to_owned()));
            return Ok(&rest[len..]);
        }
        if first == '"' || first == '\'' {
            return self.text(&rest[1..], first);
        }
        let Some(op) = OPS.into_iter().chain(MORE_OPS).find(|op| rest.starts_with(op)) else {
            return Err((Fault::Syntax(format!("`{first}` means nothing here")), self.line));
        };
        match op {
            "(" | "[" => self.depth += 1,
            ")" | "]" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.push(Word::Op(op));
        Ok(&rest[op.len()..])
    }

    /// Reads a text behind its quotation mark.
    fn text<'a>(&mut self, rest: &'a str, mark: char) -> Result<&'a str, (Fault, usize)> {
        let mut text = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                _ if c == mark => {
                    self.push(Word::Text(text));
                    return Ok(&rest[at + c.len_utf8()..]);
                }
                _ => text.push(c),
            }
        }
        Err((Fault::Syntax("a text is not closed".to_owned()), self.line))
    }
}

fn number(text: &str) -> Option<i64> {
    let radix = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)].into_iter().find(|(mark, _)| text.starts_with(mark));
    match radix {
        Some((mark, radix)) => i64::from_str_radix(&text[mark.len()..], radix).ok(),
        None => text.replace('_', "").parse().ok(),
    }
}
