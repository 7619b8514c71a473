//! All that can be seen of a running gateway.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::reload::ReloadJournal;
use crate::server::{Admission, InsideCall, Phase};
use crate::snapshot::SharedSnapshot;
use crate::state::SharedState;
use crate::state::valkey::StoreHealth;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(crate) struct Overview {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) snapshots: SharedSnapshot,
    pub(crate) state: Arc<SharedState>,
    pub(crate) journal: Arc<ReloadJournal>,
    /// For requests of the console itself, which tries chatflows.
    pub(crate) inside: mpsc::Sender<InsideCall>,
}

impl Overview {
    /// Of the store that replicas share, if there is one.
    pub(super) fn store(&self) -> Option<&StoreHealth> {
        self.state.store.as_ref().map(|store| &**store.health())
    }
}
