//! A server that a node has, and the tools of it that the node's author chose.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::pipedream::ClientGrant;
use crate::config::{McpServer, Secret};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::servers::ProgramSpec;
use crate::engine::contract::toolset::{ToolServer, Toolset};
use crate::engine::mcp::{ReachedServer, RemoteServer, as_models_read};
use crate::engine::provider::address::Address;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;
use crate::wire::json;

/// For the head of an answer.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is reached.
#[derive(Debug)]
pub(super) enum ServerPlace {
    /// With headers that nobody is shown.
    Remote(RemoteServer, Vec<(HeaderName, HeaderValue)>),
    Program(Arc<ProgramSpec>),
}

/// What is made of a call's result.
pub(super) type Told = fn(&Value) -> String;

/// What a node has of a server.
#[derive(Debug)]
pub(super) struct McpTools {
    place: ServerPlace,
    /// The tools that the author chose; `None`: all.
    wanted: Option<Vec<String>>,
    /// Where a failure happened, as Flowise says it.
    trouble: Option<&'static str>,
    /// What lets the gateway in, where it is asked for first.
    grant: Option<ClientGrant>,
    told: Told,
}

impl McpTools {
    pub(super) fn new(place: ServerPlace, wanted: Option<Vec<String>>) -> Self {
        Self { place, wanted, trouble: None, grant: None, told: as_models_read }
    }

    pub(super) fn with_trouble(self, trouble: &'static str) -> Self {
        Self { trouble: Some(trouble), ..self }
    }

    pub(super) fn with_grant(self, grant: ClientGrant, told: Told) -> Self {
        Self { grant: Some(grant), told, ..self }
    }

    pub(super) fn part(self) -> Part {
        Part::Tools(Toolset::server(McpToolServer(Arc::new(self))))
    }

    async fn server(&self, run: &Run<'_>) -> Result<ReachedServer<'_>, Failure> {
        match &self.place {
            ServerPlace::Remote(server, own) => {
                let mut own = own.clone();
                if let Some(grant) = &self.grant {
                    own.push((AUTHORIZATION, grant.authorization(run).await?));
                }
                Ok(ReachedServer::Remote(server.place(own, run)?))
            }
            ServerPlace::Program(program) => Ok(ReachedServer::Program(program)),
        }
    }
}

#[derive(Debug)]
struct McpToolServer(Arc<McpTools>);

impl ToolServer for McpToolServer {
    fn names(&self) -> &[String] {
        self.0.wanted.as_deref().unwrap_or_default()
    }

    fn tools<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Arc<dyn Tool>>> {
        Box::pin(async move {
            let listing = async { self.0.server(run).await?.tools(run).await };
            let listed = listing.await.map_err(|failure| match self.0.trouble {
                Some(place) if !failure.ends_run() => failure.within(place),
                _ => failure,
            })?;
            let is_wanted = |name: &str| self.0.wanted.as_ref().is_none_or(|all| all.iter().any(|one| one == name));
            let wanted = listed.iter().filter(|tool| is_wanted(&tool.spec.name));
            Ok(wanted
                .map(|tool| {
                    let (name, spec) = (tool.name.clone(), tool.spec.clone());
                    Arc::new(McpTool { tools: Arc::clone(&self.0), name, spec }) as Arc<dyn Tool>
                })
                .collect())
        })
    }
}

#[derive(Debug)]
struct McpTool {
    tools: Arc<McpTools>,
    /// As the server calls it.
    name: String,
    spec: ToolSpec,
}

impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let result = self.tools.server(run).await?.call(&self.name, arguments, run).await?;
            // A server may repeat keys that it was given.
            let text = run.watch.redactor.without_keys((self.tools.told)(&result).into());
            Ok(ToolResult { text: String::from_utf8_lossy(&text).into_owned(), ..ToolResult::default() })
        })
    }
}

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
