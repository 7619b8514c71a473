//! External authorisation: a proxy asks, at a listener of its own, whether a request may pass, and forwards it itself.
//!
//! The layers are the proxy's own, so that whoever is refused there is refused here. [`original`] puts the request that is
//! asked about in the place of the one that asks; inside the limits [`decision`] answers instead of a backend; and the
//! layer here, outside of CORS, completes what is told. Nothing of a body is seen on this way.

mod decision;
pub(super) mod original;
mod replay;

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll, ready};

use http::header::HeaderValue;
use http::{Response, header};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::context::{Call, Context};
use crate::wire::body::Body;
use decision::FIELDS;

pub(super) use decision::{decide, may_decide};
pub(super) use replay::ReplayLayer;

#[derive(Clone, Copy)]
pub(crate) struct DecisionLayer;

impl<S> Layer<S> for DecisionLayer {
    type Service = Deciding<S>;

    fn layer(&self, inner: S) -> Deciding<S> {
        Deciding { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Deciding<S> {
    inner: S,
}

impl<S> Service<Call> for Deciding<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DecisionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let context = call.context.original.is_some().then(|| Rc::clone(&call.context));
        DecisionFuture { inner: self.inner.call(call), context }
    }
}

pin_project! {
    /// Completes a decision; passes any other answer.
    pub(crate) struct DecisionFuture<F> {
        #[pin]
        inner: F,
        context: Option<Rc<Context>>,
    }
}

impl<F> Future for DecisionFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        if let Some(context) = this.context {
            complete(context, &mut response);
        }
        Poll::Ready(Ok(response))
    }
}

fn complete(context: &Context, response: &mut Response<Body>) {
    if response.status().is_success() {
        // Each is there, if only empty, so that a proxy that copies it overwrites what its client sent.
        for name in &FIELDS {
            response.headers_mut().entry(name).or_insert(HeaderValue::from_static(""));
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else if context.original.as_ref().is_some_and(original::Original::is_subrequest) {
        replay::attach(response, &context.request_id);
    }
}
