//! Counts a request against its caller's plan and says in every answer where the caller stands.
//!
//! Inside `auth`: a key has a plan, which all who use the key share. Where strangers do, each of them has in addition
//! the share that the chatflow's `plan` gives to a caller without a key, so that one cannot use up everybody's: with a
//! publishable key an address, with a session token its subject. Callers without a key have that share alone, by
//! address. Headers: draft-ietf-httpapi-ratelimit-headers-11. A request in flight holds its places until its last byte.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{self, Poll, ready};

use futures_util::future::Either;
use http::Response;
use http::header::{HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::check::refuse;
use super::context::{Call, Context};
use crate::limits::{Exceeded, Visitor};
use crate::predict::session::Scope;
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
        let mut standing = Standing::default();
        let inner = match admit(&call.context, &mut standing) {
            Err(refusal) => Either::Left(ready(Ok(refuse(&call.context, refusal)))),
            Ok(()) => Either::Right(self.inner.call(call)),
        };
        WithState { inner, standing }
    }
}

/// Policy and state of each limit that was looked at, the narrowest first.
type Standing = [Option<(HeaderValue, HeaderValue)>; 2];

/// Counts the request against everything that it falls under, and takes its places among the requests in flight; the
/// context gives them back.
fn admit(context: &Context, standing: &mut Standing) -> Result<(), Refusal> {
    let key = context.key.get().and_then(|key| context.snapshot.allowance(key));
    // The visitor first: what one of them may not have is not taken from the others.
    let visitor = visitor(context)
        .map(|visitor| context.snapshot.visitors(context.flow().map(|flow| &**flow)).allowance(visitor));
    let mut permits = [None, None];
    let slots = permits.iter_mut().zip(standing);
    for (allowance, (permit, standing)) in visitor.iter().chain(key).zip(slots) {
        let (admitted, state) = allowance.admit();
        *standing = Some((allowance.plan.policy.clone(), state));
        *permit = Some(admitted.map_err(refusal)?);
    }
    context.permits.set(permits);
    Ok(())
}

/// Who is counted besides the key, if anybody.
fn visitor(context: &Context) -> Option<Visitor> {
    match context.scope() {
        Scope::Key(_) => None,
        Scope::Token { key, subject } => Some(Visitor::user(key, subject)),
        Scope::Visitor { address, .. } | Scope::Address(address) => Some(Visitor::at(address)),
    }
}

fn refusal(exceeded: Exceeded) -> Refusal {
    match exceeded {
        Exceeded::Rate { retry_after } => Refusal::RateLimited { retry_after },
        Exceeded::Concurrent => Refusal::TooManyConcurrent,
        Exceeded::Quota { retry_after } => Refusal::QuotaExceeded { retry_after },
    }
}

pin_project! {
    /// Puts the caller's standing on the response.
    pub(crate) struct WithState<F> {
        #[pin]
        inner: F,
        standing: Standing,
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
        let [first, second] = std::mem::take(this.standing);
        if let Some((policy, state)) = first {
            headers.insert(RATELIMIT_POLICY, policy);
            headers.insert(RATELIMIT, state);
        }
        if let Some((policy, state)) = second {
            // Two lines of a list are one list, RFC 9651, section 3.1.
            headers.append(RATELIMIT_POLICY, policy);
            headers.append(RATELIMIT, state);
        }
        Poll::Ready(Ok(response))
    }
}
