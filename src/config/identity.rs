//! Who signs tokens for people, and what those may do, as it is configured.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::http_url::HttpUrl;
use crate::jwt::{KeySet, SignatureAlgorithm};

/// An identity provider.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdentityProvider {
    /// Shows in log and metrics where a key's id does.
    pub(crate) name: Arc<str>,
    /// What `iss` must be; `None`: who has signed it is known by the key alone.
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) keys: IssuerKeySource,
    /// PEM bundle that replaces the system's roots for its URLs: its path and content.
    pub(crate) ca: Option<(PathBuf, Arc<[u8]>)>,
    /// One of these must be in `aud`.
    pub(crate) audience: Vec<Box<str>>,
    pub(crate) algorithms: Vec<SignatureAlgorithm>,
    pub(crate) chatflows: ChatflowGrant,
    pub(crate) plan: PlanGrant,
    /// The claim that says for whom a token is.
    pub(crate) subject: ClaimPath,
    /// Forced into `overrideConfig.vars`: by the variable's name, from which claim.
    pub(crate) vars: Vec<(Box<str>, ClaimPath)>,
    /// Claims that must hold one of these values.
    pub(crate) require: Vec<(ClaimPath, Vec<Value>)>,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IssuerKeySource {
    /// The issuer's own document says it (`OpenID` Connect Discovery 1.0, section 4).
    Discovery(HttpUrl),
    Url(HttpUrl),
    File(PathBuf, Arc<KeySet>),
}

/// Which chatflows a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChatflowGrant {
    Listed(Arc<[Arc<str>]>),
    /// Those that the claim names.
    Claim(ClaimPath),
}

/// Whose limits a token's subject has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanGrant {
    /// Index into [`Config::plans`](super::Config::plans).
    Fixed(usize),
    /// The plan that the claim names; without the claim the other, if there is one.
    Claim { claim: ClaimPath, otherwise: Option<usize> },
}

/// A claim's name, or the way to one inside others: `realm_access.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimPath(pub(crate) Box<str>);

impl IdentityProvider {
    /// Whether keys come from the same place for both, by the same trust.
    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        let ca = |provider: &Self| provider.ca.as_ref().map(|(_, pem)| Arc::clone(pem));
        (&self.name, &self.issuer, &self.keys, ca(self)) == (&other.name, &other.issuer, &other.keys, ca(other))
    }
}
