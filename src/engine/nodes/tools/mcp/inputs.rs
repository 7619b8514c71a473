//! What inputs, credentials and the configuration say of a server.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::server::{PATIENCE, ServerPlace};
use crate::config::{McpServer, Secret};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::servers::ProgramSpec;
use crate::engine::contract::toolset::Toolset;
use crate::engine::mcp::RemoteServer;
use crate::engine::provider::address::Address;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;
use crate::wire::json;

/// The tools that the author chose, in a list or in one as a text; what is none of both is nothing, as in Flowise.
pub(super) fn actions(inputs: &mut Inputs<'_, '_, '_>) -> Vec<String> {
    let list = match inputs.value("mcpActions") {
        Some(Value::String(text)) => json::read_str(&text).unwrap_or_default(),
        value => value.unwrap_or_default(),
    };
    let names = list.as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `Authorization`, whose value is not shown.
pub(super) fn authorization(value: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<(HeaderName, HeaderValue)> {
    let value = secret_header(value).map_err(|error| inputs.refuse("credential", error)).ok()?;
    Some((AUTHORIZATION, value))
}

/// A server at an address that Flowise or the flow's author gives.
pub(super) fn remote(
    input: &str,
    url: &Mustache,
    headers: Vec<(HeaderName, Mustache)>,
    own: Vec<(HeaderName, HeaderValue)>,
    inputs: &mut Inputs<'_, '_, '_>,
) -> Option<ServerPlace> {
    match Address::read(url, &inputs.compiler.context.targets, PATIENCE) {
        Ok(address) => {
            inputs.look_at(&address.endpoint);
            Some(ServerPlace::Remote(RemoteServer { address, headers }, own))
        }
        Err(error) => {
            inputs.refuse_address(input, &url.written(), error);
            None
        }
    }
}

/// What the configuration says of a server.
pub(super) fn configured(name: &str, inputs: &Inputs<'_, '_, '_>) -> Option<McpServer> {
    inputs.compiler.context.mcp_servers.get(name).cloned()
}

/// Where a configured server is; `env` and `args` are what a credential adds, where the operator did not.
pub(super) fn place_of(
    name: &str,
    server: McpServer,
    env: Vec<(String, Secret)>,
    args: Vec<Secret>,
    own: Vec<(HeaderName, HeaderValue)>,
    inputs: &mut Inputs<'_, '_, '_>,
) -> Option<ServerPlace> {
    match server {
        McpServer::Program { command, args: given, env: set } => {
            let added = env.into_iter().filter(|(name, _)| !set.iter().any(|(known, _)| known == name));
            let env = set.iter().cloned().chain(added).collect();
            let args = given.into_iter().map(Secret::new).chain(args).collect();
            Some(ServerPlace::Program(Arc::new(ProgramSpec::new(name, &command, args, env))))
        }
        McpServer::Remote { url, headers } => {
            let address = Address::of_operator(&url, &inputs.compiler.context.targets, PATIENCE);
            let address = address.map_err(|error| inputs.compiler.of_node(inputs.node, None, error)).ok()?;
            let mut all = Vec::with_capacity(headers.len());
            for (header, value) in headers {
                let value = secret_header(value.expose());
                all.push((header, value.map_err(|error| inputs.compiler.of_node(inputs.node, None, error)).ok()?));
            }
            let added: Vec<_> = own.into_iter().filter(|(name, _)| !all.iter().any(|(set, _)| set == name)).collect();
            all.extend(added);
            Some(ServerPlace::Remote(RemoteServer { address, headers: Vec::new() }, all))
        }
    }
}

/// A node whose server the configuration does not name: it has no tools, and a gateway does not take its flow.
pub(super) fn unnamed(name: &str, example: &str, inputs: &mut Inputs<'_, '_, '_>) -> Part {
    let need = Need::McpServer { name: name.to_owned(), example: example.to_owned() };
    inputs.compiler.miss(inputs.node, need);
    Part::Tools(Toolset::default())
}
