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

use serde_json::Value;

pub(super) use self::agent::asks_first;

use super::Kind;
use crate::engine::compile::inputs::Inputs;

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

#[cfg(test)]
pub(super) fn count() -> usize {
    KINDS.len()
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
