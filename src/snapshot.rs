//! What one request runs on: configuration, keys, limits, upstreams and certificate, as one immutable value.
//!
//! A reload builds a new [`Snapshot`] and swaps it in. Each worker keeps an `Rc` of the current one, so a request
//! takes it without a lock or a shared counter, and sees one set from start to end.

mod quota;
mod view;

pub(crate) use view::{Local, Reader, Shared};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::{Access, AuthFailures, Chatflow, Config, Origins, Plan, Problem, Problems, Secret, UpstreamKind};
use crate::engine::{self, Flows};
use crate::keys::KeyStore;
use crate::limits::{Allowance, Penalties, PlanLimits, Visitors};
use crate::predict::session::SessionKey;
use crate::redact::Redactor;
use crate::telemetry::metrics::Metrics;
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
    pub(crate) config: Config,
    pub(crate) keys: KeyStore,
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
    engines: HashMap<Arc<str>, Flows>,
    /// The TLS listener's certificate.
    pub(crate) tls: Option<Identity>,
}

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
    /// Reads keys and certificate and puts everything together. What `previous` has in use (limits, upstream
    /// connections and health) is taken over.
    pub(crate) fn load(config: Config, previous: Option<&Self>, metrics: &Arc<Metrics>) -> Result<Self, Problems> {
        match crate::keys::load(&config) {
            Ok(keys) => Self::build(config, keys, previous, metrics),
            Err(mut problems) => {
                // What else is wrong shall be known as well.
                if let Err(more) = Self::build(config, KeyStore::default(), previous, metrics) {
                    problems.0.extend(more.0);
                }
                Err(problems)
            }
        }
    }

    /// As [`load`](Self::load), with keys from elsewhere.
    pub(crate) fn build(
        config: Config,
        keys: KeyStore,
        previous: Option<&Self>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Problems> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let mut problems = Vec::new();
        let tls = collect(&mut problems, config.server.tls.as_ref().map(Identity::load).transpose()).flatten();
        // A listener that was taken out of the file serves until the restart, and needs its certificate.
        let tls = tls.or_else(|| previous.and_then(|previous| previous.tls.clone()));
        let targets = collect(&mut problems, targets(&config, previous, metrics));
        let engines = collect(&mut problems, engines(&config, previous, metrics));
        let (Some(targets), Some(engines)) = (targets, engines) else { return Err(Problems(problems)) };
        if !problems.is_empty() {
            return Err(Problems(problems));
        }

        let mut flows: Vec<Arc<Flow>> = Vec::with_capacity(config.chatflows.len() + 1);
        let mut by_name = Vec::with_capacity(config.chatflows.len());
        for (index, chatflow) in (0_u32..).zip(&config.chatflows) {
            by_name.push((Arc::clone(&chatflow.name), index));
            if let Some(backend) = collect(&mut problems, backend(chatflow, &config, &targets, &engines)) {
                flows.push(Arc::new(Flow::new(chatflow, &config, &keys, backend)));
            }
        }
        by_name.sort_unstable();
        let wildcard = config.wildcard.as_ref().map(|chatflow| {
            if let Some(backend) = collect(&mut problems, backend(chatflow, &config, &targets, &engines)) {
                flows.push(Arc::new(Flow::new(chatflow, &config, &keys, backend)));
            }
            (0_u32..).zip(&flows).last().map_or(0, |(index, _)| index)
        });
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let plans: Vec<_> = config.plans.iter().map(|plan| Arc::new(plan_limits(plan, previous))).collect();
        let allowances = allowances(&keys, &plans, previous)?;
        let visitors = visitors(&config, &plans, previous);
        let anonymous = visitors.iter().flatten().find(|visitors| &**visitors.plan.name() == ANONYMOUS);
        let Some(anonymous) = anonymous.map(Arc::clone) else { return Err(missing_plan(&config, ANONYMOUS).into()) };
        let snapshot = Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            keys,
            redactor: Arc::new(Redactor::of(&config)),
            allowances,
            plans,
            visitors,
            anonymous,
            penalties: config.auth_failures.map(|settings| penalties(settings, previous, metrics)),
            told_origins: Told::default(),
            told_ids: Told::default(),
            flows,
            by_name,
            wildcard,
            targets,
            engines,
            tls,
            config,
        };
        // Only at first: a reload may take a key out of use, and a full disk must not stand in its way.
        if previous.is_none() {
            snapshot.probe_state_dir()?;
        }
        Ok(snapshot)
    }

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

    /// Warns of what flows ask for and do not get, unless `previous` did so before. To be called once it is in force.
    pub(crate) fn warn_of_missing(&self, previous: Option<&Self>) {
        for (upstream, flows) in &self.engines {
            flows.warn_of_missing(previous.and_then(|previous| previous.engines.get(upstream)));
        }
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

impl Flow {
    fn new(chatflow: &Arc<Chatflow>, config: &Config, keys: &KeyStore, backend: Backend) -> Self {
        let secret = config.session_secret.as_ref().map(Secret::expose);
        let sessions = SessionKey::new(secret, chatflow.id.as_deref());
        let mut origins = chatflow.allowed_origins.clone();
        let callers = keys.keys().iter().filter(|key| &*chatflow.name == "*" || key.may_call(&chatflow.name));
        callers.for_each(|key| origins.extend(&key.allowed_origins));
        Self { config: Arc::clone(chatflow), backend, origins, sessions }
    }
}

fn backend(
    chatflow: &Chatflow,
    config: &Config,
    targets: &HashMap<Arc<str>, Arc<Target>>,
    engines: &HashMap<Arc<str>, Flows>,
) -> Result<Backend, Problems> {
    let problem = |message: String| Problem {
        file: config.path.clone(),
        at: None,
        field: format!("chatflows.{}", chatflow.name),
        message,
    };
    let absent = || problem("there is no such upstream".to_owned());
    let upstream = config.upstreams.get(chatflow.upstream).ok_or_else(absent)?;
    if let Some(flows) = engines.get(&upstream.name) {
        let found = answers(chatflow, flows);
        let found = found.ok_or_else(|| no_flow(chatflow, flows, config))?;
        return Ok(Backend::Engine { flow: Arc::clone(found), flows: Arc::clone(flows.index()) });
    }
    let target = targets.get(&upstream.name).ok_or_else(absent)?;
    let key = chatflow.api_key.as_ref().or(target.settings.api_key.as_ref());
    Ok(Backend::Flowise { target: Arc::clone(target), credentials: key.and_then(Credentials::new).map(Arc::new) })
}

/// The flow whose file has the chatflow's name, or its id.
fn answers<'a>(chatflow: &Chatflow, flows: &'a Flows) -> Option<&'a Arc<engine::Flow>> {
    flows.get(&chatflow.name).or_else(|| flows.get(chatflow.id.as_ref()?))
}

/// By the ids of chatflows too.
fn with_ids(flows: Flows, upstream: &str, config: &Config) -> Flows {
    let is_own =
        |chatflow: &&Arc<Chatflow>| config.upstreams.get(chatflow.upstream).is_some_and(|own| *own.name == *upstream);
    let ids = config.chatflows.iter().filter(is_own).filter_map(|chatflow| {
        let flow = answers(chatflow, &flows)?;
        Some((chatflow.id.as_ref()?.to_string(), Arc::clone(flow)))
    });
    let ids: Vec<_> = ids.collect();
    flows.with_ids(ids)
}

fn no_flow(chatflow: &Chatflow, flows: &Flows, config: &Config) -> Problem {
    let id = chatflow.id.as_ref().filter(|id| **id != chatflow.name).map(|id| format!(" or {id}.json"));
    let (id, folder) = (id.unwrap_or_default(), flows.folder().display());
    Problem {
        file: config.path.clone(),
        at: None,
        field: format!("chatflows.{}", chatflow.name),
        message: format!("there is no {}.json{id} in {folder}", chatflow.name),
    }
}

fn engines(
    config: &Config,
    previous: Option<&Snapshot>,
    metrics: &Arc<Metrics>,
) -> Result<HashMap<Arc<str>, Flows>, Problems> {
    let mut engines = HashMap::new();
    let mut problems = Vec::new();
    for upstream in &config.upstreams {
        let flows = match &upstream.kind {
            UpstreamKind::Flowise(_) => continue,
            UpstreamKind::Engine(settings) => {
                let before = previous.and_then(|previous| previous.engines.get(&upstream.name));
                Flows::load(&upstream.name, settings, before, metrics)
            }
            UpstreamKind::Demo => Ok(Flows::demo(&upstream.name, metrics)),
        };
        if let Some(flows) = collect(&mut problems, flows) {
            let flows = with_ids(flows, &upstream.name, config);
            engines.insert(Arc::clone(&upstream.name), flows);
        }
    }
    if problems.is_empty() { Ok(engines) } else { Err(Problems(problems)) }
}

fn targets(
    config: &Config,
    previous: Option<&Snapshot>,
    metrics: &Arc<Metrics>,
) -> Result<HashMap<Arc<str>, Arc<Target>>, Problems> {
    let mut targets = HashMap::new();
    for upstream in &config.upstreams {
        if let UpstreamKind::Flowise(settings) = &upstream.kind {
            let kept = previous.and_then(|previous| previous.targets.get(&upstream.name)).map(|target| &**target);
            let target = Target::new(&upstream.name, settings, kept, metrics)?;
            targets.insert(Arc::clone(&upstream.name), Arc::new(target));
        }
    }
    Ok(targets)
}

fn penalties(settings: AuthFailures, previous: Option<&Snapshot>, metrics: &Metrics) -> Arc<Penalties> {
    let previous = previous.and_then(|previous| previous.penalties.as_ref());
    let same = previous.filter(|penalties| penalties.is_for(&settings));
    same.map_or_else(|| Arc::new(Penalties::new(settings, &metrics.auth_delayed)), Arc::clone)
}

fn plan_limits(plan: &Plan, previous: Option<&Snapshot>) -> PlanLimits {
    let same = previous.and_then(|previous| previous.plans.iter().find(|before| *before.name() == plan.name));
    PlanLimits::new(plan, same.map(|same| &**same))
}

/// One table of visitors for each plan that some chatflow has for them; two chatflows of one plan share it.
fn visitors(config: &Config, plans: &[Arc<PlanLimits>], previous: Option<&Snapshot>) -> Vec<Option<Arc<Visitors>>> {
    let of_flows: Vec<usize> = config.chatflows.iter().chain(&config.wildcard).map(|chatflow| chatflow.plan).collect();
    let before = |plan: &PlanLimits| {
        let mut before = previous?.visitors.iter().flatten();
        before.find(|visitors| visitors.plan.name() == plan.name()).map(|visitors| &**visitors)
    };
    let used = |(index, plan): (usize, &Arc<PlanLimits>)| {
        let is_used = of_flows.contains(&index) || &**plan.name() == ANONYMOUS;
        is_used.then(|| Arc::new(Visitors::new(plan, before(plan))))
    };
    plans.iter().enumerate().map(used).collect()
}

fn allowances(
    keys: &KeyStore,
    plans: &[Arc<PlanLimits>],
    previous: Option<&Snapshot>,
) -> Result<Vec<Allowance>, Problems> {
    let before: HashMap<&str, &Allowance> = previous
        .map(|previous| previous.keys.keys().iter().map(|key| &*key.id).zip(&previous.allowances).collect())
        .unwrap_or_default();
    let allowances = keys
        .keys()
        .iter()
        .map(|key| plans.get(key.plan).map(|plan| Allowance::new(plan, before.get(&*key.id).copied())));
    allowances.collect::<Option<_>>().ok_or_else(|| Problems(Vec::new()))
}

fn missing_plan(config: &Config, name: &str) -> Problem {
    Problem {
        file: config.path.clone(),
        at: None,
        field: format!("plans.{name}"),
        message: "this plan always exists".to_owned(),
    }
}

fn collect<T>(problems: &mut Vec<Problem>, result: Result<T, Problems>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found.0);
            None
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
