//! One call of the script: what is asked for, and what is granted.

use std::time::Duration;

use super::caller::CallerTag;
use crate::state::limits::quota::Period;
use crate::state::limits::rate::whole_seconds;
use crate::state::valkey::{CallClass, CallFailed, Calls, SharedStore, StoreScript};

/// Places of a replica that says nothing any more are free after so long.
const LIFE: Duration = Duration::from_secs(10);
/// A count is kept for so long after its day or month.
const KEPT: u64 = 86_400;

/// What is asked for. All of it is done at once.
#[derive(Debug, Clone, Default)]
pub(super) struct LeaseWish {
    /// Tells one call of a caller from another.
    pub(super) number: u64,
    /// When it was asked for.
    pub(super) sent: u64,
    /// As the metric calls it.
    pub(super) call: &'static str,
    /// Requests wait for it.
    pub(super) is_urgent: bool,
    /// Time of one cell, and how many there are at most.
    pub(super) period: Duration,
    pub(super) burst: u32,
    pub(super) cells: u32,
    /// How many of them requests wait for.
    pub(super) needed: u32,
    pub(super) given_back: u32,
    pub(super) lease: LeaseTally,
    /// No other call of this caller can still be answered.
    pub(super) is_only: bool,
    /// Until the bucket is whole, as far as is known here, in nanoseconds.
    pub(super) known: u64,
    /// When the bucket began of which that is known, by the store's clock.
    pub(super) known_of: u64,
    /// Nanoseconds that are owed to the bucket.
    pub(super) debt: u64,
    /// Requests that had been admitted without the store by then, and how many of them it has charged.
    pub(super) taken_alone: u64,
    pub(super) told_alone: u64,
    pub(super) base: BucketBase,
    pub(super) quota: Option<QuotaWish>,
    pub(super) tokens: Option<QuotaWish>,
    pub(super) concurrent: u32,
    /// Places that are held, whatever the store believes.
    pub(super) held: u32,
    pub(super) places: u32,
    pub(super) places_needed: u32,
}

/// What is known of the count of a day or month.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuotaWish {
    pub(super) most: u32,
    pub(super) period: Period,
    /// What this replica has counted.
    pub(super) own: u32,
    /// How much of that is in the whole count.
    pub(super) said: u32,
    pub(super) total: u32,
    /// When the whole count began, by the store's clock; 0: it is from elsewhere.
    pub(super) born: u64,
}

/// When a bucket will be whole, less all that was charged to it since it began. Only time in which nobody used it changes
/// that: so who remembers it knows later how much time others have left unused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BucketBase {
    pub(super) base: u64,
    /// When the bucket began, by the store's clock; 0: nothing is known of it.
    pub(super) began: u64,
}

/// Cells that the store has granted and that were not given back, used or not, of a lease that it knows by a number. It
/// counts them too, so that neither it nor this replica forgets one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeaseTally {
    pub(super) number: u64,
    pub(super) held: i64,
}

/// Why less was granted than requests wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Whole seconds until the next cell, at least 1.
    Rate {
        retry_after: u64,
    },
    Quota,
    Tokens,
    Places,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseGrant {
    pub(super) cells: u32,
    pub(super) shortage: Option<Shortage>,
    /// Until there is another cell.
    pub(super) wait: Duration,
    /// Until the bucket is whole.
    pub(super) whole: Duration,
    pub(super) quota: QuotaTotal,
    pub(super) tokens: QuotaTotal,
    pub(super) places: u32,
    pub(super) base: BucketBase,
}

/// The whole count of a day or month, and when it began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QuotaTotal {
    pub(super) total: u32,
    pub(super) born: u64,
}

impl LeaseWish {
    /// Asks the store.
    ///
    /// # Errors
    /// It gives no answer.
    pub(super) async fn ask(
        &self,
        script: &StoreScript,
        store: &SharedStore,
        calls: &Calls,
        caller: CallerTag,
    ) -> Result<LeaseGrant, CallFailed> {
        let lane = if self.is_urgent { CallClass::Front } else { CallClass::Background };
        let quota = self.quota;
        let period = quota.map_or(0, |quota| quota.period.number());
        let mut script = script.call();
        let mut keys: Vec<String> = ["rate", &format!("quota:{period}"), "places", "apart", "leases"]
            .map(|what| caller.name(&store.prefix, what))
            .into();
        if let Some(tokens) = &self.tokens {
            keys.push(caller.name(&store.prefix, &format!("tokens:{}", tokens.period.number())));
        }
        for key in &keys {
            script.key(key);
        }
        script.arg(&*store.replica).arg(store.health().clock().expected());
        script
            .arg(self.period.as_secs_f64() * 1e6)
            .arg(self.burst)
            .arg(self.cells)
            .arg(self.needed)
            .arg(self.given_back);
        script.arg(self.known / 1000).arg(self.debt / 1000);
        let none = [0; 6];
        script.arg(quota.map_or(none, |quota| quota.arguments()).as_slice());
        script.arg(self.concurrent).arg(self.held).arg(self.places).arg(self.places_needed);
        script.arg(u64::try_from(LIFE.as_millis()).unwrap_or_default());
        script.arg(self.taken_alone).arg(self.told_alone).arg(self.base.base).arg(self.base.began);
        script.arg(&*store.health().cut_off()).arg(store.health().replicas());
        let held = self.lease.held.saturating_add_unsigned(self.told_alone);
        script.arg(self.lease.number).arg(held).arg(u8::from(self.is_only)).arg(self.known_of);
        if let Some(tokens) = &self.tokens {
            script.arg(tokens.arguments().as_slice());
        }
        let answer: (u32, u8, u64, u64, u32, u64, u32, u32, u64, u64, u64) =
            calls.run(lane, self.call, &keys, &script).await?;
        let (granted, reason, wait, whole, total, born, places, tokens, tokens_born, base, began) = answer;
        let wait = Duration::from_micros(wait);
        let shortage = match reason {
            1 => Some(Shortage::Rate { retry_after: whole_seconds(wait).max(1) }),
            2 => Some(Shortage::Quota),
            3 => Some(Shortage::Places),
            4 => Some(Shortage::Tokens),
            _ => None,
        };
        Ok(LeaseGrant {
            cells: granted,
            shortage,
            wait,
            whole: Duration::from_micros(whole),
            quota: QuotaTotal { total, born },
            tokens: QuotaTotal { total: tokens, born: tokens_born },
            places,
            base: BucketBase { base, began },
        })
    }
}

impl QuotaWish {
    /// As the script takes them.
    fn arguments(&self) -> [u64; 6] {
        let Self { most, period, own, said, total, born } = *self;
        [most.into(), period.left + KEPT, own.into(), said.into(), total.into(), born]
    }
}
