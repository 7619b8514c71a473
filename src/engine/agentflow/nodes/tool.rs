//! The node that calls a tool.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::super::changes::Changes;
use super::super::tools::NodeTool;
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::ToolResult;
use crate::engine::text::mustache::{Dialect, JsonTemplate};
use crate::wire::json::read_str;

/// Of the tools of a toolkit, so many are at work at once.
const AT_ONCE: usize = 16;

/// The node `toolAgentflow`.
pub(super) struct ToolNode;

impl StepKind for ToolNode {
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
        let named = |argument: &Value| {
            Some((argument.get("inputArgName")?.as_str()?.to_owned(), argument.get("inputArgValue").cloned()))
        };
        let named = arguments.as_array().and_then(|all| all.iter().map(named).collect::<Option<Vec<_>>>());
        if named.is_none() {
            inputs.refuse("toolInputArgs", "expected a list of names and values");
        }
        let argument = |(at, (name, value)): (usize, (String, Option<Value>))| {
            let template = inputs.template_of(&["toolInputArgs", &at.to_string()], &value.unwrap_or_default());
            (name, meant(template))
        };
        let arguments = named.unwrap_or_default().into_iter().enumerate().map(argument).collect();
        let changes = Changes::read(inputs, "toolUpdateState");
        let Some((input, kind)) = selected.as_ref().and_then(|(name, kind)| Some((name, kind.as_str()?))) else {
            inputs.lacks("toolAgentflowSelectedTool");
            return None;
        };
        let slot = NodeTool::read(kind, config.as_ref(), false, input, inputs)?;
        Some(Box::new(CallsTool { slot, arguments, changes }))
    }
}

#[derive(Debug)]
struct CallsTool {
    slot: NodeTool,
    arguments: Vec<(String, JsonTemplate)>,
    changes: Changes,
}

impl Step for CallsTool {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let tools = self.slot.tools(visit).await.map_err(|failure| failure.within("Error"))?;
            let listed = visit.inputs.get("toolInputArgs").cloned().unwrap_or_else(|| json!([]));
            let argument = |(name, value): &(String, JsonTemplate)| Ok((name.clone(), value.value(visit.scope)?));
            let arguments = self.arguments.iter().map(argument).collect::<Result<Map<_, _>, String>>();
            let arguments = arguments.map_err(Failure::flow)?;
            let arguments = Value::Object(arguments);
            visit.run.budget().has_tool_calls(tools.len())?;
            // All of a toolkit, as in Flowise.
            let calling = tools.iter().map(|ready| visit.run.call(&*ready.tool, &arguments));
            let results: Vec<_> = stream::iter(calling).buffered(AT_ONCE).collect().await;
            let results = results.into_iter().collect::<Result<Vec<_>, _>>();
            let results = results.map_err(|failure| failure.within("Error"))?;
            let (text, called_with) = told(results);
            visit.run.budget().hold(text.len())?;
            if visit.is_last {
                visit.run.sink.bare_token(&text);
            }
            let listed = called_with.unwrap_or(listed);
            let input = json!({ "toolInputArgs": listed, "selectedTool": self.slot.kind });
            Ok(StepOutcome::new(input, json!({ "content": text })).with_state(self.changes.applied(visit, &text)))
        })
    }
}

/// What is told of the tools of a toolkit: all of it, to the end of the first that says what it was called with, as
/// Flowise reads it; and what that was, where none comes after it.
fn told(results: Vec<ToolResult>) -> (String, Option<Value>) {
    let mut text = String::new();
    let last = results.len().saturating_sub(1);
    for (at, result) in results.into_iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text.push_str(&result.text);
        if result.arguments.is_some() {
            return (text, result.arguments.filter(|_| at == last));
        }
    }
    (text, None)
}

/// A value as its author meant it: without the editor's backslashes, and as JSON where it is some.
fn meant(value: JsonTemplate) -> JsonTemplate {
    match value {
        JsonTemplate::Fixed(Value::String(text)) => {
            let text = clean(&text);
            let json = if looks_like_json(&text) { read_str(&text).ok() } else { None };
            JsonTemplate::Fixed(json.unwrap_or_else(|| text.into()))
        }
        JsonTemplate::Input(text) => {
            // What a node gave may be JSON as a whole.
            if text.alone().is_some() {
                return JsonTemplate::Bracketed(text);
            }
            let text = text.reworded(clean);
            let written = text.written();
            let json =
                if looks_like_json(&written) { JsonTemplate::parse(&written, Dialect::Agentflow).ok() } else { None };
            json.unwrap_or(JsonTemplate::Input(text))
        }
        value => value,
    }
}

fn looks_like_json(text: &str) -> bool {
    (text.starts_with('[') && text.ends_with(']')) || (text.starts_with('{') && text.ends_with('}'))
}

/// Without the backslashes that the editor puts before these.
fn clean(text: &str) -> String {
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
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::text::overrides::FilledPaths;

    #[test]
    fn of_a_toolkit_is_told_as_much_as_flowise_tells() {
        let result = |text: &str, arguments: Option<Value>| ToolResult {
            text: text.to_owned(),
            arguments,
            ..ToolResult::default()
        };
        let called = |n: u8| Some(json!({ "n": n }));
        assert_eq!(told(vec![result("a", None), result("b", None)]), ("a\nb".to_owned(), None));
        assert_eq!(told(vec![result("a", None), result("b", called(1))]), ("a\nb".to_owned(), called(1)));
        assert_eq!(told(vec![result("a", called(1)), result("b", called(2))]), ("a".to_owned(), None));
        assert_eq!(told(Vec::new()), (String::new(), None));
    }

    #[test]
    fn arguments_are_what_their_author_meant() {
        let read = |value: Value, said: &'static str| {
            let template = JsonTemplate::of(&value, Dialect::Agentflow, &FilledPaths::default(), &mut Vec::new());
            meant(template).value(&|_: &str| Some(said.into())).unwrap()
        };
        assert_eq!(read(r#"\["a", "b"\]"#.into(), ""), json!(["a", "b"]));
        assert_eq!(read(r#"{\"a\": 1}"#.into(), ""), json!({ "a": 1 }));
        assert_eq!(read("[no json]".into(), ""), json!("[no json]"));
        assert_eq!(read(5.into(), ""), json!(5));
        let evil = "x\", \"b\": \"y";
        assert_eq!(read(r#"{\"a\": \"{{ question }}\"}"#.into(), evil), json!({ "a": evil }));
        assert_eq!(read("{{ llm }}".into(), "[1]"), json!([1]));
        assert_eq!(read("{{ llm }}".into(), "7"), json!("7"));
        assert_eq!(read("is {{ llm }}".into(), "[1]"), json!("is [1]"));
    }
}
