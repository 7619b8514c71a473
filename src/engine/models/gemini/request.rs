//! Requests as Flowise's node sends them.

use serde_json::{Map, Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, ContentPart, Message, Role, ToolCall};
use crate::engine::contract::model::ModelRequest;
use crate::engine::models::gathering::set;
use crate::engine::models::request::{description_of, inline_image, system_parts};
use crate::wire::json;

/// Google's word for a call that comes from no thought of the model's, where one has to be signed.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// Which of Flowise's two libraries for Google asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::models) enum GeminiDialect {
    Gemini,
    Vertex,
}

/// # Errors
/// An image cannot be sent.
pub(in crate::engine::models) fn body(
    fields: &Map<String, Value>,
    model: &str,
    dialect: GeminiDialect,
    ask: ModelRequest<'_>,
) -> Result<Value, Failure> {
    let mut body = fields.clone();
    if let Some((_, schema)) = ask.schema.filter(|_| dialect == GeminiDialect::Vertex) {
        let mut generation = body.get("generationConfig").cloned().unwrap_or_else(|| json!({}));
        set(&mut generation, "responseMimeType", "application/json");
        set(&mut generation, "responseSchema", plain(schema));
        body.insert("generationConfig".to_owned(), generation);
    } else if let Some((name, schema)) = ask.schema {
        let function = json!({ "name": name, "description": description_of(schema), "parameters": plain(schema) });
        body.insert("tools".to_owned(), json!([{ "functionDeclarations": [function] }]));
        let calling = json!({ "mode": "ANY", "allowedFunctionNames": [name] });
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": calling }));
    } else if !ask.tools.is_empty() {
        let functions: Vec<Value> = ask
            .tools
            .iter()
            .map(|spec| {
                json!({ "name": spec.name, "description": spec.description, "parameters": plain(&spec.parameters) })
            })
            .collect();
        body.insert("tools".to_owned(), json!([{ "functionDeclarations": functions }]));
    }
    // There is one system, and it stands apart: further ones, which Flowise fails on, join it.
    let systems = system_parts(ask.messages);
    if !systems.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "role": "system", "parts": systems }));
    }
    let turns = ask.messages.iter().filter(|turn| !turn.role.instructs());
    let contents: Result<Vec<Value>, Failure> = turns.map(|turn| content(turn, model, dialect)).collect();
    body.insert("contents".to_owned(), contents?.into());
    Ok(Value::Object(body))
}

fn content(turn: &Message, model: &str, dialect: GeminiDialect) -> Result<Value, Failure> {
    let role = match turn.role {
        Role::Assistant => "model",
        Role::Tool if dialect == GeminiDialect::Vertex => "function",
        _ => "user",
    };
    let mut parts = Vec::new();
    if let Some((_, name)) = turn.answers.as_ref().filter(|_| turn.role == Role::Tool) {
        let text = turn.content.plain();
        let result = match dialect {
            GeminiDialect::Gemini => json!({ "result": text }),
            GeminiDialect::Vertex => json!({ "content": json::read_str(&text).unwrap_or_else(|_| Value::from(text)) }),
        };
        parts.push(json!({ "functionResponse": { "name": name, "response": result } }));
    } else {
        match &turn.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => parts.push(json!({ "text": text })),
            Content::Pieces(pieces) => {
                for piece in pieces {
                    parts.push(part(piece)?);
                }
            }
        }
    }
    parts.extend(turn.calls.iter().map(|each| call(each, model)));
    Ok(json!({ "role": role, "parts": parts }))
}

fn part(piece: &ContentPart) -> Result<Value, Failure> {
    match piece {
        ContentPart::Text(text) => Ok(json!({ "text": text })),
        ContentPart::Image(url) => {
            let (kind, data) = inline_image(url)?;
            Ok(json!({ "inlineData": { "mimeType": kind, "data": data } }))
        }
    }
}

/// With the signature that came with it; models of the third generation take none without.
fn call(call: &ToolCall, model: &str) -> Value {
    let mut part = json!({ "functionCall": { "name": call.name, "args": call.arguments } });
    let own = call.opaque.as_ref().filter(|opaque| opaque.is_string()).cloned();
    let signature = own.or_else(|| model.contains("gemini-3").then(|| UNSIGNED.into()));
    if let Some(signature) = signature {
        set(&mut part, "thoughtSignature", signature);
    }
    part
}

/// A schema without the words that Google does not know.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let known = |name: &str| !matches!(name, "additionalProperties" | "$schema" | "strict");
            let fields = fields.iter().filter(|(name, _)| known(name));
            Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        value => value.clone(),
    }
}
