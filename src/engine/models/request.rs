//! What requests of several providers have in common.

use serde_json::{Value, json};

use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Message, Role};

/// What the one tool of a schema is called where the schema says nothing of itself.
const EXTRACTION: &str = "A function available to call.";

/// What a schema says of itself.
pub(super) fn description_of(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or(EXTRACTION)
}

/// The system, as parts of its own: there may be several.
pub(super) fn system_parts(turns: &[Message]) -> Vec<Value> {
    let systems = turns.iter().filter(|turn| turn.role.instructs());
    systems.map(|turn| json!({ "text": turn.content.plain() })).collect()
}

/// All but the system; results of tools that follow each other are one turn.
///
/// # Errors
/// A message cannot be sent.
pub(super) fn joined_results<E>(
    turns: &[Message],
    message: impl Fn(&Message) -> Result<Value, E>,
    result: impl Fn(&Message) -> Value,
) -> Result<Vec<Value>, E> {
    let mut messages: Vec<Value> = Vec::with_capacity(turns.len());
    let mut before_was_result = false;
    for turn in turns.iter().filter(|turn| !turn.role.instructs()) {
        let is_result = turn.role == Role::Tool;
        let before = messages.last_mut().filter(|_| is_result && before_was_result);
        match before.and_then(|message| message.get_mut("content")?.as_array_mut()) {
            Some(results) => results.push(result(turn)),
            None => messages.push(message(turn)?),
        }
        before_was_result = is_result;
    }
    Ok(messages)
}

/// Type and data of an image that stands in a data URI.
///
/// # Errors
/// It stands somewhere else.
pub(super) fn inline_image(url: &str) -> Result<(&str, &str), Failure> {
    let image = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    image.ok_or_else(|| Failure::flow("Please provide image as base64 encoded data URL"))
}
