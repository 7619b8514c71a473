//! What a request's overrides make of a node's inputs.

use serde_json::{Map, Value};

use crate::engine::compile::export::ExportNode;
use crate::engine::text::overrides::Overrides;
use crate::wire::json;

/// A node's inputs with what a request overrides in them: plain values, objects that are merged, JSON texts that
/// replace, each for all nodes or keyed by a node's id.
pub(crate) fn overridden(node: &ExportNode, overrides: &Overrides) -> Map<String, Value> {
    let mut inputs = node.data.inputs.clone();
    for (name, value) in &overrides.values {
        let is_declared =
            inputs.contains_key(name) || node.data.input_params.iter().any(|declared| declared.name == *name);
        if !is_declared {
            continue;
        }
        let value = match value.as_object().and_then(|by_node| by_node.get(&node.id)) {
            Some(own) => own,
            None if is_for_others(value, node, inputs.get(name)) => continue,
            None => value,
        };
        let merged = match (inputs.get(name), value) {
            // An agentflow's state: of a key that stands there twice, the last counts.
            (Some(Value::Array(before)), Value::Array(value)) => [&**before, value].concat().into(),
            (before, Value::Object(value)) => {
                let mut merged = before.and_then(object).unwrap_or_default();
                merged.extend(value.clone());
                Value::Object(merged)
            }
            _ => value.clone(),
        };
        inputs.insert(name.clone(), merged);
    }
    inputs
}

/// `{"chatOpenAI_0": ...}`, meant for other nodes: of this kind, or of any where it could be nothing else.
fn is_for_others(value: &Value, node: &ExportNode, before: Option<&Value>) -> bool {
    let Some(fields) = value.as_object().filter(|fields| !fields.is_empty()) else { return false };
    let is_id = |key: &String| key.rsplit_once('_').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
    let takes_fields = before.and_then(object).is_some() && !fields.values().all(Value::is_object);
    fields.keys().any(|key| key.contains(&node.data.name)) || (!takes_fields && fields.keys().all(is_id))
}

fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields.clone()),
        Value::String(text) => json::read_str(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(inputs: &Value) -> ExportNode {
        serde_json::from_value(json!({ "id": "prompt_0", "data": { "name": "promptTemplate", "inputs": inputs } }))
            .unwrap()
    }

    fn after(inputs: &Value, overrides: Value) -> Value {
        let Value::Object(overrides) = overrides else { panic!() };
        Value::Object(overridden(&node(inputs), &overrides.into()))
    }

    #[test]
    fn overrides_come_in_four_forms() {
        let inputs = json!({ "temperature": 0.1, "promptValues": "{\"a\":1}" });
        assert_eq!(after(&inputs, json!({ "temperature": 0.7 }))["temperature"], 0.7);
        assert_eq!(after(&inputs, json!({ "promptValues": { "b": 2 } }))["promptValues"], json!({ "a": 1, "b": 2 }));
        assert_eq!(after(&inputs, json!({ "promptValues": "{\"b\":2}" }))["promptValues"], "{\"b\":2}");
        assert_eq!(after(&inputs, json!({ "temperature": { "prompt_0": 0.2 } }))["temperature"], 0.2);
        assert_eq!(after(&inputs, json!({ "temperature": { "other_0": 0.2 } }))["temperature"], 0.1);
        assert_eq!(after(&inputs, json!({ "unknown": 1 })).get("unknown"), None);
        let named = json!({ "promptValues": { "user_1": "x" } });
        assert_eq!(after(&inputs, named)["promptValues"], json!({ "a": 1, "user_1": "x" }));
        let state = |key: &str| json!({ "startState": [{ "key": key, "value": "" }] });
        let both = json!([{ "key": "a", "value": "" }, { "key": "b", "value": "" }]);
        assert_eq!(after(&state("a"), state("b"))["startState"], both);
    }
}
