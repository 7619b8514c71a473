//! Tools: what a model may call.

mod arguments;
mod arithmetic;
mod aws;
mod calculator;
mod chain;
mod clock;
mod composio;
mod custom;
mod fitted;
mod flows;
#[cfg(test)]
mod fuzz;
mod json_path;
pub(super) mod mcp;
pub(super) mod office;
mod openapi;
pub(super) mod requests;
pub(super) mod search;
mod stripe;
pub(super) mod web;

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
    &composio::Composio,
    &stripe::StripeAgent,
    &json_path::JsonPathExtractor,
    &aws::AwsSns,
    &aws::AwsDynamoTexts,
];

#[cfg(test)]
mod tests;
