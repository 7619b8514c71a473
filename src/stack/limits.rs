//! Counts a request against its caller's plan and says in every answer where the caller stands.
//!
//! Inside `auth`: a key has a plan. Callers without a key are counted per address against the plan `anonymous`.
//! Headers: draft-ietf-httpapi-ratelimit-headers-11. A request in flight holds a place until its last byte.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use futures_util::future::Either;
use http::Response;
use http::header::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::check::refuse;
use super::context::{Call, Context};
use crate::limits::{PlanLimits, Verdict};
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

#[derive(Clone, Copy)]
pub(crate) struct LimitsLayer;

impl<S> Layer<S> for LimitsLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Limited<S> {
    inner: S,
}

impl<S> Service<Call> for Limited<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = WithState<Either<Ready<Result<Response<Body>, Infallible>>, S::Future>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (verdict, plan) = count(&call.context);
        let refusal = match verdict {
            Verdict::Limited { retry_after } => Some(Refusal::RateLimited { retry_after }),
            Verdict::Allowed { .. } => enter(&call.context).err(),
        };
        let inner = match refusal {
            Some(refusal) => Either::Left(ready(Ok(refuse(&call.context, refusal)))),
            None => Either::Right(self.inner.call(call)),
        };
        WithState { inner, policy: Some(plan.policy.clone()), state: Some(plan.state(verdict)) }
    }
}

fn count(context: &Context) -> (Verdict, Arc<PlanLimits>) {
    let snapshot = &context.snapshot;
    match context.key.get().and_then(|key| snapshot.allowance(key)) {
        Some(allowance) => (allowance.take(), Arc::clone(&allowance.plan)),
        None => (snapshot.anonymous.take(context.client), Arc::clone(&snapshot.anonymous.plan)),
    }
}

/// Takes a place among the requests in flight; the context gives it back.
fn enter(context: &Context) -> Result<(), Refusal> {
    if let Some(allowance) = context.key.get().and_then(|key| context.snapshot.allowance(key)) {
        context.permit.set(Some(allowance.enter().ok_or(Refusal::TooManyConcurrent)?));
    }
    Ok(())
}

pin_project! {
    /// Puts the caller's standing on the response.
    pub(crate) struct WithState<F> {
        #[pin]
        inner: F,
        policy: Option<HeaderValue>,
        state: Option<HeaderValue>,
    }
}

impl<F> Future for WithState<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let headers = response.headers_mut();
        if let (Some(policy), Some(state)) = (this.policy.take(), this.state.take()) {
            headers.insert(RATELIMIT_POLICY, policy);
            headers.insert(RATELIMIT, state);
        }
        Poll::Ready(Ok(response))
    }
}
