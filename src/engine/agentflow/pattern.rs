//! Patterns of conditions, which are JavaScript's.

mod translated;
mod units;

use std::sync::Arc;

use fancy_regex::RegexBuilder;

use self::translated::translated;
use self::units::units;
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
/// It is too large, or would take too long: then nobody knows, and neither way may be taken. One that is none is found
/// nowhere, as in Flowise.
pub(super) async fn is_found(text: &Arc<str>, pattern: String, run: &Run<'_>) -> Result<bool, Failure> {
    if pattern.len() > LONGEST {
        return Err(Failure::flow("The condition's pattern is too long."));
    }
    let size = text.len().max(pattern.len());
    let text = Arc::clone(text);
    let (text, pattern) =
        apart(size, move || (Arc::<str>::from(&*units(&text)), translated(&pattern).map(Arc::<str>::from))).await?;
    let Some(pattern) = pattern else { return Ok(false) };
    let letters = text.len() + 1;
    let most = MOST_STEPS.min(MOST_WORK / letters);
    // Without a step back, which all that is needed takes for most; then with more and more, for no pattern says how many
    // it took.
    let mut steps = 0;
    loop {
        run.budget().pattern_work((steps * letters) as u64)?;
        let (at, wanted) = (Arc::clone(&text), Arc::clone(&pattern));
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

/// As [`is_found`], by a step, where nothing is shared.
#[cfg(test)]
pub(super) fn is_found_at_once(text: &str, pattern: &str, steps: usize) -> Option<bool> {
    translated(pattern).map_or(Some(false), |pattern| attempt(&units(text), &pattern, steps).ok().flatten())
}

/// Whether it is found in so many steps back; `None`: that takes more.
fn attempt(text: &str, pattern: &str, steps: usize) -> Result<Option<bool>, &'static str> {
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
mod tests;
