//! Metrics of limits: who was over one, and who waits for a place.

use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::Declare;

#[derive(Debug, Clone)]
pub(crate) struct LimitMetrics {
    pub(crate) exceeded: IntCounterVec,
    pub(crate) waiting: IntGauge,
    pub(crate) waits: HistogramVec,
}

impl LimitMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            exceeded: declare.counters("flowgate_limited_total", "Requests over a limit.", &["key", "limit"])?,
            waiting: declare.gauge(
                "flowgate_limit_waiting",
                "Requests that wait because too many of their caller are in flight.",
            )?,
            waits: declare.histograms(
                "flowgate_limit_wait_seconds",
                "How long such requests waited, by result: admitted, refused, left.",
                &["result"],
            )?,
        })
    }
}
