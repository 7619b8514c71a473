//! What is done once a second, off the request path: forgetting idle visitors, and keeping the counts of quotas and what
//! keys use.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::usage::{UsageMaintenance, WriteTime};
use crate::config::Problems;
use crate::policy::Policy;
use crate::snapshot::{SharedSnapshot, Snapshot};
use crate::state::SharedState;
use crate::state::ledger::Ledger;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(super) struct Maintenance {
    snapshots: SharedSnapshot,
    state: Arc<SharedState>,
    metrics: Arc<Metrics>,
    /// The snapshot of the last look: with another one, counts may have gone or come.
    generation: u64,
    /// The last attempt to write failed: it is logged once, and repeated.
    failing: bool,
    /// Once there is something to keep.
    ledger: Option<Ledger>,
    usage: UsageMaintenance,
}

/// Takes up the counts of an earlier run. They are written again at once, which shows that they can be. `None`: no plan
/// has a quota.
pub(super) fn restore(policy: &Policy, state: &SharedState) -> Result<Option<Ledger>, Problems> {
    if !policy.has_quotas() {
        return Ok(None);
    }
    let restored = Ledger::open(&policy.config.state_dir).and_then(|ledger| {
        state.limits.restore(ledger.read()?);
        ledger.write(&state.limits.counts())?;
        Ok(Some(ledger))
    });
    restored.map_err(|error| policy.quota_problem(&error).into())
}

impl Maintenance {
    /// `ledger`: what [`restore`] gave; `usage`: what was begun with it.
    pub(super) fn new(
        snapshots: SharedSnapshot,
        state: Arc<SharedState>,
        metrics: Arc<Metrics>,
        ledger: Option<Ledger>,
        usage: UsageMaintenance,
    ) -> Self {
        let generation = snapshots.load().generation;
        Self { snapshots, state, metrics, generation, failing: false, ledger, usage }
    }

    /// To be called about once a second.
    pub(super) async fn run(&mut self) {
        self.state.limits.sweep();
        let snapshot = self.snapshots.load_full();
        self.keep_quotas(&snapshot).await;
        self.usage.run(&snapshot.config, WriteTime::WhenDue).await;
    }

    /// To be called when the last request is over.
    pub(super) async fn finish(mut self) {
        let snapshot = self.snapshots.load_full();
        self.keep_quotas(&snapshot).await;
        self.usage.run(&snapshot.config, WriteTime::Now).await;
    }

    async fn keep_quotas(&mut self, snapshot: &Arc<Snapshot>) {
        let is_new = std::mem::replace(&mut self.generation, snapshot.generation) != snapshot.generation;
        let is_due = self.state.limits.take_charged() | is_new | self.failing;
        if !is_due || !snapshot.has_quotas() {
            return;
        }
        // The disk may take its time; metrics and health go on meanwhile.
        let (state, ledger) = (Arc::clone(&self.state), self.ledger.take());
        let (snapshot, folder) = (Arc::clone(snapshot), snapshot.config.state_dir.clone());
        let kept = tokio::task::spawn_blocking(move || keep(ledger, &snapshot.config.state_dir, &state)).await;
        let written = kept.map(|(ledger, written)| {
            self.ledger = ledger;
            written
        });
        match written {
            Ok(Ok(())) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the counts of quotas are kept again");
                }
            }
            Ok(Err(error)) => {
                self.metrics.quota_write_failures.inc();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(folder = %folder.display(), %error, "the counts of quotas cannot be kept");
                }
            }
            Err(error) => tracing::error!(%error, "the counts of quotas were not written"),
        }
    }
}

/// Writes the counts, into a folder that a reload may have named since the last time.
fn keep(ledger: Option<Ledger>, folder: &Path, state: &SharedState) -> (Option<Ledger>, io::Result<()>) {
    let same = ledger.filter(|ledger| ledger.is_of(folder));
    match same.map_or_else(|| Ledger::open(folder), Ok) {
        Ok(ledger) => {
            let written = ledger.write(&state.limits.counts());
            (Some(ledger), written)
        }
        Err(error) => (None, Err(error)),
    }
}
