//! Every kind of node of the second generation, one file a family. A new node touches its file and [`KINDS`].

mod agent;
mod body;
mod choices;
mod flows;
mod function;
mod http;
mod human;
mod llm;
mod loops;
mod replies;
mod retriever;
mod speaker;
mod start;
mod tool;

pub(super) use self::agent::asks_first;

use super::step::StepKind;

const KINDS: &[&dyn StepKind] = &[
    &start::Start,
    &llm::LlmNode,
    &agent::AgentNode,
    &choices::Condition,
    &choices::ConditionAgent,
    &loops::Loop,
    &loops::IterationNode,
    &replies::DirectReply,
    &human::HumanInput,
    &http::Http,
    &tool::ToolNode,
    &flows::ExecuteFlow,
    &function::CustomFunctionNode,
    &retriever::RetrieverNode,
];

/// The kind of that name.
pub(super) fn find(name: &str) -> Option<&'static dyn StepKind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name())
}
