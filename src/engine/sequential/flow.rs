//! A flow of agents that is loaded.

use std::sync::Arc;

use super::code::StateCode;
use super::graph::AgentGraph;
use super::state::Channels;
use crate::engine::contract::history::Memory;
use crate::engine::contract::model::ChatModel;
use crate::engine::nodes::moderation::Moderations;

/// How its agents are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowForm {
    /// Along the edges.
    Sequence,
    /// A supervisor says who of the workers is next.
    Team,
}

/// What its agents share beside their messages.
#[derive(Debug)]
pub(super) enum StateDefinition {
    Table(Channels),
    Code(StateCode),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SequentialFlow {
    pub(super) form: FlowForm,
    pub(super) graph: AgentGraph,
    pub(super) state: StateDefinition,
    pub(super) moderations: Moderations,
    /// Its state is kept for the chat's next question.
    pub(super) keeps_state: bool,
    /// What was said before, where texts show it; by the label of the memory, if there is one.
    pub(super) history: Memory,
    /// Steps that it may take, its start counted.
    pub(super) most_steps: u64,
    /// The start's model, which asks the user.
    pub(super) model: Arc<dyn ChatModel>,
    /// What its nodes are missing, in Flowise's words: every request fails.
    pub(super) unready: Option<String>,
    /// Names of its nodes, as their author wrote them and as they are meant.
    pub(super) labels: Vec<(String, String)>,
}

impl SequentialFlow {
    /// Whether something of its chats is kept.
    pub(crate) fn remembers(&self) -> bool {
        self.keeps_state || self.may_wait()
    }

    /// Whether it may ask its user.
    pub(super) fn may_wait(&self) -> bool {
        self.graph.nodes.iter().any(|node| node.waits)
    }

    /// What the author calls the node of that name.
    pub(super) fn label_of(&self, name: &str) -> Option<String> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, label)| label.clone())
    }
}

/// How nodes mean each other.
pub(super) fn name_of(label: &str) -> String {
    let is_space = crate::engine::text::javascript::is_space;
    label.to_lowercase().replace(is_space, "_")
}
