//! Models as `LlamaIndex` asks them: the nodes of its family, whose answers are streams exactly where they are told.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::anthropic::{self, AnthropicReply};
use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered};
use super::ollama::{self, OllamaReply};
use super::openai::answer::Completion;
use super::openai::request::{tool, tool_call};
use super::openai::{ADDRESS, AZURE_CREDENTIAL, Azure, azure};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;
use crate::engine::provider::ProviderEndpoint;

const ANTHROPIC: &str = "https://api.anthropic.com";
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// What the library asks for where the node says nothing.
const MOST_TOKENS: u64 = 4096;
/// Names without a date, which the library knows.
const DATED: &[(&str, &str)] = &[
    ("claude-3-opus", "claude-3-opus-20240229"),
    ("claude-3-sonnet", "claude-3-sonnet-20240229"),
    ("claude-3-haiku", "claude-3-haiku-20240307"),
];

/// The node `chatOpenAI_LlamaIndex`.
pub(super) struct LlamaOpenAi;

impl NodeKind for LlamaOpenAi {
    fn names(&self) -> &'static [&'static str] {
        &["chatOpenAI_LlamaIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let is_own = !inputs.has("basepath");
        let key = connection::wanted(inputs, "openAIApi", "openAIApiKey");
        let headers = connection::bearer(inputs, key.as_ref());
        let endpoint = connection::endpoint(inputs, "basepath", ADDRESS);
        let fields = of_openai(inputs, model.as_deref());
        let model = model?;
        if is_own && key.is_none() {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: "openAIApi" })));
        }
        let (endpoint, path, vendor) = (endpoint?, "/chat/completions".into(), Vendor::OpenAi);
        Some(Part::Model(Arc::new(LlamaModel { endpoint, path, headers, model, fields, vendor })))
    }
}

/// The node `azureChatOpenAI_LlamaIndex`.
pub(super) struct LlamaAzure;

impl NodeKind for LlamaAzure {
    fn names(&self) -> &'static [&'static str] {
        &["azureChatOpenAI_LlamaIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let at = azure(inputs);
        let fields = of_openai(inputs, model.as_deref());
        let (model, vendor) = (model?, Vendor::Azure);
        let Ok(Azure { endpoint, query, headers }) = at? else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: AZURE_CREDENTIAL })));
        };
        let path = format!("/chat/completions{query}").into();
        Some(Part::Model(Arc::new(LlamaModel { endpoint, path, headers, model, fields, vendor })))
    }
}

/// A provider that is asked as `OpenAI` is, and its node.
#[derive(Debug)]
pub(super) struct LlamaRelative {
    names: &'static [&'static str],
    /// Its name and the field with the key.
    credential: (&'static str, &'static str),
    address: &'static str,
    /// The input with the most tokens.
    most_input: &'static str,
    vendor: Vendor,
}

pub(super) const GROQ: LlamaRelative = LlamaRelative {
    names: &["chatGroq_LlamaIndex"],
    credential: ("groqApi", "groqApiKey"),
    address: "https://api.groq.com/openai/v1",
    most_input: "maxTokens",
    vendor: Vendor::Groq,
};

pub(super) const MISTRAL: LlamaRelative = LlamaRelative {
    names: &["chatMistral_LlamaIndex"],
    credential: ("mistralAIApi", "mistralAIAPIKey"),
    address: "https://api.mistral.ai/v1",
    most_input: "maxTokensToSample",
    vendor: Vendor::Mistral,
};

pub(super) const TOGETHER: LlamaRelative = LlamaRelative {
    names: &["chatTogetherAI_LlamaIndex"],
    credential: ("togetherAIApi", "togetherAIApiKey"),
    address: "https://api.together.xyz/v1",
    most_input: "maxTokens",
    vendor: Vendor::Together,
};

impl NodeKind for LlamaRelative {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let (credential, field) = self.credential;
        let key = connection::wanted(inputs, credential, field);
        let endpoint = connection::endpoint_at(inputs, "modelName", self.address);
        let fields = fields(inputs, model.as_deref(), self.most_input);
        let model = model?;
        if key.is_none() {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential })));
        }
        let headers = connection::bearer(inputs, key.as_ref());
        let (endpoint, path, vendor) = (endpoint?, "/chat/completions".into(), self.vendor);
        Some(Part::Model(Arc::new(LlamaModel { endpoint, path, headers, model, fields, vendor })))
    }
}

/// The node `chatOllama_LlamaIndex`.
pub(super) struct LlamaOllama;

impl NodeKind for LlamaOllama {
    fn names(&self) -> &'static [&'static str] {
        &["chatOllama_LlamaIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let endpoint = connection::endpoint(inputs, "baseUrl", ollama::ADDRESS);
        // What the library asks for where the node says nothing.
        let mut options = Map::new();
        for (option, value) in [("num_ctx", json!(4096)), ("top_p", json!(0.9)), ("temperature", json!(0.7))] {
            options.insert(option.to_owned(), value);
        }
        for (input, option) in ollama::OPTIONS {
            // Flowise's node has another name for this one.
            let option = if *option == "num_gpu" { "main_gpu" } else { option };
            options.extend(inputs.number(input).map(|value| (option.to_owned(), number(value))));
        }
        if let Some(words) = inputs.text("stop") {
            options.insert("stop".to_owned(), words.split(',').collect());
        }
        let model = model?;
        let mut fields = Map::new();
        fields.insert("model".to_owned(), model.as_str().into());
        fields.insert("options".to_owned(), options.into());
        let (endpoint, path, headers, vendor) = (endpoint?, "/api/chat".into(), Headers::new(), Vendor::Ollama);
        Some(Part::Model(Arc::new(LlamaModel { endpoint, path, headers, model, fields, vendor })))
    }
}

/// The node `chatAnthropic_LlamaIndex`.
pub(super) struct LlamaAnthropic;

impl NodeKind for LlamaAnthropic {
    fn names(&self) -> &'static [&'static str] {
        &["chatAnthropic_LlamaIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs).unwrap_or_default();
        let model = DATED.iter().find(|(name, _)| *name == model).map_or(model, |(_, dated)| (*dated).to_owned());
        let key = connection::wanted(inputs, "anthropicApi", "anthropicApiKey");
        let endpoint = connection::endpoint_at(inputs, "modelName", ANTHROPIC);
        let most = inputs.integer("maxTokensToSample").filter(|most| *most > 0).unwrap_or(MOST_TOKENS);
        let mut fields = Map::new();
        fields.insert("model".to_owned(), model.as_str().into());
        fields.insert("max_tokens".to_owned(), most.into());
        fields.extend(inputs.number("temperature").map(|value| ("temperature".to_owned(), number(value))));
        fields.insert("top_p".to_owned(), inputs.number("topP").map_or_else(|| json!(0.999), number));
        let Some(key) = key else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: "anthropicApi" })));
        };
        let mut headers = connection::header(inputs, HeaderName::from_static("x-api-key"), key.expose());
        headers.push((HeaderName::from_static("anthropic-version"), ANTHROPIC_VERSION));
        let (endpoint, path, vendor) = (endpoint?, "/v1/messages".into(), Vendor::Anthropic);
        Some(Part::Model(Arc::new(LlamaModel { endpoint, path, headers, model, fields, vendor })))
    }
}

fn of_openai(inputs: &mut Inputs<'_, '_, '_>, model: Option<&str>) -> Map<String, Value> {
    fields(inputs, model, "maxTokens")
}

fn fields(inputs: &mut Inputs<'_, '_, '_>, model: Option<&str>, most_input: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), model.unwrap_or_default().into());
    fields.extend(inputs.number("temperature").map(|value| ("temperature".to_owned(), number(value))));
    let most = inputs.integer(most_input).filter(|most| *most > 0);
    fields.extend(most.map(|most| ("max_tokens".to_owned(), most.into())));
    fields.insert("top_p".to_owned(), inputs.number("topP").map_or_else(|| json!(1), number));
    fields
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    OpenAi,
    Azure,
    Anthropic,
    Groq,
    Mistral,
    Ollama,
    Together,
}

#[derive(Debug)]
struct LlamaModel {
    endpoint: ProviderEndpoint,
    path: Box<str>,
    headers: Headers,
    model: String,
    fields: Map<String, Value>,
    vendor: Vendor,
}

impl LlamaModel {
    fn body(&self, ask: ModelRequest<'_>, streams: bool) -> Value {
        let mut body = self.fields.clone();
        if self.vendor == Vendor::Anthropic {
            let systems: Vec<String> = ask.messages.iter().filter(|turn| turn.role.instructs()).map(text).collect();
            if !systems.is_empty() {
                body.insert("system".to_owned(), systems.join("\n\n").into());
            }
            if ask.tools.is_empty() {
                body.insert("messages".to_owned(), merged(ask.messages));
            } else {
                body.insert("messages".to_owned(), anthropic::messages(ask.messages));
                body.insert("tools".to_owned(), ask.tools.iter().map(anthropic::tool).collect());
            }
            if streams {
                body.insert("stream".to_owned(), true.into());
            }
            return Value::Object(body);
        }
        body.insert("messages".to_owned(), ask.messages.iter().map(message).collect());
        if !ask.tools.is_empty() {
            body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
        }
        body.insert("stream".to_owned(), streams.into());
        Value::Object(body)
    }
}

impl ChatModel for LlamaModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let streams = ask.tokens.is_some_and(Sink::streams);
            let incoming = self.endpoint.post(&self.path, &self.headers, self.body(ask, streams), run).await?;
            let framing = if streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            if self.vendor == Vendor::Anthropic {
                return gathered(incoming, framing, AnthropicReply::default(), ask).await;
            }
            if self.vendor == Vendor::Ollama {
                return gathered(incoming, AnswerFraming::Lines, OllamaReply::default(), ask).await;
            }
            gathered(incoming, framing, Completion::new("openai", streams), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        match self.vendor {
            Vendor::OpenAi => "openai",
            Vendor::Azure => "azure.ai.openai",
            Vendor::Anthropic => "anthropic",
            Vendor::Groq => "groq",
            Vendor::Mistral => "mistral_ai",
            Vendor::Ollama => "ollama",
            Vendor::Together => "together",
        }
    }
}

/// As `OpenAI` and its like take it.
fn message(turn: &Message) -> Value {
    if let Some((id, _)) = &turn.answers {
        return json!({ "tool_call_id": id, "role": "tool", "content": text(turn) });
    }
    let mut message = json!({ "role": role(turn), "content": text(turn) });
    if let Some(fields) = message.as_object_mut().filter(|_| !turn.calls.is_empty()) {
        fields.insert("tool_calls".to_owned(), turn.calls.iter().map(tool_call).collect());
    }
    message
}

fn role(turn: &Message) -> &'static str {
    match turn.role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

fn text(turn: &Message) -> String {
    turn.content.plain()
}

/// Turns of one who speaks again are one, as the library sends them.
fn merged(turns: &[Message]) -> Value {
    let mut merged: Vec<(&'static str, String)> = Vec::new();
    for turn in turns.iter().filter(|turn| !turn.role.instructs()) {
        match merged.last_mut().filter(|(last, _)| *last == role(turn)) {
            Some((_, words)) => words.extend(["\n", &text(turn)]),
            None => merged.push((role(turn), text(turn))),
        }
    }
    merged.into_iter().map(|(role, content)| json!({ "content": content, "role": role })).collect()
}

#[cfg(test)]
mod tests;
