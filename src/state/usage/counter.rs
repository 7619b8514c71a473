//! What was used since somebody last asked, by key and chatflow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::history::NO_CHATFLOW;
use super::totals::UsageTotals;
use super::{ANONYMOUS, KnownCounters};
use crate::config::QuotaPeriod;
use crate::keys::KeyStore;
use crate::state::maybe_future::MaybeFuture;
use crate::state::sparse::SparseTable;

/// What one key has used of one chatflow.
#[derive(Debug, Default)]
pub(super) struct UsageCounter {
    requests: AtomicU64,
    refused: AtomicU64,
    tokens_in: AtomicU64,
    tokens_out: AtomicU64,
}

impl UsageCounter {
    fn count(&self, used: UsageTotals) {
        let UsageTotals { requests, refused, tokens_in, tokens_out } = used;
        for (counter, more) in [
            (&self.requests, requests),
            (&self.refused, refused),
            (&self.tokens_in, tokens_in),
            (&self.tokens_out, tokens_out),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn look(&self) -> UsageTotals {
        self.each(|counter| counter.load(Ordering::Relaxed))
    }

    /// What is in it, which is gone from it then.
    pub(super) fn take(&self) -> UsageTotals {
        self.each(|counter| match counter.load(Ordering::Relaxed) {
            // Looked at first: a store would take the line from the workers.
            0 => 0,
            _ => counter.swap(0, Ordering::Relaxed),
        })
    }

    fn each(&self, read: impl Fn(&AtomicU64) -> u64) -> UsageTotals {
        UsageTotals {
            requests: read(&self.requests),
            refused: read(&self.refused),
            tokens_in: read(&self.tokens_in),
            tokens_out: read(&self.tokens_out),
        }
    }
}

/// The counters of one policy's keys and chatflows.
#[derive(Debug)]
pub(crate) struct BoundUsage {
    known: Arc<KnownCounters>,
    keys: Arc<KeyStore>,
    /// Who is counted beside keys.
    others: Box<[Arc<str>]>,
    chatflows: Box<[Arc<str>]>,
    /// Of the key with the same index, behind these of the others, and last of nobody in particular.
    rows: SparseTable<CounterRow>,
}

/// Of the chatflow with the same index, and of what is none.
type CounterRow = SparseTable<Arc<UsageCounter>>;

impl BoundUsage {
    pub(super) fn new(
        known: Arc<KnownCounters>,
        (keys, others): (Arc<KeyStore>, Box<[Arc<str>]>),
        chatflows: Box<[Arc<str>]>,
    ) -> Self {
        let rows = SparseTable::new(keys.keys().len() + others.len() + 1);
        Self { known, keys, others, chatflows, rows }
    }

    /// Counts what a request has used, by the policy's indices of its key and chatflow; those of others are behind those
    /// of keys.
    pub(crate) fn count(&self, key: Option<u32>, chatflow: Option<u32>, used: UsageTotals) {
        let place = |index: Option<u32>, most: usize| index.map_or(most, |index| (index as usize).min(most));
        let callers = self.keys.keys().len() + self.others.len();
        let (key, chatflow) = (place(key, callers), place(chatflow, self.chatflows.len()));
        let row = self.rows.get_or_init(key, || SparseTable::new(self.chatflows.len() + 1));
        if let Some(counter) = row.and_then(|row| row.get_or_init(chatflow, || self.find(key, chatflow))) {
            counter.count(used);
        }
    }

    /// What a key has used in the running day or month, on all replicas. It is asked for seldom, and takes a lock.
    pub(crate) fn of_key(&self, key: &str, per: QuotaPeriod) -> MaybeFuture<UsageTotals> {
        self.known.of_key(key, per)
    }

    fn find(&self, key: usize, chatflow: usize) -> Arc<UsageCounter> {
        let other = || key.checked_sub(self.keys.keys().len()).and_then(|index| self.others.get(index));
        let key = self.keys.key(key).map(|key| &*key.id).or_else(|| other().map(|name| &**name)).unwrap_or(ANONYMOUS);
        self.known.counter(key, self.chatflows.get(chatflow).map_or(NO_CHATFLOW, |name| name))
    }
}
