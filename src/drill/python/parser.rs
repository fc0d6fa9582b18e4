//! Statements and expressions of a snippet.

use super::eval::Fault;
use super::lexer::{Word, words};

/// A statement, with its line within the snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) line: usize,
    pub(super) what: Do,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Do {
    /// `assert value, message`.
    Assert(Ast, Option<Ast>),
    /// `name = value`.
    Set(String, Ast),
    /// `name += value`.
    Change(String, &'static str, Ast),
    /// An expression on its own.
    Value(Ast),
    /// `for name in values: …`.
    For(String, Ast, Vec<Statement>),
    /// `if value: … else: …`.
    If(Ast, Vec<Statement>, Vec<Statement>),
    Pass,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ast {
    Int(i64),
    Text(String),
    Name(String),
    Tuple(Vec<Ast>),
    Unary(&'static str, Box<Ast>),
    Binary(&'static str, Box<Ast>, Box<Ast>),
    /// `a < b <= c`.
    Compare(Box<Ast>, Vec<(&'static str, Ast)>),
    And(Box<Ast>, Box<Ast>),
    Or(Box<Ast>, Box<Ast>),
    Call(String, Vec<Ast>),
    Index(Box<Ast>, Box<Ast>),
}

/// How deep expressions and blocks may nest.
const DEPTH: u32 = 48;

type Parsed<T> = Result<T, (Fault, usize)>;

pub(super) fn parse(text: &str) -> Parsed<Vec<Statement>> {
    let mut parser = Parser { words: words(text)?, at: 0, depth: 0 };
    let mut statements = Vec::new();
    while *parser.peek() != Word::End {
        parser.statement(&mut statements)?;
    }
    Ok(statements)
}

struct Parser {
    words: Vec<(Word, usize)>,
    at: usize,
    depth: u32,
}

/// Binary operators, the loosest first.
const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "//", "/", "%"]];
const COMPARISONS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];
const CHANGES: [&str; 12] = ["+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>=", "**="];
const BEYOND: [&str; 20] = [
    "import", "from", "def", "class", "while", "try", "except", "finally", "with", "lambda", "return", "yield",
    "raise", "global", "del", "break", "continue", "async", "await", "nonlocal",
];

impl Parser {
    fn peek(&self) -> &Word {
        self.words.get(self.at).map_or(&Word::End, |(word, _)| word)
    }

    fn line(&self) -> usize {
        self.words.get(self.at).or(self.words.last()).map_or(0, |(_, line)| *line)
    }

    fn next(&mut self) -> Word {
        let word = self.peek().clone();
        self.at += 1;
        word
    }

    fn take(&mut self, op: &str) -> bool {
        let there = matches!(self.peek(), Word::Op(found) if *found == op);
        self.at += usize::from(there);
        there
    }

    fn take_name(&mut self, name: &str) -> bool {
        let there = matches!(self.peek(), Word::Name(found) if found == name);
        self.at += usize::from(there);
        there
    }

    fn wrong<T>(&self, expected: &str) -> Parsed<T> {
        let found = match self.peek() {
            Word::Name(name) => format!("`{name}`"),
            Word::Int(n) => format!("`{n}`"),
            Word::Text(text) => format!("\"{text}\""),
            Word::Op(op) => format!("`{op}`"),
            Word::Newline | Word::End => "the end of the line".to_owned(),
            Word::Indent | Word::Dedent => "another indentation".to_owned(),
        };
        Err((Fault::Syntax(format!("found {found}, expected {expected}")), self.line()))
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH {
            return self.wrong("fewer brackets within brackets");
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn statement(&mut self, into: &mut Vec<Statement>) -> Parsed<()> {
        let line = self.line();
        if self.take_name("for") {
            let what = self.deeper(Parser::loop_over)?;
            into.push(Statement { line, what });
            return Ok(());
        }
        if self.take_name("if") {
            let what = self.deeper(Parser::condition)?;
            into.push(Statement { line, what });
            return Ok(());
        }
        loop {
            let line = self.line();
            let what = self.simple()?;
            into.push(Statement { line, what });
            if self.take(";") {
                if !matches!(self.peek(), Word::Newline | Word::End) {
                    continue;
                }
            } else if !matches!(self.peek(), Word::Newline | Word::End | Word::Dedent) {
                return self.wrong("`;` or the end of the line");
            }
            if *self.peek() == Word::Newline {
                self.at += 1;
            }
            return Ok(());
        }
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        if !self.take(":") {
            return self.wrong("`:`");
        }
        let mut statements = Vec::new();
        if *self.peek() != Word::Newline {
            self.statement(&mut statements)?;
            return Ok(statements);
        }
        self.at += 1;
        if self.next() != Word::Indent {
            self.at -= 1;
            return self.wrong("an indented block");
        }
        while !matches!(self.peek(), Word::Dedent | Word::End) {
            self.statement(&mut statements)?;
        }
        self.at += usize::from(*self.peek() == Word::Dedent);
        Ok(statements)
    }

    fn loop_over(&mut self) -> Parsed<Do> {
        let Word::Name(name) = self.peek().clone() else { return self.wrong("a name behind `for`") };
        self.at += 1;
        if !self.take_name("in") {
            return self.wrong("`in`");
        }
        let values = self.tuple()?;
        Ok(Do::For(name, values, self.block()?))
    }

    fn condition(&mut self) -> Parsed<Do> {
        let value = self.or()?;
        let then = self.block()?;
        let line = self.line();
        let otherwise = if self.take_name("elif") {
            vec![Statement { line, what: self.deeper(Parser::condition)? }]
        } else if self.take_name("else") {
            self.block()?
        } else {
            Vec::new()
        };
        Ok(Do::If(value, then, otherwise))
    }

    fn simple(&mut self) -> Parsed<Do> {
        if let Word::Name(name) = self.peek()
            && let Some(beyond) = BEYOND.iter().find(|word| **word == name.as_str())
        {
            return Err((Fault::Beyond(beyond), self.line()));
        }
        if self.take_name("pass") {
            return Ok(Do::Pass);
        }
        if self.take_name("assert") {
            let value = self.or()?;
            let message = if self.take(",") { Some(self.or()?) } else { None };
            return Ok(Do::Assert(value, message));
        }
        if let (Word::Name(name), Some((Word::Op(op), _))) = (self.peek().clone(), self.words.get(self.at + 1)) {
            let op = *op;
            if op == "=" {
                self.at += 2;
                return Ok(Do::Set(name, self.tuple()?));
            }
            if let Some(change) = CHANGES.into_iter().find(|change| *change == op) {
                self.at += 2;
                return Ok(Do::Change(name, change, self.tuple()?));
            }
        }
        Ok(Do::Value(self.tuple()?))
    }

    /// `a`, or `a, b`.
    fn tuple(&mut self) -> Parsed<Ast> {
        let first = self.or()?;
        if !matches!(self.peek(), Word::Op(",")) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(",") {
            if matches!(self.peek(), Word::Newline | Word::End | Word::Op(")" | ":" | "]" | ";")) {
                break;
            }
            items.push(self.or()?);
        }
        Ok(Ast::Tuple(items))
    }

    fn or(&mut self) -> Parsed<Ast> {
        self.deeper(|parser| {
            let mut left = parser.and()?;
            while parser.take_name("or") {
                left = Ast::Or(Box::new(left), Box::new(parser.and()?));
            }
            if matches!(parser.peek(), Word::Name(name) if name == "if") {
                return Err((Fault::Beyond("`a if b else c`"), parser.line()));
            }
            Ok(left)
        })
    }

    fn and(&mut self) -> Parsed<Ast> {
        let mut left = self.not()?;
        while self.take_name("and") {
            left = Ast::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Ast> {
        if self.take_name("not") {
            return self.deeper(|parser| Ok(Ast::Unary("not", Box::new(parser.not()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Ast> {
        let left = self.binary(0)?;
        let mut chain = Vec::new();
        loop {
            let op = if let Word::Op(op) = self.peek() {
                COMPARISONS.into_iter().find(|known| known == op)
            } else if matches!(self.peek(), Word::Name(name) if name == "in") {
                Some("in")
            } else {
                None
            };
            let Some(op) = op else { break };
            self.at += 1;
            chain.push((op, self.binary(0)?));
        }
        Ok(if chain.is_empty() { left } else { Ast::Compare(Box::new(left), chain) })
    }

    fn binary(&mut self, level: usize) -> Parsed<Ast> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Word::Op(found) = *self.peek() {
            if !ops.contains(&found) {
                break;
            }
            self.at += 1;
            left = Ast::Binary(found, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Ast> {
        for op in ["-", "+", "~"] {
            if self.take(op) {
                return self.deeper(|parser| Ok(Ast::Unary(op, Box::new(parser.unary()?))));
            }
        }
        let base = self.primary()?;
        if self.take("**") {
            return self.deeper(|parser| Ok(Ast::Binary("**", Box::new(base), Box::new(parser.unary()?))));
        }
        Ok(base)
    }

    fn primary(&mut self) -> Parsed<Ast> {
        let mut value = match self.peek().clone() {
            Word::Int(n) => {
                self.at += 1;
                Ast::Int(n)
            }
            Word::Text(mut text) => {
                self.at += 1;
                while let Word::Text(more) = self.peek().clone() {
                    self.at += 1;
                    text.push_str(&more);
                }
                Ast::Text(text)
            }
            Word::Name(name) => {
                self.at += 1;
                if self.take("(") { Ast::Call(name, self.arguments()?) } else { Ast::Name(name) }
            }
            Word::Op("(") => {
                self.at += 1;
                let inner = if matches!(self.peek(), Word::Op(")")) {
                    Ast::Tuple(Vec::new())
                } else {
                    self.deeper(Parser::tuple)?
                };
                self.close(")")?;
                inner
            }
            Word::Op("[") => {
                self.at += 1;
                Ast::Tuple(self.items("]")?)
            }
            _ => return self.wrong("a value"),
        };
        while self.take("[") {
            let index = self.deeper(Parser::or)?;
            self.close("]")?;
            value = Ast::Index(Box::new(value), Box::new(index));
        }
        if matches!(self.peek(), Word::Op(".")) {
            return Err((Fault::Beyond("attributes and methods"), self.line()));
        }
        Ok(value)
    }

    fn arguments(&mut self) -> Parsed<Vec<Ast>> {
        self.items(")")
    }

    fn items(&mut self, end: &str) -> Parsed<Vec<Ast>> {
        let mut items = Vec::new();
        while !matches!(self.peek(), Word::Op(op) if *op == end) {
            items.push(self.or()?);
            if !self.take(",") {
                break;
            }
        }
        self.close(end)?;
        Ok(items)
    }

    fn close(&mut self, end: &str) -> Parsed<()> {
        if self.take(end) { Ok(()) } else { self.wrong(&format!("`{end}`")) }
    }
}
