//! What of a lease is under its lock, beside the way of a request: who waits for the store, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::offline::OfflineAdmissions;
use super::pace::{LeasePace, UnusedCells, nanos};
use super::shared_quota::SharedQuota;
use super::wish::{LeaseGrant, LeaseTally, LeaseWish, Shortage};
use crate::state::limits::concurrency::Permit;
use crate::state::limits::plan::PlanLimits;
use crate::state::limits::quota::QuotaCounter;

/// A refusal holds without asking again, for so long at most: others may give something back.
const LONGEST_REFUSAL: Duration = Duration::from_millis(100);

/// Under the lease's lock.
#[derive(Debug, Default)]
pub(super) struct LeaseState {
    /// The call that is on its way, and how often the store had been lost when it began.
    pub(super) call: Option<(u64, u64)>,
    pub(super) calls: u64,
    /// Calls whose answers may still come.
    pub(super) unanswered: u32,
    pub(super) lease: LeaseTally,
    /// Granted when it was too late, to be given back.
    pub(super) late: UnusedCells,
    pub(super) waiters: Vec<LeaseWaiter>,
    /// Those who only want to know what is left. Nothing is sent: each is dropped once it is known.
    pub(super) lookers: Vec<oneshot::Sender<()>>,
    /// That the caller came under last.
    pub(super) plan: Option<Arc<PlanLimits>>,
    /// Whether it is looked after.
    pub(super) is_active: bool,
    /// It is among those whom the store is told of when it may have begun anew.
    pub(super) is_noted: bool,
    /// The store may know nothing of it.
    pub(super) is_forgotten: bool,
    /// Until when, and why, everybody is refused.
    refused: Option<(u64, Shortage)>,
    pub(super) pace: LeasePace,
    pub(super) quota: SharedQuota,
    pub(super) tokens: SharedQuota,
    pub(super) loss: OfflineAdmissions,
    pub(super) reach: CallerReach,
    /// When it last ceased to.
    pub(super) apart_since: u64,
    /// Looks without a cell taken.
    pub(super) idle: u8,
    /// When the store was last told of the places.
    pub(super) renewed: u64,
}

/// Whether the store answers for this caller, see `apart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CallerReach {
    #[default]
    Shared,
    /// The store was lost, and has not been told of more than that many that were admitted alone.
    Untold(u64),
    /// Calls of this caller fail, or are late. When it answered again, if it did.
    Unheard(Option<u64>),
}

/// Somebody who waits for the store's answer.
#[derive(Debug)]
pub(super) struct LeaseWaiter {
    pub(super) needs_place: bool,
    pub(super) answer: oneshot::Sender<LeaseAnswer>,
}

#[derive(Debug)]
pub(super) enum LeaseAnswer {
    /// A cell, and a place unless there was one.
    Admitted(Option<Permit>),
    Refused(Shortage),
}

impl LeaseState {
    /// What is left of quotas, as the store knows it.
    pub(super) fn learn_quotas(
        &mut self,
        wish: &LeaseWish,
        grant: &LeaseGrant,
        is_last: bool,
        [quota, tokens]: [&QuotaCounter; 2],
    ) {
        if let Some(wish) = &wish.quota {
            self.quota.learn(wish, grant.quota, grant.cells, is_last, quota);
        }
        if let Some(wish) = &wish.tokens {
            self.tokens.learn(wish, grant.tokens, 0, is_last, tokens);
        }
        if let Some(plan) = self.plan.as_ref().filter(|_| wish.quota.is_some() || wish.tokens.is_some()) {
            plan.note_charge();
        }
    }

    /// Of the lease with that number.
    pub(super) fn of(number: u64) -> Self {
        Self { lease: LeaseTally { number, held: 0 }, ..Self::default() }
    }

    /// The caller's plan, from now on.
    pub(super) fn come_under(&mut self, plan: &Arc<PlanLimits>) {
        if self.plan.as_ref().is_none_or(|known| !Arc::ptr_eq(known, plan)) {
            // Cells of another plan take another time.
            if self.plan.as_ref().is_some_and(|known| known.limiter.period != plan.limiter.period) {
                self.lease = LeaseTally { number: self.lease.number + 1, held: 0 };
            }
            self.plan = Some(Arc::clone(plan));
        }
    }

    /// Whether something was counted that the store does not know.
    pub(super) fn is_owed(&self) -> bool {
        // Who has another plan by now is not told of what that one does not count.
        let counts_tokens = self.plan.as_ref().is_some_and(|plan| plan.plan.tokens.is_some());
        self.loss.is_owed || self.late.cells > 0 || self.quota.is_owed() || (counts_tokens && self.tokens.is_owed())
    }

    /// Whether nothing is owed but requests that time has paid for, when the bucket is whole after that. Who is answered
    /// again has little left to wait for.
    pub(super) fn is_paid(&self, until_whole: u64) -> bool {
        let is_answered = matches!(self.reach, CallerReach::Unheard(Some(_)));
        until_whole == 0 && !is_answered && !self.quota.is_owed() && !self.tokens.is_owed()
    }

    /// Whether this replica has counted something in a day or month.
    pub(super) fn is_known(&self) -> bool {
        self.quota.is_known() || self.tokens.is_known()
    }

    pub(super) fn refusal(&self, now: u64) -> Option<Shortage> {
        self.refused.filter(|(until, _)| now < *until).map(|(_, shortage)| shortage)
    }

    /// Whoever comes now would hear the same from the store. Places may become free at any time.
    pub(super) fn note_refusal(&mut self, now: u64, grant: &LeaseGrant) {
        let wait = match grant.shortage {
            Some(Shortage::Rate { .. }) => grant.wait.min(LONGEST_REFUSAL),
            Some(Shortage::Quota | Shortage::Tokens) => LONGEST_REFUSAL,
            Some(Shortage::Places) | None => Duration::ZERO,
        };
        self.refused = grant.shortage.map(|shortage| (now + nanos(wait), shortage));
    }
}
