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
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_days_and_months_of_utc() {
        for (per, now, number, left) in [
            (QuotaPeriod::Day, "2026-11-23T00:00:00Z", 20_261_123, 86_400),
            (QuotaPeriod::Day, "2026-11-23T23:59:59.9Z", 20_261_123, 1),
            (QuotaPeriod::Day, "2026-11-24T01:00:00+02:00", 20_261_123, 3600),
            (QuotaPeriod::Month, "2026-11-30T23:59:59Z", 202_611, 1),
            (QuotaPeriod::Month, "2026-11-01T00:00:00Z", 202_611, 30 * 86_400),
            (QuotaPeriod::Month, "2028-02-28T12:00:00Z", 202_802, 86_400 + 43_200),
            (QuotaPeriod::Month, "2026-12-31T23:59:58Z", 202_612, 2),
        ] {
            assert_eq!(Period::of(per, at(now)), Period { number, left }, "{now}");
        }
    }

    #[test]
    fn a_quota_is_used_up_and_starts_anew() {
        let count = QuotaCounter::default();
        let monday = Period::of(QuotaPeriod::Day, at("2026-11-23T23:59:50Z"));
        assert_eq!(count.charge(2, monday), Ok(Left { remaining: 1, reset: 10 }));
        assert_eq!(count.charge(2, monday), Ok(Left { remaining: 0, reset: 10 }));
        assert_eq!(count.charge(2, monday), Err(Left { remaining: 0, reset: 10 }));
        // Another number for the same period counts on, be it larger or smaller.
        assert_eq!(count.charge(3, monday), Ok(Left { remaining: 0, reset: 10 }));
        assert_eq!(count.charge(1, monday), Err(Left { remaining: 0, reset: 10 }));
        assert_eq!(count.left(5, monday).remaining, 2);
        let tuesday = Period::of(QuotaPeriod::Day, at("2026-11-24T00:00:00Z"));
        assert_eq!(count.left(2, tuesday).remaining, 2);
        assert_eq!(count.charge(2, tuesday), Ok(Left { remaining: 1, reset: 86_400 }));
    }

    #[test]
    fn what_was_used_is_counted_beyond_the_limit_and_never_wraps() {
        let count = QuotaCounter::default();
        let monday = Period::of(QuotaPeriod::Day, at("2026-11-23T12:00:00Z"));
        count.add(7, monday);
        assert_eq!(count.left(10, monday).remaining, 3);
        count.add(9, monday);
        assert_eq!((count.left(10, monday).remaining, count.left(20, monday).remaining), (0, 4));
        count.add(u32::MAX, monday);
        assert_eq!(count.left(u32::MAX, monday).remaining, 0);
        count.add(1, Period::of(QuotaPeriod::Day, at("2026-11-24T12:00:00Z")));
        assert_eq!(count.left(10, monday).remaining, 10, "another day has begun");
    }

    #[test]
    fn only_what_still_counts_is_kept() {
        let count = QuotaCounter::default();
        assert_eq!(count.read(at("2026-11-23T10:00:00Z")), None);
        let _ = count.charge(9, Period::of(QuotaPeriod::Day, at("2026-11-23T10:00:00Z")));
        let kept = count.read(at("2026-11-23T23:00:00Z")).unwrap();
        assert_eq!(serde_json::to_string(&kept).unwrap(), r#"{"period":20261123,"count":1}"#);
        assert_eq!(count.read(at("2026-11-24T00:00:00Z")), None);
        let other = QuotaCounter::default();
        other.restore(kept);
        assert_eq!(other.left(9, Period::of(QuotaPeriod::Day, at("2026-11-23T11:00:00Z"))).remaining, 8);
    }

    #[test]
    fn what_another_process_counted_is_added_once() {
        let now = at("2026-11-23T10:00:00Z");
        let today = Period::of(QuotaPeriod::Day, now);
        let [before, after] = [3, 5].map(|count| QuotaCount::new(today, count));
        assert_eq!(after.since(Some(before)), Some(QuotaCount::new(today, 2)));
        assert_eq!((before.since(Some(before)), before.since(None)), (None, Some(before)));
        let yesterday = QuotaCount { period: 20_261_122, count: 9 };
        assert_eq!(after.since(Some(yesterday)), Some(after), "another day");
        let here = QuotaCounter::default();
        here.add_counted(before, now);
        here.add_counted(before, now);
        here.add_counted(yesterday, now);
        assert_eq!(here.read(now), Some(QuotaCount::new(today, 6)));
    }

    #[test]
    fn threads_count_together_over_the_turn_of_a_period() {
        let count = QuotaCounter::default();
        let days = ["2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"].map(|now| Period::of(QuotaPeriod::Day, at(now)));
        for day in days {
            let granted: usize = std::thread::scope(|scope| {
                let charge = || (0..600).filter(|_| count.charge(1000, day).is_ok()).count();
                [scope.spawn(charge), scope.spawn(charge)].map(|thread| thread.join().unwrap()).iter().sum()
            });
            assert_eq!(granted, 1000);
        }
    }
}
