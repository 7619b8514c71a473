//! The store that replicas share: where it is, and what happens while it is lost.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::secret::Secret;

/// A Valkey or Redis, alone, behind Sentinels or as a Cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valkey {
    /// At least one, all of the same kind.
    pub servers: Vec<ValkeyServer>,
    pub mode: ValkeyMode,
    pub tls: bool,
    /// The number of the database.
    pub database: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// PEM bundle that replaces the system's roots: its path and content.
    pub ca: Option<(PathBuf, Arc<[u8]>)>,
    /// What every key begins with.
    pub prefix: String,
    pub connect_timeout: Duration,
    /// Of one call on the way of a request.
    pub timeout: Duration,
    pub on_loss: OnLoss,
}

impl Valkey {
    /// Whether another connection would have to be made, but for its password.
    pub(crate) fn is_same_store(&self, other: &Self) -> bool {
        let known = |settings: &Self| Self { password: None, ..settings.clone() };
        known(self) == known(other)
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(", ")
    }
}

/// Where a server, or the Sentinel that knows it, listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValkeyServer {
    /// The host without brackets.
    Tcp(String, u16),
    Unix(PathBuf),
}

impl fmt::Display for ValkeyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValkeyMode {
    Single,
    /// The servers are Sentinels, and know which one is the primary of that name.
    Sentinel {
        master_name: String,
    },
    Cluster,
}

/// What limits do without the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnLoss {
    pub rates: RatesOnLoss,
    pub quotas: QuotasOnLoss,
}

/// For requests per time and requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatesOnLoss {
    /// Each replica allows its part: the limit by as many as were last seen.
    Share,
    /// Each replica allows all of it.
    Allow,
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotasOnLoss {
    /// Whoever has a quota is refused.
    Refuse,
    /// Each replica goes on from what it knows, and tells the store when it is back.
    Allow,
}
