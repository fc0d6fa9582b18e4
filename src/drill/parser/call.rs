//! Socket calls.

use super::super::error::ScriptError;
use super::super::lexer::{Kind, Lexer, Token};
use super::super::script::{Call, Expr};
use super::seconds;

/// How deep lists and structures may nest: no call needs more, and a text of brackets is no reason to overflow.
const DEPTH: u32 = 16;

/// Reads a call, from its name or the `...` before it.
pub(super) fn call(lexer: &mut Lexer<'_>) -> Result<Call, ScriptError> {
    let until = if lexer.peek()?.kind == Kind::Ellipsis {
        lexer.next()?;
        Some(seconds(lexer, "the time at which the call returns")?)
    } else {
        None
    };
    let token = lexer.next()?;
    let Kind::Word(name) = token.kind else { return Err(lexer.unexpected(&token, "the name of a call")) };
    lexer.expect('(', "`(` behind the name of the call")?;
    let args = list(lexer, ')', DEPTH, "`,` or `)` behind an argument")?;
    lexer.expect('=', "`=` and the result of the call")?;
    let result = expression(lexer, DEPTH)?;
    let errno = match lexer.peek()?.kind {
        Kind::Word(errno) => {
            lexer.next()?;
            Some(errno)
        }
        _ => None,
    };
    // What the error or the flags mean, in words.
    if lexer.take('(')? {
        lexer.raw_until(')', "(", ")")?;
    }
    Ok(Call { until, name, args, result, errno })
}

/// Reads expressions up to and with `end`.
fn list(lexer: &mut Lexer<'_>, end: char, depth: u32, expected: &str) -> Result<Vec<Expr>, ScriptError> {
    let mut items = Vec::new();
    if lexer.take(end)? {
        return Ok(items);
    }
    loop {
        items.push(expression(lexer, depth)?);
        if lexer.take(end)? {
            return Ok(items);
        }
        lexer.expect(',', expected)?;
    }
}

fn expression(lexer: &mut Lexer<'_>, depth: u32) -> Result<Expr, ScriptError> {
    let mut left = operand(lexer, depth)?;
    while lexer.take('|')? {
        let right = operand(lexer, depth)?;
        left = Expr::Or(Box::new(left), Box::new(right));
    }
    Ok(left)
}

fn operand(lexer: &mut Lexer<'_>, depth: u32) -> Result<Expr, ScriptError> {
    let token = lexer.next()?;
    let Some(depth) = depth.checked_sub(1) else {
        return Err(lexer.unexpected(&token, "fewer brackets within brackets"));
    };
    Ok(match token.kind {
        Kind::Ellipsis => Expr::Ellipsis,
        Kind::Int(n) | Kind::Hex(n) => Expr::Int(n),
        Kind::Text(text) => texts(lexer, text)?,
        Kind::Char('[') => Expr::List(list(lexer, ']', depth, "`,` or `]` behind an element")?),
        Kind::Char('{') => Expr::Braces(list(lexer, '}', depth, "`,` or `}` behind a field")?),
        Kind::Word(word) => named(lexer, word, depth)?,
        _ => return Err(lexer.unexpected(&token, "a value: a number, a symbol, `...`, a text, `[` or `{`")),
    })
}

/// Texts side by side are one.
fn texts(lexer: &mut Lexer<'_>, mut text: String) -> Result<Expr, ScriptError> {
    while let Token { kind: Kind::Text(more), .. } = lexer.peek()? {
        lexer.next()?;
        text.push_str(&more);
    }
    // `"abc"...`: the beginning of a text.
    if lexer.peek()?.kind == Kind::Ellipsis {
        lexer.next()?;
    }
    Ok(Expr::Text(text))
}

/// `WORD`, `word=value`, `word(...)=value` or `word(value)`.
fn named(lexer: &mut Lexer<'_>, word: String, depth: u32) -> Result<Expr, ScriptError> {
    if lexer.take('(')? {
        let mut args = list(lexer, ')', depth, "`,` or `)` behind an argument")?;
        if args.len() == 1 && lexer.take('=')? {
            let value = expression(lexer, depth)?;
            return Ok(Expr::Field(word, args.pop().map(Box::new), Box::new(value)));
        }
        return Ok(Expr::Of(word, args));
    }
    if lexer.take('=')? {
        let value = expression(lexer, depth)?;
        return Ok(Expr::Field(word, None, Box::new(value)));
    }
    Ok(Expr::Word(word))
}
