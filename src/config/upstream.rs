//! What answers chatflows, as it is configured.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use super::http_url::{HttpUrl, UpstreamUrl};
use super::secret::Secret;

/// What answers chatflows.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    pub name: Arc<str>,
    pub kind: UpstreamKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamKind {
    Flowise(Flowise),
    Engine(Engine),
    /// The built-in flow behind `flowgate demo`; no configuration file can name it.
    Demo,
}

impl UpstreamKind {
    /// As people are told of it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Flowise(_) => "flowise",
            Self::Engine(_) => "engine",
            Self::Demo => "demo",
        }
    }
}

/// The built-in engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    /// Where exported flows are: `FILE.json` answers the chatflow `FILE`.
    pub flows_dir: PathBuf,
    /// Threads that compute flows.
    pub threads: NonZeroUsize,
    /// What Flowise keeps in its credential store: by the credential's name and the field's.
    pub credentials: HashMap<String, HashMap<String, Secret>>,
    /// What tools and HTTP nodes may call beside the open internet.
    pub allow_networks: Vec<IpNet>,
    /// Servers that are asked somewhere else than nodes and flows say.
    pub(crate) addresses: Vec<(UpstreamUrl, HttpUrl)>,
    pub limits: EngineLimits,
    /// `None`: code in flows does not run.
    pub scripts: Option<Arc<ScriptSettings>>,
    /// Servers of tools that flows may use beside those that they name by a URL.
    pub mcp_servers: BTreeMap<String, McpServer>,
}

/// Code that authors of flows wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSettings {
    /// Bytes that one script may hold.
    pub memory: usize,
    /// Time of the processor that one may take.
    pub compute: Duration,
    /// From its beginning to its value.
    pub time: Duration,
    /// Packages that it may require, beside those that reach nothing.
    pub modules: Arc<[Box<str>]>,
    /// Whether statements that it sends to databases may change them.
    pub writes: bool,
}

/// The packages that there are.
pub(crate) const SCRIPT_MODULES: &[&str] = &["axios", "lodash", "moment", "node-fetch", "pg", "typeorm", "uuid"];

impl Default for ScriptSettings {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            compute: Duration::from_millis(250),
            time: Duration::from_secs(30),
            modules: SCRIPT_MODULES.iter().map(|name| Box::from(*name)).collect(),
            writes: false,
        }
    }
}

/// A server of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpServer {
    /// A program on this machine.
    Program { command: String, args: Vec<String>, env: Vec<(String, Secret)> },
    /// Anywhere, this machine included.
    Remote { url: String, headers: Vec<(HeaderName, Secret)> },
}

impl McpServer {
    /// What it is given in confidence.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let (env, headers) = match self {
            Self::Program { env, .. } => (env.as_slice(), [].as_slice()),
            Self::Remote { headers, .. } => ([].as_slice(), headers.as_slice()),
        };
        env.iter().map(|(_, value)| value).chain(headers.iter().map(|(_, value)| value))
    }
}

/// What one run of a flow may take, with everything that runs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    pub time: Duration,
    /// Nodes run.
    pub steps: u64,
    pub model_calls: u64,
    pub tool_calls: u64,
    /// Bytes of what it holds.
    pub text: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { time: Duration::from_mins(10), steps: 10_000, model_calls: 200, tool_calls: 200, text: 32 << 20 }
    }
}

/// One Flowise, or several that share a database.
#[derive(Debug, Clone, PartialEq)]
pub struct Flowise {
    /// At least one.
    pub urls: Vec<UpstreamUrl>,
    /// Flowise's own key, from `api_key` or `api_key_file`; `None` when empty or absent.
    pub api_key: Option<Secret>,
    /// PEM bundle that replaces the system's roots for `https` URLs: its path and content.
    pub ca: Option<(PathBuf, Arc<[u8]>)>,
    pub connect_timeout: Duration,
    /// To the first response byte.
    pub response_timeout: Duration,
    /// Silence inside a stream.
    pub stream_idle_timeout: Duration,
    /// Header fields of clients that go on to it, beside those that always do.
    pub pass_headers: Vec<HeaderName>,
    /// `None`: none but what connections show.
    pub health: Option<Arc<HealthCheck>>,
    /// How long a server that has come back takes to be given as much as the others; zero: at once.
    pub slow_start: Duration,
    /// How often names in `urls` are looked up.
    pub dns_refresh: Duration,
}

/// How servers are checked, whether somebody asks them or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub path: Box<str>,
    pub interval: Duration,
    /// For one check, all in all.
    pub timeout: Duration,
    /// Checks in a row until a server is healthy again, and until it no longer is.
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            // Flowise's own: open, and answered without its database.
            path: "/api/v1/ping".into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
        }
    }
}
