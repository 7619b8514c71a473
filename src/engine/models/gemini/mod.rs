//! Google's Gemini.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Map, Value, json};

use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered, picked};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
pub(super) use answer::GeminiReply;
pub(super) use request::{GeminiDialect, body};

const ADDRESS: &str = "https://generativelanguage.googleapis.com";
const CREDENTIAL: &str = "googleGenerativeAI";

/// The node `chatGoogleGenerativeAI`.
#[derive(Debug)]
pub(crate) struct ChatGemini;

impl NodeKind for ChatGemini {
    fn names(&self) -> &'static [&'static str] {
        &["chatGoogleGenerativeAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let custom = inputs.text("customModelName").map(|model| model.trim().to_owned());
        let model = match custom {
            Some(model) => {
                inputs.ignore(&["modelName"]);
                Some(model)
            }
            None => connection::model_name(inputs),
        };
        let key = connection::wanted(inputs, CREDENTIAL, "googleGenerativeAPIKey");
        let endpoint = connection::endpoint(inputs, "baseUrl", ADDRESS);
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        let streams = inputs.streams();
        let fields = fields(inputs);
        let model = model?.trim_start_matches("models/").to_owned();
        if !model.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
            inputs.refuse("modelName", "it cannot stand in an address");
            return None;
        }
        let Some(key) = key else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        };
        let headers = connection::header(inputs, HeaderName::from_static("x-goog-api-key"), key.expose());
        Some(Part::Model(Arc::new(Gemini { endpoint: endpoint?, headers, model, fields, streams, sees_images })))
    }
}

/// What goes into each request beside the messages.
fn fields(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let mut generation = Map::new();
    generation.insert("stopSequences".to_owned(), json!([]));
    if let Some(most) = inputs.integer("maxOutputTokens").filter(|most| *most > 0) {
        generation.insert("maxOutputTokens".to_owned(), most.into());
    }
    for name in ["temperature", "topP", "topK"] {
        if let Some(value) = inputs.number(name) {
            generation.insert(name.to_owned(), number(value));
        }
    }
    let level = inputs.text("thinkingLevel");
    let budget = inputs.number("thinkingBudget");
    let thinking = match (level, budget) {
        (Some(level), _) => Some(json!({ "thinkingLevel": level, "includeThoughts": true })),
        (None, Some(budget)) => Some(json!({ "thinkingBudget": number(budget), "includeThoughts": true })),
        (None, None) => None,
    };
    if let Some(thinking) = thinking {
        generation.insert("thinkingConfig".to_owned(), thinking);
    }
    let mut fields = Map::new();
    fields.insert("generationConfig".to_owned(), generation.into());
    fields.insert("safetySettings".to_owned(), safety(inputs).into());
    fields
}

/// The first threshold of each category.
fn safety(inputs: &mut Inputs<'_, '_, '_>) -> Vec<Value> {
    let listed = match inputs.json("safetySettings") {
        Some(Value::Array(listed)) => listed,
        Some(_) => {
            inputs.refuse("safetySettings", "expected a list");
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut settings: Vec<Value> = Vec::new();
    for setting in &listed {
        let text = |name: &str| setting.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(category), Some(threshold)) = (text("harmCategory"), text("harmBlockThreshold")) else { continue };
        if !settings.iter().any(|known| known["category"] == category) {
            settings.push(json!({ "category": category, "threshold": threshold }));
        }
    }
    settings
}

#[derive(Debug)]
struct Gemini {
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    fields: Map<String, Value>,
    streams: bool,
    sees_images: bool,
}

/// The counts of an answer in one piece, as Flowise's library tells them.
fn counted_whole(mut answered: ModelAnswer) -> ModelAnswer {
    let names =
        [("input_tokens", "promptTokens"), ("output_tokens", "completionTokens"), ("total_tokens", "totalTokens")];
    let usage = picked(Some(&Value::Object(answered.usage_metadata.clone())), &names);
    answered.usage_metadata.retain(|name, _| !name.ends_with("_details"));
    answered.response_metadata.remove("model_provider");
    if !usage.is_empty() {
        answered.response_metadata.insert("tokenUsage".to_owned(), usage.into());
    }
    answered
}

impl ChatModel for Gemini {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = body(&self.fields, &self.model, GeminiDialect::Gemini, ask)?;
            let (verb, framing) = if self.streams {
                ("streamGenerateContent?alt=sse", AnswerFraming::Events)
            } else {
                ("generateContent", AnswerFraming::Whole)
            };
            let path = format!("/v1beta/models/{}:{verb}", self.model);
            let incoming = self.endpoint.post(&path, &self.headers, body, run).await?;
            let answered = gathered(incoming, framing, GeminiReply::default(), ask).await?;
            Ok(if self.streams { answered } else { counted_whole(answered) })
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "gcp.gemini"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}
