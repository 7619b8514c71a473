//! One plan's limits for each visitor.

use std::sync::Arc;

use jiff::Timestamp;

use super::allowance::{Allowance, CountedUnit, Used};
use super::plan::PlanLimits;
use super::quota::QuotaCount;
use super::shared::CallerTag;
use super::table::{MOST_VISITORS, VisitorEntry, VisitorTable};
use super::visitor::Visitor;

/// See the module.
#[derive(Debug)]
pub(crate) struct Visitors {
    pub(crate) plan: Arc<PlanLimits>,
    /// The plan of newcomers who share entries: one's use of a day must not end another's.
    crowd: Arc<PlanLimits>,
    table: Arc<VisitorTable<Used>>,
}

impl Visitors {
    /// `previous`: those of the same plan before a reload; what they have used stays used.
    pub(crate) fn new(plan: &Arc<PlanLimits>, previous: Option<&Self>) -> Self {
        let table = match previous {
            Some(previous) if Arc::ptr_eq(&previous.plan.limiter, &plan.limiter) => Arc::clone(&previous.table),
            Some(previous) => {
                let table = VisitorTable::default();
                previous.table.for_each(|visitor, used| table.insert(visitor, used.carried(&previous.plan, plan)));
                Arc::new(table)
            }
            None => Arc::default(),
        };
        Self { plan: Arc::clone(plan), crowd: Arc::new(plan.without_quota()), table }
    }

    pub(crate) fn allowance(&self, visitor: Visitor) -> Allowance {
        match self.table.entry(visitor) {
            VisitorEntry::Own(used) => {
                used.share(&self.plan, || CallerTag::visitor(self.plan.name(), visitor));
                Allowance { plan: Arc::clone(&self.plan), used }
            }
            VisitorEntry::Pooled(used) => Allowance { plan: Arc::clone(&self.crowd), used },
        }
    }

    /// Whether somebody must be told what models have taken.
    pub(crate) fn limits_tokens(&self) -> bool {
        self.plan.tokens().is_some()
    }

    /// Forgets visitors who have nothing in flight, their whole burst again and no count of a quota. To be called about
    /// once a second.
    pub(crate) fn sweep(&self) {
        let now = Timestamp::now();
        self.table.retain(|used| !used.is_idle(&self.plan) || count(used, now) > 0);
        if self.table.len() > MOST_VISITORS / 2 {
            self.forget_counts(now);
        }
    }

    /// In a crowd, forgets the smaller half of the quota counts of visitors who are gone: whoever comes from ever new
    /// addresses must not leave everybody else without a place until the month is over.
    fn forget_counts(&self, now: Timestamp) {
        let count = |used: &Used| count(used, now);
        let mut counts = Vec::with_capacity(self.table.len());
        self.table.for_each(|_, used| counts.push(count(used)));
        let middle = counts.len() / 2;
        if middle == 0 {
            return;
        }
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.table.retain(|used| !used.is_idle(&self.plan) || count(used) > median);
    }

    /// Calls `look` with each count of the running day or month.
    pub(super) fn counted(&self, what: CountedUnit, now: Timestamp, mut look: impl FnMut(Visitor, QuotaCount)) {
        self.table.for_each(|visitor, used| {
            if let Some(counted) = used.counted(what, now) {
                look(visitor, counted);
            }
        });
    }

    /// Calls `take` with what a visitor has used, unless there is no room for one more.
    pub(super) fn take_up(&self, visitor: Visitor, take: impl FnOnce(&Used)) {
        if let VisitorEntry::Own(used) = self.table.entry(visitor) {
            take(&used);
        }
    }
}

/// How much a visitor has used of the running day or month, in requests and tokens; 0: there is nothing to remember.
fn count(used: &Used, now: Timestamp) -> u32 {
    let counts = [CountedUnit::Requests, CountedUnit::Tokens].map(|what| used.counted(what, now));
    counts.into_iter().flatten().fold(0, |sum: u32, counted| sum.saturating_add(counted.count))
}

#[cfg(test)]
mod tests;
