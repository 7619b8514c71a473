//! Calls to a chatflow's Flowise: what goes there, and what of its answer is for the client.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::body::check_body;
use super::context::Context;
use super::environment::Environment;
use super::routes::{Endpoint, WidgetCall};
use crate::client::RequestHead;
use crate::policy::Flow;
use crate::predict::answer::View;
use crate::state::chats::ChatUse;
use crate::upstream::abort::{AbortGuard, Chat};
use crate::upstream::answer::Shaping;
use crate::upstream::choice::Affinity;
use crate::upstream::forward::Forward;
use crate::upstream::outgoing::Outgoing;
use crate::upstream::target::{FlowiseCredentials, Target};
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::hop;
use crate::wire::json;
use crate::wire::offload;
use crate::wire::refusal::{Refusal, Rule};

const UNEXPECTED: Refusal = Refusal::UpstreamError("The chatflow's server gave an unexpected answer.");
/// Bytes of an answer that is read whole: of a chatbot's configuration, the whole flow.
const LONGEST_JSON: usize = 8 * 1024 * 1024;

pub(super) static JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One call to one chatflow's Flowise.
pub(super) struct FlowiseCall<'a> {
    pub(super) environment: &'a Environment,
    pub(super) context: &'a Rc<Context>,
    pub(super) flow: &'a Flow,
    /// Flowise's id of the chatflow.
    pub(super) id: &'a Arc<str>,
    pub(super) target: &'a Arc<Target>,
    pub(super) credentials: Option<&'a Arc<FlowiseCredentials>>,
}

/// For a body that is forwarded unread: what a key or a token forces must not silently be missing.
pub(super) fn refuse_forced(context: &Context) -> Result<(), Refusal> {
    let has_vars = context.person().is_some_and(|person| !person.vars.is_empty());
    if has_vars || context.token.get().is_some() || context.key().is_some_and(|key| !key.vars.is_empty()) {
        return Err(Rule::ForcedVars
            .refuse("This caller's variables or session cannot be set here: the body is forwarded unread."));
    }
    Ok(())
}

impl FlowiseCall<'_> {
    pub(super) async fn predict(&self, head: Box<Parts>, body: ClientBody) -> Result<Response<Body>, Refusal> {
        if self.context.passes_unread() {
            // The chat is in the body, which nobody reads: callers at least stay where they are.
            let affinity = Affinity::chat(&self.context.client_text);
            return self.pass(head, "prediction", body, affinity).await;
        }
        let prediction = check_body::<Bytes>(body, self.flow, self.context).await?;
        let chat = &prediction.ids.chat.upstream;
        let lease = if prediction.streaming {
            let usage = if prediction.ids.is_new { ChatUse::NewStream } else { ChatUse::Stream };
            let lease = self.environment.chats.enter(&self.target.name, chat, usage).answer().await;
            Some(lease.ok_or(Refusal::ChatBusy)?)
        } else {
            None
        };
        let mut request = self.head(Method::POST, "prediction", &head);
        request.field("content-type", &JSON);
        // As below.
        drop(head);
        let affinity = Affinity::of_chat(&prediction.ids.chat.upstream, prediction.ids.is_new);
        let view = View::of_flowise(&self.flow.config, &prediction.ids, prediction.shape);
        let abort = AbortGuard::new(
            &self.environment.aborts,
            Chat {
                target: Arc::clone(self.target),
                credentials: self.credentials.cloned(),
                flow: Arc::clone(self.id),
                id: prediction.ids.chat.upstream,
            },
            lease,
        );
        let body = Outgoing::full(prediction.body);
        self.send(Forward::new(request, body, affinity), Some(abort), view).await
    }

    pub(super) async fn upsert(&self, head: Box<Parts>, body: ClientBody) -> Result<Response<Body>, Refusal> {
        self.pass(head, "vector/upsert", body, Affinity::Nothing).await
    }

    /// Sends a client's body on as it comes.
    async fn pass(
        &self,
        head: Box<Parts>,
        route: &str,
        body: ClientBody,
        affinity: Affinity,
    ) -> Result<Response<Body>, Refusal> {
        refuse_forced(self.context)?;
        let mut request = self.head(Method::POST, route, &head);
        request.field("content-type", head.headers.get(CONTENT_TYPE).unwrap_or(&JSON));
        // It holds the connection's read buffer, which can be used again while the answer is waited for.
        drop(head);
        let body = Outgoing::passing(body, self.context.body_bounds()).await?;
        self.send(Forward::new(request, body, affinity), None, None).await
    }

    pub(super) async fn send(
        &self,
        mut forward: Forward,
        mut abort: Option<AbortGuard>,
        view: Option<Box<View>>,
    ) -> Result<Response<Body>, Refusal> {
        let upstreams = &*self.environment.upstreams;
        if let Some(scope) = self.context.trace_scope() {
            forward.trace(scope, &self.target.name);
        }
        let sent = upstreams.send(self.target, &mut forward, Some(&self.context.request_id)).await;
        // Its head takes a kilobyte, and a stream may be long.
        drop(forward);
        let answer = match sent {
            Ok(answer) => answer,
            Err(refusal) => {
                // After a time-out Flowise still runs; otherwise it never began, or is gone.
                if refusal != Refusal::UpstreamTimeout
                    && let Some(abort) = &mut abort
                {
                    abort.disarm();
                }
                return Err(refusal);
            }
        };
        self.context.first_byte.set(Some(answer.first_byte));
        let shaping = Shaping {
            upstreams,
            target: self.target,
            credentials: self.credentials.map(|credentials| &**credentials),
            redactor: &self.context.snapshot.redactor,
            chatflow: &self.flow.config,
            told_ids: &self.context.snapshot.told_ids,
            cut: &|| self.environment.cuts.of(self.context.key()),
            report: &self.context.stream,
            abort,
            is_speech: self.context.endpoint() == Some(Endpoint::Widget(WidgetCall::Speech)),
            view,
        };
        shaping.shape(answer).await
    }

    /// Whether Flowise says that the chatflow's answers are streams.
    pub(super) async fn streams(&self, head: &Parts) -> Result<bool, Refusal> {
        let request = self.head(Method::GET, "chatflows-streaming", head);
        let forward = Forward::new(request, Outgoing::EMPTY, Affinity::Nothing);
        self.json(forward, |json| json.get("isStreaming")?.as_bool()).await
    }

    /// What `take` finds in a JSON answer.
    pub(super) async fn json<T>(&self, forward: Forward, take: impl FnOnce(&Value) -> Option<T>) -> Result<T, Refusal> {
        let body = self.whole(forward).await?;
        let json: Option<Value> = offload::work(body.len(), move || json::read(&body).ok()).await;
        json.as_ref().and_then(take).ok_or(UNEXPECTED)
    }

    /// As [`Self::json`], where what is taken is answered as it is, and may be large as well.
    pub(super) async fn json_again(
        &self,
        forward: Forward,
        take: fn(&Value) -> Option<Value>,
    ) -> Result<Bytes, Refusal> {
        let body = self.whole(forward).await?;
        let length = body.len();
        let taken = move || Some(Bytes::from(take(&json::read(&body).ok()?)?.to_string()));
        offload::work(length, taken).await.ok_or(UNEXPECTED)
    }

    async fn whole(&self, forward: Forward) -> Result<Bytes, Refusal> {
        let response = self.send(forward, None, None).await?;
        match http_body_util::Limited::new(response.into_body(), LONGEST_JSON).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(_) => Err(Refusal::UpstreamError("The chatflow's server broke off.")),
        }
    }

    /// The head of what goes upstream to a route that ends with the chatflow's id.
    fn head(&self, method: Method, route: &str, head: &Parts) -> RequestHead {
        self.head_of(method, &["/api/v1/", route, "/", self.id], head)
    }

    /// The head of what goes upstream. The path is built from what the gateway knows, never from what a client wrote.
    pub(super) fn head_of(&self, method: Method, path: &[&str], head: &Parts) -> RequestHead {
        let context = self.context;
        let mut request = RequestHead::new(method, path);
        let more = &self.target.settings.pass_headers;
        let is_traced = context.trace.is_some();
        hop::for_each_passing(&head.headers, more, |name, value| {
            // The call is part of a span of ours then, which is named when it is sent.
            if !(is_traced && hop::is_trace_field(name)) {
                request.field(name.as_str(), value);
            }
        });
        if let Some(credentials) = self.credentials {
            request.lines(credentials.fields());
        }
        request.lines(b"accept-encoding: identity\r\n");
        request.field("x-request-id", &context.request_id);
        // One address: Flowise takes the leftmost for its own rate limit.
        request.field("x-forwarded-for", &context.client_text);
        let proto: &[u8] = if context.tls { b"x-forwarded-proto: https\r\n" } else { b"x-forwarded-proto: http\r\n" };
        request.lines(proto);
        let authority = head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(host) = authority.as_ref().or_else(|| head.headers.get(HOST)) {
            request.field("x-forwarded-host", host);
        }
        request
    }
}
