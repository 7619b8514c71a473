//! Chains: a model, a prompt, and what stands around them.

mod conversation;
mod llm;

use crate::engine::compile::kind::NodeKind;

pub(super) const KINDS: &[&dyn NodeKind] = &[&llm::LlmChain, &conversation::ConversationChain];

#[cfg(test)]
mod tests;
