//! Lets a request through only with a key that may make it.
//!
//! Stands inside `route` (which chatflow, so which scope) and outside `limits` (which are per key). Unknown, expired
//! and disabled keys get one answer; the metric tells them apart. Scheme: RFC 6750, section 2.1.

use http::HeaderMap;
use http::Response;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;

use super::check::Check;
use super::context::{Context, Endpoint};
use crate::keys::{Denied, secret};
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[derive(Clone, Copy)]
pub(crate) struct Auth;

impl Check for Auth {
    fn check(self, head: &mut Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
        identify(head, context).map_err(|refusal| throttled(refusal, &head.headers, context))
    }
}

/// Guessing is slow: too many wrong credentials from one address are told to wait. No credential is no guess.
fn throttled(refusal: Refusal, headers: &HeaderMap, context: &Context) -> Refusal {
    if !matches!(refusal, Refusal::InvalidKey(_)) {
        return refusal;
    }
    let credential = [headers.get(X_API_KEY), headers.get(AUTHORIZATION)];
    match context.snapshot.penalties.failed(context.client, credential) {
        Ok(()) => refusal,
        Err(retry_after) => Refusal::TooManyFailures { retry_after },
    }
}

fn identify(head: &Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal> {
    let endpoint = context.endpoint.get();
    // Both official SDKs ask without a key whether a chatflow streams.
    if endpoint == Endpoint::ChatflowsStreaming {
        return Ok(None);
    }
    let credential = credential(&head.headers)?;
    if !secret::is_plausible(credential) {
        return Err(Refusal::InvalidKey("malformed"));
    }
    let keys = &context.snapshot.keys;
    let found = keys.find(&secret::digest(credential), jiff::Timestamp::now()).map_err(|denied| {
        Refusal::InvalidKey(match denied {
            Denied::Unknown => "unknown",
            Denied::Expired => "expired",
            Denied::Disabled => "disabled",
        })
    })?;
    let key = keys.key(found.index).ok_or(Refusal::InvalidKey("unknown"))?;
    context.key.set(u32::try_from(found.index).ok());
    if !key.allows(context.client) {
        return Err(Refusal::AddressNotAllowed);
    }
    if !key.may_call(context.chatflow_name()) {
        return Err(Refusal::ChatflowNotAllowed);
    }
    if endpoint == Endpoint::Upsert && !key.upsert {
        return Err(Refusal::UpsertNotAllowed);
    }
    Ok(None)
}

/// The one key that a request carries: `X-API-KEY`, `Authorization: Bearer`, or both alike.
fn credential(headers: &HeaderMap) -> Result<&str, Refusal> {
    let api_key = only(headers, &X_API_KEY)?.map(text).transpose()?;
    let bearer = only(headers, &AUTHORIZATION)?.map(text).transpose()?.map(bearer).transpose()?;
    match (api_key, bearer) {
        (Some(a), Some(b)) if a != b => Err(Refusal::Invalid(
            "ambiguous_credentials",
            "The headers X-API-KEY and Authorization carry different keys.".into(),
        )),
        (a, b) => a.or(b).ok_or(Refusal::MissingKey),
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = format!("The header {} was sent more than once.", name.as_str());
        return Err(Refusal::Invalid("ambiguous_credentials", message.into()));
    }
    Ok(first)
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().map(str::trim).map_err(|_| Refusal::InvalidKey("malformed"))
}

fn bearer(value: &str) -> Result<&str, Refusal> {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim()),
        _ => Err(Refusal::InvalidKey("scheme")),
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
        assert_eq!(read(&[("authorization", "Basic k")]), Err(Refusal::InvalidKey("scheme")));
        for fields in [
            [("authorization", "Bearer k"), ("x-api-key", "other")],
            [("x-api-key", "k"), ("x-api-key", "k")],
            [("authorization", "Bearer k"), ("authorization", "Bearer k")],
        ] {
            assert!(matches!(read(&fields), Err(Refusal::Invalid("ambiguous_credentials", _))), "{fields:?}");
        }
    }
}
