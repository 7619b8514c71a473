//! Chains: a model, a prompt, and what stands around them.

mod conversation;
mod llm;

use crate::engine::compile::kind::Kind;

pub(super) const KINDS: &[&dyn Kind] = &[&llm::LlmChain, &conversation::ConversationChain];

#[cfg(test)]
mod tests;
