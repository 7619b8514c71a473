//! What code of a flow's author is given.

use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::contract::run::Run;
use crate::engine::nodes::prompts::prompt_values;
use crate::engine::text::mustache::{Dialect, JsonTemplate};
use crate::wire::json::read_str;

/// The input variables.
pub(in crate::engine::nodes) fn given(inputs: &mut Inputs<'_, '_, '_>) -> PromptValues {
    prompt_values::read(inputs, "functionInputVariables").mapped(written_json)
}

/// JSON in a text is meant as JSON, if the author wrote it, or if all of the text is what another node gave. What the
/// user says stays a text: a condition that looks at it must not find something else.
fn written_json(value: JsonTemplate) -> JsonTemplate {
    let is_json = |text: &str| text.starts_with('{') && text.ends_with('}');
    match &value {
        JsonTemplate::Text(text) if text.alone().is_some_and(|name| name.contains(".data.instance")) => {
            JsonTemplate::Object(text.clone())
        }
        JsonTemplate::Text(text) if text.alone().is_none() && is_json(&text.written()) => {
            JsonTemplate::parse(&text.written(), Dialect::Chatflow).unwrap_or(value)
        }
        JsonTemplate::Fixed(Value::String(text)) if is_json(text) => {
            read_str(text).map(JsonTemplate::Fixed).unwrap_or(value)
        }
        _ => value,
    }
}

/// `$flow`.
pub(in crate::engine::nodes) fn flow(question: &str, run: &Run<'_>) -> Map<String, Value> {
    let request = run.request;
    let known = json!({
        "chatflowId": run.flow,
        "sessionId": request.session_id,
        "chatId": request.chat_id,
        "input": question,
    });
    if let Value::Object(known) = known { known } else { Map::new() }
}
