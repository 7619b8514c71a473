//! What is allowed, and what answers: a value made of configuration, keys, certificate, upstreams and flows, and of
//! nothing else. Nothing in it changes; what is counted, running or remembered is [`state`](crate::state).
//!
//! | file | what it is |
//! |---|---|
//! | [`authorize`] | who may call which chatflow, and so reach what answers it |
//! | [`build`] | puts the parts together, or says what does not fit |
//! | [`person`] | whom a token of an identity provider is for |
//! | [`rekeyed`] | the same with other keys |
//! | [`sources`] | reads the parts; on a reload, one that is not good keeps what it was |
//! | [`state_dir`] | whether what must be kept can be |

mod authorize;
mod build;
mod person;
mod rekeyed;
mod sources;
mod state_dir;

pub(crate) use authorize::{Authorized, AuthorizedName, Callers, Principal};
pub(crate) use build::{FlowiseUpstreams, PolicyParts};
pub(crate) use person::{Person, PersonFault};
pub(crate) use sources::{Held, Sources};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::{Access, Chatflow, Config, Origins, Plan, Problem};
use crate::engine::{self, Flows};
use crate::keys::KeyStore;
use crate::predict::session::SessionKey;
use crate::redact::Redactor;
use crate::tls::Identity;
use crate::upstream::target::{FlowiseCredentials, FlowiseUpstream};
use crate::uuid::is_uuid;

/// See the module.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) config: Arc<Config>,
    pub(crate) keys: Arc<KeyStore>,
    /// Knows all secrets of the configuration.
    pub(crate) redactor: Arc<Redactor>,
    flows: Vec<Arc<Flow>>,
    /// Sorted.
    by_name: Vec<(Arc<str>, u32)>,
    wildcard: Option<u32>,
    /// The plan of callers without a key of what is no chatflow.
    pub(crate) anonymous: Plan,
    upstreams: Arc<FlowiseUpstreams>,
    engines: Arc<Engines>,
    /// The TLS listener's certificate.
    pub(crate) tls: Option<Identity>,
}

/// The engines' flows, by the upstream's name.
type Engines = HashMap<Arc<str>, Flows>;

/// A chatflow with what answers it.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) config: Arc<Chatflow>,
    /// For the authorized, see [`Authorized::backend`].
    backend: Backend,
    /// Pages that may read its answers: its own, and those of publishable keys that may call it.
    pub(crate) origins: Origins,
    /// Keeps its callers' chats apart.
    pub(crate) sessions: SessionKey,
}

/// A chatflow that a call names: its index, and the id that Flowise knows it by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedChatflow {
    pub(crate) index: u32,
    pub(crate) id: Arc<str>,
}

/// What answers a chatflow.
#[derive(Debug)]
pub(crate) enum Backend {
    /// The Flowise that the chatflow's configuration names.
    Flowise { credentials: Option<Arc<FlowiseCredentials>> },
    /// The built-in engine, with the flow that it runs and all that this one may run.
    Engine { flow: Arc<engine::CompiledFlow>, flows: Arc<engine::FlowIndex> },
}

/// It is what it was made of.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Policy {
    /// The chatflow of that public name.
    pub(crate) fn chatflow(&self, name: &str) -> Option<NamedChatflow> {
        let found = self.by_name.binary_search_by(|(known, _)| (**known).cmp(name)).ok();
        if let Some((_, index)) = found.and_then(|found| self.by_name.get(found)) {
            let config = &self.flow(*index)?.config;
            let id = config.id.clone().unwrap_or_else(|| Arc::clone(&config.name));
            return Some(NamedChatflow { index: *index, id });
        }
        // A stream to an id that is no UUID, or unknown to Flowise, would hang for ever.
        let index = self.wildcard.filter(|_| is_uuid(name))?;
        let id: Arc<str> = Arc::from(name.to_ascii_lowercase());
        // It stands for every other chatflow: one with a policy of its own is not reached around that policy, be it by
        // Flowise's id or by its own name in capitals.
        let upstream = self.flow(index)?.config.upstream;
        let mut named = self.flows.iter().map(|flow| &flow.config);
        let is_named = named.any(|config| config.upstream == upstream && config.id.as_ref() == Some(&id));
        (!is_named).then_some(NamedChatflow { index, id })
    }

    /// Whether pages of that origin may call anything.
    pub(crate) fn is_listed_somewhere(&self, origin: &str) -> bool {
        self.config.cors.allowed_origins.allows(origin) || self.flows.iter().any(|flow| flow.origins.allows(origin))
    }

    /// Whether some upstream is the built-in engine.
    pub(crate) fn has_engine(&self) -> bool {
        !self.engines.is_empty()
    }

    /// The flows of each engine, with its name.
    pub(crate) fn engines(&self) -> impl Iterator<Item = (&str, &Flows)> {
        self.engines.iter().map(|(upstream, flows)| (&**upstream, flows))
    }

    /// Tells what is new about flows since `before`. To be called once it is in force.
    pub(crate) fn announce(&self, before: Option<&Self>) {
        for (upstream, flows) in &*self.engines {
            flows.announce(before.and_then(|before| before.engines.get(upstream)));
        }
    }

    /// What is wrong with flows that no chatflow needs.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &Problem> {
        self.engines.values().flat_map(Flows::unused)
    }

    /// Whether the engines run the very same flows.
    pub(crate) fn has_flows_of(&self, other: &Self) -> bool {
        self.engines.len() == other.engines.len()
            && self
                .engines
                .iter()
                .all(|(name, flows)| other.engines.get(name).is_some_and(|other| flows.is_same(other)))
    }

    /// Whether some chat of the built-in engine is kept.
    pub(crate) fn remembers(&self) -> bool {
        self.flows.iter().any(|flow| matches!(&flow.backend, Backend::Engine { flow, .. } if flow.remembers()))
    }

    pub(crate) fn has_public_chatflow(&self) -> bool {
        self.flows.iter().any(|flow| flow.config.access == Access::Public)
    }

    /// As configured, each at its index.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.flows.iter()
    }

    fn flow(&self, index: u32) -> Option<&Arc<Flow>> {
        self.flows.get(index as usize)
    }

    /// The chatflow that a call names, whoever calls.
    pub(crate) fn flow_of(&self, chatflow: Option<&NamedChatflow>) -> Option<&Arc<Flow>> {
        self.flow(chatflow?.index)
    }

    /// The name that a key's `chatflows` would list: the configured one, or the UUID that the wildcard stands for.
    pub(crate) fn name_of<'a>(&'a self, chatflow: Option<&'a NamedChatflow>) -> &'a str {
        match (self.flow_of(chatflow), chatflow) {
            (Some(flow), Some(chatflow)) if &*flow.config.name == "*" => &chatflow.id,
            (Some(flow), _) => &flow.config.name,
            _ => "",
        }
    }

    /// As configured, each at the index of its chatflow.
    pub(crate) fn chatflow_names(&self) -> impl Iterator<Item = Arc<str>> {
        self.flows.iter().map(|flow| Arc::clone(&flow.config.name))
    }

    /// The Flowise upstreams, each at its index in the configuration.
    pub(crate) fn flowise(&self) -> impl Iterator<Item = Option<&Arc<FlowiseUpstream>>> {
        self.config.upstreams.iter().map(|upstream| self.upstreams.get(&upstream.name))
    }

    /// Indices of the plans that callers without a key have: those of chatflows, and those of people of identity providers.
    pub(crate) fn plans_for_visitors(&self) -> BTreeSet<usize> {
        self.flows.iter().map(|flow| flow.config.plan).chain(self.plans_for_people()).collect()
    }

    /// What it was made of.
    pub(crate) fn parts(&self) -> PolicyParts {
        PolicyParts {
            config: Arc::clone(&self.config),
            keys: Arc::clone(&self.keys),
            tls: self.tls.clone(),
            upstreams: Arc::clone(&self.upstreams),
            engines: Arc::clone(&self.engines),
        }
    }
}

#[cfg(test)]
mod tests;
