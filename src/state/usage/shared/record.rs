//! What this replica has counted of one key in a month, by chatflow and by day, and how much of it the store knows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::state::usage::totals::{UsageDay, UsageTotals};

/// Before the name of a chatflow.
pub(super) const CHATFLOW: &str = "c:";
/// Before the number of a day.
pub(super) const DAY: &str = "d:";
/// Others take a replica that has said nothing for a day for gone, and add up what it has counted. One that was cut off for
/// longer than this goes on under another name.
const FORGOTTEN: Duration = Duration::from_hours(12);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct UsageRecord {
    rows: BTreeMap<Box<str>, UsageRow>,
    /// How often it went on under another name.
    names: u32,
    /// Calls that were made, and the number of the last one that was answered; 0: the store may know nothing.
    calls: u64,
    answered: u64,
    answered_at: Option<Instant>,
    /// All rows are told the next time, be they known or not.
    is_whole: bool,
    /// It is in the month's index.
    pub(super) is_listed: bool,
}

#[derive(Debug, Default)]
struct UsageRow {
    own: UsageTotals,
    said: UsageTotals,
}

/// What the store is told.
#[derive(Debug)]
pub(super) struct ReportedRows {
    /// By which the replica goes in this record.
    pub(super) name: String,
    pub(super) call: u64,
    pub(super) answered: u64,
    pub(super) rows: Vec<(Box<str>, UsageTotals)>,
}

/// The row of a chatflow.
pub(super) fn chatflow_row(chatflow: &str) -> String {
    format!("{CHATFLOW}{chatflow}")
}

/// The row of a day of the record's month.
pub(super) fn day_row(day: &UsageDay) -> String {
    format!("{DAY}{}", day.of_month())
}

impl UsageRecord {
    pub(super) fn add(&mut self, row: &str, used: UsageTotals) {
        match self.rows.get_mut(row) {
            Some(row) => row.own += used,
            None => self.rows.entry(row.into()).or_default().own += used,
        }
    }

    /// Of rows with such names.
    pub(super) fn sum(&self, is_meant: impl Fn(&str) -> bool) -> UsageTotals {
        let mut sum = UsageTotals::default();
        for (_, row) in self.rows.iter().filter(|(name, _)| is_meant(name)) {
            sum += row.own;
        }
        sum
    }

    /// By which this replica goes; what it has counted under an earlier name, it counts no more.
    pub(super) fn name(&self, replica: &str) -> String {
        if self.names == 0 { replica.to_owned() } else { format!("{replica}.{}", self.names) }
    }

    /// All of it is told again.
    pub(super) fn tell_all(&mut self) {
        (self.is_whole, self.is_listed) = (true, false);
    }

    /// Whether it is longer ago that the store heard of it.
    pub(super) fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now.saturating_duration_since(at) >= age)
    }

    pub(super) fn is_owed(&self) -> bool {
        self.is_whole || !self.is_listed || self.rows.values().any(|row| row.own != row.said)
    }

    /// What to tell; `replica`: this one's name.
    pub(super) fn told(&mut self, replica: &str, now: Instant) -> ReportedRows {
        if self.is_older_than(FORGOTTEN, now) {
            self.names += 1;
            (self.answered, self.answered_at) = (0, None);
            for row in self.rows.values_mut() {
                row.own = row.own.without(row.said);
                row.said = UsageTotals::default();
            }
        }
        self.calls += 1;
        let name = self.name(replica);
        let rows = self.rows.iter().filter(|(_, row)| self.is_whole || row.own != row.said);
        let rows = rows.map(|(name, row)| (name.clone(), row.own)).collect();
        ReportedRows { name, call: self.calls, answered: self.answered, rows }
    }

    /// The store knows that; `lacks`: but not what it was told before.
    pub(super) fn heard(&mut self, told: &ReportedRows, lacks: bool, now: Instant) {
        for (name, used) in &told.rows {
            if let Some(row) = self.rows.get_mut(name) {
                row.said = *used;
            }
        }
        (self.answered, self.answered_at) = (told.call, Some(now));
        self.is_whole = false;
        if lacks {
            self.tell_all();
        }
    }
}

#[cfg(test)]
mod tests;
