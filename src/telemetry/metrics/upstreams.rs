//! Metrics of servers that are asked, and of what becomes of the calls.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Declare;

#[derive(Debug, Clone)]
pub(crate) struct UpstreamMetrics {
    pub(crate) errors: IntCounterVec,
    pub(crate) healthy: IntGaugeVec,
    pub(crate) addresses: IntGaugeVec,
    pub(crate) aborts: IntCounterVec,
}

impl UpstreamMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            errors: declare.counters(
                "flowgate_upstream_errors_total",
                "Failed upstream calls by kind.",
                &["upstream", "kind"],
            )?,
            healthy: declare.gauges(
                "flowgate_upstream_healthy",
                "1 while a server of that URL accepts connections and passes its checks.",
                &["upstream", "url"],
            )?,
            addresses: declare.gauges(
                "flowgate_upstream_addresses",
                "Addresses of that URL's host by state: healthy, unhealthy.",
                &["upstream", "url", "state"],
            )?,
            aborts: declare.counters(
                "flowgate_upstream_aborts_total",
                "Chats that Flowise was told to abort because their client left, by result: ok, failed, dropped.",
                &["result"],
            )?,
        })
    }
}
