//! What building a flow needs beside the flow, and what of it is not there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::problem::printable;
use super::unset::UnsetField;
use crate::config::{EngineLimits, McpServer, ScriptSettings, Secret};
use crate::engine::documents::stores::DocumentStores;
use crate::engine::provider::Targets;

/// What Flowise keeps in its credential store, by the credential's name and the field's.
pub(crate) type Credentials = HashMap<String, HashMap<String, Secret>>;

/// What building needs beside the flow.
#[derive(Debug)]
pub(crate) struct CompileContext {
    pub(crate) credentials: Credentials,
    pub(crate) targets: Arc<Targets>,
    pub(crate) stores: Arc<DocumentStores>,
    /// What one run may take.
    pub(crate) limits: EngineLimits,
    /// What code of a flow's author may take; `None`: none runs.
    pub(crate) scripts: Option<Arc<ScriptSettings>>,
    /// Servers of tools that the configuration names.
    pub(crate) mcp_servers: BTreeMap<String, McpServer>,
}

impl CompileContext {
    pub(crate) fn new(credentials: Credentials, targets: Targets) -> Self {
        let (targets, scripts) = (Arc::new(targets), Some(Arc::default()));
        let (stores, limits, mcp_servers) = (Arc::default(), EngineLimits::default(), BTreeMap::new());
        Self { credentials, targets, stores, limits, scripts, mcp_servers }
    }

    pub(crate) fn with_limits(self, limits: EngineLimits) -> Self {
        Self { limits, ..self }
    }

    pub(crate) fn with_scripts(self, scripts: Option<Arc<ScriptSettings>>) -> Self {
        Self { scripts, ..self }
    }

    pub(crate) fn with_mcp_servers(self, mcp_servers: BTreeMap<String, McpServer>) -> Self {
        Self { mcp_servers, ..self }
    }

    pub(crate) fn with_stores(self, stores: Arc<DocumentStores>) -> Self {
        Self { stores, ..self }
    }

    /// A field of a credential: of the one that was chosen, by Flowise's id, else of the one with that name.
    pub(crate) fn credential(&self, chosen: Option<&str>, name: &str, field: &str) -> Option<Secret> {
        let chosen = chosen.and_then(|id| self.credentials.get(id)?.get(field));
        let found = chosen.or_else(|| self.credentials.get(name)?.get(field));
        found.filter(|secret| !secret.expose().is_empty()).cloned()
    }

    /// Whether what is built with one is as if built with the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.credentials, &self.limits) == (&other.credentials, &other.limits)
            && (&self.scripts, &self.mcp_servers) == (&other.scripts, &other.mcp_servers)
            && self.targets.is_like(&other.targets)
            && self.stores.is_read_from(&other.stores)
    }
}

/// What a node asks for beside its flow and does not get. It is loaded without, and fails when it needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Missing {
    /// The node's id.
    pub(crate) node: String,
    pub(crate) label: String,
    pub(crate) need: Need,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Need {
    /// A field of a credential that the configuration does not have.
    Credential { name: String, field: String },
    /// A file that nobody chose; `path`: one that Flowise kept on its own disk, as it is looked for in the engine's folder.
    File { field: UnsetField, path: Option<String> },
    /// A host of this machine or its network that the configuration does not allow to be called.
    Network { host: String },
    /// Another flow, by Flowise's id or its file's name; whether the engine has it is known once all flows are loaded.
    Flow { name: String },
    /// A document store that no file brings along; `None`: nobody chose one.
    Store { name: Option<String> },
    /// A custom tool that no file brings along, by Flowise's id.
    Tool { id: String },
    /// A setting that its author left empty, for whoever takes the flow, or a connection that was not drawn.
    Setting(UnsetField),
    /// A server of tools that the configuration does not name, and how it would. A gateway does not take such a flow:
    /// what is run on its machine is its operator's decision.
    McpServer { name: String, example: String },
}

impl Need {
    /// Why a gateway does not take a flow that needs it; `None`: it does, and the node fails.
    pub(crate) fn refusal(&self) -> Option<String> {
        let Self::McpServer { name, example } = self else { return None };
        Some(format!(
            "it needs an MCP server that only the configuration can name: engine.mcp.servers: {{ {name}: {example} }}"
        ))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential { name, field } => write!(f, "credential {name}.{field}"),
            Self::File { field, path: None } => write!(f, "a file in {field}"),
            Self::File { path: Some(path), .. } => write!(f, "the files of {}", printable(path)),
            Self::Network { host } => write!(f, "allow_networks for {host}"),
            Self::Flow { name } => write!(f, "flow {}", printable(name)),
            Self::Store { name: Some(name) } => write!(f, "document store \"{}\"", printable(name)),
            Self::Setting(field) if field.wants.is_empty() => field.fmt(f),
            Self::Setting(field) => write!(f, "{} connected to {field}", field.wants),
            Self::Tool { id } => write!(f, "custom tool {}", printable(id)),
            Self::Store { name: None } => f.write_str("a document store"),
            Self::McpServer { name, .. } => write!(f, "engine.mcp.servers.{name}"),
        }
    }
}
