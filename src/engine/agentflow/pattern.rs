//! Patterns of conditions, which are JavaScript's.

use fancy_regex::{Regex, RegexBuilder};

/// Letters times steps of a pattern that looks around or back: about a second. Others read a text once.
const MOST_WORK: usize = 1 << 30;
const MOST_STEPS: usize = 1_000_000;

/// Whether a pattern is found in a text.
///
/// # Errors
/// It cannot be read, or would take too long: then nobody knows, and neither way may be taken.
pub(super) fn is_found(text: &str, pattern: &str) -> Result<bool, String> {
    let compiled = |steps: usize| -> Result<Regex, String> {
        let built = RegexBuilder::new(pattern).backtrack_limit(steps).build();
        built.map_err(|_| "The condition's pattern cannot be read.".to_owned())
    };
    // Without a step back, which all that is needed takes for most.
    if let Ok(found) = compiled(0)?.is_match(text) {
        return Ok(found);
    }
    let steps = MOST_STEPS.min(MOST_WORK / (text.len() + 1));
    let found = compiled(steps)?.is_match(text);
    found.map_err(|_| "The condition's pattern takes too many steps for this text.".to_owned())
}

/// A pattern as Flowise's editor leaves it: it puts a backslash before these; one that its author meant is doubled.
pub(super) fn as_meant(pattern: &str) -> String {
    let mut wanted = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match (letter, rest.peek()) {
            ('\\', Some(next @ ('\\' | '[' | ']' | '*'))) => {
                wanted.push(*next);
                rest.next();
            }
            _ => wanted.push(letter),
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_as_the_editor_leaves_them() {
        for (text, pattern, found) in [
            ("order 12", r"\\d+", true),
            ("cat", r"\[a-c\]at", true),
            ("foobar", "foo(?=bar)", true),
            ("foo", "foo(?=bar)", false),
            ("abab", r"(ab)\\1", true),
        ] {
            assert_eq!(is_found(text, &as_meant(pattern)), Ok(found), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_or_cannot_be_read_decides_nothing() {
        assert!(is_found("x", "(").unwrap_err().contains("cannot be read"));
        for text in ["a".repeat(40), "a".repeat(4_000_000)] {
            assert!(is_found(&text, r"(a|a)+\1b").unwrap_err().contains("too many steps"));
        }
        // Those that do not look around read a text once, however long.
        assert_eq!(is_found(&"a".repeat(4_000_000), "(a+)+b"), Ok(false));
    }
}
