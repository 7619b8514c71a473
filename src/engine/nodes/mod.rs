//! Every kind of node of the first generation: one file a family. A new node touches its file and [`KINDS`].

pub(crate) mod agents;
pub(crate) mod caches;
pub(crate) mod chains;
pub(crate) mod embeddings;
pub(crate) mod engines;
pub(crate) mod files;
pub(crate) mod graphs;
mod links;
pub(crate) mod memory;
pub(crate) mod moderation;
pub(crate) mod parsers;
pub(crate) mod prompts;
mod redis;
mod references;
pub(crate) mod retrieval;
pub(crate) mod tools;
pub(crate) mod utilities;
mod words;

use super::compile::kind::NodeKind;

/// All but the models, by family.
pub(crate) const KINDS: &[&[&dyn NodeKind]] = &[
    agents::KINDS,
    caches::KINDS,
    chains::KINDS,
    embeddings::KINDS,
    engines::KINDS,
    graphs::KINDS,
    memory::KINDS,
    moderation::KINDS,
    parsers::KINDS,
    prompts::KINDS,
    retrieval::chains::KINDS,
    retrieval::coded::KINDS,
    retrieval::databases::KINDS,
    retrieval::document_store::KINDS,
    retrieval::loaders::files::KINDS,
    retrieval::loaders::folder::KINDS,
    retrieval::loaders::services::KINDS,
    retrieval::loaders::web::KINDS,
    retrieval::records::KINDS,
    retrieval::retrievers::KINDS,
    retrieval::splitters::KINDS,
    retrieval::stores::KINDS,
    retrieval::tool::KINDS,
    tools::KINDS,
    tools::mcp::KINDS,
    tools::office::KINDS,
    tools::search::KINDS,
    tools::web::KINDS,
    utilities::KINDS,
    #[cfg(test)]
    engines::testing::KINDS,
    #[cfg(test)]
    retrieval::testing::KINDS,
    #[cfg(test)]
    super::testing::KINDS,
];
