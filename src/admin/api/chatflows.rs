//! `GET /api/chatflows`: where each goes, what became of its requests in the last minutes, and who was limited.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::super::overview::Overview;
use super::telling::{now, plan_name};
use crate::config::{Access, Chatflow};
use crate::snapshot::Snapshot;
use crate::state::recent::{RequestOutcome, SPAN, WindowTotals};

/// Callers of one chatflow that are named as limited.
const MOST_LIMITED: usize = 5;

#[derive(Serialize)]
pub(super) struct ChatflowList {
    /// What the counts look back on.
    window_seconds: u64,
    chatflows: Vec<ChatflowInfo>,
}

#[derive(Serialize)]
struct ChatflowInfo {
    name: String,
    upstream: String,
    kind: &'static str,
    /// `key` or `public`.
    access: &'static str,
    /// Of callers without a key.
    plan: String,
    requests: u64,
    per_minute: f64,
    answered: u64,
    refused: u64,
    limited: u64,
    failed: u64,
    left: u64,
    /// `null`: there was no stream.
    first_token_ms: Option<FirstTokenInfo>,
    limited_callers: Vec<LimitedCaller>,
}

#[derive(Serialize)]
struct FirstTokenInfo {
    p50: u64,
    p99: u64,
}

/// Among the last refusals.
#[derive(Serialize)]
struct LimitedCaller {
    caller: String,
    times: usize,
}

pub(super) fn list(overview: &Overview, snapshot: &Snapshot) -> ChatflowList {
    let limited = limited(overview);
    let told = windows(overview, snapshot).into_iter().map(|(chatflow, totals)| {
        let upstream = snapshot.config.upstreams.get(chatflow.upstream);
        let milliseconds =
            |per_mille| totals.first_token(per_mille).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let first_token_ms = milliseconds(500).zip(milliseconds(990)).map(|(p50, p99)| FirstTokenInfo { p50, p99 });
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_minute = totals.requests() as f64 * 60.0 / f64::from(totals.seconds.max(10));
        ChatflowInfo {
            name: chatflow.name.to_string(),
            upstream: upstream.map_or("-", |upstream| &upstream.name).to_owned(),
            kind: upstream.map_or("-", |upstream| upstream.kind.name()),
            access: match chatflow.access {
                Access::Key => "key",
                Access::Public => "public",
            },
            plan: plan_name(snapshot, chatflow.plan).to_owned(),
            requests: totals.requests(),
            per_minute: (per_minute * 10.0).round() / 10.0,
            answered: totals.of(RequestOutcome::Answered),
            refused: totals.of(RequestOutcome::Refused),
            limited: totals.of(RequestOutcome::Limited),
            failed: totals.of(RequestOutcome::Failed),
            left: totals.of(RequestOutcome::Left),
            first_token_ms,
            limited_callers: limited.get(&*chatflow.name).map(most).unwrap_or_default(),
        }
    });
    ChatflowList { window_seconds: SPAN.as_secs(), chatflows: told.collect() }
}

/// Each chatflow, with its last minutes.
pub(super) fn windows<'a>(overview: &Overview, snapshot: &'a Snapshot) -> Vec<(&'a Arc<Chatflow>, WindowTotals)> {
    let second = now(overview);
    let flows = (0_u32..).zip(snapshot.flows());
    flows.filter_map(|(index, flow)| Some((&flow.config, snapshot.recent.window(index)?.totals(second)))).collect()
}

/// How often each caller was over its limits among the last refusals, by chatflow.
fn limited(overview: &Overview) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut callers: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for entry in overview.state.recent.refusals.all().iter().filter(|entry| entry.plan.is_some()) {
        let Some(chatflow) = &entry.chatflow else { continue };
        let caller = match (&entry.key, &entry.subject) {
            (Some(key), Some(subject)) => format!("{key} for {subject}"),
            (Some(key), None) => key.to_string(),
            (None, _) => entry.address.to_string(),
        };
        *callers.entry(chatflow.to_string()).or_default().entry(caller).or_default() += 1;
    }
    callers
}

fn most(callers: &BTreeMap<String, usize>) -> Vec<LimitedCaller> {
    let mut all: Vec<_> =
        callers.iter().map(|(caller, times)| LimitedCaller { caller: caller.clone(), times: *times }).collect();
    all.sort_by_key(|caller| std::cmp::Reverse(caller.times));
    all.truncate(MOST_LIMITED);
    all
}
