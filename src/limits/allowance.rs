//! One caller's share of a plan, be it a key or an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::HeaderValue;
use jiff::Timestamp;

use super::plan::PlanLimits;
use super::quota::{Count, Counted, Left};
use super::rate::{Bucket, Verdict};

/// One caller's limits; shared by all workers and by successive snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) plan: Arc<PlanLimits>,
    pub(super) used: Used,
}

/// What one caller uses.
#[derive(Debug, Clone, Default)]
pub(super) struct Used {
    bucket: Bucket,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicU32,
    quota: Count,
}

/// Why a caller must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// Seconds until the next request is accepted, at least 1.
    Rate {
        retry_after: u64,
    },
    Concurrent,
    /// Seconds until the next day or month, at least 1.
    Quota {
        retry_after: u64,
    },
}

impl Used {
    /// After a reload; with another rate the bucket is full again.
    pub(super) fn carried(&self, from: &PlanLimits, to: &PlanLimits) -> Self {
        if Arc::ptr_eq(&from.limiter, &to.limiter) {
            return self.clone();
        }
        Self { bucket: Bucket::default(), counts: Arc::clone(&self.counts) }
    }

    /// Whether nothing is used any more but, perhaps, part of a quota. Nobody else may get hold of it meanwhile.
    pub(super) fn is_idle(&self, plan: &PlanLimits) -> bool {
        // Whoever is about to take, or has a place, holds the counts as well.
        Arc::strong_count(&self.counts) == 1 && plan.limiter.is_full(&self.bucket)
    }

    /// What has been counted against the quota of the running day or month.
    pub(super) fn counted(&self, now: Timestamp) -> Option<Counted> {
        self.counts.quota.read(now)
    }

    pub(super) fn restore(&self, counted: Counted) {
        self.counts.quota.restore(counted);
    }
}

impl Allowance {
    /// Limits for a key of that plan. What `previous` (the same key before a reload) has used stays used.
    pub(crate) fn new(plan: &Arc<PlanLimits>, previous: Option<&Self>) -> Self {
        let used = previous.map_or_else(Used::default, |previous| previous.used.carried(&previous.plan, plan));
        Self { plan: Arc::clone(plan), used }
    }

    /// Counts a request against everything that the plan limits; also what `RateLimit` says of it.
    pub(crate) fn admit(&self) -> (Result<Permit, Exceeded>, HeaderValue) {
        let verdict = self.take();
        let permit = match verdict {
            Verdict::Limited { retry_after } => Err(Exceeded::Rate { retry_after }),
            Verdict::Allowed { .. } => self.enter().ok_or(Exceeded::Concurrent),
        };
        let Some((most, period)) = self.plan.quota() else { return (permit, self.plan.state(verdict, None)) };
        let count = &self.used.counts.quota;
        // Last: a request that must wait anyhow costs nothing of it.
        let (permit, left) = match permit {
            Err(exceeded) => (Err(exceeded), count.left(most, period)),
            Ok(permit) => match count.charge(most, period) {
                Ok(left) => {
                    self.plan.note_charge();
                    (Ok(permit), left)
                }
                Err(left @ Left { reset, .. }) => (Err(Exceeded::Quota { retry_after: reset }), left),
            },
        };
        (permit, self.plan.state(verdict, Some(left)))
    }

    /// Counts one request.
    fn take(&self) -> Verdict {
        self.plan.limiter.take(&self.used.bucket)
    }

    /// One more request in flight, until the permit is dropped; `None` if the plan's number is reached.
    fn enter(&self) -> Option<Permit> {
        let most = self.plan.plan.concurrent.get();
        let counts = &self.used.counts;
        let entered =
            counts.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < most).then_some(now + 1));
        entered.ok().map(|_| Permit(Arc::clone(counts)))
    }

    /// What has been counted against the quota of the running day or month.
    pub(crate) fn counted(&self, now: Timestamp) -> Option<Counted> {
        self.used.counted(now)
    }

    pub(crate) fn restore(&self, counted: Counted) {
        self.used.restore(counted);
    }
}

/// A request in flight; dropped with its body's last byte.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Counts>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Plan, QuotaPeriod};
    use crate::limits::tests::{plan, with_quota};

    fn allowance(plan: &Plan, previous: Option<&Allowance>) -> Allowance {
        let limits = PlanLimits::new(plan, previous.map(|previous| &*previous.plan));
        Allowance::new(&Arc::new(limits), previous)
    }

    fn refused(allowance: &Allowance) -> Option<Exceeded> {
        allowance.admit().0.err()
    }

    #[test]
    fn use_survives_a_reload_unless_the_rate_changes() {
        let before = allowance(&plan(1, 60, 1, 2), None);
        assert_eq!(refused(&before), None);
        let after = allowance(&plan(1, 60, 1, 1), Some(&before));
        assert!(matches!(refused(&after), Some(Exceeded::Rate { retry_after: 59..=60 })));
        let permit = before.enter();
        let changed = allowance(&plan(1, 60, 2, 1), Some(&after));
        assert_eq!(refused(&changed), Some(Exceeded::Concurrent), "what is in flight stays in flight");
        drop(permit);
        assert_eq!(refused(&changed), None);
    }

    #[test]
    fn a_permit_frees_its_place_when_dropped() {
        let allowance = allowance(&plan(60, 60, 10, 1), None);
        let (first, _) = allowance.admit();
        assert!(first.is_ok());
        assert_eq!(refused(&allowance), Some(Exceeded::Concurrent));
        drop(first);
        assert_eq!(refused(&allowance), None);
    }

    #[test]
    fn a_quota_is_charged_for_what_passes_the_other_limits() {
        let plan = with_quota(plan(1, 86_400, 4, 1), 2, QuotaPeriod::Month);
        let allowance = allowance(&plan, None);
        let (first, state) = allowance.admit();
        assert!(state.to_str().unwrap().contains("\"test-quota\";r=1;t="), "{state:?}");
        let (second, state) = allowance.admit();
        assert_eq!(second.err(), Some(Exceeded::Concurrent));
        assert!(state.to_str().unwrap().contains("\"test-quota\";r=1;t="), "{state:?}");
        drop(first);
        assert!(allowance.plan.take_charged());
        assert_eq!(refused(&allowance), None);
        assert!(matches!(refused(&allowance), Some(Exceeded::Quota { retry_after: 1.. })));
        let (fifth, state) = allowance.admit();
        assert!(matches!(fifth.err(), Some(Exceeded::Rate { .. })));
        assert!(state.to_str().unwrap().contains("\"test-quota\";r=0;t="), "{state:?}");
        assert_eq!(allowance.used.counts.in_flight.load(Ordering::Relaxed), 0, "who is refused holds no place");
        assert!(allowance.plan.take_charged() && !allowance.plan.take_charged());
    }

    #[test]
    fn a_changed_quota_keeps_the_count() {
        let numbers = plan(60, 60, 10, 8);
        let before = allowance(&with_quota(numbers.clone(), 1, QuotaPeriod::Month), None);
        assert_eq!(refused(&before), None);
        assert!(matches!(refused(&before), Some(Exceeded::Quota { .. })));
        let after = allowance(&with_quota(numbers, 2, QuotaPeriod::Month), Some(&before));
        assert_eq!(refused(&after), None);
        assert!(matches!(refused(&after), Some(Exceeded::Quota { .. })));
    }
}
