//! `LlamaIndex`'s engines: chats and queries over documents. Its vector stores bring their model along.

mod agents;
mod chat;
mod query;
mod questions;
mod stores;
#[cfg(test)]
pub(super) mod testing;

use std::sync::Arc;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::node::{Document, Reply, Retriever};

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &chat::SIMPLE,
    &chat::CONTEXT,
    &query::QueryEngine,
    &query::COMPACT_AND_REFINE,
    &query::REFINE,
    &query::TREE_SUMMARIZE,
    &query::SIMPLE_RESPONSE_BUILDER,
    &questions::QueryEngineTool,
    &questions::SubQuestionQueryEngine,
    &stores::OPENAI_EMBEDDING,
    &stores::AZURE_EMBEDDING,
    &stores::PineconeIndex,
    &stores::SimpleStore,
    &agents::OPENAI_AGENT,
    &agents::ANTHROPIC_AGENT,
];

/// Documents, and the model that its author chose for them: what a vector store of this family is.
#[derive(Debug)]
pub(crate) struct IndexRetriever {
    pub(crate) retriever: Arc<dyn Retriever>,
    pub(crate) model: Arc<dyn ChatModel>,
}

fn index(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<IndexRetriever>> {
    if !inputs.has("vectorStoreRetriever") {
        inputs.refuse("vectorStoreRetriever", "a retriever is required");
        return None;
    }
    inputs.own("vectorStoreRetriever", "a retriever of LlamaIndex")
}

/// An answer, with what it comes from if that is told.
fn reply(text: String, sources: Option<&[Document]>) -> Reply {
    let mut reply = Reply::text(text);
    if let Some(sources) = sources {
        reply.fields.insert("sourceDocuments".to_owned(), sources.iter().map(Document::to_json).collect());
    }
    reply
}

/// Texts of documents, one below the other.
fn joined(found: &[Document]) -> String {
    found.iter().map(|document| document.text.as_str()).collect::<Vec<_>>().join("\n\n")
}
