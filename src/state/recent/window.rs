//! One chatflow's last minutes: what became of its requests, and how soon its streams began to tell. Counted in slots of
//! some seconds, of which the oldest is used again; a slot that two threads begin at once may lose a few counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Seconds of a slot.
const SLOT: u32 = 10;
const SLOTS: usize = 30;
/// What a window looks back on.
pub(crate) const SPAN: Duration = Duration::from_mins(5);

const OUTCOMES: usize = 5;
const BUCKETS: usize = 38;
/// Upper bounds, in milliseconds: each 1.4 times the one before, up to ten minutes.
const BOUNDS: [u32; BUCKETS] = {
    let mut bounds = [1; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        #[expect(clippy::indexing_slicing, reason = "below the length")]
        {
            bounds[at] = bounds[at - 1] * 7 / 5 + 1;
        }
        at += 1;
    }
    bounds
};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    Answered,
    /// By a rule, or for its credential.
    Refused,
    /// Over its plan's limits.
    Limited,
    /// What answers the chatflow has failed.
    Failed,
    /// The client went away.
    Left,
}

/// See the module. Without a request it takes next to no memory.
#[derive(Debug, Default)]
pub(crate) struct FlowWindow(OnceLock<Box<[WindowSlot; SLOTS]>>);

#[derive(Debug, Default)]
struct WindowSlot {
    /// Its number since the process began, and one more; 0: never used.
    number: AtomicU32,
    outcomes: [AtomicU32; OUTCOMES],
    first_tokens: FirstTokens,
}

#[derive(Debug)]
struct FirstTokens([AtomicU32; BUCKETS]);

impl Default for FirstTokens {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }
}

/// The sums of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowTotals {
    outcomes: [u64; OUTCOMES],
    first_tokens: [u64; BUCKETS],
    /// Seconds that it looks back on: fewer while the process is young.
    pub(crate) seconds: u32,
}

impl FlowWindow {
    /// Counts a request that has ended in that second of the process.
    pub(crate) fn count(&self, second: u32, outcome: RequestOutcome, first_token: Option<Duration>) {
        let slots = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| WindowSlot::default())));
        let number = second / SLOT + 1;
        let Some(slot) = slots.get(number as usize % SLOTS) else { return };
        let before = slot.number.load(Relaxed);
        if before != number && slot.number.compare_exchange(before, number, Relaxed, Relaxed).is_ok() {
            slot.outcomes.iter().chain(&slot.first_tokens.0).for_each(|count| count.store(0, Relaxed));
        }
        if let Some(count) = slot.outcomes.get(outcome as usize) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(time) = first_token {
            let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
            let bucket = BOUNDS.partition_point(|bound| *bound < milliseconds).min(BUCKETS - 1);
            if let Some(count) = slot.first_tokens.0.get(bucket) {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// What it sums up to in that second of the process.
    pub(crate) fn totals(&self, second: u32) -> WindowTotals {
        let span = u32::try_from(SPAN.as_secs()).unwrap_or(u32::MAX);
        let seconds = second.saturating_add(1).min(span);
        let mut totals = WindowTotals { outcomes: [0; OUTCOMES], first_tokens: [0; BUCKETS], seconds };
        let now = second / SLOT + 1;
        let oldest = now.saturating_sub(u32::try_from(SLOTS).unwrap_or(u32::MAX) - 1).max(1);
        let slots = self.0.get().into_iter().flat_map(|slots| slots.iter());
        for slot in slots.filter(|slot| (oldest..=now).contains(&slot.number.load(Relaxed))) {
            let add = |sums: &mut [u64], counts: &[AtomicU32]| {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(count.load(Relaxed)));
            };
            add(&mut totals.outcomes, &slot.outcomes);
            add(&mut totals.first_tokens, &slot.first_tokens.0);
        }
        totals
    }
}

impl WindowTotals {
    pub(crate) fn of(&self, outcome: RequestOutcome) -> u64 {
        self.outcomes.get(outcome as usize).copied().unwrap_or(0)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// How soon so many of a thousand streams had told their first token, about; `None`: there was no stream.
    pub(crate) fn first_token(&self, per_mille: u64) -> Option<Duration> {
        let all: u64 = self.first_tokens.iter().sum();
        let wanted = (all * per_mille).div_ceil(1000).max(1);
        let mut before = 0;
        let mut lower = 0;
        for (count, upper) in self.first_tokens.iter().zip(BOUNDS) {
            if before + count >= wanted && *count > 0 {
                // As if they were spread evenly.
                let within = u64::from(upper - lower) * (wanted - before) / count;
                return Some(Duration::from_millis(u64::from(lower) + within));
            }
            before += count;
            lower = upper;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let window = FlowWindow::default();
        assert_eq!(window.totals(0).requests(), 0);
        for second in 0..1000 {
            window.count(second, RequestOutcome::Answered, None);
        }
        window.count(999, RequestOutcome::Failed, None);
        let totals = window.totals(999);
        assert_eq!((totals.of(RequestOutcome::Answered), totals.of(RequestOutcome::Failed)), (300, 1));
        assert_eq!(totals.seconds, 300);
        assert_eq!(window.totals(1100).requests(), 191, "about two thirds of it are left");
        assert_eq!(window.totals(5000).requests(), 0);
        window.count(5000, RequestOutcome::Left, None);
        assert_eq!(window.totals(5000).requests(), 1, "a slot that is used again begins anew");
    }

    #[test]
    fn first_tokens_are_told_nearly_as_they_were() {
        let window = FlowWindow::default();
        assert_eq!(window.totals(1).first_token(500), None);
        for milliseconds in 1..=1000 {
            window.count(1, RequestOutcome::Answered, Some(Duration::from_millis(milliseconds)));
        }
        let totals = window.totals(1);
        for (per_mille, about) in [(500, 500), (990, 990), (10, 10)] {
            let told = totals.first_token(per_mille).unwrap().as_millis();
            assert!((about * 9 / 10..=about * 12 / 10).contains(&told), "{per_mille}: {told}");
        }
        window.count(1, RequestOutcome::Answered, Some(Duration::from_hours(1)));
        assert!(window.totals(1).first_token(1000).unwrap() > Duration::from_mins(9));
    }
}
