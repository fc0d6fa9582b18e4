//! Running snippets.

use super::parser::{Ast, Do, Statement, parse};
use std::collections::BTreeMap;
use std::fmt;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number; `True` and `False` are 1 and 0.
    Int(i64),
    /// A text.
    Text(String),
    /// Several values in order.
    Tuple(Vec<Value>),
    /// `None`.
    Nothing,
}

/// Why a snippet ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An assertion did not hold: its text, and its message.
    Assertion {
        /// What stands behind the comma.
        message: Option<String>,
    },
    /// A name that nothing was given.
    Name(String),
    /// Values of kinds that do not go together.
    Type(String),
    /// A division by zero, or a result beyond 64 bits.
    Arithmetic(&'static str),
    /// It is not in the language.
    Syntax(String),
    /// It is in the language, and not in the part of it that is here.
    Beyond(&'static str),
    /// A loop that goes on for too long.
    Endless,
}

/// The program that all snippets of a script make.
#[derive(Clone, Debug, Default)]
pub struct Program {
    names: BTreeMap<String, Value>,
    printed: String,
    steps: u32,
}

/// Statements and operations that all snippets of a script may take.
const STEPS: u32 = 1_000_000;

type Run<T> = Result<T, Fault>;

impl Program {
    /// Gives names their values.
    pub fn set(&mut self, names: impl IntoIterator<Item = (&'static str, i64)>) {
        self.names.extend(names.into_iter().map(|(name, value)| (name.to_owned(), Value::Int(value))));
    }

    /// What was printed so far.
    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// Runs one snippet; the line of a fault is counted within it, from 0.
    pub fn run(&mut self, text: &str) -> Result<(), (Fault, usize)> {
        let statements = parse(text)?;
        self.all(&statements)
    }

    /// Whether a snippet can be run at all.
    pub fn check(text: &str) -> Result<(), (Fault, usize)> {
        parse(text).map(|_| ())
    }

    fn all(&mut self, statements: &[Statement]) -> Result<(), (Fault, usize)> {
        for statement in statements {
            let line = statement.line;
            match &statement.what {
                Do::For(name, values, body) => {
                    let values = self.value(values).and_then(items).map_err(|fault| (fault, line))?;
                    for value in values {
                        self.names.insert(name.clone(), value);
                        self.all(body)?;
                    }
                }
                Do::If(value, then, otherwise) => {
                    let holds = self.value(value).map_err(|fault| (fault, line))?.holds();
                    self.all(if holds { then } else { otherwise })?;
                }
                what => self.one(what).map_err(|fault| (fault, line))?,
            }
        }
        Ok(())
    }

    fn one(&mut self, what: &Do) -> Run<()> {
        match what {
            Do::Assert(value, message) => {
                if !self.value(value)?.holds() {
                    let message = message.as_ref().map(|message| self.value(message)).transpose()?;
                    return Err(Fault::Assertion { message: message.map(|message| message.to_string()) });
                }
            }
            Do::Set(name, value) => {
                let value = self.value(value)?;
                self.names.insert(name.clone(), value);
            }
            Do::Change(name, op, value) => {
                let before = self.name(name)?;
                let value = self.value(value)?;
                let after = binary(op.strip_suffix('=').unwrap_or(op), before, value)?;
                self.names.insert(name.clone(), after);
            }
            Do::Value(value) => {
                self.value(value)?;
            }
            Do::For(..) | Do::If(..) | Do::Pass => {}
        }
        Ok(())
    }

    fn name(&self, name: &str) -> Run<Value> {
        match name {
            "True" => Ok(Value::Int(1)),
            "False" => Ok(Value::Int(0)),
            "None" => Ok(Value::Nothing),
            _ => self.names.get(name).cloned().ok_or_else(|| Fault::Name(name.to_owned())),
        }
    }

    fn value(&mut self, ast: &Ast) -> Run<Value> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(Fault::Endless);
        }
        Ok(match ast {
            Ast::Int(n) => Value::Int(*n),
            Ast::Text(text) => Value::Text(text.clone()),
            Ast::Name(name) => self.name(name)?,
            Ast::Tuple(items) => Value::Tuple(items.iter().map(|item| self.value(item)).collect::<Run<_>>()?),
            Ast::Unary(op, value) => unary(op, self.value(value)?)?,
            Ast::Binary(op, left, right) => {
                let left = self.value(left)?;
                let right = self.value(right)?;
                binary(op, left, right)?
            }
            Ast::Compare(first, chain) => self.compare(first, chain)?,
            Ast::And(left, right) => {
                let left = self.value(left)?;
                if left.holds() { self.value(right)? } else { left }
            }
            Ast::Or(left, right) => {
                let left = self.value(left)?;
                if left.holds() { left } else { self.value(right)? }
            }
            Ast::Call(name, args) => {
                let args = args.iter().map(|arg| self.value(arg)).collect::<Run<Vec<_>>>()?;
                self.call(name, args)?
            }
            Ast::Index(value, index) => {
                let (values, index) = (items(self.value(value)?)?, self.value(index)?);
                let Value::Int(index) = index else { return Err(Fault::Type("an index is a number".to_owned())) };
                let at = if index < 0 { index + i64::try_from(values.len()).unwrap_or(0) } else { index };
                let found = usize::try_from(at).ok().and_then(|at| values.get(at));
                found.cloned().ok_or_else(|| Fault::Type(format!("there is no element {index}")))?
            }
        })
    }

    fn compare(&mut self, first: &Ast, chain: &[(&'static str, Ast)]) -> Run<Value> {
        let mut left = self.value(first)?;
        for (op, right) in chain {
            let right = self.value(right)?;
            if !compares(op, &left, &right)? {
                return Ok(Value::Int(0));
            }
            left = right;
        }
        Ok(Value::Int(1))
    }

    fn call(&mut self, name: &str, args: Vec<Value>) -> Run<Value> {
        let wrong = |what: &str| Fault::Type(format!("{name}() takes {what}"));
        Ok(match (name, &args[..]) {
            ("print", _) => {
                let shown: Vec<String> = args.iter().map(ToString::to_string).collect();
                self.printed.push_str(&shown.join(" "));
                self.printed.push('\n');
                Value::Nothing
            }
            ("abs", [Value::Int(n)]) => Value::Int(n.checked_abs().ok_or(Fault::Arithmetic("too large a number"))?),
            ("int", [Value::Int(n)]) => Value::Int(*n),
            ("bool", [value]) => Value::Int(value.holds().into()),
            ("str", [value]) => Value::Text(value.to_string()),
            ("hex", [Value::Int(n)]) => Value::Text(format!("{n:#x}")),
            ("len", [Value::Tuple(items)]) => Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX)),
            ("len", [Value::Text(text)]) => Value::Int(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
            ("min" | "max", [_, ..]) => {
                let all = if let [Value::Tuple(items)] = &args[..] { items.clone() } else { args.clone() };
                let numbers = all.iter().map(|v| if let Value::Int(n) = v { Some(*n) } else { None });
                let numbers: Vec<i64> = numbers.collect::<Option<_>>().ok_or_else(|| wrong("numbers"))?;
                let found = if name == "min" { numbers.iter().min() } else { numbers.iter().max() };
                Value::Int(*found.ok_or_else(|| wrong("at least one number"))?)
            }
            ("range", [Value::Int(end)]) => range(0, *end, 1)?,
            ("range", [Value::Int(start), Value::Int(end)]) => range(*start, *end, 1)?,
            ("range", [Value::Int(start), Value::Int(end), Value::Int(step)]) => range(*start, *end, *step)?,
            ("abs" | "int" | "len" | "range" | "bool" | "str" | "hex" | "min" | "max", _) => {
                return Err(wrong("other arguments"));
            }
            _ => {
                return Err(Fault::Beyond(
                    "functions other than print, abs, min, max, len, int, str, bool, hex, range",
                ));
            }
        })
    }
}

fn range(start: i64, end: i64, step: i64) -> Run<Value> {
    if step == 0 {
        return Err(Fault::Type("range() takes a step other than 0".to_owned()));
    }
    let mut items = Vec::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        if items.len() >= STEPS as usize {
            return Err(Fault::Endless);
        }
        items.push(Value::Int(at));
        at = at.checked_add(step).ok_or(Fault::Arithmetic("too large a number"))?;
    }
    Ok(Value::Tuple(items))
}

fn items(value: Value) -> Run<Vec<Value>> {
    match value {
        Value::Tuple(items) => Ok(items),
        Value::Text(text) => Ok(text.chars().map(|c| Value::Text(c.to_string())).collect()),
        Value::Int(_) | Value::Nothing => Err(Fault::Type("this is no list".to_owned())),
    }
}

fn compares(op: &str, left: &Value, right: &Value) -> Run<bool> {
    match op {
        "==" => return Ok(left == right),
        "!=" => return Ok(left != right),
        "in" => {
            if let (Value::Text(part), Value::Text(whole)) = (left, right) {
                return Ok(whole.contains(part.as_str()));
            }
            return Ok(items(right.clone())?.contains(left));
        }
        _ => {}
    }
    let order = match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => return Err(Fault::Type(format!("{} and {} have no order", left.kind(), right.kind()))),
    };
    Ok(match op {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn unary(op: &str, value: Value) -> Run<Value> {
    Ok(Value::Int(match (op, value) {
        ("not", value) => (!value.holds()).into(),
        ("-", Value::Int(n)) => n.checked_neg().ok_or(Fault::Arithmetic("too large a number"))?,
        ("~", Value::Int(n)) => !n,
        ("+", Value::Int(n)) => n,
        (_, value) => return Err(Fault::Type(format!("`{op}` takes a number, not {}", value.kind()))),
    }))
}

fn binary(op: &str, left: Value, right: Value) -> Run<Value> {
    match (op, left, right) {
        ("%", Value::Text(text), args) => format(&text, args).map(Value::Text),
        ("+", Value::Text(a), Value::Text(b)) => Ok(Value::Text(a + &b)),
        ("+", Value::Tuple(mut a), Value::Tuple(b)) => {
            a.extend(b);
            Ok(Value::Tuple(a))
        }
        (op, Value::Int(a), Value::Int(b)) => arithmetic(op, a, b).map(Value::Int),
        (op, left, right) => Err(Fault::Type(format!("`{op}` does not take {} and {}", left.kind(), right.kind()))),
    }
}

fn arithmetic(op: &str, a: i64, b: i64) -> Run<i64> {
    const LARGE: Fault = Fault::Arithmetic("a result beyond 64 bits");
    let shift = || u32::try_from(b).map_err(|_| Fault::Arithmetic("a shift by less than nothing"));
    match op {
        "+" => a.checked_add(b).ok_or(LARGE),
        "-" => a.checked_sub(b).ok_or(LARGE),
        "*" => a.checked_mul(b).ok_or(LARGE),
        "**" => shift().and_then(|power| a.checked_pow(power).ok_or(LARGE)),
        "//" | "/" | "%" if b == 0 => Err(Fault::Arithmetic("division by zero")),
        "/" if a % b != 0 => Err(Fault::Beyond("numbers with a point, as this division gives one")),
        // Python rounds towards minus infinity.
        "//" | "/" => a.checked_div_euclid(b).map(|q| if b < 0 && a % b != 0 { q - 1 } else { q }).ok_or(LARGE),
        "%" => a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }).ok_or(LARGE),
        "&" => Ok(a & b),
        "|" => Ok(a | b),
        "^" => Ok(a ^ b),
        "<<" => shift().and_then(|n| a.checked_shl(n).filter(|shifted| shifted >> n == a).ok_or(LARGE)),
        ">>" => shift().map(|n| a >> n.min(63)),
        _ => Err(Fault::Beyond("this operator")),
    }
}

/// `"%d of %s" % (1, "x")`.
fn format(text: &str, args: Value) -> Run<String> {
    let mut args = match args {
        Value::Tuple(items) => items,
        one => vec![one],
    }
    .into_iter();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let flags = rest.find(|c: char| !c.is_ascii_digit() && c != '#' && c != '-').unwrap_or(rest.len());
        let (width, kind) = (&rest[..flags], rest[flags..].chars().next());
        rest = rest.get(flags + kind.map_or(0, char::len_utf8)..).unwrap_or("");
        let mut next = || args.next().ok_or_else(|| Fault::Type("not enough values for the text".to_owned()));
        let shown = match kind {
            Some('%') => "%".to_owned(),
            Some('s' | 'r') => next()?.to_string(),
            Some(kind @ ('d' | 'i' | 'u' | 'x' | 'X')) => {
                let Value::Int(n) = next()? else { return Err(Fault::Type(format!("`%{kind}` takes a number"))) };
                match kind {
                    'x' if width.contains('#') => format!("{n:#x}"),
                    'x' => format!("{n:x}"),
                    'X' => format!("{n:X}"),
                    _ => n.to_string(),
                }
            }
            _ => return Err(Fault::Beyond("this conversion in a text")),
        };
        let zero = width.starts_with('0');
        let least: usize = width.trim_matches(['#', '-', '0']).parse().unwrap_or(0);
        let least = least.min(200);
        match (zero, width.contains('-')) {
            (true, _) => out.push_str(&format!("{shown:0>least$}")),
            (_, true) => out.push_str(&format!("{shown:<least$}")),
            _ => out.push_str(&format!("{shown:>least$}")),
        }
    }
    if args.next().is_some() {
        return Err(Fault::Type("too many values for the text".to_owned()));
    }
    out.push_str(rest);
    Ok(out)
}

impl Value {
    fn holds(&self) -> bool {
        match self {
            Value::Int(n) => *n != 0,
            Value::Text(text) => !text.is_empty(),
            Value::Tuple(items) => !items.is_empty(),
            Value::Nothing => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Int(_) => "a number",
            Value::Text(_) => "a text",
            Value::Tuple(_) => "a list",
            Value::Nothing => "None",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(n) => n.fmt(f),
            Value::Text(text) => f.write_str(text),
            Value::Tuple(items) => {
                f.write_str("(")?;
                for (n, item) in items.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { ", " })?;
                    item.fmt(f)?;
                }
                f.write_str(")")
            }
            Value::Nothing => f.write_str("None"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Assertion { message: None } => f.write_str("the assertion does not hold"),
            Fault::Assertion { message: Some(message) } => write!(f, "the assertion does not hold: {message}"),
            Fault::Name(name) => write!(f, "the name `{name}` was given no value"),
            Fault::Type(what) | Fault::Syntax(what) => f.write_str(what),
            Fault::Arithmetic(what) => f.write_str(what),
            Fault::Beyond(what) => write!(f, "{what}: beyond the Python that scripts use here"),
            Fault::Endless => f.write_str("it goes on for too long"),
        }
    }
}

impl std::error::Error for Fault {}
