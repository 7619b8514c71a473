//! Lets a call go on to its chatflow only if its caller may call that. Nothing further in asks again.
//!
//! Inside `auth` (who calls) and outside `limits`, which are the chatflow's own: a call that names it in its query or
//! its body has as much of that read here. Whatever is wrong with what such a call says is told further in, once it
//! has been charged; what a path says is refused at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{self, Poll};

use futures_util::future::Either;
use http::Response;
use tower::{Layer, Service};

use super::body::read_body;
use super::check::{Check as _, LayerFuture, LayerResult, refuse};
use super::context::{Authorization, AuthorizedCall, Call, Context, NotNamed, authorize};
use super::guard::Guard;
use super::routes::NamedIn;
use crate::predict::json::text_of;
use crate::widget::{fields, files};
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::refusal::{Refusal, Rule};

#[derive(Clone, Copy)]
pub(crate) struct AuthorizeLayer;

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorizing<S>;

    fn layer(&self, inner: S) -> Authorizing<S> {
        Authorizing { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Authorizing<S> {
    inner: S,
}

impl<S> Service<Call> for Authorizing<S>
where
    S: Service<Call<Authorization>, Response = Response<Body>, Error = Infallible> + Clone + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<LayerResult>, Either<S::Future, LayerFuture>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let named_in = call.context.route.get().map_or(NamedIn::Nothing, |route| route.chatflow);
        let authorization = match named_in {
            NamedIn::Path { .. } | NamedIn::Nothing => match authorize(&call.context) {
                Ok(authorized) => Ok(authorized),
                Err(refusal) => return Either::Left(ready(Ok(refuse(&call.context, refusal)))),
            },
            NamedIn::Query => by_query(&call).map_err(Box::new),
            NamedIn::Body(field) => {
                let mut inner = self.inner.clone();
                // Boxed: it is rare, and a future is as large as its largest branch.
                let later: LayerFuture = Box::pin(async move {
                    let mut call = call;
                    let authorization = by_body(&mut call, field).await.map_err(Box::new);
                    inner.call(with(call, authorization)).await
                });
                return Either::Right(Either::Right(later));
            }
        };
        Either::Right(Either::Left(self.inner.call(with(call, authorization))))
    }
}

fn with(call: Call, authorization: Authorization) -> Call<Authorization> {
    let Call { head, body, context, authorization: () } = call;
    Call { head, body, context, authorization }
}

pub(super) fn by_query(call: &Call) -> Result<AuthorizedCall, Refusal> {
    let wanted = files::wanted(call.head.uri.query().unwrap_or_default())?;
    name(&call.context, &wanted.chatflow)?;
    authorize(&call.context)
}

/// Reads the body, as much of it as the route takes, and leaves it to be read again.
pub(super) async fn by_body(call: &mut Call, field: &str) -> Result<AuthorizedCall, Refusal> {
    Guard.check(&mut call.head, &call.context)?;
    let body = std::mem::replace(&mut call.body, ClientBody::read(bytes::Bytes::new()));
    let bytes = read_body(body, &call.context).await?;
    let chatflow = fields::chatflow(&mut fields::all(&text_of(&bytes)?)?, field)?;
    name(&call.context, &chatflow.ok_or_else(|| Rule::FieldRequired.refuse("The chatflow must be named."))?)?;
    call.body = ClientBody::read(bytes);
    authorize(&call.context)
}

/// Notes the chatflow that a query or a body names. One that stands in the path is the only one that may be named.
pub(super) fn name(context: &Rc<Context>, chatflow: &str) -> Result<(), Refusal> {
    context.name_chatflow(chatflow).map_err(|error| match error {
        NotNamed::Unknown => context.unknown_chatflow(),
        NotNamed::Another => Rule::AmbiguousField.refuse("The chatflow in the body is not the one in the path."),
    })
}
