//! The node that runs code of its author.

use serde_json::{Map, Value, json};

use super::super::changes::Changes;
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::scripts::{Returned, Script, ScriptValues};

/// The node `customFunctionAgentflow`.
pub(super) struct CustomFunctionNode;

impl StepKind for CustomFunctionNode {
    fn name(&self) -> &'static str {
        "customFunctionAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        if inputs.value("customFunctionInputVariables").is_some_and(|given| !given.is_array() && given != "") {
            inputs.refuse("customFunctionInputVariables", "expected a list of names and values");
        }
        let changes = Changes::read(inputs, "customFunctionUpdateState");
        let name = "customFunctionJavascriptFunction";
        if !inputs.has(name) {
            inputs.lacks(name);
            return None;
        }
        Some(Box::new(RunsCode { script: Script::read(inputs, name)?, changes }))
    }
}

#[derive(Debug)]
struct RunsCode {
    script: Script,
    changes: Changes,
}

impl Step for RunsCode {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let listed = visit.inputs.get("customFunctionInputVariables").filter(|given| !given.is_null());
            let listed = listed.cloned().unwrap_or_else(|| json!([]));
            let named = |item: &Value| {
                let name = item.get("variableName")?.as_str()?;
                Some((format!("${name}"), item.get("variableValue").cloned().unwrap_or_default()))
            };
            let values = ScriptValues {
                input: input(visit),
                flow: flow(visit),
                named: visit.list("customFunctionInputVariables").iter().filter_map(named).collect(),
                tools: &[],
            };
            let returned = self.script.run(values, visit.run).await.map_err(|failure| failure.within("Error"))?;
            let content = match returned {
                Returned::Value(value) if value.is_number() || value.is_boolean() => value,
                Returned::Nothing => Value::Null,
                returned => returned.into_text(true).into(),
            };
            let said = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            if visit.is_last && content != Value::Null {
                visit.run.sink.bare_token(&said);
            }
            let code = visit.inputs.get("customFunctionJavascriptFunction").cloned().unwrap_or_default();
            let input = json!({ "inputVariables": listed, "code": code });
            let mut output = Map::new();
            if content != Value::Null {
                output.insert("content".to_owned(), content);
            }
            let state = self.changes.applied(visit, &said);
            Ok(StepOutcome::new(input, output.into()).with_state(state))
        })
    }
}

/// `$input`: what the user said, or the form.
fn input(visit: &StepContext<'_>) -> Value {
    match &visit.run.request.form {
        Some(form) if visit.run.request.question.is_none() => form.clone().into(),
        _ => visit.said.unwrap_or_else(|| visit.run.request.question()).into(),
    }
}

/// `$flow`.
fn flow(visit: &StepContext<'_>) -> Map<String, Value> {
    let request = visit.run.request;
    let known = json!({
        "input": input(visit),
        "state": visit.runtime.state,
        "chatflowId": visit.run.flow,
        "sessionId": request.session_id,
        "chatId": request.chat_id,
        "rawOutput": "",
        "chatHistory": [],
    });
    if let Value::Object(known) = known { known } else { Map::new() }
}
