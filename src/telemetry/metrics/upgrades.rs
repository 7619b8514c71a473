//! Metrics of upgrades: how often another process took this one's place, or did not.

use prometheus::IntCounter;

use super::Declare;

#[derive(Debug, Clone)]
pub(crate) struct UpgradeMetrics {
    /// This process took another's place.
    pub(crate) done: IntCounter,
    /// This process goes on, since its successor did not get ready.
    pub(crate) failed: IntCounter,
}

impl UpgradeMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        let all = declare.counters(
            "flowgate_upgrades_total",
            "Upgrades by result: done, as the process that took over counts them; failed, as the one that goes on does.",
            &["result"],
        )?;
        let of = |result: &str| all.with_label_values(&[result]);
        Ok(Self { done: of("done"), failed: of("failed") })
    }
}
