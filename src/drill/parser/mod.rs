//! From text to a [`Script`].

mod call;
mod icmp;
mod packet;

use super::error::{Mistake, ScriptError};
use super::lexer::{Kind, Lexer, Token};
use super::script::{Action, Code, Command, Event, OptionLine, PacketLine, Script, When};
use crate::scenario::Source;
use crate::time::{Span, us};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What words of a script stand for: `-D NAME=VALUE`, and the names that `#ifdef` asks for.
pub type Defines = BTreeMap<String, String>;

impl Script {
    /// Reads a script; `name` is what messages call it.
    pub fn parse(name: &str, bytes: &[u8], defines: &Defines) -> Result<Script, ScriptError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let end = text.len();
                let source = Arc::new(Source { name: name.to_owned(), text });
                return Err(ScriptError::new(&source, end..end, Mistake::NotUtf8));
            }
        };
        let source = Arc::new(Source { name: name.to_owned(), text });
        let mut lexer = Lexer::new(&source, defines);
        let options = options(&mut lexer)?;
        let init = command(&mut lexer)?;
        let (events, cleanup) = events(&mut lexer)?;
        Ok(Script { source: Arc::clone(&source), options, init, events, cleanup })
    }
}

fn options(lexer: &mut Lexer<'_>) -> Result<Vec<OptionLine>, ScriptError> {
    let mut options = Vec::new();
    while let Token { kind: Kind::Option(name), span } = lexer.peek()? {
        lexer.next()?;
        let value = if lexer.take('=')? { Some(option_value(lexer)?) } else { None };
        options.push(OptionLine { line: lexer.line(span.start), name, value, span });
    }
    Ok(options)
}

fn option_value(lexer: &mut Lexer<'_>) -> Result<String, ScriptError> {
    let token = lexer.next()?;
    let value = match &token.kind {
        Kind::Int(_) | Kind::Hex(_) | Kind::Micros(_) | Kind::Address(_) => lexer.text(token.span.clone()).to_owned(),
        Kind::Text(text) => text.clone(),
        Kind::Word(word) if lexer.take('=')? => {
            let value = lexer.next()?;
            format!("{word}={}", lexer.text(value.span))
        }
        Kind::Word(word) => word.clone(),
        _ => return Err(lexer.unexpected(&token, "the value of the option")),
    };
    Ok(value)
}

/// A command without a time, if one comes next.
fn command(lexer: &mut Lexer<'_>) -> Result<Option<Command>, ScriptError> {
    let Token { kind: Kind::Ticks(text), span } = lexer.peek()? else { return Ok(None) };
    lexer.next()?;
    Ok(Some(Command { line: lexer.line(span.start), text }))
}

fn events(lexer: &mut Lexer<'_>) -> Result<(Vec<Event>, Option<Command>), ScriptError> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let cleanup = if events.is_empty() { None } else { command(lexer)? };
        let token = lexer.peek()?;
        if token.kind == Kind::End {
            if events.is_empty() {
                return Err(lexer.error(token.span, Mistake::Empty));
            }
            return Ok((events, cleanup));
        }
        if cleanup.is_some() {
            return Err(lexer.unexpected(&token, "the end of the script behind a command without a time"));
        }
        let event = event(lexer)?;
        check_order(lexer, events.last(), &event, &token.span)?;
        events.push(event);
    }
}

/// Absolute times go forward, and the first event is at 0.
fn check_order(
    lexer: &Lexer<'_>,
    before: Option<&Event>,
    event: &Event,
    span: &Range<usize>,
) -> Result<(), ScriptError> {
    let absolute = |event: &Event| match event.time {
        When::At(at) | When::Between(at, _) => Some(at),
        _ => None,
    };
    let mistake = match (before.map(absolute), absolute(event)) {
        (None, start) if start.is_some_and(|at| at > Span::ZERO) => Mistake::FirstNotZero,
        (Some(Some(earlier)), Some(at)) if at < earlier => Mistake::EarlierThanBefore,
        _ => return Ok(()),
    };
    Err(lexer.error(span.clone(), mistake))
}

fn event(lexer: &mut Lexer<'_>) -> Result<Event, ScriptError> {
    let start = lexer.place()?;
    let time = when(lexer)?;
    let end = lexer.place()?;
    let line = lexer.line(start);
    let action = action(lexer)?;
    let span = start..start + lexer.text(start..end).trim_end().len();
    let outbound = matches!(action, Action::Packet(PacketLine { outbound: true, .. }));
    let mistake = match time {
        When::Between(from, to) | When::Within(from, to) if to < from => Mistake::TimeBackwards,
        When::Any if !outbound => Mistake::OutboundOnly("the time `*`"),
        When::Between(..) | When::Within(..) if !outbound => Mistake::OutboundOnly("a range of times"),
        _ => return Ok(Event { line, time, action }),
    };
    Err(lexer.error(span, mistake))
}

fn when(lexer: &mut Lexer<'_>) -> Result<When, ScriptError> {
    let expected = "the time of an event (`0.1`, `+0.1`, `*`, `0.1~0.2`), or the end of the script";
    if lexer.take('*')? {
        return Ok(When::Any);
    }
    let relative = lexer.take('+')?;
    let from = seconds(lexer, if relative { "a number of seconds behind `+`" } else { expected })?;
    if !lexer.take('~')? {
        return Ok(if relative { When::After(from) } else { When::At(from) });
    }
    if relative {
        lexer.expect('+', "`+`, as in `+0.1~+0.2`")?;
    }
    let to = seconds(lexer, "the end of the range of times")?;
    Ok(if relative { When::Within(from, to) } else { When::Between(from, to) })
}

/// A number of seconds, to the microsecond.
fn seconds(lexer: &mut Lexer<'_>, expected: &str) -> Result<Span, ScriptError> {
    let token = lexer.next()?;
    let micros = match token.kind {
        Kind::Micros(n) => u64::try_from(n).ok(),
        Kind::Int(n) => u64::try_from(n).ok().and_then(|n| n.checked_mul(1_000_000)),
        _ => None,
    };
    micros.map(us).ok_or_else(|| lexer.unexpected(&token, expected))
}

fn action(lexer: &mut Lexer<'_>) -> Result<Action, ScriptError> {
    let token = lexer.peek()?;
    let line = lexer.line(token.span.start);
    match token.kind {
        Kind::Char(direction @ ('<' | '>')) => {
            lexer.next()?;
            packet::packet(lexer, direction == '>').map(Action::Packet)
        }
        Kind::Ticks(text) => {
            lexer.next()?;
            Ok(Action::Command(Command { line, text }))
        }
        Kind::Code(text) => {
            lexer.next()?;
            Ok(Action::Code(Code { line, text }))
        }
        Kind::Ellipsis | Kind::Word(_) => call::call(lexer).map(Action::Call),
        _ => Err(lexer.unexpected(&token, "a packet (`<`, `>`), a call, a command in backticks or code in `%{ }%`")),
    }
}

/// A number of at most `max`.
fn number(lexer: &mut Lexer<'_>, max: u64, what: &'static str) -> Result<u64, ScriptError> {
    let token = lexer.next()?;
    let (Kind::Int(n) | Kind::Hex(n)) = token.kind else { return Err(lexer.unexpected(&token, what)) };
    let found = u64::try_from(n).ok().filter(|n| *n <= max);
    found.ok_or_else(|| lexer.error(token.span, Mistake::Range { what, found: n.to_string(), max }))
}

/// A number of 32 bits.
fn number_32(lexer: &mut Lexer<'_>, what: &'static str) -> Result<u32, ScriptError> {
    let n = number(lexer, u32::MAX.into(), what)?;
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

/// A number of 16 bits.
fn number_16(lexer: &mut Lexer<'_>, what: &'static str) -> Result<u16, ScriptError> {
    let n = number(lexer, u16::MAX.into(), what)?;
    Ok(u16::try_from(n).unwrap_or(u16::MAX))
}

/// A number of 8 bits.
fn number_8(lexer: &mut Lexer<'_>, what: &'static str) -> Result<u8, ScriptError> {
    let n = number(lexer, u8::MAX.into(), what)?;
    Ok(u8::try_from(n).unwrap_or(u8::MAX))
}
