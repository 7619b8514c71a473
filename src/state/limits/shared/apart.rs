//! Whether a caller's own part of the store answers.
//!
//! Of a Cluster one node may be gone, and a key may be something else than it should be. Then the callers that it concerns
//! are counted as if the store were lost, and all others are shared as ever. A caller is shared again once the store has
//! been told what was admitted of it meanwhile, by all replicas; or at once, after a moment in which nothing was forgotten.

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
/// What is admitted in so short a time can be told later.
const MOMENT: Duration = Duration::from_millis(500);
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

    /// One was answered, with what it has been told of. `is_known`: of the bucket that was known before.
    pub(super) fn hear(&self, state: &mut LeaseState, wish: &LeaseWish, now: u64, is_known: bool) {
        let is_late = now.saturating_sub(wish.sent) > nanos(self.shared.store.timeout);
        let was_brief = is_known && now.saturating_sub(state.apart_since) < nanos(MOMENT);
        let reach = match state.reach {
            CallerReach::Untold(taken) if state.loss.is_owed && wish.taken_alone <= taken => return,
            // All wait for the store as a whole.
            CallerReach::Unheard(_) if !self.shared.store.is_up() => CallerReach::Shared,
            reach => reach.answered(now, is_late, was_brief),
        };
        self.reach(state, reach);
    }

    fn reach(&self, state: &mut LeaseState, reach: CallerReach) {
        if state.reach == CallerReach::Shared && reach != CallerReach::Shared {
            state.apart_since = self.shared.now();
        }
        state.reach = reach;
        self.is_apart.store(reach != CallerReach::Shared, Ordering::Release);
    }
}

impl CallerReach {
    fn answered(self, now: u64, is_late: bool, was_brief: bool) -> Self {
        match self {
            Self::Unheard(_) if is_late => Self::Unheard(None),
            Self::Unheard(_) if was_brief => Self::Shared,
            Self::Unheard(None) => Self::Unheard(Some(now)),
            Self::Unheard(Some(first)) if now.saturating_sub(first) < nanos(TELLING) => self,
            Self::Shared | Self::Untold(_) | Self::Unheard(Some(_)) => Self::Shared,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_shared_again_at_the_first_answer_in_time_after_a_moment_and_later_after_longer() {
        let answered = |reach: CallerReach, ms, is_late, was_brief| {
            reach.answered(nanos(Duration::from_millis(ms)), is_late, was_brief)
        };
        let apart = CallerReach::Unheard(None);
        assert_eq!(answered(apart, 60, true, true), apart, "it may be late again");
        assert_eq!(answered(apart, 300, false, true), CallerReach::Shared);
        let heard = answered(apart, 1_000, false, false);
        assert_eq!(answered(heard, 1_800, false, false), heard);
        assert_eq!(answered(heard, 1_900, false, false), CallerReach::Shared);
        assert_eq!(answered(heard, 1_900, true, false), apart);
    }
}
