//! What is worth one line in the log, and not one for each request that says it again.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines in an [`HOUR`]; what is told may be a client's choice.
const MOST: usize = 256;
/// After which everything may be told again.
const HOUR: Duration = Duration::from_hours(1);

/// See the module. One belongs to a snapshot, so a changed configuration is told anew as well.
#[derive(Debug, Default)]
pub(crate) struct WarnOnce {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    since: Option<Instant>,
    hashes: HashSet<u64>,
}

impl WarnOnce {
    /// Whether that has not been told, and is told now.
    pub(crate) fn is_new(&self, what: impl Hash) -> bool {
        self.is_new_at(what, Instant::now())
    }

    fn is_new_at(&self, what: impl Hash, now: Instant) -> bool {
        let hash = self.hasher.hash_one(what);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.since.is_none_or(|since| now.saturating_duration_since(since) >= HOUR) {
            *seen = Seen { since: Some(now), hashes: HashSet::new() };
        }
        seen.hashes.len() < MOST && seen.hashes.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_an_hour_and_never_without_end() {
        let (told, now) = (WarnOnce::default(), Instant::now());
        assert!(told.is_new_at(("support", "https://a.example"), now));
        assert!(!told.is_new_at(("support", "https://a.example"), now));
        let lines = (0..10_000).filter(|number| told.is_new_at(number, now)).count();
        assert_eq!(lines, MOST - 1);
        assert!(told.is_new_at(("support", "https://a.example"), now + HOUR));
    }
}
