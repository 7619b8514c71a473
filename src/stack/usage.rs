//! What a request has used, counted at its end; and `GET /api/v1/usage`, which tells a caller what is left.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::context::Context;
use super::limits;
use crate::config::{Quota, QuotaPeriod};
use crate::keys::KeyKind;
use crate::policy::Callers;
use crate::state::limits::{Allowance, Left, LimitStatus};
use crate::state::usage::UsageTotals;
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

/// Counts a request of a known caller: of a key, or of nobody in particular where a chatflow is public. Who shows a wrong
/// key is nobody, and what anybody may ask without one is nobody's.
pub(super) fn count(context: &Context) {
    let (tokens_in, tokens_out) =
        context.models.get().map_or((0, 0), |models| (models.tokens_in.get(), models.tokens_out.get()));
    limits::spend(context, tokens_in.saturating_add(tokens_out));
    let (key, chatflow, refusal) = (context.caller_index(), context.chatflow_index(), context.refusal.get());
    let is_of_nobody =
        key.is_none() && (chatflow.is_none() || refusal.is_some_and(|refusal| refusal.auth_failure().is_some()));
    let is_asked = context.route.get().is_some_and(|route| !matches!(route.callers, Callers::Anyone | Callers::Known));
    if is_of_nobody || !is_asked || context.is_preflight() {
        return;
    }
    let refused = refusal.is_some_and(Refusal::is_refused_here);
    let used = UsageTotals { requests: 1, refused: u64::from(refused), tokens_in, tokens_out };
    context.snapshot.usage.count(key, chatflow, used);
}

/// What a caller has left.
#[derive(Serialize)]
struct UsageAnswer<'a> {
    key: &'a str,
    #[serde(flatten)]
    limits: LimitsLeft<'a>,
    /// The share of a token's user, which is counted beside the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<LimitsLeft<'a>>,
}

#[derive(Serialize)]
struct LimitsLeft<'a> {
    plan: &'a str,
    requests: RateLeft,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<CountLeft>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<TokensLeft>,
}

/// Of requests per time; `window` and `reset` in seconds.
#[derive(Serialize)]
struct RateLeft {
    limit: u32,
    window: u64,
    remaining: u32,
    reset: u64,
}

/// Of a day or month; `reset`: seconds until the next one.
#[derive(Serialize)]
struct CountLeft {
    limit: u32,
    remaining: u32,
    reset: u64,
}

/// Of a day or month.
#[derive(Serialize)]
struct TokensLeft {
    /// `day` or `month`.
    per: &'static str,
    #[serde(flatten)]
    used: Option<TokensUsed>,
    #[serde(flatten)]
    left: Option<CountLeft>,
}

#[derive(Serialize)]
struct TokensUsed {
    r#in: u64,
    out: u64,
}

/// The answer to who asks what is left.
pub(super) async fn answer(context: &Context) -> Result<Response<Body>, Refusal> {
    if context.person().is_some() {
        return of_person(context).await;
    }
    let key = context.key().ok_or(Refusal::MissingKey)?;
    let allowance = context.key.get().and_then(|key| context.snapshot.allowance(key)).ok_or(Refusal::MissingKey)?;
    let status = allowance.look().answer().await;
    let per = status.tokens.map_or(QuotaPeriod::Month, |(quota, _)| quota.per);
    // A publishable key can be read by anybody; how much a site is used cannot.
    let used = match key.kind {
        KeyKind::Secret => {
            let UsageTotals { tokens_in, tokens_out, .. } = context.snapshot.usage.of_key(&key.id, per).answer().await;
            Some(TokensUsed { r#in: tokens_in, out: tokens_out })
        }
        KeyKind::Publishable => None,
    };
    let of_user = match user(context) {
        Some(share) => Some(share.look().answer().await),
        None => None,
    };
    let answer = UsageAnswer {
        key: &key.id,
        limits: limits_left(&status, used),
        user: of_user.as_ref().map(|of_user| limits_left(of_user, None)),
    };
    Ok(response(&answer))
}

/// What a subject of an identity provider has left; how much all of them use is not theirs to know.
async fn of_person(context: &Context) -> Result<Response<Body>, Refusal> {
    let visitor = limits::visitor(context).ok_or(Refusal::MissingKey)?;
    let status = context.visitors().allowance(visitor).look().answer().await;
    let answer = UsageAnswer { key: context.key_label(), limits: limits_left(&status, None), user: None };
    Ok(response(&answer))
}

fn response(answer: &UsageAnswer<'_>) -> Response<Body> {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    let mut response = Response::new(Body::Full(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The limits of a token's user on its chatflow.
fn user(context: &Context) -> Option<Allowance> {
    let chatflow = context.snapshot.chatflow(&context.token.get()?.chatflow)?;
    let flow = context.snapshot.flow_of(Some(&chatflow))?;
    Some(context.snapshot.visitors(Some(flow)).allowance(limits::visitor(context)?))
}

fn limits_left(status: &LimitStatus, used: Option<TokensUsed>) -> LimitsLeft<'_> {
    let LimitStatus { plan, requests, remaining, reset, quota, tokens, .. } = status;
    let count = |(quota, left): (Quota, Left)| CountLeft {
        limit: quota.count.get(),
        remaining: left.remaining,
        reset: left.reset,
    };
    let per = tokens.map_or(QuotaPeriod::Month, |(quota, _)| quota.per);
    let per = match per {
        QuotaPeriod::Day => "day",
        QuotaPeriod::Month => "month",
    };
    let (remaining, reset) = (*remaining, *reset);
    LimitsLeft {
        plan,
        requests: RateLeft { limit: requests.count.get(), window: requests.per.as_secs(), remaining, reset },
        quota: quota.map(count),
        tokens: (used.is_some() || tokens.is_some()).then(|| TokensLeft { per, used, left: tokens.map(count) }),
    }
}
