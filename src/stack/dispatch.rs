//! Innermost: hands a call to what answers it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use tower::Service;

use super::backend::BackendCall;
use super::body::read_body;
use super::check::refuse;
use super::context::{Authorization, Call};
use super::environment::Environment;
use super::routes::{Endpoint, FlowCall};
use super::{ext_auth, mint, usage, widget};
use crate::wire::body::Body;
use crate::wire::refusal::Refusal;

#[derive(Clone)]
pub(crate) struct Dispatch(Rc<Environment>);

impl Dispatch {
    pub(crate) fn new(environment: Rc<Environment>) -> Self {
        Self(environment)
    }
}

impl Service<Call<Authorization>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>>>>;

    fn poll_ready(&mut self, _cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Authorization>) -> Self::Future {
        let environment = Rc::clone(&self.0);
        Box::pin(async move {
            let context = Rc::clone(&call.context);
            Ok(answer(&environment, call).await.unwrap_or_else(|refusal| refuse(&context, refusal)))
        })
    }
}

async fn answer(environment: &Environment, call: Call<Authorization>) -> Result<Response<Body>, Refusal> {
    let Call { head, body, context, authorization } = call;
    let authorized = authorization.map_err(|refusal| *refusal)?;
    if context.original.is_some() {
        return ext_auth::decide(&authorized);
    }
    let asked = match context.endpoint().ok_or(Refusal::NotFound)? {
        // Answered by `route`.
        Endpoint::Health | Endpoint::Ping | Endpoint::DemoPage => return Err(Refusal::NotFound),
        Endpoint::Tokens => return mint::answer(&read_body(body, &context).await?, &context),
        Endpoint::Usage => return usage::answer(&context).await,
        Endpoint::Widget(asked) => {
            let backend = BackendCall::new(environment, &authorized)?;
            // Boxed: a future is as large as its largest branch, and moved with every prediction.
            return Box::pin(widget::answer(asked, &backend, &head, body, &context)).await;
        }
        Endpoint::Flow(asked) => asked,
    };
    match BackendCall::new(environment, &authorized)? {
        BackendCall::Engine(engine) => match asked {
            // Boxed as below.
            FlowCall::Prediction => Box::pin(engine.predict(body)).await,
            FlowCall::Streaming => Ok(is_streaming(engine.local.info.streams)),
            FlowCall::Upsert => Box::pin(engine.upsert(&head, body)).await,
        },
        BackendCall::Flowise(flowise) => match asked {
            FlowCall::Prediction => flowise.predict(head, body).await,
            // Boxed as above.
            FlowCall::Upsert => Box::pin(flowise.upsert(head, body)).await,
            FlowCall::Streaming => Box::pin(flowise.streams(&head)).await.map(is_streaming),
        },
    }
}

/// `{"isStreaming": bool}` and no more, whatever else Flowise may say.
fn is_streaming(answer: bool) -> Response<Body> {
    let body = if answer { "{\"isStreaming\":true}" } else { "{\"isStreaming\":false}" };
    let mut response = Response::new(Body::Full(Bytes::from_static(body.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
