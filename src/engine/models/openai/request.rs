//! Requests of chat completions, field by field as Flowise's library sends them.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall, ToolSpec};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::set;

/// What stands in the body beside the node's own fields.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the request")]
pub(super) struct Style {
    pub(super) streams: bool,
    /// A stream tells how many tokens it took.
    pub(super) counts: bool,
    /// `strict` of tools.
    pub(super) strict: bool,
    /// Models that reason call the system a developer.
    pub(super) developer: bool,
}

/// The body of a request, which is written as it is gone through: a flow's prediction makes one, and values between would be
/// most of what that takes.
pub(super) struct ChatBody<'a> {
    /// The node's own.
    pub(super) fields: &'a Map<String, Value>,
    pub(super) style: Style,
    pub(super) ask: ModelRequest<'a>,
}

impl Serialize for ChatBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { fields, style, ask } = self;
        let mut body = serializer.serialize_map(None)?;
        // The node's words count where nobody has others.
        for (name, value) in fields.iter().filter(|(name, _)| ask.stop.is_empty() || *name != "stop") {
            body.serialize_entry(name, value)?;
        }
        body.serialize_entry("stream", &style.streams)?;
        if style.streams && style.counts {
            body.serialize_entry("stream_options", &StreamOptions { include_usage: true })?;
        }
        if let Some((name, schema)) = ask.schema {
            body.serialize_entry("tools", &[with_strictness(extraction(name, schema), style.strict)])?;
            body.serialize_entry("tool_choice", &json!({ "type": "function", "function": { "name": name } }))?;
        } else if !ask.tools.is_empty() {
            let tools: Value = ask.tools.iter().map(|spec| with_strictness(tool(spec), style.strict)).collect();
            body.serialize_entry("tools", &tools)?;
            if let Some(only) = ask.tools.first().filter(|_| ask.must_call) {
                let choice = json!({ "type": "function", "function": { "name": only.name } });
                body.serialize_entry("tool_choice", &choice)?;
            }
        }
        if !ask.stop.is_empty() {
            body.serialize_entry("stop", ask.stop)?;
        }
        body.serialize_entry("messages", &ChatMessages { messages: ask.messages, developer: style.developer })?;
        body.end()
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

struct ChatMessages<'a> {
    messages: &'a [Message],
    developer: bool,
}

impl Serialize for ChatMessages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.messages.iter().map(|message| ChatMessage { message, developer: self.developer }))
    }
}

struct ChatMessage<'a> {
    message: &'a Message,
    developer: bool,
}

impl Serialize for ChatMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { role, content: said, calls, answers, name } = self.message;
        let role = match role {
            Role::Developer | Role::System if self.developer => "developer",
            Role::Developer | Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("role", role)?;
        match said {
            Content::Text(text) => fields.serialize_entry("content", text)?,
            pieces @ Content::Pieces(_) => fields.serialize_entry("content", &content(pieces))?,
        }
        if let Some(name) = name {
            fields.serialize_entry("name", name)?;
        }
        if !calls.is_empty() {
            fields.serialize_entry("tool_calls", &calls.iter().map(tool_call).collect::<Value>())?;
        }
        if let Some((id, _)) = answers {
            fields.serialize_entry("tool_call_id", id)?;
        }
        fields.end()
    }
}

pub(in crate::engine::models) fn tool_call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
    json!({ "id": call.id, "type": "function", "function": function })
}

pub(in crate::engine::models) fn content(content: &Content) -> Value {
    content.to_json(|piece| match piece {
        ContentPart::Text(text) => json!({ "type": "text", "text": text }),
        ContentPart::Image(url) => json!({ "type": "image_url", "image_url": { "url": url } }),
    })
}

pub(in crate::engine::models) fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": { "name": spec.name, "description": spec.description, "parameters": spec.parameters },
    })
}

/// The one tool that a model is made to call where a schema is asked for.
pub(in crate::engine::models) fn extraction(name: &str, schema: &Value) -> Value {
    let mut function = json!({ "name": name });
    if let Some(description) = schema.get("description") {
        set(&mut function, "description", description.clone());
    }
    set(&mut function, "parameters", schema.clone());
    json!({ "type": "function", "function": function })
}

fn with_strictness(mut tool: Value, strict: bool) -> Value {
    if let Some(function) = tool.get_mut("function").filter(|_| strict) {
        set(function, "strict", true);
    }
    tool
}
