//! A policy with other keys, and the same in everything else: nothing but the keys file is read.

use std::sync::Arc;

use super::Policy;
use super::build::PolicyParts;
use crate::keys::{self, KeyStore, Unusable};

impl Policy {
    /// The same with the keys that are on disk now: all of them if they can be taken over, else those in force without
    /// what is revoked there. `None`: that is what it has.
    pub(crate) fn with_keys_again(&self) -> Option<Self> {
        let keys = match keys::load(&self.config) {
            Ok(keys) => keys,
            Err(Unusable { written, .. }) => self.keys.without_revoked(written?.as_ref()),
        };
        if keys.keys() == self.keys.keys() { None } else { self.with_keys(keys) }
    }

    /// The same once `newer` has come to be in force, which has other keys: with those that are on disk now, or else
    /// with none that `newer` has not. `None`: it cannot be made.
    pub(crate) fn with_keys_after(self, newer: &Self) -> Option<Self> {
        let keys = keys::load(&self.config).unwrap_or_else(|Unusable { written, .. }| {
            let both = self.keys.without_revoked(&newer.keys.keys().iter().collect());
            written.map(|written| both.without_revoked(&written)).unwrap_or(both)
        });
        if keys.keys() == self.keys.keys() { Some(self) } else { self.with_keys(keys) }
    }

    fn with_keys(&self, keys: KeyStore) -> Option<Self> {
        Self::new(PolicyParts { keys: Arc::new(keys), ..self.parts() }).ok()
    }
}
