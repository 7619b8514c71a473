//! What nodes of the first generation become, by what others may use them for.

use std::any::Any;
use std::sync::Arc;

use super::unset::Unset;
use crate::engine::contract::cache::{AnswerStore, CachedModel};
use crate::engine::contract::history::Memory;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::node::{
    Chain, ChainRoute, DocumentSource, Embeddings, Moderation, OutputParser, Retriever, Splitter, Tool, ValueSource,
    VectorStore,
};
use crate::engine::contract::prompt::Prompt;
use crate::engine::contract::toolset::Toolset;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Model(Arc<dyn ChatModel>),
    Prompt(Arc<Prompt>),
    Memory(Arc<Memory>),
    Parser(Arc<dyn OutputParser>),
    Moderation(Arc<dyn Moderation>),
    Embeddings(Arc<dyn Embeddings>),
    Splitter(Arc<dyn Splitter>),
    Documents(Arc<dyn DocumentSource>),
    Retriever(Arc<dyn Retriever>),
    VectorStore(Arc<dyn VectorStore>),
    /// One tool, or those of a toolkit or of a server.
    Tools(Toolset),
    Chain(Arc<dyn Chain>),
    /// What a chain may choose of several.
    Route(Arc<ChainRoute>),
    /// What only nodes of its own family know.
    Own(Arc<dyn Any + Send + Sync>),
    /// What keeps answers of models.
    Cache(Arc<dyn AnswerStore>),
    /// What other nodes' texts refer to.
    Value(Arc<dyn ValueSource>),
    /// None of these, since nothing stands in one of its settings.
    Unset(Arc<Unset>),
}

impl Part {
    pub(crate) fn into_model(self) -> Option<Arc<dyn ChatModel>> {
        if let Self::Model(model) = self { Some(model) } else { None }
    }

    pub(crate) fn into_prompt(self) -> Option<Arc<Prompt>> {
        if let Self::Prompt(prompt) = self { Some(prompt) } else { None }
    }

    pub(crate) fn into_memory(self) -> Option<Arc<Memory>> {
        if let Self::Memory(memory) = self { Some(memory) } else { None }
    }

    pub(crate) fn into_parser(self) -> Option<Arc<dyn OutputParser>> {
        if let Self::Parser(parser) = self { Some(parser) } else { None }
    }

    pub(crate) fn into_moderation(self) -> Option<Arc<dyn Moderation>> {
        if let Self::Moderation(moderation) = self { Some(moderation) } else { None }
    }

    pub(crate) fn into_embeddings(self) -> Option<Arc<dyn Embeddings>> {
        if let Self::Embeddings(embeddings) = self { Some(embeddings) } else { None }
    }

    pub(crate) fn into_splitter(self) -> Option<Arc<dyn Splitter>> {
        if let Self::Splitter(splitter) = self { Some(splitter) } else { None }
    }

    pub(crate) fn into_documents(self) -> Option<Arc<dyn DocumentSource>> {
        if let Self::Documents(documents) = self { Some(documents) } else { None }
    }

    pub(crate) fn into_retriever(self) -> Option<Arc<dyn Retriever>> {
        match self {
            Self::Retriever(retriever) => Some(retriever),
            Self::VectorStore(store) => Some(store),
            Self::Route(route) => route.documents(),
            _ => None,
        }
    }

    /// A store without a chosen output is either.
    pub(crate) fn into_vector_store(self) -> Option<Arc<dyn VectorStore>> {
        match self {
            Self::VectorStore(store) => Some(store),
            Self::Retriever(retriever) => retriever.store(),
            _ => None,
        }
    }

    pub(crate) fn tool(tool: impl Tool + 'static) -> Self {
        Self::tools([Arc::new(tool) as Arc<dyn Tool>])
    }

    pub(crate) fn tools(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        Self::Tools(Toolset::known(tools))
    }

    pub(crate) fn into_tools(self) -> Option<Toolset> {
        if let Self::Tools(tools) = self { Some(tools) } else { None }
    }

    pub(crate) fn into_value(self) -> Option<Arc<dyn ValueSource>> {
        match self {
            Self::Value(source) => Some(source),
            Self::Unset(unset) => Some(unset),
            _ => None,
        }
    }

    pub(crate) fn into_route(self) -> Option<Arc<ChainRoute>> {
        match self {
            Self::Route(route) => Some(route),
            // A store that nobody has named, which JavaScript calls so.
            Self::Retriever(found) => Some(ChainRoute::unnamed(found.store()?)),
            Self::VectorStore(store) => Some(ChainRoute::unnamed(store)),
            _ => None,
        }
    }

    pub(crate) fn into_own<T: Any + Send + Sync>(self) -> Option<Arc<T>> {
        if let Self::Own(own) = self { own.downcast().ok() } else { None }
    }

    /// A model's answers are kept there. Every model has a place for a cache, and need not know.
    pub(crate) fn keeping(self, cache: Option<Arc<dyn AnswerStore>>) -> Self {
        match (self, cache) {
            (Self::Model(model), Some(cache)) => Self::Model(Arc::new(CachedModel { model, cache })),
            (part, _) => part,
        }
    }

    pub(crate) fn into_cache(self) -> Option<Arc<dyn AnswerStore>> {
        if let Self::Cache(cache) = self { Some(cache) } else { None }
    }

    pub(crate) fn into_chain(self) -> Option<Arc<dyn Chain>> {
        match self {
            Self::Chain(chain) => Some(chain),
            Self::Unset(unset) => Some(unset),
            _ => None,
        }
    }
}
