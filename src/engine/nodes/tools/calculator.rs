//! The calculator.

use serde_json::{Value, json};

use super::arguments::parameters;
use super::arithmetic;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;

/// The node `calculator`.
pub(super) struct Calculator;

impl NodeKind for Calculator {
    fn names(&self) -> &'static [&'static str] {
        &["calculator"]
    }

    fn build(&self, _: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let spec = ToolSpec {
            name: "calculator".to_owned(),
            description: "Useful for getting the result of a math expression. The input to this tool should be a \
                          valid mathematical expression that could be executed by a simple calculator."
                .to_owned(),
            parameters: parameters(&json!({ "input": { "type": "string" } }), &[]),
        };
        Some(Part::tool(Calculating(spec)))
    }
}

#[derive(Debug)]
struct Calculating(ToolSpec);

impl Tool for Calculating {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn call<'a>(&'a self, arguments: &'a Value, _: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let expression = match arguments.get("input") {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            let text = arithmetic::evaluated(&expression).unwrap_or_else(|| "I don't know how to do that.".to_owned());
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}
