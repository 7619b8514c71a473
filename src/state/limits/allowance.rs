//! One caller's share of a plan, be it a key or an address.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use jiff::Timestamp;

use super::concurrency::{ConcurrencyLimit, Permit, QueuedPlace, Queueing};
use super::plan::PlanLimits;
use super::quota::{Left, QuotaCount, QuotaCounter};
use super::rate::{Bucket, RateDecision};
use super::shared::{CallerTag, Lease};
use crate::state::maybe_future::MaybeFuture;

/// One caller's limits; what is used is shared by all workers and by successive policies.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) plan: Arc<PlanLimits>,
    pub(super) used: Used,
}

/// What one caller uses.
#[derive(Debug, Clone, Default)]
pub(super) struct Used {
    pub(super) bucket: Bucket,
    pub(super) counts: Arc<AllowanceCounts>,
}

/// See [`Used`]; shared with the permits of requests in flight.
#[derive(Debug, Default)]
pub(super) struct AllowanceCounts {
    pub(super) concurrency: ConcurrencyLimit,
    quota: QuotaCounter,
    tokens: QuotaCounter,
    /// Where replicas share what there is.
    lease: OnceLock<Box<Lease>>,
}

impl AllowanceCounts {
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.get().map(|lease| &**lease)
    }

    pub(super) fn quota(&self) -> &QuotaCounter {
        &self.quota
    }

    pub(super) fn tokens(&self) -> &QuotaCounter {
        &self.tokens
    }
}

/// What is counted in a day or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountedUnit {
    Requests,
    Tokens,
}

/// Whether a request may go on, and what `RateLimit` says of its caller.
pub(crate) type AdmitDecision = (Result<Permit, Exceeded>, HeaderValue);

/// What a request is told at first.
pub(crate) enum AdmitTurn {
    Decided(AdmitDecision),
    /// Too many are in flight, and it waits for one of them to end.
    Queued(Pin<Box<dyn Future<Output = AdmitDecision>>>),
}

impl AdmitTurn {
    /// The decision that is there.
    #[cfg(test)]
    pub(crate) fn decided(self) -> AdmitDecision {
        match self {
            Self::Decided(decision) => decision,
            Self::Queued(_) => panic!("the request waits"),
        }
    }
}

/// Why a caller must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// Seconds until the next request is accepted, at least 1.
    Rate {
        retry_after: u64,
    },
    Concurrent,
    /// Nobody can say at the moment: the store that replicas share is lost.
    Unknown,
    /// Seconds until the next day or month, at least 1.
    Quota {
        retry_after: u64,
    },
    /// The same of tokens.
    Tokens {
        retry_after: u64,
    },
}

impl Used {
    /// From now on replicas share what this caller uses.
    pub(super) fn share(&self, plan: &PlanLimits, caller: impl FnOnce() -> CallerTag) {
        if let Some(shared) = &plan.shared {
            self.counts.lease.get_or_init(|| Box::new(Lease::new(shared, caller())));
        }
    }

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

    fn counter(&self, what: CountedUnit) -> &QuotaCounter {
        match what {
            CountedUnit::Requests => &self.counts.quota,
            CountedUnit::Tokens => &self.counts.tokens,
        }
    }

    /// What has been counted in the running day or month.
    pub(super) fn counted(&self, what: CountedUnit, now: Timestamp) -> Option<QuotaCount> {
        self.counter(what).read(now)
    }

    pub(super) fn restore(&self, what: CountedUnit, counted: QuotaCount) {
        self.counter(what).restore(counted);
    }

    pub(super) fn add(&self, what: CountedUnit, counted: QuotaCount) {
        self.counter(what).add_counted(counted, Timestamp::now());
    }
}

impl Allowance {
    /// Limits for the key with that id, and of that plan. What `previous` (the same key before a reload) has used stays used.
    pub(crate) fn new(plan: &Arc<PlanLimits>, id: &str, previous: Option<&Self>) -> Self {
        let used = previous.map_or_else(Used::default, |previous| previous.used.carried(&previous.plan, plan));
        used.share(plan, || CallerTag::key(id));
        Self { plan: Arc::clone(plan), used }
    }

    /// Counts a request against everything that the plan limits. Later: once the store has answered that replicas share.
    pub(crate) fn admit(&self) -> MaybeFuture<AdmitTurn> {
        match (&self.plan.shared, self.used.counts.lease()) {
            (Some(shared), Some(lease)) => self.admit_shared(shared, lease),
            _ => MaybeFuture::Now(self.admit_here()),
        }
    }

    fn admit_here(&self) -> AdmitTurn {
        let verdict = self.plan.limiter.take(&self.used.bucket);
        let permit = match verdict {
            RateDecision::Limited { retry_after } => Err(Exceeded::Rate { retry_after }),
            RateDecision::Allowed { .. } => {
                match ConcurrencyLimit::enter(&self.used.counts, self.plan.plan.concurrent.get()) {
                    Some(permit) => Ok(permit),
                    None => match self.queue() {
                        Queueing::Entered(permit) => Ok(permit),
                        Queueing::Waiting(waiting) => {
                            return AdmitTurn::Queued(Box::pin(self.clone().in_turn(waiting)));
                        }
                        Queueing::Full => Err(Exceeded::Concurrent),
                    },
                }
            }
        };
        AdmitTurn::Decided(self.charge(permit, verdict))
    }

    /// The decision, once there is a place or the plan's patience has ended.
    async fn in_turn(self, waiting: QueuedPlace) -> AdmitDecision {
        let permit = waiting.place(self.plan.plan.wait).await.ok_or(Exceeded::Concurrent);
        // Others have used the bucket meanwhile, and it has refilled.
        let verdict = self.plan.limiter.look(&self.used.bucket);
        self.charge(permit, verdict)
    }

    fn queue(&self) -> Queueing {
        let plan = &self.plan.plan;
        let is_used_up = |left: Option<Left>| left.is_some_and(|left| left.remaining == 0);
        // Who would be refused after the wait need not wait.
        if plan.wait.is_zero() || is_used_up(self.quota_left()) || is_used_up(self.tokens_left()) {
            return Queueing::Full;
        }
        ConcurrencyLimit::queue(&self.used.counts, plan.concurrent.get(), plan.queue)
    }

    pub(super) fn quota_left(&self) -> Option<Left> {
        self.plan.quota().map(|(most, period)| self.used.counts.quota.left(most, period))
    }

    pub(super) fn tokens_left(&self) -> Option<Left> {
        self.plan.tokens().map(|(most, period)| self.used.counts.tokens.left(most, period))
    }

    /// Counts what has a place against the quota: last, so that a request that must wait anyhow costs nothing of it.
    pub(super) fn charge(&self, permit: Result<Permit, Exceeded>, verdict: RateDecision) -> AdmitDecision {
        let tokens = self.tokens_left();
        let permit = match tokens {
            Some(Left { remaining: 0, reset }) => permit.and(Err(Exceeded::Tokens { retry_after: reset })),
            _ => permit,
        };
        let Some((most, period)) = self.plan.quota() else { return (permit, self.plan.state(verdict, None, tokens)) };
        let count = &self.used.counts.quota;
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
        (permit, self.plan.state(verdict, Some(left), tokens))
    }

    /// Nothing of a request that was admitted stays counted: other limits refuse it. What is left then.
    pub(crate) fn give_back(&self, permit: Permit) -> HeaderValue {
        drop(permit);
        if let (Some(_), Some(lease)) = (&self.plan.shared, self.used.counts.lease()) {
            return self.give_back_shared(lease);
        }
        self.plan.limiter.give_back(&self.used.bucket);
        if let Some((_, period)) = self.plan.quota() {
            self.used.counts.quota.give_back(period);
            self.plan.note_charge();
        }
        self.plan.state(self.plan.limiter.look(&self.used.bucket), self.quota_left(), self.tokens_left())
    }

    /// Charges tokens that a request has taken: once they are more than the plan allows, the next one is refused.
    pub(crate) fn spend(&self, tokens: u64) {
        let Some((_, period)) = self.plan.tokens().filter(|_| tokens > 0) else { return };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let counts = &self.used.counts;
        match (&self.plan.shared, counts.lease()) {
            (Some(_), Some(lease)) => lease.spend(counts, &self.plan, tokens, period),
            _ => counts.tokens.add(tokens, period),
        }
        self.plan.note_charge();
    }
}

#[cfg(test)]
mod tests;
