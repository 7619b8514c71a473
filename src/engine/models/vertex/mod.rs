//! Models at Google's Vertex AI: Gemini, and Anthropic's.

pub(crate) mod access;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::anthropic::{self, AnthropicReply, takes_sampling};
use super::completions::prompt_of;
use super::connection::{self, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered};
use super::gemini::{self, GeminiDialect, GeminiReply};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use access::{CREDENTIAL, GoogleAccess, REGION, stands_in_path};

/// Where Anthropic's models are, if nothing is said, and how many tokens they may answer.
const REGION_OF_CLAUDE: &str = "us-east5";
const MOST_OF_CLAUDE: u64 = 8192;
const VERSION_OF_CLAUDE: &str = "vertex-2023-10-16";

/// The nodes `chatGoogleVertexAI` and `googlevertexai`.
#[derive(Debug)]
pub(crate) struct VertexKind {
    names: &'static [&'static str],
    /// Where nothing is set; `None`: the node must say.
    model: Option<&'static str>,
    /// Whether it goes on with a text, instead of taking turns.
    is_text: bool,
    /// For tests, the input with an address.
    address_input: &'static str,
}

pub(crate) const CHAT_VERTEX: VertexKind =
    VertexKind { names: &["chatGoogleVertexAI"], model: None, is_text: false, address_input: "" };

pub(crate) const VERTEX: VertexKind =
    VertexKind { names: &["googlevertexai"], model: Some("text-bison"), is_text: true, address_input: "" };

impl NodeKind for VertexKind {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let custom = inputs.text("customModelName").map(|model| model.trim().to_owned());
        let named = inputs.text("modelName").map(|model| model.trim().to_owned());
        let model = custom.or(named).or_else(|| self.model.map(str::to_owned));
        if !model.as_deref().is_some_and(stands_in_path) {
            inputs.refuse("modelName", "a model is required, which can stand in an address");
        }
        let model = model.unwrap_or_default();
        let is_claude = model.starts_with("claude");
        let region =
            inputs.text("region").unwrap_or_else(|| if is_claude { REGION_OF_CLAUDE } else { REGION }.to_owned());
        let here = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let endpoint = endpoint(inputs, &region, here.as_deref());
        let access = GoogleAccess::read(inputs);
        let streams = self.is_text || inputs.streams();
        let sees_images = inputs.flag("allowImageUploads").unwrap_or(false);
        // Flowise gives these to its library, which knows them by other names and forgets them.
        inputs.ignore(&["thinkingBudget", "thinkingLevel"]);
        let fields = if is_claude { of_claude(inputs, &model) } else { of_gemini(inputs) };
        let Some(access) = access? else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        };
        let publisher = if is_claude { "anthropic" } else { "google" };
        let place =
            format!("/v1/projects/{}/locations/{region}/publishers/{publisher}/models/{model}", access.project());
        let (endpoint, is_text) = (endpoint?, self.is_text);
        Some(Part::Model(Arc::new(VertexModel {
            endpoint,
            access,
            place,
            model,
            fields,
            is_claude,
            is_text,
            streams,
            sees_images,
        })))
    }
}

/// Where a region's models are asked.
pub(crate) fn endpoint(
    inputs: &mut Inputs<'_, '_, '_>,
    region: &str,
    address: Option<&str>,
) -> Option<ProviderEndpoint> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if region.is_empty() || !region.chars().all(fits) {
        inputs.refuse("region", "expected a region such as us-central1");
        return None;
    }
    let own = match region {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    };
    connection::endpoint_at(inputs, "region", address.unwrap_or(&own))
}

/// What goes into each request beside the messages.
fn of_gemini(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let mut generation = Map::new();
    for name in ["temperature", "topK", "topP"] {
        generation.extend(inputs.number(name).map(|value| (name.to_owned(), number(value))));
    }
    let most = inputs.integer("maxOutputTokens").filter(|most| *most > 0);
    generation.extend(most.map(|most| ("maxOutputTokens".to_owned(), most.into())));
    generation.insert("stopSequences".to_owned(), json!([]));
    Map::from_iter([("generationConfig".to_owned(), generation.into())])
}

fn of_claude(inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("anthropic_version".to_owned(), VERSION_OF_CLAUDE.into());
    let most = inputs.integer("maxOutputTokens").filter(|most| *most > 0).unwrap_or(MOST_OF_CLAUDE);
    fields.insert("max_tokens".to_owned(), most.into());
    for (input, name) in [("temperature", "temperature"), ("topK", "top_k"), ("topP", "top_p")] {
        let value = inputs.number(input).filter(|_| takes_sampling(model));
        fields.extend(value.map(|value| (name.to_owned(), number(value))));
    }
    fields.insert("stop_sequences".to_owned(), json!([]));
    fields
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each changes the request in its own way")]
struct VertexModel {
    endpoint: ProviderEndpoint,
    access: GoogleAccess,
    /// The path up to the model's name.
    place: String,
    model: String,
    fields: Map<String, Value>,
    is_claude: bool,
    is_text: bool,
    streams: bool,
    sees_images: bool,
}

impl ChatModel for VertexModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let as_text = self.is_text.then(|| [Message::user(prompt_of(ask.messages))]);
            let ask = as_text.as_ref().map_or(ask, |turn| ModelRequest { messages: turn, ..ask });
            let headers = self.access.headers(run).await?;
            let framing = if self.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            if self.is_claude {
                let body = anthropic::body(&self.fields, self.streams, ask);
                let verb = if self.streams { "streamRawPredict" } else { "rawPredict" };
                let incoming = self.endpoint.post(&format!("{}:{verb}", self.place), &headers, body, run).await?;
                return gathered(incoming, framing, AnthropicReply::default(), ask).await;
            }
            let body = gemini::body(&self.fields, &self.model, GeminiDialect::Vertex, ask)?;
            let verb = if self.streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let incoming = self.endpoint.post(&format!("{}:{verb}", self.place), &headers, body, run).await?;
            Ok(as_vertex(gathered(incoming, framing, GeminiReply::default(), ask).await?))
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "gcp.vertex_ai"
    }

    fn sees_images(&self) -> bool {
        self.sees_images
    }
}

/// As Flowise's other library for Google names what it was told.
fn as_vertex(mut answered: ModelAnswer) -> ModelAnswer {
    let fields = &mut answered.response_metadata;
    let finish = fields.shift_remove("finishReason").unwrap_or_default();
    *fields = Map::from_iter([
        ("finish_reason".to_owned(), finish),
        ("usage_metadata".to_owned(), answered.usage_metadata.clone().into()),
        ("model_provider".to_owned(), "google-vertexai".into()),
    ]);
    answered
}
