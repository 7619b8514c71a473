//! Code of a flow's author, whose value other nodes use or which is the answer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::given::given;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Chain, Reply, ValueSource};
use crate::engine::contract::prompt_values::PromptValues;
use crate::engine::contract::run::Run;
use crate::engine::contract::toolset::Toolset;
use crate::engine::scripts::{Returned, Script, ScriptValues};

/// The node `customFunction`.
pub(super) struct CustomFunction;

impl NodeKind for CustomFunction {
    fn names(&self) -> &'static [&'static str] {
        &["customFunction"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = given(inputs);
        inputs.ignore(&["functionName"]);
        let tools = inputs.parts("tools").into_iter().filter_map(Part::into_tools).collect();
        if !inputs.has("javascriptFunction") {
            inputs.lacks("javascriptFunction");
            return None;
        }
        let script = Script::read(inputs, "javascriptFunction")?;
        let code = Arc::new(CodedValue { given, tools, script });
        Some(match inputs.output() {
            Some("EndingNode") => Part::Chain(code),
            _ => Part::Value(code),
        })
    }
}

#[derive(Debug)]
struct CodedValue {
    given: PromptValues,
    tools: Toolset,
    script: Script,
}

impl CodedValue {
    async fn returned(&self, question: &str, run: &Run<'_>) -> Result<Returned, Failure> {
        let tools = self.tools.tools(run).await?;
        let named = self.given.fill(question, run).await?;
        let mut flow = super::given::flow(question, run);
        flow.insert("rawOutput".to_owned(), "".into());
        flow.insert("chatHistory".to_owned(), json!([]));
        let values = ScriptValues {
            input: question.into(),
            flow,
            named: named.into_iter().map(|(name, value)| (format!("${name}"), value)).collect(),
            tools: &tools,
        };
        self.script.run(values, run).await.map_err(|failure| failure.within("Error"))
    }
}

impl ValueSource for CodedValue {
    fn is_told_as_json(&self) -> bool {
        true
    }

    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move { Ok(self.returned(question, run).await?.into_value()) })
    }
}

impl Chain for CodedValue {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, _is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            Ok(match self.returned(question, run).await? {
                // It is the answer itself, with whatever fields it has.
                Returned::Value(Value::Object(mut fields)) => {
                    let text = fields.remove("text");
                    let text = text.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                    Reply { fields, ..Reply::text(text) }
                }
                returned => Reply::text(returned.into_text(true)),
            })
        })
    }
}
