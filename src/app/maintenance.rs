//! What is done once a second, off the request path: forgetting idle visitors and policies that are over, and keeping
//! the counts of quotas and what keys use.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::usage::{UsageMaintenance, WriteTime};
use crate::config::Problems;
use crate::policy::Policy;
use crate::service::channel::Channel;
use crate::snapshot::{SharedSnapshot, Snapshot};
use crate::state::SharedState;
use crate::state::late::LateCounts;
use crate::state::ledger::{Ledger, QuotaCounts};
use crate::telemetry::metrics::Metrics;

/// What others want of the counts.
#[derive(Debug)]
pub(super) enum CountsCommand {
    /// Write them, and let go of the folder: another process takes them up.
    Release(oneshot::Sender<io::Result<()>>),
    /// It did not.
    TakeBack,
    /// It did, and is told from now on what comes late.
    Follow(Arc<Channel>),
    /// What a process counts whose place this one has taken.
    TakeUp(LateCounts),
}

/// Whose the folder is.
enum CountsOwner {
    ThisProcess,
    /// Of another process, which knows of `told`; `None`: it is not yet ready to hear more.
    Successor {
        told: QuotaCounts,
        channel: Option<Arc<Channel>>,
    },
}

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
    owner: CountsOwner,
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
        Self { snapshots, state, metrics, generation, failing: false, ledger, usage, owner: CountsOwner::ThisProcess }
    }

    /// To be called about once a second.
    pub(super) async fn run(&mut self) {
        self.state.limits.sweep();
        self.snapshots.let_go();
        self.keep(WriteTime::WhenDue).await;
    }

    /// To be called when the last request is over.
    pub(super) async fn finish(mut self) {
        self.keep(WriteTime::Now).await;
    }

    pub(super) async fn obey(&mut self, command: CountsCommand) {
        match command {
            CountsCommand::Release(done) => {
                let _ = done.send(self.release().await);
            }
            CountsCommand::TakeBack => {
                // Written at once: the other process may have written what it found.
                self.owner = CountsOwner::ThisProcess;
                self.generation = self.generation.wrapping_sub(1);
            }
            CountsCommand::Follow(successor) => {
                if let CountsOwner::Successor { channel, .. } = &mut self.owner {
                    *channel = Some(successor);
                }
            }
            CountsCommand::TakeUp(LateCounts { quotas, usage }) => {
                self.state.limits.add(quotas);
                self.usage.take_up(usage);
            }
        }
    }

    async fn keep(&mut self, time: WriteTime) {
        let snapshot = self.snapshots.load_full();
        match &self.owner {
            CountsOwner::ThisProcess => {
                self.keep_quotas(&snapshot).await;
                self.usage.run(&snapshot.config, time).await;
            }
            CountsOwner::Successor { channel: None, .. } => {}
            CountsOwner::Successor { channel: Some(channel), .. } => {
                let channel = Arc::clone(channel);
                self.tell(channel).await;
            }
        }
    }

    /// All that is counted is on disk, and the folder is nobody's.
    async fn release(&mut self) -> io::Result<()> {
        let snapshot = self.snapshots.load_full();
        let told = self.state.limits.counts();
        let ledger = self.ledger.take();
        let told = if snapshot.has_quotas() {
            let folder = snapshot.config.state_dir.clone();
            let written = tokio::task::spawn_blocking(move || {
                let ledger = ledger.filter(|ledger| ledger.is_of(&folder)).map_or_else(|| Ledger::open(&folder), Ok)?;
                ledger.write(&told)?;
                Ok::<_, io::Error>(told)
            });
            written.await.map_err(io::Error::other)??
        } else {
            told
        };
        self.usage.run(&snapshot.config, WriteTime::Now).await;
        self.usage.let_go();
        self.owner = CountsOwner::Successor { told, channel: None };
        Ok(())
    }

    /// What was counted since the last time, to the process that has the folder.
    async fn tell(&mut self, channel: Arc<Channel>) {
        let mut late = LateCounts { usage: self.usage.drained(), ..LateCounts::default() };
        // What is in a store that replicas share is not to be told twice.
        if let CountsOwner::Successor { told, .. } = &mut self.owner
            && self.state.store.is_none()
        {
            let counts = self.state.limits.counts();
            late.quotas = counts.since(told);
            *told = counts;
        }
        if late.is_empty() {
            return;
        }
        let sent = tokio::task::spawn_blocking(move || channel.send(&late)).await;
        if let Err(error) = sent.map_err(io::Error::other).and_then(|sent| sent) {
            tracing::error!(%error, "the process that has taken over does not hear what is counted here");
        }
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
