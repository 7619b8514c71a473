//! Reads everything again and swaps it in as a whole, or keeps what is in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diff::needs_restart;
use super::files::{Files, Kind};
use crate::config::{self, Problems};
use crate::snapshot::{Shared, Snapshot};
use crate::telemetry::logging::Logging;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(crate) struct Reloader {
    pub(super) files: Files,
    snapshots: Shared,
    metrics: Arc<Metrics>,
    logging: Option<Logging>,
    rejected: Option<Rejected>,
}

/// What is on disk but not in force. It may become right without any of the watched files changing: a file that it
/// names may come to be.
struct Rejected {
    kinds: BTreeSet<Kind>,
    problems: Problems,
}

impl Reloader {
    pub(crate) fn new(files: Files, snapshots: Shared, metrics: Arc<Metrics>, logging: Option<Logging>) -> Self {
        Self { files, snapshots, metrics, logging, rejected: None }
    }

    /// Reloads what has changed or was rejected; with `force` even if there is nothing. `false`: something is wrong,
    /// and the old set stays in force.
    pub(super) fn reload(&mut self, force: bool) -> bool {
        let mut kinds = self.files.changed();
        let rejected = self.rejected.take();
        let is_retry = kinds.is_empty() && !force;
        if is_retry && rejected.is_none() {
            return true;
        }
        if kinds.is_empty() && force {
            kinds.insert(Kind::Config);
        }
        match self.read() {
            Ok(snapshot) => {
                kinds.extend(rejected.into_iter().flat_map(|rejected| rejected.kinds));
                self.swap(snapshot, &kinds);
                // Last: whoever sees the count may rely on what it says.
                self.count(&kinds, "accepted");
                true
            }
            Err(problems) => {
                let is_known = is_retry && rejected.as_ref().is_some_and(|rejected| rejected.problems == problems);
                if !is_known {
                    for problem in &problems.0 {
                        tracing::error!(%problem, "reload rejected, what was in force stays in force");
                    }
                }
                // A retry has no kinds of its own: it is not counted when it fails.
                self.count(&kinds, "rejected");
                kinds.extend(rejected.into_iter().flat_map(|rejected| rejected.kinds));
                self.rejected = Some(Rejected { kinds, problems });
                false
            }
        }
    }

    fn count(&self, kinds: &BTreeSet<Kind>, result: &str) {
        for kind in kinds {
            self.metrics.config_reloads.with_label_values(&[kind.name(), result]).inc();
        }
    }

    fn read(&mut self) -> Result<Snapshot, Problems> {
        let current = self.snapshots.load_full();
        let config = config::load(&current.config.path)?;
        // Further files may be named now; those read below are at least as new as what is noted here.
        self.files = Files::of(&config);
        Snapshot::load(config, Some(&current), &self.metrics)
    }

    fn swap(&mut self, snapshot: Snapshot, changed: &BTreeSet<Kind>) {
        let snapshot = Arc::new(snapshot);
        let old = self.snapshots.swap(Arc::clone(&snapshot));
        for field in needs_restart(&old.config, &snapshot.config) {
            tracing::warn!(field, "this change takes effect after a restart");
        }
        if let Some(logging) = &self.logging
            && old.config.log != snapshot.config.log
        {
            logging.apply(snapshot.config.log);
        }
        show_state(&snapshot, &self.metrics);
        snapshot.warn_of_missing(Some(&old));
        let files: Vec<_> = changed.iter().map(|kind| kind.name()).collect();
        tracing::info!(
            files = files.join(","),
            keys = snapshot.keys.keys().len(),
            chatflows = snapshot.config.chatflows.len(),
            "reloaded"
        );
    }
}

/// Sets the gauges that tell of what is in force.
pub(crate) fn show_state(snapshot: &Snapshot, metrics: &Metrics) {
    let counts = snapshot.keys.counts(jiff::Timestamp::now());
    for (state, count) in [("active", counts.active), ("expired", counts.expired), ("disabled", counts.disabled)] {
        metrics.keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let (Some(identity), Some(tls)) = (&snapshot.tls, &snapshot.config.server.tls) {
        #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
        metrics
            .certificate_expiry
            .with_label_values(&[&tls.cert_file.to_string_lossy()])
            .set(identity.not_after as f64);
    }
}
