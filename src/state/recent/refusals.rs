//! The last requests that were refused or failed. Only such a request takes the lock, for as long as it takes to put a
//! pointer into a row; what it points to was made before. In a flood of them only the first of each second are remembered:
//! whoever tries keys as fast as he can is told of, but not at the price of writing up every one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// How many are remembered.
const MOST: usize = 200;
/// How many of one second.
const MOST_A_SECOND: u64 = 1000;

/// One request that got a no, with what the access log says of it. Every text is short.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct RefusalEntry {
    pub(crate) time: String,
    pub(crate) request_id: Box<str>,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<&'static str>,
    /// Why a credential does not count, or is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    /// On which that hangs, of a token of an identity provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<Box<str>>,
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chatflow: Option<Box<str>>,
    /// Also one that counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<Box<str>>,
    pub(crate) address: Box<str>,
    /// What the client was told.
    pub(crate) message: Box<str>,
    /// The field of the configuration that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) setting: Option<Box<str>>,
    /// Where that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Box<str>>,
    /// What to do about it.
    pub(crate) helps: &'static str,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RefusalRing {
    last: Mutex<VecDeque<Arc<RefusalEntry>>>,
    /// A second of the process, and below it how many were refused in that second.
    pace: AtomicU64,
}

impl RefusalRing {
    /// Whether one more of that second is to be remembered. Threads that ask at once may be told yes a few times too often.
    pub(crate) fn wants(&self, second: u32) -> bool {
        let pace = self.pace.load(Relaxed);
        let count = if pace >> 32 == u64::from(second) { pace & u64::from(u32::MAX) } else { 0 };
        let is_wanted = count < MOST_A_SECOND;
        if is_wanted {
            self.pace.store((u64::from(second) << 32) | (count + 1), Relaxed);
        }
        is_wanted
    }

    pub(crate) fn push(&self, entry: RefusalEntry) {
        let entry = Arc::new(entry);
        let mut ring = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if ring.len() >= MOST { ring.pop_front() } else { None };
        ring.push_back(entry);
        drop(ring);
        drop(oldest);
    }

    /// The newest first.
    pub(crate) fn all(&self) -> Vec<Arc<RefusalEntry>> {
        let ring = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_first_of_each_second_are_remembered() {
        let ring = RefusalRing::default();
        for second in [0, 1, 7] {
            assert_eq!((0..5000).filter(|_| ring.wants(second)).count() as u64, MOST_A_SECOND);
        }
    }

    #[test]
    fn the_last_are_remembered_and_no_more() {
        let ring = RefusalRing::default();
        for number in 0..1000 {
            ring.push(RefusalEntry { status: number, ..RefusalEntry::default() });
        }
        let statuses: Vec<u16> = ring.all().iter().map(|entry| entry.status).collect();
        assert_eq!(statuses, (800..1000).rev().collect::<Vec<u16>>());
    }
}
