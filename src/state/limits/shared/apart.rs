//! Whether a caller's own part of the store answers.
//!
//! Of a Cluster one node may be gone, and a key may be something else than it should be. Then the callers that it concerns
//! are counted as if the store were lost, and all others are shared as ever. A caller is shared again once the store has
//! been told what was admitted of it meanwhile, by all replicas.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lease::Lease;
use super::lease_state::{CallerReach, LeaseState};
use super::pace::nanos;
use super::wish::LeaseWish;
use crate::state::limits::allowance::AllowanceCounts;
use crate::state::limits::plan::PlanLimits;

/// From the first answer to the next request that asks: others have told by then what they admitted.
const TELLING: Duration = Duration::from_millis(900);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(200);

impl Lease {
    /// Whether a request may ask the store.
    pub(super) fn can_ask(&self) -> bool {
        self.shared.store.is_up() && !self.is_apart.load(Ordering::Acquire)
    }

    /// A request of this caller is decided here: the next ones do not wait, and it is looked whether the store answers again.
    pub(super) fn go_apart(&self, counts: &Arc<AllowanceCounts>, plan: &Arc<PlanLimits>) {
        let mut state = self.state();
        state.come_under(plan);
        self.leave_shared(&mut state);
        self.shared.look_after(counts, &mut state);
    }

    fn leave_shared(&self, state: &mut LeaseState) {
        if state.reach == CallerReach::Shared {
            let is_lost = !self.shared.store.is_up();
            let reach = if is_lost { CallerReach::Untold(state.loss.taken) } else { CallerReach::Unheard(None) };
            self.reach(state, reach);
        }
    }

    /// A call of this caller has failed.
    pub(super) fn fail(&self, state: &mut LeaseState) {
        if self.shared.store.is_up() {
            self.reach(state, CallerReach::Unheard(None));
        } else {
            self.leave_shared(state);
        }
    }

    /// One was answered, with what it has been told of.
    pub(super) fn hear(&self, state: &mut LeaseState, wish: &LeaseWish, now: u64) {
        let is_late = now.saturating_sub(wish.sent) > nanos(self.shared.store.timeout);
        let reach = match state.reach {
            CallerReach::Shared => return,
            CallerReach::Untold(taken) if state.loss.is_owed && wish.taken_alone <= taken => return,
            // All wait for the store as a whole.
            CallerReach::Unheard(_) if !self.shared.store.is_up() => CallerReach::Shared,
            CallerReach::Unheard(_) if is_late => CallerReach::Unheard(None),
            CallerReach::Unheard(None) => CallerReach::Unheard(Some(now)),
            CallerReach::Unheard(Some(first)) if now.saturating_sub(first) < nanos(TELLING) => return,
            CallerReach::Untold(_) | CallerReach::Unheard(Some(_)) => CallerReach::Shared,
        };
        self.reach(state, reach);
    }

    fn reach(&self, state: &mut LeaseState, reach: CallerReach) {
        state.reach = reach;
        self.is_apart.store(reach != CallerReach::Shared, Ordering::Release);
    }
}

impl LeaseState {
    /// Whether it is time to try again; `None`: there is nothing to try.
    pub(super) fn try_again(&self, now: u64) -> Option<bool> {
        match self.reach {
            CallerReach::Shared => None,
            CallerReach::Untold(_) => Some(true),
            CallerReach::Unheard(_) => Some(now.saturating_sub(self.renewed) >= nanos(AGAIN)),
        }
    }
}
