//! What is counted, running or remembered: it belongs to the process, whatever policy is in force, and is found by id: of
//! a key, a plan, a visitor, a chat, an upstream's server.
//!
//! | file | what it is |
//! |---|---|
//! | [`limits`] | what callers have used of their plans, and wrong keys |
//! | [`chats`] | chats that are being answered |
//! | [`recent`] | what became of requests in the last minutes, for people who look |
//! | [`endpoints`] | servers that are asked: their connections' names, and their health |
//! | [`ended_keys`] | keys that have ended together with their streams |
//! | [`issuer_keys`] | keys that identity providers publish |
//! | [`folder`], [`ledger`] | `state_dir`, and the counts of quotas in it |
//! | [`usage`] | what keys have used, by chatflow, day and month |
//! | [`sparse`] | a table of which only what was used takes room |
//! | [`valkey`] | the store that replicas share, if there is one |
//! | [`late`] | what one process counted after another took its counts over |
//! | [`maybe_future`] | answers that a store gives at once, or once it has them |
//!
//! A policy is bound to it before it comes into force: what its requests need is put into tables that are indexed as the
//! policy is, so that they find it without a look-up. What the policy does not have any more is forgotten then.

pub(crate) mod chats;
pub(crate) mod ended_keys;
pub(crate) mod endpoints;
pub(crate) mod folder;
pub(crate) mod issuer_keys;
pub(crate) mod late;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod maybe_future;
pub(crate) mod recent;
mod sparse;
pub(crate) mod usage;
pub(crate) mod valkey;

use std::io;
use std::sync::Arc;

use chats::Chats;
use ended_keys::EndedKeys;
use endpoints::Endpoints;
use issuer_keys::IssuerKeyTable;
use limits::LimitState;
use recent::RecentState;
use usage::UsageState;
use valkey::SharedStore;

use crate::config::Config;
use crate::telemetry::metrics::Metrics;

/// See the module. One for the process.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) limits: LimitState,
    pub(crate) chats: Arc<Chats>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) issuer_keys: Arc<IssuerKeyTable>,
    pub(crate) usage: Arc<UsageState>,
    pub(crate) ended_keys: Arc<EndedKeys>,
    pub(crate) recent: Arc<RecentState>,
    /// `None`: this process is alone.
    pub(crate) store: Option<Arc<SharedStore>>,
}

impl SharedState {
    /// Of a process that is alone.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            limits: LimitState::new(&metrics.auth_delayed),
            chats: Arc::default(),
            endpoints: Arc::new(Endpoints::new(metrics)),
            issuer_keys: Arc::default(),
            usage: Arc::default(),
            ended_keys: Arc::default(),
            recent: Arc::default(),
            store: None,
        }
    }

    /// With the store that the configuration names, if it does.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(config: &Config, metrics: &Metrics) -> io::Result<Self> {
        let store = config.valkey.as_ref().map(|settings| SharedStore::start(settings, &metrics.store)).transpose()?;
        let alone = Self::new(metrics);
        let (limits, chats, usage) = match &store {
            Some(store) => {
                let usage = Arc::new(UsageState::shared_in(store));
                (alone.limits.shared_in(store), Chats::shared_in(store), usage)
            }
            None => (alone.limits, alone.chats, alone.usage),
        };
        Ok(Self { limits, chats, usage, store, ..alone })
    }
}
