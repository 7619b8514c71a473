//! Servers of tools: what is kept of those that were asked, and the programs among them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use super::Task;
use super::message::ToolSpec;
use crate::config::Secret;
use crate::redact::Redactor;

/// A tool of a server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedTool {
    /// As the server calls it.
    pub(crate) name: String,
    /// As models are told of it.
    pub(crate) spec: ToolSpec,
}

/// All that the process has of servers, whichever flows use them.
pub(crate) trait ToolServers: fmt::Debug + Send + Sync {
    /// The tools that a server named a while ago; `key`: where and with what it was asked.
    fn listed(&self, key: &[u8; 32]) -> Option<Arc<[ListedTool]>>;

    fn keep(&self, key: [u8; 32], tools: &Arc<[ListedTool]>);

    /// Asks a program, which is started if it does not run. `redactor`: for what it writes to the log.
    fn ask<'a>(
        &'a self,
        program: &'a Arc<ProgramSpec>,
        method: &'static str,
        params: Value,
        redactor: &'a Arc<Redactor>,
    ) -> Task<'a, Value>;

    /// Ends all programs.
    fn stop(&self);
}

/// Shorter values are words like any other.
const SHORTEST_SECRET: usize = 8;

/// A program, as the configuration names it, with what a node's credential adds. Two that are started alike have the same key.
pub(crate) struct ProgramSpec {
    /// In the configuration.
    pub(crate) name: Arc<str>,
    pub(crate) command: String,
    pub(crate) args: Vec<Secret>,
    pub(crate) env: Vec<(String, Secret)>,
    key: [u8; 32],
}

impl fmt::Debug for ProgramSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ProgramSpec {
    pub(crate) fn new(name: &str, command: &str, args: Vec<Secret>, env: Vec<(String, Secret)>) -> Self {
        let mut context = Context::new(&SHA256);
        let mut add = |text: &str| {
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        };
        add(command);
        for arg in &args {
            add(arg.expose());
        }
        add("\0");
        for (name, value) in &env {
            add(name);
            add(value.expose());
        }
        let key = context.finish().as_ref().try_into().unwrap_or_default();
        Self { name: name.into(), command: command.to_owned(), args, env, key }
    }

    /// A text without what the program was given in confidence.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let secrets = self.args.iter().chain(self.env.iter().map(|(_, value)| value));
        let long = secrets.map(Secret::expose).filter(|secret| secret.len() >= SHORTEST_SECRET);
        long.fold(text.to_owned(), |text, secret| text.replace(secret, "[key]"))
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }
}
