//! The node that calls a tool.

use serde_json::{Map, Value, json};

use super::super::tools::Slot;
use super::super::values::{updated, with_output};
use super::super::{Kind, Outcome, Step, Visit};
use super::check_changes;
use crate::engine::Task;
use crate::engine::failure::Failure;
use crate::engine::inputs::Inputs;

/// The node `toolAgentflow`.
pub(super) struct ToolNode;

impl Kind for ToolNode {
    fn name(&self) -> &'static str {
        "toolAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        // Older flows have the shorter names.
        let mut first = |names: [&str; 2]| {
            let values = names.map(|name| inputs.value(name).map(|value| (name.to_owned(), value)));
            values.into_iter().flatten().next()
        };
        let selected = first(["selectedTool", "toolAgentflowSelectedTool"]);
        let config = first(["selectedToolConfig", "toolAgentflowSelectedToolConfig"]).map(|(_, config)| config);
        let arguments = inputs.value("toolInputArgs").unwrap_or_else(|| json!([]));
        let is_argument = |argument: &Value| argument.get("inputArgName").is_some_and(Value::is_string);
        if !arguments.as_array().is_some_and(|all| all.iter().all(is_argument)) {
            inputs.refuse("toolInputArgs", "expected a list of names and values");
        }
        check_changes(inputs, "toolUpdateState");
        let Some((input, kind)) = selected.as_ref().and_then(|(name, kind)| Some((name, kind.as_str()?))) else {
            inputs.refuse("toolAgentflowSelectedTool", "a tool is required");
            return None;
        };
        if kind == "openAPIToolkit" {
            inputs.refuse(input, "a node can call one tool, and a toolkit has several");
            return None;
        }
        Some(Box::new(Calls(Slot::read(kind, config.as_ref(), false, input, inputs)?)))
    }
}

#[derive(Debug)]
struct Calls(Slot);

impl Step for Calls {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Outcome> {
        Box::pin(async move {
            let ready = self.0.tools(visit.scope, visit.workshop)?.pop();
            let ready = ready.ok_or_else(|| Failure::flow("Tool not selected"))?;
            let listed = visit.inputs.get("toolInputArgs").cloned().unwrap_or_else(|| json!([]));
            let argument = |argument: &Value| {
                let name = argument.get("inputArgName")?.as_str()?.to_owned();
                Some((name, argument.get("inputArgValue").map(read).unwrap_or_default()))
            };
            let arguments: Map<String, Value> = listed.as_array().into_iter().flatten().filter_map(argument).collect();
            let result = visit.run.call(&*ready.tool, &Value::Object(arguments)).await;
            let text = result.map_err(|failure| failure.within("Error"))?.text;
            if visit.is_last {
                visit.run.sink.bare_token(&text);
            }
            let changed = updated(&visit.runtime.state, visit.inputs.get("toolUpdateState"));
            let input = json!({ "toolInputArgs": listed, "selectedTool": self.0.kind });
            Ok(Outcome::new(input, json!({ "content": text })).with_state(with_output(changed, &text)))
        })
    }
}

/// A value as its author meant it: without the editor's backslashes, and as JSON where it is some.
fn read(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next @ ('"' | '[' | ']' | '{' | '}' | '\\')) if letter == '\\' => {
                clean.push(*next);
                letters.next();
            }
            _ => clean.push(letter),
        }
    }
    let looks_like_json =
        (clean.starts_with('[') && clean.ends_with(']')) || (clean.starts_with('{') && clean.ends_with('}'));
    let parsed = if looks_like_json { serde_json::from_str(&clean).ok() } else { None };
    parsed.unwrap_or_else(|| clean.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_what_their_author_meant() {
        assert_eq!(read(&r#"\["a", "b"\]"#.into()), json!(["a", "b"]));
        assert_eq!(read(&r#"{\"a\": 1}"#.into()), json!({ "a": 1 }));
        assert_eq!(read(&"[no json]".into()), json!("[no json]"));
        assert_eq!(read(&5.into()), json!(5));
    }
}
