//! What was used, by day and month of UTC, key and chatflow.

use std::collections::BTreeMap;

use super::totals::{UsageDay, UsageTotals};

/// What was used where there is no chatflow.
pub(super) const NO_CHATFLOW: &str = "-";
/// How many days and months are remembered.
const MOST_DAYS: usize = 62;
const MOST_MONTHS: usize = 24;
/// Rows of all days together, of 100 bytes more or less; the oldest days give way to newer ones.
const MOST_ROWS: usize = 200_000;

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
        add(&mut self.days, day.as_str(), key, chatflow, used);
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
        self.days.get(day.as_str()).into_iter().flat_map(rows)
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
mod tests;
