//! What metrics say of servers. A series is there for as long as somebody shows it, and then it is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntGauge, IntGaugeVec};

use crate::telemetry::metrics::Metrics;

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct ServerGauges(Arc<EndpointGauges>);

#[derive(Debug)]
struct EndpointGauges {
    healthy: IntGaugeVec,
    addresses: IntGaugeVec,
    /// How many show the same series: what is replaced may go after what replaces it has come.
    shown: Mutex<HashMap<Labels, usize>>,
}

/// Upstream and URL.
type Labels = [Box<str>; 2];

/// Those of one URL; gone with the last of its handles.
#[derive(Debug)]
pub(super) struct ServerSeries {
    gauges: Arc<EndpointGauges>,
    labels: Labels,
    healthy: IntGauge,
}

impl ServerGauges {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let (healthy, addresses) = (metrics.upstreams.healthy.clone(), metrics.upstreams.addresses.clone());
        Self(Arc::new(EndpointGauges { healthy, addresses, shown: Mutex::default() }))
    }

    pub(super) fn show(&self, upstream: &str, url: &str) -> ServerSeries {
        let labels = [upstream.into(), url.into()];
        // A panic under the lock leaves numbers of which each is good.
        let mut shown = self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown.entry(labels.clone()).or_default() += 1;
        let healthy = self.0.healthy.with_label_values(&[upstream, url]);
        ServerSeries { gauges: Arc::clone(&self.0), labels, healthy }
    }
}

impl ServerSeries {
    pub(super) fn is_healthy(&self, is_healthy: bool) {
        self.healthy.set(is_healthy.into());
    }

    /// How many addresses the URL's host stands for.
    pub(super) fn addresses(&self, healthy: usize, unhealthy: usize) {
        let [upstream, url] = &self.labels;
        for (state, count) in [("healthy", healthy), ("unhealthy", unhealthy)] {
            let gauge = self.gauges.addresses.with_label_values(&[upstream, url, state]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

impl Drop for ServerSeries {
    fn drop(&mut self) {
        let mut shown = self.gauges.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = shown.get_mut(&self.labels) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        shown.remove(&self.labels);
        let [upstream, url] = &self.labels;
        // Those that there never were are no loss.
        let _ = self.gauges.healthy.remove_label_values(&[upstream, url]);
        for state in ["healthy", "unhealthy"] {
            let _ = self.gauges.addresses.remove_label_values(&[upstream, url, state]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_goes_with_the_last_who_shows_it() {
        let metrics = Metrics::new().unwrap();
        let gauges = ServerGauges::new(&metrics);
        let text = || String::from_utf8(metrics.render()).unwrap();
        let (first, second) = (gauges.show("a", "http://x"), gauges.show("a", "http://x"));
        second.is_healthy(true);
        second.addresses(1, 2);
        drop(first);
        let shown = text();
        for line in [
            "flowgate_upstream_healthy{upstream=\"a\",url=\"http://x\"} 1",
            "flowgate_upstream_addresses{state=\"healthy\",upstream=\"a\",url=\"http://x\"} 1",
            "flowgate_upstream_addresses{state=\"unhealthy\",upstream=\"a\",url=\"http://x\"} 2",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        drop(second);
        assert!(!text().contains("http://x"));
    }
}
