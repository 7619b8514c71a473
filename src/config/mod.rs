//! The settings the program runs on, resolved from the YAML file.
//!
//! [`Config::load`] reads the file (`file.rs`: the YAML as written), expands `${NAME}` (`expand.rs`), resolves and
//! validates (`resolve.rs`) and reports every problem at once with file, line, column and field (`error.rs`).
//! Nothing in here knows sockets, requests or TLS.

mod chatflow;
pub(crate) mod content;
mod error;
mod expand;
mod file;
mod http_url;
mod identity;
mod limits;
pub(crate) mod load;
pub mod origin;
mod otlp;
pub mod override_rules;
mod part;
pub(crate) mod resolve;
mod secret;
pub(crate) mod units;
mod upstream;
mod valkey;
pub(crate) mod yaml;

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

pub(crate) use chatflow::FLOWISE_EVENTS;
pub use chatflow::{Access, BodyMode, Chatflow, Events, ResponseShape};
pub use error::{Problem, Problems};
pub(crate) use http_url::HttpUrl;
pub use http_url::UpstreamUrl;
pub(crate) use identity::{ChatflowGrant, ClaimPath, IdentityProvider, IssuerKeySource, PlanGrant};
pub use limits::{AuthFailures, Plan, Quota, QuotaPeriod, Rate};
pub use origin::{OriginError, Origins};
pub use otlp::{Otlp, OtlpProtocol};
pub(crate) use part::ConfigPart;
pub use secret::{Secret, SecretFile};
pub use upstream::{Engine, EngineLimits, Flowise, HealthCheck, McpServer, ScriptSettings, Upstream, UpstreamKind};
pub use valkey::{OnLoss, QuotasOnLoss, RatesOnLoss, Valkey, ValkeyMode, ValkeyServer};
pub use yaml::FieldPlaces;

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
    /// Who signs tokens for people.
    pub(crate) identity: Vec<Arc<IdentityProvider>>,
    /// Browsers of other origins, where a chatflow says nothing else.
    pub cors: Cors,
    /// `None`: wrong keys are not counted.
    pub auth_failures: Option<AuthFailures>,
    /// Where counts that must survive a restart are kept.
    pub state_dir: PathBuf,
    /// Whether the file says where that is.
    pub names_state_dir: bool,
    /// Where replicas keep what they share; `None`: each is alone.
    pub valkey: Option<Valkey>,
    /// Where traces go; `None`: there are none.
    pub otlp: Option<Arc<Otlp>>,
    /// Keys the hash that keeps callers' chats apart; `None`: Flowise's id of the chatflow does.
    pub session_secret: Option<Secret>,
    /// That file as it was read.
    pub source: SecretFile,
    /// Where the fields of that file stand.
    pub places: Arc<FieldPlaces>,
    /// Further files this configuration was read from (`api_key_file`, `ca_file`), to be watched.
    pub secret_files: Vec<SecretFile>,
}

impl Config {
    /// Whether it is that of `flowgate demo`.
    pub(crate) fn is_demo(&self) -> bool {
        self.upstreams.iter().any(|upstream| matches!(upstream.kind, UpstreamKind::Demo))
    }

    /// File and line of that field, if it is written.
    pub(crate) fn place(&self, field: &str) -> Option<String> {
        self.places.line(field).map(|line| format!("{}:{line}", self.path.display()))
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
    /// Answers proxies that ask whether a request may pass.
    pub ext_auth: Option<ExtAuth>,
    pub workers: NonZeroUsize,
    /// Peers whose `X-Forwarded-For` / `Forwarded` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What each connection of a trusted proxy begins with; `None`: with a request, or TLS.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Where a trusted proxy names the client; `None`: in `X-Forwarded-For` / `Forwarded`.
    pub client_address_header: Option<HeaderName>,
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
            ext_auth: None,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            trusted_proxies: Vec::new(),
            proxy_protocol: None,
            client_address_header: None,
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

/// Versions of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2,
    Any,
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

/// The listener for external authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtAuth {
    pub listen: SocketAddr,
    /// Whether a decision holds the key that Flowise is called with.
    pub pass_upstream_key: bool,
}

/// The admin listener: `/metrics`, `/livez`, `/readyz`, the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
    /// Whether there is a console, with `/api`.
    pub console: bool,
    /// Asked for by everything but `/livez` and `/readyz`; `None`: nobody is asked.
    pub token: Option<Secret>,
    /// Names that the console goes by, in small letters, beside those of loopback and addresses.
    pub hosts: Vec<String>,
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
