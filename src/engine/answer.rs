//! Speaks Flowise's protocol: one JSON answer, or a stream of events as the flow goes on.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde_json::{Map, Value};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::agentflow::Executed;
use super::failure::Failure;
use super::flow::{Flow, Plan};
use super::flows::FlowIndex;
use super::part::{Reply, Said};
use super::request::Request;
use super::run::{Run, Services, Sink};
use super::watch::Watch;
use crate::predict::answer::{StreamView, View};
use crate::predict::chat_id;
use crate::predict::events::{KEEP_ALIVE, error_and_end};
use crate::predict::report::{Ending, ModelReport, Slot, StreamReport};
use crate::predict::request::Prediction;
use crate::upstream::running::Run as Running;
use crate::wire::body::{Body, BodyError};
use crate::wire::refusal::Refusal;

/// Silence after which a comment is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After somebody has asked for the end of the chat: for what a flow says of it.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What an answer needs of its surroundings.
pub(crate) struct Surroundings<'a> {
    pub(crate) services: Rc<Services>,
    /// All flows of the engine.
    pub(crate) flows: &'a Arc<FlowIndex>,
    /// Flowise's id of the chatflow, or its public name if it has none.
    pub(crate) id: &'a Arc<str>,
    /// Its public name.
    pub(crate) chatflow: &'a Arc<str>,
    pub(crate) cut: &'a CancellationToken,
    pub(crate) report: &'a Slot<StreamReport>,
    pub(crate) models: &'a Slot<ModelReport>,
    /// What the client sees of it; `None`: all.
    pub(crate) view: Option<Box<View>>,
    /// Keeps the chat busy while it is answered, and knows when its end is wanted.
    pub(crate) running: Running,
}

/// The answer to a checked prediction.
pub(crate) async fn answer(
    flow: &Arc<Flow>,
    prediction: &Prediction,
    surroundings: Surroundings<'_>,
) -> Result<Response<Body>, Refusal> {
    let Surroundings { services, flows, id, chatflow, cut, report, models, view, running } = surroundings;
    let mut request = Request::read(&prediction.body).ok_or(UNREADABLE)?;
    request.flows = Arc::clone(flows);
    let overridden = flow.overridden(&request).map_err(|failure| failure.refusal())?;
    let metrics = &services.upstreams.metrics;
    let watch = Watch::new(metrics, chatflow, flow, running.abort.clone(), models.begin());
    if prediction.streaming && flow.face.streams {
        let sink = Sink::timed(metrics.engine.first_token.with_label_values(&[chatflow]), &watch.report);
        let job = Job { flow: Arc::clone(flow), overridden, id: Arc::clone(id), request, services, watch, running };
        return Ok(stream(job, Rc::new(sink), cut, report.begin(), view.map(|view| view.into_stream())));
    }
    let sink = Sink::new(false);
    let run = Run { services: &services, flow: id, request: &request, sink: &sink, watch: &watch };
    let reply = reply(flow, overridden.as_ref(), &run).await.map_err(|failure| failure.refusal())?;
    drop(running);
    let body = Bytes::from(Value::Object(json(reply, &request)).to_string());
    let body = match view {
        Some(view) => view.json(body).ok_or(UNREADABLE)?,
        None => body,
    };
    let mut response = Response::new(Body::Full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    Ok(response)
}

/// The flow's answer. A flow that goes on after its end was asked for is dropped.
async fn reply(flow: &Flow, overridden: Option<&Plan>, run: &Run<'_>) -> Result<Reply, Failure> {
    let overdue = async {
        run.watch.abort.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        biased;
        reply = flow.answer_by(overridden, run) => reply,
        () = overdue => Err(Failure::Aborted),
    }
}

const UNREADABLE: Refusal = Refusal::UpstreamError("The chatflow gave an unexpected answer.");

/// The fields of Flowise's answer.
pub(super) fn json(reply: Reply, request: &Request) -> Map<String, Value> {
    if let Some(executed) = reply.executed {
        return agentflow_json(reply.said, executed, request);
    }
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    match reply.said {
        Said::Text(text) => set("text", text.into()),
        Said::Json(json) => set("json", json),
    };
    for (name, value) in reply.fields {
        set(&name, value);
    }
    if let Some(question) = &request.question {
        set("question", question.as_str().into());
    }
    set("chatId", request.chat_id.as_str().into());
    set("chatMessageId", chat_id::random().unwrap_or_default().into());
    set("isStreamValid", false.into());
    set("sessionId", request.session_id.as_str().into());
    if let Some(memory) = reply.memory {
        set("memoryType", memory.into());
    }
    if !reply.variables.is_empty() {
        set("flowVariables", reply.variables.into());
    }
    fields
}

/// The fields of an agentflow's answer.
fn agentflow_json(said: Said, executed: Executed, request: &Request) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("text", said.into_text().into());
    if let Some(question) = &request.question {
        set("question", question.as_str().into());
    }
    if let Some(form) = &request.form {
        set("form", Value::Object(form.clone()));
    }
    set("chatId", request.chat_id.as_str().into());
    set("chatMessageId", executed.message.into());
    set("executionId", executed.id.into());
    set("agentFlowExecutedData", executed.nodes.into());
    if let Some(action) = executed.action {
        set("action", action);
    }
    set("sessionId", request.session_id.as_str().into());
    fields
}

/// The last events of a stream that went well.
pub(super) fn tell_end(reply: Reply, request: &Request, sink: &Sink) {
    for name in ["sourceDocuments", "usedTools", "artifacts", "fileAnnotations"] {
        if let Some(value) = reply.fields.get(name) {
            sink.event(name, value);
        }
    }
    let mut metadata = Map::new();
    metadata.insert("chatId".to_owned(), request.chat_id.as_str().into());
    let (message, action) = reply.executed.map(|executed| (executed.message, executed.action)).unzip();
    let message = message.or_else(chat_id::random);
    metadata.insert("chatMessageId".to_owned(), message.unwrap_or_default().into());
    if let Some(question) = request.question.as_ref().filter(|question| !question.is_empty()) {
        metadata.insert("question".to_owned(), question.as_str().into());
    }
    metadata.insert("sessionId".to_owned(), request.session_id.as_str().into());
    if let Some(memory) = reply.memory {
        metadata.insert("memoryType".to_owned(), memory.into());
    }
    if let Some(action) = action.flatten() {
        metadata.insert("action".to_owned(), action);
    }
    if !reply.variables.is_empty() {
        metadata.insert("flowVariables".to_owned(), reply.variables.into());
    }
    sink.event("metadata", &Value::Object(metadata));
    sink.event("end", &"[DONE]".into());
}

/// What is done for a stream, by whoever reads it.
struct Job {
    flow: Arc<Flow>,
    overridden: Option<Plan>,
    id: Arc<str>,
    request: Request,
    services: Rc<Services>,
    watch: Watch,
    running: Running,
}

impl Job {
    async fn run(self, sink: Rc<Sink>) -> Ending {
        let Self { flow, overridden, id, request, services, watch, running } = self;
        let run = Run { services: &services, flow: &id, request: &request, sink: &sink, watch: &watch };
        let ending = match reply(&flow, overridden.as_ref(), &run).await {
            Ok(reply) => {
                tell_end(reply, &request, &sink);
                Ending::Done
            }
            Err(failure) => {
                tell_failure(&failure, &sink);
                Ending::ErrorEvent
            }
        };
        // The client may ask again once it has read the end.
        drop(running);
        ending
    }
}

fn stream(
    job: Job,
    sink: Rc<Sink>,
    cut: &CancellationToken,
    report: Rc<StreamReport>,
    view: Option<StreamView>,
) -> Response<Body> {
    let body = Telling {
        work: Some(Box::pin(job.run(Rc::clone(&sink)))),
        sink,
        view,
        timer: Box::pin(tokio::time::sleep(HEARTBEAT)),
        cut: Box::pin(cut.clone().cancelled_owned()),
        report,
    };
    let mut response = Response::new(Body::streamed(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

pub(super) fn tell_failure(failure: &Failure, sink: &Sink) {
    match failure {
        // As Flowise ends a flow of agents; its chains cannot be ended.
        Failure::Aborted => sink.event("abort", &"[DONE]".into()),
        failure => sink.event("error", &failure.sentence().into()),
    }
    sink.event("end", &"[DONE]".into());
}

/// A stream that is made while it is read: dropping it ends the work, model calls included.
struct Telling {
    /// `None`: it is over.
    work: Option<Pin<Box<dyn Future<Output = Ending>>>>,
    sink: Rc<Sink>,
    view: Option<StreamView>,
    timer: Pin<Box<Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    report: Rc<StreamReport>,
}

impl Telling {
    fn shown(&mut self, text: String) -> Bytes {
        self.report.events.set(self.sink.events.get());
        let text = Bytes::from(text);
        match &mut self.view {
            Some(view) => {
                let mut shown = view.take(text);
                if self.work.is_none() {
                    let rest = view.end();
                    if !rest.is_empty() {
                        shown = [shown, rest].concat().into();
                    }
                }
                shown
            }
            None => text,
        }
    }
}

impl HttpBody for Telling {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let Some(work) = &mut this.work else { return Poll::Ready(None) };
            if this.cut.as_mut().poll(cx).is_ready() {
                this.work = None;
                this.report.ending.set(Some(Ending::Drained));
                let text = this.sink.take() + &error_and_end("The gateway is shutting down.");
                return Poll::Ready(Some(Ok(Frame::data(this.shown(text)))));
            }
            let ending = work.as_mut().poll(cx);
            if let Poll::Ready(ending) = ending {
                this.work = None;
                this.report.ending.set(Some(ending));
            }
            let text = this.sink.take();
            if !text.is_empty() || this.work.is_none() {
                let shown = this.shown(text);
                this.timer.as_mut().reset(Instant::now() + HEARTBEAT);
                if !shown.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(shown))));
                }
                continue;
            }
            if this.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.timer.as_mut().reset(Instant::now() + HEARTBEAT);
            return Poll::Ready(Some(Ok(Frame::data(KEEP_ALIVE))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.work.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
