//! Calls to the built-in engine.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::body::{check_body, check_bytes, read_body};
use super::context::Context;
use super::environment::Environment;
use crate::engine::{self, Answer, EngineError};
use crate::policy::Flow;
use crate::predict::answer::View;
use crate::predict::multipart::{CollectedFile, Collector, TextLimit};
use crate::predict::request::{Prediction, Question};
use crate::predict::stream::{EventBody, StreamBounds, StreamCut};
use crate::state::chats::ChatUse;
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::event_stream;
use crate::wire::json::read;
use crate::wire::offload;
use crate::wire::refusal::{Refusal, Rule};

/// Forms with files that are taken apart at once, in the whole process: what is in one is held once more. Who sends one
/// slowly holds no place.
static FORMS: Semaphore = Semaphore::const_new(16);

/// One call to one chatflow that the engine runs.
pub(super) struct EngineCall<'a> {
    pub(super) environment: &'a Environment,
    pub(super) context: &'a Rc<Context>,
    pub(super) flow: &'a Flow,
    /// What Flowise would know the chatflow by.
    pub(super) id: &'a Arc<str>,
    pub(super) local: &'a Arc<engine::CompiledFlow>,
    /// All that it may run.
    pub(super) flows: &'a Arc<engine::FlowIndex>,
}

impl EngineCall<'_> {
    pub(super) async fn predict(&self, body: ClientBody) -> Result<Response<Body>, Refusal> {
        let prediction = check_body(body, self.flow, self.context).await?;
        self.run(prediction, None).await
    }

    /// Fills a vector store of the flow: the one that the body's `stopNodeId` names, or the only one. What else the body
    /// says is checked as a prediction's is.
    pub(super) async fn upsert(&self, head: &Parts, body: ClientBody) -> Result<Response<Body>, Refusal> {
        let content_type = content_type(head);
        if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            return self.upsert_files(content_type, body).await;
        }
        let bytes = read_body(body, self.context).await?;
        let (node, question) = upsert_fields(&bytes)?;
        let prediction = check_bytes(question.as_bytes(), self.flow, self.context)?;
        self.run(prediction, Some(engine::UpsertTarget { node })).await
    }

    /// The same with files in a form, which take the place of those of the flow's loaders.
    async fn upsert_files(&self, content_type: &str, body: ClientBody) -> Result<Response<Body>, Refusal> {
        let collector = Collector::of_upsert(content_type, TextLimit::new(self.flow.config.max_word_chars))?;
        let body = read_body(body, self.context).await?;
        let place = FORMS.try_acquire().map_err(|_| Refusal::EngineBusy)?;
        let form = offload::work(body.len(), move || collector.collect(&body)).await?;
        let mut question = json!({ "question": "" });
        if let (Some(chat), Some(fields)) = (&form.chat, question.as_object_mut()) {
            fields.insert("chatId".to_owned(), chat.as_str().into());
        }
        let mut prediction = check_bytes::<Question>(question.to_string().as_bytes(), self.flow, self.context)?;
        let length = form.files.iter().map(|file| file.bytes.len()).sum();
        let files = attachments(form.files);
        let overrides = offload::work(length, move || engine::loader_overrides(files)).await;
        prediction.body.overrides.extend(overrides);
        // What follows waits for models and databases.
        drop(place);
        self.run(prediction, Some(engine::UpsertTarget { node: form.stop_node })).await
    }

    /// The texts of files. None of them is kept: their client sends the texts back with its next question, and nobody else
    /// can ask for them.
    pub(super) async fn attach(&self, head: &Parts, body: ClientBody, chat: String) -> Result<Bytes, Refusal> {
        let rules = self.local.info.attachments.as_ref().ok_or(Refusal::NotFound)?;
        let limit = TextLimit::new(self.flow.config.max_word_chars);
        let collector = Collector::new(content_type(head), chat, limit)?;
        let body = read_body(body, self.context).await?;
        let _place = FORMS.try_acquire().map_err(|_| Refusal::EngineBusy)?;
        let form = offload::work(body.len(), move || collector.collect(&body)).await?;
        let refused = |sentence: String| Rule::UploadKind.refuse(sentence);
        form.files.iter().try_for_each(|file| rules.check(file.media_type)).map_err(refused)?;
        let count = || self.context.snapshot.config.engine_threads();
        let threads = &self.environment.engine;
        let read =
            engine::read_attachments(threads, &count, self.local, attachments(form.files), form.wants_bytes).await;
        read.map(Bytes::from).map_err(refusal)
    }

    async fn run(
        &self,
        prediction: Prediction<Question>,
        upsert: Option<engine::UpsertTarget>,
    ) -> Result<Response<Body>, Refusal> {
        let Self { environment, context, flow, id, local, flows } = *self;
        let chat = &prediction.ids.chat.upstream;
        let usage = match (prediction.streaming, prediction.ids.is_new) {
            (true, true) => ChatUse::NewStream,
            (true, false) => ChatUse::Stream,
            (false, _) => ChatUse::Whole,
        };
        let lease = environment.chats.enter(&self.place(), chat, usage).answer().await;
        let lease = lease.ok_or(Refusal::ChatBusy)?;
        let asked = engine::PredictionContext {
            threads: &environment.engine,
            wakes: &environment.wakes,
            count: &|| context.snapshot.config.engine_threads(),
            flows,
            id,
            chatflow: &flow.config.name,
            cut: environment.cuts.gateway_ends(),
            request_id: &context.request_id,
            report: &context.stream,
            models: &context.models,
            namespace: context.namespace(),
            redactor: &context.snapshot.redactor,
            trace: context.trace_scope(),
            view: View::new(&flow.config, &prediction.ids, prediction.shape),
            lease,
            upsert,
        };
        let answer = engine::answer(local, prediction, asked).await.map_err(refusal)?;
        Ok(response(answer, || environment.cuts.of_engine(context.key())))
    }

    /// Ends what runs for that chat.
    pub(super) fn abort(&self, chat: &str) {
        self.environment.chats.abort(&self.place(), chat);
    }

    /// Where the engine runs the chatflow's chats; no upstream's name.
    fn place(&self) -> String {
        format!("engine/{}", self.id)
    }
}

fn content_type(head: &Parts) -> &str {
    head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn attachments(files: Vec<CollectedFile>) -> Vec<engine::Attachment> {
    let attachment = |CollectedFile { name, media_type, bytes }| engine::Attachment { name, media_type, bytes };
    files.into_iter().map(attachment).collect()
}

/// The node that a body names, and the rest of it as a question without words.
fn upsert_fields(body: &[u8]) -> Result<(Option<String>, String), Refusal> {
    let expected = || Rule::BodyJson.refuse("The body must be a JSON object.");
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let Ok(Value::Object(mut fields)) = read(body) else { return Err(expected()) };
    let node = match fields.shift_remove("stopNodeId") {
        None | Some(Value::Null) => None,
        Some(Value::String(node)) => Some(node),
        Some(_) => return Err(Refusal::field_type("stopNodeId", "a string")),
    };
    fields.insert("question".to_owned(), Value::String(String::new()));
    fields.shift_remove("streaming");
    Ok((node, Value::Object(fields).to_string()))
}

fn response(answer: Answer, cut: impl FnOnce() -> StreamCut) -> Response<Body> {
    match answer {
        Answer::Whole(json) => {
            let mut response = Response::new(Body::Full(json));
            let kind = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        Answer::Events(events) => {
            // It is shown as the client may see it where it is told, and ends there when the gateway does.
            let body = EventBody::new(events, None, StreamBounds { idle: None, cut: cut() });
            let mut response = Response::new(Body::streamed(body));
            event_stream::set_head(response.headers_mut());
            response
        }
    }
}

/// As Flowise answers: every error of a flow is its 500. What is the caller's own is 400.
fn refusal(unanswered: EngineError) -> Refusal {
    match unanswered {
        EngineError::Busy => Refusal::EngineBusy,
        EngineError::Spoken => Rule::QuestionRequired
            .refuse("The field question (a string) is required: the engine does not understand speech."),
        EngineError::File(sentence) => Rule::UploadKind.refuse(sentence),
        EngineError::Override(field) => Rule::OverrideType.refuse(format!("The field {field}.")),
        EngineError::Failed(message) => {
            Refusal::Flow { status: StatusCode::INTERNAL_SERVER_ERROR, message, retry_after: None }
        }
        EngineError::Unreadable => Refusal::UpstreamError("The chatflow gave an unexpected answer."),
        EngineError::Lost => Refusal::UpstreamError(engine::LOST),
    }
}
