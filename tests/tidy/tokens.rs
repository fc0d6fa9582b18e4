//! Rust as a tree of tokens. Lexing, not searching, so that strings, comments and macro bodies cannot mislead a rule.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

pub(crate) fn lex(path: &str, text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error: proc_macro2::LexError| {
        panic!("{path}:{}: does not lex as Rust: {error}", error.span().start().line)
    })
}

/// The tokens between one pair of delimiters, inner groups as single tokens.
pub(crate) fn level(stream: &TokenStream) -> Vec<TokenTree> {
    stream.clone().into_iter().collect()
}

/// Calls `visit` with the tokens of every level of nesting, outermost first.
pub(crate) fn each_level(stream: &TokenStream, visit: &mut dyn FnMut(&[TokenTree])) {
    let tokens = level(stream);
    visit(&tokens);
    for token in &tokens {
        if let TokenTree::Group(group) = token {
            each_level(&group.stream(), visit);
        }
    }
}

pub(crate) fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

pub(crate) fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

pub(crate) fn is_punct(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

pub(crate) fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// Whether `tokens[at..]` starts with `name::`.
pub(crate) fn is_path_start(tokens: &[TokenTree], at: usize, name: &str) -> bool {
    is_ident(tokens.get(at), name) && is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':')
}

/// The elements of a list separated by commas.
pub(crate) fn elements(stream: &TokenStream) -> Vec<Vec<TokenTree>> {
    let tokens = level(stream);
    tokens.split(|token| is_punct(Some(token), ',')).filter(|part| !part.is_empty()).map(<[_]>::to_vec).collect()
}

/// The names that follow `prefix::` at `tokens[at..]`, each with its line: one, or those of a `{…}` list.
/// `*` and `self` stand for the whole of the prefix.
pub(crate) fn heads(tokens: &[TokenTree], at: usize) -> Vec<(String, usize)> {
    match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => vec![(ident.to_string(), ident.span().start().line)],
        Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => vec![("*".to_owned(), punct.span().start().line)],
        Some(TokenTree::Group(list)) if list.delimiter() == Delimiter::Brace => {
            elements(&list.stream()).iter().flat_map(|element| heads(element, 0)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn strings_and_comments_are_not_code() {
    let mut idents = 0;
    let text = "// hidden\n/* hidden { */ \"hidden { crate::x\"; r#\"hidden \" }\"#; '{'; b'\\''; seen";
    each_level(&lex("a.rs", text), &mut |tokens| {
        idents += tokens.iter().filter(|token| matches!(token, TokenTree::Ident(_))).count();
    });
    assert_eq!(idents, 1);
}

#[test]
fn heads_of_one_name_a_list_and_a_glob() {
    let heads_of =
        |text: &str| heads(&level(&lex("a.rs", text)), 0).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(heads_of("a::b"), ["a"]);
    assert_eq!(heads_of("{a::{b, c}, d as e, {f}, *}"), ["a", "d", "f", "*"]);
    assert_eq!(heads_of("{self, a}"), ["self", "a"]);
    assert_eq!(heads(&level(&lex("a.rs", "{\na,\nb}")), 0), [("a".to_owned(), 2), ("b".to_owned(), 3)]);
}

#[test]
#[should_panic(expected = "src/broken.rs:2: does not lex")]
fn a_file_that_does_not_lex_is_named() {
    lex("src/broken.rs", "fn a() {}\n \" unterminated");
}

#[test]
fn every_level_of_nesting_is_read() {
    let mut levels = 0;
    each_level(&lex("a.rs", "fn a() { ([1]) }"), &mut |_| levels += 1);
    assert_eq!(levels, 5);
}
