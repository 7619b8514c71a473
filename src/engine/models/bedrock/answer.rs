//! Answers: one message, or the events that it is made of.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Usage;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::models::gathering::{CallPart, CallParts, broken_off, empty, parsed, picked, usage_metadata};
use crate::engine::provider::{EventFrame, Incoming, failure_in_stream, unreadable};
use crate::wire::json;

/// The largest answer that is gathered from pieces.
const LARGEST: usize = 16 << 20;

/// Reads an answer to its end.
pub(super) async fn gathered(incoming: Incoming, streams: bool, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
    let secrets = incoming.secrets().to_vec();
    let mut reply = BedrockReply::default();
    if !streams {
        let answer = incoming.whole().await?;
        let message = parsed(&json::sound(&answer)).map_err(|_| unreadable(&answer))?;
        reply.whole(message, ask)?;
        return reply.done(ask);
    }
    let mut frames = incoming.frames();
    let mut room = LARGEST;
    while let Some(frame) = frames.next().await? {
        room = room.checked_sub(frame.payload.len()).ok_or_else(broken_off)?;
        reply.take(&frame, ask).map_err(|failure| failure.without(&secrets))?;
    }
    reply.done(ask)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BedrockEvent {
    #[serde(default)]
    content_block_index: u64,
    start: Option<BlockStart>,
    delta: Option<BlockDelta>,
    role: Option<Value>,
    stop_reason: Option<Value>,
    usage: Option<BedrockUsage>,
    message: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    tool_use: Option<ToolUse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    text: Option<String>,
    tool_use: Option<ToolUse>,
    reasoning_content: Option<BedrockThought>,
}

#[derive(Deserialize)]
struct ToolUse {
    #[serde(default, rename = "toolUseId")]
    id: String,
    #[serde(default)]
    name: String,
    /// JSON in pieces, or whole.
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BedrockThought {
    text: Option<String>,
    reasoning_text: Option<BedrockThoughtText>,
}

#[derive(Deserialize)]
struct BedrockThoughtText {
    #[serde(default)]
    text: String,
}

/// In tokens.
#[derive(Deserialize, Clone, Copy)]
struct BedrockUsage {
    #[serde(default, rename = "inputTokens")]
    input: u64,
    #[serde(default, rename = "outputTokens")]
    output: u64,
    #[serde(default, rename = "totalTokens")]
    total: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BedrockMessage {
    output: Option<BedrockOutput>,
    stop_reason: Option<Value>,
    usage: Option<BedrockUsage>,
    metrics: Option<Value>,
}

#[derive(Deserialize)]
struct BedrockOutput {
    message: Option<BedrockContent>,
}

#[derive(Deserialize)]
struct BedrockContent {
    #[serde(default)]
    content: Vec<BlockDelta>,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct BedrockReply {
    answered: ModelAnswer,
    calls: CallParts,
    is_done: bool,
    is_whole: bool,
}

impl BedrockReply {
    pub(super) fn take(&mut self, frame: &EventFrame, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let event: BedrockEvent = parsed(&json::sound(&frame.payload))?;
        if frame.is_failure {
            let status = match frame.event.as_str() {
                "throttlingException" => 429,
                "validationException" => 400,
                "serviceUnavailableException" => 503,
                _ => 500,
            };
            let words = event.message.as_ref().and_then(Value::as_str).unwrap_or(&frame.event);
            return Err(failure_in_stream(&json!({ "code": status, "message": words })));
        }
        match frame.event.as_str() {
            "contentBlockStart" => {
                if let Some(call) = event.start.and_then(|start| start.tool_use) {
                    self.open(event.content_block_index, call);
                }
                ask.tell("");
            }
            "contentBlockDelta" => {
                if let Some(delta) = event.delta {
                    self.grow(event.content_block_index, delta, ask);
                }
            }
            "messageStart" => {
                self.note("messageStart", json!({ "role": event.role }));
                ask.tell("");
            }
            "messageStop" => {
                self.is_done = true;
                self.note("messageStop", json!({ "stopReason": event.stop_reason }));
                ask.tell("");
            }
            "metadata" => {
                if let Some(usage) = event.usage {
                    self.count(usage);
                }
                let told: Value = parsed(&json::sound(&frame.payload))?;
                self.note("metadata", picked(Some(&told), &[("usage", "usage"), ("metrics", "metrics")]).into());
                ask.tell("");
            }
            _ => ask.tell(""),
        }
        Ok(())
    }

    fn whole(&mut self, message: BedrockMessage, ask: ModelRequest<'_>) -> Result<(), Failure> {
        let content = message.output.and_then(|output| output.message).ok_or_else(empty)?.content;
        for (index, block) in (0..).zip(content) {
            self.grow(index, block, ask);
        }
        (self.is_done, self.is_whole) = (true, true);
        if let Some(usage) = message.usage {
            self.count(usage);
            let BedrockUsage { input, output, total } = usage;
            let told = json!({ "inputTokens": input, "outputTokens": output, "totalTokens": total });
            self.note("usage", told);
        }
        for (name, value) in [("stopReason", message.stop_reason), ("metrics", message.metrics)] {
            if let Some(value) = value {
                self.note(name, value);
            }
        }
        Ok(())
    }

    fn note(&mut self, name: &str, value: Value) {
        self.answered.response_metadata.insert(name.to_owned(), value);
    }

    fn count(&mut self, usage: BedrockUsage) {
        let BedrockUsage { input, output, total } = usage;
        self.answered.usage = Usage { input, output };
        self.answered.usage_metadata = usage_metadata(input, output, total);
    }

    fn open(&mut self, index: u64, call: ToolUse) {
        let arguments = if call.input.is_object() { call.input.to_string() } else { String::new() };
        *self.calls.at(index) = CallPart { id: call.id, name: call.name, arguments, opaque: None };
    }

    fn grow(&mut self, index: u64, delta: BlockDelta, ask: ModelRequest<'_>) {
        if let Some(reasoning) = delta.reasoning_content {
            let whole = reasoning.reasoning_text.map(|whole| whole.text);
            self.answered.think(&reasoning.text.or(whole).unwrap_or_default(), ask);
        }
        if let Some(text) = delta.text {
            self.answered.say(&text, ask);
        }
        match delta.tool_use {
            Some(ToolUse { input: Value::String(piece), .. }) => {
                self.calls.at(index).arguments.push_str(&piece);
                ask.tell("");
            }
            Some(call) => self.open(index, call),
            None => {}
        }
    }

    pub(super) fn done(mut self, ask: ModelRequest<'_>) -> Result<ModelAnswer, Failure> {
        if !self.is_done {
            return Err(broken_off());
        }
        if self.is_whole {
            self.answered.usage_metadata.retain(|name, _| !name.ends_with("_details"));
        }
        self.answered.response_metadata.insert("model_provider".to_owned(), "bedrock-converse".into());
        self.answered.calls = self.calls.into_calls();
        Ok(self.answered.structured(ask))
    }
}
