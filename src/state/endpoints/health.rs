//! How one server is: what connections to it have shown, and what checks of it say. Requests read atomics.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The backoff of a server that refused a connection, for which it is tried last: at first, and at most if it goes on so.
const FIRST_EJECTION: Duration = Duration::from_secs(1);
const LONGEST_EJECTION: Duration = Duration::from_secs(30);
/// Of 1000, what a server that has just come back is given of what the others have.
const FIRST_SHARE: u64 = 100;

/// See the module.
#[derive(Debug)]
pub(crate) struct EndpointHealth {
    /// Times are milliseconds since then, plus one: 0 stands for none.
    began: Instant,
    /// Until when it is tried last since it took no connection; it has taken none since, even when that is over.
    out_until: AtomicU64,
    /// Times in a row that it took no connection.
    refusals: AtomicU32,
    /// Checks say that it does not work.
    is_failing: AtomicBool,
    /// Something has shown how it is.
    is_known: AtomicBool,
    /// Since when it is back.
    back_since: AtomicU64,
    /// Checks in a row that passed and that failed.
    passed: AtomicU32,
    failed: AtomicU32,
}

/// Whether a server is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Ready,
    /// It has come back a moment ago; how many of 1000 requests that it would get it is given.
    Warming(u64),
    /// Only when there is no other.
    Out,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckResult {
    Passed,
    Failed,
    /// There was no connection.
    Refused,
}

impl EndpointHealth {
    /// `joins`: there are others already, which are warm.
    pub(crate) fn new(joins: bool) -> Self {
        Self {
            began: Instant::now(),
            out_until: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            is_failing: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            back_since: AtomicU64::new(joins.into()),
            passed: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }

    /// `slow_start`: how long it takes to be given as much as the others after it has come back.
    pub(crate) fn availability(&self, slow_start: Duration) -> Availability {
        if self.is_failing.load(Relaxed) {
            return Availability::Out;
        }
        let (until, since) = (self.out_until.load(Relaxed), self.back_since.load(Relaxed));
        if until == 0 && since == 0 {
            return Availability::Ready;
        }
        let now = self.now();
        if now < until {
            return Availability::Out;
        }
        let slow_start = millis(slow_start);
        let warm = now.saturating_sub(since);
        if since == 0 || warm >= slow_start {
            self.back_since.store(0, Relaxed);
            return Availability::Ready;
        }
        Availability::Warming((warm * 1000 / slow_start).max(FIRST_SHARE))
    }

    /// Whether all that is known is good; `is_checked`: what nothing is known of is not.
    pub(crate) fn is_healthy(&self, is_checked: bool) -> bool {
        self.out_until.load(Relaxed) == 0
            && !self.is_failing.load(Relaxed)
            && (!is_checked || self.is_known.load(Relaxed))
    }

    /// Whether a check should be made soon: it is not healthy, or it has just failed one.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.is_healthy(true) || self.failed.load(Relaxed) > 0
    }

    /// It took a connection, or answered. `true`: that is news.
    #[must_use]
    pub(crate) fn connected(&self) -> bool {
        if self.is_known.load(Relaxed) && self.out_until.load(Relaxed) == 0 {
            return false;
        }
        let was_known = self.is_known.swap(true, Relaxed);
        self.refusals.store(0, Relaxed);
        let was_out = self.out_until.swap(0, Relaxed) != 0;
        if was_out && !self.is_failing.load(Relaxed) {
            self.back_since.store(self.now(), Relaxed);
        }
        was_out || !was_known
    }

    /// It took no connection.
    pub(crate) fn refused(&self) {
        self.is_known.store(true, Relaxed);
        self.passed.store(0, Relaxed);
        let times = self.refusals.fetch_add(1, Relaxed).min(16);
        let ejection = FIRST_EJECTION.saturating_mul(1 << times).min(LONGEST_EJECTION);
        self.out_until.store(self.now() + millis(ejection), Relaxed);
    }

    /// Somebody tries whether it takes connections again: others do not, until that is known.
    pub(crate) fn tried(&self) {
        let until = self.out_until.load(Relaxed);
        if until != 0 {
            let later = self.now() + millis(FIRST_EJECTION);
            let _ = self.out_until.compare_exchange(until, later.max(until), Relaxed, Relaxed);
        }
    }

    /// After how many checks in a row it is healthy again, or no longer. The first check of all decides by itself, and so
    /// does a connection that is refused. `Some`: whether checks now say that it works, which they did not say before.
    #[must_use]
    pub(crate) fn checked(&self, result: CheckResult, healthy: u32, unhealthy: u32) -> Option<bool> {
        let was_known = self.is_known.swap(true, Relaxed);
        let was_failing = self.is_failing.load(Relaxed);
        if result == CheckResult::Passed {
            self.failed.store(0, Relaxed);
            let passed = self.passed.fetch_add(1, Relaxed).saturating_add(1);
            if !was_failing {
                return (!was_known).then_some(true);
            }
            if passed < healthy {
                return None;
            }
            self.is_failing.store(false, Relaxed);
            self.back_since.store(self.now(), Relaxed);
            return Some(true);
        }
        self.passed.store(0, Relaxed);
        let failed = self.failed.fetch_add(1, Relaxed).saturating_add(1);
        if was_failing || was_known && result == CheckResult::Failed && failed < unhealthy {
            return None;
        }
        self.is_failing.store(true, Relaxed);
        Some(false)
    }

    /// There are no checks any more.
    pub(crate) fn unchecked(&self) {
        self.is_failing.store(false, Relaxed);
        self.failed.store(0, Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed()).saturating_add(1)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_hours(1);
    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_server_that_takes_no_connection_is_out_until_it_takes_one() {
        let health = EndpointHealth::new(false);
        assert_eq!(health.availability(SLOW), Availability::Ready);
        health.refused();
        assert_eq!(health.availability(SLOW), Availability::Out);
        assert!(!health.is_healthy(false));
        assert!(health.connected() && !health.connected());
        assert_eq!(
            (health.availability(SLOW), health.availability(AT_ONCE)),
            (Availability::Warming(100), Availability::Ready)
        );
        assert!(health.is_healthy(true));
    }

    #[test]
    fn the_longer_it_takes_none_the_less_it_is_tried() {
        let health = EndpointHealth::new(false);
        let mut longest = 0;
        for _ in 0..40 {
            health.refused();
            let wait = health.out_until.load(Relaxed) - health.now();
            assert!(wait + 50 >= longest && wait <= 30_000, "{wait} after {longest}");
            longest = wait;
        }
        assert!(longest > 29_000);
        // One that tries whether it is over keeps the others away.
        health.out_until.store(1, Relaxed);
        assert_eq!(health.availability(SLOW), Availability::Ready);
        health.tried();
        assert_eq!(health.availability(SLOW), Availability::Out);
    }

    #[test]
    fn checks_need_several_in_a_row() {
        use CheckResult::{Failed, Passed, Refused};
        let health = EndpointHealth::new(false);
        let check = |result| health.checked(result, 2, 3);
        assert!(!health.is_healthy(true) && health.is_healthy(false));
        assert_eq!([Passed, Passed, Failed, Failed, Passed].map(check), [Some(true), None, None, None, None]);
        assert_eq!([Failed, Failed].map(check), [None, None]);
        assert!(health.is_healthy(true) && health.is_in_doubt());
        assert_eq!([Failed, Failed, Passed, Failed, Passed].map(check), [Some(false), None, None, None, None]);
        assert_eq!(health.availability(AT_ONCE), Availability::Out);
        assert_eq!((check(Passed), health.availability(SLOW)), (Some(true), Availability::Warming(100)));
        assert_eq!((check(Refused), health.availability(AT_ONCE)), (Some(false), Availability::Out));
        // A connection is no proof that it works.
        health.refused();
        assert!(health.connected());
        assert_eq!(health.availability(AT_ONCE), Availability::Out);
        health.unchecked();
        assert_eq!(health.availability(AT_ONCE), Availability::Ready);
    }

    #[test]
    fn the_first_check_decides_by_itself() {
        let health = EndpointHealth::new(false);
        assert_eq!(health.checked(CheckResult::Failed, 2, 3), Some(false));
        assert_eq!(health.availability(AT_ONCE), Availability::Out);
        assert_eq!(EndpointHealth::new(true).availability(SLOW), Availability::Warming(100));
    }
}
