//! What is said of each step, and of the whole way.

use std::fmt::Write as _;

use http::StatusCode;
use serde::Serialize;

use crate::config::Access;
use crate::stack::context::Context;
use crate::stack::explanation::{claim, reason};
use crate::stack::limits::LimitPeek;
use crate::upstream::target::Target;
use crate::wire::refusal::{Refusal, Rule, shown_size};

pub(super) const PASSED_ON: &str = "forwarded unread";
pub(super) const NOT_LOOKED_AT: &str = "what this call itself checks is not looked at here";

/// One step of the way.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainStep {
    pub(crate) step: &'static str,
    pub(crate) result: StepResult,
    pub(crate) says: String,
    /// The field of the configuration that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) setting: Option<String>,
    /// Its file and line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepResult {
    Passes,
    /// The gateway itself answers, and the way ends.
    Answers,
    Refuses,
    /// It cannot be told without sending anything.
    Unknown,
}

/// The whole way.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    passes: bool,
    /// As far as the gateway decides; what answers the chatflow may say otherwise.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helps: Option<&'static str>,
    route: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatflow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    steps: Vec<ExplainStep>,
}

pub(super) fn explanation(
    context: &Context,
    steps: Vec<ExplainStep>,
    end: &Result<StatusCode, (&'static str, Refusal)>,
) -> Explanation {
    let refusal = end.as_ref().err().map(|(_, refusal)| refusal);
    Explanation {
        passes: end.is_ok(),
        status: match end {
            Ok(status) => status.as_u16(),
            Err((_, refusal)) => refusal.status().as_u16(),
        },
        code: refusal.map(|refusal| refusal.code().name()),
        rule: refusal.and_then(Refusal::rule).map(Rule::name),
        reason: refusal.and_then(|refusal| reason(context, refusal)),
        claim: claim(context).map(str::to_owned),
        message: refusal.map(|refusal| refusal.message().to_owned()),
        helps: end.as_ref().err().map(|(helps, _)| *helps),
        route: context.route_label().0,
        chatflow: context.chatflow.get().map(|_| context.chatflow_name().to_owned()),
        key: Some(context.key_label()).filter(|label| *label != "-").map(str::to_owned),
        upstream: context.upstream_label().map(str::to_owned),
        steps,
    }
}

pub(super) fn route(context: &Context) -> String {
    let Some(route) = context.route.get() else { return "no route".to_owned() };
    match context.chatflow.get() {
        Some(_) => format!("{} of the chatflow {}", route.label, context.chatflow_name()),
        None => route.label.to_owned(),
    }
}

pub(super) fn caller(context: &Context) -> String {
    let address = context.client;
    match (context.key(), context.token.get()) {
        (Some(key), Some(token)) => match &token.subject {
            Some(subject) => format!("a token of the key {} for {subject:?}, from {address}", key.id),
            None => format!("a token of the key {}, from {address}", key.id),
        },
        (Some(key), None) => format!("the key {}, from {address}", key.id),
        (None, _) => match context.person() {
            Some(person) => format!("{:?}, whom {} vouches for, from {address}", person.subject, context.key_label()),
            None => format!("nobody in particular, from {address}"),
        },
    }
}

pub(super) fn authorized(context: &Context) -> String {
    match (context.key(), context.policy().map(|policy| policy.access)) {
        (Some(key), Some(_)) => format!("the key {} may call it", key.id),
        (None, _) if context.person().is_some() => format!("people of {} may call it", context.key_label()),
        (None, Some(Access::Public)) => "it is public, and the page may call it".to_owned(),
        _ => "anybody may call it".to_owned(),
    }
}

pub(super) fn limit(peek: &LimitPeek) -> String {
    let LimitPeek { status, whose, waits } = peek;
    let mut says = format!(
        "{whose}: {} of the burst left, {} of {} in flight",
        status.remaining, status.in_flight, status.concurrent
    );
    for (what, left) in [("requests", &status.quota), ("tokens", &status.tokens)] {
        if let Some((quota, left)) = left {
            let _ = write!(says, ", {} of {} {what} left of its quota", left.remaining, quota.count);
        }
    }
    if *waits {
        says += "; it waits for a place";
    }
    says
}

pub(super) fn guard(context: &Context) -> String {
    match context.body_limit.get().bytes {
        0 => "no body is read".to_owned(),
        bytes => format!("a body of at most {}", shown_size(bytes)),
    }
}

/// Whether a server of the upstream would be there.
pub(super) fn servers(target: &Target) -> (StepResult, String) {
    let (mut all, mut well) = (0, 0);
    for watched in target.watched() {
        let is_checked = watched.check.is_some();
        for member in watched.url.members().iter() {
            all += 1;
            well += usize::from(member.health.is_healthy(is_checked));
        }
    }
    let result = if well == 0 { StepResult::Unknown } else { StepResult::Passes };
    (result, format!("sent to {}, of which {well} of {all} servers are well", target.name))
}
