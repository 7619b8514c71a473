//! Keys go first: one that is revoked is out of use before anything else is read, however long that takes.

use std::path::PathBuf;
use std::sync::Arc;

use super::files::{Files, Stamp, stamp};
use super::journal::ReloadJournal;
use super::show::{show_changed_keys, show_policy};
use crate::config::{Config, ConfigPart};
use crate::snapshot::{SharedSnapshot, Snapshot};
use crate::state::SharedState;
use crate::telemetry::metrics::Metrics;

/// The keys file of the configuration in force, as it was last read.
#[derive(Debug, Clone)]
pub(super) struct KeysFile {
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl KeysFile {
    /// As it was when the files were first looked at, which was before it was read.
    pub(super) fn seen(files: &Files, config: &Config) -> Self {
        let path = config.keys_file.clone();
        Self { stamp: files.stamp(ConfigPart::Keys, &path), path }
    }

    /// Takes over what it says by now, as a whole or at least what it revokes. What is wrong with it is for the reload to
    /// tell, which sees what else has changed.
    pub(super) fn look(
        &mut self,
        snapshots: &SharedSnapshot,
        state: &SharedState,
        metrics: &Metrics,
        journal: &ReloadJournal,
    ) {
        let current = snapshots.load_full();
        // Before it is read: what changes in between is then seen as a change.
        let path = &current.config.keys_file;
        let now = Self { path: path.clone(), stamp: stamp(path) };
        if now.path == self.path && now.stamp == self.stamp {
            return;
        }
        *self = now;
        if let Some(policy) = current.with_keys_again() {
            show_policy(&policy, metrics);
            show_changed_keys(&current, &policy, journal);
            snapshots.replace(Arc::new(Snapshot::bind(policy, state)));
        }
    }
}
