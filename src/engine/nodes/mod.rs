//! Every kind of node of the first generation: one trait, one file a family. A new node touches its file and [`KINDS`].

pub(crate) mod agents;
pub(crate) mod chains;
pub(crate) mod embeddings;
pub(crate) mod files;
pub(crate) mod memory;
pub(crate) mod moderation;
pub(crate) mod parsers;
pub(crate) mod prompts;
pub(crate) mod retrieval;
pub(crate) mod tools;
pub(crate) mod utilities;

use super::models;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::part::Part;

/// A kind of node.
pub(crate) trait Kind: Sync {
    /// Flowise's names of it, such as `chatOpenAI`.
    fn names(&self) -> &'static [&'static str];

    /// Makes the part; what is wrong is told to the inputs.
    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part>;
}

/// All but the models.
const KINDS: &[&[&dyn Kind]] = &[
    agents::KINDS,
    chains::KINDS,
    embeddings::KINDS,
    memory::KINDS,
    moderation::KINDS,
    parsers::KINDS,
    prompts::KINDS,
    tools::KINDS,
    utilities::KINDS,
    #[cfg(test)]
    super::testing::KINDS,
];

/// The kind of that name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Kind> {
    let all = KINDS.iter().chain(retrieval::KINDS).copied().chain([models::kinds()]).flatten();
    all.copied().find(|kind| kind.names().contains(&name))
}

/// Notes of whoever drew the flow.
pub(crate) fn is_note(name: &str) -> bool {
    matches!(name, "stickyNote" | "stickyNoteAgentflow")
}
