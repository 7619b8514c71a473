//! What keys use, in the store that replicas share.
//!
//! | file | what it is |
//! |---|---|
//! | [`record`] | what this replica has counted of one key in a month |
//! | [`telling`] | the store is told of it, once a second |
//! | [`reading`] | what all replicas have counted |
//! | [`names`] | names in the store |
//!
//! Each replica writes its own totals, not what was added to them, so that whatever is told again counts once, and all that
//! the store forgets can be told again. A record is a hash: one for each key and month, with rows by chatflow and by day
//! for each replica. One that ends, or has a new month, adds its rows to those of all that are gone; so do others for it
//! when it has said nothing for a day.

mod names;
mod reading;
mod record;
mod telling;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

pub(crate) use reading::read_shared;

use super::totals::{UsageDay, UsageTotals};
use crate::config::QuotaPeriod;
use crate::state::valkey::{SharedStore, StoreScript};
use record::UsageRecord;

/// See the module. One for the process.
#[derive(Debug)]
pub(super) struct SharedUsage {
    store: Arc<SharedStore>,
    scripts: UsageScripts,
    records: Mutex<RecordTable>,
    /// Something was counted.
    counted: Notify,
    /// Who wants to know of a key.
    asked: Mutex<HashMap<Box<str>, Vec<RowsAsked>>>,
    /// Somebody does.
    wanted: Notify,
}

#[derive(Debug)]
struct UsageScripts {
    tell: StoreScript,
    index: StoreScript,
    read: StoreScript,
}

/// Of the running month, and of an earlier one until the store knows all of it.
#[derive(Debug, Default)]
struct RecordTable {
    day: UsageDay,
    records: HashMap<Arc<RecordId>, UsageRecord>,
}

/// A month as it is written, and a key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RecordId {
    month: Box<str>,
    key: Box<str>,
}

/// Rows of a record: who has counted it, the row's name, and how much.
type StoredRows = Vec<(String, String, UsageTotals)>;
type RowsAsked = oneshot::Sender<Arc<StoredRows>>;

impl SharedUsage {
    /// Begins to tell the store.
    pub(super) fn start(store: &Arc<SharedStore>) -> Arc<Self> {
        let usage = Arc::new(Self {
            store: Arc::clone(store),
            scripts: UsageScripts {
                tell: StoreScript::new(include_str!("shared/tell.lua")),
                index: StoreScript::new(include_str!("shared/index.lua")),
                read: StoreScript::new("return redis.call('HGETALL', KEYS[1])"),
            },
            records: Mutex::default(),
            counted: Notify::new(),
            asked: Mutex::default(),
            wanted: Notify::new(),
        });
        telling::begin(&usage);
        reading::begin(&usage);
        usage
    }

    /// Adds what was used. The store is told when it is [`flush`](Self::flush)ed.
    pub(super) fn add(&self, day: &UsageDay, key: &str, chatflow: &str, used: UsageTotals) {
        let mut table = self.table();
        if table.day != *day {
            table.day = day.clone();
        }
        let id = RecordId { month: day.month().into(), key: key.into() };
        let record = table.records.entry(Arc::new(id)).or_default();
        record.add(&record::chatflow_row(chatflow), used);
        record.add(&record::day_row(day), used);
    }

    /// What was added is told now. To be called about once a second.
    pub(super) fn flush(&self, day: &UsageDay) {
        let mut table = self.table();
        if table.day != *day {
            table.day = day.clone();
        }
        drop(table);
        self.counted.notify_one();
    }

    /// What this replica has counted of a key in the running day or month.
    pub(super) fn own(&self, key: &str, per: QuotaPeriod) -> UsageTotals {
        let table = self.table();
        let is_meant = row_filter(per, &table.day);
        table.record(key).map_or_else(UsageTotals::default, |record| record.sum(is_meant))
    }

    /// What others have counted of it, as the store says within the time for which a request may wait.
    pub(super) async fn others(&self, key: &str, per: QuotaPeriod) -> UsageTotals {
        let (answer, told) = oneshot::channel();
        if self.store.is_up() {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(key.into()).or_default().push(answer);
            self.wanted.notify_one();
        }
        let Ok(Ok(rows)) = tokio::time::timeout(self.store.timeout, told).await else {
            return UsageTotals::default();
        };
        let table = self.table();
        let mine = table.record(key).map(|record| record.name(&self.store.replica));
        let is_meant = row_filter(per, &table.day);
        let mut sum = UsageTotals::default();
        for (of, row, used) in rows.iter() {
            if mine.as_ref() != Some(of) && is_meant(row) {
                sum += *used;
            }
        }
        sum
    }

    /// A panic under the lock leaves totals that are told as they are.
    fn table(&self) -> MutexGuard<'_, RecordTable> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordTable {
    /// Of the running month.
    fn record(&self, key: &str) -> Option<&UsageRecord> {
        self.records.get(&RecordId { month: self.day.month().into(), key: key.into() })
    }

    /// Records of which the store is told; `ends`: this replica counts nothing any more.
    fn due(&self, ends: bool) -> Vec<(Arc<RecordId>, TellingKind)> {
        let month = self.day.month();
        let due = self.records.iter().filter_map(|(id, record)| {
            let kind = match record.is_owed() {
                // Nothing is added to a month that is over. It is left in a call of its own, which may be lost.
                false if ends || *id.month != *month => TellingKind::LastTotals,
                true if ends => TellingKind::LastTotals,
                true => TellingKind::Totals,
                false => return None,
            };
            Some((Arc::clone(id), kind))
        });
        due.collect()
    }
}

/// What is to be told of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TellingKind {
    Totals,
    /// And that nothing more will come.
    LastTotals,
}

/// The rows of a day, or those that make up its month.
fn row_filter(per: QuotaPeriod, day: &UsageDay) -> impl Fn(&str) -> bool + use<> {
    let today = record::day_row(day);
    move |row| match per {
        QuotaPeriod::Day => row == today,
        QuotaPeriod::Month => row.starts_with(record::CHATFLOW),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn due(table: &RecordTable, ends: bool) -> Vec<(&'static str, TellingKind)> {
        let name = |month: &str| if month == "2026-11" { "old" } else { "new" };
        let mut due: Vec<_> = table.due(ends).iter().map(|(id, kind)| (name(&id.month), *kind)).collect();
        due.sort_unstable_by_key(|(name, _)| *name);
        due
    }

    fn tell(table: &mut RecordTable) {
        for record in table.records.values_mut() {
            record.is_listed = true;
            let (told, now) = (record.told("me", Instant::now()), Instant::now());
            record.heard(&told, false, now);
        }
    }

    #[test]
    fn a_month_is_left_when_it_is_over_and_all_of_it_is_told() {
        let mut table = RecordTable { day: "2026-11-30".into(), ..RecordTable::default() };
        let add = |table: &mut RecordTable, month: &str| {
            let id = RecordId { month: month.into(), key: "app".into() };
            let used = UsageTotals { requests: 1, ..UsageTotals::default() };
            table.records.entry(Arc::new(id)).or_default().add("c:x", used);
        };
        add(&mut table, "2026-11");
        assert_eq!(due(&table, false), [("old", TellingKind::Totals)]);
        tell(&mut table);
        assert_eq!(due(&table, false), []);
        add(&mut table, "2026-11");
        table.day = "2026-12-01".into();
        add(&mut table, "2026-12");
        assert_eq!(due(&table, false), [("new", TellingKind::Totals), ("old", TellingKind::Totals)]);
        tell(&mut table);
        assert_eq!(due(&table, false), [("old", TellingKind::LastTotals)]);
        add(&mut table, "2026-12");
        assert_eq!(due(&table, true), [("new", TellingKind::LastTotals), ("old", TellingKind::LastTotals)]);
    }
}
