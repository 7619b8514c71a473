//! Patterns of conditions, which are JavaScript's.

use std::sync::Arc;

use fancy_regex::RegexBuilder;

use super::texts::apart;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;

/// Letters times steps of a pattern that looks around or back, for one condition: of what a run has, a quarter. Other
/// patterns read a text once.
const MOST_WORK: usize = 1 << 28;
const MOST_STEPS: usize = 1_000_000;
const FIRST_STEPS: usize = 16;
/// Of a pattern, with what is filled in.
const LONGEST: usize = 256 * 1024;

/// Whether a pattern is found in a text.
///
/// # Errors
/// It cannot be read, or would take too long: then nobody knows, and neither way may be taken.
pub(super) async fn is_found(text: &Arc<str>, pattern: String, run: &Run<'_>) -> Result<bool, Failure> {
    if pattern.len() > LONGEST {
        return Err(Failure::flow("The condition's pattern is too long."));
    }
    let pattern: Arc<str> = pattern.into();
    let letters = text.len() + 1;
    let most = MOST_STEPS.min(MOST_WORK / letters);
    // Without a step back, which all that is needed takes for most; then with more and more, for no pattern says how many
    // it took.
    let mut steps = 0;
    loop {
        run.budget().pattern_work((steps * letters) as u64)?;
        let (at, wanted) = (Arc::clone(text), Arc::clone(&pattern));
        let size = letters.max(pattern.len()).max(steps);
        match apart(size, move || attempt(&at, &wanted, steps)).await?.map_err(Failure::flow)? {
            Some(found) => return Ok(found),
            None if steps >= most => {
                return Err(Failure::flow("The condition's pattern takes too many steps for this text."));
            }
            None => steps = (steps * 4).max(FIRST_STEPS).min(most),
        }
        run.give_way().await;
        run.budget().in_time()?;
    }
}

/// Whether it is found in so many steps back; `None`: that takes more.
pub(super) fn attempt(text: &str, pattern: &str, steps: usize) -> Result<Option<bool>, &'static str> {
    let compiled = RegexBuilder::new(pattern).backtrack_limit(steps).build();
    compiled.map(|pattern| pattern.is_match(text).ok()).map_err(|_| "The condition's pattern cannot be read.")
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
    use serde_json::json;

    use super::*;
    use crate::engine::testing::within;

    const SLOW: &str = r"(a|a)+\1b";

    /// Of the last that one run looks for; those before may fail in their own way.
    fn found_in(all: &[(&str, &str)]) -> Result<bool, String> {
        let found = within(&json!({ "question": "q" }), async |run| {
            let mut found = Ok(false);
            for (text, pattern) in all {
                found = is_found(&Arc::from(*text), (*pattern).to_owned(), run).await;
            }
            found
        });
        found.map_err(|failure| failure.to_string())
    }

    #[test]
    fn patterns_are_found_as_the_editor_leaves_them() {
        for (text, pattern, found) in [
            ("order 12", r"\\d+", true),
            ("cat", r"\[a-c\]at", true),
            ("foobar", "foo(?=bar)", true),
            ("foo", "foo(?=bar)", false),
            ("abab", r"(ab)\\1", true),
        ] {
            assert_eq!(found_in(&[(text, &as_meant(pattern))]), Ok(found), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_or_cannot_be_read_decides_nothing() {
        assert!(found_in(&[("x", "(")]).unwrap_err().contains("cannot be read"));
        assert!(found_in(&[("x", &"x".repeat(LONGEST + 1))]).unwrap_err().contains("too long"));
        for text in ["a".repeat(40), "a".repeat(4_000_000)] {
            assert!(found_in(&[(&text, SLOW)]).unwrap_err().contains("too many steps"));
        }
        // Those that do not look around read a text once, however long.
        assert_eq!(found_in(&[(&"a".repeat(4_000_000), "(a+)+b")]), Ok(false));
    }

    #[test]
    fn all_patterns_of_a_run_share_one_budget() {
        let slow = "a".repeat(40);
        let ended = found_in(&[(slow.as_str(), SLOW); 100]).unwrap_err();
        assert_eq!(ended, "The flow's conditions take more steps of patterns than one run may take.");
        // What needs few steps is asked as often as one likes.
        let quick = ["foobar"; 1000].map(|text| (text, "o(?=b)"));
        assert_eq!(found_in(&quick), Ok(true));
    }
}
