//! What comes back from Flowise, as a client may see it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::BodyExt as _;

use super::abort::AbortGuard;
use super::failures::FailureScrubber;
use super::forward::UpstreamClient;
use super::passing::Passing;
use super::stream::{EventStream, KeyRefused, StreamContext, is_unauthorized};
use super::target::{FlowiseCredentials, Target};
use crate::client::{self, ResponseBody};
use crate::config::Chatflow;
use crate::predict::answer::View;
use crate::predict::events::error_text;
use crate::predict::report::{ReportSlot, StreamReport};
use crate::predict::stream::{EventBody, StreamBounds, StreamCut};
use crate::redact::Redactor;
use crate::telemetry::warn_once::WarnOnce;
use crate::wire::body::{Body, BodyError};
use crate::wire::event_stream;
use crate::wire::json;
use crate::wire::offload;
use crate::wire::refusal::Refusal;

/// Bytes of an error's body that are read.
const LONGEST_ERROR: usize = 64 * 1024;
/// Bytes of an answer that must be whole before it can be shown.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;
/// For reading an error's body.
const ERROR_PATIENCE: Duration = Duration::from_secs(10);
/// How long the head of a stream waits for the first event. Flowise sends the head before it checks its key, so an
/// error can still become a status; events are not delayed by it.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// What shaping an answer needs beside the answer.
pub(crate) struct Shaping<'a> {
    pub(crate) upstreams: &'a UpstreamClient,
    pub(crate) target: &'a Target,
    /// What was sent to it, and must not come back.
    pub(crate) credentials: Option<&'a FlowiseCredentials>,
    pub(crate) redactor: &'a Arc<Redactor>,
    /// For the log.
    pub(crate) chatflow: &'a Chatflow,
    pub(crate) told_ids: &'a WarnOnce,
    /// Makes what may end a stream before its time.
    pub(crate) cut: &'a dyn Fn() -> StreamCut,
    pub(crate) report: &'a ReportSlot<StreamReport>,
    pub(crate) abort: Option<AbortGuard>,
    /// It is no answer but one read out.
    pub(crate) is_speech: bool,
    /// What the client sees of it; `None`: all.
    pub(crate) view: Option<Box<View>>,
}

impl Shaping<'_> {
    /// The response for the client.
    pub(crate) async fn shape(mut self, answer: client::Response) -> Result<Response<Body>, Refusal> {
        let client::Response { status, mut headers, body, .. } = answer;
        if let Some(credentials) = self.credentials {
            credentials.strike(&mut headers);
        }
        if !status.is_success() {
            // Boxed, like `stream`: rare beside plain answers, whose future would be as large.
            return Err(Box::pin(self.error(status, &headers, body)).await);
        }
        if content_type_is(&headers, b"text/event-stream") {
            event_stream::set_head(&mut headers);
            return Box::pin(self.stream(status, headers, body)).await;
        }
        if content_type_is(&headers, b"text/html") {
            // Flowise answers unknown paths with its web page.
            self.upstreams.count_error(self.target, "unexpected");
            self.disarm();
            return Err(Refusal::UpstreamError("The chatflow's server gave an unexpected answer."));
        }
        let idle = self.target.settings.stream_idle_timeout;
        let mut passing = Passing::new(body, idle);
        let is_json = content_type_is(&headers, b"application/json");
        // Most answers come whole with their head.
        match poll_fn(|cx| Poll::Ready(passing.body.poll_data(cx))).await {
            Poll::Ready(first @ (None | Some(Ok(_)))) if passing.body.is_end_stream() => {
                self.disarm();
                let mut whole = first.and_then(Result::ok).unwrap_or_default();
                if is_json {
                    whole = FailureScrubber::whole(self.redactor, whole);
                }
                if let Some(view) = self.view.take() {
                    forget_length(&mut headers);
                    whole = shown(view, whole).await?;
                }
                return Ok(assemble(status, headers, Body::from(whole)));
            }
            Poll::Ready(Some(Ok(first))) => passing.first = Some(first),
            Poll::Ready(Some(Err(_))) => {
                self.disarm();
                self.upstreams.count_error(self.target, "broken");
                return Err(Refusal::UpstreamError("The chatflow's server broke off before it answered."));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        passing.failures = is_json.then(|| FailureScrubber::of_answer(Arc::clone(self.redactor)));
        passing.abort = self.abort.take();
        match self.view.take() {
            Some(view) if view.needs_whole() => {
                forget_length(&mut headers);
                let whole = Box::pin(read_whole(passing)).await?;
                return Ok(assemble(status, headers, Body::from(shown(view, whole).await?)));
            }
            Some(view) => {
                forget_length(&mut headers);
                passing.renamer = Some(view.into_renamer());
            }
            None => {}
        }
        Ok(assemble(status, headers, Body::streamed(passing)))
    }

    async fn stream(
        self,
        status: StatusCode,
        headers: HeaderMap,
        mut body: ResponseBody,
    ) -> Result<Response<Body>, Refusal> {
        let first = match tokio::time::timeout(HEAD_PATIENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => frame.into_data().ok(),
            // The stream itself reports what is wrong.
            Ok(Some(Err(_)) | None) | Err(_) => None,
        };
        if let Some(first) = &first
            && error_text(first).is_some_and(|text| is_unauthorized(&text))
        {
            return Err(self.our_key_is_wrong());
        }
        let refused = self.key_refused();
        let context = StreamContext {
            report: self.report.begin(),
            abort: self.abort,
            refused,
            redactor: Arc::clone(self.redactor),
            is_speech: self.is_speech,
        };
        let source = EventStream::new(body, first, context);
        let bounds = StreamBounds { idle: Some(self.target.settings.stream_idle_timeout), cut: (self.cut)() };
        let view = self.view.map(|view| view.into_stream());
        Ok(assemble(status, headers, Body::streamed(EventBody::new(source, view, bounds))))
    }

    /// An answer that is no success: status and message pass, the rest does not.
    async fn error(mut self, status: StatusCode, headers: &HeaderMap, incoming: ResponseBody) -> Refusal {
        self.disarm();
        if !status.is_client_error() && !status.is_server_error() {
            self.upstreams.count_error(self.target, "unexpected");
            return Refusal::UpstreamError("The chatflow's server gave an unexpected answer.");
        }
        let body = match tokio::time::timeout(ERROR_PATIENCE, read_some(incoming, LONGEST_ERROR)).await {
            Ok(body) => body,
            Err(_) => Bytes::new(),
        };
        let message = message_of(&body);
        if status == StatusCode::UNAUTHORIZED || is_unauthorized(&message) {
            return self.our_key_is_wrong();
        }
        self.tell_unknown_id(&message);
        tracing::debug!(upstream = &*self.target.name, status = status.as_u16(), "the upstream answered with an error");
        let message = self.redactor.sentence(&message);
        Refusal::Flow { status, message, retry_after: headers.get(RETRY_AFTER).cloned() }
    }

    /// A configured id that Flowise does not know is the operator's mistake, and no client can tell. Behind `"*"` the
    /// client has chosen it.
    fn tell_unknown_id(&self, message: &str) {
        let Some(id) = self.chatflow.id.as_deref() else { return };
        let name = &*self.chatflow.name;
        if message.contains("not found") && message.contains(id) && self.told_ids.is_new(name) {
            tracing::error!(
                upstream = &*self.target.name,
                chatflow = name,
                setting = format!("chatflows.{name}.id"),
                id,
                "Flowise knows no chatflow of this id: correct it, or take the chatflow out of the configuration"
            );
        }
    }

    /// The chat is over.
    fn disarm(&mut self) {
        if let Some(abort) = &mut self.abort {
            abort.disarm();
        }
    }

    fn our_key_is_wrong(mut self) -> Refusal {
        self.disarm();
        self.key_refused().tell();
        Refusal::UpstreamError(KeyRefused::SENTENCE)
    }

    fn key_refused(&self) -> KeyRefused {
        KeyRefused {
            errors: self.upstreams.metrics.upstreams.errors.clone(),
            upstream: Arc::clone(&self.target.name),
            chatflow: (&*self.chatflow.name).into(),
        }
    }
}

const UNREADABLE: Refusal = Refusal::UpstreamError("The chatflow's server gave an unexpected answer.");

/// A whole JSON answer as the client sees it.
async fn shown(view: Box<View>, whole: Bytes) -> Result<Bytes, Refusal> {
    offload::work(whole.len(), move || view.json(whole)).await.ok_or(UNREADABLE)
}

/// What was said of a body that is changed.
fn forget_length(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ETAG);
}

async fn read_whole(mut passing: Passing) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = passing.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(BodyError::Idle) => return Err(Refusal::UpstreamTimeout),
            Err(_) => return Err(Refusal::UpstreamError("The chatflow's server broke off.")),
        };
        if whole.len() + data.len() > LONGEST_ANSWER {
            return Err(Refusal::UpstreamError("The chatflow's answer is too long."));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn assemble(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn content_type_is(headers: &HeaderMap, wanted: &[u8]) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
            && matches!(value.get(wanted.len()), None | Some(b';' | b' '))
    })
}

/// The body up to that many bytes; whatever could be read if it breaks off.
async fn read_some(mut incoming: ResponseBody, most: usize) -> Bytes {
    let mut body = BytesMut::new();
    while let Some(Ok(frame)) = incoming.frame().await {
        if let Ok(data) = frame.into_data() {
            let room = most.saturating_sub(body.len());
            body.extend_from_slice(data.get(..data.len().min(room)).unwrap_or_default());
            if body.len() >= most {
                break;
            }
        }
    }
    body.freeze()
}

/// `message` of Flowise's error JSON, `error` of its older one, else a short plain text; empty: nothing that can be told.
fn message_of(body: &[u8]) -> String {
    if let Ok(json) = json::read::<serde_json::Value>(body) {
        let text = |name| json.get(name).and_then(serde_json::Value::as_str);
        return text("message").or_else(|| text("error")).unwrap_or_default().to_owned();
    }
    match std::str::from_utf8(body) {
        // JSON that cannot be read is no text: Flowise's stack may stand in it.
        Ok(text) if text.len() <= 300 && !text.contains(['<', '{']) => text.trim().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_every_shape_that_flowise_uses() {
        assert_eq!(message_of(br#"{"statusCode":500,"success":false,"message":"a","stack":{}}"#), "a");
        assert_eq!(message_of(br#"{"error":"Unauthorized Access"}"#), "Unauthorized Access");
        assert_eq!(message_of(b"Slow down please"), "Slow down please");
        assert_eq!(message_of(b"<!DOCTYPE html>"), "");
        assert_eq!(message_of(br#"{"message":"half an \ud83d","stack":"Error: x at y"#), "");
    }
}
