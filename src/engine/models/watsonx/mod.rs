//! IBM's watsonx.ai: chats as `OpenAI` has them, and texts that are gone on with.

pub(crate) mod access;
mod answer;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::completions::prompt_of;
use super::connection::{self, ModelWithoutCredential, number};
use super::gathering::{AnswerFraming, gathered, set};
use super::mistral::nine;
use super::openai::answer::Completion;
use super::openai::request::{content, extraction, tool, tool_call};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::run::Run;
use access::{CREDENTIAL, WatsonxAccess};
use answer::WatsonxText;

const MODEL: &str = "ibm/granite-13b-instruct-v2";

/// The nodes `chatIBMWatsonx` and `ibmWatsonx`.
#[derive(Debug)]
pub(crate) struct WatsonxKind {
    names: &'static [&'static str],
    /// Whether it goes on with a text, instead of taking turns.
    is_text: bool,
    /// For tests, the input with the address of who gives tokens.
    tokens_input: &'static str,
}

pub(crate) const CHAT_WATSONX: WatsonxKind =
    WatsonxKind { names: &["chatIBMWatsonx"], is_text: false, tokens_input: "" };

pub(crate) const WATSONX: WatsonxKind = WatsonxKind { names: &["ibmWatsonx"], is_text: true, tokens_input: "" };

impl NodeKind for WatsonxKind {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let is_text = self.is_text;
        let model = if is_text {
            Some(inputs.text("modelId").map_or_else(|| MODEL.to_owned(), |model| model.trim().to_owned()))
        } else {
            connection::model_name(inputs)
        };
        let streams = inputs.streams();
        let fields = if is_text { of_text(inputs) } else { of_chat(inputs) };
        let tokens = if self.tokens_input.is_empty() { None } else { inputs.text(self.tokens_input) };
        let problems = inputs.compiler.problems.len();
        let access = WatsonxAccess::read(inputs, tokens.as_deref());
        let model = model?;
        match access {
            Some(access) => Some(Part::Model(Arc::new(WatsonxModel { access, model, fields, streams, is_text }))),
            // It is missing, and not wrong.
            None if inputs.compiler.problems.len() == problems => {
                Some(Part::Model(Arc::new(ModelWithoutCredential { model, credential: CREDENTIAL })))
            }
            None => None,
        }
    }
}

/// What goes into each request of a chat beside the messages.
fn of_chat(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (input, field) in [
        ("frequencyPenalty", "frequency_penalty"),
        ("maxTokens", "max_tokens"),
        ("presencePenalty", "presence_penalty"),
    ] {
        let value = inputs.number(input).filter(|value| *value != 0.0);
        fields.extend(value.map(|value| (field.to_owned(), number(value.trunc()))));
    }
    if inputs.flag("logprobs") == Some(true) {
        fields.insert("logprobs".to_owned(), true.into());
    }
    // Flowise's node takes it for the most tokens.
    inputs.ignore(&["n"]);
    for (input, field) in [("temperature", "temperature"), ("topP", "top_p")] {
        let value = inputs.number(input).filter(|value| input == "temperature" || *value != 0.0);
        fields.extend(value.map(|value| (field.to_owned(), number(value))));
    }
    fields
}

/// The parameters of a text that is gone on with.
fn of_text(inputs: &mut Inputs<'_, '_, '_>) -> Map<String, Value> {
    let mut parameters = Map::new();
    if let Some(words) = inputs.text("stopSequence") {
        parameters.insert("stop_sequences".to_owned(), words.split(", ").collect());
    }
    let decoding = inputs.text("decodingMethod");
    let samples = decoding.as_deref() == Some("sample");
    parameters.extend(decoding.map(|decoding| ("decoding_method".to_owned(), decoding.into())));
    // Without samples these mean nothing, and Flowise leaves them out.
    for (input, field, is_of_samples) in [
        ("temperature", "temperature", true),
        ("topP", "top_p", true),
        ("topK", "top_k", true),
        ("maxNewTokens", "max_new_tokens", false),
        ("minNewTokens", "min_new_tokens", false),
        ("randomSeed", "random_seed", false),
        ("repetitionPenalty", "repetition_penalty", false),
    ] {
        let value = inputs.number(input).filter(|_| samples || !is_of_samples);
        parameters.extend(value.map(|value| (field.to_owned(), number(value))));
    }
    if inputs.flag("includeStopSequence") == Some(true) {
        parameters.insert("include_stop_sequence".to_owned(), true.into());
    }
    parameters
}

#[derive(Debug)]
struct WatsonxModel {
    access: WatsonxAccess,
    model: String,
    fields: Map<String, Value>,
    streams: bool,
    /// Whether it goes on with a text, instead of taking turns.
    is_text: bool,
}

impl WatsonxModel {
    fn body(&self, ask: ModelRequest<'_>) -> Value {
        let project = self.access.project.as_str();
        if self.is_text {
            let mut parameters = self.fields.clone();
            if !ask.stop.is_empty() {
                parameters.insert("stop_sequences".to_owned(), json!(ask.stop));
            }
            let input = prompt_of(ask.messages);
            return json!({ "input": input, "model_id": self.model, "project_id": project, "parameters": parameters });
        }
        let messages: Value = ask.messages.iter().map(|turn| self.turn(turn)).collect();
        let mut body = json!({ "model_id": self.model, "messages": messages, "project_id": project });
        if let Some((name, schema)) = ask.schema {
            set(&mut body, "tools", json!([extraction(name, schema)]));
            set(&mut body, "tool_choice", json!({ "type": "function", "function": { "name": name } }));
        } else if !ask.tools.is_empty() {
            set(&mut body, "tools", ask.tools.iter().map(tool).collect::<Value>());
            if let Some(only) = ask.tools.first().filter(|_| ask.must_call) {
                set(&mut body, "tool_choice", json!({ "type": "function", "function": { "name": only.name } }));
            }
        }
        if !ask.stop.is_empty() {
            set(&mut body, "stop", json!(ask.stop));
        }
        for (name, value) in &self.fields {
            set(&mut body, name, value.clone());
        }
        body
    }

    fn turn(&self, turn: &Message) -> Value {
        // Mistral's models take ids of nine letters.
        let id_of = |id: &str| if self.model.starts_with("mistralai") { nine(id) } else { id.to_owned() };
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut fields = json!({ "role": role, "content": content(&turn.content) });
        if !turn.calls.is_empty() {
            let calls = turn.calls.iter().map(|call| {
                let mut told = tool_call(call);
                set(&mut told, "id", id_of(&call.id));
                told
            });
            set(&mut fields, "tool_calls", calls.collect::<Value>());
        }
        if let Some((id, name)) = &turn.answers {
            set(&mut fields, "name", name.as_str());
            set(&mut fields, "tool_call_id", id_of(id));
        }
        fields
    }
}

impl ChatModel for WatsonxModel {
    fn chat<'a>(&'a self, ask: ModelRequest<'a>, run: &'a Run<'a>) -> Task<'a, ModelAnswer> {
        Box::pin(async move {
            let headers = self.access.headers(run).await?;
            let kind = if self.is_text { "generation" } else { "chat" };
            let ending = if self.streams { "_stream" } else { "" };
            let path = format!("/ml/v1/text/{kind}{ending}{}", self.access.query);
            let incoming = self.access.endpoint.post(&path, &headers, self.body(ask), run).await?;
            let framing = if self.streams { AnswerFraming::Events } else { AnswerFraming::Whole };
            if self.is_text {
                return gathered(incoming, framing, WatsonxText::default(), ask).await;
            }
            gathered(incoming, framing, Completion::new("watsonx", self.streams), ask).await
        })
    }

    fn name(&self) -> &str {
        &self.model
    }

    fn provider(&self) -> &'static str {
        "ibm.watsonx.ai"
    }
}
