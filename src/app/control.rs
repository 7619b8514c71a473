//! The control thread: admin listener, reload, checks of upstreams, keys of identity providers, maintenance,
//! export of traces.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::maintenance::{CountsCommand, Maintenance};
use super::traces::TraceExport;
use super::usage::UsageMaintenance;
use crate::admin;
use crate::identity;
use crate::reload::{self, ReloadJournal, Reloader};
use crate::server::{Admission, InsideCall, Phase, ThreadHeartbeat};
use crate::snapshot::SharedSnapshot;
use crate::state::SharedState;
use crate::state::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::upstream::checks;

/// For spans that are not with the collector when the last request is over.
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// Everything that is not on the request path, on one thread of its own.
pub(super) struct Control {
    pub(super) admin: Vec<std::net::TcpListener>,
    pub(super) admission: Arc<Admission>,
    pub(super) inside: mpsc::Sender<InsideCall>,
    pub(super) journal: Arc<ReloadJournal>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshots: SharedSnapshot,
    pub(super) state: Arc<SharedState>,
    pub(super) ledger: Option<Ledger>,
    pub(super) usage: UsageMaintenance,
    pub(super) traces: TraceExport,
    pub(super) phase: watch::Receiver<Phase>,
    /// For whoever looks whether this thread still works.
    pub(super) beat: Option<ThreadHeartbeat>,
}

impl Control {
    /// Runs on a thread of its own until the gateway is dropped.
    pub(super) fn start(
        self,
        reloader: Option<Reloader>,
        wanted: mpsc::Receiver<reload::ReloadNow>,
        commands: mpsc::Receiver<CountsCommand>,
    ) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("control".into());
        thread.spawn(move || run_to_end(runtime, self.run(reloader, wanted, commands)))
    }

    async fn run(
        self,
        reloader: Option<Reloader>,
        wanted: mpsc::Receiver<reload::ReloadNow>,
        mut commands: mpsc::Receiver<CountsCommand>,
    ) {
        if let Some(beat) = self.beat {
            tokio::spawn(beat.run());
        }
        for socket in self.admin {
            tokio::spawn(admin::serve(
                socket,
                Arc::new(admin::Overview {
                    metrics: Arc::clone(&self.metrics),
                    admission: Arc::clone(&self.admission),
                    phase: self.phase.clone(),
                    snapshots: Arc::clone(&self.snapshots),
                    state: Arc::clone(&self.state),
                    journal: Arc::clone(&self.journal),
                    inside: self.inside.clone(),
                }),
            ));
        }
        if let Some(reloader) = reloader {
            tokio::spawn(reload::watch(reloader, wanted));
        }
        // The provider gathers entropy for some 30 ms when it is first asked for randomness: neither while a client waits,
        // nor while the workers start.
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            aws_lc_rs::rand::fill(&mut [0])
        });
        let (mut phase, TraceExport { exporter, closing }) = (self.phase, self.traces);
        let (endpoints, issuer_keys) = (Arc::clone(&self.state.endpoints), Arc::clone(&self.state.issuer_keys));
        let identity_metrics = self.metrics.identity.clone();
        let mut maintenance = Maintenance::new(self.snapshots, self.state, self.metrics, self.ledger, self.usage);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Metrics and health are served until the last worker has ended and the gateway is dropped.
        let until_dropped = async {
            loop {
                tokio::select! {
                    changed = phase.changed() => if changed.is_err() { break },
                    Some(command) = commands.recv() => maintenance.obey(command).await,
                    _ = tick.tick() => maintenance.run().await,
                }
            }
        };
        let mut exporting = std::pin::pin!(exporter.run());
        tokio::select! {
            () = until_dropped => {}
            () = checks::run(&endpoints) => {}
            () = identity::run(&issuer_keys, &identity_metrics) => {}
            () = &mut exporting => {}
        }
        maintenance.finish().await;
        closing.cancel();
        if tokio::time::timeout(LAST_EXPORT, exporting).await.is_err() {
            tracing::warn!("the collector does not answer: the last spans are lost");
        }
    }
}

/// Without waiting for what is read on threads of its own: a disk that does not answer must not keep the process.
fn run_to_end<T>(runtime: tokio::runtime::Runtime, work: impl Future<Output = T>) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_end_waits_for_no_read_that_does_not_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, read) = mpsc::channel::<()>();
        let (began, reading) = mpsc::channel();
        run_to_end(runtime, async move {
            tokio::task::spawn_blocking(move || {
                began.send(()).unwrap();
                read.recv()
            });
            tokio::task::spawn_blocking(move || reading.recv()).await.unwrap().unwrap();
        });
        // Only now.
        drop(answer);
    }
}
