//! The store's clock, as this replica expects it to go on. One that was set is noticed, and taken over once everybody has
//! had the time to say again what the store had for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Drift and delay are less.
const JUMP: i64 = 1_000_000;
/// Until a clock that was set counts as right.
const ADOPTED: Duration = Duration::from_secs(4);

/// See the module. In microseconds since when its scripts count.
#[derive(Debug, Default)]
pub(crate) struct StoreClock {
    seen: Mutex<Option<SeenClock>>,
    jumps: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct SeenClock {
    time: i64,
    at: Instant,
    jumped: Option<Instant>,
}

impl SeenClock {
    fn expected(&self, now: Instant) -> i64 {
        self.time + i64::try_from(now.saturating_duration_since(self.at).as_micros()).unwrap_or(i64::MAX / 2)
    }
}

impl StoreClock {
    /// What it should show by now; 0: nothing is known of it.
    pub(crate) fn expected(&self) -> i64 {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.map_or(0, |seen| seen.expected(Instant::now()))
    }

    /// How often it was set.
    pub(crate) fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Relaxed)
    }

    /// It shows that time.
    pub(super) fn see(&self, time: i64, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = SeenClock { time, at: now, jumped: None };
        *seen = Some(match *seen {
            Some(before) if (time - before.expected(now)).abs() > JUMP => match before.jumped {
                Some(since) if now.saturating_duration_since(since) >= ADOPTED => fresh,
                Some(_) => before,
                None => {
                    self.jumps.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(seconds = (time - before.expected(now)) / 1_000_000, "the store's clock was set");
                    SeenClock { jumped: Some(now), ..before }
                }
            },
            _ => fresh,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_taken_over_after_a_while() {
        let clock = StoreClock::default();
        assert_eq!(clock.expected(), 0);
        let start = Instant::now();
        let second = |count| start + Duration::from_secs(count);
        let expected = |now| clock.seen.lock().unwrap().unwrap().expected(now);
        clock.see(5_000_000, start);
        clock.see(6_000_400, second(1));
        assert_eq!(expected(second(2)), 7_000_400, "drift is followed");
        for (jumps, begin, time) in [(1, 2, 3_600_000_000), (2, 12, -3_600_000_000)] {
            let before = expected(second(begin));
            for later in 0_u32..5 {
                let kept = before + i64::from(later) * 1_000_000;
                let now = second(begin + u64::from(later));
                clock.see(kept + time, now);
                assert_eq!(expected(now), if later < 4 { kept } else { kept + time });
            }
            assert_eq!(clock.jumps(), jumps);
        }
    }
}
