//! What is left of a caller's limits, for whoever wants to see it and uses nothing.

use std::sync::Arc;

use super::allowance::{Allowance, Exceeded};
use super::quota::Left;
use super::rate::whole_seconds;
use crate::config::{Quota, Rate};
use crate::state::maybe_future::MaybeFuture;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LimitStatus {
    pub(crate) plan: Arc<str>,
    pub(crate) requests: Rate,
    /// Requests that may come at once.
    pub(crate) remaining: u32,
    /// Seconds until nothing is used any more.
    pub(crate) reset: u64,
    /// Requests in flight on this replica, and how many there may be.
    pub(crate) in_flight: u32,
    pub(crate) concurrent: u32,
    pub(crate) quota: Option<(Quota, Left)>,
    pub(crate) tokens: Option<(Quota, Left)>,
}

/// See [`Allowance::peek`].
#[derive(Debug)]
pub(crate) struct AllowancePeek {
    pub(crate) status: LimitStatus,
    /// For a place among those in flight.
    pub(crate) waits: bool,
    pub(crate) refused: Option<Exceeded>,
}

impl Allowance {
    /// Later: the store is asked what other replicas have used, for as long as a request may wait for it.
    pub(crate) fn look(&self) -> MaybeFuture<LimitStatus> {
        let counts = &self.used.counts;
        let (Some(shared), Some(lease)) = (&self.plan.shared, counts.lease()) else {
            return MaybeFuture::Now(self.status());
        };
        let Some(heard) = lease.look(counts, &self.plan) else { return MaybeFuture::Now(self.status()) };
        let (this, patience) = (self.clone(), shared.patience());
        MaybeFuture::Later(Box::pin(async move {
            // What is known here is told otherwise.
            let _ = tokio::time::timeout(patience, heard).await;
            this.status()
        }))
    }

    /// What a request would be told now. Nothing is counted.
    pub(crate) fn peek(&self) -> AllowancePeek {
        let (status, plan) = (self.status(), &self.plan.plan);
        let used_up = |limit: Option<(Quota, Left)>| limit.map(|(_, left)| left).filter(|left| left.remaining == 0);
        let (quota, tokens) = (used_up(status.quota), used_up(status.tokens));
        let queued = self.used.counts.concurrency.queued();
        let has_place = status.in_flight < status.concurrent && queued == 0;
        // As `queue` has it: who would be refused after the wait does not wait.
        let may_wait = !plan.wait.is_zero() && queued < plan.queue && quota.is_none() && tokens.is_none();
        // In the order of `admit` and `charge`.
        let refused = match (quota, tokens) {
            _ if self.is_refused_by_loss() => Some(Exceeded::Unknown),
            _ if status.remaining == 0 => {
                Some(Exceeded::Rate { retry_after: whole_seconds(self.plan.limiter.period).max(1) })
            }
            _ if !has_place && !may_wait => Some(Exceeded::Concurrent),
            (_, Some(tokens)) => Some(Exceeded::Tokens { retry_after: tokens.reset }),
            (Some(quota), None) => Some(Exceeded::Quota { retry_after: quota.reset }),
            (None, None) => None,
        };
        AllowancePeek { status, waits: !has_place, refused }
    }

    /// As this process knows it.
    pub(crate) fn status(&self) -> LimitStatus {
        let (limits, plan) = (&self.plan, &self.plan.plan);
        let (rate, quota) = match self.used.counts.lease() {
            Some(lease) if limits.shared.is_some() => self.look_shared(lease),
            _ => (limits.limiter.look(&self.used.bucket), self.quota_left()),
        };
        let (remaining, reset) = limits.rate(rate);
        LimitStatus {
            plan: Arc::clone(&plan.name),
            requests: plan.requests,
            remaining,
            reset,
            in_flight: self.used.counts.concurrency.in_flight(),
            concurrent: plan.concurrent.get(),
            quota: plan.quota.zip(quota),
            tokens: plan.tokens.zip(self.tokens_left()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::QuotaPeriod;
    use crate::state::limits::plan::PlanLimits;
    use crate::state::limits::tests::{plan, with_quota, with_tokens};

    #[test]
    fn whoever_looks_uses_nothing() {
        let plan = with_tokens(with_quota(plan(60, 60, 10, 1), 9, QuotaPeriod::Month), 100, QuotaPeriod::Day);
        let allowance = Allowance::new(&Arc::new(PlanLimits::new(&plan, None, &Arc::default())), "app", None);
        let _permit = allowance.admit();
        allowance.spend(70);
        for _ in 0..20 {
            let LimitStatus { remaining, reset, quota, tokens, .. } = allowance.look().now();
            assert_eq!((remaining, reset), (9, 1));
            assert_eq!(quota.map(|(quota, left)| (quota.count.get(), left.remaining)), Some((9, 8)));
            assert_eq!(allowance.peek().refused, Some(Exceeded::Concurrent), "and no place is left");
            assert_eq!(tokens.map(|(quota, left)| (quota.per, left.remaining)), Some((QuotaPeriod::Day, 30)));
        }
    }
}
