//! Failed authentication, counted by address: guessing keys is slow, and asks nothing of anybody.
//!
//! Only failures are counted, and only a failure is refused for it: a good key passes from an address that others
//! guess from, since many may share one.

use std::net::IpAddr;
use std::num::NonZeroU32;
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
    table: Table<Bucket>,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { limiter: Limiter::new(RATE, BURST), table: Table::default() }
    }
}

impl Penalties {
    /// Counts a failure; `Err` if there were too many: seconds until one is looked at again, at least 1.
    pub(crate) fn failed(&self, address: IpAddr) -> Result<(), u64> {
        let (Entry::Own(bucket) | Entry::Pooled(bucket)) = self.table.entry(Visitor::at(address));
        match self.limiter.take(&bucket) {
            Verdict::Allowed { .. } => Ok(()),
            Verdict::Limited { retry_after } => Err(retry_after),
        }
    }

    /// Forgets addresses whose failures are long ago. To be called about once a second.
    pub(crate) fn sweep(&self) {
        self.table.retain(|bucket| !self.limiter.is_full(bucket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address() {
        let penalties = Penalties::default();
        let failed = |text: &str| penalties.failed(text.parse().unwrap());
        for _ in 0..20 {
            assert_eq!(failed("2001:db8::1"), Ok(()));
        }
        assert!(matches!(failed("2001:db8::2"), Err(1..=6)));
        assert_eq!(failed("2001:db8:0:1::1"), Ok(()));
        penalties.sweep();
        assert!(failed("2001:db8::1").is_err(), "what is used is remembered");
        assert_eq!(penalties.table.len(), 2);
    }
}
