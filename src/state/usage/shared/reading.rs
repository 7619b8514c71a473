//! What all replicas have counted: for a caller who asks, and for the command.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use redis::{FromRedisValue, RedisResult};
use tokio::task::JoinSet;

use super::record::{CHATFLOW, DAY};
use super::{RecordId, SharedUsage, StoredRows, names};
use crate::config::Valkey;
use crate::state::usage::history::UsageHistory;
use crate::state::usage::totals::UsageTotals;
use crate::state::valkey::{self, CallClass, Calls, Link};

/// Records that are read at the same time.
const AT_ONCE: usize = 32;

/// Answers whoever asks, one call for all who ask of the same key.
pub(super) fn begin(usage: &Arc<SharedUsage>) {
    let usage = Arc::clone(usage);
    let store = Arc::clone(&usage.store);
    store.submit(|calls| async move {
        let mut work = JoinSet::new();
        loop {
            tokio::select! {
                () = calls.closed() => return,
                () = usage.wanted.notified(), if work.len() < AT_ONCE => {}
                Some(_) = work.join_next() => {}
            }
            let asked = std::mem::take(&mut *usage.asked.lock().unwrap_or_else(PoisonError::into_inner));
            for (key, answers) in asked {
                let (usage, calls) = (Arc::clone(&usage), calls.clone());
                work.spawn(async move {
                    if let Some(rows) = usage.read(&calls, key).await.map(Arc::new) {
                        for answer in answers {
                            let _ = answer.send(Arc::clone(&rows));
                        }
                    }
                });
            }
        }
    });
}

impl SharedUsage {
    async fn read(&self, calls: &Calls, key: Box<str>) -> Option<StoredRows> {
        let id = RecordId { month: self.table().day.month().into(), key };
        let mut script = self.scripts.read.call();
        let keys = [names::record(&self.store.prefix, &id)];
        script.key(&keys);
        calls.run(CallClass::Background, "usage", &keys, &script).await.ok().map(rows)
    }
}

/// What all replicas have counted in a month as it is written, of one key or of all; `Err`: why it cannot be read.
pub(crate) fn read_shared(store: &Valkey, month: &str, only: Option<&str>) -> Result<UsageHistory, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let read = runtime.block_on(async {
        let link = valkey::connect(store).await?;
        read_over(&link, store, month, only).await.map_err(|error| valkey::reason(&error))
    });
    read.map_err(|why| format!("{}: {why}", store.place()))
}

async fn read_over(link: &Link, store: &Valkey, month: &str, only: Option<&str>) -> RedisResult<UsageHistory> {
    let keys: Vec<String> = match only {
        Some(key) => vec![key.to_owned()],
        None => ask(link.clone(), "SMEMBERS", names::index(&store.prefix, month)).await?,
    };
    let (mut history, mut work) = (UsageHistory::default(), JoinSet::new());
    let mut keys = keys.into_iter();
    loop {
        if work.len() < AT_ONCE
            && let Some(key) = keys.next()
        {
            let id = RecordId { month: month.into(), key: key.into() };
            let (link, name) = (link.clone(), names::record(&store.prefix, &id));
            work.spawn(async move { (id, ask::<HashMap<String, String>>(link, "HGETALL", name).await) });
            continue;
        }
        let Some(read) = work.join_next().await else { return Ok(history) };
        // A panic there would be one here.
        let Ok((id, record)) = read else { continue };
        for (_, row, used) in rows(record?) {
            if let Some(chatflow) = row.strip_prefix(CHATFLOW) {
                history.add_to_month(month, &id.key, chatflow, used);
            } else if let Some(day) = row.strip_prefix(DAY) {
                history.add_to_day(&format!("{month}-{day}"), &id.key, used);
            }
        }
    }
}

async fn ask<T: FromRedisValue>(mut link: Link, command: &str, key: String) -> RedisResult<T> {
    redis::cmd(command).arg(key).query_async(&mut link).await
}

/// What cannot be read is another release's.
fn rows(record: HashMap<String, String>) -> StoredRows {
    let row = |(name, used): (String, String)| {
        let (of, row) = name.split_once(':')?;
        Some((of.to_owned(), row.to_owned(), UsageTotals::read(&used)?))
    };
    record.into_iter().filter_map(row).collect()
}
