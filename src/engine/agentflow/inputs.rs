//! Inputs of an agentflow's nodes, as far as several read them alike.

use serde_json::{Map, Value};

use super::markdown;
use crate::engine::compile::export::ExportNode;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::overrides::FilledPaths;
use crate::wire::json;

/// All texts in a value that the flow's author wrote.
pub(super) fn in_markdown(value: &mut Value, settled: &FilledPaths, path: &mut Vec<String>) {
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

/// What is a table in Flowise's editor may be the table's JSON, where a program wrote the flow.
pub(super) fn read_tables(node: &ExportNode, settled: &FilledPaths, values: &mut Map<String, Value>) {
    for param in node.data.input_params.iter().filter(|param| param.kind == "array" && !settled.touches(&param.name)) {
        let Some(value) = values.get_mut(&param.name) else { continue };
        let table = value.as_str().and_then(|text| json::read_str(text).ok()).filter(Value::is_array);
        if let Some(table) = table {
            *value = table;
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_may_be_its_json() {
        let params = json!([{ "name": "llmMessages", "type": "array" }, { "name": "code", "type": "code" }]);
        let data = json!({ "name": "llmAgentflow", "inputParams": params });
        let node: ExportNode = serde_json::from_value(json!({ "id": "llm_0", "data": data })).unwrap();
        let read = |settled: &FilledPaths, text: &str| {
            let mut values = Map::new();
            values.insert("llmMessages".to_owned(), text.into());
            values.insert("code".to_owned(), "[1]".into());
            read_tables(&node, settled, &mut values);
            Value::Object(values)
        };
        let settled = FilledPaths::default();
        let table = json!({ "llmMessages": [{ "role": "system" }], "code": "[1]" });
        assert_eq!(read(&settled, "[{\"role\": \"system\"}]"), table);
        assert_eq!(read(&settled, "{}")["llmMessages"], "{}");
        assert_eq!(read(&settled, "")["llmMessages"], "");
        // What was filled in stays a text.
        assert_eq!(read(&FilledPaths::at(vec![vec!["llmMessages".to_owned()]]), "[]")["llmMessages"], "[]");
    }
}
