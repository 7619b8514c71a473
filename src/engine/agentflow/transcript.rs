//! What a model is told by a node, and how clients see it.

use serde_json::{Map, Value, json};

use super::values::text_of;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall};
use crate::engine::contract::model::ModelAnswer;
use crate::engine::contract::node::Document;
use crate::engine::contract::request::RunRequest;

/// Messages, each with what clients see of it.
#[derive(Debug, Default)]
pub(super) struct ChatTranscript {
    pub(super) messages: Vec<Message>,
    pub(super) shown: Vec<Value>,
}

impl ChatTranscript {
    pub(super) fn push(&mut self, message: Message, shown: Value) {
        self.messages.push(message);
        self.shown.push(shown);
    }

    pub(super) fn say(&mut self, role: &str, content: &str) {
        let said = super::runtime::turn(role, content);
        self.push(message(&said, &RunRequest::default()), said);
    }

    /// Before everything else.
    pub(super) fn say_first(&mut self, role: &str, content: &str) {
        let said = super::runtime::turn(role, content);
        self.messages.insert(0, message(&said, &RunRequest::default()));
        self.shown.insert(0, said);
    }

    /// Turns as they are remembered.
    pub(super) fn recall<'v>(&mut self, turns: impl IntoIterator<Item = &'v Value>, request: &RunRequest) {
        for turn in turns {
            self.push(message(turn, request), turn.clone());
        }
    }

    /// An answer that calls tools.
    pub(super) fn answer(&mut self, answered: &ModelAnswer) {
        self.push(Message::calling(answered.text.as_str(), answered.calls.clone()), shown_answer(answered));
    }

    /// What a tool gave, and what it comes from.
    pub(super) fn result(&mut self, call: &ToolCall, text: &str, sources: &[Document]) {
        let more = if sources.is_empty() { json!({}) } else { json!({ "sourceDocuments": shown_sources(sources) }) };
        let shown = json!({
            "role": "tool", "content": text, "tool_call_id": call.id, "name": call.name, "additional_kwargs": more,
        });
        self.push(Message::tool(call, text).named(call.name.as_str()), shown);
    }
}

/// Documents as clients see them.
pub(super) fn shown_sources(sources: &[Document]) -> Value {
    sources.iter().map(Document::to_json).collect()
}

/// The turn that the images of a request are.
pub(super) fn images(request: &RunRequest) -> Value {
    let stored = |name: &str, mime: &str| json!({ "type": "stored-file", "name": name, "mime": mime });
    let images = request.uploads.iter().filter(|upload| upload.mime.starts_with("image/"));
    json!({ "role": "user", "content": images.map(|image| stored(&image.name, &image.mime)).collect::<Vec<_>>() })
}

/// A remembered turn as a model is told it; its images are those of the request.
pub(super) fn message(turn: &Value, request: &RunRequest) -> Message {
    let field = |name: &str| turn.get(name).and_then(Value::as_str);
    let role = match field("role") {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => Role::User,
    };
    let content = match turn.get("content") {
        Some(Value::Array(items)) => Content::Pieces(items.iter().filter_map(|item| piece(item, request)).collect()),
        Some(content) => Content::Text(text_of(content)),
        None => Content::Text(String::new()),
    };
    let calls = turn.get("tool_calls").and_then(Value::as_array).into_iter().flatten().filter_map(call).collect();
    let answers = field("tool_call_id").map(|id| (id.to_owned(), field("name").unwrap_or_default().to_owned()));
    Message { role, content, calls, answers, name: field("name").map(str::to_owned) }
}

fn piece(item: &Value, request: &RunRequest) -> Option<ContentPart> {
    if item.get("type")?.as_str()? == "text" {
        return Some(ContentPart::Text(item.get("text")?.as_str()?.to_owned()));
    }
    let name = item.get("name")?.as_str()?;
    let upload = request.uploads.iter().find(|upload| upload.name == name && upload.data.starts_with("data:"))?;
    Some(ContentPart::Image(upload.data.clone()))
}

/// A call of a tool, as clients see it.
pub(super) fn shown_call(call: &ToolCall) -> Value {
    json!({ "name": call.name, "args": call.arguments, "id": call.id, "type": "tool_call" })
}

fn call(shown: &Value) -> Option<ToolCall> {
    let field = |name: &str| shown.get(name).and_then(Value::as_str);
    let mut call = ToolCall::new(field("id")?, field("name")?, shown.get("args")?.clone());
    call.opaque = shown.get("opaque").cloned();
    Some(call)
}

/// An answer that calls tools, as clients see it.
fn shown_answer(answered: &ModelAnswer) -> Value {
    let mut shown = Map::new();
    shown.insert("role".to_owned(), "assistant".into());
    shown.insert("content".to_owned(), answered.text.as_str().into());
    let calls = answered.calls.iter().map(|call| {
        let mut shown = shown_call(call);
        if let (Some(opaque), Some(fields)) = (&call.opaque, shown.as_object_mut()) {
            fields.insert("opaque".to_owned(), opaque.clone());
        }
        shown
    });
    shown.insert("tool_calls".to_owned(), calls.collect());
    let extra = answered.extra.clone().unwrap_or_else(|| raw_calls(&answered.calls));
    if !extra.is_empty() {
        shown.insert("additional_kwargs".to_owned(), extra.into());
    }
    if !answered.usage_metadata.is_empty() {
        shown.insert("usage_metadata".to_owned(), Value::Object(answered.usage_metadata.clone()));
    }
    if let Some(id) = &answered.id {
        shown.insert("id".to_owned(), id.as_str().into());
    }
    Value::Object(shown)
}

/// Calls as `OpenAI` writes them.
fn raw_calls(calls: &[ToolCall]) -> Map<String, Value> {
    let raw = (0..).zip(calls).map(|(index, call): (usize, &ToolCall)| {
        let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
        json!({ "index": index, "id": call.id, "type": "function", "function": function })
    });
    Map::from_iter([("tool_calls".to_owned(), raw.collect())])
}

/// Calls as events and answers list them.
pub(super) fn called(calls: &[ToolCall]) -> Value {
    calls.iter().map(|call| json!({ "tool": call.name, "toolInput": call.arguments, "toolOutput": "" })).collect()
}
