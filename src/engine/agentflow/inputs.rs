//! Inputs of an agentflow's nodes, as far as several read them alike.

use serde_json::Value;

use super::markdown;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::settled::Settled;

/// All texts in a value that the flow's author wrote.
pub(super) fn in_markdown(value: &mut Value, settled: &Settled, path: &mut Vec<String>) {
    let mut within = |step: String, value: &mut Value| {
        path.push(step);
        in_markdown(value, settled, path);
        path.pop();
    };
    match value {
        Value::Array(items) => items.iter_mut().enumerate().for_each(|(at, item)| within(at.to_string(), item)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| within(name.clone(), field)),
        Value::String(text) if !settled.has(path) => *text = markdown::of(text),
        _ => {}
    }
}

/// Says that something about a node is not supported.
pub(super) fn refuse_if_set(inputs: &mut Inputs<'_, '_, '_>, names: &[&str], message: &str) {
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
