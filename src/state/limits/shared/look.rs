//! Asks the store what is left for all replicas, without taking anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::lease::{Lease, LeasePurpose};
use super::lease_state::LeaseState;
use super::pace::nanos;
use crate::state::limits::allowance::AllowanceCounts;
use crate::state::limits::plan::PlanLimits;

/// Who only looks is content with what is so old.
const FRESH: Duration = Duration::from_millis(100);
/// Who is refused without the store tells it so often what is known.
const REMINDED: Duration = Duration::from_secs(1);

impl Lease {
    /// Ends once it is known what is left for all replicas; `None`: it is known, or the store cannot be asked.
    pub(in crate::state::limits) fn look(
        &self,
        counts: &Arc<AllowanceCounts>,
        plan: &Arc<PlanLimits>,
    ) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        self.refresh(counts, plan, &mut state, FRESH).then(|| {
            let (told, heard) = oneshot::channel();
            state.lookers.push(told);
            heard
        })
    }

    /// Tells the store again what this replica has counted, now and then: by itself it refuses, and asks nobody, although
    /// the store may have begun anew.
    pub(super) fn remind(&self, counts: &Arc<AllowanceCounts>, plan: &Arc<PlanLimits>) {
        self.refresh(counts, plan, &mut self.state(), REMINDED);
    }

    /// Whether an answer of the store is on its way, unless what is known is not older than that.
    fn refresh(
        &self,
        counts: &Arc<AllowanceCounts>,
        plan: &Arc<PlanLimits>,
        state: &mut LeaseState,
        age: Duration,
    ) -> bool {
        let is_fresh = state.call.is_none() && self.shared.now().saturating_sub(state.renewed) < nanos(age);
        if is_fresh || !self.can_ask() {
            return false;
        }
        state.come_under(plan);
        !self.is_free(state) || self.send(counts, state, LeasePurpose::Look)
    }
}
