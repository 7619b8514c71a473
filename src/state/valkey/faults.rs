//! Calls that fail although the store can be used: a node of a Cluster is gone, or something else lies under a key. Each such
//! state is told once when it begins and once when it has ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::link::Link;

/// Keys that are told of; so many at once say what there is to say.
const MOST_KEYS: usize = 16;
/// A key that nobody has asked for in so long is forgotten, and may be told again.
const FORGOTTEN: Duration = Duration::from_mins(5);
/// Part of the store has answered for so long.
const WHOLE: Duration = Duration::from_secs(3);
/// Of the question what lies under keys.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct CallFaults {
    is_any: AtomicBool,
    known: Mutex<KnownFaults>,
}

#[derive(Debug, Default)]
struct KnownFaults {
    /// By the first key of the call: when it failed last.
    refused: HashMap<String, Instant>,
    /// When a call last failed because part of the store is lost.
    part: Option<Instant>,
}

impl CallFaults {
    /// Part of the store does not answer.
    pub(super) fn lose_part(&self, reason: &str) {
        let mut known = self.known();
        if known.part.replace(Instant::now()).is_none() {
            self.is_any.store(true, Ordering::Release);
            tracing::warn!(reason, "part of the store is lost: limits of its callers are this replica's part of them");
        }
    }

    /// A call is refused, because of what lies under one of its keys. Whether that is news.
    pub(super) fn refuse(&self, keys: &[String]) -> bool {
        let mut known = self.known();
        let now = Instant::now();
        known.refused.retain(|_, last| now.duration_since(*last) < FORGOTTEN);
        let key = keys.first().map_or("", String::as_str);
        let is_full = known.refused.len() >= MOST_KEYS;
        match known.refused.get_mut(key) {
            Some(last) => {
                *last = now;
                false
            }
            None if is_full => false,
            None => {
                known.refused.insert(key.to_owned(), now);
                self.is_any.store(true, Ordering::Release);
                true
            }
        }
    }

    /// A call with these keys was answered.
    pub(super) fn answer(&self, keys: &[String]) {
        if self.is_any.load(Ordering::Acquire)
            && let Some(key) = keys.first()
        {
            let mut known = self.known();
            if known.refused.remove(key).is_some() {
                tracing::info!(key, "the store takes calls with this key again");
            }
            self.settle(&known);
        }
    }

    /// Looked at now and then.
    pub(super) fn look(&self) {
        if self.is_any.load(Ordering::Acquire) {
            let mut known = self.known();
            if known.part.is_some_and(|last| last.elapsed() >= WHOLE) {
                known.part = None;
                tracing::info!("all of the store answers again");
            }
            self.settle(&known);
        }
    }

    /// All of it is lost, which is told.
    pub(super) fn forget_part(&self) {
        self.known().part = None;
    }

    /// Whether part of the store is lost.
    pub(super) fn is_in_part(&self) -> bool {
        self.is_any.load(Ordering::Acquire) && self.known().part.is_some()
    }

    fn settle(&self, known: &KnownFaults) {
        self.is_any.store(known.part.is_some() || !known.refused.is_empty(), Ordering::Release);
    }

    fn known(&self) -> MutexGuard<'_, KnownFaults> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each key with what lies there, for people.
pub(super) async fn describe(keys: &[String], mut link: Link) -> String {
    let mut types = redis::pipe();
    for key in keys.iter().take(MOST_KEYS) {
        types.cmd("TYPE").arg(key);
    }
    let types = timeout(PATIENCE, types.query_async::<Vec<String>>(&mut link)).await;
    let types = types.ok().and_then(Result::ok).unwrap_or_default();
    let described = keys.iter().take(MOST_KEYS).enumerate();
    let described = described.map(|(at, key)| types.get(at).map_or(key.clone(), |kind| format!("{key} ({kind})")));
    described.collect::<Vec<_>>().join(", ")
}
