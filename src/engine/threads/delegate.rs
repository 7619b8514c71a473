//! The connection's side of a prediction: hands it to an engine thread and passes on what comes back.

use std::cell::OnceCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use super::answer::{PredictionJob, UpsertTarget};
use super::error::EngineError;
use super::link::{Head, StreamPiece, StreamReceiver, link};
use super::wakes::WakeQueue;
use crate::config::ResponseShape;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::flow::CompiledFlow;
use crate::engine::threads::{EngineJob, EngineThreads};
use crate::predict::answer::{View, failure};
use crate::predict::report::{Ending, ModelReport, ReportSlot, StreamReport};
use crate::predict::request::{Prediction, Question};
use crate::predict::session::Namespace;
use crate::predict::stream::EventSource;
use crate::redact::Redactor;
use crate::state::chats::ChatLease;
use crate::telemetry::traces::TraceScope;

/// What an answer needs of its surroundings.
pub(crate) struct PredictionContext<'a> {
    pub(crate) threads: &'a EngineThreads,
    /// How this thread is woken by those.
    pub(crate) wakes: &'a WakeQueue,
    /// How many there are to be, should none have started yet.
    pub(crate) count: &'a dyn Fn() -> NonZeroUsize,
    /// All flows of the engine.
    pub(crate) flows: &'a Arc<FlowIndex>,
    /// Flowise's id of the chatflow, or its public name if it has none.
    pub(crate) id: &'a Arc<str>,
    /// Its public name.
    pub(crate) chatflow: &'a Arc<str>,
    pub(crate) cut: &'a CancellationToken,
    pub(crate) request_id: &'a HeaderValue,
    pub(crate) report: &'a ReportSlot<StreamReport>,
    pub(crate) models: &'a OnceCell<Arc<ModelReport>>,
    /// Keeps the caller's sessions apart from those of others, where the chatflow asks for it.
    pub(crate) namespace: Option<Namespace>,
    pub(crate) redactor: &'a Arc<Redactor>,
    /// The span that the answer is part of.
    pub(crate) trace: Option<&'a TraceScope>,
    /// How the client sees it.
    pub(crate) view: View,
    /// Keeps the chat busy while it is answered, and knows when its end is wanted.
    pub(crate) lease: ChatLease,
    /// Passages are put into a vector store, in place of an answer.
    pub(crate) upsert: Option<UpsertTarget>,
}

/// The answer to a checked prediction. Dropping it, or the body of a stream, ends the run, model calls included.
pub(crate) async fn answer(
    flow: &Arc<CompiledFlow>,
    prediction: Prediction<Question>,
    context: PredictionContext<'_>,
) -> Result<Answer, EngineError> {
    let PredictionContext {
        threads,
        wakes,
        count,
        flows,
        id,
        chatflow,
        cut,
        request_id,
        report,
        models,
        namespace,
        redactor,
        trace,
        view,
        lease,
        upsert,
    } = context;
    let abort = lease.abort.clone();
    let shape = view.shape();
    let (asker, teller) = link(lease, shape, wakes);
    let job = Box::new(PredictionJob {
        flow: Arc::clone(flow),
        flows: Arc::clone(flows),
        id: Arc::clone(id),
        chatflow: Arc::clone(chatflow),
        question: prediction.body,
        streaming: prediction.streaming,
        upsert,
        namespace,
        view,
        cut: cut.clone(),
        abort,
        models: Arc::clone(models.get_or_init(|| Arc::new(ModelReport::of(request_id)))),
        redactor: Arc::clone(redactor),
        trace: trace.cloned(),
        teller,
    });
    give(threads, count, EngineJob::Prediction(job))?;
    match asker.head().await {
        Head::Whole(answer) => answer.map(Answer::Whole),
        Head::Stream => Ok(Answer::Events(EngineEvents { asker, report: report.begin(), shape })),
    }
}

/// Hands a job over. After a reload that brought the first engine there are no threads yet.
pub(super) fn give(
    threads: &EngineThreads,
    count: impl FnOnce() -> NonZeroUsize,
    job: EngineJob,
) -> Result<(), EngineError> {
    threads.start(count).map_err(|error| {
        tracing::error!(%error, "cannot start the engine's threads");
        EngineError::Busy
    })?;
    threads.hand_over(job)
}

/// How the engine answers.
pub(crate) enum Answer {
    /// All of it, as the client sees it.
    Whole(Bytes),
    Events(EngineEvents),
}

/// A stream that an engine thread tells.
pub(crate) struct EngineEvents {
    asker: StreamReceiver,
    report: Rc<StreamReport>,
    shape: ResponseShape,
}

impl EventSource for EngineEvents {
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let StreamPiece { text, events, ending } = ready!(self.asker.poll_told(cx));
        self.report.events.set(events);
        self.report.ending.set(ending);
        Poll::Ready(Some(text))
    }

    fn is_over(&self) -> bool {
        self.report.ending.get().is_some()
    }

    fn break_off(&mut self, ending: Ending, message: &str) -> Bytes {
        self.report.ending.set(Some(ending));
        failure(self.shape, message, "upstream_error").into()
    }
}
