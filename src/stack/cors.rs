//! Tells browsers which pages may call and what of an answer they may read (WHATWG Fetch, section 3.2).
//!
//! Outside `route`, so that every answer carries the fields, refusals included; the answer to a preflight is made by
//! `route`, without key, upstream or charge, and completed here. Nothing is enforced here: a browser that is told
//! nothing keeps the answer from the page, and `auth` refuses what an origin may not do.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderValue, VARY,
};
use http::{HeaderMap, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::context::{Call, Context};
use super::explain::StepResult;
use super::routes::Endpoint;
use crate::config::Access;
use crate::policy::Callers;
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

/// What a page may send, beyond what it always may.
const REQUEST_HEADERS: &str = "accept, authorization, cache-control, content-type, x-api-key, x-request-id";
/// Bytes of an origin that are logged.
const LONGEST_ORIGIN: usize = 256;
/// What a page may read, beyond what it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("ratelimit, ratelimit-policy, retry-after, x-request-id");

#[derive(Clone, Copy)]
pub(crate) struct CorsLayer;

impl<S> Layer<S> for CorsLayer {
    type Service = CorsService<S>;

    fn layer(&self, inner: S) -> CorsService<S> {
        CorsService { inner }
    }
}

#[derive(Clone)]
pub(crate) struct CorsService<S> {
    inner: S,
}

impl<S> Service<Call> for CorsService<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = CorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let context = Rc::clone(&call.context);
        CorsFuture { inner: self.inner.call(call), context }
    }
}

pin_project! {
    /// Puts the fields on the answer.
    pub(crate) struct CorsFuture<F> {
        #[pin]
        inner: F,
        context: Rc<Context>,
    }
}

impl<F> Future for CorsFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        answer(this.context, response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

fn answer(context: &Context, headers: &mut HeaderMap) {
    let Some(origin) = &context.origin else {
        if context.origins().is_some_and(|origins| !origins.is_empty()) {
            vary(headers, "origin");
        }
        return;
    };
    vary(headers, "origin");
    let config = &context.snapshot.config.cors;
    let is_preflight = context.is_preflight();
    match reach(context, origin) {
        PageAccess::None => {
            tell_unlisted(context, origin);
            return;
        }
        // The visitor shall read why: nothing else can be had by it, since the call itself is refused.
        PageAccess::Refusal => {
            tell_unlisted(context, origin);
            if is_preflight {
                headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(0));
            }
        }
        PageAccess::Listed => {
            if config.allow_credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
            if is_preflight {
                headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(config.max_age.as_secs()));
            }
        }
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if is_preflight {
        vary(headers, "access-control-request-method");
        vary(headers, "access-control-request-headers");
        if let Some(methods) = headers.get(ALLOW).cloned() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, request_headers(&config.allowed_headers));
    } else {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// `more`: what the configuration adds.
fn request_headers(more: &str) -> HeaderValue {
    let all = (!more.is_empty()).then(|| HeaderValue::from_str(&format!("{REQUEST_HEADERS}, {more}")).ok()).flatten();
    all.unwrap_or(HeaderValue::from_static(REQUEST_HEADERS))
}

/// Leaves a line in the log when a page that is not listed asks whether it may call a chatflow: in the browser it only
/// sees that the fetch has failed. A page of the gateway's own origin does not ask.
fn tell_unlisted(context: &Context, origin: &HeaderValue) {
    let Some(policy) = context.policy().filter(|_| context.is_preflight()) else { return };
    let name = &*policy.name;
    if context.snapshot.told_origins.is_new((name, origin.as_bytes())) {
        let origin: String = origin.to_str().unwrap_or("not ASCII").chars().take(LONGEST_ORIGIN).collect();
        tracing::warn!(
            ?origin,
            chatflow = name,
            rule = "origin",
            "a page of an origin that is not listed wants to call a chatflow, and the browser refuses: if it may, list \
             the origin in the chatflow's allowed_origins or in cors.allowed_origins"
        );
    }
}

/// What a page of that origin would see of the answer.
pub(super) fn told(context: &Context, origin: &HeaderValue) -> (StepResult, String) {
    match reach(context, origin) {
        PageAccess::Listed => (StepResult::Passes, "the page may read the answer".to_owned()),
        PageAccess::Refusal => (StepResult::Refuses, "the page may read no more than that it is refused".to_owned()),
        PageAccess::None => (StepResult::Refuses, "the browser keeps the answer from the page".to_owned()),
    }
}

/// How far a page of that origin gets.
enum PageAccess {
    None,
    /// It may read that it is refused.
    Refusal,
    Listed,
}

fn reach(context: &Context, origin: &HeaderValue) -> PageAccess {
    let Ok(origin) = origin.to_str() else { return PageAccess::None };
    let is_preflight = context.is_preflight();
    if !is_preflight && context.route.get().is_some_and(|route| route.callers == Callers::Backends) {
        // For backends: a page has no secret key to ask with.
        return PageAccess::None;
    }
    let (Some(policy), Some(origins)) = (context.policy(), context.origins()) else {
        // No chatflow, or one that stands where a preflight cannot say it.
        return if context.snapshot.is_listed_somewhere(origin) { PageAccess::Listed } else { PageAccess::None };
    };
    if origins.allows(origin) {
        return PageAccess::Listed;
    }
    let is_told = is_preflight || context.refusal.get() == Some(&Refusal::OriginNotAllowed);
    let is_prediction = context.endpoint() == Some(Endpoint::PREDICTION);
    if policy.access == Access::Public && is_prediction && origin != "null" && is_told {
        return PageAccess::Refusal;
    }
    PageAccess::None
}

/// Adds a name to `Vary`, next to what the upstream has put there (RFC 9110, section 12.5.5).
fn vary(headers: &mut HeaderMap, name: &'static str) {
    let mut listed = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    if !listed.any(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(name) || item.trim() == "*")) {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}
