//! What was used, by day and month of UTC, key and chatflow.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use jiff::Timestamp;
use jiff::tz::Offset;

/// What was used where there is no chatflow.
pub(super) const NO_CHATFLOW: &str = "-";
/// How many days and months are remembered.
const MOST_DAYS: usize = 62;
const MOST_MONTHS: usize = 24;
/// Rows of all days together, of 100 bytes more or less; the oldest days give way to newer ones.
const MOST_ROWS: usize = 200_000;

/// How much was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageTotals {
    pub(crate) requests: u64,
    /// Of these.
    pub(crate) refused: u64,
    /// As models' providers count them.
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
}

/// Four numbers, as the store that replicas share has them.
impl fmt::Display for UsageTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, refused, tokens_in, tokens_out } = self;
        write!(f, "{requests} {refused} {tokens_in} {tokens_out}")
    }
}

impl UsageTotals {
    /// Of the four numbers.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let read = Self { requests: next()?, refused: next()?, tokens_in: next()?, tokens_out: next()? };
        numbers.next().is_none().then_some(read)
    }

    pub(super) fn without(self, less: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(less.requests),
            refused: self.refused.saturating_sub(less.refused),
            tokens_in: self.tokens_in.saturating_sub(less.tokens_in),
            tokens_out: self.tokens_out.saturating_sub(less.tokens_out),
        }
    }
}

impl AddAssign for UsageTotals {
    fn add_assign(&mut self, more: Self) {
        for (sum, more) in [
            (&mut self.requests, more.requests),
            (&mut self.refused, more.refused),
            (&mut self.tokens_in, more.tokens_in),
            (&mut self.tokens_out, more.tokens_out),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A day of UTC as it is written: `2026-11-29`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UsageDay(Box<str>);

impl UsageDay {
    pub(crate) fn of(now: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(now).date().to_string().into())
    }

    /// As it is written: `2026-11`.
    pub(crate) fn month(&self) -> &str {
        self.0.get(..7).unwrap_or_default()
    }

    /// Its number in the month as it is written: `29`.
    pub(super) fn of_month(&self) -> &str {
        self.0.get(8..).unwrap_or_default()
    }
}

#[cfg(test)]
impl From<&str> for UsageDay {
    fn from(day: &str) -> Self {
        Self(day.into())
    }
}

/// By key and chatflow.
type UsageByKey = BTreeMap<Box<str>, BTreeMap<Box<str>, UsageTotals>>;

/// See the module. In the file it is as it stands here.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageHistory {
    days: BTreeMap<Box<str>, UsageByKey>,
    months: BTreeMap<Box<str>, UsageByKey>,
}

impl UsageHistory {
    pub(crate) fn is_empty(&self) -> bool {
        self.days.is_empty() && self.months.is_empty()
    }

    pub(crate) fn add(&mut self, day: &UsageDay, key: &str, chatflow: &str, used: UsageTotals) {
        add(&mut self.days, &day.0, key, chatflow, used);
        add(&mut self.months, day.month(), key, chatflow, used);
    }

    /// Adds to a month alone, as it is written.
    pub(super) fn add_to_month(&mut self, month: &str, key: &str, chatflow: &str, used: UsageTotals) {
        add(&mut self.months, month, key, chatflow, used);
    }

    /// Adds to a day alone, as it is written, what was used of all chatflows.
    pub(super) fn add_to_day(&mut self, day: &str, key: &str, used: UsageTotals) {
        add(&mut self.days, day, key, NO_CHATFLOW, used);
    }

    /// Adds all that is in another one.
    pub(crate) fn merge(&mut self, other: Self) {
        for (all, others) in [(&mut self.days, other.days), (&mut self.months, other.months)] {
            for (date, page) in others {
                for (key, chatflow, used) in rows(&page) {
                    add(all, &date, key, chatflow, used);
                }
            }
        }
    }

    /// Forgets what is too old, or too much.
    pub(crate) fn trim(&mut self) {
        while self.months.len() > MOST_MONTHS {
            self.months.pop_first();
        }
        let size = |page: &UsageByKey| page.values().map(BTreeMap::len).sum::<usize>();
        let mut all: usize = self.days.values().map(size).sum();
        while self.days.len() > MOST_DAYS || (all > MOST_ROWS && self.days.len() > 1) {
            all -= self.days.pop_first().map_or(0, |(_, page)| size(&page));
        }
    }

    /// Key, chatflow, and what was used.
    pub(crate) fn of_day(&self, day: &UsageDay) -> impl Iterator<Item = (&str, &str, UsageTotals)> {
        self.days.get(&day.0).into_iter().flat_map(rows)
    }

    /// The same of a month as it is written.
    pub(crate) fn of_month(&self, month: &str) -> impl Iterator<Item = (&str, &str, UsageTotals)> {
        self.months.get(month).into_iter().flat_map(rows)
    }

    /// What a key has used on each day of that month of which it is known.
    pub(crate) fn days_of(&self, month: &str, key: &str) -> Vec<(&str, UsageTotals)> {
        let days = self.days.iter().filter(|(day, _)| day.starts_with(month));
        let days = days.filter_map(|(day, page)| Some((&**day, page.get(key)?.values())));
        let sum = |mut sum: UsageTotals, used: &UsageTotals| {
            sum += *used;
            sum
        };
        days.map(|(day, totals)| (day, totals.fold(UsageTotals::default(), sum))).collect()
    }
}

fn add(all: &mut BTreeMap<Box<str>, UsageByKey>, date: &str, key: &str, chatflow: &str, used: UsageTotals) {
    // Nothing is allocated for a row that is there.
    if let Some(row) = all.get_mut(date).and_then(|page| page.get_mut(key)?.get_mut(chatflow)) {
        *row += used;
        return;
    }
    let page = all.entry(date.into()).or_default();
    *page.entry(key.into()).or_default().entry(chatflow.into()).or_default() += used;
}

fn rows(page: &UsageByKey) -> impl Iterator<Item = (&str, &str, UsageTotals)> {
    page.iter().flat_map(|(key, chatflows)| chatflows.iter().map(|(chatflow, used)| (&**key, &**chatflow, *used)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(requests: u64) -> UsageTotals {
        UsageTotals { requests, tokens_in: 7, ..UsageTotals::default() }
    }

    #[test]
    fn totals_are_read_as_they_are_written() {
        let totals = UsageTotals { requests: 1, refused: 0, tokens_in: u64::MAX, tokens_out: 3 };
        assert_eq!(UsageTotals::read(&totals.to_string()), Some(totals));
        for text in ["", "1 2 3", "1 2 3 4 5", "1 2 3 -4", "1 2 3 x", "1  2 3 4"] {
            assert_eq!(UsageTotals::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_one_of_utc() {
        let day = UsageDay::of("2026-12-01T00:30:00+01:00".parse().unwrap());
        assert_eq!((&day, day.month()), (&"2026-11-30".into(), "2026-11"));
    }

    #[test]
    fn days_add_up_to_months() {
        let (mut history, mut other) = (UsageHistory::default(), UsageHistory::default());
        history.add(&"2026-11-28".into(), "a", "x", used(1));
        other.add(&"2026-11-28".into(), "a", "y", used(2));
        other.add(&"2026-11-29".into(), "a", "x", used(4));
        other.add(&"2026-12-01".into(), "a", "x", used(8));
        history.merge(other);
        let month: Vec<_> = history.of_month("2026-11").map(|(_, chatflow, used)| (chatflow, used.requests)).collect();
        assert_eq!(month, [("x", 5), ("y", 2)]);
        let days: Vec<_> = history
            .days_of("2026-11", "a")
            .into_iter()
            .map(|(day, used)| (day, used.requests, used.tokens_in))
            .collect();
        assert_eq!(days, [("2026-11-28", 3, 14), ("2026-11-29", 4, 7)]);
        assert!(history.days_of("2026-11", "b").is_empty());
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<UsageHistory>(&text).unwrap(), history);
    }

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let mut history = UsageHistory::default();
        for month in 1..=12 {
            for year in 2024..=2026 {
                for day in 1..=28 {
                    history.add(&(&*format!("{year}-{month:02}-{day:02}")).into(), "a", "x", used(1));
                }
            }
        }
        history.trim();
        assert_eq!((history.days.len(), history.months.len()), (MOST_DAYS, MOST_MONTHS));
        assert_eq!(history.months.first_key_value().unwrap().0.as_ref(), "2025-01");
        for key in 0..MOST_ROWS {
            history.add(&"2026-12-31".into(), &key.to_string(), "x", used(1));
        }
        history.trim();
        assert_eq!((history.days.len(), history.months.len()), (1, MOST_MONTHS), "the running day is kept");
    }
}
