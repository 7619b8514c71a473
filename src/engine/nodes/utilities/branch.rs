//! If-else: which way a prediction goes, by a condition that is simple enough.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::script::{self, Script};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::ValueSource;
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::contract::run::Run;
use crate::engine::nodes::prompts::prompt_values;
use crate::engine::text::mustache::{Dialect, JsonTemplate};
use crate::wire::json::read_str;

/// The node `ifElseFunction`.
pub(super) struct IfElseFunction;

impl NodeKind for IfElseFunction {
    fn names(&self) -> &'static [&'static str] {
        &["ifElseFunction"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = prompt_values::read(inputs, "functionInputVariables").mapped(written_json);
        inputs.ignore(&["functionName"]);
        let mut names: Vec<String> = given.names().map(|name| format!("${name}")).collect();
        names.extend(["$input", "$vars", "$flow"].map(str::to_owned));
        let mut code = |name: &str| match script::parse(&inputs.text(name).unwrap_or_default(), &names) {
            Ok(script) => Some(script),
            Err(error) => {
                inputs.refuse(name, error);
                None
            }
        };
        let (then, otherwise) = (code("ifFunction"), code("elseFunction"));
        Some(Part::Value(Arc::new(Branch { given, then: then?, otherwise: otherwise? })))
    }
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

#[derive(Debug)]
struct Branch {
    given: PromptValues,
    then: Script,
    otherwise: Script,
}

impl Branch {
    /// The way, and what its code returns.
    async fn taken(&self, question: &str, run: &Run<'_>) -> Result<(bool, Value), Failure> {
        let mut scope = Map::new();
        for (name, value) in self.given.fill(question, run).await? {
            scope.insert(format!("${name}"), value);
        }
        let request = run.request;
        let flow = json!({
            "chatflowId": run.flow,
            "sessionId": request.session_id,
            "chatId": request.chat_id,
            "input": question,
        });
        for (name, value) in [("$input", question.into()), ("$vars", request.vars.clone().into()), ("$flow", flow)] {
            scope.insert(name.to_owned(), value);
        }
        let then = script::run(&self.then, &mut scope.clone()).map_err(Failure::flow)?.filter(script::is_truthy);
        Ok(match then {
            Some(value) => (true, value),
            None => (false, script::run(&self.otherwise, &mut scope).map_err(Failure::flow)?.unwrap_or_default()),
        })
    }
}

impl ValueSource for Branch {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move { Ok(self.taken(question, run).await?.1) })
    }

    fn decides<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, bool> {
        Box::pin(async move { Ok(self.taken(question, run).await?.0) })
    }
}
