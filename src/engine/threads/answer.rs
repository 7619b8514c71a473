//! Answers one prediction on an engine thread: an answer in one piece, or events as the flow goes on, written there as its
//! client sees them.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::error::EngineError;
use super::link::{StreamCapacity, StreamSender};
use crate::engine::contract::budget::Budget;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::contract::node::{AgentsReport, Document, Executed, PutCounts, PutDocuments, Reply, ReplyContent};
use crate::engine::contract::request::{RunRequest, SessionNames};
use crate::engine::contract::run::{Run, Services};
use crate::engine::contract::sink::Sink;
use crate::engine::contract::watch::RunWatch;
use crate::engine::flow::{CompiledFlow, FlowPlan};
use crate::predict::answer::{AnswerFields, AnswerValue, EventName, View};
use crate::predict::chat_id;
use crate::predict::report::{Ending, ModelReport};
use crate::predict::request::Question;
use crate::predict::session::Namespace;
use crate::predict::stream::SHUTTING_DOWN;
use crate::redact::Redactor;
use crate::telemetry::traces::TraceScope;

/// After somebody has asked for the end of the chat: for what a flow says of it.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// The vector store that is filled.
pub(crate) struct UpsertTarget {
    /// Its node; `None`: the only one there is.
    pub(crate) node: Option<String>,
}

/// One prediction, as it is handed to an engine thread.
pub(crate) struct PredictionJob {
    pub(crate) flow: Arc<CompiledFlow>,
    /// All flows of the engine.
    pub(crate) flows: Arc<FlowIndex>,
    /// Flowise's id of the chatflow, or its public name if it has none.
    pub(crate) id: Arc<str>,
    /// Its public name.
    pub(crate) chatflow: Arc<str>,
    pub(crate) question: Question,
    pub(crate) streaming: bool,
    /// Passages are put into a vector store, in place of an answer.
    pub(crate) upsert: Option<UpsertTarget>,
    /// Keeps the caller's sessions apart from those of others, where the chatflow asks for it.
    pub(crate) namespace: Option<Namespace>,
    /// How the client sees the answer.
    pub(crate) view: View,
    /// Fires when running streams must end.
    pub(crate) cut: CancellationToken,
    /// Fires when somebody asks for the end of the chat.
    pub(crate) abort: CancellationToken,
    pub(crate) models: Arc<ModelReport>,
    pub(crate) redactor: Arc<Redactor>,
    /// The span that it is part of.
    pub(crate) trace: Option<TraceScope>,
    pub(crate) teller: StreamSender,
}

impl PredictionJob {
    /// Does it. Whoever asked hears of every outcome; if they go, it ends.
    pub(crate) async fn run(self: Box<Self>, services: Rc<Services>) {
        let Self {
            flow,
            flows,
            id,
            chatflow,
            question,
            streaming,
            upsert,
            namespace,
            view,
            cut,
            abort,
            models,
            redactor,
            trace,
            teller,
        } = *self;
        let request = RunRequest { flows, sessions: SessionNames::within(namespace), ..question.into() };
        if request.is_spoken() {
            return teller.answer(Err(EngineError::Spoken));
        }
        let overridden = match flow.overridden(&request) {
            Ok(overridden) => overridden,
            Err(failure) => return teller.answer(Err(unanswered(&failure, &redactor))),
        };
        let watch = RunWatch::new(
            &services.metrics,
            &chatflow,
            &flow.models,
            Budget::new(flow.limits()),
            abort,
            models,
            Arc::clone(&redactor),
        );
        let is_stream = streaming && flow.info.streams && upsert.is_none();
        let first_token = || services.metrics.engine.first_token.with_label_values(&[&chatflow]);
        let (sink, view) = if is_stream {
            (Sink::timed(view.into_writer(), first_token(), &watch.report), None)
        } else {
            (Sink::default(), Some(view))
        };
        let (services, trace) = (&*services, trace.as_ref());
        let run = Run { services, flow: &id, request: &request, sink: &sink, watch: &watch, trace, names: None };
        if let Some(target) = upsert {
            let put = Box::pin(in_time(flow.upsert(overridden.as_ref(), target.node.as_deref(), &run), &run));
            if let Some(put) = teller.unless_left(put).await {
                let put = put.map_err(|failure| unanswered(&failure, &redactor));
                teller.answer(put.map(|put| upserted(&put)));
            }
            return;
        }
        // Boxed: a future is as large as whatever it may come to, and so are all that it is moved through.
        let answering = Box::pin(reply(&flow, overridden.as_ref(), &run));
        let Some(view) = view else {
            let work = async {
                match answering.await {
                    Ok(reply) => {
                        tell_end(reply, &request, &sink);
                        Ending::Done
                    }
                    Err(failure) => {
                        tell_failure(&failure, &sink, &redactor);
                        watch.report.failed(failure.sentence(&redactor).as_str());
                        Ending::ErrorEvent
                    }
                }
            };
            return StreamWriter { teller, sink: &sink, cut }.tell(work).await;
        };
        if let Some(reply) = teller.unless_left(answering).await {
            teller.free_chat();
            let answer = reply.map_err(|failure| unanswered(&failure, &redactor));
            teller.answer(answer.and_then(|reply| view.whole(fields(reply, &request)).ok_or(EngineError::Unreadable)));
        }
    }
}

/// The flow's answer.
async fn reply(flow: &CompiledFlow, overridden: Option<&FlowPlan>, run: &Run<'_>) -> Result<Reply, Failure> {
    in_time(flow.answer_by(overridden, run), run).await
}

/// What a run comes to. One that goes on after its end was asked for, or its time is over, is dropped.
async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>, run: &Run<'_>) -> Result<T, Failure> {
    let overdue = async {
        run.watch.abort.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let reply = tokio::select! {
        biased;
        reply = work => reply,
        () = overdue => Err(Failure::Aborted),
        () = tokio::time::sleep_until(run.budget().deadline().into()) => Err(run.budget().out_of_time()),
    };
    // Whatever was made of it within the flow.
    match run.budget().met() {
        None => reply,
        Some(limit) => {
            run.watch.met(limit);
            Err(Failure::Limit(limit))
        }
    }
}

/// What is the caller's own is told apart from what the flow cannot do.
fn unanswered(failure: &Failure, redactor: &Redactor) -> EngineError {
    match failure {
        Failure::Override(field) => EngineError::Override(field.clone()),
        failure => EngineError::Failed(failure.sentence(redactor)),
    }
}

/// As Flowise tells what was put into a store.
fn upserted(put: &PutDocuments) -> Bytes {
    let documents: Vec<Value> = put.documents.iter().map(Document::to_json).collect();
    let added = documents.len();
    let told = match &put.counts {
        None => json!({ "numAdded": added, "addedDocs": documents }),
        // What is there already is never written again.
        Some(PutCounts { deleted, skipped, total }) => {
            json!({ "numAdded": added, "numDeleted": deleted, "numUpdated": 0,
            "numSkipped": skipped, "totalKeys": total, "addedDocs": documents })
        }
    };
    told.to_string().into()
}

/// The fields of an answer in one piece.
pub(crate) fn fields(reply: Reply, request: &RunRequest) -> AnswerFields<'_> {
    let Reply { said, fields: further, memory, executed, agents, variables, follow_ups } = reply;
    if let Some(executed) = executed {
        return agentflow_fields(said, executed, &follow_ups, request);
    }
    let mut fields = AnswerFields::with_capacity(10 + further.len());
    match said {
        ReplyContent::Text(text) => fields.set("text", Value::String(text)),
        ReplyContent::Json(json) => fields.set("json", json),
    }
    for (name, value) in further {
        fields.set(name, value);
    }
    if let Some(question) = &request.question {
        fields.set("question", question.as_str());
    }
    fields.set("chatId", request.chat_id.as_str());
    fields.set("chatMessageId", Value::String(chat_id::random().unwrap_or_default()));
    set_follow_ups(&mut fields, &follow_ups);
    if agents.is_none() {
        fields.set("isStreamValid", Value::Bool(false));
    }
    fields.set("sessionId", request.session_id.as_str());
    if let Some(memory) = memory {
        fields.set("memoryType", Value::String(memory));
    }
    if let Some(AgentsReport { reasoning, action }) = agents {
        if !reasoning.is_empty() {
            fields.set("agentReasoning", Value::Array(reasoning));
        }
        if let Some(action) = action {
            fields.set("action", action);
        }
    }
    if !variables.is_empty() {
        fields.set("flowVariables", Value::Object(variables));
    }
    fields
}

/// The same of an agentflow's.
fn agentflow_fields<'r>(
    said: ReplyContent,
    executed: Executed,
    follow_ups: &[String],
    request: &'r RunRequest,
) -> AnswerFields<'r> {
    let Executed { id, message, nodes, action } = executed;
    let mut fields = AnswerFields::with_capacity(10);
    fields.set("text", Value::String(said.into_text()));
    if let Some(question) = &request.question {
        fields.set("question", question.as_str());
    }
    if let Some(form) = &request.form {
        fields.set("form", Value::Object(form.clone()));
    }
    fields.set("chatId", request.chat_id.as_str());
    fields.set("chatMessageId", Value::String(message));
    set_follow_ups(&mut fields, follow_ups);
    fields.set("executionId", Value::String(id));
    fields.set("agentFlowExecutedData", Value::Array(nodes));
    if let Some(action) = action {
        fields.set("action", action);
    }
    fields.set("sessionId", request.session_id.as_str());
    fields
}

/// What might be asked next, as Flowise tells it: JSON in a text, and that in JSON in a text.
fn set_follow_ups(fields: &mut AnswerFields<'_>, follow_ups: &[String]) {
    if !follow_ups.is_empty() {
        let list = Value::String(Value::from(follow_ups).to_string());
        fields.set("followUpPrompts", Value::String(list.to_string()));
    }
}

/// The last events of a stream that went well.
pub(crate) fn tell_end(reply: Reply, request: &RunRequest, sink: &Sink) {
    use EventName::{Artifacts, FileAnnotations, SourceDocuments, UsedTools};
    for name in [SourceDocuments, UsedTools, Artifacts, FileAnnotations] {
        if let Some(value) = reply.fields.get(name.as_str()) {
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
    if !reply.follow_ups.is_empty() {
        // JSON in a text.
        metadata.insert("followUpPrompts".to_owned(), Value::from(reply.follow_ups).to_string().into());
    }
    let action = action.flatten().or_else(|| reply.agents.and_then(|agents| agents.action));
    if let Some(action) = action {
        metadata.insert("action".to_owned(), action);
    }
    if !reply.variables.is_empty() {
        metadata.insert("flowVariables".to_owned(), reply.variables.into());
    }
    sink.event(EventName::Metadata, Value::Object(metadata));
    sink.event(EventName::End, AnswerValue::DONE);
}

pub(crate) fn tell_failure(failure: &Failure, sink: &Sink, redactor: &Redactor) {
    match failure {
        // As Flowise ends a flow of agents; its chains cannot be ended.
        Failure::Aborted => sink.event(EventName::Abort, AnswerValue::DONE),
        failure => sink.event(EventName::Error, failure.sentence(redactor).as_str()),
    }
    sink.event(EventName::End, AnswerValue::DONE);
}

/// A stream, told as fast as it is read: while its reader is behind, the work stands still.
struct StreamWriter<'a> {
    teller: StreamSender,
    sink: &'a Sink,
    cut: CancellationToken,
}

impl StreamWriter<'_> {
    /// Works on until the end, or for as long as somebody reads.
    async fn tell(self, work: impl Future<Output = Ending>) {
        let mut cut = pin!(self.cut.clone().cancelled_owned());
        let mut work = pin!(work);
        poll_fn(|cx| {
            if cut.as_mut().poll(cx).is_ready() {
                self.sink.break_off(SHUTTING_DOWN);
                self.pass(Some(Ending::Drained));
                return Poll::Ready(());
            }
            match self.teller.room(cx) {
                StreamCapacity::Left => return Poll::Ready(()),
                StreamCapacity::Full => return Poll::Pending,
                StreamCapacity::Free => {}
            }
            let ending = match work.as_mut().poll(cx) {
                Poll::Ready(ending) => Some(ending),
                Poll::Pending => None,
            };
            self.pass(ending);
            if ending.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Hands on what has come.
    fn pass(&self, ending: Option<Ending>) {
        if ending.is_some() {
            // The client may ask again once it has read the end.
            self.teller.free_chat();
        }
        self.sink.take(|text| self.teller.tell(text, self.sink.events.get(), ending));
    }
}
