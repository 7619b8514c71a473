//! While the store is lost each replica has its part of the limits: those of the plan by the replicas that were last seen.
//!
//! A caller's part is as full as the whole was when it was last known: so what was used before counts on, and the store
//! is told of the rest when it is back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lease::Lease;
use super::pace::nanos;
use crate::state::limits::allowance::AllowanceCounts;
use crate::state::limits::plan::PlanLimits;
use crate::state::limits::quota::Period;
use crate::state::limits::rate::{RateDecision, whole_seconds};

impl Lease {
    /// Takes a request out of this replica's part of the bucket.
    pub(super) fn take_alone(&self, counts: &Arc<AllowanceCounts>, plan: &Arc<PlanLimits>) -> RateDecision {
        let parts = u64::from(self.shared.parts());
        let mut state = self.state();
        let now = self.shared.now();
        let one = nanos(plan.limiter.period);
        let mut whole_at = self.whole_at.load(Ordering::Relaxed);
        if !std::mem::replace(&mut state.loss.is_owed, true) {
            // What was asked for last is charged when it comes: an answer that never does gave nothing to anybody.
            whole_at = whole_at.max(now);
            state.loss.seed = whole_at;
        }
        let period = one.saturating_mul(parts).max(1);
        let burst = (u64::from(plan.plan.burst.get()) / parts).max(1);
        let used = whole_at.saturating_sub(now);
        let most = period.saturating_mul(burst);
        if used.saturating_add(period) > most {
            let wait = used.saturating_add(period) - most;
            return RateDecision::Limited { retry_after: whole_seconds(Duration::from_nanos(wait)).max(1) };
        }
        self.whole_at.store(now + used + period, Ordering::Relaxed);
        state.loss.taken += 1;
        state.come_under(plan);
        self.shared.counters.local.inc();
        self.shared.look_after(counts, &mut state);
        let left = (most - used - period) / period;
        RateDecision::Allowed { remaining: u32::try_from(left).unwrap_or(u32::MAX) }
    }

    /// This replica's part of the places.
    pub(super) fn places_alone(&self, plan: &PlanLimits) -> u32 {
        (plan.plan.concurrent.get() / self.shared.parts()).max(1)
    }

    /// One was counted against the quota without the store.
    pub(super) fn owe_quota(&self, counts: &AllowanceCounts, period: Period) {
        self.state().quota.owe(period, counts.quota());
    }

    /// What is left on this replica's lease and in the bucket, as far as is known here.
    pub(super) fn remaining(&self, plan: &PlanLimits, cells: u32) -> u32 {
        let period = nanos(plan.limiter.period).max(1);
        let used = self.until_whole(self.shared.now()).div_ceil(period);
        let burst = plan.plan.burst.get();
        burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)).saturating_add(cells).min(burst)
    }
}
