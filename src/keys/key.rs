//! One key of the keys file, without its secret.

use std::fmt;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::secret::Digest;
use super::terms::KeyTerms;

/// See the module. There may be very many, so it is small.
#[derive(Clone, PartialEq)]
pub struct Key {
    /// Shows in logs and metrics.
    pub id: Box<str>,
    pub digest: Digest,
    pub(super) terms: Arc<KeyTerms>,
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

impl Key {
    /// A secret key of the first plan that may call everything from everywhere.
    #[must_use]
    pub fn new(id: &str, digest: Digest) -> Self {
        Self { id: id.into(), digest, terms: Arc::default() }
    }

    /// Whether both may do the same.
    pub(super) fn has_terms_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.terms, &other.terms) || self.terms == other.terms
    }

    /// This key on the plan with that index.
    pub(super) fn on_plan(&self, plan: usize) -> Self {
        let mut moved = self.clone();
        if moved.plan != plan {
            moved.plan = plan;
        }
        moved
    }

    /// This key with other terms.
    #[cfg(test)]
    pub(super) fn with(mut self, change: impl FnOnce(&mut KeyTerms)) -> Self {
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
