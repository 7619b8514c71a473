//! Finds out who calls: by a key, by a token, or nobody in particular where something is public.
//!
//! Stands inside `route` (which chatflow, so whether it is public) and outside `authorize` (what the caller may call).
//! Unknown, expired and disabled keys get one answer; the metric tells them apart.
//! Scheme: RFC 6750, section 2.1.

mod person;

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use futures_util::future::Either;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use jiff::Timestamp;
use tower::{Layer, Service};

use super::check::{EarlyAnswer, LayerFuture, refused};
use super::context::{Call, Context, TokenRefused};
use crate::config::Access;
use crate::jwt::{TokenFault, Untrusted};
use crate::keys::{Denied, secret, token};
use crate::policy::{Callers, Person};
use crate::wire::body::Body;
use crate::wire::refusal::{KeyFault, Refusal, Rule};
use person::{KeysSeen, Vouched, vouched};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[derive(Clone, Copy)]
pub(crate) struct AuthLayer;

impl<S> Layer<S> for AuthLayer {
    type Service = Authenticating<S>;

    fn layer(&self, inner: S) -> Authenticating<S> {
        Authenticating { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Authenticating<S> {
    inner: S,
}

impl<S> Service<Call> for Authenticating<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible> + Clone + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<EarlyAnswer, Either<S::Future, LayerFuture>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let identified = match callers(&call.context) {
            Some(Callers::Anyone) => Ok(Identified::Known),
            _ => identify(&call.head.headers, &call.context),
        };
        let refusal = match identified {
            Ok(Identified::Known) => return Either::Right(Either::Left(self.inner.call(call))),
            Ok(Identified::Perhaps(seen, why)) => match seen.another() {
                Some(reading) => {
                    let mut inner = self.inner.clone();
                    // Boxed: it is rare, and a future is as large as its largest branch.
                    return Either::Right(Either::Right(Box::pin(async move {
                        reading.await;
                        match identify_now(&call.head.headers, &call.context) {
                            Ok(()) => inner.call(call).await,
                            Err(refusal) => refused(&call.context, refusal).await,
                        }
                    })));
                }
                None => unknown_person(&call.context, why),
            },
            Err(refusal) => refusal,
        };
        let refusal = throttled(refusal, &call.head.headers, &call.context);
        Either::Left(refused(&call.context, refusal))
    }
}

/// Once an issuer's keys were read again, or must not be: what is not known now is not known.
fn identify_now(headers: &HeaderMap, context: &Context) -> Result<(), Refusal> {
    let refusal = match identify(headers, context) {
        Ok(Identified::Known) => return Ok(()),
        Ok(Identified::Perhaps(_, why)) => unknown_person(context, why),
        Err(refusal) => refusal,
    };
    Err(throttled(refusal, headers, context))
}

/// What this layer decides, by all that is known now.
pub(super) fn decide(headers: &HeaderMap, context: &Context) -> Result<(), Refusal> {
    if callers(context) == Some(Callers::Anyone) { Ok(()) } else { identify_now(headers, context) }
}

/// What comes of a credential.
enum Identified {
    /// The context says who calls, or that nobody in particular does.
    Known,
    /// Another reading of an issuer's keys may tell; refused so otherwise.
    Perhaps(KeysSeen, TokenRefused),
}

/// Who guesses is slowed down: too many wrong credentials from one address are answered late, and told to wait. No
/// credential is no guess, nor is one that was right once.
fn throttled(refusal: Refusal, headers: &HeaderMap, context: &Context) -> Refusal {
    match &refusal {
        Refusal::InvalidKey(fault) if fault.is_guess() => {}
        Refusal::InvalidToken { is_guess: true } => {}
        _ => return refusal,
    }
    let Some(penalties) = context.snapshot.penalties() else { return refusal };
    let credential = [headers.get(X_API_KEY), headers.get(AUTHORIZATION)];
    if let Some(trial) = &context.trial {
        let is_guess = trial.key.is_none();
        let retry_after = is_guess.then(|| penalties.foresee(context.client, credential)).flatten();
        return retry_after.map_or(refusal, |retry_after| Refusal::TooManyFailures { retry_after });
    }
    let penalty = penalties.failed(context.client, credential);
    context.delay.set(penalty.delay);
    penalty.retry_after.map_or(refusal, |retry_after| Refusal::TooManyFailures { retry_after })
}

/// For a name that no chatflow has. A wrong key is counted here as everywhere, since a good one is told something else.
pub(super) fn unknown_chatflow(headers: &HeaderMap, context: &Context) -> Refusal {
    let refusal = match identify(headers, context).map_err(|refusal| throttled(refusal, headers, context)) {
        Ok(Identified::Known) => context.unknown_chatflow(),
        Err(refusal @ Refusal::TooManyFailures { .. }) => refusal,
        Ok(Identified::Perhaps(..)) | Err(_) => Refusal::NotFound,
    };
    // What is no route is nobody's.
    context.key.set(None);
    refusal
}

/// Who calls: sets the context's key and token, or the person, or nothing if nobody in particular may call.
fn identify(headers: &HeaderMap, context: &Context) -> Result<Identified, Refusal> {
    if let Some(id) = context.trial.as_ref().and_then(|trial| trial.key.as_deref()) {
        return assume(id, context);
    }
    let credential = match credential(headers) {
        Err(Refusal::MissingKey) if may_be_public(context) => return Ok(Identified::Known),
        credential => credential?,
    };
    if context.snapshot.has_identity_providers() && is_for_providers(credential, headers, context) {
        return person(credential, context);
    }
    own_token(credential, context)
}

/// By a key, or by a token that descends from one.
fn own_token(credential: &str, context: &Context) -> Result<Identified, Refusal> {
    let keys = &context.snapshot.keys;
    let now = Timestamp::now;
    let index = match token::is_token(credential).then(|| token::verify(keys, credential, now())) {
        Some(Ok((index, claims))) => {
            // Set once: this layer sees a request once.
            let _ = context.token.set(Box::new(claims));
            index
        }
        Some(Err(denied)) if denied != Denied::Unknown || !secret::is_plausible(credential) => {
            return Err(invalid(denied));
        }
        None if !secret::is_plausible(credential) => return Err(Refusal::InvalidKey(KeyFault::Malformed)),
        // Also a key from elsewhere that looks like a token.
        _ => {
            let digest = secret::digest(credential);
            let denied = |denied| {
                let holder = keys.with_digest(&digest).and_then(|found| u32::try_from(found.index).ok());
                context.ended_key.set(holder);
                invalid(denied)
            };
            keys.find(&digest, now).map_err(denied)?.index
        }
    };
    context.key.set(u32::try_from(index).ok());
    Ok(Identified::Known)
}

/// Whether a credential is to be shown to identity providers: as RFC 6750, section 2.1 has it, and neither the gateway's own
/// nor a key that was brought along.
fn is_for_providers(credential: &str, headers: &HeaderMap, context: &Context) -> bool {
    let is_bearer = headers.contains_key(AUTHORIZATION) && !headers.contains_key(X_API_KEY);
    let is_like = credential.starts_with(['{', '"']) || credential.starts_with("eyJ") || credential.contains('.');
    if !is_bearer || !is_like {
        return false;
    }
    let is_key = || context.snapshot.keys.with_digest(&secret::digest(credential)).is_some();
    !(secret::is_plausible(credential) && is_key())
}

/// By a token of an identity provider, or one that could be.
fn person(credential: &str, context: &Context) -> Result<Identified, Refusal> {
    let (snapshot, now) = (&context.snapshot, Timestamp::now().as_second());
    let digest = secret::digest(credential);
    let has_keys = |identity, keys: &_| snapshot.issuer_keys(identity).is_some_and(|now| Arc::ptr_eq(&now, keys));
    if let Some(person) = snapshot.people().find(&digest, now, has_keys) {
        return Ok(called_by(person, context));
    }
    let refuse = |fault: TokenFault| unknown_person(context, TokenRefused { identity: None, why: fault.into() });
    let token = Untrusted::read(credential).map_err(refuse)?;
    if token.has_shared_secret() && token.issuer().is_none() {
        return own_token(credential, context);
    }
    match vouched(&token, snapshot, now) {
        Vouched::Person(person, keys) => {
            snapshot.people().remember(digest, &person, keys, now);
            Ok(called_by(person, context))
        }
        Vouched::Refused(why) => Err(unknown_person(context, why)),
        Vouched::Perhaps(seen, why) => Ok(Identified::Perhaps(seen, why)),
    }
}

fn called_by(person: Rc<Person>, context: &Context) -> Identified {
    // Set once: a second look is taken only where there was nobody at first.
    let _ = context.person.set(person);
    Identified::Known
}

/// Leaves the reason for log and metric; clients are told none.
fn unknown_person(context: &Context, why: TokenRefused) -> Refusal {
    let fault = why.why.fault;
    let _ = context.token_refused.set(why);
    match fault {
        TokenFault::NoKeys => Refusal::IdentityUnavailable,
        fault => Refusal::InvalidToken { is_guess: fault.is_guess() },
    }
}

/// As if the key of that id had been shown.
fn assume(id: &str, context: &Context) -> Result<Identified, Refusal> {
    let (index, key) = context.snapshot.keys.by_id(id).ok_or(Refusal::InvalidKey(KeyFault::Unknown))?;
    let index = u32::try_from(index).ok();
    key.check(Timestamp::now()).map_err(|denied| {
        context.ended_key.set(index);
        invalid(denied)
    })?;
    context.key.set(index);
    Ok(Identified::Known)
}

fn invalid(denied: Denied) -> Refusal {
    Refusal::InvalidKey(match denied {
        Denied::Unknown => KeyFault::Unknown,
        Denied::Expired => KeyFault::Expired,
        Denied::Disabled => KeyFault::Disabled,
    })
}

fn callers(context: &Context) -> Option<Callers> {
    context.route.get().map(|route| route.callers)
}

/// Whether the chatflow is public; where it is not known yet, whether any is.
fn may_be_public(context: &Context) -> bool {
    if let Some(policy) = context.policy() {
        return policy.access == Access::Public;
    }
    let is_for_keys = matches!(callers(context), Some(Callers::Backends | Callers::Known));
    !is_for_keys && context.snapshot.has_public_chatflow()
}

/// The one key that a request carries: `X-API-KEY`, `Authorization: Bearer`, or both alike. An empty header is none, and
/// beside an `X-API-KEY` neither is an `Authorization` of another kind: it is not for us. Nor is what can be no
/// credential beside what can be one: a page that has no user's token says `Bearer undefined`.
fn credential(headers: &HeaderMap) -> Result<&str, Refusal> {
    let api_key = only(headers, &X_API_KEY)?.map(text).transpose()?.filter(|key| !key.is_empty());
    let authorization = only(headers, &AUTHORIZATION)?.map(text).transpose().map(|text| text.map(bearer));
    match (api_key, authorization) {
        (Some(key), Ok(Some(Bearer::Key(bearer)))) if key != bearer => match (may_count(key), may_count(bearer)) {
            (true, false) => Ok(key),
            (false, true) => Ok(bearer),
            _ => {
                Err(Rule::AmbiguousCredentials.refuse("The headers X-API-KEY and Authorization carry different keys."))
            }
        },
        (Some(key), _) | (None, Ok(Some(Bearer::Key(key)))) => Ok(key),
        (None, Ok(None | Some(Bearer::Empty))) => Err(Refusal::MissingKey),
        (None, Ok(Some(Bearer::Bare))) => Err(Refusal::InvalidKey(KeyFault::NoScheme)),
        (None, Ok(Some(Bearer::Other))) => Err(Refusal::InvalidKey(KeyFault::OtherScheme)),
        (None, Err(refusal)) => Err(refusal),
    }
}

/// Whether a credential may be a key or a token at all.
fn may_count(credential: &str) -> bool {
    secret::is_plausible(credential) || token::is_token(credential)
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = format!("The header {} was sent more than once.", name.as_str());
        return Err(Rule::AmbiguousCredentials.refuse(message));
    }
    Ok(first)
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().map(str::trim).map_err(|_| Refusal::InvalidKey(KeyFault::Malformed))
}

/// What `Authorization` says, by its shape alone.
enum Bearer<'a> {
    Empty,
    Key(&'a str),
    /// Not after the name of a scheme.
    Bare,
    /// After another scheme's name.
    Other,
}

fn bearer(value: &str) -> Bearer<'_> {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    match (scheme.eq_ignore_ascii_case("bearer"), rest.trim()) {
        (true, "") => Bearer::Empty,
        (true, key) => Bearer::Key(key),
        (false, "") if scheme.is_empty() => Bearer::Empty,
        (false, "") => Bearer::Bare,
        (false, _) => Bearer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        credential(&headers).map(str::to_owned)
    }

    #[test]
    fn both_headers_are_read_and_must_agree() {
        assert_eq!(read(&[("x-api-key", "k")]), Ok("k".into()));
        assert_eq!(read(&[("authorization", "Bearer k")]), Ok("k".into()));
        assert_eq!(read(&[("authorization", "bearer  k ")]), Ok("k".into()));
        assert_eq!(read(&[("authorization", "Bearer k"), ("x-api-key", "k")]), Ok("k".into()));
        assert_eq!(read(&[]), Err(Refusal::MissingKey));
        assert_eq!(read(&[("authorization", "Basic k")]), Err(Refusal::InvalidKey(KeyFault::OtherScheme)));
        assert_eq!(read(&[("authorization", "k")]), Err(Refusal::InvalidKey(KeyFault::NoScheme)));
        for empty in ["", " ", "Bearer", "bearer  "] {
            assert_eq!(read(&[("authorization", empty)]), Err(Refusal::MissingKey));
            assert_eq!(read(&[("authorization", empty), ("x-api-key", "k")]), Ok("k".into()));
        }
        for other in ["Basic dTpw", "k2", "Negotiate abc"] {
            assert_eq!(read(&[("authorization", other), ("x-api-key", "k")]), Ok("k".into()));
        }
        assert_eq!(read(&[("authorization", "Bearer k"), ("x-api-key", "")]), Ok("k".into()));
        let key = "0123456789abcdef";
        for broken in ["Bearer undefined", "Bearer null", "Bearer [object Object]", "Bearer fg_sk_short"] {
            assert_eq!(read(&[("authorization", broken), ("x-api-key", key)]), Ok(key.into()), "{broken}");
        }
        let bearer = "Bearer 0123456789abcdef";
        assert_eq!(read(&[("authorization", bearer), ("x-api-key", "undefined")]), Ok(key.into()));
        for fields in [
            [("authorization", "Bearer k"), ("x-api-key", "other")],
            [("authorization", bearer), ("x-api-key", "fedcba9876543210")],
            [("authorization", "Bearer eyJh.eyJh.x"), ("x-api-key", "fedcba9876543210")],
            [("x-api-key", "k"), ("x-api-key", "k")],
            [("authorization", "Bearer k"), ("authorization", "Bearer k")],
        ] {
            assert!(matches!(read(&fields), Err(Refusal::Invalid(Rule::AmbiguousCredentials, _))), "{fields:?}");
        }
    }
}
