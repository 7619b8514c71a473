//! Requests as Flowise's library sends them.

use std::convert::Infallible;

use serde_json::{Map, Value, json};

use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall, ToolSpec};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::request::{description_of, joined_results};

pub(in crate::engine::models) fn body(fields: &Map<String, Value>, streams: bool, ask: ModelRequest<'_>) -> Value {
    let mut body = fields.clone();
    body.insert("stream".to_owned(), streams.into());
    if let Some((name, schema)) = ask.schema {
        let tool = json!({ "name": name, "description": description_of(schema), "input_schema": schema });
        body.insert("tools".to_owned(), json!([tool]));
        // A model that thinks cannot be made to call.
        let thinking = body.get("thinking").and_then(|thinking| thinking.get("type")?.as_str());
        if thinking.is_none_or(|thinking| thinking == "disabled") {
            body.insert("tool_choice".to_owned(), json!({ "type": "tool", "name": name }));
        }
    } else if !ask.tools.is_empty() {
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
    }
    if !ask.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(ask.stop));
    }
    // There is one system, and it stands apart: further ones, which Flowise fails on, join it.
    let systems: Vec<String> =
        ask.messages.iter().filter(|turn| turn.role.instructs()).map(|turn| turn.content.plain()).collect();
    if !systems.is_empty() {
        body.insert("system".to_owned(), systems.join("\n\n").into());
    }
    body.insert("messages".to_owned(), messages(ask.messages));
    Value::Object(body)
}

pub(in crate::engine::models) fn tool(spec: &ToolSpec) -> Value {
    json!({ "name": spec.name, "description": spec.description, "input_schema": spec.parameters })
}

/// All but the system; results of tools that follow each other are one turn.
pub(in crate::engine::models) fn messages(turns: &[Message]) -> Value {
    let Ok(messages) = joined_results(turns, |turn| Ok::<_, Infallible>(message(turn)), result);
    messages.into()
}

fn message(turn: &Message) -> Value {
    match turn.role {
        Role::Tool => json!({ "role": "user", "content": [result(turn)] }),
        Role::Assistant if !turn.calls.is_empty() => {
            let thoughts = turn.calls.iter().filter_map(|call| call.opaque.as_ref()?.as_array()).flatten().cloned();
            let text = Some(turn.content.plain()).filter(|text| !text.is_empty());
            let text = text.map(|text| json!({ "type": "text", "text": text }));
            let content: Vec<Value> = thoughts.chain(text).chain(turn.calls.iter().map(call)).collect();
            json!({ "role": "assistant", "content": content })
        }
        Role::Assistant => json!({ "role": "assistant", "content": content(&turn.content) }),
        Role::User | Role::System | Role::Developer => json!({ "role": "user", "content": content(&turn.content) }),
    }
}

fn call(call: &ToolCall) -> Value {
    json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments })
}

fn result(turn: &Message) -> Value {
    let id = turn.answers.as_ref().map_or("", |(id, _)| id);
    json!({ "type": "tool_result", "content": turn.content.plain(), "tool_use_id": id })
}

fn content(content: &Content) -> Value {
    content.to_json(|piece| match piece {
        ContentPart::Text(text) => json!({ "type": "text", "text": text }),
        ContentPart::Image(url) => json!({ "type": "image", "source": source(url) }),
    })
}

/// An image in a data URI, or at an address.
fn source(url: &str) -> Value {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((kind, data)) => json!({ "type": "base64", "media_type": kind, "data": data }),
        None => json!({ "type": "url", "url": url }),
    }
}
