//! What of a lease is under its lock, beside the way of a request: who waits for the store, and what is known of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::wish::{BucketBase, LeaseGrant, LeaseTally, LeaseWish, QuotaTotal, QuotaWish, Shortage};
use crate::state::limits::concurrency::Permit;
use crate::state::limits::plan::PlanLimits;
use crate::state::limits::quota::{Period, QuotaCount, QuotaCounter};

/// As many cells are asked for as are used in this time.
const AHEAD: Duration = Duration::from_millis(250);
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
    /// Those who only want to know what is left.
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

/// How fast cells are used.
#[derive(Debug, Default)]
pub(super) struct LeasePace {
    since: u64,
    /// That were there then, or at the last look.
    pub(super) had: u32,
    used: u32,
    spare: u32,
}

/// The count of a day or month: what this replica has counted, and the whole as far as it is known.
#[derive(Debug, Default)]
pub(super) struct SharedQuota {
    period: u32,
    own: u32,
    said: u32,
    total: u32,
    born: u64,
}

/// What was admitted while the store was lost.
#[derive(Debug, Default)]
pub(super) struct OfflineAdmissions {
    /// How often, in all.
    pub(super) taken: u64,
    /// How many of them the store has charged, as far as is known here.
    pub(super) told: u64,
    /// What the bucket there was based on when it was heard of last.
    pub(super) base: BucketBase,
    /// When the bucket would have been whole if nobody had come since then.
    pub(super) seed: u64,
    /// When the bucket began of which that is known, by the store's clock.
    pub(super) seed_of: u64,
    /// Something was, which the store does not know yet.
    pub(super) is_owed: bool,
}

/// Cells of a day or month that nobody here wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UnusedCells {
    pub(super) period: u32,
    pub(super) cells: u32,
}

impl UnusedCells {
    /// Those of a period that is over are worth nothing.
    pub(super) fn add(&mut self, period: u32, cells: u32) {
        match self.cells {
            0 => *self = Self { period, cells },
            _ if self.period == period => self.cells = self.cells.saturating_add(cells),
            _ if self.period < period => *self = Self { period, cells },
            _ => {}
        }
    }
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

impl LeasePace {
    /// Cells that were taken since the last look.
    pub(super) fn look(&mut self, cells: u32) -> u32 {
        let used = self.had.saturating_sub(cells);
        self.had = cells;
        self.used = self.used.saturating_add(used);
        used
    }

    /// How many more to ask for than wait: as many as are used in a while, and never more than double.
    pub(super) fn ahead(&mut self, now: u64, waiting: u32, most: u32) -> u32 {
        let time = now.saturating_sub(self.since).max(1_000_000);
        let used = u64::from(self.used + waiting);
        let pace = used.saturating_mul(nanos(AHEAD)) / time;
        let most = most.min(self.spare.saturating_mul(2).saturating_add(1));
        self.spare = u32::try_from(pace).unwrap_or(u32::MAX).min(most);
        (self.since, self.used) = (now, 0);
        self.spare
    }

    /// At so few left, more are asked for.
    pub(super) fn low(&self) -> u32 {
        self.spare / 4
    }
}

impl SharedQuota {
    /// What to tell of it. At first the count that was kept on disk is what is known.
    pub(super) fn wish(&mut self, most: u32, period: Period, kept: &QuotaCounter) -> QuotaWish {
        self.turn(period, kept);
        let Self { own, said, total, born, .. } = *self;
        QuotaWish { most, period, own, said, total, born }
    }

    fn turn(&mut self, period: Period, kept: &QuotaCounter) {
        if self.period != period.number() {
            *self = Self { period: period.number(), total: kept.used(period), ..Self::default() };
        }
    }

    /// What the store says, in answer to that, and how many cells it grants; `is_last`: it has not been told anything else
    /// since.
    pub(super) fn learn(
        &mut self,
        wish: &QuotaWish,
        answer: QuotaTotal,
        cells: u32,
        is_last: bool,
        kept: &QuotaCounter,
    ) {
        if self.period != wish.period.number() {
            return;
        }
        self.own = self.own.saturating_add(cells);
        if is_last {
            (self.said, self.total, self.born) = (wish.own.saturating_add(cells), answer.total, answer.born);
        }
        kept.restore(QuotaCount::new(wish.period, self.count()));
    }

    /// So much was used, whatever is left.
    pub(super) fn spend(&mut self, more: u32, period: Period, kept: &QuotaCounter) {
        self.turn(period, kept);
        self.own = self.own.saturating_add(more);
        kept.add(more, period);
    }

    /// The whole count, with what the store does not know yet.
    fn count(&self) -> u32 {
        let count = (u64::from(self.total) + u64::from(self.own)).saturating_sub(self.said.into());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Cells of that period go back.
    pub(super) fn give_back(&mut self, period: Period, cells: u32, kept: &QuotaCounter) {
        self.turn(period, kept);
        self.own = self.own.saturating_sub(cells);
    }

    /// One was counted without the store.
    pub(super) fn owe(&mut self, period: Period, kept: &QuotaCounter) {
        if self.period != period.number() {
            self.turn(period, kept);
            // That one is in the count already.
            self.total = self.total.saturating_sub(1);
        }
        self.own += 1;
    }

    /// Whether this replica has counted something.
    fn is_known(&self) -> bool {
        self.own > 0
    }

    fn is_owed(&self) -> bool {
        self.own != self.said
    }

    pub(super) fn left(&self, most: u32) -> u32 {
        most.saturating_sub(self.count())
    }
}

impl OfflineAdmissions {
    /// What is charged to the bucket, of what was taken so far, when all of this replica's part is whole after `whole`: what
    /// the store knows of it, and what it does not, divided as the limit is.
    pub(super) fn debt(&self, now: u64, whole: u64, parts: u32) -> (u64, u64) {
        if !self.is_owed {
            return (whole, 0);
        }
        let known = self.seed.saturating_sub(now).min(whole);
        (known, (whole - known) / u64::from(parts))
    }

    /// The store has answered a call that began when so many were taken: when the bucket is whole, given that it says so. What
    /// was taken since is in this replica's part, of which some has been paid for if the answer comes late.
    pub(super) fn settle(&mut self, taken: u64, whole_at: u64, one: u64, here: u64) -> u64 {
        let since = self.taken - taken;
        self.told = self.told.max(taken);
        (self.is_owed, self.seed) = (since > 0, whole_at);
        whole_at.saturating_add(one.saturating_mul(since)).min(here.max(whole_at))
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
