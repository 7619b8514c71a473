//! Metrics of identity providers; nothing is shown of them without one.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::Declare;

#[derive(Debug, Clone)]
pub(crate) struct IdentityMetrics {
    pub(crate) refused: IntCounterVec,
    keys: IntGaugeVec,
    readings: IntCounterVec,
    last_read: GaugeVec,
}

impl IdentityMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            refused: declare.counters(
                "flowgate_identity_refused_total",
                "Tokens of identity providers that did not count, by reason.",
                &["identity", "reason"],
            )?,
            keys: declare.gauges(
                "flowgate_identity_keys",
                "Keys of a provider that signatures are checked with, as they were last read.",
                &["identity"],
            )?,
            readings: declare.counters(
                "flowgate_identity_readings_total",
                "Readings of a provider's keys by result: read, failed.",
                &["identity", "result"],
            )?,
            last_read: declare.float_gauges(
                "flowgate_identity_last_read_timestamp_seconds",
                "Seconds since the epoch at which a provider's keys were last read.",
                &["identity"],
            )?,
        })
    }

    /// A reading has ended, with so many keys if it did well.
    pub(crate) fn read(&self, identity: &str, keys: Option<usize>) {
        let result = if keys.is_some() { "read" } else { "failed" };
        self.readings.with_label_values(&[identity, result]).inc();
        let known = self.keys.with_label_values(&[identity]);
        if let Some(keys) = keys {
            known.set(i64::try_from(keys).unwrap_or(i64::MAX));
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^52")]
            self.last_read.with_label_values(&[identity]).set(jiff::Timestamp::now().as_second() as f64);
        }
    }

    /// The provider is no longer in force, or has its keys elsewhere.
    pub(crate) fn forget(&self, identity: &str) {
        let _ = self.keys.remove_label_values(&[identity]);
        let _ = self.last_read.remove_label_values(&[identity]);
    }
}
