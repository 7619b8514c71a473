//! What the nodes of a sequence become.

use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::toolset::Toolset;
use crate::engine::sequential::graph::GraphNode;
use crate::engine::sequential::nodes::agent::{self, BuiltAgent};
use crate::engine::sequential::nodes::approval::Approval;
use crate::engine::sequential::nodes::flows::{self, BuiltExecute};
use crate::engine::sequential::nodes::function::{self, BuiltFunction};
use crate::engine::sequential::nodes::llm::{self, BuiltLlm};
use crate::engine::sequential::nodes::tools::{self, BuiltTools, SeqTools};
use crate::engine::sequential::nodes::{AgentContext, NodeName};
use crate::engine::sequential::visit::AgentStep;

/// What a node becomes, with the node that calls its tools once the user agrees.
pub(super) struct BuiltStep {
    pub(super) name: String,
    pub(super) node: GraphNode,
    pub(super) leave: Option<(SeqTools, Approval)>,
    pub(super) unready: Option<String>,
}

impl BuiltStep {
    pub(super) fn of(inputs: &mut Inputs<'_, '_, '_>, bound: Toolset, context: &AgentContext<'_>) -> Option<Self> {
        let kind = inputs.node.data.name.clone();
        let node = |name: &NodeName, step: Box<dyn AgentStep>| GraphNode::new(&name.id, &name.label, &kind, step);
        Some(match &*kind {
            "seqAgent" => {
                let BuiltAgent { name, step, approval, unready } = agent::build(inputs, context)?;
                let leave = approval.map(|approval| (SeqTools::of_agent(&name.id, &step.tools), approval));
                Self { node: node(&name, Box::new(step)), name: name.name, leave, unready }
            }
            "seqLLMNode" => {
                let BuiltLlm { name, step, unready } = llm::build(inputs, bound, context)?;
                Self { node: node(&name, Box::new(step)), name: name.name, leave: None, unready }
            }
            "seqToolNode" => {
                let BuiltTools { name, step, approval } = tools::build(inputs)?;
                let tool_names = step.tools.names();
                let waits = approval.is_some();
                let node = GraphNode { tool_names, waits, approval, ..node(&name, Box::new(step)) };
                Self { node, name: name.name, leave: None, unready: None }
            }
            "seqExecuteFlow" => {
                let BuiltExecute { name, step } = flows::build(inputs)?;
                Self { node: node(&name, Box::new(step)), name: name.name, leave: None, unready: None }
            }
            _ => {
                let BuiltFunction { name, step } = function::build(inputs, context)?;
                Self { node: node(&name, Box::new(step)), name: name.name, leave: None, unready: None }
            }
        })
    }
}
