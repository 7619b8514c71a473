//! Looks after leases: what nobody uses goes back, what is held is said again, what is owed is told.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lease::{Lease, LeasePurpose};
use super::lease_state::LeaseState;
use super::pace::nanos;
use super::{CellCounters, SharedLimits};
use crate::state::limits::allowance::AllowanceCounts;
use crate::state::valkey::{SharedStore, StoreScript};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);
/// Calls that begin with one look. More than the store's thread has room for would be a loss of the store.
const MOST_CALLS: usize = 1024;
/// Looks without a cell taken: then all of them go back.
const IDLE: u8 = 3;
/// Places that are held are said again so often: the store forgets them after some more.
const RENEW: Duration = Duration::from_secs(3);
/// Who has cells, and need not ask, hears so often what others have spent of its tokens.
const HEAR: Duration = Duration::from_millis(500);

impl SharedLimits {
    /// Begins to look after leases.
    pub(crate) fn start(store: &Arc<SharedStore>) -> Arc<Self> {
        let cells = |result| store.metrics.cells.with_label_values(&[result]);
        let limits = Arc::new(Self {
            store: Arc::clone(store),
            script: StoreScript::new(include_str!("lease.lua")),
            started: Instant::now(),
            active: Mutex::default(),
            known: Mutex::default(),
            answered: Notify::new(),
            counters: CellCounters {
                granted: cells("granted"),
                used: cells("used"),
                returned: cells("returned"),
                void: cells("void"),
                local: cells("local"),
            },
        });
        begin(&limits);
        limits
    }
}

fn begin(limits: &Arc<SharedLimits>) {
    let limits = Arc::clone(limits);
    let store = Arc::clone(&limits.store);
    store.submit(|calls| async move {
        let health = limits.store.health();
        let (mut jumps, mut was_heard) = (health.clock().jumps(), true);
        loop {
            let ends = tokio::time::timeout(EVERY, calls.closed()).await.is_ok();
            let (now, is_heard) = (health.clock().jumps(), health.is_heard());
            // A clock that was set, or a new beginning, may have made the store forget.
            if std::mem::replace(&mut jumps, now) != now || (is_heard && !was_heard) {
                recall(&limits);
            }
            was_heard = is_heard;
            look(&limits, ends);
            if ends {
                return wait_for_answers(&limits).await;
            }
        }
    });
}

/// The store is told again of all whom this replica knows, be they here or not: one that has counted nothing yet would
/// let them begin anew.
fn recall(limits: &SharedLimits) {
    let mut known = std::mem::take(&mut *limits.known.lock().unwrap_or_else(PoisonError::into_inner));
    let active = std::mem::take(&mut *limits.active.lock().unwrap_or_else(PoisonError::into_inner));
    for counts in &active {
        if let Some(lease) = counts.lease() {
            lease.state().is_forgotten = true;
        }
    }
    limits.active.lock().unwrap_or_else(PoisonError::into_inner).extend(active);
    known.retain(|counts| {
        let Some(counts) = counts.upgrade() else { return false };
        if let Some(lease) = counts.lease() {
            let mut state = lease.state();
            state.is_forgotten = true;
            limits.look_after(&counts, &mut state);
        }
        true
    });
    limits.known.lock().unwrap_or_else(PoisonError::into_inner).append(&mut known);
}

fn look(limits: &SharedLimits, ends: bool) {
    let active = std::mem::take(&mut *limits.active.lock().unwrap_or_else(PoisonError::into_inner));
    let (mut calls, mut late, mut kept) = (0, Vec::new(), Vec::new());
    for counts in active {
        if calls == MOST_CALLS {
            late.push(counts);
            continue;
        }
        match counts.lease().map_or(Tended::Done, |lease| lease.tend(&counts, ends)) {
            Tended::Done => {}
            Tended::Waits => kept.push(counts),
            Tended::Called => {
                calls += 1;
                kept.push(counts);
            }
        }
    }
    // Those whose turn has not come are the first the next time.
    late.append(&mut kept);
    let mut active = limits.active.lock().unwrap_or_else(PoisonError::into_inner);
    late.append(&mut active);
    *active = late;
}

/// At the end: until all has been given back, or the store's patience ends. Whoever is looked after by then waits for a
/// call, which ends in an answer or in the loss of the store.
async fn wait_for_answers(limits: &SharedLimits) {
    while limits.store.health().is_heard() && !limits.active.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        limits.answered.notified().await;
        look(limits, true);
    }
}

/// What came of a look at a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tended {
    /// It need not be looked at again.
    Done,
    Waits,
    /// A call has begun.
    Called,
}

impl Lease {
    fn tend(&self, counts: &Arc<AllowanceCounts>, ends: bool) -> Tended {
        let mut state = self.state();
        if !self.is_free(&state) {
            return Tended::Waits;
        }
        self.note(counts, &mut state);
        let renew = state.is_forgotten;
        let period = state.plan.as_ref().and_then(|plan| plan.quota()).map_or(0, |(_, period)| period.number());
        let (of, cells) = self.cells.all();
        if cells > 0 && of != period {
            // Their day or month is over.
            let (_, cells) = self.cells.drain();
            state.pace.had = 0;
            self.shared.counters.void.inc_by(cells.into());
        }
        let had = state.pace.had;
        self.reckon(&mut state);
        let cells = self.cells.all().1;
        state.idle = if cells == had { state.idle.saturating_add(1) } else { 0 };
        let is_idle = ends || state.idle >= IDLE;
        let (in_flight, free) = (counts.concurrency.in_flight(), counts.concurrency.free());
        let now = self.shared.now();
        let again = state.try_again(now);
        let is_owed = state.is_owed() && again != Some(false);
        // What the store cannot be told of, and time has paid for, waits for the next request.
        let is_paid = again == Some(false) && in_flight + free + cells == 0 && state.is_paid(self.until_whole(now));
        let counts_tokens = cells > 0 && state.plan.as_ref().is_some_and(|plan| plan.plan.tokens.is_some());
        let every = if counts_tokens { HEAR } else { RENEW };
        let is_due = renew || now.saturating_sub(state.renewed) >= nanos(every);
        let purpose = if is_paid {
            None
        } else if is_idle && (cells > 0 || free > 0) {
            Some(LeasePurpose::GiveBack)
        } else if free > self.spare.load(Ordering::Relaxed) {
            Some(LeasePurpose::Release)
        } else if is_owed
            || again == Some(true)
            || (is_due && in_flight + free + cells > 0)
            || (renew && state.is_known())
        {
            Some(LeasePurpose::Renew)
        } else {
            None
        };
        match purpose {
            Some(purpose) if self.shared.store.health().is_heard() => {
                state.is_forgotten &= !self.send(counts, &mut state, purpose);
                Tended::Called
            }
            Some(_) => Tended::Waits,
            None => {
                state.is_forgotten = false;
                let is_needed = cells > 0 || (again.is_some() && !is_paid && !ends) || (in_flight + free > 0 && !ends);
                state.is_active = is_needed;
                if is_needed { Tended::Waits } else { Tended::Done }
            }
        }
    }

    /// Remembers whoever is to be recalled.
    fn note(&self, counts: &Arc<AllowanceCounts>, state: &mut LeaseState) {
        if state.is_noted || !state.is_known() {
            return;
        }
        state.is_noted = true;
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == known.capacity() {
            // Visitors come and go.
            known.retain(|counts| counts.strong_count() > 0);
        }
        known.push(Arc::downgrade(counts));
    }
}
