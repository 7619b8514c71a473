//! Reads a request's body whole, within its bounds, and checks a prediction's.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use serde_json::{Map, Value};

use super::context::Context;
use crate::config::{Chatflow, ResponseShape};
use crate::keys::token::Claims;
use crate::policy::{Flow, Policy};
use crate::predict::request::{self, Caller, CheckedRequest, Prediction};
use crate::predict::session::{Namespace, Scope};
use crate::wire::client_body::ClientBody;
use crate::wire::offload;
use crate::wire::pace::Pace;
use crate::wire::refusal::{BodyLimit, Refusal, Rule};

/// The whole body.
pub(super) async fn read_body(body: ClientBody, context: &Context) -> Result<Bytes, Refusal> {
    let mut whole = Whole { body, limit: context.body_limit.get(), first: Bytes::new(), rest: None, read: 0 };
    // Most bodies come with their head; a timer, which is large as well, is made for those that do not.
    if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(whole.poll(cx, |_| {}))).await {
        return outcome;
    }
    Box::pin(read_on(whole, Pace::new(context.body_bounds().pace))).await
}

/// The whole body of a prediction, checked.
pub(super) async fn check_body<C: CheckedRequest + Send + 'static>(
    body: ClientBody,
    flow: &Flow,
    context: &Context,
) -> Result<Prediction<C>, Refusal> {
    let bytes = read_body(body, context).await?;
    let (key, namespace) = (context.key.get(), context.namespace());
    let is_backend = matches!(context.scope(), Scope::Key(_));
    let token = context.token.get().map(|token| &**token);
    let person = context.person().map(|person| &person.vars);
    if !offload::is_large(bytes.len()) {
        let caller = (key, token, person);
        return check_of(&bytes, &flow.config, &context.snapshot, caller, namespace, is_backend, context.shape());
    }
    let (chatflow, snapshot) = (Arc::clone(&flow.config), context.snapshot.shared());
    let (token, person) = (token.cloned(), person.cloned());
    let (length, shape) = (bytes.len(), context.shape());
    let check = move || {
        let caller = (key, token.as_ref(), person.as_ref());
        check_of(&bytes, &chatflow, &snapshot, caller, namespace, is_backend, shape)
    };
    // Boxed: rare.
    Box::pin(offload::elsewhere(length, check)).await
}

/// A body that is here, checked as a prediction's.
pub(super) fn check_bytes<C: CheckedRequest>(
    bytes: &[u8],
    flow: &Flow,
    context: &Context,
) -> Result<Prediction<C>, Refusal> {
    let is_backend = matches!(context.scope(), Scope::Key(_));
    let caller =
        (context.key.get(), context.token.get().map(|token| &**token), context.person().map(|person| &person.vars));
    check_of(bytes, &flow.config, &context.snapshot, caller, context.namespace(), is_backend, context.shape())
}

/// Of a caller with that key or token, or with those variables of an identity provider.
fn check_of<C: CheckedRequest>(
    body: &[u8],
    chatflow: &Chatflow,
    policy: &Policy,
    (key, token, person): (Option<u32>, Option<&Claims>, Option<&Map<String, Value>>),
    namespace: Option<Namespace>,
    is_backend: bool,
    shape: Option<ResponseShape>,
) -> Result<Prediction<C>, Refusal> {
    let key = key.and_then(|key| policy.keys.key(key as usize));
    let caller = Caller {
        shape,
        namespace,
        is_backend,
        key_vars: key.map_or(&[], |key| &key.vars),
        token_vars: token.map(|token| &token.vars),
        person_vars: person,
        session: token.and_then(|token| token.session_id.as_deref()),
    };
    request::check(body, chatflow, &caller)
}

async fn read_on(mut whole: Whole, mut pace: Pace) -> Result<Bytes, Refusal> {
    pace.came(usize::try_from(whole.read).unwrap_or(usize::MAX));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = whole.poll(cx, |bytes| pace.came(bytes)) {
            return Poll::Ready(outcome);
        }
        pace.poll_limit(cx).map(|slowness| Err(Refusal::RequestTimeout(slowness)))
    })
    .await
}

/// A body and what has come of it.
struct Whole {
    body: ClientBody,
    limit: BodyLimit,
    first: Bytes,
    rest: Option<BytesMut>,
    read: u64,
}

impl Whole {
    fn poll(&mut self, cx: &mut task::Context<'_>, mut came: impl FnMut(usize)) -> Poll<Result<Bytes, Refusal>> {
        loop {
            let data = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => {
                    let first = std::mem::take(&mut self.first);
                    return Poll::Ready(Ok(self.rest.take().map_or(first, BytesMut::freeze)));
                }
                Some(Err(_)) => {
                    return Poll::Ready(Err(Rule::BodyBroken.refuse("The request body broke off.")));
                }
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            came(data.len());
            self.read += data.len() as u64;
            if self.read > self.limit.bytes {
                return Poll::Ready(Err(self.limit.exceeded()));
            }
            // Most bodies come in one piece and are not copied.
            if self.first.is_empty() {
                self.first = data;
            } else {
                self.rest.get_or_insert_with(|| BytesMut::from(self.first.as_ref())).extend_from_slice(&data);
            }
        }
    }
}
