//! The newer of OpenAI's two APIs, which models that tell what they think are asked with.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::{Style, extraction};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolSpec, Usage};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::models::connection::Headers;
use crate::engine::models::gathering::{
    AnswerFraming, CallParts, Gathering, broken_off, gathered, parsed, picked, set, usage_metadata,
};
use crate::engine::provider::{ProviderEndpoint, failure_in_stream};

/// One model at one address.
#[derive(Debug)]
pub(super) struct Responses {
    pub(super) endpoint: ProviderEndpoint,
    pub(super) headers: Headers,
    pub(super) model: String,
    pub(super) provider: &'static str,
    pub(super) fields: Map<String, Value>,
    pub(super) style: Style,
    pub(super) sees_images: bool,
}

impl ChatModel for Responses {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = body(&self.fields, self.style, ask);
            let incoming = self.endpoint.post("/responses", &self.headers, body, run).await?;
            let framing = if self.style.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            gathered(incoming, framing, ResponsesReply::default(), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        self.provider
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}

pub(super) fn body(fields: &Map<String, Value>, style: Style, ask: ModelRequest<'_>) -> Value {
    let mut body = fields.clone();
    body.insert("stream".to_owned(), style.streams.into());
    let strict = if style.strict { true.into() } else { Value::Null };
    if let Some((name, schema)) = ask.schema {
        let function = extraction(name, schema).get_mut("function").map(Value::take).unwrap_or_default();
        body.insert("tools".to_owned(), json!([flat(function, &strict)]));
        body.insert("tool_choice".to_owned(), json!({ "type": "function", "name": name }));
    } else if !ask.tools.is_empty() {
        let tool = |spec: &ToolSpec| {
            let fields = json!({ "name": spec.name, "description": spec.description, "parameters": spec.parameters });
            flat(fields, &strict)
        };
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
        if let Some(only) = ask.tools.first().filter(|_| ask.must_call) {
            body.insert("tool_choice".to_owned(), json!({ "type": "function", "name": only.name }));
        }
    }
    body.insert("input".to_owned(), ask.messages.iter().flat_map(|turn| items(turn, style.developer)).collect());
    Value::Object(body)
}

fn flat(mut function: Value, strict: &Value) -> Value {
    set(&mut function, "type", "function");
    set(&mut function, "strict", strict.clone());
    function
}

/// What stands for a message in the request's input.
fn items(message: &Message, developer: bool) -> Vec<Value> {
    let turn = |role: &str, content: Value| json!({ "type": "message", "role": role, "content": content });
    match message.role {
        Role::Developer => vec![turn("developer", content(&message.content))],
        Role::System if developer => vec![turn("developer", content(&message.content))],
        Role::System => vec![turn("system", content(&message.content))],
        Role::User => vec![turn("user", content(&message.content))],
        Role::Tool => {
            let id = message.answers.as_ref().map_or("", |(id, _)| id);
            vec![json!({ "type": "function_call_output", "call_id": id, "output": message.content.plain() })]
        }
        Role::Assistant => {
            // As the model itself put it, thoughts and all.
            let own = message.calls.first().and_then(|call| call.opaque.as_ref()).and_then(Value::as_array);
            if let Some(own) = own {
                return own.clone();
            }
            let calls = message.calls.iter().map(|call| {
                let arguments = call.arguments.to_string();
                json!({ "type": "function_call", "name": call.name, "arguments": arguments, "call_id": call.id })
            });
            std::iter::once(turn("assistant", message.content.plain().into())).chain(calls).collect()
        }
    }
}

fn content(content: &Content) -> Value {
    content.to_json(|piece| match piece {
        ContentPart::Text(text) => json!({ "type": "input_text", "text": text }),
        ContentPart::Image(url) => json!({ "type": "input_image", "image_url": url }),
    })
}

#[derive(Deserialize)]
struct ResponsesEvent {
    #[serde(default, rename = "type")]
    kind: String,
    /// Of an answer that comes in one piece.
    #[serde(default)]
    object: String,
    error: Option<Value>,
    #[serde(default)]
    delta: Value,
    #[serde(default)]
    output_index: u64,
    item: Option<Value>,
    part: Option<Value>,
    response: Option<Value>,
    message: Option<String>,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct ResponsesReply {
    answered: ModelAnswer,
    calls: CallParts,
    /// The whole, which comes last.
    whole: Option<Value>,
}

impl Gathering for ResponsesReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let event: ResponsesEvent = parsed(piece)?;
        if event.object == "response" {
            return self.finish(parsed(piece)?, ask);
        }
        match event.kind.as_str() {
            "response.output_text.delta" => self.answered.say(event.delta.as_str().unwrap_or_default(), ask),
            "response.reasoning_summary_text.delta" => {
                self.answered.think(event.delta.as_str().unwrap_or_default(), ask);
            }
            "response.reasoning_summary_part.added" => {
                let part = event.part.as_ref().and_then(|part| part.get("text")?.as_str());
                self.answered.think(part.unwrap_or_default(), ask);
            }
            "response.output_item.added" => self.begin(event.output_index, event.item.as_ref()),
            "response.function_call_arguments.delta" => {
                let more = event.delta.as_str().unwrap_or_default();
                self.calls.at(event.output_index).arguments.push_str(more);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.note(event.response.unwrap_or_default())?;
            }
            "error" => {
                let said = event.error.unwrap_or_else(|| json!({ "message": event.message }));
                return Err(failure_in_stream(&said));
            }
            _ => {}
        }
        Ok(())
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        let whole = self.whole.ok_or_else(broken_off)?;
        self.answered.thinks_in_pieces = true;
        let mut metadata = Map::new();
        metadata.insert("model_provider".to_owned(), "openai".into());
        let names = ["id", "model", "created_at", "object", "status", "incomplete_details", "service_tier", "usage"];
        metadata.append(&mut picked(Some(&whole), &names.map(|name| (name, name))));
        metadata.append(&mut picked(Some(&whole), &[("model", "model_name")]));
        self.answered.response_metadata = metadata;
        (self.answered.usage, self.answered.usage_metadata) = counted(whole.get("usage").unwrap_or(&Value::Null));
        self.answered.calls = self.calls.into_calls();
        if let Some(first) = self.answered.calls.first_mut() {
            first.opaque = whole.get("output").cloned();
        }
        Ok(self.answered.structured(ask))
    }
}

impl ResponsesReply {
    fn begin(&mut self, index: u64, item: Option<&Value>) {
        let text = |name: &str| item.and_then(|item| item.get(name)?.as_str()).unwrap_or_default().to_owned();
        match text("type").as_str() {
            "message" => self.answered.id = Some(text("id")),
            "function_call" => {
                let part = self.calls.at(index);
                part.id = text("call_id");
                part.name = text("name");
                part.arguments = text("arguments");
            }
            _ => {}
        }
    }

    /// Keeps the whole for the end.
    fn note(&mut self, whole: Value) -> Result<(), Failure> {
        if let Some(error) = whole.get("error").filter(|error| !error.is_null()) {
            return Err(failure_in_stream(error));
        }
        self.whole = Some(whole);
        Ok(())
    }

    /// An answer that comes in one piece.
    fn finish(&mut self, whole: Value, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let items = whole.get("output").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, item) in (0..).zip(&items) {
            self.begin(index, Some(item));
            let texts = |list: &str| {
                let pieces = item.get(list).and_then(Value::as_array).into_iter().flatten();
                pieces.filter_map(|piece| piece.get("text")?.as_str()).collect::<String>()
            };
            self.answered.think(&texts("summary"), ask);
            if item.get("type").and_then(Value::as_str) == Some("message") {
                self.answered.say(&texts("content"), ask);
            }
        }
        self.note(whole)
    }
}

fn counted(usage: &Value) -> (Usage, Map<String, Value>) {
    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (input, output) = (count("input_tokens"), count("output_tokens"));
    let mut fields = usage_metadata(input, output, count("total_tokens"));
    let given = picked(usage.get("input_tokens_details"), &[("cached_tokens", "cache_read")]);
    let taken = picked(usage.get("output_tokens_details"), &[("reasoning_tokens", "reasoning")]);
    fields.insert("input_token_details".to_owned(), given.into());
    fields.insert("output_token_details".to_owned(), taken.into());
    (Usage { input, output }, fields)
}
