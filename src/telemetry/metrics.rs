//! Every metric, declared once.
//!
//! Label values come from configuration or closed sets, never from what a client sends. `with_label_values`
//! hashes and locks, so the request path goes through [`series`](super::series), which keeps the handles.

mod engine;
mod identity;
mod limits;
mod upgrades;
mod upstreams;

use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use super::process::ProcessCollector;
pub(crate) use engine::EngineMetrics;
pub(crate) use identity::IdentityMetrics;
pub(crate) use limits::LimitMetrics;
pub(crate) use upgrades::UpgradeMetrics;
pub(crate) use upstreams::UpstreamMetrics;

/// Seconds; up to the ten minutes that a long agent run takes.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// All of the gateway's metrics and the registry that prints them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_duration: HistogramVec,
    pub(crate) time_to_first_byte: HistogramVec,
    pub(crate) streams_open: IntGauge,
    pub(crate) stream_events: IntCounterVec,
    pub(crate) streams_ended: IntCounterVec,
    pub(crate) auth_failures: IntCounterVec,
    pub(crate) auth_delayed: IntCounter,
    pub(crate) limits: LimitMetrics,
    pub(crate) quota_write_failures: IntCounter,
    pub(crate) usage_write_failures: IntCounter,
    pub(crate) rejected: IntCounterVec,
    pub(crate) upstreams: UpstreamMetrics,
    pub(crate) reloads: Reloads,
    pub(crate) upgrades: UpgradeMetrics,
    pub(crate) keys: IntGaugeVec,
    pub(crate) connections: ConnectionMetrics,
    pub(crate) certificate_expiry: GaugeVec,
    pub(crate) log_lines_dropped: IntCounter,
    pub(crate) trace_spans: IntCounterVec,
    pub(crate) engine: EngineMetrics,
    pub(crate) store: StoreMetrics,
    pub(crate) identity: IdentityMetrics,
}

/// Those of the store that replicas share; nothing is shown of them without one.
#[derive(Debug, Clone)]
pub(crate) struct StoreMetrics {
    pub(crate) up: IntGaugeVec,
    pub(crate) mode: IntGaugeVec,
    pub(crate) replicas: IntGaugeVec,
    pub(crate) seconds: HistogramVec,
    pub(crate) cells: IntCounterVec,
}

/// Those of reloads.
#[derive(Debug, Clone)]
pub(crate) struct Reloads {
    pub(crate) total: IntCounterVec,
    pub(crate) held_back: IntGaugeVec,
    pub(crate) last_successful: IntGauge,
    pub(crate) last_success: IntGauge,
}

/// Those of client connections.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionMetrics {
    pub(crate) open: IntGauge,
    pub(crate) limit: IntGauge,
    pub(crate) waiting: IntGauge,
    pub(crate) left: IntCounter,
    pub(crate) refused: IntCounterVec,
    pub(crate) handshake_failures: IntCounter,
}

impl Metrics {
    /// Declares and registers everything.
    ///
    /// # Errors
    /// Only if two metrics bear one name, which the first test of this module would show.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build =
            IntGaugeVec::new(Opts::new("flowgate_build_info", "Always 1; the version is in the label."), &["version"])?;
        registry.register(Box::new(build.clone()))?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(ProcessCollector::new()?))?;

        let declare = Declare { registry: &registry };
        Ok(Self {
            requests: declare.counters(
                "flowgate_requests_total",
                "Requests by route, chatflow, key and status code.",
                &["route", "chatflow", "key", "code"],
            )?,
            request_duration: declare.histograms(
                "flowgate_request_duration_seconds",
                "From the request's head to the last byte of the answer.",
                &["route"],
            )?,
            time_to_first_byte: declare.histograms(
                "flowgate_time_to_first_byte_seconds",
                "From sending the request upstream to the head of its answer.",
                &["upstream"],
            )?,
            streams_open: declare.gauge("flowgate_streams_open", "Event streams in flight.")?,
            stream_events: declare.counters(
                "flowgate_stream_events_total",
                "Events of streams, hidden ones included.",
                &["chatflow"],
            )?,
            streams_ended: declare.counters(
                "flowgate_streams_ended_total",
                "Ended streams by reason: done, error_event, client_gone, idle, truncated, drained.",
                &["reason"],
            )?,
            auth_failures: declare.counters(
                "flowgate_auth_failures_total",
                "Refused credentials by reason, which the client is not told.",
                &["reason"],
            )?,
            auth_delayed: declare
                .counter("flowgate_auth_answers_delayed_total", "Answers to wrong keys that were held back.")?,
            limits: LimitMetrics::new(&declare)?,
            quota_write_failures: declare.counter(
                "flowgate_quota_write_failures_total",
                "Attempts to keep the counts of quotas on disk that failed.",
            )?,
            usage_write_failures: declare.counter(
                "flowgate_usage_write_failures_total",
                "Attempts to keep on disk what keys use that failed.",
            )?,
            rejected: declare.counters("flowgate_rejected_total", "Requests refused by a rule.", &["rule"])?,
            upstreams: UpstreamMetrics::new(&declare)?,
            reloads: Reloads::new(&declare)?,
            upgrades: UpgradeMetrics::new(&declare)?,
            keys: declare.gauges("flowgate_keys", "Keys by state.", &["state"])?,
            connections: ConnectionMetrics::new(&declare)?,
            certificate_expiry: declare.float_gauges(
                "flowgate_certificate_expiry_seconds",
                "Seconds since the epoch at which the certificate ends.",
                &["file"],
            )?,
            log_lines_dropped: declare.counter(
                "flowgate_access_log_dropped_total",
                "Access-log lines lost because stdout did not keep up.",
            )?,
            trace_spans: trace_spans(&declare)?,
            engine: EngineMetrics::new(&declare)?,
            store: StoreMetrics::new(&declare)?,
            identity: IdentityMetrics::new(&declare)?,
            registry,
        })
    }

    /// The text exposition of everything.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render metrics");
        }
        text
    }
}

fn trace_spans(declare: &Declare<'_>) -> prometheus::Result<IntCounterVec> {
    declare.counters(
        "flowgate_trace_spans_total",
        "Spans of traces by result: sent, failed (given up, or not taken by the collector), dropped (the queue was full).",
        &["result"],
    )
}

impl StoreMetrics {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            up: declare.gauges("flowgate_state_up", "1 while the store that replicas share can be used.", &[])?,
            mode: declare.gauges(
                "flowgate_state_mode",
                "1 for the mode that limits are in: shared, or lost (each replica by itself).",
                &["mode"],
            )?,
            replicas: declare.gauges("flowgate_state_replicas", "Replicas that the store has seen last.", &[])?,
            seconds: declare.histograms(
                "flowgate_state_seconds",
                "How long calls of the store took, by call.",
                &["call"],
            )?,
            cells: declare.counters(
                "flowgate_lease_cells_total",
                "Cells (one request each) of leases, by result: granted, used, returned, void, local.",
                &["result"],
            )?,
        })
    }
}

impl Reloads {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            total: declare.counters(
                "flowgate_config_reloads_total",
                "Reloads by kind of file and result.",
                &["file", "result"],
            )?,
            held_back: declare.gauges(
                "flowgate_config_held_back",
                "1 while a file of that kind is not in force as it is on disk.",
                &["file"],
            )?,
            last_successful: declare.gauge(
                "flowgate_config_last_reload_successful",
                "1 if the last reload took over everything, 0 while something on disk is not in force.",
            )?,
            last_success: declare.gauge(
                "flowgate_config_last_reload_success_timestamp_seconds",
                "Seconds since the epoch at which everything on disk was last taken over.",
            )?,
        })
    }
}

impl ConnectionMetrics {
    fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            open: declare.gauge("flowgate_connections", "Open client connections.")?,
            limit: declare
                .gauge("flowgate_connections_limit", "Client connections that there may be: server.max_connections.")?,
            waiting: declare.gauge(
                "flowgate_connections_waiting",
                "Accepted connections that wait because all places are taken; more wait in the kernel's queue.",
            )?,
            left: declare.counter(
                "flowgate_connections_left_total",
                "Idle connections that were closed because their place was wanted.",
            )?,
            refused: declare.counters(
                "flowgate_connections_refused_total",
                "Connections that were closed unserved, by reason: address (above server.connections_per_address), ext_auth_peer, \
                 proxy_protocol_peer, proxy_protocol.",
                &["reason"],
            )?,
            handshake_failures: declare
                .counter("flowgate_tls_handshake_failures_total", "TLS handshakes that failed or took too long.")?,
        })
    }
}

/// Declares a metric and registers it in one step.
struct Declare<'a> {
    registry: &'a Registry,
}

impl Declare<'_> {
    fn register<C: prometheus::core::Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.register(Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let metrics = Metrics::new().unwrap();
        metrics.connections.open.set(3);
        let text = String::from_utf8(metrics.render()).unwrap();
        assert!(text.contains("flowgate_connections 3\n"), "{text}");
        assert!(text.contains("flowgate_build_info{version="), "{text}");
    }
}
