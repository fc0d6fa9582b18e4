//! Stories that are too long to be read whole.

/// The lines of a story that a snapshot shows at most.
const LINES: usize = 150;
/// Of a longer one, so many at its end; the rest at its beginning, which has the header.
const TAIL: usize = 49;

/// `story` where it is short; else its two ends, how much is missing, and the digest that covers all of it.
pub(super) fn excerpt(story: &str, digest: &str) -> String {
    let lines: Vec<&str> = story.lines().collect();
    if lines.len() <= LINES {
        return story.to_owned();
    }
    let (head, tail) = (LINES - TAIL - 1, lines.len() - TAIL);
    let missing = format!("... {} lines, digest {digest}", tail - head);
    let kept = lines[..head].iter().copied().chain([missing.as_str()]).chain(lines[tail..].iter().copied());
    kept.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(lines: usize) -> String {
        (1..=lines).map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn what_fits_is_shown_whole() {
        assert_eq!(excerpt(&story(150), "d"), story(150));
    }

    #[test]
    fn what_is_too_long_keeps_its_ends() {
        let text = excerpt(&story(151), "d1:7");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 150);
        assert_eq!(lines[99..102], ["line 100", "... 2 lines, digest d1:7", "line 103"]);
        assert_eq!(lines[149], "line 151");
    }
}
