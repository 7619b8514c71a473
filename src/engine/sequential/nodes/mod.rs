//! Every kind of node of these flows: one file a family.

pub(super) mod agent;
pub(super) mod approval;
pub(super) mod conditions;
pub(super) mod flows;
pub(super) mod function;
pub(super) mod llm;
pub(super) mod state;
pub(super) mod supervisor;
pub(super) mod tools;
pub(super) mod worker;

use std::sync::Arc;

use super::flow::name_of;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::message::ContentPart;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::run::Run;

/// What nodes are built with.
pub(super) struct AgentContext<'a> {
    /// The start's model, for those that have none of their own.
    pub(super) model: Option<Arc<dyn ChatModel>>,
    /// Whether a node is one of the flow's agents.
    pub(super) is_agent: &'a dyn Fn(&str) -> bool,
}

/// What a node is called.
#[derive(Debug, Clone)]
pub(super) struct NodeName {
    pub(super) id: String,
    /// As its author wrote it.
    pub(super) label: String,
    /// As others mean it, and as models are told.
    pub(super) name: String,
}

impl NodeName {
    /// Of an input that must be there.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Option<Self> {
        let label = inputs.required_text(input);
        Some(Self::of(&inputs.node.id, label?))
    }

    pub(super) fn of(id: &str, label: String) -> Self {
        Self { id: id.to_owned(), name: name_of(&label), label }
    }
}

impl AgentContext<'_> {
    /// The node's own model, or the start's.
    fn model(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn ChatModel>> {
        if !inputs.has("model") {
            // Why the start has none may be said already.
            let is_said = !inputs.compiler.problems.is_empty() || inputs.compiler.unset.is_some();
            if self.model.is_none() && !is_said {
                inputs.refuse("model", "a chat model is required, here or at the start");
            }
            return self.model.clone();
        }
        inputs.part_as("model", Part::into_model, "a chat model")
    }
}

/// Images of the request, where that model sees them.
fn images(model: &dyn ChatModel, run: &Run<'_>) -> Vec<ContentPart> {
    if model.sees_images() { run.request.images() } else { Vec::new() }
}
