//! Anthropic's messages.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
pub(super) use answer::AnthropicReply;
pub(super) use request::{body, messages, tool};

const ADDRESS: &str = "https://api.anthropic.com";
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
const CREDENTIAL: &str = "anthropicApi";

/// The most tokens of an answer where nothing is set, by the beginning of the model's name, as Flowise's library has it.
const MOST_TOKENS: &[(&str, u64)] = &[
    ("claude-opus-4", 16384),
    ("claude-sonnet-4", 16384),
    ("claude-haiku-4-5", 16384),
    ("claude-3-7-sonnet", 8192),
    ("claude-3-5-sonnet", 8192),
    ("claude-3-5-haiku", 8192),
    ("claude-3-opus", 4096),
    ("claude-3-sonnet", 4096),
    ("claude-3-haiku", 4096),
];
const MOST_TOKENS_OTHERWISE: u64 = 2048;

/// The node `chatAnthropic`.
#[derive(Debug)]
pub(crate) struct ChatAnthropic;

impl NodeKind for ChatAnthropic {
    fn names(&self) -> &'static [&'static str] {
        &["chatAnthropic"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        build(inputs, ADDRESS)
    }
}

fn build(inputs: &mut Inputs<'_, '_, '_>, address: &str) -> Option<Part> {
    let model = connection::model_name(inputs);
    let key = connection::wanted(inputs, CREDENTIAL, "anthropicApiKey");
    let endpoint = connection::endpoint_at(inputs, "modelName", address);
    let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
    let streams = inputs.streams();
    let model = model?;
    let fields = fields(inputs, &model);
    let Some(key) = key else {
        return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
    };
    let mut headers = connection::header(inputs, HeaderName::from_static("x-api-key"), key.expose());
    headers.push((HeaderName::from_static("anthropic-version"), VERSION));
    Some(Part::Model(Arc::new(Anthropic { endpoint: endpoint?, headers, model, fields, streams, sees_images })))
}

/// What goes into each request beside the messages.
fn fields(inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), model.into());
    let most = inputs.integer("maxTokensToSample").filter(|most| *most > 0);
    fields.insert("max_tokens".to_owned(), most.unwrap_or_else(|| most_tokens(model)).into());
    let thinking = thinking(inputs, &mut fields);
    if thinking && takes_sampling(model) && inputs.has("topP") {
        inputs.refuse("topP", "the provider takes none while the model thinks");
    }
    for (input, name) in [("temperature", "temperature"), ("topP", "top_p"), ("topK", "top_k")] {
        // Flowise leaves them out as well.
        if let Some(value) = inputs.number(input).filter(|_| !thinking && takes_sampling(model)) {
            fields.insert(name.to_owned(), number(value));
        }
    }
    fields
}

/// Whether the model thinks before it answers, and how.
fn thinking(inputs: &mut Inputs<'_, '_, '_>, fields: &mut Map<String, Value>) -> bool {
    let adaptive = inputs.flag("adaptiveThinking") == Some(true);
    let extended = inputs.flag("extendedThinking") == Some(true);
    let effort = inputs.text("thinkingEffort");
    let budget = inputs.integer("budgetTokens").unwrap_or(1024);
    let thinking = if adaptive {
        if let Some(effort) = effort {
            fields.insert("output_config".to_owned(), json!({ "effort": effort }));
        }
        json!({ "type": "adaptive" })
    } else if extended {
        json!({ "type": "enabled", "budget_tokens": budget })
    } else {
        json!({ "type": "disabled" })
    };
    fields.insert("thinking".to_owned(), thinking);
    adaptive || extended
}

fn most_tokens(model: &str) -> u64 {
    let known = MOST_TOKENS.iter().find(|(name, _)| model.starts_with(name));
    known.map_or(MOST_TOKENS_OTHERWISE, |(_, most)| *most)
}

/// Newer models of the largest kind take neither a temperature nor its kin, by Flowise's list.
pub(super) fn takes_sampling(model: &str) -> bool {
    let Some((_, version)) = model.split_once("opus-") else { return true };
    let mut numbers = version.split('-').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next()) {
        (Some(4), Some(Some(minor))) => !(7..=9).contains(&minor),
        (Some(major), Some(_)) => major < 5,
        _ => true,
    }
}

#[derive(Debug)]
struct Anthropic {
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    fields: Map<String, Value>,
    streams: bool,
    sees_images: bool,
}

impl ChatModel for Anthropic {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = body(&self.fields, self.streams, ask);
            let incoming = self.endpoint.post("/v1/messages", &self.headers, body, run).await?;
            let framing = if self.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            gathered(incoming, framing, AnthropicReply::default(), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }

    fn has_token_table(&self) -> bool {
        false
    }
}
