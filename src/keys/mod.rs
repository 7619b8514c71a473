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
mod key;
pub mod secret;
mod store;
mod terms;
pub mod token;
mod written;

use std::sync::Arc;

use crate::config::content::{self, MOST_KEYS};
use crate::config::{Config, Problem, Problems};

pub use file::{AllowedNamesRef, parse};
pub use key::Key;
pub use secret::{Digest, KeyKind};
pub use store::{Denied, FoundKey, KeyCounts, KeyState, KeyStore, SecretSlot, Unknown};
pub use terms::KeyTerms;
pub use written::WrittenKeys;

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
        message: format!(
            "cannot read the keys file: {error}; `flowgate keys create --file {} --id NAME` makes one",
            path.display()
        ),
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
