//! API keys: the file they stand in, their look-up by digest, and the commands that edit the file.
//!
//! Only SHA-256 digests are kept: on keys with 256 bits of entropy a slow hash adds no safety and makes every
//! bad request expensive.

pub(crate) mod audit;
pub(crate) mod changes;
pub mod command;
mod disk;
mod edit;
mod file;
mod hash_index;
pub mod secret;
mod store;
mod terms;
pub mod token;
mod written;

use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::config::content::{self, MOST_KEYS};
use crate::config::{Config, Problem, Problems};

pub use file::{AllowedNamesRef, parse};
pub use secret::KeyKind;
pub use store::{Denied, FoundKey, KeyCounts, KeyState, KeyStore, SecretSlot, Unknown};
pub use terms::KeyTerms;
pub use written::WrittenKeys;

/// SHA-256 of a whole key.
pub type Digest = [u8; 32];

/// One key of the keys file, without its secret. There may be very many, so it is small.
#[derive(Clone, PartialEq)]
pub struct Key {
    /// Shows in logs and metrics.
    pub id: Box<str>,
    pub digest: Digest,
    terms: Arc<KeyTerms>,
}

impl Deref for Key {
    type Target = KeyTerms;

    fn deref(&self) -> &KeyTerms {
        &self.terms
    }
}

impl DerefMut for Key {
    /// From then on it has terms of its own.
    fn deref_mut(&mut self) -> &mut KeyTerms {
        Arc::make_mut(&mut self.terms)
    }
}

/// A keys file that cannot be taken over.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) problems: Problems,
    /// What it says of keys nevertheless; `None`: nothing.
    pub(crate) written: Option<Box<WrittenKeys>>,
}

/// Reads the keys file that the configuration names.
pub(crate) fn load(config: &Config) -> Result<KeyStore, Unusable> {
    let (path, names) = (&config.keys_file, AllowedNames::of(config));
    if let Some(keys) = file::load_plain(path, &names.names()) {
        return Ok(keys);
    }
    let text = read(config).map_err(|problem| Unusable { problems: problem.into(), written: None })?;
    parse(path, &text, Some(&names.names()))
        .map_err(|problems| Unusable { problems, written: written::read(path, &text).map(Box::new) })
}

fn read(config: &Config) -> Result<String, Problem> {
    let path = &config.keys_file;
    content::text(path, MOST_KEYS).map_err(|error| Problem {
        file: path.clone(),
        at: None,
        field: String::new(),
        message: format!("cannot read the keys file: {error}; `flowgate keys create --id NAME` makes one"),
    })
}

/// The names that a keys file may use.
#[derive(Debug)]
pub struct AllowedNames {
    plans: Vec<Arc<str>>,
    chatflows: Vec<Arc<str>>,
    providers: Vec<Arc<str>>,
    wildcard: bool,
}

impl AllowedNames {
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            plans: config.plans.iter().map(|plan| Arc::clone(&plan.name)).collect(),
            chatflows: config.chatflows.iter().map(|chatflow| Arc::clone(&chatflow.name)).collect(),
            providers: config.identity.iter().map(|provider| Arc::clone(&provider.name)).collect(),
            wildcard: config.wildcard.is_some(),
        }
    }

    /// In the order of the configuration.
    #[must_use]
    pub fn plans(&self) -> &[Arc<str>] {
        &self.plans
    }

    #[must_use]
    pub fn names(&self) -> AllowedNamesRef<'_> {
        let Self { plans, chatflows, providers, wildcard } = self;
        AllowedNamesRef { plans, chatflows, providers, wildcard: *wildcard }
    }
}

impl Key {
    /// A secret key of the first plan that may call everything from everywhere.
    #[must_use]
    pub fn new(id: &str, digest: Digest) -> Self {
        Self { id: id.into(), digest, terms: Arc::default() }
    }

    /// Whether both may do the same.
    fn has_terms_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.terms, &other.terms) || self.terms == other.terms
    }

    /// This key on the plan with that index.
    fn on_plan(&self, plan: usize) -> Self {
        let mut moved = self.clone();
        if moved.plan != plan {
            moved.plan = plan;
        }
        moved
    }

    /// This key with other terms.
    #[cfg(test)]
    fn with(mut self, change: impl FnOnce(&mut KeyTerms)) -> Self {
        change(&mut self);
        self
    }

    /// Whether this key may call the chatflow of that name.
    #[must_use]
    pub fn may_call(&self, chatflow: &str) -> bool {
        self.chatflows.as_ref().is_none_or(|names| names.iter().any(|name| &**name == chatflow))
    }

    /// Whether this key may be used from that address.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let nets = self.allowed_ips();
        nets.is_empty() || nets.iter().any(|net| net.contains(&address))
    }
}

impl fmt::Debug for Key {
    /// Without the digests: they are no secrets, but nothing in a log needs them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("previous_until", &self.previous().map(|(_, until)| until))
            .field("kind", &self.kind)
            .field("plan", &self.plan)
            .field("chatflows", &self.chatflows)
            .field("allowed_ips", &self.allowed_ips())
            .field("upsert", &self.upsert)
            .field("expires_at", &self.expires_at)
            .field("enabled", &self.enabled)
            .field("end_streams", &self.end_streams)
            .finish_non_exhaustive()
    }
}
