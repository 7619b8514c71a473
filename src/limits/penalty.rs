//! Failed authentication, counted by address: guessing keys is slow, and asks nothing of anybody.
//!
//! Only failures are counted, and only a failure is refused for it: a good key passes from an address that others
//! guess from, since many may share one. One wrong credential sent again and again is no guess but a client that was
//! set up wrongly: it counts once, and goes on being told what is wrong.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::rate::{Bucket, Limiter, Verdict};
use super::table::{Entry, Table};
use super::visitor::Visitor;
use crate::config::Rate;

/// Failures that are answered as such at once; a misconfigured client shall see what is wrong with it.
const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// And then.
const RATE: Rate = Rate { count: NonZeroU32::new(10).unwrap(), per: Duration::from_mins(1) };

/// See the module. The same over all reloads.
#[derive(Debug)]
pub(crate) struct Penalties {
    limiter: Limiter,
    table: Table<Record>,
    hasher: RandomState,
}

/// One address's failures.
#[derive(Debug, Clone, Default)]
struct Record {
    bucket: Bucket,
    /// The hash of what was counted last.
    last: Arc<AtomicU64>,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { limiter: Limiter::new(RATE, BURST), table: Table::default(), hasher: RandomState::new() }
    }
}

impl Penalties {
    /// Counts a failure; `Err` if there were too many: seconds until one is looked at again, at least 1.
    pub(crate) fn failed(&self, address: IpAddr, credential: impl Hash) -> Result<(), u64> {
        let (Entry::Own(record) | Entry::Pooled(record)) = self.table.entry(Visitor::at(address));
        let hash = self.hasher.hash_one(credential);
        if record.last.load(Ordering::Relaxed) == hash {
            return Ok(());
        }
        match self.limiter.take(&record.bucket) {
            Verdict::Allowed { .. } => {
                record.last.store(hash, Ordering::Relaxed);
                Ok(())
            }
            Verdict::Limited { retry_after } => Err(retry_after),
        }
    }

    /// Forgets addresses whose failures are long ago. To be called about once a second.
    pub(crate) fn sweep(&self) {
        self.table.retain(|record| !self.limiter.is_full(&record.bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address() {
        let penalties = Penalties::default();
        let failed = |text: &str, guess: u32| penalties.failed(text.parse().unwrap(), guess);
        for guess in 0..20 {
            assert_eq!(failed("2001:db8::1", guess), Ok(()));
        }
        assert!(matches!(failed("2001:db8::2", 20), Err(1..=6)));
        assert!(failed("2001:db8::2", 20).is_err(), "nor is it counted when it comes again");
        assert_eq!(failed("2001:db8:0:1::1", 0), Ok(()));
        penalties.sweep();
        assert!(failed("2001:db8::1", 21).is_err(), "what is used is remembered");
        assert_eq!(penalties.table.len(), 2);
    }

    #[test]
    fn the_same_credential_counts_once() {
        let penalties = Penalties::default();
        let failed = |guess: u32| penalties.failed([192, 0, 2, 7].into(), guess);
        for _ in 0..1000 {
            assert_eq!(failed(1), Ok(()));
        }
        let answered = (2..1000).filter(|guess| failed(*guess).is_ok()).count();
        assert!((19..30).contains(&answered), "{answered}");
    }
}
