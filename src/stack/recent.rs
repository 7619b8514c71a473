//! Notes at its end what became of a request, for people who look at the console.

use http::HeaderValue;
use jiff::Timestamp;

use super::access_log::CLIENT_GONE;
use super::context::Context;
use super::decided::{Decided, decided, helps};
use super::explanation;
use crate::predict::report::Ending;
use crate::state::recent::{RecentState, RefusalEntry, RequestOutcome};
use crate::wire::refusal::{Refusal, Rule};

/// What a stream is known by that told an error after its status.
const TOLD_IN_STREAM: &str = "upstream_error";
const FLOW_HELPS: &str =
    "Look at the flow and its model: run it in Flowise, or ask with `flowgate flows check` what the engine misses.";

pub(super) fn note(recent: &RecentState, context: &Context, status: u16) {
    let refusal = context.refusal.get();
    let told = if refusal.is_none() { explanation::told_in_stream(context) } else { None };
    let bound = &context.snapshot.recent;
    let second = recent.seconds(context.received + context.duration());
    if let Some(caller) = context.caller_index() {
        bound.keys().note(caller, second);
    }
    if let Some(window) = context.chatflow_index().and_then(|index| bound.window(index))
        && !context.is_preflight()
    {
        window.count(second, outcome(context, status, told.is_some()), first_token(context));
    }
    if (refusal.is_none() && told.is_none()) || !recent.refusals.wants(second) {
        return;
    }
    if let Some(refusal) = refusal {
        recent.refusals.push(of_refusal(context, refusal, status));
    } else if let Some(error) = told {
        recent.refusals.push(of_stream(context, error, status));
    }
}

fn outcome(context: &Context, status: u16, has_told: bool) -> RequestOutcome {
    let refusal = context.refusal.get();
    let ending = context.stream.get().map(|report| report.ending.get());
    match (refusal, ending) {
        (Some(Refusal::EngineBusy | Refusal::StateUnavailable), _) => RequestOutcome::Limited,
        (Some(refusal), _) if refusal.auth_failure().is_none() && refusal.limit().is_some() => RequestOutcome::Limited,
        (Some(refusal), _) if refusal.is_refused_here() => RequestOutcome::Refused,
        (Some(_), _) | (None, Some(Some(Ending::ErrorEvent | Ending::Idle | Ending::Truncated))) => {
            RequestOutcome::Failed
        }
        _ if has_told => RequestOutcome::Failed,
        (None, Some(None)) => RequestOutcome::Left,
        _ if status == CLIENT_GONE => RequestOutcome::Left,
        _ => RequestOutcome::Answered,
    }
}

/// Of a stream: from the request's head to its first token.
fn first_token(context: &Context) -> Option<std::time::Duration> {
    let seen = context.stream.get().and_then(|report| report.first_token.get());
    let of_engine = || context.models.get().and_then(|report| report.first_token.get().copied());
    seen.map(|moment| moment.saturating_duration_since(context.received)).or_else(of_engine)
}

fn of_refusal(context: &Context, refusal: &Refusal, status: u16) -> RefusalEntry {
    let Decided { setting, place } = decided(context, refusal).unwrap_or_default();
    RefusalEntry {
        code: refusal.code().name(),
        rule: refusal.rule().map(Rule::name),
        reason: explanation::reason(context, refusal),
        claim: explanation::claim(context).map(Into::into),
        plan: context.exceeded_plan().map(Into::into),
        message: explanation::cut(refusal.message()).into(),
        setting: setting.map(Into::into),
        place: place.map(Into::into),
        helps: helps(refusal),
        ..entry(context, status)
    }
}

fn of_stream(context: &Context, error: &str, status: u16) -> RefusalEntry {
    RefusalEntry {
        code: TOLD_IN_STREAM,
        message: explanation::cut(error).into(),
        helps: FLOW_HELPS,
        ..entry(context, status)
    }
}

/// What is known of any request, as the access log tells it.
fn entry(context: &Context, status: u16) -> RefusalEntry {
    let text = |value: &HeaderValue| value.to_str().map(explanation::cut).unwrap_or_default().into();
    let ended = context.ended_key.get().and_then(|index| context.snapshot.keys.key(index as usize));
    let path = match context.path.get() {
        Some(path) => path.to_string(),
        None => context.plain_path().unwrap_or_default().concat(),
    };
    RefusalEntry {
        time: format!("{:.3}", Timestamp::now()),
        request_id: text(&context.request_id),
        status,
        method: explanation::cut(context.method.as_str()).into(),
        path: path.into(),
        chatflow: context.chatflow.get().map(|_| context.chatflow_name().into()),
        key: ended.map(|key| key.id.clone()).or_else(|| context.caller_index().map(|_| context.key_label().into())),
        subject: explanation::subject(context).map(|text| explanation::cut(text).into()),
        origin: context.origin.as_ref().map(text),
        upstream: context.upstream_label().map(Into::into),
        address: text(&context.client_text),
        ..RefusalEntry::default()
    }
}
