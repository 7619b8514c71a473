//! The connection's side of a prediction: hands it to an engine thread and passes on what comes back.

use std::cell::OnceCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::answer::Job;
use super::link::{Asker, Head, Told, link};
use crate::config::Config;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::flow::Flow;
use crate::engine::threads::EngineThreads;
use crate::predict::answer::View;
use crate::predict::events::KEEP_ALIVE;
use crate::predict::report::{ModelReport, Slot, StreamReport};
use crate::predict::request::Prediction;
use crate::predict::session::Namespace;
use crate::redact::Redactor;
use crate::state::chats::ChatLease;
use crate::wire::body::{Body, BodyError};
use crate::wire::refusal::Refusal;

/// Silence after which a comment is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What an answer needs of its surroundings.
pub(crate) struct Surroundings<'a> {
    pub(crate) threads: &'a EngineThreads,
    /// It says how many, should none have started yet.
    pub(crate) config: &'a Config,
    /// All flows of the engine.
    pub(crate) flows: &'a Arc<FlowIndex>,
    /// Flowise's id of the chatflow, or its public name if it has none.
    pub(crate) id: &'a Arc<str>,
    /// Its public name.
    pub(crate) chatflow: &'a Arc<str>,
    pub(crate) cut: &'a CancellationToken,
    pub(crate) report: &'a Slot<StreamReport>,
    pub(crate) models: &'a OnceCell<Arc<ModelReport>>,
    /// Keeps the caller's sessions apart from those of others, where the chatflow asks for it.
    pub(crate) namespace: Option<Namespace>,
    pub(crate) redactor: &'a Arc<Redactor>,
    /// What the client sees of it; `None`: all.
    pub(crate) view: Option<Box<View>>,
    /// Keeps the chat busy while it is answered, and knows when its end is wanted.
    pub(crate) lease: ChatLease,
}

/// The answer to a checked prediction. Dropping it, or the body of a stream, ends the run, model calls included.
pub(crate) async fn answer(
    flow: &Arc<Flow>,
    prediction: Prediction,
    surroundings: Surroundings<'_>,
) -> Result<Response<Body>, Refusal> {
    let Surroundings { threads, config, flows, id, chatflow, cut, report, models, namespace, redactor, view, lease } =
        surroundings;
    let abort = lease.abort.clone();
    let (asker, teller) = link(lease);
    let job = Box::new(Job {
        flow: Arc::clone(flow),
        flows: Arc::clone(flows),
        id: Arc::clone(id),
        chatflow: Arc::clone(chatflow),
        body: prediction.body,
        streaming: prediction.streaming,
        namespace,
        view,
        cut: cut.clone(),
        abort,
        models: Arc::clone(models.get_or_init(Arc::default)),
        redactor: Arc::clone(redactor),
        teller,
    });
    // After a reload that brought the first engine there are none yet.
    threads.start(|| config.engine_threads()).map_err(|error| {
        tracing::error!(%error, "cannot start the engine's threads");
        Refusal::EngineBusy
    })?;
    threads.hand_over(job)?;
    match asker.head().await {
        Head::Whole(answer) => {
            let mut response = Response::new(Body::Full(answer?));
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, json);
            Ok(response)
        }
        Head::Stream => Ok(stream(asker, report.begin())),
    }
}

fn stream(asker: Asker, report: Rc<StreamReport>) -> Response<Body> {
    let body = Relay { asker, timer: Box::pin(tokio::time::sleep(HEARTBEAT)), report };
    let mut response = Response::new(Body::streamed(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A stream that an engine thread tells, with comments in its silences.
struct Relay {
    asker: Asker,
    timer: Pin<Box<Sleep>>,
    report: Rc<StreamReport>,
}

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let data = match self.asker.poll_told(cx) {
            Poll::Ready(Told { text, events, ending }) => {
                self.report.events.set(events);
                self.report.ending.set(ending);
                if text.is_empty() {
                    return Poll::Ready(None);
                }
                text
            }
            Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => KEEP_ALIVE,
            Poll::Pending => return Poll::Pending,
        };
        self.timer.as_mut().reset(Instant::now() + HEARTBEAT);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.report.ending.get().is_some()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
