//! Requests, or tokens, per calendar day or month, in UTC.
//!
//! A count and the period that it belongs to are one atomic: a new period begins with the first request in it, for all
//! workers at once and without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::config::QuotaPeriod;

const DAY: i64 = 86_400;

/// A day or a month, as the digits of its date: 20261123, or 202611. So a day is never taken for a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    number: u32,
    /// Seconds until the next one, at least 1.
    pub(super) left: u64,
}

impl Period {
    pub(super) fn of(per: QuotaPeriod, now: Timestamp) -> Self {
        let date = Offset::UTC.to_datetime(now).date();
        let month = i32::from(date.year()) * 100 + i32::from(date.month());
        let today = DAY - now.as_second().rem_euclid(DAY);
        let (number, left) = match per {
            QuotaPeriod::Day => (month * 100 + i32::from(date.day()), today),
            QuotaPeriod::Month => (month, today + DAY * i64::from(date.days_in_month() - date.day())),
        };
        Self { number: u32::try_from(number).unwrap_or(0), left: u64::try_from(left).unwrap_or(1) }
    }

    pub(super) fn number(self) -> u32 {
        self.number
    }

    /// The number of the day and that of the month: counts of other periods are of no more use.
    fn current(now: Timestamp) -> [u32; 2] {
        [QuotaPeriod::Day, QuotaPeriod::Month].map(|per| Self::of(per, now).number)
    }
}

/// What is left in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) remaining: u32,
    /// Seconds until the next period.
    pub(crate) reset: u64,
}

/// What one caller has used: a period's number and a count.
#[derive(Debug, Default)]
pub(super) struct QuotaCounter(AtomicU64);

/// A [`QuotaCounter`] at one moment, as it is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct QuotaCount {
    period: u32,
    pub(super) count: u32,
}

impl QuotaCount {
    pub(super) fn new(period: Period, count: u32) -> Self {
        Self { period: period.number, count }
    }

    fn pack(self) -> u64 {
        u64::from(self.period) << 32 | u64::from(self.count)
    }

    fn unpack(word: u64) -> Self {
        let half = |word| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
        Self { period: half(word >> 32), count: half(word) }
    }

    /// What has been counted since it was `before`; `None`: nothing.
    pub(crate) fn since(self, before: Option<Self>) -> Option<Self> {
        let known = before.filter(|before| before.period == self.period).map_or(0, |before| before.count);
        let count = self.count.saturating_sub(known);
        (count > 0).then_some(Self { count, ..self })
    }

    /// Whether its day or month goes on.
    pub(crate) fn is_current(self, now: Timestamp) -> bool {
        Period::current(now).contains(&self.period)
    }
}

impl QuotaCounter {
    /// Counts one request if fewer than `most` have come in this period; tells what is left, `Err` if nothing was.
    pub(super) fn charge(&self, most: u32, period: Period) -> Result<Left, Left> {
        let charged = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let used = used(word, period);
            (used < most).then(|| QuotaCount { period: period.number, count: used + 1 }.pack())
        });
        let left = |remaining| Left { remaining, reset: period.left };
        charged.map(|before| left(most - used(before, period) - 1)).map_err(|_| left(0))
    }

    /// Takes back what was counted last.
    pub(super) fn give_back(&self, period: Period) {
        let less = |word| match used(word, period) {
            0 => None,
            used => Some(QuotaCount { period: period.number, count: used - 1 }.pack()),
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Counts what was used, however much that is.
    pub(super) fn add(&self, more: u32, period: Period) {
        let add = |word| QuotaCount { period: period.number, count: used(word, period).saturating_add(more) }.pack();
        let mut before = self.0.load(Ordering::Relaxed);
        while let Err(now) = self.0.compare_exchange_weak(before, add(before), Ordering::Relaxed, Ordering::Relaxed) {
            before = now;
        }
    }

    pub(super) fn left(&self, most: u32, period: Period) -> Left {
        let used = used(self.0.load(Ordering::Relaxed), period);
        Left { remaining: most.saturating_sub(used), reset: period.left }
    }

    /// What has been counted in that period.
    pub(super) fn used(&self, period: Period) -> u32 {
        used(self.0.load(Ordering::Relaxed), period)
    }

    /// What has been counted in the running day or month, if anything.
    pub(super) fn read(&self, now: Timestamp) -> Option<QuotaCount> {
        let counted = QuotaCount::unpack(self.0.load(Ordering::Relaxed));
        (counted.count > 0 && counted.is_current(now)).then_some(counted)
    }

    /// Adds what was counted elsewhere, unless another day or month has begun here.
    pub(super) fn add_counted(&self, more: QuotaCount, now: Timestamp) {
        let sum = |word| {
            let here = QuotaCount::unpack(word);
            match here.period == more.period {
                true => QuotaCount { count: here.count.saturating_add(more.count), ..more },
                false if here.count > 0 && here.is_current(now) => here,
                false => more,
            }
            .pack()
        };
        let mut before = self.0.load(Ordering::Relaxed);
        while let Err(now) = self.0.compare_exchange_weak(before, sum(before), Ordering::Relaxed, Ordering::Relaxed) {
            before = now;
        }
    }

    pub(super) fn restore(&self, counted: QuotaCount) {
        self.0.store(counted.pack(), Ordering::Relaxed);
    }
}

fn used(word: u64, period: Period) -> u32 {
    let counted = QuotaCount::unpack(word);
    if counted.period == period.number { counted.count } else { 0 }
}

#[cfg(test)]
mod tests;
