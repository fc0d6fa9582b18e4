//! Snapshots on disk, in the format that insta reads and writes: a header between two `---`, then the text.

use super::Trouble;
use std::fs;
use std::io;
use std::path::Path;

/// The text of a snapshot, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<String>, Trouble> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(body(&text).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::own(path.display())(error)),
    }
}

/// Writes a snapshot.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Trouble::own(folder.display()))?;
    }
    let text = format!("---\nsource: tests/sims.rs\n---\n{}\n", text.trim_end());
    fs::write(path, text).map_err(Trouble::own(path.display()))
}

fn body(text: &str) -> &str {
    let after = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    after.map_or(text, |(_, body)| body)
}

/// The first line in which two texts differ: its number, what is here, what is there.
pub(super) fn first_difference<'a>(here: &'a str, there: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (here, there) = (here.trim_end(), there.trim_end());
    let lines = here.lines().count().max(there.lines().count());
    let line = |text: &'a str, n: usize| text.lines().nth(n).unwrap_or("(no more lines)");
    (0..lines).find(|&n| line(here, n) != line(there, n)).map(|n| (n + 1, line(here, n), line(there, n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_not_part_of_the_text() {
        assert_eq!(body("---\nsource: a\n---\nb\nc\n"), "b\nc\n");
        assert_eq!(body("b\n"), "b\n");
    }

    #[test]
    fn differences_are_found_by_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb"), None);
        assert_eq!(first_difference("a\nb", "a\nc"), Some((2, "b", "c")));
        assert_eq!(first_difference("a", "a\nc"), Some((2, "(no more lines)", "c")));
    }
}
