//! Answers: one message, or the events that it is made of.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{CallPart, CallParts, Gathering, broken_off, parsed, picked, usage_metadata};
use crate::engine::provider::failure_in_stream;

#[derive(Deserialize)]
struct AnthropicEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: u64,
    message: Option<Value>,
    content_block: Option<Block>,
    delta: Option<AnthropicDelta>,
    usage: Option<Value>,
    error: Option<Value>,
    /// Of a message that comes in one piece.
    content: Option<Vec<Block>>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: String,
    data: Option<Value>,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
struct AnthropicDelta {
    text: Option<String>,
    partial_json: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    stop_reason: Option<Value>,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(in crate::engine::models) struct AnthropicReply {
    answered: ModelAnswer,
    calls: CallParts,
    /// Blocks of thoughts, which the provider wants back with the results of calls.
    thoughts: BTreeMap<u64, Value>,
    counts: AnthropicUsage,
    stop_reason: Option<Value>,
    is_done: bool,
}

#[derive(Debug, Default)]
struct AnthropicUsage {
    input: u64,
    output: u64,
    cache_creation: u64,
    cache_read: u64,
}

impl Gathering for AnthropicReply {
    fn take(&mut self, piece: &str, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let event: AnthropicEvent = parsed(piece)?;
        if let Some(error) = event.error {
            return Err(failure_in_stream(&error));
        }
        match event.kind.as_str() {
            "message_start" => {
                self.begin(&event.message.unwrap_or_default());
                ask.tell("");
            }
            "content_block_start" => {
                if let Some(block) = event.content_block {
                    self.open(event.index, block, ask);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.grow(event.index, delta, ask);
                }
            }
            "message_delta" => {
                self.stop_reason = event.delta.and_then(|delta| delta.stop_reason);
                if let Some(usage) = event.usage {
                    self.count(&usage);
                }
                ask.tell("");
            }
            "message_stop" => self.is_done = true,
            "message" => {
                let message: Value = parsed(piece)?;
                self.begin(&message);
                for (index, block) in (0..).zip(event.content.into_iter().flatten()) {
                    self.open(index, block, ask);
                }
                self.stop_reason = message.get("stop_reason").cloned();
                self.is_done = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        if !self.is_done {
            return Err(broken_off());
        }
        self.answered.thinks_in_pieces = true;
        let AnthropicUsage { input, output, cache_creation, cache_read } = self.counts;
        let input = input + cache_creation + cache_read;
        self.answered.usage = Usage { input, output };
        self.answered.usage_metadata = usage_metadata(input, output, input + output);
        let details = json!({ "cache_creation": cache_creation, "cache_read": cache_read });
        self.answered.usage_metadata.insert("input_token_details".to_owned(), details);
        if let Some(reason) = self.stop_reason {
            self.answered.response_metadata.insert("stop_reason".to_owned(), reason);
        }
        self.answered.calls = self.calls.into_calls();
        let thoughts: Vec<Value> = self.thoughts.into_values().collect();
        if let Some(first) = self.answered.calls.first_mut().filter(|_| !thoughts.is_empty()) {
            first.opaque = Some(thoughts.into());
        }
        Ok(self.answered.structured(ask))
    }
}

impl AnthropicReply {
    fn begin(&mut self, message: &Value) {
        self.answered.id = message.get("id").and_then(Value::as_str).map(str::to_owned);
        self.answered.response_metadata =
            picked(Some(message), &[("model", "model_name"), ("id", "id"), ("usage", "usage")]);
        self.answered.response_metadata.insert("model_provider".to_owned(), "anthropic".into());
        if let Some(usage) = message.get("usage") {
            self.count(usage);
        }
    }

    /// Counts are of the whole so far, and what is left out stays as it was.
    fn count(&mut self, usage: &Value) {
        for (name, count) in [
            ("input_tokens", &mut self.counts.input),
            ("output_tokens", &mut self.counts.output),
            ("cache_creation_input_tokens", &mut self.counts.cache_creation),
            ("cache_read_input_tokens", &mut self.counts.cache_read),
        ] {
            if let Some(new) = usage.get(name).and_then(Value::as_u64) {
                *count = new;
            }
        }
    }

    fn open(&mut self, index: u64, block: Block, ask: ModelRequest<'_>) {
        match block.kind.as_str() {
            "text" => self.answered.say(&block.text, ask),
            "tool_use" => {
                let whole =
                    Some(block.input.to_string()).filter(|_| block.input.as_object().is_some_and(|it| !it.is_empty()));
                let arguments = whole.unwrap_or_default();
                *self.calls.at(index) = CallPart { id: block.id, name: block.name, arguments, opaque: None };
                ask.tell("");
            }
            "thinking" => {
                self.answered.think(&block.thinking, ask);
                let thought = json!({ "type": "thinking", "thinking": block.thinking, "signature": block.signature });
                self.thoughts.insert(index, thought);
            }
            "redacted_thinking" => {
                self.thoughts.insert(index, json!({ "type": "redacted_thinking", "data": block.data }));
            }
            _ => {}
        }
    }

    fn grow(&mut self, index: u64, delta: AnthropicDelta, ask: ModelRequest<'_>) {
        if let Some(text) = delta.text {
            self.answered.say(&text, ask);
        }
        if let Some(json) = delta.partial_json {
            self.calls.at(index).arguments.push_str(&json);
            ask.tell("");
        }
        for (name, more) in [("thinking", &delta.thinking), ("signature", &delta.signature)] {
            if let Some(more) = more
                && let Some(Value::String(held)) = self.thoughts.get_mut(&index).and_then(|block| block.get_mut(name))
            {
                held.push_str(more);
            }
        }
        if let Some(thought) = delta.thinking {
            self.answered.think(&thought, ask);
        }
    }
}
