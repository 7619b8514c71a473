//! What is left of a caller's limits, for whoever wants to see it and uses nothing.

use std::sync::Arc;

use super::allowance::Allowance;
use super::quota::Left;
use crate::config::{Quota, Rate};
use crate::state::later::MaybeLater;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
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

impl Allowance {
    /// Later: the store is asked what other replicas have used, for as long as a request may wait for it.
    pub(crate) fn look(&self) -> MaybeLater<Standing> {
        let counts = &self.used.counts;
        let (Some(shared), Some(lease)) = (&self.plan.shared, counts.lease()) else {
            return MaybeLater::Now(self.standing());
        };
        let Some(heard) = lease.look(counts, &self.plan) else { return MaybeLater::Now(self.standing()) };
        let (this, patience) = (self.clone(), shared.patience());
        MaybeLater::Later(Box::pin(async move {
            // What is known here is told otherwise.
            let _ = tokio::time::timeout(patience, heard).await;
            this.standing()
        }))
    }

    /// As this process knows it.
    pub(crate) fn standing(&self) -> Standing {
        let (limits, plan) = (&self.plan, &self.plan.plan);
        let (rate, quota) = match self.used.counts.lease() {
            Some(lease) if limits.shared.is_some() => self.look_shared(lease),
            _ => (limits.limiter.look(&self.used.bucket), self.quota_left()),
        };
        let (remaining, reset) = limits.rate(rate);
        Standing {
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
            let Standing { remaining, reset, quota, tokens, .. } = allowance.look().now();
            assert_eq!((remaining, reset), (9, 1));
            assert_eq!(quota.map(|(quota, left)| (quota.count.get(), left.remaining)), Some((9, 8)));
            assert_eq!(tokens.map(|(quota, left)| (quota.per, left.remaining)), Some((QuotaPeriod::Day, 30)));
        }
    }
}
