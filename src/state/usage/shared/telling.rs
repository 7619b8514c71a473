//! Tells the store what this replica has counted, and all of it again when the store may have forgotten something.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::record::UsageRecord;
use super::{RecordId, SharedUsage, TellingKind, names};
use crate::state::valkey::{CallClass, Calls};

/// Between two attempts, when nothing is counted.
const EVERY: Duration = Duration::from_secs(1);
/// How long a record is kept after it was last written.
const KEPT: Duration = Duration::from_hours(400 * 24);
/// A replica that has said nothing of a record for so long is gone.
const GONE: Duration = Duration::from_hours(24);
/// A record is told again after this at the latest, a few at a time: the store may have lost it without a sign.
const AGAIN: Duration = Duration::from_mins(15);
const AGAIN_AT_ONCE: usize = 200;
/// Calls at the same time, and ids in one.
const AT_ONCE: usize = 16;
const IDS: usize = 500;

pub(super) fn begin(usage: &Arc<SharedUsage>) {
    let usage = Arc::clone(usage);
    let store = Arc::clone(&usage.store);
    store.submit(|calls| async move {
        let health = usage.store.health();
        let seen = || (health.clock().jumps(), health.losses());
        let mut before = seen();
        loop {
            let ends = tokio::select! {
                () = calls.closed() => true,
                _ = tokio::time::timeout(EVERY, usage.counted.notified()) => false,
            };
            let now = seen();
            // It may have begun anew.
            usage.remind(std::mem::replace(&mut before, now) != now);
            if health.is_up() {
                usage.tell(&calls, ends).await;
            }
            if ends {
                return;
            }
        }
    });
}

impl SharedUsage {
    /// What is told again though nothing was counted.
    fn remind(&self, all: bool) {
        let (mut table, now) = (self.table(), Instant::now());
        let old = table.records.values_mut().filter(|record| all || record.is_older_than(AGAIN, now));
        old.take(if all { usize::MAX } else { AGAIN_AT_ONCE }).for_each(UsageRecord::tell_all);
    }

    /// `ends`: this replica counts nothing any more.
    async fn tell(self: &Arc<Self>, calls: &Calls, ends: bool) {
        let due = self.table().due(ends);
        self.list(calls, due.iter().map(|(id, _)| id)).await;
        let mut work = JoinSet::new();
        for (id, kind) in due {
            if work.len() >= AT_ONCE {
                let _ = work.join_next().await;
            }
            if !self.store.is_up() {
                break;
            }
            let (this, calls) = (Arc::clone(self), calls.clone());
            work.spawn(async move { this.tell_of(&calls, &id, kind).await });
        }
        while work.join_next().await.is_some() {}
    }

    /// Puts keys into the index of their month.
    async fn list(&self, calls: &Calls, ids: impl Iterator<Item = &Arc<RecordId>>) {
        let mut months: Vec<(&str, Vec<&Arc<RecordId>>)> = Vec::new();
        {
            let table = self.table();
            for id in ids.filter(|id| table.records.get(*id).is_some_and(|record| !record.is_listed)) {
                match months.iter_mut().find(|(month, _)| *month == &*id.month) {
                    Some((_, ids)) => ids.push(id),
                    None => months.push((&id.month, vec![id])),
                }
            }
        }
        for (month, ids) in months {
            for ids in ids.chunks(IDS) {
                let keys = [names::index(&self.store.prefix, month)];
                let mut script = self.scripts.index.call();
                script.key(&keys).arg(KEPT.as_secs());
                for id in ids {
                    script.arg(&*id.key);
                }
                if calls.run::<u8>(CallClass::Background, "usage", &keys, &script).await.is_err() {
                    return;
                }
                let mut table = self.table();
                for id in ids {
                    if let Some(record) = table.records.get_mut(*id) {
                        record.is_listed = true;
                    }
                }
            }
        }
    }

    async fn tell_of(&self, calls: &Calls, id: &RecordId, kind: TellingKind) {
        let leaves = kind == TellingKind::LastTotals;
        loop {
            let told = match self.table().records.get_mut(id) {
                Some(record) => record.told(&self.store.replica, Instant::now()),
                None => return,
            };
            let keys = [names::record(&self.store.prefix, id)];
            let mut script = self.scripts.tell.call();
            script.key(&keys).arg(&*told.name).arg(told.call).arg(told.answered);
            script.arg(self.store.health().clock().expected()).arg(KEPT.as_secs()).arg(GONE.as_secs());
            script.arg(u8::from(leaves));
            for (row, used) in &told.rows {
                script.arg(&**row).arg(used.to_string());
            }
            let lacks = calls.run::<bool>(CallClass::Background, "usage", &keys, &script).await;
            let mut table = self.table();
            // Who may have left already does not come back: others find its rows, if they are there still.
            if leaves && !matches!(lacks, Ok(true)) {
                table.records.remove(id);
                return;
            }
            let Ok(lacks) = lacks else { return };
            if let Some(record) = table.records.get_mut(id) {
                record.heard(&told, lacks, Instant::now());
            }
            if !lacks {
                return;
            }
        }
    }
}
