//! The calls of Flowise's widget beside predictions. Each is checked field by field, bound to its chatflow, and named
//! anew: Flowise asks nobody for a key on these and believes whatever ids it is sent.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use super::authorize::name;
use super::backend::BackendCall;
use super::body::read_body;
use super::context::Context;
use super::engine::EngineCall;
use super::flowise::{FlowiseCall, JSON};
use super::routes::{NamedIn, Takes, WidgetCall};
use crate::client::RequestHead;
use crate::predict::chat_id;
use crate::predict::json::{Object, text_of};
use crate::predict::multipart::{Rewriter, TextLimit};
use crate::predict::session::Pair;
use crate::upstream::abort::abort_path;
use crate::upstream::choice::Affinity;
use crate::upstream::forward::Forward;
use crate::upstream::outgoing::Outgoing;
use crate::widget::{chatbot, fields, files, handle, rows};
use crate::wire::body::Body;
use crate::wire::client_body::ClientBody;
use crate::wire::refusal::Refusal;
use crate::wire::segment;

/// Of a stored rating and of a stored lead, what their client sees again.
const RATING: &[&str] = &["messageId", "rating", "content", "createdDate"];
const LEAD: &[&str] = &["name", "email", "phone", "createdDate"];

pub(super) async fn answer(
    asked: WidgetCall,
    backend: &BackendCall<'_>,
    head: &Parts,
    body: ClientBody,
    context: &Rc<Context>,
) -> Result<Response<Body>, Refusal> {
    let route = context.route.get().ok_or(Refusal::NotFound)?;
    let (text, upload) = match route.body {
        Takes::Nothing => (Bytes::new(), None),
        Takes::Files => (Bytes::new(), Some(body)),
        Takes::Json(_) | Takes::Question | Takes::Unread => (read_body(body, context).await?, None),
    };
    let text = text_of(&text)?;
    let mut fields = fields::all(&text)?;
    if let NamedIn::Body(field) | NamedIn::Path { again: Some(field) } = route.chatflow
        && let Some(chatflow) = fields::chatflow(&mut fields, field)?
    {
        name(context, &chatflow)?;
    }
    let upstream = match backend {
        BackendCall::Flowise(upstream) => upstream,
        BackendCall::Engine(engine) => return locally(asked, engine, head, upload).await,
    };
    match asked {
        WidgetCall::ChatbotConfig => upstream.read(head, "public-chatbotConfig", chatbot::configuration).await,
        WidgetCall::ChatflowsUploads => upstream.read(head, "chatflows-uploads", chatbot::uploads).await,
        WidgetCall::UploadedFile => upstream.uploaded_file(head).await,
        WidgetCall::AssistantsFile => upstream.assistants_file(head, &mut fields).await,
        WidgetCall::Attachments => upstream.attach(head, upload.ok_or(Refusal::NotFound)?).await,
        WidgetCall::Feedback => upstream.rate(head, &mut fields).await,
        WidgetCall::FeedbackUpdate => upstream.update_feedback(head, &mut fields).await,
        WidgetCall::Leads => upstream.keep_lead(head, &mut fields).await,
        WidgetCall::Speech => upstream.speak(head, &mut fields).await,
        WidgetCall::SpeechAbort => upstream.stop_speech(head, &mut fields).await,
        WidgetCall::Abort => upstream.abort(head).await,
    }
}

/// What the built-in engine answers. It keeps no files, ratings or leads, and tells no widget to ask for any.
async fn locally(
    asked: WidgetCall,
    engine: &EngineCall<'_>,
    head: &Parts,
    upload: Option<ClientBody>,
) -> Result<Response<Body>, Refusal> {
    let shown = match asked {
        WidgetCall::ChatbotConfig => chatbot::configuration(&engine.local.info.chatbot),
        WidgetCall::ChatflowsUploads => chatbot::uploads(&engine.local.info.uploads),
        WidgetCall::Abort => {
            engine.abort(&chat(engine.context, named_by_path(head)?).upstream);
            Some(json!({ "status": 200, "message": "Chat message aborted" }))
        }
        WidgetCall::Attachments => {
            let body = upload.ok_or(Refusal::NotFound)?;
            return engine.attach(head, body, named_by_path(head)?).await.map(told);
        }
        WidgetCall::UploadedFile
        | WidgetCall::AssistantsFile
        | WidgetCall::Feedback
        | WidgetCall::FeedbackUpdate
        | WidgetCall::Leads
        | WidgetCall::Speech
        | WidgetCall::SpeechAbort => None,
    };
    shown.map(|shown| said(&shown)).ok_or(Refusal::NotFound)
}

/// The chat that the client names, or the only one that its token gives it.
fn chat(context: &Context, named: String) -> Pair {
    let session = context.token.get().and_then(|token| token.session_id.clone());
    Pair::new(session.unwrap_or(named), context.namespace().as_ref())
}

/// The chat at the path's end, as the client calls it.
fn named_by_path(head: &Parts) -> Result<String, Refusal> {
    let (_, last) = head.uri.path().rsplit_once('/').ok_or(Refusal::NotFound)?;
    files::chat_of_path(last)
}

impl FlowiseCall<'_> {
    fn chat(&self, named: String) -> Pair {
        chat(self.context, named)
    }

    /// What clients call the chatflow.
    fn name(&self) -> &str {
        self.context.chatflow_name()
    }

    async fn read(
        &self,
        head: &Parts,
        route: &str,
        shown: fn(&Value) -> Option<Value>,
    ) -> Result<Response<Body>, Refusal> {
        let request = self.head_of(Method::GET, &["/api/v1/", route, "/", self.id], head);
        self.json_again(Forward::new(request, Outgoing::EMPTY, Affinity::Nothing), shown).await.map(told)
    }

    async fn rate(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(fields::id(body, "chatId")?);
        let row = fields::feedback(body, self.id, &chat)?;
        let namespace = self.context.own_namespace();
        let seal = |id: &str| namespace.as_ref().and_then(|namespace| handle::seal(self.name(), id, namespace));
        let request = self.head_of(Method::POST, &["/api/v1/feedback"], head);
        let stored = |answer: &Value| rows::stored(answer, RATING, self.name(), &chat, seal);
        self.json(with_json(request, &row, Affinity::chat(&chat.upstream)), stored).await.map(|answer| said(&answer))
    }

    async fn keep_lead(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(fields::id(body, "chatId")?);
        let row = fields::lead(body, self.id, &chat)?;
        let request = self.head_of(Method::POST, &["/api/v1/leads"], head);
        let stored = |answer: &Value| rows::stored(answer, LEAD, self.name(), &chat, |_| None);
        self.json(with_json(request, &row, Affinity::chat(&chat.upstream)), stored).await.map(|answer| said(&answer))
    }

    async fn update_feedback(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let (_, last) = head.uri.path().rsplit_once('/').ok_or(Refusal::NotFound)?;
        let (_, id, proof) = handle::parts(last).ok_or(Refusal::NotFound)?;
        let namespace = self.context.own_namespace().ok_or(Refusal::NotFound)?;
        if !handle::is_proven(id, proof, &namespace) {
            return Err(Refusal::NotFound);
        }
        let update = fields::feedback_update(body)?;
        let request = self.head_of(Method::PUT, &["/api/v1/feedback/", id], head);
        self.json(with_json(request, &update, Affinity::Nothing), rows::outcome).await.map(|answer| said(&answer))
    }

    async fn abort(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(named_by_path(head)?);
        let path = abort_path(self.id, &chat.upstream).ok_or(Refusal::NotFound)?;
        let request = self.head_of(Method::PUT, &[&path], head);
        let forward = Forward::new(request, Outgoing::EMPTY, Affinity::chat(&chat.upstream));
        let outcome = self.json(forward, rows::outcome).await;
        // Another replica may know better which server has it. Whatever has ended by now is let alone there.
        self.environment.chats.abort_elsewhere(&self.target.name, &chat.upstream);
        outcome.map(|answer| said(&answer))
    }

    async fn speak(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(fields::id(body, "chatId")?);
        let asked = fields::speech(body, self.id, &chat, self.flow.config.max_question_chars)?;
        let request = self.head_of(Method::POST, &["/api/v1/text-to-speech/generate"], head);
        self.send(with_json(request, &asked, Affinity::chat(&chat.upstream)), None, None).await
    }

    async fn stop_speech(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(fields::id(body, "chatId")?);
        let asked = fields::speech_abort(body, self.id, &chat)?;
        let request = self.head_of(Method::POST, &["/api/v1/text-to-speech/abort"], head);
        self.json(with_json(request, &asked, Affinity::chat(&chat.upstream)), rows::outcome)
            .await
            .map(|answer| said(&answer))
    }

    async fn uploaded_file(&self, head: &Parts) -> Result<Response<Body>, Refusal> {
        let wanted = files::wanted(head.uri.query().unwrap_or_default())?;
        let chat = self.chat(wanted.chat);
        let mut path = format!("/api/v1/get-upload-file?chatflowId={}&chatId=", self.id);
        segment::push(&mut path, &chat.upstream);
        path.push_str("&fileName=");
        segment::push(&mut path, &wanted.name);
        let request = self.head_of(Method::GET, &[&path], head);
        self.hand_out(Forward::new(request, Outgoing::EMPTY, Affinity::chat(&chat.upstream)), &wanted.name).await
    }

    async fn assistants_file(&self, head: &Parts, body: &mut Object<'_>) -> Result<Response<Body>, Refusal> {
        let chat = self.chat(files::chat_id(fields::id(body, "chatId")?)?);
        let name = files::stored_name(&fields::id(body, "fileName")?)?;
        fields::nothing_else(body)?;
        let asked = json!({ "chatflowId": &**self.id, "chatId": chat.upstream, "fileName": name });
        let request = self.head_of(Method::POST, &["/api/v1/openai-assistants-file/download"], head);
        self.hand_out(with_json(request, &asked, Affinity::chat(&chat.upstream)), &name).await
    }

    async fn hand_out(&self, forward: Forward, name: &str) -> Result<Response<Body>, Refusal> {
        let mut response = self.send(forward, None, None).await?;
        files::hand_out(response.headers_mut(), name);
        Ok(response)
    }

    /// Sends files on, each checked as it goes by.
    async fn attach(&self, head: &Parts, upload: ClientBody) -> Result<Response<Body>, Refusal> {
        let named = named_by_path(head)?;
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = chat_id::random().ok_or(Refusal::UpstreamUnavailable)?;
        let limit = TextLimit::new(self.flow.config.max_word_chars);
        let rewriter = Rewriter::new(content_type.unwrap_or_default(), boundary, named.clone(), limit)?;
        let chat = self.chat(named);
        let mut path = format!("/api/v1/attachments/{}/", self.id);
        segment::push(&mut path, &chat.upstream);
        let mut request = self.head_of(Method::POST, &[&path], head);
        let written = HeaderValue::from_str(&rewriter.content_type());
        request.field(
            "content-type",
            &written.map_err(|_| Refusal::UnsupportedMediaType("The boundary of this form cannot be read."))?,
        );
        let body = Outgoing::rewritten(upload, self.context.body_bounds(), rewriter).await?;
        self.json(Forward::new(request, body, Affinity::chat(&chat.upstream)), rows::attachments)
            .await
            .map(|answer| said(&answer))
    }
}

fn with_json(mut request: RequestHead, body: &Value, affinity: Affinity) -> Forward {
    request.field("content-type", &JSON);
    Forward::new(request, Outgoing::full(body.to_string().into()), affinity)
}

fn said(answer: &Value) -> Response<Body> {
    told(answer.to_string().into())
}

fn told(answer: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::Full(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
