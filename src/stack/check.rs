//! The one service behind layers that look at the head of a request and let it pass or answer it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{self, Poll};

use futures_util::future::Either;
use http::Response;
use http::request::Parts;
use tower::{Layer, Service};

use super::context::{Call, Context};
use super::routes::Endpoint;
use crate::config::{Access, ResponseShape};
use crate::predict::answer::failure;
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

/// A decision on the head of a request.
pub(crate) trait Check: Copy {
    /// `Ok(Some(..))` answers the request here.
    fn check(self, head: &mut Parts, context: &Context) -> Result<Option<Response<Body>>, Refusal>;
}

/// Makes a layer of a check.
pub(crate) fn layer<C: Check>(check: C) -> CheckLayer<C> {
    CheckLayer(check)
}

#[derive(Clone, Copy)]
pub(crate) struct CheckLayer<C>(C);

impl<C: Check, S> Layer<S> for CheckLayer<C> {
    type Service = Checked<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Checked { check: self.0, inner }
    }
}

#[derive(Clone)]
pub(crate) struct Checked<C, S> {
    check: C,
    inner: S,
}

impl<A, C, S> Service<Call<A>> for Checked<C, S>
where
    C: Check,
    S: Service<Call<A>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<EarlyAnswer, S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<A>) -> Self::Future {
        match self.check.check(&mut call.head, &call.context) {
            Ok(None) => Either::Right(self.inner.call(call)),
            Ok(Some(answer)) => Either::Left(Either::Left(ready(Ok(answer)))),
            Err(refusal) => Either::Left(refused(&call.context, refusal)),
        }
    }
}

/// What a layer answers with.
pub(crate) type LayerResult = Result<Response<Body>, Infallible>;
/// Boxed, where it is rare: a future is as large as its largest branch.
pub(crate) type LayerFuture = Pin<Box<dyn Future<Output = LayerResult>>>;
/// Without the layers further in: at once, or late.
pub(crate) type EarlyAnswer = Either<Ready<LayerResult>, LayerFuture>;

/// The answer of a refusal, held back if it is one to a guess.
pub(crate) fn refused(context: &Context, refusal: Refusal) -> EarlyAnswer {
    let response = refuse(context, refusal);
    match context.delay.take() {
        None => Either::Left(ready(Ok(response))),
        Some(delay) => Either::Right(Box::pin(async move {
            delay.pass().await;
            Ok(response)
        })),
    }
}

/// Makes the response of a refusal, and leaves the refusal for log and metrics.
pub(crate) fn refuse(context: &Context, refusal: Refusal) -> Response<Body> {
    let streamed = streamed_shape(context)
        .and_then(|shape| refusal.stream(|refusal| failure(shape, refusal.message(), refusal.code().name())));
    let response = streamed.unwrap_or_else(|| refusal.response(&context.request_id, context.events_only));
    // A request is refused once; a second reason would add nothing.
    let _ = context.refusal.set(refusal);
    response
}

/// For a widget on a page that anyone may use: the shape of the answers that it streams. A public chatflow's route is
/// known before anything is refused that is its.
fn streamed_shape(context: &Context) -> Option<ResponseShape> {
    // A proxy that asks would take it for a yes.
    if context.original.is_some() {
        return None;
    }
    let policy = context.policy().filter(|policy| policy.access == Access::Public)?;
    (context.events_only && context.endpoint() == Some(Endpoint::PREDICTION))
        .then(|| context.shape().unwrap_or(policy.response))
}
