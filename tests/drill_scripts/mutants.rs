//! Scripts that are wrong in one place.

/// A script with one thing changed.
pub(crate) struct Mutant {
    /// The line, counted from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// PSH or FIN of an outbound segment.
    Flag,
    /// Its sequence number.
    Sequence,
    /// How much data it has.
    Length,
    /// Its acknowledgment number.
    Acknowledgment,
    /// Its urgent pointer.
    Urgent,
    /// A number in its options.
    Option,
    /// When it is to come, or when a call that blocks is to return.
    Time,
    /// What a call returns.
    Result,
    /// Its error.
    Errno,
    /// What `getsockopt` or `poll` writes.
    Value,
    /// The state or count that a command asks for.
    State,
    /// The number in an assertion.
    Assert,
}

/// Every change of every line.
pub(crate) fn of(script: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = script.lines().collect();
    let mut all = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let mut changes = Vec::new();
        change(line, &mut changes);
        for (kind, changed) in changes {
            assert_ne!(&changed, line, "{kind:?}");
            let mut text: Vec<&str> = lines.clone();
            text[n] = &changed;
            all.push(Mutant { line: n + 1, kind, text: text.join("\n") + "\n" });
        }
    }
    all
}

fn change(line: &str, changes: &mut Vec<(Kind, String)>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["//" | "#", ..] => {}
        ["assert", ..] => changes.extend(number_behind(line, "== ").map(|changed| (Kind::Assert, changed))),
        [_, "%{", "assert", ..] => changes.extend(number_behind(line, "== ").map(|changed| (Kind::Assert, changed))),
        [time, ">", flags, rest @ ..] => outbound(line, time, flags, rest, changes),
        [_, command, ..] if command.starts_with('`') => changes.extend(state(line).map(|line| (Kind::State, line))),
        [time, call, ..] if call.contains('(') => result(line, time, call, changes),
        _ => {}
    }
}

fn outbound(line: &str, time: &str, flags: &str, rest: &[&str], changes: &mut Vec<(Kind, String)>) {
    let mut push = |kind, from: &str, to: &str| changes.push((kind, line.replacen(from, to, 1)));
    for flag in ['P', 'F'] {
        let without: String = flags.chars().filter(|f| *f != flag).collect();
        let other = if flags.contains(flag) { without } else { format!("{flag}{flags}") };
        let other = if other.is_empty() { "-".to_owned() } else { other };
        push(Kind::Flag, &format!("> {flags} "), &format!("> {other} "));
    }
    if let Some((start, end, len)) = rest.first().and_then(|range| numbers(range)) {
        let of = |start: u64, end: u64, len: u64| format!(" {start}:{end}({len})");
        push(Kind::Sequence, &of(start, end, len), &of(start + 1, end + 1, len));
        push(Kind::Length, &of(start, end, len), &of(start, end + 1, len + 1));
    }
    for (kind, word) in [(Kind::Acknowledgment, " ack "), (Kind::Urgent, " urg ")] {
        changes.extend(number_behind(line, word).map(|changed| (kind, changed)));
    }
    for word in ["mss ", "wscale ", "sack "] {
        changes.extend(number_behind(line, word).map(|changed| (Kind::Option, changed)));
    }
    for other in [later(time), earlier(time)].into_iter().flatten() {
        changes.push((Kind::Time, line.replacen(time, &other, 1)));
    }
}

fn result(line: &str, time: &str, call: &str, changes: &mut Vec<(Kind, String)>) {
    let Some((before, returned)) = line.rsplit_once(" = ") else { return };
    let mut words = returned.split_whitespace();
    let opens = call.starts_with("socket(") || call.starts_with("accept(");
    match (words.next(), words.next()) {
        (Some("-1"), Some(errno)) => {
            changes.push((Kind::Errno, format!("{before} = -1 {}", other_errno(errno))));
            changes.push((Kind::Result, format!("{before} = 0")));
        }
        (Some(number), None) if !opens => {
            let number: u64 = number.parse().expect("calls of our scripts give a number");
            changes.push((Kind::Result, format!("{before} = {}", number + 1)));
            changes.push((Kind::Result, format!("{before} = -1 EINTR (Interrupted system call)")));
        }
        _ => {}
    }
    if let (Some((began, end)), true) = (time.split_once("..."), time.starts_with('+')) {
        let end = format!("+{end}");
        for other in [later(&end), earlier(&end)].into_iter().flatten() {
            changes.push((Kind::Time, line.replacen(time, &format!("{began}...{}", &other[1..]), 1)));
        }
    }
    if call.starts_with("getsockopt(") {
        let (head, tail) = line.split_once('[').expect("it has a value");
        let (value, tail) = tail.split_once(']').expect("it has a value");
        let other = value.parse::<i64>().map_or_else(|_| other_errno(value).to_owned(), |n| (n + 1).to_string());
        changes.push((Kind::Value, format!("{head}[{other}]{tail}")));
    }
    if let Some((head, tail)) = line.split_once("revents=POLLIN|") {
        changes.push((Kind::Value, format!("{head}revents={tail}")));
    }
}

/// Another state, or another count.
fn state(line: &str) -> Option<String> {
    let (head, tail) = line.rsplit_once("grep -q ")?;
    let wanted = tail.trim_end_matches('`');
    let other = match wanted {
        "SYN-SENT" => "LAST-ACK",
        wanted if wanted.parse::<u32>().is_ok() => "7",
        _ => "SYN-SENT",
    };
    Some(format!("{head}grep -q {other}`"))
}

fn other_errno(errno: &str) -> &'static str {
    if errno == "EINTR" { "EBUSY" } else { "EINTR" }
}

/// `line` with the number behind `word` one larger.
fn number_behind(line: &str, word: &str) -> Option<String> {
    let at = line.find(word)? + word.len();
    let digits = line[at..].bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = line[at..at + digits].parse().ok()?;
    Some(format!("{}{}{}", &line[..at], number + 1, &line[at + digits..]))
}

/// `1:11(10)`.
fn numbers(range: &str) -> Option<(u64, u64, u64)> {
    let (start, rest) = range.split_once(':')?;
    let (end, rest) = rest.split_once('(')?;
    let (len, _) = rest.split_once(')')?;
    Some((start.parse().ok()?, end.parse().ok()?, len.parse().ok()?))
}

/// A relative time whose tolerance, an eighth of it or 4 ms, no longer reaches `time`, on the late side.
fn later(time: &str) -> Option<String> {
    shifted(time, |micros| Some(micros + micros / 4 + 8_000))
}

/// The same on the early side, where there is room for it.
fn earlier(time: &str) -> Option<String> {
    shifted(time, |micros| (micros >= 10_000).then(|| (micros * 3 / 4).min(micros - 8_000)))
}

fn shifted(time: &str, shift: impl Fn(u64) -> Option<u64>) -> Option<String> {
    let one = |time: &str| {
        let micros = shift(micros(time.strip_prefix('+')?)?)?;
        Some(format!("+{}.{:06}", micros / 1_000_000, micros % 1_000_000))
    };
    match time.split_once('~') {
        Some((from, to)) => Some(format!("{}~{}", one(from)?, one(to)?)),
        None => one(time),
    }
}

/// `1.5`, `.5`, `2` as microseconds.
fn micros(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = format!("{part:0<6}").get(..6)?.parse().ok()?;
    Some(whole * 1_000_000 + part)
}
