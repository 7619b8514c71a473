//! Agents: models that call tools until they have an answer.

mod conversational;
mod react;
mod tool_agent;
mod work;
mod xml;

use crate::engine::compile::kind::NodeKind;

pub(crate) use tool_agent::without_broken_images;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &tool_agent::ToolAgent,
    &tool_agent::EarlierToolAgent,
    &tool_agent::RetrievalAgent,
    &tool_agent::RetrievalToolAgent,
    &conversational::ConversationalAgent,
    &react::ReActAgentChat,
    &react::ReActAgentLlm,
    &xml::XmlAgent,
];
