//! Every kind of node of the second generation, one file a family. A new node touches its file and [`KINDS`].

mod agent;
mod body;
mod buffer;
mod choices;
mod flows;
mod http;
mod human;
mod llm;
mod loops;
mod overriding;
mod replies;
mod retriever;
mod speaker;
mod start;
mod tool;

use serde_json::{Map, Value};

use super::Kind;
use crate::engine::inputs::Inputs;

const KINDS: &[&dyn Kind] = &[
    &start::Start,
    &llm::Llm,
    &agent::Agent,
    &choices::Condition,
    &choices::ConditionAgent,
    &loops::Loop,
    &loops::Iteration,
    &replies::DirectReply,
    &human::HumanInput,
    &http::Http,
    &tool::ToolNode,
    &flows::ExecuteFlow,
    &retriever::RetrieverNode,
];

/// The kind of that name.
pub(super) fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// Why there is no such kind.
pub(super) fn why_not(name: &str) -> &'static str {
    match name {
        "customFunctionAgentflow" => "the engine runs no code",
        _ => "the engine does not know this kind of node",
    }
}

/// Says that something about a node is not supported.
fn refuse_if_set(inputs: &mut Inputs<'_, '_, '_>, names: &[&str], message: &str) {
    for name in names {
        let is_empty = |value: &Value| match value {
            Value::Array(items) => items.is_empty(),
            Value::String(text) => matches!(text.trim(), "" | "[]"),
            value => value.is_null(),
        };
        if inputs.value(name).is_some_and(|value| !is_empty(&value)) {
            inputs.refuse(name, message);
        }
    }
}

/// A node's inputs as clients see them: without what is empty, and of models and tools neither addresses nor keys.
fn shown(inputs: &Map<String, Value>) -> Map<String, Value> {
    let is_shown = |(_, value): &(&String, &Value)| !value.as_str().is_some_and(str::is_empty);
    inputs.iter().filter(is_shown).map(|(name, value)| (name.clone(), shown_input(name, value))).collect()
}

fn shown_input(name: &str, value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| shown_input("", item)).collect(),
        Value::Object(fields) if name.ends_with("ToolConfig") => {
            let kind = |(name, _): &(&String, &Value)| name.ends_with("SelectedTool");
            Value::Object(fields.iter().filter(kind).map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        Value::Object(fields) if name.ends_with("Config") => {
            let fields = fields.iter().filter(|(name, value)| is_harmless(name, value));
            Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), shown_input(name, value))).collect())
        }
        value => value.clone(),
    }
}

/// Of a model's configuration: no credential, no address, no header.
fn is_harmless(name: &str, value: &Value) -> bool {
    let name = name.to_ascii_lowercase();
    let tells = ["credential", "key", "token", "secret", "url", "path", "endpoint", "options", "headers"];
    let is_limit = name.contains("maxtoken") || name.contains("budgettoken") || name.contains("outputtoken");
    let is_about = tells.iter().any(|tell| name.contains(tell)) && !is_limit;
    !is_about && !value.as_str().is_some_and(|text| text.contains("://")) && !value.is_object()
}
