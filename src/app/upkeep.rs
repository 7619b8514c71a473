//! What is done once a second, off the request path: forgetting idle visitors, and keeping the counts of quotas.

use std::sync::Arc;

use crate::config::Problems;
use crate::policy::Policy;
use crate::snapshot::Shared;
use crate::state::SharedState;
use crate::state::ledger;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(super) struct Upkeep {
    snapshots: Shared,
    state: Arc<SharedState>,
    metrics: Arc<Metrics>,
    /// The snapshot of the last look: with another one, counts may have gone or come.
    generation: u64,
    /// The last attempt to write failed: it is logged once, and repeated.
    failing: bool,
}

/// Takes up the counts of an earlier run. They are written again at once, which shows that they can be.
pub(super) fn restore(policy: &Policy, state: &SharedState) -> Result<(), Problems> {
    if !policy.has_quotas() {
        return Ok(());
    }
    let folder = &policy.config.state_dir;
    let restored = ledger::read(folder).and_then(|counts| {
        state.limits.restore(&counts);
        ledger::write(folder, &state.limits.counts())
    });
    restored.map_err(|error| policy.quota_problem(&error).into())
}

impl Upkeep {
    pub(super) fn new(snapshots: Shared, state: Arc<SharedState>, metrics: Arc<Metrics>) -> Self {
        let generation = snapshots.load().generation;
        Self { snapshots, state, metrics, generation, failing: false }
    }

    /// To be called about once a second, and when the last request is over.
    pub(super) async fn run(&mut self) {
        let snapshot = self.snapshots.load_full();
        self.state.limits.sweep();
        let is_new = std::mem::replace(&mut self.generation, snapshot.generation) != snapshot.generation;
        let is_due = self.state.limits.take_charged() | is_new | self.failing;
        if !is_due || !snapshot.has_quotas() {
            return;
        }
        // The disk may take its time; metrics and health go on meanwhile.
        let state = Arc::clone(&self.state);
        let written = tokio::task::spawn_blocking(move || {
            ledger::write(&snapshot.config.state_dir, &state.limits.counts())
                .map_err(|error| (snapshot.config.state_dir.clone(), error))
        });
        match written.await {
            Ok(Ok(())) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the counts of quotas are kept again");
                }
            }
            Ok(Err((folder, error))) => {
                self.metrics.quota_write_failures.inc();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(folder = %folder.display(), %error, "the counts of quotas cannot be kept");
                }
            }
            Err(error) => tracing::error!(%error, "the counts of quotas were not written"),
        }
    }
}
