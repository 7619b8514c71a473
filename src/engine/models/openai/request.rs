//! Requests of chat completions, field by field as Flowise's library sends them.

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

pub(super) fn body(fields: &Map<String, Value>, style: Style, ask: ModelRequest<'_>) -> Value {
    let mut body = fields.clone();
    body.insert("stream".to_owned(), style.streams.into());
    if style.streams && style.counts {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    if let Some((name, schema)) = ask.schema {
        body.insert("tools".to_owned(), json!([with_strictness(extraction(name, schema), style.strict)]));
        body.insert("tool_choice".to_owned(), json!({ "type": "function", "function": { "name": name } }));
    } else if !ask.tools.is_empty() {
        let tools = ask.tools.iter().map(|spec| with_strictness(tool(spec), style.strict)).collect();
        body.insert("tools".to_owned(), tools);
        if let Some(only) = ask.tools.first().filter(|_| ask.must_call) {
            let choice = json!({ "type": "function", "function": { "name": only.name } });
            body.insert("tool_choice".to_owned(), choice);
        }
    }
    if !ask.stop.is_empty() {
        body.insert("stop".to_owned(), json!(ask.stop));
    }
    body.insert("messages".to_owned(), ask.messages.iter().map(|turn| message(turn, style.developer)).collect());
    Value::Object(body)
}

fn message(message: &Message, developer: bool) -> Value {
    let role = match message.role {
        Role::Developer | Role::System if developer => "developer",
        Role::Developer | Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut fields = json!({ "role": role, "content": content(&message.content) });
    if let Some(name) = &message.name {
        set(&mut fields, "name", name.as_str());
    }
    if !message.calls.is_empty() {
        set(&mut fields, "tool_calls", message.calls.iter().map(tool_call).collect::<Value>());
    }
    if let Some((id, _)) = &message.answers {
        set(&mut fields, "tool_call_id", id.as_str());
    }
    fields
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
