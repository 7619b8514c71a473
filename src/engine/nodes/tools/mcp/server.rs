//! A server that a node has, and the tools of it that the node's author chose.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::pipedream::ClientGrant;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::contract::servers::ProgramSpec;
use crate::engine::contract::toolset::{ToolServer, Toolset};
use crate::engine::mcp::{ReachedServer, RemoteServer, as_models_read};

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
pub(super) type ResultFormat = fn(&Value) -> String;

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
    format: ResultFormat,
}

impl McpTools {
    pub(super) fn new(place: ServerPlace, wanted: Option<Vec<String>>) -> Self {
        Self { place, wanted, trouble: None, grant: None, format: as_models_read }
    }

    pub(super) fn with_trouble(self, trouble: &'static str) -> Self {
        Self { trouble: Some(trouble), ..self }
    }

    pub(super) fn with_grant(self, grant: ClientGrant, format: ResultFormat) -> Self {
        Self { grant: Some(grant), format, ..self }
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
            let text = run.watch.redactor.without_keys((self.tools.format)(&result).into());
            Ok(ToolResult { text: String::from_utf8_lossy(&text).into_owned(), ..ToolResult::default() })
        })
    }
}
