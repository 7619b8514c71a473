//! What one request runs on: configuration, keys, limits, upstreams and certificate, as one immutable value.
//!
//! A reload builds a new [`Snapshot`] and swaps it in. Each worker keeps an `Rc` of the current one, so a request
//! takes it without a lock or a shared counter, and sees one set from start to end.

mod again;
mod build;
mod parts;
mod quota;
mod view;

pub(crate) use again::Held;
pub(crate) use view::{Local, Reader, Shared};

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Access, Chatflow, Config, Origins, Problem};
use crate::engine::{self, Flows};
use crate::keys::KeyStore;
use crate::predict::session::SessionKey;
use crate::redact::Redactor;
use crate::state::limits::{Allowance, Penalties, PlanLimits, Visitors};
use crate::telemetry::told::Told;
use crate::tls::Identity;
use crate::upstream::target::{Credentials, Target};

/// The plan of callers without a key where no chatflow says another.
const ANONYMOUS: &str = "anonymous";

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Grows with every snapshot; tells indices of one from those of another.
    pub(crate) generation: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) keys: Arc<KeyStore>,
    /// Knows all secrets of the configuration.
    pub(crate) redactor: Arc<Redactor>,
    /// Limits of the key with the same index in `keys`.
    allowances: Vec<Allowance>,
    /// The plan with the same index in `config`.
    plans: Vec<Arc<PlanLimits>>,
    /// Visitors of the plan with the same index, if some chatflow has it for callers without a key.
    visitors: Vec<Option<Arc<Visitors>>>,
    /// Visitors of what is no chatflow.
    anonymous: Arc<Visitors>,
    /// `None`: wrong keys are not counted.
    pub(crate) penalties: Option<Arc<Penalties>>,
    /// Pages that are not listed, and ids that Flowise does not know, as far as the log has told.
    pub(crate) told_origins: Told,
    pub(crate) told_ids: Told,
    flows: Vec<Arc<Flow>>,
    /// Sorted.
    by_name: Vec<(Arc<str>, u32)>,
    wildcard: Option<u32>,
    targets: HashMap<Arc<str>, Arc<Target>>,
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
    pub(crate) backend: Backend,
    /// Pages that may read its answers: its own, and those of publishable keys that may call it.
    pub(crate) origins: Origins,
    /// Keeps its callers' chats apart.
    pub(crate) sessions: SessionKey,
}

#[derive(Debug)]
pub(crate) enum Backend {
    Flowise {
        target: Arc<Target>,
        credentials: Option<Arc<Credentials>>,
    },
    /// The built-in engine, with the flow that it runs and all that this one may run.
    Engine {
        flow: Arc<engine::Flow>,
        flows: Arc<engine::FlowIndex>,
    },
}

impl Snapshot {
    /// The chatflow of that public name, and the id that Flowise knows it by.
    pub(crate) fn chatflow(&self, name: &str) -> Option<(u32, Arc<str>)> {
        let found = self.by_name.binary_search_by(|(known, _)| (**known).cmp(name)).ok();
        if let Some((_, index)) = found.and_then(|found| self.by_name.get(found)) {
            let config = &self.flow(*index)?.config;
            return Some((*index, config.id.clone().unwrap_or_else(|| Arc::clone(&config.name))));
        }
        // A stream to an id that is no UUID, or unknown to Flowise, would hang for ever.
        let index = self.wildcard.filter(|_| is_uuid(name))?;
        let id: Arc<str> = Arc::from(name.to_ascii_lowercase());
        // It stands for every other chatflow: one with a policy of its own is not reached around that policy, be it by
        // Flowise's id or by its own name in capitals.
        let upstream = self.flow(index)?.config.upstream;
        let mut named = self.flows.iter().map(|flow| &flow.config);
        let is_named = named.any(|config| config.upstream == upstream && config.id.as_ref() == Some(&id));
        (!is_named).then_some((index, id))
    }

    /// Whether pages of that origin may call anything.
    pub(crate) fn is_listed_somewhere(&self, origin: &str) -> bool {
        self.config.cors.allowed_origins.allows(origin) || self.flows.iter().any(|flow| flow.origins.allows(origin))
    }

    /// The engines' flows, by the upstream's name.
    pub(crate) fn engines(&self) -> impl Iterator<Item = (&str, &Flows)> {
        self.engines.iter().map(|(name, flows)| (&**name, flows))
    }

    /// Tells what is new about flows since `previous`. To be called once it is in force.
    pub(crate) fn announce(&self, previous: Option<&Self>) {
        for (upstream, flows) in &*self.engines {
            flows.announce(previous.and_then(|previous| previous.engines.get(upstream)));
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

    pub(crate) fn flow(&self, index: u32) -> Option<&Arc<Flow>> {
        self.flows.get(index as usize)
    }

    pub(crate) fn allowance(&self, key: u32) -> Option<&Allowance> {
        self.allowances.get(key as usize)
    }

    /// Limits by visitor on that chatflow.
    pub(crate) fn visitors(&self, flow: Option<&Flow>) -> &Visitors {
        let of_flow = flow.and_then(|flow| self.visitors.get(flow.config.plan)?.as_ref());
        of_flow.unwrap_or(&self.anonymous)
    }

    /// Forgets visitors whom nobody needs to remember. To be called about once a second.
    pub(crate) fn sweep(&self) {
        self.visitors.iter().flatten().for_each(|visitors| visitors.sweep());
        self.penalties.iter().for_each(|penalties| penalties.sweep());
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
