//! Rules on one file of code: sizes, leftovers, lint exceptions, the outside world, names.

use super::finding::Finding;
use super::tokens::{each_level, elements, group, heads, is_ident, is_path_start, is_punct, level, line};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Lines a file may have.
const FILE_LINES: usize = 600;
/// Lines a function may have, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// What of `std` is used in one file only.
const OUTSIDE: [(&str, &str); 2] = [("env", "src/explore/env.rs"), ("thread", "src/explore/pool.rs")];
/// Names that say nothing.
const VAGUE: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

pub(crate) fn long_file(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    if lines <= FILE_LINES {
        return Vec::new();
    }
    let what = format!("{lines} lines; a file has at most {FILE_LINES}");
    vec![Finding::new(path, FILE_LINES + 1, what, "split it by noun; long tests move to tests/")]
}

pub(crate) fn long_functions(path: &str, tokens: &TokenStream) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Function { name, first, last } in functions(tokens) {
        let lines = last - first + 1;
        if lines > FUNCTION_LINES {
            let what = format!("`fn {name}` has {lines} lines; a function has at most {FUNCTION_LINES}");
            findings.push(Finding::new(
                path,
                first,
                what,
                "give its steps functions of their own, named for what they do",
            ));
        }
    }
    findings
}

struct Function {
    name: String,
    first: usize,
    last: usize,
}

/// Every function with a body, those in macros, traits and other functions included.
fn functions(stream: &TokenStream) -> Vec<Function> {
    let mut found = Vec::new();
    each_level(stream, &mut |tokens| {
        for at in 0..tokens.len() {
            // `fn name`, and `fn $name` in a macro; `fn(A) -> B` is a type.
            let name_at = if is_punct(tokens.get(at + 1), '$') { at + 2 } else { at + 1 };
            let (true, Some(TokenTree::Ident(name))) = (is_ident(tokens.get(at), "fn"), tokens.get(name_at)) else {
                continue;
            };
            if let Some(last) = body_end(tokens, name_at + 1) {
                found.push(Function { name: name.to_string(), first: line(&tokens[at]), last });
            }
        }
    });
    found
}

/// The line of the brace that closes the body of the function whose name ends before `from`; none for a bare signature.
fn body_end(tokens: &[TokenTree], from: usize) -> Option<usize> {
    for at in from..tokens.len() {
        if is_punct(tokens.get(at), ';') {
            return None;
        }
        if let Some(body) = group(tokens.get(at), Delimiter::Brace) {
            // `Array<{ N }>` in a signature is an argument, not the body.
            let is_argument = is_punct(tokens.get(at - 1), '<') || is_punct(tokens.get(at + 1), '>');
            if !is_argument {
                return Some(body.span_close().end().line);
            }
        }
    }
    None
}

pub(crate) fn unfinished(path: &str, stream: &TokenStream) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(stream, &mut |tokens| {
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(name) = token else { continue };
            let is_call = is_punct(tokens.get(at + 1), '!') && matches!(tokens.get(at + 2), Some(TokenTree::Group(_)));
            if is_call && ["todo", "unimplemented", "dbg"].iter().any(|left_over| name == left_over) {
                let way_out =
                    "write the code, or return an error that says what is not supported; drop what was for debugging";
                findings.push(Finding::new(path, line(token), format!("`{name}!` is left in the code"), way_out));
            }
        }
    });
    findings
}

/// Lint exceptions (`allow`, `expect`, also inside `cfg_attr`) without `reason = "…"`.
pub(crate) fn unreasoned(path: &str, stream: &TokenStream) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(stream, &mut |tokens| {
        for at in 0..tokens.len() {
            let bracket_at = if is_punct(tokens.get(at + 1), '!') { at + 2 } else { at + 1 };
            if let (true, Some(attribute)) =
                (is_punct(tokens.get(at), '#'), group(tokens.get(bracket_at), Delimiter::Bracket))
            {
                for level in bare_exceptions(&level(&attribute.stream())) {
                    let what = format!("`#[{level}(…)]` without a reason");
                    let way_out =
                        format!("write `#[{level}(lint, reason = \"why here\")]`, or mend what the lint found");
                    findings.push(Finding::new(path, line(&tokens[at]), what, way_out));
                }
            }
        }
    });
    findings
}

fn bare_exceptions(attribute: &[TokenTree]) -> Vec<String> {
    let (Some(name), Some(arguments)) = (attribute.first(), group(attribute.get(1), Delimiter::Parenthesis)) else {
        return Vec::new();
    };
    let arguments = elements(&arguments.stream());
    if is_ident(Some(name), "cfg_attr") {
        return arguments.iter().skip(1).flat_map(|inner| bare_exceptions(inner)).collect();
    }
    let is_exception = is_ident(Some(name), "allow") || is_ident(Some(name), "expect");
    let has_reason = arguments.iter().any(|argument| is_ident(argument.first(), "reason") && argument.len() == 3);
    if is_exception && !has_reason { vec![name.to_string()] } else { Vec::new() }
}

/// The environment and threads, outside the one file each that may use them.
pub(crate) fn outside_world(path: &str, stream: &TokenStream) -> Vec<Finding> {
    let mut findings = Vec::new();
    each_level(stream, &mut |tokens| {
        for at in 0..tokens.len() {
            let mut names = Vec::new();
            if is_path_start(tokens, at, "std") {
                names = heads(tokens, at + 3);
            } else if is_ident(tokens.get(at), "std") && is_ident(tokens.get(at + 1), "as") {
                names.push(("*".to_owned(), line(&tokens[at])));
            }
            findings.extend(names.into_iter().filter_map(|(name, line)| outside(path, &name, line)));
        }
    });
    findings
}

fn outside(path: &str, name: &str, line: usize) -> Option<Finding> {
    if name == "*" || name == "self" {
        let way_out = "name the modules of `std` that are used, so that the environment and threads stay in sight";
        return Some(Finding::new(path, line, "the whole of `std` is imported", way_out));
    }
    let (_, home) = OUTSIDE.into_iter().find(|&(module, home)| module == name && home != path)?;
    let way_out = format!("a run knows neither environment nor threads: hand the value in, or do it in {home}");
    Some(Finding::new(path, line, format!("`std::{name}` is used outside {home}"), way_out))
}

/// Files and folders whose name would fit anything.
pub(crate) fn vague_names(paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths {
        let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        if let Some(part) = stem.split('/').find(|part| VAGUE.contains(part)) {
            let what = format!("`{part}` says nothing about what is inside");
            findings.push(Finding::new(path, 1, what, "name it for the noun it holds"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tokens::lex;
    use super::*;

    type Rule = fn(&str, &TokenStream) -> Vec<Finding>;

    fn lines(rule: Rule, text: &str) -> Vec<usize> {
        lines_in("src/tcp/a.rs", rule, text)
    }

    fn lines_in(path: &str, rule: Rule, text: &str) -> Vec<usize> {
        rule(path, &lex(path, text)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn files_at_and_above_the_limit() {
        assert!(long_file("src/a.rs", &"x\n".repeat(FILE_LINES)).is_empty());
        assert_eq!(long_file("src/a.rs", &"x\n".repeat(FILE_LINES + 1)).len(), 1);
    }

    #[test]
    fn functions_at_and_above_the_limit() {
        let function = |lines: usize| format!("\nfn f() {{\n{}}}\n", "\n".repeat(lines - 2));
        assert!(lines(long_functions, &function(FUNCTION_LINES)).is_empty());
        assert_eq!(lines(long_functions, &function(FUNCTION_LINES + 1)), [2]);
    }

    #[test]
    fn functions_are_measured_wherever_they_stand() {
        let measured = |text: &str| {
            let found = functions(&lex("a.rs", text));
            found.into_iter().map(|f| (f.name, f.first, f.last)).collect::<Vec<_>>()
        };
        let one = |name: &str, first, last| vec![(name.to_owned(), first, last)];
        assert_eq!(measured("impl A {\npub const fn f(&self) -> u8\nwhere Self: Sized,\n{\n1\n}\n}"), one("f", 2, 6));
        assert_eq!(measured("trait T { fn bare(&self) -> [u8; { 1 }]; fn with() {\n} }"), one("with", 1, 2));
        assert_eq!(measured("fn f(a: A<{ 3 }>) -> B<{ 4 }, { 5 }> {\n\n}"), one("f", 1, 3));
        assert_eq!(measured("macro_rules! m { ($n:ident) => { fn $n() {\n} } }"), one("n", 1, 2));
        assert_eq!(
            measured("fn f() { let a = \"}\"; // }\nlet b = '}'; /* } */\nlet c = r#\"}\"#;\n}"),
            one("f", 1, 4)
        );
        assert_eq!(measured("struct A { f: fn(u8) -> u8 }\nconst B: fn() = || {};"), []);
        assert_eq!(measured("fn outer() {\nfn inner() {\n}\n}").len(), 2);
    }

    #[test]
    fn leftovers() {
        assert_eq!(lines(unfinished, "fn a() { todo!() }\nfn b() { x(dbg!(1)); unimplemented!(\"no\") }"), [1, 2, 2]);
        assert_eq!(lines(unfinished, "fn a() { std::todo!() }"), [1]);
        assert!(
            lines(unfinished, "// todo!()\nfn a() { let todo = 1; if todo != (1) { say(\"todo!()\") } }").is_empty()
        );
    }

    #[test]
    fn exceptions_without_a_reason() {
        assert_eq!(lines(unreasoned, "#![allow(dead_code)]\n#[expect(clippy::x, clippy::y)] fn a() {}"), [1, 2]);
        assert_eq!(lines(unreasoned, "fn a() {\n#[cfg_attr(test, derive(Debug), allow(clippy::x))] let b = 1; }"), [2]);
        assert!(lines(unreasoned, "#[allow(clippy::x, reason = \"why\")] fn a() { b.expect(\"c\") }").is_empty());
        assert!(lines(unreasoned, "#[cfg_attr(test, expect(clippy::x, reason = \"why\"))] fn a() {}").is_empty());
        assert!(
            lines(unreasoned, "#[should_panic(expected = \"x\")] #[arg(default = a.expect(\"x\"))] fn a() {}")
                .is_empty()
        );
    }

    #[test]
    fn the_outside_world_has_one_door_each() {
        assert_eq!(
            lines(outside_world, "use std::env;\nuse std::{fmt, thread::spawn};\nfn a() { std::env::var(\"A\") }"),
            [1, 2, 3]
        );
        assert_eq!(lines(outside_world, "use std::*;\nuse std as s;\nuse std::{self as t};"), [1, 2, 3]);
        assert!(lines(outside_world, "use std::{fmt, io}; const A: &str = env!(\"A\"); // std::env").is_empty());
        assert!(lines_in("src/explore/env.rs", outside_world, "use std::env;").is_empty());
        assert_eq!(lines_in("src/explore/env.rs", outside_world, "use std::thread;"), [1]);
        assert!(lines_in("src/explore/pool.rs", outside_world, "use std::thread;").is_empty());
        assert_eq!(lines_in("src/explore/pool.rs", outside_world, "use std::env;"), [1]);
    }

    #[test]
    fn vague_file_and_folder_names() {
        let paths = ["src/tcp/utils.rs", "tests/common/mod.rs", "src/commons.rs", "src/tcp/rto.rs", "src/misc"];
        let found: Vec<String> =
            vague_names(&paths.map(str::to_owned)).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["src/tcp/utils.rs", "tests/common/mod.rs", "src/misc"]);
    }
}
