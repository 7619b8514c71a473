//! Mistral's chat completions: as OpenAI's, but for what stands around calls of tools.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered, set};
use super::openai::answer::Completion;
use super::openai::request::{content, extraction, tool, tool_call};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;

const ADDRESS: &str = "https://api.mistral.ai";
const CREDENTIAL: &str = "mistralAIApi";

/// What the library that Flowise uses sends where nothing is set.
const TEMPERATURE: f64 = 0.7;
const TOP_P: f64 = 1.0;

/// The node `chatMistralAI`.
#[derive(Debug)]
pub(crate) struct ChatMistral;

impl NodeKind for ChatMistral {
    fn names(&self) -> &'static [&'static str] {
        &["chatMistralAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let key = connection::wanted(inputs, CREDENTIAL, "mistralAIAPIKey");
        // Flowise's node forgets this address, and `safeMode` below.
        let address = inputs.text("overrideEndpoint").unwrap_or_else(|| ADDRESS.to_owned());
        let address = address.trim_end_matches('/').trim_end_matches("/v1");
        let endpoint = connection::endpoint_at(inputs, "overrideEndpoint", address);
        let streams = inputs.streams();
        let model = model?;
        let fields = fields(inputs, &model);
        let Some(key) = key else {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        };
        let headers = connection::bearer(inputs, Some(&key));
        Some(Part::Model(Arc::new(Mistral { endpoint: endpoint?, headers, model, fields, streams })))
    }
}

/// What goes into each request beside the messages.
fn fields(inputs: &mut Inputs<'_, '_, '_>, model: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), model.into());
    fields.insert("temperature".to_owned(), number(inputs.number("temperature").unwrap_or(TEMPERATURE)));
    fields.insert("top_p".to_owned(), number(inputs.number("topP").unwrap_or(TOP_P)));
    if let Some(most) = inputs.integer("maxOutputTokens").filter(|most| *most > 0) {
        fields.insert("max_tokens".to_owned(), most.into());
    }
    if let Some(seed) = inputs.integer("randomSeed") {
        fields.insert("random_seed".to_owned(), seed.into());
    }
    fields.insert("safe_prompt".to_owned(), inputs.flag("safeMode").unwrap_or(false).into());
    fields
}

#[derive(Debug)]
struct Mistral {
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    fields: Map<String, Value>,
    streams: bool,
}

impl ChatModel for Mistral {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let body = body(&self.fields, self.streams, ask);
            let incoming = self.endpoint.post("/v1/chat/completions", &self.headers, body, run).await?;
            let framing = if self.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            gathered(incoming, framing, Completion::new("mistralai", self.streams), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "mistral_ai"
    }
}

fn body(fields: &Map<String, Value>, streams: bool, ask: ModelRequest<'_>) -> Value {
    let mut body = fields.clone();
    body.insert("stream".to_owned(), streams.into());
    if let Some((name, schema)) = ask.schema {
        body.insert("tools".to_owned(), json!([extraction(name, schema)]));
        body.insert("tool_choice".to_owned(), "any".into());
    } else if !ask.tools.is_empty() {
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
        if ask.must_call {
            body.insert("tool_choice".to_owned(), "any".into());
        }
    }
    let answered: Vec<&str> =
        ask.messages.iter().filter_map(|turn| turn.answers.as_ref()).map(|(id, _)| id.as_str()).collect();
    body.insert("messages".to_owned(), ask.messages.iter().filter_map(|turn| message(turn, &answered)).collect());
    Value::Object(body)
}

/// `None`: nothing is left of it. The provider takes no call without its result, and no text beside calls.
fn message(turn: &Message, answered: &[&str]) -> Option<Value> {
    let text = content(&turn.content);
    Some(match turn.role {
        Role::System | Role::Developer => json!({ "role": "system", "content": text }),
        Role::User => json!({ "role": "user", "content": text }),
        Role::Tool => {
            let id = turn.answers.as_ref().map_or("", |(id, _)| id);
            let mut fields = json!({ "role": "tool", "content": text, "tool_call_id": nine(id) });
            if let Some(name) = &turn.name {
                set(&mut fields, "name", name.as_str());
            }
            fields
        }
        Role::Assistant => {
            let calls: Vec<Value> = turn
                .calls
                .iter()
                .filter(|call| answered.contains(&call.id.as_str()))
                .map(|call| {
                    let mut fields = tool_call(call);
                    set(&mut fields, "id", nine(&call.id));
                    set(&mut fields, "index", 0);
                    fields
                })
                .collect();
            if !calls.is_empty() {
                return Some(json!({ "role": "assistant", "tool_calls": calls, "prefix": false }));
            }
            if !turn.calls.is_empty() && turn.content.plain().trim().is_empty() {
                return None;
            }
            json!({ "role": "assistant", "content": text, "prefix": false })
        }
    })
}

/// Names of calls are nine letters and digits; others are made such, the way that Flowise's library does.
pub(super) fn nine(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if id.len() == 9 && id.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let mut rest =
        id.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit))).unsigned_abs();
    let mut digits = Vec::with_capacity(9);
    while rest > 0 {
        digits.extend(DIGITS.get(rest as usize % DIGITS.len()).map(|digit| char::from(*digit)));
        rest /= 62;
    }
    digits.resize(9, '0');
    digits.into_iter().rev().collect()
}
