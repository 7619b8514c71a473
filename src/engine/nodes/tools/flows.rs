//! Another flow as a tool of an agent: of the same engine, or of another Flowise.

use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::parameters;
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::{Inputs, Overriding};
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::compile::remote_flow::{RemoteFlow, SubflowTarget};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::{InnerCall, InnerSession};
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::Mustache;

/// A node of this family.
pub(super) struct FlowTool {
    names: &'static [&'static str],
    /// The input that names the flow.
    selected: &'static str,
    /// What Flowise calls such flows.
    kind: &'static str,
    /// As models are told, where the author says nothing.
    name: &'static str,
}

pub(super) static CHATFLOW: FlowTool =
    FlowTool { names: &["ChatflowTool"], selected: "selectedChatflow", kind: "chatflow", name: "chatflow_tool" };
pub(super) static AGENTFLOW: FlowTool =
    FlowTool { names: &["agentAsTool"], selected: "selectedAgentflow", kind: "agentflow", name: "agentflow_tool" };

impl NodeKind for FlowTool {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let flow = inputs.required_text(self.selected);
        let elsewhere = RemoteFlow::read(inputs, "baseURL", flow.as_deref().unwrap_or_default(), true);
        let name = inputs.text("name").unwrap_or_else(|| self.name.to_owned());
        let description = inputs.text("description").unwrap_or_default();
        let overrides = Overriding::read("overrideConfig", inputs);
        let is_new = inputs.flag("startNewSession").unwrap_or(false);
        let asks_own = inputs.flag("useQuestionFromChat").unwrap_or(false);
        let custom = inputs.mustache("customInput");
        let is_direct = inputs.flag("returnDirect").unwrap_or(false);
        // The key that Flowise sends to itself.
        inputs.ignore(&["credential", "FLOWISE_CREDENTIAL_ID"]);
        let flow = flow?;
        let elsewhere = elsewhere?;
        if elsewhere.is_none() {
            inputs.compiler.miss(inputs.node, Need::Flow { name: flow.clone() });
        }
        let input = json!({ "type": "string", "description": "input question" });
        let parameters = parameters(&json!({ "input": input }), &["input"]);
        let spec = ToolSpec { name, description, parameters };
        let kind = self.kind;
        let asking = AsksFlow { spec, flow, elsewhere, kind, overrides, is_new, asks_own, custom, is_direct };
        Some(Part::tool(asking))
    }
}

#[derive(Debug)]
struct AsksFlow {
    spec: ToolSpec,
    flow: String,
    elsewhere: SubflowTarget,
    kind: &'static str,
    overrides: Overriding,
    /// Whether it is asked in a chat of its own each time.
    is_new: bool,
    /// Whether it is asked what the user asked.
    asks_own: bool,
    /// What it is asked, whatever the model says.
    custom: Option<Mustache>,
    is_direct: bool,
}

impl Tool for AsksFlow {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let given = arguments.get("input").and_then(Value::as_str).map(str::to_owned);
            // Agents of agentflows are not told the question when they make their tools.
            let own = (self.asks_own && run.names.is_none()).then(|| run.request.question_with_files().into_owned());
            let custom = self.custom.as_ref().filter(|_| !self.asks_own).map(|custom| custom.text(run));
            let question = own.or(custom).filter(|text| !text.is_empty()).or(given).ok_or_else(|| {
                Failure::flow(format!("Received tool input did not match expected schema: {arguments}"))
            })?;
            let session = if self.is_new { InnerSession::New } else { InnerSession::OfCaller };
            let call = InnerCall { flow: &self.flow, kind: self.kind, session };
            let flow = match &self.elsewhere {
                Some(flow) => Arc::clone(flow),
                None => call.found(run)?,
            };
            let overrides = self.overrides.filled(run)?;
            run.budget().step()?;
            let reply = call.answered(&*flow, &question, overrides, run).await?;
            Ok(ToolResult { text: reply.said.remembered().into_owned(), ..ToolResult::default() })
        })
    }

    fn returns_directly(&self) -> bool {
        self.is_direct
    }
}

#[cfg(test)]
mod tests;
