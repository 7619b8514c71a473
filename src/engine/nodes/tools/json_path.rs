//! The node `jsonPathExtractor`: a value out of JSON, at a path that the flow's author writes.

use serde_json::{Value, json};

use super::arguments::parameters;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::wire::json;

/// Of the JSON, in an error.
const LONGEST_PREVIEW: usize = 200;

/// See the module.
pub(super) struct JsonPathExtractor;

impl NodeKind for JsonPathExtractor {
    fn names(&self) -> &'static [&'static str] {
        &["jsonPathExtractor"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let gives_null = inputs.flag("returnNullOnError").unwrap_or(false);
        let path = inputs.required_text("path")?;
        let any = json!({ "anyOf": [
            { "type": "string", "description": "JSON string" },
            { "type": "object", "additionalProperties": {}, "description": "JSON object" },
            { "type": "array", "description": "JSON array" },
        ], "description": "JSON data to extract value from" });
        let spec = ToolSpec {
            name: "json_path_extractor".to_owned(),
            description: "Extract value from JSON using configured path".to_owned(),
            parameters: parameters(&json!({ "json": any }), &["json"]),
        };
        Some(Part::tool(Extracting { spec, steps: steps(&path), path, gives_null }))
    }
}

#[derive(Debug)]
struct Extracting {
    spec: ToolSpec,
    path: String,
    steps: Vec<String>,
    gives_null: bool,
}

impl Tool for Extracting {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, _: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let text = match self.found(arguments.get("json").unwrap_or(&Value::Null)) {
                Ok(text) => text,
                Err(_) if self.gives_null => "null".to_owned(),
                Err(words) => return Err(Failure::flow(words)),
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

impl Extracting {
    fn found(&self, given: &Value) -> Result<String, String> {
        let read = match given {
            Value::String(text) => json::read_str(text).map_err(|error| format!("Invalid JSON string: {error}"))?,
            value => value.clone(),
        };
        let step = |value: &Value, step: &String| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?).cloned(),
            Value::Object(fields) => fields.get(step).cloned(),
            _ => None,
        };
        // A name with dots in it counts first, as with lodash.
        let whole = read.as_object().and_then(|fields| fields.get(&self.path)).cloned();
        let found = whole.or_else(|| self.steps.iter().try_fold(read.clone(), |value, name| step(&value, name)));
        match found {
            Some(Value::String(text)) => Ok(text),
            Some(value) => Ok(value.to_string()),
            None => {
                let whole = format!("{read:#}");
                let mut preview: String = whole.chars().take(LONGEST_PREVIEW).collect();
                if preview.len() < whole.len() {
                    preview.push_str("...");
                }
                Err(format!("Path \"{}\" not found in JSON. Received: {preview}", self.path))
            }
        }
    }
}

/// `a.b[0]["c d"]` in its steps.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']').unwrap_or((inside, ""));
            steps.push(step.trim_matches(['"', '\'']).to_owned());
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (step, after) = rest.split_at(end);
            steps.push(step.to_owned());
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_path() {
        let spec = ToolSpec { name: String::new(), description: String::new(), parameters: json!({}) };
        let found = |path: &str, given: Value| {
            let (spec, path) = (spec.clone(), path.to_owned());
            Extracting { spec, steps: steps(&path), path, gives_null: false }.found(&given)
        };
        let given = json!({ "a": [{ "b c": 7 }, "x"], "d.e": "whole", "d": { "e": "parts" } });
        assert_eq!(found("a[0][\"b c\"]", given.clone()).unwrap(), "7");
        assert_eq!(found("a[1]", given.clone()).unwrap(), "x");
        assert_eq!(found("a.0", given.clone()).unwrap(), "{\"b c\":7}");
        assert_eq!(found("d.e", given.to_string().into()).unwrap(), "whole");
        let error = found("z", given).unwrap_err();
        assert!(error.starts_with("Path \"z\" not found in JSON. Received: {\n  \"a\": ["), "{error}");
        assert!(found("a", "{".into()).unwrap_err().starts_with("Invalid JSON string: "));
    }
}
