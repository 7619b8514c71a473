//! Ollama's own API: JSON a line.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connection::{self, Headers, number};
use super::gathering::{
    AnswerFraming, CallPart, CallParts, Gathering, broken_off, gathered, parsed, picked, set, usage_metadata,
};
use super::openai::request::{extraction, tool};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall, Usage};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderEndpoint, failure_in_stream};
use crate::predict::chat_id;

pub(crate) const ADDRESS: &str = "http://localhost:11434";

/// Settings of models, by the input that sets them.
pub(crate) const OPTIONS: &[(&str, &str)] = &[
    ("numCtx", "num_ctx"),
    ("numGpu", "num_gpu"),
    ("numThread", "num_thread"),
    ("topK", "top_k"),
    ("topP", "top_p"),
    ("tfsZ", "tfs_z"),
    ("repeatLastN", "repeat_last_n"),
    ("temperature", "temperature"),
    ("repeatPenalty", "repeat_penalty"),
    ("mirostat", "mirostat"),
    ("mirostatTau", "mirostat_tau"),
    ("mirostatEta", "mirostat_eta"),
];

/// The node `chatOllama`.
#[derive(Debug)]
pub(crate) struct ChatOllama;

impl NodeKind for ChatOllama {
    fn names(&self) -> &'static [&'static str] {
        &["chatOllama"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let key = connection::optional(inputs, "ollamaApi", "ollamaApiKey");
        let headers = connection::bearer(inputs, key.as_ref());
        let endpoint = connection::endpoint(inputs, "baseUrl", ADDRESS);
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        // The library that Flowise uses streams whatever this says, and so does this.
        inputs.ignore(&["streaming"]);
        let model = model?;
        let fields = fields(inputs, &model);
        Some(Part::Model(Arc::new(OllamaModel { endpoint: endpoint?, headers, model, fields, sees_images })))
    }
}

/// As `chatOllama`, with an answer of that JSON Schema.
#[derive(Debug)]
pub(crate) struct FormedOllama(pub(crate) Value);

impl NodeKind for FormedOllama {
    fn names(&self) -> &'static [&'static str] {
        &[]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let endpoint = connection::endpoint(inputs, "baseUrl", ADDRESS);
        let model = model?;
        let mut fields = fields(inputs, &model);
        fields.insert("format".to_owned(), self.0.clone());
        let headers = Headers::new();
        Some(Part::Model(Arc::new(OllamaModel { endpoint: endpoint?, headers, model, fields, sees_images: false })))
    }
}

/// What goes into each request beside the messages.
fn fields(inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), model.into());
    if inputs.flag("jsonMode") == Some(true) {
        fields.insert("format".to_owned(), "json".into());
    }
    if let Some(time) = inputs.text("keepAlive") {
        fields.insert("keep_alive".to_owned(), time.into());
    }
    fields.insert("think".to_owned(), inputs.flag("think").unwrap_or(false).into());
    let mut options = Map::new();
    for (input, option) in OPTIONS {
        if let Some(value) = inputs.number(input) {
            options.insert((*option).to_owned(), number(value));
        }
    }
    // Flowise's own node forgets these.
    let stop: Vec<String> = inputs.text("stop").into_iter().flat_map(|words| split(&words)).collect();
    if !stop.is_empty() {
        options.insert("stop".to_owned(), stop.into());
    }
    fields.insert("options".to_owned(), options.into());
    fields
}

fn split(words: &str) -> Vec<String> {
    words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

#[derive(Debug)]
struct OllamaModel {
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    fields: Map<String, Value>,
    sees_images: bool,
}

impl ChatModel for OllamaModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = body(&self.fields, ask);
            let incoming = self.endpoint.post("/api/chat", &self.headers, body, run).await.map_err(in_its_words)?;
            gathered(incoming, AnswerFraming::Lines, OllamaReply::default(), ask).await.map_err(in_its_words)
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "ollama"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}

/// Ollama's own library, which Flowise uses, tells no status.
fn in_its_words(failure: Failure) -> Failure {
    if let Failure::Provider { message, .. } = failure { Failure::Refused(message) } else { failure }
}

fn body(fields: &Map<String, Value>, ask: ModelRequest<'_>) -> Value {
    let mut body = fields.clone();
    if let Some((name, schema)) = ask.schema {
        body.insert("tools".to_owned(), json!([extraction(name, schema)]));
    } else if !ask.tools.is_empty() {
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
    }
    if !ask.stop.is_empty() {
        let mut options = body.get("options").cloned().unwrap_or_else(|| json!({}));
        set(&mut options, "stop", json!(ask.stop));
        body.insert("options".to_owned(), options);
    }
    body.insert("messages".to_owned(), ask.messages.iter().flat_map(messages).collect());
    body.insert("stream".to_owned(), true.into());
    Value::Object(body)
}

/// A message; one for each piece where there are images.
fn messages(message: &Message) -> Vec<Value> {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    match &message.content {
        Content::Text(text) => {
            let mut fields = json!({ "role": role, "content": text });
            // Flowise's library leaves these two out, and the model cannot tell what it asked for.
            if !message.calls.is_empty() {
                set(&mut fields, "tool_calls", message.calls.iter().map(tool_call).collect::<Value>());
            }
            if let Some((_, name)) = &message.answers {
                set(&mut fields, "tool_name", name.as_str());
            }
            vec![fields]
        }
        Content::Pieces(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                ContentPart::Text(text) => json!({ "role": role, "content": text }),
                ContentPart::Image(url) => json!({ "role": role, "content": "", "images": [data_of(url)] }),
            })
            .collect(),
    }
}

fn tool_call(call: &ToolCall) -> Value {
    json!({ "function": { "name": call.name, "arguments": call.arguments } })
}

/// What stands in a data URI.
fn data_of(url: &str) -> &str {
    url.split_once(";base64,").map_or("", |(_, data)| data)
}

#[derive(Deserialize)]
struct OllamaLine {
    error: Option<Value>,
    message: Option<OllamaMessage>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    prompt_eval_count: u64,
    #[serde(default)]
    eval_count: u64,
}

#[derive(Deserialize)]
struct OllamaMessage {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<OllamaCall>>,
}

#[derive(Deserialize)]
struct OllamaCall {
    function: OllamaFunction,
}

#[derive(Deserialize)]
struct OllamaFunction {
    name: String,
    #[serde(default)]
    arguments: Value,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct OllamaReply {
    answered: ModelAnswer,
    calls: CallParts,
    count: u64,
    is_done: bool,
}

impl Gathering for OllamaReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let line: OllamaLine = parsed(piece)?;
        if let Some(error) = line.error {
            return Err(failure_in_stream(&error));
        }
        if let Some(said) = line.message {
            self.answered.think(&said.thinking.unwrap_or_default(), ask);
            self.answered.say(&said.content.unwrap_or_default(), ask);
            for OllamaCall { function } in said.tool_calls.unwrap_or_default() {
                // Ollama names no calls; results are matched by order.
                let id = chat_id::random().unwrap_or_default();
                let arguments = function.arguments.to_string();
                *self.calls.at(self.count) = CallPart { id, name: function.name, arguments, opaque: None };
                self.count += 1;
            }
        }
        self.answered.usage.input += line.prompt_eval_count;
        self.answered.usage.output += line.eval_count;
        if line.done {
            self.is_done = true;
            let rest: Value = parsed(piece)?;
            let names = [
                "model",
                "created_at",
                "done",
                "done_reason",
                "total_duration",
                "load_duration",
                "prompt_eval_count",
                "prompt_eval_duration",
                "eval_count",
                "eval_duration",
            ];
            self.answered.response_metadata = picked(Some(&rest), &names.map(|name| (name, name)));
        }
        Ok(())
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        if !self.is_done {
            return Err(broken_off());
        }
        ask.tell("");
        let Usage { input, output } = self.answered.usage;
        self.answered.usage_metadata = usage_metadata(input, output, input + output);
        self.answered.response_metadata.insert("model_provider".to_owned(), "ollama".into());
        self.answered.calls = self.calls.into_calls();
        self.answered.extra = Some(Map::new());
        Ok(self.answered.structured(ask))
    }
}
