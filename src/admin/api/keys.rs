//! `GET /api/keys`: who may call, when each key was last used, and what is left of its limits. Never a key, nor what it
//! is recognised by. `?id=` asks for one; else those that were used last stand first.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::super::overview::Overview;
use super::telling::{asked, plan_name, told};
use crate::config::{IdentityProvider, Quota, QuotaPeriod};
use crate::keys::{Key, KeyKind, KeyState};
use crate::snapshot::Snapshot;
use crate::state::limits::Left;

/// Keys of one answer.
const MOST: usize = 500;

#[derive(Serialize)]
pub(super) struct KeyList {
    /// Of all that there are.
    total: usize,
    keys: Vec<KeyInfo>,
    /// Identity providers, whose people need none.
    providers: Vec<ProviderInfo>,
}

#[derive(Serialize)]
struct ProviderInfo {
    name: String,
    /// `null`: whoever has its keys.
    issuer: Option<String>,
    /// How many of the issuer's keys are known; `null`: they could not be read yet.
    keys: Option<usize>,
    /// Since the gateway runs; `null`: not.
    last_used: Option<String>,
}

#[derive(Serialize)]
struct KeyInfo {
    id: String,
    /// `secret` or `publishable`.
    kind: &'static str,
    /// `active`, `expired` or `disabled`.
    state: &'static str,
    plan: String,
    /// `null`: all.
    chatflows: Option<Vec<String>>,
    /// Since the gateway runs; `null`: not.
    last_used: Option<String>,
    /// `null`: never.
    ends: Option<String>,
    /// During a rotation: how long the secret before counts.
    old_secret_ends: Option<String>,
    requests: Option<RequestsInfo>,
    in_flight: u32,
    concurrent: u32,
    quota: Option<QuotaInfo>,
    tokens: Option<QuotaInfo>,
}

#[derive(Serialize)]
struct RequestsInfo {
    limit: u32,
    window: u64,
    remaining: u32,
    reset: u64,
}

#[derive(Serialize)]
struct QuotaInfo {
    /// `day` or `month`.
    per: &'static str,
    limit: u32,
    remaining: u32,
    reset: u64,
}

pub(super) fn list(overview: &Overview, snapshot: &Snapshot, query: &str) -> KeyList {
    let keys = snapshot.keys.keys();
    let used = |index: usize| snapshot.recent.keys().last(index);
    let mut order: Vec<usize> = match asked(query, "id").filter(|id| !id.is_empty()) {
        Some(id) => snapshot.keys.by_id(id).into_iter().map(|(index, _)| index).collect(),
        None => (0..keys.len()).collect(),
    };
    // Those that were never used stay in the order of the file.
    order.sort_by_key(|index| std::cmp::Reverse(used(*index)));
    order.truncate(MOST);
    let now = Timestamp::now();
    let told_of = |index: usize| {
        let key = keys.get(index)?;
        let last_used = used(index).map(|second| told(overview.state.recent.time_of(second)));
        Some(key_told(snapshot, index, key, last_used, now))
    };
    let providers = providers(overview, snapshot);
    KeyList { total: keys.len(), keys: order.into_iter().filter_map(told_of).collect(), providers }
}

fn providers(overview: &Overview, snapshot: &Snapshot) -> Vec<ProviderInfo> {
    let all = snapshot.config.identity.iter().enumerate();
    let told_of = |(index, provider): (usize, &Arc<IdentityProvider>)| ProviderInfo {
        name: provider.name.to_string(),
        issuer: provider.issuer.as_deref().map(str::to_owned),
        keys: u32::try_from(index).ok().and_then(|index| snapshot.issuer_keys(index)).map(|keys| keys.len()),
        last_used: snapshot
            .recent
            .keys()
            .last_of_provider(index)
            .map(|second| told(overview.state.recent.time_of(second))),
    };
    all.map(told_of).collect()
}

fn key_told(snapshot: &Snapshot, index: usize, key: &Key, last_used: Option<String>, now: Timestamp) -> KeyInfo {
    let allowance = u32::try_from(index).ok().and_then(|index| snapshot.allowance(index));
    let status = allowance.map(crate::state::limits::Allowance::status);
    KeyInfo {
        id: key.id.to_string(),
        kind: match key.kind {
            KeyKind::Secret => "secret",
            KeyKind::Publishable => "publishable",
        },
        state: match key.state(now) {
            KeyState::Active => "active",
            KeyState::Expired => "expired",
            KeyState::Disabled => "disabled",
        },
        plan: plan_name(snapshot, key.plan).to_owned(),
        chatflows: key.chatflows.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        last_used,
        ends: key.expires_at.map(told),
        old_secret_ends: key.previous().filter(|_| key.is_rotating(now)).map(|(_, until)| told(until)),
        in_flight: status.as_ref().map_or(0, |status| status.in_flight),
        concurrent: status.as_ref().map_or(0, |status| status.concurrent),
        requests: status.as_ref().map(|status| RequestsInfo {
            limit: status.requests.count.get(),
            window: status.requests.per.as_secs(),
            remaining: status.remaining,
            reset: status.reset,
        }),
        quota: status.as_ref().and_then(|status| status.quota).map(quota),
        tokens: status.as_ref().and_then(|status| status.tokens).map(quota),
    }
}

fn quota((quota, left): (Quota, Left)) -> QuotaInfo {
    let per = match quota.per {
        QuotaPeriod::Day => "day",
        QuotaPeriod::Month => "month",
    };
    QuotaInfo { per, limit: quota.count.get(), remaining: left.remaining, reset: left.reset }
}
