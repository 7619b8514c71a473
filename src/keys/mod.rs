//! API keys: the file they stand in, their look-up by digest, and the commands that edit the file.
//!
//! Only SHA-256 digests are kept: on keys with 256 bits of entropy a slow hash adds no safety and makes every
//! bad request expensive.

pub mod command;
mod disk;
mod edit;
mod file;
pub mod secret;
mod store;
pub mod token;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::config::{Config, Origins, Problem, Problems};

pub use file::{Names, parse};
pub use secret::Kind;
pub use store::{Counts, Denied, Found, KeyStore, Slot, State};

/// SHA-256 of a whole key.
pub type Digest = [u8; 32];

/// One key of the keys file, without its secret.
#[derive(Clone, PartialEq)]
pub struct Key {
    /// Shows in logs and metrics.
    pub id: Arc<str>,
    pub digest: Digest,
    /// The old secret during a rotation, and until when it counts.
    pub previous: Option<(Digest, Timestamp)>,
    pub kind: Kind,
    /// For a publishable key: the origins of the pages it may sit in, at least one.
    pub allowed_origins: Origins,
    /// Index into [`Config::plans`](crate::config::Config::plans).
    pub plan: usize,
    /// Names of chatflows; `None`: all.
    pub chatflows: Option<Vec<Arc<str>>>,
    /// Empty: any.
    pub allowed_ips: Vec<IpNet>,
    /// May call `vector/upsert`.
    pub upsert: bool,
    /// Forced into `overrideConfig.vars`.
    pub vars: serde_json::Map<String, serde_json::Value>,
    pub expires_at: Option<Timestamp>,
    pub enabled: bool,
}

/// Reads the keys file that the configuration names.
pub fn load(config: &Config) -> Result<KeyStore, Problems> {
    let path = &config.keys_file;
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        file: path.clone(),
        at: None,
        field: String::new(),
        message: format!("cannot read the keys file: {error}; `flowgate keys create --id NAME` makes one"),
    })?;
    parse(path, &text, &Known::of(config).names()).map(KeyStore::new)
}

/// The names that a keys file may use.
#[derive(Debug)]
pub struct Known {
    plans: Vec<Arc<str>>,
    chatflows: Vec<Arc<str>>,
    wildcard: bool,
}

impl Known {
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            plans: config.plans.iter().map(|plan| Arc::clone(&plan.name)).collect(),
            chatflows: config.chatflows.iter().map(|chatflow| Arc::clone(&chatflow.name)).collect(),
            wildcard: config.wildcard.is_some(),
        }
    }

    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names { plans: &self.plans, chatflows: &self.chatflows, wildcard: self.wildcard }
    }
}

impl Key {
    /// Whether this key may call the chatflow of that name.
    #[must_use]
    pub fn may_call(&self, chatflow: &str) -> bool {
        self.chatflows.as_ref().is_none_or(|names| names.iter().any(|name| &**name == chatflow))
    }

    /// Whether this key may be used from that address.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|net| net.contains(&address))
    }
}

impl fmt::Debug for Key {
    /// Without the digests: they are no secrets, but nothing in a log needs them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("previous_until", &self.previous.map(|(_, until)| until))
            .field("kind", &self.kind)
            .field("plan", &self.plan)
            .field("chatflows", &self.chatflows)
            .field("allowed_ips", &self.allowed_ips)
            .field("upsert", &self.upsert)
            .field("expires_at", &self.expires_at)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}
