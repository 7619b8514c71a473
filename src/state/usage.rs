//! What callers have used: requests, refusals, and tokens of models, by key and chatflow.
//!
//! | file | what it is |
//! |---|---|
//! | [`counter`] | what was used since it was last drained, as the requests of one policy find it |
//! | [`history`] | days and months |
//! | [`totals`] | how much, and on which day |
//! | [`mod@file`] | the history on disk |
//! | [`shared`] | the same of all replicas, in the store |
//!
//! A request adds to one counter: no lock, and nothing is allocated but once for each key and chatflow that come
//! together. Once a second the counters are drained, and what was in them is told to whoever keeps it: the history of this
//! process's folder, and the store.

mod counter;
mod file;
mod history;
mod shared;
mod totals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use counter::BoundUsage;
pub(crate) use file::{UsageFile, read};
pub(crate) use history::UsageHistory;
pub(crate) use shared::read_shared;
pub(crate) use totals::{UsageDay, UsageTotals};

use crate::config::QuotaPeriod;
use crate::keys::KeyStore;
use crate::state::maybe_future::MaybeFuture;
use crate::state::valkey::SharedStore;
use counter::UsageCounter;
use shared::SharedUsage;

/// Whose use it is where there is no key.
const ANONYMOUS: &str = "anonymous";

/// See the module. One for the process.
#[derive(Debug, Default)]
pub(crate) struct UsageState {
    known: Arc<KnownCounters>,
}

/// Counters by key and chatflow: as many as have met.
#[derive(Debug, Default)]
struct KnownCounters {
    table: Mutex<CounterTable>,
    /// `None`: this process is alone.
    shared: Option<Arc<SharedUsage>>,
}

#[derive(Debug, Default)]
struct CounterTable {
    /// The day of what was drained last.
    day: UsageDay,
    keys: HashMap<Box<str>, HashMap<Box<str>, CounterEntry>>,
}

#[derive(Debug, Default)]
struct CounterEntry {
    counter: Arc<UsageCounter>,
    /// What was drained in the running day and month.
    today: UsageTotals,
    month: UsageTotals,
}

impl UsageState {
    /// Of one of the replicas that use that store.
    pub(crate) fn shared_in(store: &Arc<SharedStore>) -> Self {
        let shared = Some(SharedUsage::start(store));
        Self { known: Arc::new(KnownCounters { shared, ..KnownCounters::default() }) }
    }

    /// The counters of a policy that comes into force; `others`: who is counted beside its keys, `chatflows`: the names of
    /// its chatflows, both as they are indexed.
    pub(crate) fn bind(
        &self,
        keys: &Arc<KeyStore>,
        others: impl Iterator<Item = Arc<str>>,
        chatflows: impl Iterator<Item = Arc<str>>,
    ) -> BoundUsage {
        BoundUsage::new(Arc::clone(&self.known), (Arc::clone(keys), others.collect()), chatflows.collect())
    }

    /// Calls `tell` with what was used since the last call, by key and chatflow. To be called about once a second.
    pub(crate) fn drain(&self, day: &UsageDay, mut tell: impl FnMut(&str, &str, UsageTotals)) {
        let mut table = self.known.table();
        table.turn(day);
        for (key, chatflows) in &mut table.keys {
            for (chatflow, entry) in chatflows {
                let used = entry.counter.take();
                if used != UsageTotals::default() {
                    entry.today += used;
                    entry.month += used;
                    tell(key, chatflow, used);
                    if let Some(shared) = &self.known.shared {
                        shared.add(day, key, chatflow, used);
                    }
                }
            }
        }
        if let Some(shared) = &self.known.shared {
            shared.flush(day);
        }
    }

    /// Takes up what was counted of the running day and month before a restart.
    pub(crate) fn restore(&self, history: &UsageHistory, day: &UsageDay) {
        let mut table = self.known.table();
        table.turn(day);
        for (key, chatflow, used) in history.of_day(day) {
            table.entry(key, chatflow).today += used;
        }
        for (key, chatflow, used) in history.of_month(day.month()) {
            table.entry(key, chatflow).month += used;
        }
    }
}

impl KnownCounters {
    /// The counter of a key and a chatflow, from now on if not before.
    fn counter(&self, key: &str, chatflow: &str) -> Arc<UsageCounter> {
        Arc::clone(&self.table().entry(key, chatflow).counter)
    }

    /// What a key has used in the running day or month; later, of all replicas.
    fn of_key(self: &Arc<Self>, key: &str, per: QuotaPeriod) -> MaybeFuture<UsageTotals> {
        let Some(shared) = &self.shared else { return MaybeFuture::Now(self.of_key_here(key, per)) };
        let (this, shared, key) = (Arc::clone(self), Arc::clone(shared), Box::<str>::from(key));
        MaybeFuture::Later(Box::pin(async move {
            let mut sum = shared.others(&key, per).await;
            // Under one lock: what is drained meanwhile would be in both, or in neither.
            let table = this.table();
            for entry in table.keys.get(&key).into_iter().flat_map(HashMap::values) {
                sum += entry.counter.look();
            }
            sum += shared.own(&key, per);
            sum
        }))
    }

    fn of_key_here(&self, key: &str, per: QuotaPeriod) -> UsageTotals {
        let table = self.table();
        let mut sum = UsageTotals::default();
        for entry in table.keys.get(key).into_iter().flat_map(HashMap::values) {
            sum += entry.counter.look();
            sum += match per {
                QuotaPeriod::Day => entry.today,
                QuotaPeriod::Month => entry.month,
            };
        }
        sum
    }

    /// A panic under the lock leaves a table of which each entry is good.
    fn table(&self) -> MutexGuard<'_, CounterTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CounterTable {
    fn entry(&mut self, key: &str, chatflow: &str) -> &mut CounterEntry {
        self.keys.entry(key.into()).or_default().entry(chatflow.into()).or_default()
    }

    /// Begins a day. Whom no policy knows and who has used nothing in the running month is forgotten then.
    fn turn(&mut self, day: &UsageDay) {
        if self.day == *day {
            return;
        }
        let is_new_month = self.day.month() != day.month();
        self.day = day.clone();
        for entry in self.keys.values_mut().flat_map(HashMap::values_mut) {
            entry.today = UsageTotals::default();
            if is_new_month {
                entry.month = UsageTotals::default();
            }
        }
        self.keys.retain(|_, chatflows| {
            chatflows.retain(|_, entry| {
                Arc::strong_count(&entry.counter) > 1
                    || entry.month != UsageTotals::default()
                    || entry.counter.look() != UsageTotals::default()
            });
            !chatflows.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
