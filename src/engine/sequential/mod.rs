//! Flows of agents as Flowise drew them before its second generation, Agentflow V1: sequential agents, who hand on what
//! was said along the edges, and a supervisor with workers.
//!
//! [`nodes`] knows every kind of node. [`mod@compile`] makes a [`SequentialFlow`] of an export: nodes and the ways between
//! them, as [`graph`] has them. [`walk`] runs it step by step on a [`state`] that the nodes share, [`trace`] tells clients of
//! each step, and [`checkpoint`] keeps the state for a chat's next question, or until its user has said yes or no.

mod answer;
mod before;
mod changes;
mod checkpoint;
mod code;
mod compile;
mod conditions;
mod flow;
mod given;
mod graph;
mod message;
mod nodes;
mod paths;
mod prompt;
mod state;
mod structured;
#[cfg(test)]
mod tests;
mod toolbox;
mod trace;
mod visit;
mod walk;

pub(crate) use compile::compile;
#[cfg(test)]
pub(crate) use compile::names;
pub(crate) use flow::SequentialFlow;
