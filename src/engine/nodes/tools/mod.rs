//! Tools: what a model may call.

mod arguments;
mod arithmetic;
mod calculator;
mod chain;
mod clock;
mod custom;
mod flows;
#[cfg(test)]
mod fuzz;
pub(super) mod mcp;
mod openapi;
mod requests;

use crate::engine::compile::kind::NodeKind;

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &calculator::Calculator,
    &chain::ChainTool,
    &clock::CurrentDateTime,
    &custom::CustomTool,
    &flows::CHATFLOW,
    &flows::AGENTFLOW,
    &requests::GET,
    &requests::POST,
    &requests::PUT,
    &requests::DELETE,
    &openapi::OpenApiToolkit,
];

#[cfg(test)]
mod tests;
