//! The node `seqToolNode`: calls what a model has asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::NodeName;
use super::approval::Approval;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::sequential::changes::StateChanges;
use crate::engine::sequential::message::{AgentMessage, Speaker};
use crate::engine::sequential::state::Update;
use crate::engine::sequential::toolbox::Toolbox;
use crate::engine::sequential::visit::{AgentStep, Visit};

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltTools {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: SeqTools,
    pub(in crate::engine::sequential) approval: Option<Approval>,
}

pub(in crate::engine::sequential) fn build(inputs: &mut Inputs<'_, '_, '_>) -> Option<BuiltTools> {
    let name = NodeName::read(inputs, "toolNodeName");
    let has_tools = inputs.has("tools") && !inputs.references("tools").is_empty();
    let tools = Arc::new(Toolbox::read(inputs, "tools"));
    if !has_tools {
        inputs.refuse("tools", "Tools must not be empty");
    }
    let approval = Approval::read(inputs);
    let changes = StateChanges::read(inputs);
    let name = name?;
    let step = SeqTools { node: name.id.clone(), tools, changes };
    Some(BuiltTools { name, step, approval })
}

#[derive(Debug)]
pub(in crate::engine::sequential) struct SeqTools {
    /// Whose word it is.
    node: String,
    pub(in crate::engine::sequential) tools: Arc<Toolbox>,
    changes: StateChanges,
}

impl SeqTools {
    /// The same for an agent whose user is asked.
    pub(in crate::engine::sequential) fn of_agent(node: &str, tools: &Arc<Toolbox>) -> Self {
        Self { node: node.to_owned(), tools: Arc::clone(tools), changes: StateChanges::default() }
    }
}

impl AgentStep for SeqTools {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let said = visit.state.last().filter(|last| last.speaker == Speaker::Model);
            let said = said.ok_or_else(|| Failure::flow("ToolNode only accepts AIMessages as input."))?;
            let answers = self.tools.answers(&said.calls, &self.node, visit).await?;
            let values = if self.changes.is_empty() {
                Vec::new()
            } else {
                self.changes.made(visit, &answers.iter().map(output).collect()).await?
            };
            Ok(Update { values, messages: Some(answers) })
        })
    }
}

/// What a call gave, as texts of the author's look into it.
fn output(answer: &AgentMessage) -> Value {
    json!({
        "tool": answer.name, "toolInput": answer.arguments, "toolOutput": answer.content,
        "sourceDocuments": answer.sources, "artifacts": answer.artifacts,
    })
}
