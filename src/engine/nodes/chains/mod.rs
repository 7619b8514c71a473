//! Chains: a model, a prompt, and what stands around them.

mod api;
mod conversation;
mod cypher;
mod llm;
mod openapi;
mod router;
mod sql;

use crate::engine::compile::kind::NodeKind;

pub(super) use llm::mending;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &llm::LlmChain,
    &conversation::ConversationChain,
    &router::PromptRetriever,
    &router::MULTI_PROMPT,
    &router::MULTI_RETRIEVAL,
    &api::GET,
    &api::POST,
    &openapi::OpenApiChain,
    &sql::SqlDatabaseChain,
    &cypher::GraphCypherChain,
];

#[cfg(test)]
mod tests;
