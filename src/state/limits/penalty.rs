//! Failed authentication, counted by address: who guesses is slowed down, and asks nothing of anybody.
//!
//! Only failures are counted, and only a failure is answered late or refused for it: a good key passes at once from an
//! address that others guess from, since many may share one. So this keeps guessing quiet and cheap, and no more; what
//! makes it hopeless is that a key has 256 random bits. One wrong credential sent again and again is no guess but a
//! client that was set up wrongly: it counts once, and goes on being told what is wrong.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use prometheus::IntCounter;

use super::rate::{Bucket, Limiter, RateDecision, whole_seconds};
use super::table::{VisitorEntry, VisitorTable};
use super::visitor::Visitor;
use crate::config::AuthFailures;

/// Answers that are held back at once: of one address, and of all. Who fills them up is told at once again, for a
/// connection that waits is worth more to whoever collects them than its answer.
const MOST_OF_ONE: u32 = 16;
const MOST: u32 = 1024;

/// See the module. The same over all reloads that leave its settings as they are.
#[derive(Debug)]
pub(crate) struct Penalties {
    settings: AuthFailures,
    limiter: Limiter,
    table: VisitorTable<Record>,
    hasher: RandomState,
    held: Arc<AtomicU32>,
    delayed: IntCounter,
}

/// One address's failures.
#[derive(Debug, Clone, Default)]
struct Record {
    bucket: Bucket,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    /// The hash of what was counted last.
    last: AtomicU64,
    /// Answers that are held back.
    held: AtomicU32,
}

/// What becomes of the answer to a wrong credential.
#[derive(Debug)]
pub(crate) struct Penalty {
    /// Too many: seconds until one is looked at again, at least 1.
    pub(crate) retry_after: Option<u64>,
    /// It is held back for so long.
    pub(crate) delay: Option<Delay>,
}

/// An answer that is held back, until dropped.
#[derive(Debug)]
pub(crate) struct Delay {
    marks: Arc<Marks>,
    all: Arc<AtomicU32>,
    time: std::time::Duration,
}

impl Delay {
    pub(crate) async fn pass(self) {
        tokio::time::sleep(self.time).await;
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.marks.held.fetch_sub(1, Ordering::Relaxed);
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Penalties {
    /// `delayed`: counts answers that were held back.
    pub(crate) fn new(settings: AuthFailures, delayed: &IntCounter) -> Self {
        // The first that is not free is the first of the rate.
        let burst = NonZeroU32::MIN.saturating_add(settings.free);
        Self {
            settings,
            limiter: Limiter::new(settings.then, burst),
            table: VisitorTable::default(),
            hasher: RandomState::new(),
            held: Arc::default(),
            delayed: delayed.clone(),
        }
    }

    pub(crate) fn is_for(&self, settings: &AuthFailures) -> bool {
        self.settings == *settings
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, address: IpAddr, credential: impl Hash) -> Penalty {
        let (VisitorEntry::Own(record) | VisitorEntry::Pooled(record)) = self.table.entry(Visitor::at(address));
        let hash = self.hasher.hash_one(credential);
        let verdict = if record.marks.last.load(Ordering::Relaxed) == hash {
            // One that was answered before.
            self.limiter.look(&record.bucket)
        } else {
            let verdict = self.limiter.take(&record.bucket);
            if matches!(verdict, RateDecision::Allowed { .. }) {
                record.marks.last.store(hash, Ordering::Relaxed);
            }
            verdict
        };
        let (retry_after, is_free) = match verdict {
            RateDecision::Allowed { remaining } => (None, remaining > 0),
            RateDecision::Limited { retry_after } => (Some(retry_after), false),
        };
        Penalty { retry_after, delay: if is_free { None } else { self.delay(&record) } }
    }

    fn delay(&self, record: &Record) -> Option<Delay> {
        let time = self.settings.delay;
        let more = |most| move |held| (held < most).then_some(held + 1);
        let add = |held: &AtomicU32, most| held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more(most)).is_ok();
        if time.is_zero() || !add(&record.marks.held, MOST_OF_ONE) {
            return None;
        }
        if !add(&self.held, MOST) {
            record.marks.held.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.delayed.inc();
        Some(Delay { marks: Arc::clone(&record.marks), all: Arc::clone(&self.held), time })
    }

    /// Seconds that somebody with that wrong credential would be told to wait now, if any. Nothing is counted.
    pub(crate) fn foresee(&self, address: IpAddr, credential: impl Hash) -> Option<u64> {
        let (VisitorEntry::Own(record) | VisitorEntry::Pooled(record)) = self.table.entry(Visitor::at(address));
        if record.marks.last.load(Ordering::Relaxed) == self.hasher.hash_one(credential) {
            return None;
        }
        let is_used_up = self.limiter.look(&record.bucket) == RateDecision::Allowed { remaining: 0 };
        is_used_up.then(|| whole_seconds(self.limiter.period).max(1))
    }

    /// Forgets addresses whose failures are long ago. To be called about once a second.
    pub(crate) fn sweep(&self) {
        self.table.retain(|record| !self.limiter.is_full(&record.bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn penalties() -> Penalties {
        Penalties::new(AuthFailures::default(), &IntCounter::new("delayed", "of a test").unwrap())
    }

    #[test]
    fn failures_are_counted_by_address() {
        let penalties = penalties();
        let failed = |text: &str, guess: u32| penalties.failed(text.parse().unwrap(), guess);
        for guess in 0..20 {
            let penalty = failed("2001:db8::1", guess);
            assert!(penalty.retry_after.is_none() && penalty.delay.is_none());
        }
        let first = failed("2001:db8::1", 20);
        assert!(first.retry_after.is_none() && first.delay.is_some(), "the first of the rate");
        assert!(matches!(failed("2001:db8::2", 21).retry_after, Some(1..=6)));
        assert!(failed("2001:db8::2", 21).retry_after.is_some(), "nor is it counted when it comes again");
        assert!(failed("2001:db8:0:1::1", 0).delay.is_none());
        penalties.sweep();
        assert!(failed("2001:db8::1", 22).retry_after.is_some(), "what is used is remembered");
        assert_eq!(penalties.table.len(), 2);
    }

    #[test]
    fn the_same_credential_counts_once() {
        let penalties = penalties();
        let failed = |guess: u32| penalties.failed([192, 0, 2, 7].into(), guess);
        for _ in 0..1000 {
            let penalty = failed(1);
            assert!(penalty.retry_after.is_none() && penalty.delay.is_none());
        }
        let answered = (2..1000).filter(|guess| failed(*guess).retry_after.is_none()).count();
        assert!((20..30).contains(&answered), "{answered}");
    }

    #[test]
    fn few_answers_are_held_back_at_once() {
        let penalties = penalties();
        let mut all = Vec::new();
        for address in 0..100 {
            let held = (0..100).filter_map(|guess| penalties.failed([192, 0, 2, address].into(), guess).delay);
            let held: Vec<_> = held.collect();
            assert_eq!(held.len(), if address < 64 { 16 } else { 0 });
            all.extend(held);
        }
        assert_eq!((all.len(), penalties.delayed.get()), (1024, 1024));
        drop(all);
        assert!(penalties.failed([192, 0, 2, 1].into(), 1000).delay.is_some());
    }
}
