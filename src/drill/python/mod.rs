//! The Python between `%{` and `}%`, as far as scripts use it.
//!
//! All snippets of a script run after it, as one program: names given in one are there in the next. Before each, the
//! names of `struct tcp_info` are given the values they had when the script reached the snippet.
//!
//! What is there: numbers, texts, names; `assert`, `print`, assignments (`=`, `+=`, `-=`, …), `if`, `for … in` over
//! `range()` and lists, on one line or indented; arithmetic, comparisons in chains, `and`, `or`, `not`, `in`, bits, `"%d" % x`;
//! `abs`, `min`, `max`, `len`, `int`, `str`, `range`; comments and continued lines. Anything beyond is an error that
//! says so.

mod eval;
mod lexer;
mod parser;

pub use eval::{Fault, Program, Value};
