//! What is wrong with a file, where, and what would be right.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A host, a group of hosts, or a middlebox.
    Host,
    /// A link.
    Link,
    /// A step of the script.
    Step,
    /// A socket: what a step names with `as`, or its `.peer`.
    Socket,
    /// A parameter.
    Param,
    /// A variant.
    Variant,
    /// A load.
    Load,
    /// A fault.
    Fault,
    /// A verb of a step, load or fault.
    Verb,
    /// A profile.
    Profile,
    /// An oracle.
    Oracle,
    /// A sysctl.
    Sysctl,
    /// An address of a host.
    Address,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::Link => "link",
            Kind::Step => "step",
            Kind::Socket => "socket",
            Kind::Param => "parameter",
            Kind::Variant => "variant",
            Kind::Load => "load",
            Kind::Fault => "fault",
            Kind::Verb => "verb",
            Kind::Profile => "profile",
            Kind::Oracle => "oracle",
            Kind::Sysctl => "sysctl",
            Kind::Address => "host with the address",
        }
    }
}

/// One mistake. `Display` says it in one sentence, without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Found when the sim was built: a profile, sysctl or distribution that does not exist, a value out of its range.
    Config(String),
    /// The file is larger than any story.
    FileTooLarge {
        /// Its length in bytes.
        bytes: usize,
        /// The most that is read.
        max: usize,
    },
    /// The file is not UTF-8.
    NotUtf8 {
        /// The offset of the first byte that is not.
        offset: usize,
    },
    /// The file is not TOML.
    Syntax(String),
    /// A key that must be there is not.
    Missing {
        /// The key, or several of which one must be there.
        key: String,
        /// What needs it.
        of: String,
    },
    /// A key that means nothing here.
    UnknownKey {
        /// The key.
        key: String,
        /// What has no such key.
        of: String,
        /// The keys it has.
        known: Vec<String>,
    },
    /// Two keys that exclude each other.
    Conflict {
        /// One.
        key: String,
        /// The other.
        with: String,
    },
    /// A value of the wrong TOML type.
    WrongType {
        /// What stands there, and of what type it is.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// A text or number that is not what belongs here.
    BadValue {
        /// What stands there.
        found: String,
        /// What belongs there, with an example.
        expected: String,
    },
    /// A text that is not one of a few words.
    UnknownWord {
        /// What stands there.
        found: String,
        /// What is meant by it.
        what: &'static str,
        /// The words there are.
        known: Vec<String>,
    },
    /// A name that nothing bears.
    UnknownName {
        /// What it should be.
        kind: Kind,
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A name that two things bear.
    Duplicate {
        /// What they are.
        kind: Kind,
        /// The name.
        name: String,
        /// The line of the first.
        first: usize,
    },
    /// More than is taken.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// What stands there.
        found: String,
        /// The most that is taken.
        max: String,
    },
    /// A segment that is not in the notation.
    Notation {
        /// The text of the segment.
        found: String,
        /// Why it is none.
        why: String,
    },
    /// Two servers or listeners of one host have the same port.
    PortTaken {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The line of the first.
        first: usize,
    },
    /// A link from a host to itself.
    LinkToItself {
        /// The host.
        host: String,
    },
    /// Steps that wait for each other.
    Circle {
        /// Their names, in a ring.
        steps: Vec<String>,
    },
    /// Something that is well written and makes no sense where it stands.
    NotApplicable {
        /// What was written.
        what: String,
        /// Why it makes no sense.
        why: String,
    },
    /// A `format` that this version does not read.
    Format {
        /// The number.
        found: String,
    },
}

impl Fact {
    /// What would be right, where the sentence does not say it: the names there are, and the nearest of them.
    fn help(&self) -> Option<String> {
        let (found, known) = match self {
            Fact::UnknownKey { key, known, .. } => (key, known),
            Fact::UnknownWord { found, known, .. } => (found, known),
            Fact::UnknownName { kind, known, .. } if known.is_empty() => {
                return Some(format!("the file has no {} at all", kind.name()));
            }
            Fact::UnknownName { name, known, .. } => (name, known),
            _ => return None,
        };
        let mut shown: Vec<String> = known.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
        if known.len() > MOST_NAMES {
            shown.push(format!("… ({} in all)", known.len()));
        }
        let there = format!("there is {}", shown.join(", "));
        Some(match nearest(found, known) {
            Some(near) if known.len() > FEW_NAMES || known.len() == 1 => format!("did you mean `{near}`?"),
            Some(near) => format!("did you mean `{near}`? {there}"),
            None => there,
        })
    }
}

/// So many names are shown where none is near.
const MOST_NAMES: usize = 28;
/// So many are shown besides the nearest.
const FEW_NAMES: usize = 12;

/// The name closest to `name`, if any is close: one that holds it, or with one slip in three letters.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    if let Some(longer) = known.iter().find(|known| lower.len() > 2 && known.to_lowercase().contains(&lower)) {
        return Some(longer);
    }
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known));
    let (slips, near) = near.min_by_key(|(slips, _)| *slips)?;
    let bound = lower.chars().count().max(near.chars().count()).div_ceil(3);
    (slips <= bound).then_some(near.as_str())
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Config(text) => f.write_str(text),
            Fact::FileTooLarge { bytes, max } => {
                write!(f, "the file has {bytes} bytes; a scenario has at most {max}")
            }
            Fact::NotUtf8 { offset } => {
                write!(f, "the file is not UTF-8: the byte at offset {offset} begins no character")
            }
            Fact::Syntax(message) => write!(f, "not TOML: {message}"),
            Fact::Missing { key, of } => write!(f, "{of} needs {key}"),
            Fact::UnknownKey { key, of, .. } => write!(f, "{of} has no key `{key}`"),
            Fact::Conflict { key, with } => write!(f, "`{key}` and `{with}` exclude each other"),
            Fact::WrongType { found, expected } => write!(f, "found {}, expected {expected}", shortened(found)),
            Fact::BadValue { found, expected } if found.is_empty() => write!(f, "expected {expected}"),
            Fact::BadValue { found, expected } => write!(f, "found `{}`, expected {expected}", shortened(found)),
            Fact::UnknownWord { found, what, .. } => write!(f, "`{}` is no {what}", shortened(found)),
            Fact::UnknownName { kind, name, .. } => write!(f, "there is no {} `{}`", kind.name(), shortened(name)),
            Fact::Duplicate { kind, name, first } => {
                write!(f, "there is a second {} `{name}`; the first stands in line {first}", kind.name())
            }
            Fact::TooMuch { what, found, max } => write!(f, "{what} is {}; the most is {max}", shortened(found)),
            Fact::Notation { found, why } => write!(f, "`{}` is no segment: {why}", shortened(found)),
            Fact::PortTaken { host, port, first } => {
                write!(f, "port {port} of `{host}` is taken by the step in line {first}")
            }
            Fact::LinkToItself { host } => {
                write!(f, "a link joins two hosts; `{host}` reaches itself through its loopback interface")
            }
            Fact::Circle { steps } => {
                write!(f, "these steps wait for each other, so none ever starts: {}", steps.join(" after "))
            }
            Fact::NotApplicable { what, why } => write!(f, "`{what}` means nothing here: {why}"),
            Fact::Format { found } => write!(f, "format {found} is unknown; this version reads format 1"),
        }
    }
}

/// A long text by its beginning.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// A file's name and text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Line and column of a byte, both from 1; columns count characters.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let start = self.line_start(offset);
        let line = self.text[..start].bytes().filter(|b| *b == b'\n').count() + 1;
        (line, self.text[start..self.clamp(offset)].chars().count() + 1)
    }

    fn clamp(&self, offset: usize) -> usize {
        (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text[..self.clamp(offset)].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Writes what is wrong, the line it is in, and a mark under `span`; gives how far notes below are indented.
    pub(crate) fn show(
        &self,
        f: &mut fmt::Formatter<'_>,
        span: &Range<usize>,
        what: &dyn fmt::Display,
    ) -> Result<usize, fmt::Error> {
        let (line, column) = self.place(span.start);
        writeln!(f, "{}:{line}:{column}: {what}", self.name)?;
        let start = self.line_start(span.start);
        let whole = self.text[start..].lines().next().unwrap_or("");
        // A line of any length is shown through a window around the mistake.
        let skip = (column - 1).saturating_sub(if whole.chars().count() > 160 { 60 } else { column });
        let shown: String = whole.chars().skip(skip).take(160).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let rest = whole.chars().count().saturating_sub(column - 1);
        let text = self.text.get(span.clone()).unwrap_or("");
        let len = text.lines().next().unwrap_or("").chars().count();
        let marks = "^".repeat(len.min(rest).clamp(1, 160));
        let width = line.to_string().len();
        writeln!(f, "{:width$} |", "")?;
        writeln!(f, "{line} | {shown}")?;
        write!(f, "{:width$} | {:pad$}{marks}", "", "", pad = column - 1 - skip)?;
        Ok(width + 1)
    }
}

/// One mistake and its place. `Display` shows the line with a mark under the offending text.
#[derive(Clone, Debug)]
pub struct Error {
    pub(super) fact: Box<Fact>,
    /// The bytes of the file that are meant; none where the mistake is not in the file.
    pub(super) span: Option<Range<usize>>,
    /// `$name = value`, where the offending text came from a parameter; or the argument that is meant.
    pub(super) note: Option<String>,
    pub(super) source: Arc<Source>,
}

impl Error {
    /// What is wrong.
    pub fn fact(&self) -> &Fact {
        &self.fact
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line and column, both from 1, where the mistake is in the file.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.span.as_ref().map(|span| self.source.place(span.start))
    }

    /// What would be right.
    pub fn help(&self) -> Option<String> {
        self.fact.help()
    }

    /// The offending text, where the mistake is in the file.
    pub fn text(&self) -> Option<&str> {
        self.span.as_ref().and_then(|span| self.source.text.get(span.clone()))
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        (&self.fact, &self.span, &self.note) == (&other.fact, &other.span, &other.note)
    }
}

impl Eq for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(span) = &self.span else {
            write!(f, "{}: {}", self.source.name, self.fact)?;
            return self.write_notes(f, 1);
        };
        let indent = self.source.show(f, span, &self.fact)?;
        self.write_notes(f, indent)
    }
}

impl Error {
    fn write_notes(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        for note in self.note.iter().cloned().chain(self.help()) {
            write!(f, "\n{:indent$}= {note}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Every mistake that was found, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    list: Vec<Error>,
    /// How many were found behind those of `list`.
    more: usize,
}

/// As many mistakes as anyone mends at once.
const MOST_ERRORS: usize = 20;

impl Errors {
    /// The mistakes of `list`, each once.
    pub(super) fn of(mut list: Vec<Error>) -> Errors {
        list.sort_by_key(|error| error.span.as_ref().map_or(0, |span| span.start));
        list.dedup_by(|a, b| (&a.fact, &a.span) == (&b.fact, &b.span));
        let more = list.len().saturating_sub(MOST_ERRORS);
        list.truncate(MOST_ERRORS);
        Errors { list, more }
    }

    /// The mistakes; of very many, the first.
    pub fn iter(&self) -> impl Iterator<Item = &Error> {
        self.list.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.list.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "\n\n" })?;
            error.fmt(f)?;
        }
        if self.more > 0 { write!(f, "\n\nand {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Errors {
        Errors { list: vec![error], more: 0 }
    }
}
