//! Command lines: words, pipes and redirections, as far as scripts use them. Nothing is run.

/// One program with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) words: Vec<String>,
    /// Where its output goes, where that is a file.
    pub(super) output: Option<String>,
}

/// Programs joined by `|`.
pub(super) type Pipeline = Vec<Simple>;

/// When a pipeline runs, after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// `;`, or a new line.
    Always,
    /// `&&`
    Success,
    /// `||`
    Failure,
}

/// Takes a command line apart; says what it cannot.
pub(super) fn parse(text: &str) -> Result<Vec<(After, Pipeline)>, String> {
    let mut reader =
        Reader { rest: text, done: Vec::new(), after: After::Always, pipeline: Vec::new(), simple: Simple::default() };
    while !reader.rest.is_empty() {
        reader.piece()?;
    }
    reader.end_pipeline(After::Always);
    Ok(reader.done)
}

struct Reader<'a> {
    rest: &'a str,
    done: Vec<(After, Pipeline)>,
    after: After,
    pipeline: Pipeline,
    simple: Simple,
}

impl Reader<'_> {
    fn take(&mut self, symbol: &str) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn piece(&mut self) -> Result<(), String> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        if self.take("\\\n") || self.rest.is_empty() {
            return Ok(());
        }
        if self.rest.starts_with('#') {
            self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..];
            return Ok(());
        }
        if self.take("\n") || (!self.rest.starts_with(";;") && self.take(";")) {
            self.end_pipeline(After::Always);
        } else if self.take("&&") {
            self.end_pipeline(After::Success);
        } else if self.take("||") {
            self.end_pipeline(After::Failure);
        } else if self.take("|") {
            self.end_simple();
        } else if self.redirection()? {
        } else {
            let word = self.word()?;
            self.simple.words.push(word);
        }
        Ok(())
    }

    fn end_simple(&mut self) {
        let simple = std::mem::take(&mut self.simple);
        if simple != Simple::default() {
            self.pipeline.push(simple);
        }
    }

    fn end_pipeline(&mut self, next: After) {
        self.end_simple();
        let pipeline = std::mem::take(&mut self.pipeline);
        if !pipeline.is_empty() {
            self.done.push((self.after, pipeline));
            self.after = After::Always;
        }
        if next != After::Always {
            self.after = next;
        }
    }

    /// `> file`, `2> file`, `&> file`, `2>&1`.
    fn redirection(&mut self) -> Result<bool, String> {
        for (mark, is_output) in [("2>&1", false), ("&>", true), ("2>", false), ("1>", true), (">>", true), (">", true)]
        {
            if !self.take(mark) {
                continue;
            }
            if mark != "2>&1" {
                self.rest = self.rest.trim_start_matches([' ', '\t']);
                let file = self.word()?;
                if is_output {
                    self.simple.output = Some(file);
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn word(&mut self) -> Result<String, String> {
        let mut word = String::new();
        while let Some(c) = self.rest.chars().next() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '|' | '>' | '&' => break,
                '<' | '(' | ')' | '*' | '?' => return Err(format!("`{c}` in a command")),
                '\'' => {
                    let inner = &self.rest[1..];
                    let end = inner.find('\'').ok_or("a quotation that is not closed")?;
                    word.push_str(&inner[..end]);
                    self.rest = &inner[end + 1..];
                }
                '"' => {
                    self.rest = &self.rest[1..];
                    self.quoted(&mut word)?;
                }
                '$' => self.value(&mut word)?,
                '\\' => {
                    self.rest = &self.rest[1..];
                    if !self.take("\n")
                        && let Some(next) = self.rest.chars().next()
                    {
                        word.push(next);
                        self.rest = &self.rest[next.len_utf8()..];
                    }
                }
                _ => {
                    word.push(c);
                    self.rest = &self.rest[c.len_utf8()..];
                }
            }
        }
        if word.is_empty() && self.rest.starts_with('&') {
            return Err("`&` in a command".to_owned());
        }
        Ok(word)
    }

    fn quoted(&mut self, word: &mut String) -> Result<(), String> {
        while let Some(c) = self.rest.chars().next() {
            if c == '$' {
                self.value(word)?;
                continue;
            }
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => return Ok(()),
                '\\' => {
                    if let Some(next) = self.rest.chars().next() {
                        word.push(next);
                        self.rest = &self.rest[next.len_utf8()..];
                    }
                }
                _ => word.push(c),
            }
        }
        Err("a quotation that is not closed".to_owned())
    }

    /// `$((2*3))`; `$NAME` and `${NAME}` stay as they are.
    fn value(&mut self, word: &mut String) -> Result<(), String> {
        if let Some(inner) = self.rest.strip_prefix("$((") {
            let end = inner.find("))").ok_or("a sum that is not closed")?;
            let product = product(&inner[..end]).ok_or_else(|| format!("the sum `{}`", &inner[..end]))?;
            word.push_str(&product.to_string());
            self.rest = &inner[end + 2..];
            return Ok(());
        }
        if self.rest.starts_with("$(") {
            return Err("a command within a command".to_owned());
        }
        word.push('$');
        self.rest = &self.rest[1..];
        if let Some(inner) = self.rest.strip_prefix('{') {
            let end = inner.find('}').ok_or("a name that is not closed")?;
            word.push_str(&self.rest[..end + 2]);
            self.rest = &inner[end + 1..];
        }
        Ok(())
    }
}

/// Numbers joined by `*` and `+`.
fn product(text: &str) -> Option<u64> {
    text.split('+').try_fold(0u64, |sum, part| {
        let part = part.split('*').try_fold(1u64, |all, n| all.checked_mul(n.trim().parse().ok()?))?;
        sum.checked_add(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<Vec<String>>> {
        let all = parse(text).unwrap();
        all.into_iter().map(|(_, pipeline)| pipeline.into_iter().map(|simple| simple.words).collect()).collect()
    }

    #[test]
    fn words_pipes_and_lists() {
        let all = words("a -q x=\"1 $((2*3)) 4\" # no\nb | c -d\\\n e; f 2>/dev/null && g");
        let expected =
            [vec![vec!["a", "-q", "x=1 6 4"]], vec![vec!["b"], vec!["c", "-d", "e"]], vec![vec!["f"]], vec![vec!["g"]]];
        assert_eq!(all, expected);
    }

    #[test]
    fn outputs_and_what_follows_from_failure() {
        let all = parse("echo 3 > /sys/x || true").unwrap();
        assert_eq!(all[0].1[0].output.as_deref(), Some("/sys/x"));
        assert_eq!((all[0].0, all[1].0), (After::Always, After::Failure));
        assert!(parse("a $(b)").is_err() && parse("a \"b").is_err());
    }
}
