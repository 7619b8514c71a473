//! Requests per time: GCRA, by `governor`.
//!
//! A limiter belongs to a plan; what a caller has used is eight bytes, which the limiter is handed. So a caller costs
//! no more than that, and keeps it over a reload that leaves the rate as it is.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock, Reference as _};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::Rate;

type Instant = <DefaultClock as governor::clock::Clock>::Instant;

/// A thread may rest between its look at the clock and its look at the bucket, while others fill the bucket at later
/// times: to a burst that is shorter than that rest, the bucket looks full. So often such a refusal is asked again.
const OUTDATED_DECISIONS: u32 = 4;

/// A rate and the burst that it refills.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    burst: NonZeroU32,
    /// Time for one more request.
    pub(super) period: Duration,
    governor: RateLimiter<Bucket, Buckets, DefaultClock, StateInformationMiddleware>,
    started: Instant,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateDecision {
    Allowed {
        remaining: u32,
    },
    /// Whole seconds until the next request is accepted, at least 1.
    Limited {
        retry_after: u64,
    },
}

impl Limiter {
    pub(super) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        let period = (rate.per / rate.count.get()).max(Duration::from_nanos(1));
        // `with_period` refuses zero only.
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        let clock = DefaultClock::default();
        let started = clock.now();
        let governor = RateLimiter::new(quota, Buckets, clock);
        Self { rate, burst, period, governor, started }
    }

    pub(super) fn is_for(&self, rate: Rate, burst: NonZeroU32) -> bool {
        (self.rate, self.burst) == (rate, burst)
    }

    /// Takes one request out of the bucket.
    pub(super) fn take(&self, bucket: &Bucket) -> RateDecision {
        let mut outdated = 0;
        loop {
            let until = match self.governor.check_key(bucket) {
                Ok(state) => return RateDecision::Allowed { remaining: state.remaining_burst_capacity() },
                Err(until) => until,
            };
            let wait = until.wait_time_from(self.governor.clock().now());
            if wait.is_zero() && outdated < OUTDATED_DECISIONS {
                outdated += 1;
                continue;
            }
            return RateDecision::Limited { retry_after: whole_seconds(wait).max(1) };
        }
    }

    /// Where the caller stands, without taking anything.
    pub(super) fn look(&self, bucket: &Bucket) -> RateDecision {
        let now = self.governor.clock().now().duration_since(self.started).as_u64();
        let used = bucket.0.load(Ordering::Relaxed).saturating_sub(now);
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX).max(1);
        let used = u32::try_from(used.div_ceil(period)).unwrap_or(u32::MAX);
        RateDecision::Allowed { remaining: self.burst.get().saturating_sub(used) }
    }

    /// Puts one request back.
    pub(super) fn give_back(&self, bucket: &Bucket) {
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        let less = |until: u64| Some(until.saturating_sub(period));
        let _ = bucket.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }

    /// Whether nothing is used any more: forgetting the bucket changes nothing.
    pub(super) fn is_full(&self, bucket: &Bucket) -> bool {
        let now = self.governor.clock().now().duration_since(self.started);
        bucket.0.load(Ordering::Relaxed) <= now.as_u64()
    }
}

/// Rounded up.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What one caller has used: when its burst will be whole again, in nanoseconds since the limiter began.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket(Arc<AtomicU64>);

// As a key, a bucket is itself.
impl PartialEq for Bucket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Bucket {}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// `governor`'s store of states by key, where the key holds the state.
#[derive(Debug)]
struct Buckets;

impl StateStore for Buckets {
    type Key = Bucket;

    fn measure_and_replace<T, F, E>(&self, bucket: &Bucket, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut before = bucket.0.load(Ordering::Acquire);
        loop {
            let (outcome, after) = decide((before != 0).then(|| Nanos::from(before)))?;
            match bucket.0.compare_exchange_weak(before, after.into(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Ok(outcome),
                Err(now) => before = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(count: u32, per: u64, burst: u32) -> Limiter {
        let number = |n| NonZeroU32::new(n).unwrap();
        Limiter::new(Rate { count: number(count), per: Duration::from_secs(per) }, number(burst))
    }

    #[test]
    fn a_burst_is_followed_by_whole_seconds_of_waiting() {
        let (limiter, bucket) = (limiter(60, 60, 2), Bucket::default());
        assert!(limiter.is_full(&bucket));
        for remaining in [1, 0] {
            assert_eq!(limiter.take(&bucket), RateDecision::Allowed { remaining });
            assert_eq!(limiter.look(&bucket), RateDecision::Allowed { remaining });
        }
        assert_eq!(limiter.take(&bucket), RateDecision::Limited { retry_after: 1 });
        assert!(!limiter.is_full(&bucket));
        assert_eq!(limiter.take(&Bucket::default()), RateDecision::Allowed { remaining: 1 }, "another caller's");
    }

    #[test]
    fn a_thread_that_rested_after_it_looked_at_the_clock_is_not_refused() {
        // A burst of 0.1 ms that is whole again after every request, however many threads there are.
        let (limiter, bucket) = (limiter(u32::MAX, 1, 100_000), Bucket::default());
        let refused: usize = std::thread::scope(|scope| {
            let take =
                || (0..200_000).filter(|_| matches!(limiter.take(&bucket), RateDecision::Limited { .. })).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(refused, 0);
    }

    #[test]
    fn threads_share_a_bucket_without_losing_a_count() {
        let (limiter, bucket) = (limiter(1, 86_400, 1000), Bucket::default());
        let allowed: usize = std::thread::scope(|scope| {
            let take = || (0..600).filter(|_| matches!(limiter.take(&bucket), RateDecision::Allowed { .. })).count();
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads.map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(allowed, 1000);
    }
}
