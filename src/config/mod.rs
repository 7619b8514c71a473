//! The settings the program runs on, resolved from the YAML file.
//!
//! [`Config::load`] reads the file (`file.rs`: the YAML as written), expands `${NAME}` (`expand.rs`), resolves and
//! validates (`resolve.rs`) and reports every problem at once with file, line, column and field (`error.rs`).
//! Nothing in here knows sockets, requests or TLS.

pub(crate) mod content;
mod error;
mod expand;
mod file;
pub(crate) mod load;
pub mod origin;
pub mod override_rules;
mod part;
pub(crate) mod resolve;
mod secret;
pub(crate) mod units;
pub(crate) mod yaml;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

pub use error::{Problem, Problems};
pub use origin::{OriginError, Origins};
pub(crate) use part::ConfigPart;
pub use secret::{Secret, SecretFile};

/// Whether JavaScript gives a name a meaning of its own; Flowise would not take it for a plain field.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(name, "__proto__" | "constructor" | "prototype")
}

/// Everything the configuration file says, resolved: defaults applied, names looked up, paths absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file all of this was read from.
    pub path: PathBuf,
    pub server: Server,
    pub admin: Admin,
    pub log: Log,
    /// At least one; a [`Chatflow`] names its own by index.
    pub upstreams: Vec<Upstream>,
    pub keys_file: PathBuf,
    /// `default` and `anonymous` are always there.
    pub plans: Vec<Plan>,
    /// Named chatflows, in the file's order.
    pub chatflows: Vec<Arc<Chatflow>>,
    /// The chatflow called `*`: stands for every UUID that has no entry of its own.
    pub wildcard: Option<Arc<Chatflow>>,
    /// Browsers of other origins, where a chatflow says nothing else.
    pub cors: Cors,
    /// `None`: wrong keys are not counted.
    pub auth_failures: Option<AuthFailures>,
    /// Where counts that must survive a restart are kept.
    pub state_dir: PathBuf,
    /// Keys the hash that keeps callers' chats apart; `None`: Flowise's id of the chatflow does.
    pub session_secret: Option<Secret>,
    /// That file as it was read.
    pub source: SecretFile,
    /// Further files this configuration was read from (`api_key_file`, `ca_file`), to be watched.
    pub secret_files: Vec<SecretFile>,
}

impl Config {
    /// Whether it is that of `flowgate demo`.
    pub(crate) fn is_demo(&self) -> bool {
        self.upstreams.iter().any(|upstream| matches!(upstream.kind, UpstreamKind::Demo))
    }

    /// Whether a file or folder is known and read elsewhere, by whoever needs what is in it.
    fn names(&self, path: &Path) -> bool {
        let tls = self.server.tls.as_ref();
        let certificates = tls.into_iter().flat_map(|tls| [&tls.cert_file, &tls.key_file]);
        let authority = tls.and_then(|tls| tls.client_ca_file.as_ref());
        let folders = self.upstreams.iter().filter_map(|upstream| match &upstream.kind {
            UpstreamKind::Engine(engine) => Some(&engine.flows_dir),
            _ => None,
        });
        certificates.chain(authority).chain(folders).any(|known| *known == path)
    }
}

/// The public listener and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Cleartext listener; `None` serves TLS only.
    pub listen: Option<SocketAddr>,
    pub tls: Option<Tls>,
    pub workers: NonZeroUsize,
    /// Peers whose `X-Forwarded-For` / `Forwarded` is believed.
    pub trusted_proxies: Vec<IpNet>,
    pub max_connections: usize,
    /// Connections at once of one address (IPv6: a /64) that is no trusted proxy; `None`: as many as there are.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Bytes of a JSON body; 413 above it.
    pub max_body: u64,
    /// Bytes of a multipart body.
    pub max_upload: u64,
    pub max_header_bytes: usize,
    pub header_timeout: Duration,
    /// Longest wait for the next byte of a body.
    pub body_timeout: Duration,
    /// Longest wait for a whole body.
    pub body_time: Duration,
    /// Bytes a second, after the first seconds; `None`: as slow as it may be.
    pub min_body_rate: Option<NonZeroU64>,
    pub send_timeout: Duration,
    pub idle_timeout: Duration,
    pub shutdown_grace: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls: None,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            trusted_proxies: Vec::new(),
            max_connections: 10_000,
            connections_per_address: NonZeroUsize::new(1000),
            max_body: 1 << 20,
            max_upload: 20 << 20,
            max_header_bytes: 32 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_time: Duration::from_mins(5),
            min_body_rate: NonZeroU64::new(1 << 10),
            send_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(75),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

/// The TLS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub listen: SocketAddr,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// Set: a client certificate signed by one of these is required.
    pub client_ca_file: Option<PathBuf>,
}

/// The admin listener: `/metrics`, `/livez`, `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    /// One line per request at its end.
    pub access: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

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
    pub limits: EngineLimits,
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
}

/// `scheme://host:port` of an upstream; no path, no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    pub https: bool,
    /// Without brackets for IPv6.
    pub host: String,
    pub port: u16,
}

/// Limits by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub name: Arc<str>,
    pub requests: Rate,
    /// How many requests may come at once.
    pub burst: std::num::NonZeroU32,
    /// Requests and streams in flight.
    pub concurrent: std::num::NonZeroU32,
    pub quota: Option<Quota>,
    /// How long a request waits for one of those in flight to end; zero: not at all.
    pub wait: Duration,
    /// How many wait at most.
    pub queue: u32,
}

/// What wrong keys from one address meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthFailures {
    /// Answered at once.
    pub free: u32,
    /// And then; more are refused.
    pub then: Rate,
    /// Until such an answer is given; zero: at once.
    pub delay: Duration,
}

impl Default for AuthFailures {
    fn default() -> Self {
        let then = Rate { count: std::num::NonZeroU32::MIN.saturating_add(9), per: Duration::from_mins(1) };
        Self { free: 20, then, delay: Duration::from_secs(1) }
    }
}

/// `10000/day`: a count per calendar day or month (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub count: std::num::NonZeroU32,
    pub per: QuotaPeriod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaPeriod {
    Day,
    Month,
}

/// What browsers of other origins may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    pub allowed_origins: Origins,
    pub allow_credentials: bool,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
    /// What a page may send beside what it always may: names in small letters, with commas between them.
    pub allowed_headers: String,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            allowed_origins: Origins::default(),
            allow_credentials: false,
            max_age: Duration::from_mins(10),
            allowed_headers: String::new(),
        }
    }
}

/// `60/min`: a count per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: std::num::NonZeroU32,
    pub per: Duration,
}

/// A public name, what answers it, and its policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Chatflow {
    pub name: Arc<str>,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    /// Flowise's own id, a lower-case UUID; `None` for the wildcard, whose id is the name that was asked for.
    pub id: Option<Arc<str>>,
    /// This flow's own Flowise key; `None`: the upstream's.
    pub api_key: Option<Secret>,
    pub access: Access,
    /// Origins whose pages may call it: its own, else those of [`Config::cors`].
    pub allowed_origins: Origins,
    pub body: BodyMode,
    pub response: ResponseShape,
    pub events: Events,
    /// Chat and session ids are namespaced by caller; never with [`BodyMode::Passthrough`].
    pub isolate_sessions: bool,
    /// Index into [`Config::plans`] for callers without a key.
    pub plan: usize,
    /// Paths inside `overrideConfig` that a client may set, e.g. `["vars", "userId"]`.
    pub override_config: Vec<Vec<String>>,
    /// Characters (Unicode scalar values) of `question`.
    pub max_question_chars: usize,
    /// Longest run of letters in `question`.
    pub max_word_chars: usize,
    /// Forced into `overrideConfig.vars`.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// Forced into `overrideConfig`.
    pub force_override: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A key or a token is needed.
    Key,
    /// Anyone from a listed origin, within the limits of an address.
    Public,
}

/// The shape of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseShape {
    /// As Flowise gives it.
    Flowise,
    /// `{id, role, content, sources}`, so that a page does not depend on Flowise's fields.
    Message,
}

/// Stream events, and the JSON fields that match them, which a client may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    All,
    /// What Flowise's widget shows its visitor; of an agentflow's steps their names and states.
    Widget,
    Only(Arc<[Box<str>]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// Read within the bound, checked field by field and re-serialised.
    Checked,
    /// Forwarded unread and untouched.
    Passthrough,
}

impl Config {
    /// Threads that compute flows: one pool for all engines, as large as the largest that one of them wants.
    pub(crate) fn engine_threads(&self) -> NonZeroUsize {
        let wanted = self.upstreams.iter().filter_map(|upstream| match &upstream.kind {
            UpstreamKind::Engine(engine) => Some(engine.threads),
            UpstreamKind::Flowise(_) | UpstreamKind::Demo => None,
        });
        wanted.max().unwrap_or(self.server.workers)
    }
}
