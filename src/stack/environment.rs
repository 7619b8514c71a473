//! What the layers of one worker share.

use std::rc::Rc;
use std::sync::Arc;

use super::cuts::StreamCuts;
use crate::engine::{EngineThreads, WakeQueue};
use crate::snapshot;
use crate::state::chats::Chats;
use crate::state::recent::RecentState;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::series::{Histograms, RequestCounters};
use crate::telemetry::traces::SpanQueue;
use crate::upstream::abort::Aborts;
use crate::upstream::forward::UpstreamClient;

/// See the module.
pub(crate) struct Environment {
    pub(crate) snapshots: Rc<snapshot::SnapshotReader>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) requests: RequestCounters,
    pub(crate) durations: Histograms,
    pub(crate) access_log: AccessLog,
    /// Takes spans of requests whose trace is sampled.
    pub(crate) spans: SpanQueue,
    pub(crate) upstreams: Rc<UpstreamClient>,
    pub(crate) aborts: Aborts,
    /// Where flows of the built-in engine run.
    pub(crate) engine: Arc<EngineThreads>,
    /// How they wake this worker.
    pub(crate) wakes: WakeQueue,
    /// Shared by all workers.
    pub(crate) chats: Arc<Chats>,
    pub(crate) recent: Arc<RecentState>,
    /// What ends running streams.
    pub(crate) cuts: Rc<StreamCuts>,
}
