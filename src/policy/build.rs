//! Puts a policy together.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Backend, Engines, Flow, Policy};
use crate::config::{Chatflow, Config, Problem, Problems, Secret};
use crate::engine::{self, Flows};
use crate::keys::KeyStore;
use crate::predict::session::SessionKey;
use crate::redact::Redactor;
use crate::tls::Identity;
use crate::upstream::target::{FlowiseCredentials, FlowiseUpstream};

/// The plan of callers without a key where no chatflow says another.
const ANONYMOUS: &str = "anonymous";

/// What a policy is made of: each part is good by itself.
#[derive(Debug, Clone)]
pub(crate) struct PolicyParts {
    pub(super) config: Arc<Config>,
    pub(super) keys: Arc<KeyStore>,
    /// The TLS listener's certificate.
    pub(super) tls: Option<Identity>,
    pub(super) upstreams: Arc<FlowiseUpstreams>,
    /// The engines' flows, by the upstream's name.
    pub(super) engines: Arc<Engines>,
}

/// Two that say the same are equal, whenever they were read.
impl PartialEq for PolicyParts {
    fn eq(&self, other: &Self) -> bool {
        // An upstream's certificates may be those of the last good file.
        let settings = |parts: &Self| {
            let of = |(name, flowise): (&Arc<str>, &Arc<FlowiseUpstream>)| (Arc::clone(name), flowise.settings.clone());
            parts.upstreams.iter().map(of).collect::<HashMap<_, _>>()
        };
        (&self.config, self.keys.keys(), &self.tls) == (&other.config, other.keys.keys(), &other.tls)
            && settings(self) == settings(other)
            && self.engines == other.engines
    }
}

/// The Flowise upstreams by name.
pub(crate) type FlowiseUpstreams = HashMap<Arc<str>, Arc<FlowiseUpstream>>;

impl Policy {
    /// # Errors
    /// Where the parts do not fit each other.
    pub(crate) fn new(parts: PolicyParts) -> Result<Self, Problems> {
        let PolicyParts { config, keys, .. } = &parts;
        let mut problems = Vec::new();
        let mut flows: Vec<Arc<Flow>> = Vec::with_capacity(config.chatflows.len() + 1);
        let mut by_name = Vec::with_capacity(config.chatflows.len());
        for (index, chatflow) in (0_u32..).zip(&config.chatflows) {
            by_name.push((Arc::clone(&chatflow.name), index));
            by_name.extend(chatflow.id.clone().filter(|_| chatflow.by_id).map(|id| (id, index)));
            if let Some(backend) = collect(&mut problems, backend(chatflow, &parts)) {
                flows.push(Arc::new(Flow::new(chatflow, config, keys, backend)));
            }
        }
        by_name.sort_unstable();
        let wildcard = config.wildcard.as_ref().map(|chatflow| {
            if let Some(backend) = collect(&mut problems, backend(chatflow, &parts)) {
                flows.push(Arc::new(Flow::new(chatflow, config, keys, backend)));
            }
            (0_u32..).zip(&flows).last().map_or(0, |(index, _)| index)
        });
        if !problems.is_empty() || keys.keys().iter().any(|key| key.plan >= config.plans.len()) {
            return Err(Problems(problems));
        }
        let anonymous = config.plans.iter().find(|plan| &*plan.name == ANONYMOUS).cloned();
        let anonymous = anonymous.ok_or_else(|| missing_plan(config, ANONYMOUS))?;
        let of_keys = keys.keys().iter().flat_map(|key| key.vars.iter().map(|(name, value)| (&**name, value)));
        let redactor = Arc::new(Redactor::of(config, of_keys));
        let PolicyParts { config, keys, tls, upstreams, engines } = parts;
        Ok(Self { config, keys, redactor, flows, by_name, wildcard, anonymous, upstreams, engines, tls })
    }
}

impl Flow {
    fn new(chatflow: &Arc<Chatflow>, config: &Config, keys: &KeyStore, backend: Backend) -> Self {
        let secret = config.session_secret.as_ref().map(Secret::expose);
        let id = chatflow.id.as_ref().or((&*chatflow.name != "*").then_some(&chatflow.name));
        let sessions = SessionKey::new(secret, id.map(|id| &**id));
        let mut origins = chatflow.allowed_origins.clone();
        let callers = keys.keys().iter().filter_map(|key| Some((key, key.allowed_origins()?)));
        let callers = callers.filter(|(key, _)| &*chatflow.name == "*" || key.may_call(&chatflow.name));
        callers.for_each(|(_, pages)| origins.extend(pages));
        Self { config: Arc::clone(chatflow), backend, origins, sessions }
    }
}

fn backend(chatflow: &Chatflow, parts: &PolicyParts) -> Result<Backend, Problems> {
    let config = &parts.config;
    let absent = || Problem {
        file: config.path.clone(),
        at: None,
        field: format!("chatflows.{}", chatflow.name),
        message: "there is no such upstream".to_owned(),
    };
    let upstream = config.upstreams.get(chatflow.upstream).ok_or_else(absent)?;
    if let Some(flows) = parts.engines.get(&upstream.name) {
        let found = answers(chatflow, flows).ok_or_else(|| without_answer(chatflow, flows, config))?;
        return Ok(Backend::Engine { flow: Arc::clone(found), flows: Arc::clone(flows.index()) });
    }
    let flowise = parts.upstreams.get(&upstream.name).ok_or_else(absent)?;
    let key = chatflow.api_key.as_ref().or(flowise.settings.api_key.as_ref());
    Ok(Backend::Flowise { credentials: key.and_then(FlowiseCredentials::new).map(Arc::new) })
}

/// The flow whose file has the chatflow's name, or its id.
pub(super) fn answers<'a>(chatflow: &Chatflow, flows: &'a Flows) -> Option<&'a Arc<engine::CompiledFlow>> {
    if flows.problems_of(&chatflow.name).is_some() {
        return None;
    }
    flows.get(&chatflow.name).or_else(|| flows.get(chatflow.id.as_ref()?))
}

/// Why there is none.
fn without_answer(chatflow: &Chatflow, flows: &Flows, config: &Config) -> Problems {
    let names = [Some(&chatflow.name), chatflow.id.as_ref()];
    let broken = names.into_iter().flatten().find_map(|name| flows.problems_of(name));
    broken.map_or_else(|| no_flow(chatflow, flows, config).into(), |problems| Problems(problems.to_vec()))
}

pub(super) fn no_flow(chatflow: &Chatflow, flows: &Flows, config: &Config) -> Problem {
    let id = chatflow.id.as_ref().filter(|id| **id != chatflow.name).map(|id| format!(" or {id}.json"));
    let (id, folder) = (id.unwrap_or_default(), flows.folder().display());
    Problem {
        file: config.path.clone(),
        at: None,
        field: format!("chatflows.{}", chatflow.name),
        message: format!("there is no {}.json{id} in {folder}", chatflow.name),
    }
}

fn missing_plan(config: &Config, name: &str) -> Problem {
    Problem {
        file: config.path.clone(),
        at: None,
        field: format!("plans.{name}"),
        message: "this plan always exists".to_owned(),
    }
}

pub(super) fn collect<T>(problems: &mut Vec<Problem>, result: Result<T, Problems>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found.0);
            None
        }
    }
}
