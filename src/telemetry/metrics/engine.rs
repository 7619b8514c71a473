//! What the built-in engine counts.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::Declare;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct EngineMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) tokens: IntCounterVec,
    pub(crate) first_token: HistogramVec,
    pub(crate) memory_lost: IntCounter,
    /// Under way on engine threads.
    pub(crate) runs: IntGauge,
    /// For a thread to begin.
    pub(crate) wait: Histogram,
    pub(crate) limits: IntCounterVec,
    pub(crate) scripts: IntCounterVec,
    /// Time of the processor that a script takes.
    pub(crate) script_compute: Histogram,
    /// To servers of tools.
    pub(crate) mcp_requests: IntCounterVec,
    pub(crate) mcp_starts: IntCounterVec,
}

impl EngineMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            requests: declare.counters(
                "flowgate_engine_model_requests_total",
                "Calls of models by the built-in engine.",
                &["chatflow", "model"],
            )?,
            errors: declare.counters(
                "flowgate_engine_model_errors_total",
                "Calls of models without an answer, by kind: provider, unreachable, timeout, aborted, cancelled, flow.",
                &["chatflow", "model", "kind"],
            )?,
            tokens: declare.counters(
                "flowgate_engine_tokens_total",
                "Tokens as providers count them, by direction: in, out.",
                &["chatflow", "model", "direction"],
            )?,
            first_token: declare.histograms(
                "flowgate_engine_first_token_seconds",
                "From a checked request for a stream to its first token.",
                &["chatflow"],
            )?,
            memory_lost: declare.counter(
                "flowgate_engine_memory_lost_total",
                "Exchanges that a chat does not remember because they could not be written.",
            )?,
            runs: declare.gauge("flowgate_engine_runs", "Runs of flows under way.")?,
            wait: declare.histogram(
                "flowgate_engine_wait_seconds",
                "How long runs waited for an engine thread to begin them.",
            )?,
            limits: declare.counters(
                "flowgate_engine_limits_total",
                "Runs that met a limit: time, steps, model_calls, tool_calls, text.",
                &["chatflow", "limit"],
            )?,
            scripts: declare.counters(
                "flowgate_engine_scripts_total",
                "Scripts of flows by how they ended: ok, error, memory, compute, time, output, idle, cancelled, lost.",
                &["outcome"],
            )?,
            script_compute: declare.histogram(
                "flowgate_engine_script_compute_seconds",
                "Time of the processor that a script of a flow took.",
            )?,
            mcp_requests: declare.counters(
                "flowgate_engine_mcp_requests_total",
                "Lists of tools and calls of them, of MCP servers by transport (http, program), by result: ok, provider, \
                 unreachable, timeout, flow, limit.",
                &["transport", "result"],
            )?,
            mcp_starts: declare.counters(
                "flowgate_engine_mcp_starts_total",
                "Starts of the programs in `engine.mcp.servers`, by result: started, failed.",
                &["server", "result"],
            )?,
        })
    }
}
