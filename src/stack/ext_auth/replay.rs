//! A refusal that nginx can show: its `auth_request` keeps status and headers of an answer, and throws the body away.
//!
//! So the whole refusal stands in one header of the answer as well, and `/refused` gives out what is in that header.
//! nginx sets the header itself, from the decision's; nothing of it is looked up, counted or logged again.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{self, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::Either;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tower::{Layer, Service};

use crate::stack::access_log::Line;
use crate::stack::context::{Arrival, ListenerKind};
use crate::stack::request_id::X_REQUEST_ID;
use crate::stack::{MeasuredBody, Stack};
use crate::wire::body::Body;
use crate::wire::watched::Watched;

const PATH: &str = "/refused";
const X_FLOWGATE_REFUSAL: HeaderName = HeaderName::from_static("x-flowgate-refusal");

/// What of an answer is told again; nothing of how it is framed.
const TOLD: [HeaderName; 13] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::ALLOW,
    header::VARY,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    X_REQUEST_ID,
];

#[derive(Serialize, Deserialize)]
struct ReplayedRefusal {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Puts a refusal, whole, into a header of its own.
pub(super) fn attach(response: &mut Response<Body>, request_id: &HeaderValue) {
    let told = |(name, value): (&HeaderName, &HeaderValue)| {
        TOLD.contains(name).then(|| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).flatten()
    };
    let mut headers: Vec<_> = response.headers().iter().filter_map(told).collect();
    headers.push((X_REQUEST_ID.as_str().to_owned(), request_id.to_str().unwrap_or_default().to_owned()));
    let body = match response.body() {
        Body::Full(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Body::Empty | Body::Streamed(_) => String::new(),
    };
    let told = ReplayedRefusal { status: response.status().as_u16(), headers, body };
    let text = serde_json::to_vec(&told).map(|json| BASE64_URL_SAFE_NO_PAD.encode(json));
    if let Some(value) = text.ok().and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(X_FLOWGATE_REFUSAL, value);
    }
}

/// The refusal that a header tells. Only what could have been one is.
fn told(headers: &HeaderMap) -> Option<Response<Body>> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(headers.get(X_FLOWGATE_REFUSAL)?.as_bytes()).ok()?;
    let told: ReplayedRefusal = serde_json::from_slice(&json).ok()?;
    let status = StatusCode::from_u16(told.status).ok()?;
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let mut response = Response::new(Body::from(Bytes::from(told.body)));
    *response.status_mut() = status;
    for (name, value) in told.headers {
        let name = HeaderName::try_from(name).ok().filter(|name| TOLD.contains(name))?;
        response.headers_mut().append(name, HeaderValue::try_from(value).ok()?);
    }
    Some(response)
}

/// Outside of everything: what is told again was logged and counted when it was decided.
#[derive(Clone, Copy)]
pub(in crate::stack) struct ReplayLayer;

impl<S> Layer<S> for ReplayLayer {
    type Service = Replaying<S>;

    fn layer(&self, inner: S) -> Replaying<S> {
        Replaying { inner }
    }
}

#[derive(Clone)]
pub(in crate::stack) struct Replaying<S> {
    inner: S,
}

impl<S: Stack> Service<Arrival> for Replaying<S> {
    type Response = Response<MeasuredBody>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<MeasuredBody>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, arrival: Arrival) -> Self::Future {
        if arrival.listener == ListenerKind::ExtAuth
            && arrival.request.uri().path() == PATH
            && let Some(response) = told(arrival.request.headers())
        {
            let unlogged = response.map(|body| Watched::new(Watched::new(body, None), Line::NONE));
            return Either::Right(ready(Ok(unlogged)));
        }
        Either::Left(self.inner.call(arrival))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(json: &str) -> Option<Response<Body>> {
        let mut headers = HeaderMap::new();
        headers.insert(X_FLOWGATE_REFUSAL, HeaderValue::try_from(BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap());
        told(&headers)
    }

    #[test]
    fn a_refusal_comes_back_as_it_was() {
        let mut refused = Response::new(Body::from(Bytes::from_static(b"{\"code\":\"rate_limited\"}")));
        *refused.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(7));
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        attach(&mut refused, &HeaderValue::from_static("id-1"));
        let again = told(refused.headers()).unwrap();
        assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(again.headers().len(), 2);
        assert_eq!(
            (&again.headers()["retry-after"], &again.headers()["x-request-id"]),
            (&"7".parse().unwrap(), &"id-1".parse().unwrap())
        );
        assert!(matches!(again.body(), Body::Full(body) if &**body == b"{\"code\":\"rate_limited\"}"));
    }

    #[test]
    fn nothing_but_a_refusal_can_be_told() {
        assert!(with(r#"{"status":429,"headers":[],"body":""}"#).is_some());
        for other in [
            r#"{"status":200,"headers":[],"body":""}"#,
            r#"{"status":302,"headers":[],"body":""}"#,
            r#"{"status":9,"headers":[],"body":""}"#,
            r#"{"status":429,"headers":[["set-cookie","a=b"]],"body":""}"#,
            r#"{"status":429,"headers":[["retry-after","1\r\nx: y"]],"body":""}"#,
            "[]",
            "",
        ] {
            assert!(with(other).is_none(), "{other}");
        }
        assert!(told(&HeaderMap::new()).is_none());
    }
}
