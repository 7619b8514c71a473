//! Limits of callers that several replicas serve: what there is is in the store, and each replica has a lease of it.
//!
//! | file | what it is |
//! |---|---|
//! | [`admit`] | what a request does: takes from the lease, asks the store, waits for a place, or is told no |
//! | [`lease`], [`cells`], [`lease_state`] | what a caller has on this replica, and what is known of it |
//! | [`pace`], [`shared_quota`], [`offline`] | parts of that: how much to ask for, counts of days and months, what the store was not asked |
//! | [`look`] | what is left for all replicas, for whoever takes nothing |
//! | [`wish`] | one call of `lease.lua`, which grants of rate, quota and places at once |
//! | [`alone`] | this replica's part of the limits, while the store is lost |
//! | [`apart`] | whether it is lost for one caller |
//! | [`tending`] | what nobody uses goes back; what is held is said again before the store forgets it |
//! | [`caller`] | names in the store |
//!
//! What a replica holds was charged when it was granted, so no more is admitted than the limits say while all reach the
//! store. One that alone does not has its part beside the others: as soon as they know that it lives they leave that part to
//! it, and what was too much is charged when it is back, though the bucket holds less. A replica
//! asks for as much as it uses in a quarter of a second, a tenth of the burst by replicas at most, and gives back what it
//! does not use; so little is refused that the limits would allow.

mod admit;
mod alone;
mod apart;
mod caller;
mod cells;
mod lease;
mod lease_state;
mod look;
mod offline;
mod pace;
mod shared_quota;
mod tending;
mod wish;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use tokio::sync::Notify;

pub(crate) use caller::CallerTag;
pub(super) use lease::Lease;

use self::lease_state::LeaseState;
use self::pace::nanos;
use super::allowance::AllowanceCounts;
use crate::config::RatesOnLoss;
use crate::state::valkey::{SharedStore, StoreScript};

/// See the module. One for the process.
#[derive(Debug)]
pub(crate) struct SharedLimits {
    store: Arc<SharedStore>,
    script: StoreScript,
    started: Instant,
    /// Callers of whom the store is told, now and then.
    active: Mutex<Vec<Arc<AllowanceCounts>>>,
    /// Callers of whom this replica has counted something in a day or month.
    known: Mutex<Vec<Weak<AllowanceCounts>>>,
    /// A call has ended.
    answered: Notify,
    counters: CellCounters,
}

/// By what became of cells.
#[derive(Debug)]
struct CellCounters {
    granted: IntCounter,
    used: IntCounter,
    returned: IntCounter,
    void: IntCounter,
    local: IntCounter,
}

impl SharedLimits {
    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    /// How long a request waits for the store.
    pub(super) fn patience(&self) -> Duration {
        self.store.timeout
    }

    /// By how many limits are divided while the store is lost.
    fn parts(&self) -> u32 {
        match self.store.on_loss.rates {
            RatesOnLoss::Share | RatesOnLoss::Refuse => self.store.health().replicas(),
            RatesOnLoss::Allow => 1,
        }
    }

    /// Whoever has something that the store should know of.
    fn look_after(&self, counts: &Arc<AllowanceCounts>, state: &mut LeaseState) {
        if !std::mem::replace(&mut state.is_active, true) {
            self.active.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counts));
        }
    }
}
