//! What a key may do, beside its id and its secret. There may be very many keys, of which most may do the same: they share
//! it.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use super::secret::{Digest, KeyKind};
use crate::config::Origins;

/// Different terms that are compared with those of a further key.
const MOST_SHARED: usize = 32;

/// See the module. What few keys have is kept aside.
#[derive(Clone, PartialEq)]
pub struct KeyTerms {
    pub kind: KeyKind,
    /// Index into [`Config::plans`](crate::config::Config::plans).
    pub plan: usize,
    /// Names of chatflows; `None`: all. Keys with the same list share it.
    pub chatflows: Option<Arc<[Arc<str>]>>,
    /// May call `vector/upsert`.
    pub upsert: bool,
    pub expires_at: Option<Timestamp>,
    pub enabled: bool,
    /// Of a key that is not enabled: its running streams end, too.
    pub end_streams: bool,
    /// Forced into `overrideConfig.vars`.
    pub vars: Box<[(Box<str>, serde_json::Value)]>,
    pub(super) details: Option<Box<Details>>,
}

/// What few keys have.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Details {
    pub(super) previous: Option<(Digest, Timestamp)>,
    pub(super) allowed_origins: Origins,
    pub(super) allowed_ips: Vec<IpNet>,
}

impl Default for KeyTerms {
    /// Of a secret key of the first plan that may call everything from everywhere.
    fn default() -> Self {
        Self {
            kind: KeyKind::Secret,
            plan: 0,
            chatflows: None,
            upsert: false,
            expires_at: None,
            enabled: true,
            end_streams: false,
            vars: Box::default(),
            details: None,
        }
    }
}

impl KeyTerms {
    /// The old secret during a rotation, and until when it counts.
    #[must_use]
    pub fn previous(&self) -> Option<(Digest, Timestamp)> {
        self.details.as_ref()?.previous
    }

    /// Of a publishable key: the origins of the pages it may sit in, at least one.
    #[must_use]
    pub fn allowed_origins(&self) -> Option<&Origins> {
        self.details.as_ref().map(|details| &details.allowed_origins).filter(|origins| !origins.is_empty())
    }

    /// Empty: any.
    #[must_use]
    pub fn allowed_ips(&self) -> &[IpNet] {
        self.details.as_ref().map_or(&[], |details| &details.allowed_ips)
    }

    pub(super) fn set_previous(&mut self, previous: Option<(Digest, Timestamp)>) {
        let rest = self.details.take().map(|details| *details).unwrap_or_default();
        self.set_details(Details { previous, ..rest });
    }

    pub(super) fn set_details(&mut self, details: Details) {
        self.details = (details != Details::default()).then(|| Box::new(details));
    }
}

/// The terms of keys that were read, of which the next key may have some again.
#[derive(Default)]
pub(super) struct SharedTerms(Vec<Arc<KeyTerms>>);

impl SharedTerms {
    /// The same, as other keys have them.
    pub(super) fn share(&mut self, terms: KeyTerms) -> Arc<KeyTerms> {
        if let Some(known) = self.0.iter().find(|known| ***known == terms) {
            return Arc::clone(known);
        }
        let terms = Arc::new(terms);
        if self.0.len() < MOST_SHARED {
            self.0.push(Arc::clone(&terms));
        }
        terms
    }
}
