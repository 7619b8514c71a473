//! Cohere's chat, in the first version of its API, which Flowise's library speaks.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::connection::{self, Headers, ModelWithoutCredential, number};
use super::gathering::{
    AnswerFraming, CallPart, CallParts, Gathering, broken_off, empty, gathered, parsed, set, usage_metadata,
};
use super::request::description_of;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, Role, ToolCall, ToolSpec, Usage};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use crate::engine::provider::{ProviderEndpoint, failure_in_stream};
use crate::predict::chat_id;

const ADDRESS: &str = "https://api.cohere.com";
const CREDENTIAL: &str = "cohereApi";
/// What Flowise's library asks for where the node says nothing.
const TEMPERATURE: f64 = 0.3;

/// The node `chatCohere`.
#[derive(Debug)]
pub(crate) struct ChatCohere {
    /// For tests, the input with an address.
    address_input: &'static str,
}

pub(crate) const CHAT_COHERE: ChatCohere = ChatCohere { address_input: "" };

impl NodeKind for ChatCohere {
    fn names(&self) -> &'static [&'static str] {
        &["chatCohere"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = connection::model_name(inputs);
        let key = connection::wanted(inputs, CREDENTIAL, "cohereApiKey");
        let address = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let endpoint = connection::endpoint_at(inputs, "modelName", address.as_deref().unwrap_or(ADDRESS));
        let temperature = inputs.number("temperature").unwrap_or(TEMPERATURE);
        let streams = inputs.streams();
        let (model, endpoint) = (model?, endpoint?);
        if key.is_none() {
            return Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })));
        }
        let headers = connection::bearer(inputs, key.as_ref());
        Some(Part::Model(Arc::new(Cohere { endpoint, headers, model, temperature, streams })))
    }
}

#[derive(Debug)]
struct Cohere {
    endpoint: ProviderEndpoint,
    headers: Headers,
    model: String,
    temperature: f64,
    streams: bool,
}

impl ChatModel for Cohere {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let incoming = self.endpoint.post("/v1/chat", &self.headers, self.body(ask), run).await?;
            let framing = if self.streams { AnswerFraming::Lines } else { AnswerFraming::Whole };
            gathered(incoming, framing, CohereReply::new(self.streams), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn has_token_table(&self) -> bool {
        false
    }
}

impl Cohere {
    fn body(&self, ask: ModelRequest<'_>) -> Value {
        let last = ask.messages.last();
        let turn_begins = ask.messages.iter().rposition(|turn| turn.role == Role::User).unwrap_or_default();
        let results = results(ask.messages.get(turn_begins..).unwrap_or_default());
        // What a model is told of its calls' results stands beside an empty message.
        let message = last.filter(|_| results.is_empty()).map(|last| last.content.plain()).unwrap_or_default();
        let mut body = json!({ "message": message, "chat_history": history(ask.messages) });
        set(&mut body, "tool_results", if results.is_empty() { Value::Null } else { results.into() });
        set(&mut body, "model", self.model.as_str());
        set(&mut body, "temperature", number(self.temperature));
        let tools: Vec<Value> = match ask.schema {
            Some((name, schema)) => {
                vec![tool(name, description_of(schema), schema)]
            }
            None => ask
                .tools
                .iter()
                .map(|ToolSpec { name, description, parameters }| tool(name, description, parameters))
                .collect(),
        };
        if !tools.is_empty() {
            set(&mut body, "tools", tools);
        }
        set(&mut body, "stream", self.streams);
        body
    }
}

/// All but the last turn. Results that follow each other are one, with the text of the last.
fn history(turns: &[Message]) -> Vec<Value> {
    let mut told = Vec::with_capacity(turns.len());
    let mut gathered: Vec<Value> = Vec::new();
    let before = turns.len().saturating_sub(1);
    for (place, turn) in turns.iter().enumerate().take(before) {
        let text = turn.content.plain();
        match turn.role {
            Role::System | Role::Developer => told.push(json!({ "role": "SYSTEM", "message": text })),
            Role::User => told.push(json!({ "role": "USER", "message": text })),
            Role::Assistant => {
                let calls: Value = turn.calls.iter().map(call).collect();
                told.push(json!({ "role": "CHATBOT", "message": text, "tool_calls": calls }));
            }
            Role::Tool => {
                let before = turns.get(..place).unwrap_or_default();
                gathered.extend(result(before, turn));
                if turns.get(place + 1).is_some_and(|next| next.role != Role::Tool) {
                    let results = std::mem::take(&mut gathered);
                    told.push(json!({ "role": "TOOL", "message": text, "tool_results": results }));
                }
            }
        }
    }
    told
}

fn results(turns: &[Message]) -> Vec<Value> {
    let of_tools = turns.iter().filter(|turn| turn.role == Role::Tool);
    of_tools.filter_map(|turn| result(turns, turn)).collect()
}

/// The result of a call of the last assistant that made some.
fn result(before: &[Message], turn: &Message) -> Option<Value> {
    let (id, _) = turn.answers.as_ref()?;
    let caller = before.iter().rev().find(|turn| turn.role == Role::Assistant && !turn.calls.is_empty())?;
    let answered = caller.calls.iter().find(|call| call.id == *id)?;
    Some(json!({ "call": call(answered), "outputs": [{ "output": turn.content.plain() }] }))
}

fn call(call: &ToolCall) -> Value {
    json!({ "name": call.name, "parameters": call.arguments })
}

fn tool(name: &str, description: &str, schema: &Value) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let mut fields = Map::new();
    for (name, described) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut described = described.clone();
        set(&mut described, "required", is_required(name));
        fields.insert(name.clone(), described);
    }
    json!({ "name": name, "description": description, "parameter_definitions": fields })
}

/// A line of a stream, or the whole.
#[derive(Deserialize)]
struct CohereEvent {
    event_type: Option<String>,
    text: Option<String>,
    response: Option<CohereResponse>,
    finish_reason: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct CohereResponse {
    response_id: Option<String>,
    generation_id: Option<String>,
    text: Option<String>,
    finish_reason: Option<String>,
    tool_calls: Option<Vec<CohereCall>>,
    meta: Option<CohereMeta>,
}

#[derive(Deserialize)]
struct CohereCall {
    name: String,
    #[serde(default)]
    parameters: Value,
}

#[derive(Deserialize)]
struct CohereMeta {
    tokens: Option<CohereTokens>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(default)]
struct CohereTokens {
    input_tokens: f64,
    output_tokens: f64,
}

/// What has been told so far.
#[derive(Debug)]
struct CohereReply {
    answered: ModelAnswer,
    calls: CallParts,
    streams: bool,
    is_done: bool,
}

impl CohereReply {
    fn new(streams: bool) -> Self {
        Self { answered: ModelAnswer::default(), calls: CallParts::default(), streams, is_done: false }
    }

    fn finish(&mut self, response: CohereResponse) {
        self.is_done = true;
        let fields = &mut self.answered.response_metadata;
        for (name, value) in [
            ("responseId", &response.response_id),
            ("generationId", &response.generation_id),
            ("finishReason", &response.finish_reason),
        ] {
            fields.extend(value.as_deref().map(|value| (name.to_owned(), value.into())));
        }
        self.answered.id = response.response_id;
        for (place, CohereCall { name, parameters }) in (0..).zip(response.tool_calls.into_iter().flatten()) {
            // Cohere names no calls.
            let id = chat_id::random().unwrap_or_default();
            *self.calls.at(place) = CallPart { id, name, arguments: parameters.to_string(), opaque: None };
        }
        if let Some(tokens) = response.meta.and_then(|meta| meta.tokens) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
            let (input, output) = (tokens.input_tokens as u64, tokens.output_tokens as u64);
            self.answered.usage = Usage { input, output };
            self.answered.usage_metadata = usage_metadata(input, output, input + output);
        }
    }
}

impl Gathering for CohereReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        if !self.streams {
            let response: CohereResponse = parsed(piece)?;
            if response.finish_reason.is_none() && response.text.is_none() {
                return Err(empty());
            }
            self.answered.say(response.text.as_deref().unwrap_or_default(), ask);
            self.finish(response);
            return Ok(());
        }
        let event: CohereEvent = parsed(piece)?;
        match event.event_type.as_deref() {
            Some("text-generation") => self.answered.say(&event.text.unwrap_or_default(), ask),
            Some("stream-end") => {
                let reason = event.finish_reason.unwrap_or_default();
                if reason.starts_with("ERROR") {
                    return Err(failure_in_stream(&json!({ "message": format!("the model ended with {reason}") })));
                }
                ask.tell("");
                self.finish(event.response.ok_or_else(broken_off)?);
            }
            Some(_) => ask.tell(""),
            None => {
                let words = event.message.ok_or_else(broken_off)?;
                return Err(failure_in_stream(&json!({ "message": words })));
            }
        }
        Ok(())
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        if !self.is_done {
            return Err(broken_off());
        }
        if !self.streams {
            self.answered.usage_metadata.retain(|name, _| !name.ends_with("_details"));
        }
        self.answered.calls = self.calls.into_calls();
        Ok(self.answered.structured(ask))
    }
}
