//! Traces: which spans a request has, and what a collector is sent.

mod callers;
mod collectors;
mod engine;
mod spans;

use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::Upstream;

pub(crate) const PATH: &str = "/api/v1/prediction/support";
pub(crate) const ASK: &str = r#"{"question":"hi"}"#;
pub(crate) const WIDE: &str = "plans: { default: { requests: 1000000/min, burst: 100000, concurrent: 1000 } }";

/// A gateway in front of that Flowise with a section `telemetry`.
pub(crate) fn traced(upstream: &Upstream, telemetry: &str) -> Gateway {
    Gateway::start(&config(upstream.address, "", "", "", &format!("{WIDE}\n{telemetry}")))
}
