//! The Model Context Protocol, as a client: which tools a server has, and calls of them. Over HTTP, over the event streams
//! of the protocol's first version, and with programs on this machine that the configuration names.

mod content;
#[cfg(test)]
pub(crate) mod lab;
mod listed;
mod message;
mod programs;
mod remote;
#[cfg(test)]
mod tests;

pub(crate) use content::as_models_read;
pub(crate) use remote::{RemoteServer, RemoteTarget};

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::listed::ListedTools;
use self::programs::Programs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::contract::servers::{ListedTool, ProgramSpec, ToolServers};
use crate::redact::Redactor;
use crate::telemetry::metrics::Metrics;

/// For one request, as Flowise waits.
const PATIENCE: Duration = Duration::from_mins(1);

/// See [`ToolServers`].
#[derive(Debug)]
pub(crate) struct McpState {
    lists: ListedTools,
    programs: Programs,
}

impl McpState {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        Self { lists: ListedTools::default(), programs: Programs::new(metrics) }
    }
}

impl ToolServers for McpState {
    fn listed(&self, key: &[u8; 32]) -> Option<Arc<[ListedTool]>> {
        self.lists.get(key)
    }

    fn keep(&self, key: [u8; 32], tools: &Arc<[ListedTool]>) {
        self.lists.put(key, tools);
    }

    fn ask<'a>(
        &'a self,
        program: &'a Arc<ProgramSpec>,
        method: &'static str,
        params: Value,
        redactor: &'a Arc<Redactor>,
    ) -> Task<'a, Value> {
        Box::pin(async move { Ok(self.programs.ask(program, method, params, redactor).await?) })
    }

    fn stop(&self) {
        self.programs.stop();
    }
}

/// A server, as a request reaches it.
#[derive(Debug)]
pub(crate) enum ReachedServer<'a> {
    Remote(RemoteTarget<'a>),
    Program(&'a Arc<ProgramSpec>),
}

impl ReachedServer<'_> {
    /// Its tools, as it told a while ago.
    ///
    /// # Errors
    /// Why it does not say.
    pub(crate) async fn tools(&self, run: &Run<'_>) -> Result<Arc<[ListedTool]>, Failure> {
        let servers = &*run.services.servers;
        let key = match self {
            Self::Remote(place) => place.key(),
            Self::Program(program) => *program.key(),
        };
        if let Some(tools) = servers.listed(&key) {
            return Ok(tools);
        }
        let asked = match self {
            Self::Remote(place) => place.list(run).await,
            Self::Program(program) => {
                let ask = async |params| servers.ask(program, "tools/list", params, &run.watch.redactor).await;
                listed::all_pages(ask, run).await
            }
        };
        let tools: Arc<[ListedTool]> = self.counted(run, asked)?.into();
        servers.keep(key, &tools);
        Ok(tools)
    }

    /// What a call of a tool gives, as JSON of the protocol.
    ///
    /// # Errors
    /// It was not called, or the server says that it cannot be.
    pub(crate) async fn call(&self, tool: &str, arguments: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        run.budget().check()?;
        let params = json!({ "name": tool, "arguments": arguments });
        let result = match self {
            Self::Remote(place) => place.call(params, run).await,
            Self::Program(program) => {
                run.services.servers.ask(program, "tools/call", params, &run.watch.redactor).await
            }
        };
        self.counted(run, result)
    }

    fn counted<T>(&self, run: &Run<'_>, result: Result<T, Failure>) -> Result<T, Failure> {
        let transport = match self {
            Self::Remote(_) => "http",
            Self::Program(_) => "program",
        };
        let what = result.as_ref().map_or_else(Failure::kind, |_| "ok");
        run.services.metrics.engine.mcp_requests.with_label_values(&[transport, what]).inc();
        result
    }
}
