//! The count of a day or month, of which each replica knows its own and what the store says of the others.

use super::wish::{QuotaTotal, QuotaWish};
use crate::state::limits::quota::{Period, QuotaCount, QuotaCounter};

/// What this replica has counted, and the whole as far as it is known.
#[derive(Debug, Default)]
pub(super) struct SharedQuota {
    period: u32,
    own: u32,
    said: u32,
    total: u32,
    born: u64,
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
    pub(super) fn is_known(&self) -> bool {
        self.own > 0
    }

    pub(super) fn is_owed(&self) -> bool {
        self.own != self.said
    }

    pub(super) fn left(&self, most: u32) -> u32 {
        most.saturating_sub(self.count())
    }
}
