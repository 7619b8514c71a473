//! Tools of MCP servers: of a server that the flow's author names, and of those that Flowise knows by name.

mod custom;
mod inputs;
mod packaged;
mod pipedream;
mod server;
mod supergateway;
#[cfg(test)]
mod tests;

use crate::engine::compile::kind::NodeKind;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &custom::CustomMcp,
    &custom::CustomMcpServer,
    &custom::McpToolkit,
    &packaged::GithubMcp,
    &packaged::BrowserlessMcp,
    &packaged::SlackMcp,
    &packaged::TeradataMcp,
    &packaged::BRAVE_SEARCH,
    &packaged::POSTGRES,
    &packaged::SEQUENTIAL_THINKING,
    &pipedream::PipedreamMcp,
    &supergateway::SupergatewayMcp,
];
