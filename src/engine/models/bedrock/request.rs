//! Requests as Flowise's library sends them.

use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::request::{description_of, inline_image, joined_results, system_parts};

/// # Errors
/// An image cannot be sent.
pub(super) fn body(
    settings: &Map<String, Value>,
    model: &str,
    takes_stop: bool,
    ask: ModelRequest<'_>,
) -> Result<Value, Failure> {
    let mut body = Map::new();
    body.insert("messages".to_owned(), joined_results(ask.messages, message, result)?.into());
    let systems = system_parts(ask.messages);
    if !systems.is_empty() {
        body.insert("system".to_owned(), systems.into());
    }
    let mut settings = settings.clone();
    if takes_stop && !ask.stop.is_empty() {
        settings.insert("stopSequences".to_owned(), json!(ask.stop));
    }
    body.insert("inferenceConfig".to_owned(), settings.into());
    if let Some(config) = tools(model, ask) {
        body.insert("toolConfig".to_owned(), config);
    }
    Ok(body.into())
}

fn tools(model: &str, ask: ModelRequest<'_>) -> Option<Value> {
    if let Some((name, schema)) = ask.schema {
        let tools = json!([tool(name, description_of(schema), schema)]);
        // Others refuse to be told what to choose.
        let choice = takes_choice(model).then(|| json!({ "tool": { "name": name } }));
        return Some(chosen(tools, choice));
    }
    if ask.tools.is_empty() {
        return None;
    }
    let tools: Value = ask.tools.iter().map(|spec| tool(&spec.name, &spec.description, &spec.parameters)).collect();
    let must_choose = ask.must_call && (takes_choice(model) || model.contains("mistral-large"));
    Some(chosen(tools, must_choose.then(|| json!({ "any": {} }))))
}

fn chosen(tools: Value, choice: Option<Value>) -> Value {
    let choice = choice.map(|choice| ("toolChoice".to_owned(), choice));
    Map::from_iter([("tools".to_owned(), tools)]).into_iter().chain(choice).collect()
}

fn takes_choice(model: &str) -> bool {
    ["claude-3", "claude-4", "claude-opus-4", "claude-sonnet-4", "claude-haiku-4"].iter().any(|it| model.contains(it))
}

fn tool(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "toolSpec": { "name": name, "description": description, "inputSchema": { "json": schema } } })
}

fn message(turn: &Message) -> Result<Value, Failure> {
    let content = match turn.role {
        Role::Tool => vec![result(turn)],
        Role::Assistant if !turn.calls.is_empty() => {
            let text = Some(turn.content.plain()).filter(|text| !text.is_empty());
            text.map(|text| json!({ "text": text })).into_iter().chain(turn.calls.iter().map(call)).collect()
        }
        _ => match &turn.content {
            Content::Text(text) => vec![json!({ "text": text })],
            Content::Pieces(pieces) => pieces.iter().map(piece).collect::<Result<_, _>>()?,
        },
    };
    let role = if turn.role == Role::Assistant { "assistant" } else { "user" };
    Ok(json!({ "role": role, "content": content }))
}

fn call(call: &ToolCall) -> Value {
    json!({ "toolUse": { "toolUseId": call.id, "name": call.name, "input": call.arguments } })
}

fn result(turn: &Message) -> Value {
    let id = turn.answers.as_ref().map_or("", |(id, _)| id);
    json!({ "toolResult": { "toolUseId": id, "content": [{ "text": turn.content.plain() }] } })
}

fn piece(piece: &ContentPart) -> Result<Value, Failure> {
    match piece {
        ContentPart::Text(text) => Ok(json!({ "text": text })),
        ContentPart::Image(url) => {
            let (kind, data) = inline_image(url)?;
            let kind = kind.strip_prefix("image/").unwrap_or(kind);
            let kind = if kind == "jpg" { "jpeg" } else { kind };
            Ok(json!({ "image": { "format": kind, "source": { "bytes": data } } }))
        }
    }
}
