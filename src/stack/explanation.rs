//! What explains a request beside its code: who asked, and why it was not answered as asked.
//!
//! The client may not be told all of it; whoever runs the gateway finds it by the request's id.

use crate::stack::context::{Context, TokenRefused};
use crate::wire::refusal::{Refusal, Rule};

/// Bytes of a text that somebody else has written.
const LONGEST: usize = 256;

/// Calls `tell` with the name and the value of each field that there is.
pub(super) fn each(context: &Context, mut tell: impl FnMut(&'static str, &str)) {
    if let Some(subject) = subject(context) {
        tell("subject", cut(subject));
    }
    if let Some(refusal) = context.refusal.get() {
        refused(context, refusal, &mut tell);
    } else if let Some(error) = told_in_stream(context) {
        failed(context, error, &mut tell);
    }
}

/// Whom a token is for.
pub(super) fn subject(context: &Context) -> Option<&str> {
    let of_token = context.token.get().and_then(|token| token.subject.as_deref());
    of_token.or_else(|| context.person().map(|person| &*person.subject))
}

/// The error that ended a stream, as the client was told.
pub(super) fn told_in_stream(context: &Context) -> Option<&str> {
    let of_stream = context.stream.get().and_then(|report| report.error.get());
    let of_engine = || context.models.get().and_then(|report| report.failure.get());
    of_stream.or_else(of_engine).map(|error| &**error)
}

fn refused(context: &Context, refusal: &Refusal, tell: &mut impl FnMut(&'static str, &str)) {
    if !refusal.is_refused_here() {
        return failed(context, refusal.message(), tell);
    }
    if let Some(reason) = reason(context, refusal) {
        tell("reason", reason);
    }
    if let Some(claim) = claim(context) {
        tell("claim", claim);
    }
    if let Some(TokenRefused { identity: Some(identity), .. }) = context.token_refused.get() {
        tell("identity", context.identity_name(*identity));
    }
    let ended = context.ended_key.get().and_then(|index| context.snapshot.keys.key(index as usize));
    if let Some(key) = ended {
        tell("refused_key", &key.id);
    }
    if let Some(plan) = context.exceeded_plan() {
        tell("plan", plan);
    }
    if refusal.rule() == Some(Rule::Origin)
        && let Some(origin) = context.origin.as_ref().and_then(|origin| origin.to_str().ok())
    {
        tell("origin", cut(origin));
    }
    if matches!(refusal, Refusal::Invalid(..)) {
        tell("error", cut(refusal.message()));
    }
}

/// What answers the chatflow has failed, and says so.
fn failed(context: &Context, error: &str, tell: &mut impl FnMut(&'static str, &str)) {
    if let Some(upstream) = context.upstream_label() {
        tell("upstream", upstream);
    }
    tell("error", cut(error));
}

/// Why a credential does not count, or that there is none.
pub(super) fn reason(context: &Context, refusal: &Refusal) -> Option<&'static str> {
    let of_token = context.token_refused.get().map(|refused| refused.why.fault.name());
    of_token.or_else(|| refusal.auth_failure())
}

/// The claim on which it hangs that a token does not count.
pub(super) fn claim(context: &Context) -> Option<&str> {
    context.token_refused.get()?.why.claim.as_deref()
}

pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
