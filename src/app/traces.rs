//! The way of spans from whoever has them to the collector that is in force.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Otlp;
use crate::snapshot::SharedSnapshot;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{Exporter, SpanQueue};

type OtlpInForce = Box<dyn Fn() -> Option<Arc<Otlp>> + Send>;

/// For the control thread, which runs it.
pub(super) struct TraceExport {
    pub(super) exporter: Exporter<OtlpInForce>,
    /// To be cancelled when no more spans come.
    pub(super) closing: CancellationToken,
}

impl TraceExport {
    /// With the queue that it empties.
    pub(super) fn new(snapshots: &SharedSnapshot, metrics: &Metrics) -> (SpanQueue, Self) {
        let snapshots = Arc::clone(snapshots);
        let in_force: OtlpInForce = Box::new(move || snapshots.load().config.otlp.clone());
        let closing = CancellationToken::new();
        let (queue, exporter) = Exporter::new(in_force, &metrics.trace_spans, closing.clone());
        (queue, Self { exporter, closing })
    }
}
