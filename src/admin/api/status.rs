//! `GET /api/status`: what is wrong now, in one sentence, and how the gateway stands as a whole.

use jiff::Timestamp;
use serde::Serialize;

use super::super::overview::Overview;
use super::problems::{ProblemInfo, Severity, problems};
use super::telling::{counted, told};
use crate::server::Phase;
use crate::snapshot::Snapshot;

#[derive(Serialize)]
pub(super) struct StatusInfo {
    /// The worst problem, or that there is none.
    sentence: String,
    /// `ok`, `warning` or `critical`.
    state: &'static str,
    /// The worst first.
    problems: Vec<ProblemInfo>,
    version: &'static str,
    /// `running`, `leaving` (another process has taken over), `draining` or `ending`.
    phase: &'static str,
    now: String,
    started: String,
    uptime_seconds: u64,
    connections: ConnectionsInfo,
    streams_open: i64,
    engine_runs: i64,
    chatflows: usize,
    keys: usize,
    /// Whether a token is asked for.
    token: bool,
}

#[derive(Serialize)]
struct ConnectionsInfo {
    open: i64,
    limit: i64,
    waiting: i64,
}

pub(super) fn status(overview: &Overview, snapshot: &Snapshot) -> StatusInfo {
    let problems = problems(overview, snapshot);
    let (chatflows, keys) = (snapshot.flows().count(), snapshot.keys.keys().len());
    let sentence = match problems.as_slice() {
        [] => format!("All is well: {} answered, for {}.", counted(chatflows, "chatflow"), counted(keys, "key")),
        [only] => only.sentence.clone(),
        [worst, others @ ..] => format!("{} (And {} more.)", worst.sentence, others.len()),
    };
    let state = match problems.first().map(|worst| worst.severity) {
        None => "ok",
        Some(Severity::Warning) => "warning",
        Some(Severity::Critical) => "critical",
    };
    let metrics = &overview.metrics;
    let (recent, connections) = (&overview.state.recent, &metrics.connections);
    StatusInfo {
        sentence,
        state,
        problems,
        version: env!("CARGO_PKG_VERSION"),
        phase: match *overview.phase.borrow() {
            Phase::Running => "running",
            Phase::Leaving => "leaving",
            Phase::Draining => "draining",
            Phase::Ending => "ending",
        },
        now: told(Timestamp::now()),
        started: told(recent.started_at()),
        uptime_seconds: recent.uptime().as_secs(),
        connections: ConnectionsInfo {
            open: connections.open.get(),
            limit: connections.limit.get(),
            waiting: connections.waiting.get(),
        },
        streams_open: metrics.streams_open.get(),
        engine_runs: metrics.engine.runs.get(),
        chatflows,
        keys,
        token: snapshot.config.admin.token.is_some(),
    }
}
