//! A chain as a tool of an agent.

use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::parameters;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Chain, Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;

/// The node `chainTool`.
pub(super) struct ChainTool;

impl NodeKind for ChainTool {
    fn names(&self) -> &'static [&'static str] {
        &["chainTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let name = inputs.required_text("name");
        let description = inputs.text("description").unwrap_or_default();
        let is_direct = inputs.flag("returnDirect").unwrap_or(false);
        if !inputs.has("baseChain") {
            inputs.refuse("baseChain", "a chain is required");
        }
        let chain = inputs.part_as("baseChain", Part::into_chain, "a chain");
        let parameters = parameters(&json!({ "input": { "type": "string" } }), &[]);
        Some(Part::tool(Chained { spec: ToolSpec { name: name?, description, parameters }, chain: chain?, is_direct }))
    }
}

#[derive(Debug)]
struct Chained {
    spec: ToolSpec,
    chain: Arc<dyn Chain>,
    is_direct: bool,
}

impl Tool for Chained {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let input = arguments.get("input").and_then(Value::as_str).unwrap_or_default();
            run.budget().step()?;
            // Nothing of it is the client's.
            let sink = Sink::default();
            let inner = Run { sink: &sink, ..*run };
            let reply = self.chain.answer(input, &inner, false).await?;
            Ok(ToolResult { text: reply.said.into_text(), ..ToolResult::default() })
        })
    }

    fn returns_directly(&self) -> bool {
        self.is_direct
    }
}
