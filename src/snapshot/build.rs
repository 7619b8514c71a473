//! Puts the parts of a snapshot together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::parts::{Parts, Targets, answers, without_answer};
use super::{ANONYMOUS, Backend, Engines, Flow, Snapshot};
use crate::config::{AuthFailures, Chatflow, Config, Plan, Problem, Problems, Secret};
use crate::keys::{self, KeyStore};
use crate::predict::session::SessionKey;
use crate::redact::Redactor;
use crate::state::limits::{Allowance, Penalties, PlanLimits, Visitors};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::told::Told;
use crate::upstream::target::Credentials;

impl Snapshot {
    /// The first one: reads keys, certificate and flows, all of which must be good.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn load(config: Config, metrics: &Arc<Metrics>) -> Result<Self, Problems> {
        match keys::load(&config) {
            Ok(keys) => Self::build(config, keys, metrics),
            Err(mut problems) => {
                // What else is wrong shall be known as well.
                if let Err(more) = Self::build(config, KeyStore::default(), metrics) {
                    problems.0.extend(more.0);
                }
                Err(problems)
            }
        }
    }

    /// As [`load`](Self::load), with keys from elsewhere.
    pub(crate) fn build(config: Config, keys: KeyStore, metrics: &Arc<Metrics>) -> Result<Self, Problems> {
        let config = Arc::new(config);
        let mut parts = Parts { config: &config, previous: None, due: None, metrics, held: Vec::new() };
        let snapshot = parts.assemble(Arc::new(keys))?;
        // Only at first: a reload may take a key out of use, and a full disk must not stand in its way.
        snapshot.probe_state_dir()?;
        Ok(snapshot)
    }
}

impl Parts<'_> {
    /// Reads everything but the keys and puts it together with these.
    pub(super) fn assemble(&mut self, keys: Arc<KeyStore>) -> Result<Snapshot, Problems> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let mut problems = Vec::new();
        let tls = collect(&mut problems, self.tls());
        let engines = collect(&mut problems, self.engines());
        let targets = collect(&mut problems, self.targets());
        let (Some(tls), Some(targets), Some(engines)) = (tls, targets, engines) else { return Err(Problems(problems)) };

        let (config, previous) = (self.config, self.previous);
        let mut flows: Vec<Arc<Flow>> = Vec::with_capacity(config.chatflows.len() + 1);
        let mut by_name = Vec::with_capacity(config.chatflows.len());
        for (index, chatflow) in (0_u32..).zip(&config.chatflows) {
            by_name.push((Arc::clone(&chatflow.name), index));
            if let Some(backend) = collect(&mut problems, backend(chatflow, config, &targets, &engines)) {
                flows.push(Arc::new(Flow::new(chatflow, config, &keys, backend)));
            }
        }
        by_name.sort_unstable();
        let wildcard = config.wildcard.as_ref().map(|chatflow| {
            if let Some(backend) = collect(&mut problems, backend(chatflow, config, &targets, &engines)) {
                flows.push(Arc::new(Flow::new(chatflow, config, &keys, backend)));
            }
            (0_u32..).zip(&flows).last().map_or(0, |(index, _)| index)
        });
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let plans: Vec<_> = config.plans.iter().map(|plan| Arc::new(plan_limits(plan, previous))).collect();
        let allowances = allowances(&keys, &plans, previous)?;
        let visitors = visitors(config, &plans, previous);
        let anonymous = visitors.iter().flatten().find(|visitors| &**visitors.plan.name() == ANONYMOUS);
        let Some(anonymous) = anonymous.map(Arc::clone) else { return Err(missing_plan(config, ANONYMOUS).into()) };
        Ok(Snapshot {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            keys,
            redactor: Arc::new(Redactor::of(config)),
            allowances,
            plans,
            visitors,
            anonymous,
            penalties: config.auth_failures.map(|settings| penalties(settings, previous, self.metrics)),
            told_origins: Told::default(),
            told_ids: Told::default(),
            flows,
            by_name,
            wildcard,
            targets,
            engines,
            tls,
            config: Arc::clone(config),
        })
    }
}

impl Flow {
    fn new(chatflow: &Arc<Chatflow>, config: &Config, keys: &KeyStore, backend: Backend) -> Self {
        let secret = config.session_secret.as_ref().map(Secret::expose);
        let sessions = SessionKey::new(secret, chatflow.id.as_deref());
        let mut origins = chatflow.allowed_origins.clone();
        let callers = keys.keys().iter().filter_map(|key| Some((key, key.allowed_origins()?)));
        let callers = callers.filter(|(key, _)| &*chatflow.name == "*" || key.may_call(&chatflow.name));
        callers.for_each(|(_, pages)| origins.extend(pages));
        Self { config: Arc::clone(chatflow), backend, origins, sessions }
    }
}

fn backend(chatflow: &Chatflow, config: &Config, targets: &Targets, engines: &Engines) -> Result<Backend, Problems> {
    let problem = |message: String| Problem {
        file: config.path.clone(),
        at: None,
        field: format!("chatflows.{}", chatflow.name),
        message,
    };
    let absent = || problem("there is no such upstream".to_owned());
    let upstream = config.upstreams.get(chatflow.upstream).ok_or_else(absent)?;
    if let Some(flows) = engines.get(&upstream.name) {
        let found = answers(chatflow, flows).ok_or_else(|| without_answer(chatflow, flows, config))?;
        return Ok(Backend::Engine { flow: Arc::clone(found), flows: Arc::clone(flows.index()) });
    }
    let target = targets.get(&upstream.name).ok_or_else(absent)?;
    let key = chatflow.api_key.as_ref().or(target.settings.api_key.as_ref());
    Ok(Backend::Flowise { target: Arc::clone(target), credentials: key.and_then(Credentials::new).map(Arc::new) })
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
    let before = |id: &str| {
        let previous = previous?;
        previous.allowances.get(previous.keys.by_id(id)?.0)
    };
    let allowances =
        keys.keys().iter().map(|key| plans.get(key.plan).map(|plan| Allowance::new(plan, before(&key.id))));
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

pub(super) fn collect<T>(problems: &mut Vec<Problem>, result: Result<T, Problems>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found.0);
            None
        }
    }
}
