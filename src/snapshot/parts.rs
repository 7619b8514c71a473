//! Reads what a snapshot is put together from, part by part.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::again::Held;
use super::{Engines, Snapshot};
use crate::config::{self, Chatflow, Config, Flowise, Part, Problem, Problems, UpstreamKind};
use crate::engine::{self, Flows, Wanted};
use crate::keys::{self, KeyStore, Known};
use crate::telemetry::metrics::Metrics;
use crate::tls::Identity;
use crate::upstream::target::Target;

/// See the module. From the start everything must be good; on a reload a part that is not keeps what it was.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Arc<Config>,
    pub(super) previous: Option<&'a Snapshot>,
    /// Only these are read; `None`: all.
    pub(super) due: Option<&'a BTreeSet<Part>>,
    pub(super) metrics: &'a Arc<Metrics>,
    /// What keeps what it was, and why.
    pub(super) held: Vec<Held>,
}

pub(super) type Targets = HashMap<Arc<str>, Arc<Target>>;

impl Parts<'_> {
    fn hold(&mut self, part: Part, problems: impl IntoIterator<Item = Problem>) {
        self.held.extend(problems.into_iter().map(|problem| Held { part, problem }));
    }

    /// The snapshot that a part can be taken from as it is.
    fn unless_due(&self, part: Part) -> Option<&Snapshot> {
        let is_due = self.due.is_none_or(|due| due.contains(&part));
        self.previous.filter(|previous| !is_due && Arc::ptr_eq(&previous.config, self.config))
    }

    /// # Errors
    /// The configuration does not fit the keys. Those come first: one of them may have been revoked.
    pub(super) fn keys(&mut self) -> Result<Arc<KeyStore>, Problems> {
        if let Some(previous) = self.unless_due(Part::Keys) {
            return Ok(Arc::clone(&previous.keys));
        }
        let mut problems = match keys::load(self.config) {
            Ok(keys) => return Ok(Arc::new(keys)),
            Err(problems) => problems,
        };
        let Some(previous) = self.previous else { return Err(problems) };
        let is_other = !Arc::ptr_eq(&previous.config, self.config);
        if is_other && keys::load(&previous.config).is_ok() {
            return Err(problems);
        }
        // A file that is well-formed in itself says at least which keys there are no longer.
        let mut last = match keys::load_unbound(self.config) {
            Ok(written) => Arc::new(previous.keys.without_revoked(&written)),
            Err(_) => Arc::clone(&previous.keys),
        };
        if is_other {
            match last.under(Known::of(&previous.config).plans(), &Known::of(self.config).names()) {
                Ok(moved) => last = Arc::new(moved),
                Err(keys::Unknown { key, what, name }) => {
                    let message = format!("the key `{key}` needs it, and the keys file cannot be taken over");
                    problems.0.push(self.problem(format!("{what}s.{name}"), message));
                    return Err(problems);
                }
            }
        }
        self.hold(Part::Keys, problems.0);
        Ok(last)
    }

    pub(super) fn tls(&mut self) -> Result<Option<Identity>, Problems> {
        let former = self.previous.and_then(|previous| previous.tls.clone());
        if self.unless_due(Part::Certificates).is_some() {
            return Ok(former);
        }
        match self.config.server.tls.as_ref().map(Identity::load).transpose() {
            // A listener that was taken out of the file serves until the restart, and needs its certificate.
            Ok(identity) => Ok(identity.or(former)),
            Err(problems) if self.previous.is_some() => {
                self.hold(Part::Certificates, problems.0);
                Ok(former)
            }
            Err(problems) => Err(problems),
        }
    }

    pub(super) fn targets(&mut self) -> Result<Targets, Problems> {
        let mut targets = HashMap::new();
        for upstream in &self.config.upstreams {
            if let UpstreamKind::Flowise(settings) = &upstream.kind {
                let target = self.target(&upstream.name, settings)?;
                targets.insert(Arc::clone(&upstream.name), Arc::new(target));
            }
        }
        Ok(targets)
    }

    fn target(&mut self, name: &Arc<str>, settings: &Flowise) -> Result<Target, Problems> {
        let former = self.previous.and_then(|previous| previous.targets.get(name)).map(|target| &**target);
        Target::new(name, settings, former, self.metrics).or_else(|problems| {
            // The same file, as it was when it was good.
            let path = |settings: &Flowise| settings.ca.as_ref().map(|(path, _)| path.clone());
            let same = former.filter(|former| path(&former.settings).is_some_and(|file| path(settings) == Some(file)));
            let Some(same) = same.filter(|same| same.settings.ca != settings.ca) else { return Err(problems) };
            let settings = Flowise { ca: same.settings.ca.clone(), ..settings.clone() };
            let target = Target::new(name, &settings, former, self.metrics)?;
            self.held.extend(problems.0.into_iter().map(|problem| Held { part: Part::Secrets, problem }));
            Ok(target)
        })
    }

    /// # Errors
    /// A folder that cannot be read; from the start, flows that are needed and cannot be run.
    pub(super) fn engines(&mut self) -> Result<Arc<Engines>, Problems> {
        if let Some(previous) = self.unless_due(Part::Flows) {
            return Ok(Arc::clone(&previous.engines));
        }
        let mut engines = HashMap::new();
        let mut problems = Vec::new();
        for (index, upstream) in self.config.upstreams.iter().enumerate() {
            let flows = match &upstream.kind {
                UpstreamKind::Flowise(_) => continue,
                UpstreamKind::Engine(settings) => self.flows(index, &upstream.name, settings),
                UpstreamKind::Demo => Ok(Flows::demo(&upstream.name, self.metrics)),
            };
            match flows {
                Ok(flows) => _ = engines.insert(Arc::clone(&upstream.name), self.with_ids(flows, index)),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() { Ok(Arc::new(engines)) } else { Err(Problems(problems)) }
    }

    fn flows(&mut self, upstream: usize, name: &Arc<str>, settings: &config::Engine) -> Result<Flows, Problems> {
        let former = self.previous.and_then(|previous| previous.engines.get(name));
        let wanted: Vec<_> = self.chatflows(upstream).map(wanted).collect();
        let loaded = Flows::load(name, settings, &wanted, former, self.metrics);
        let mut flows = match (loaded, former.filter(|former| former.folder() == settings.flows_dir)) {
            (Ok(flows), _) => flows,
            (Err(problems), Some(former)) => {
                self.hold(Part::Flows, problems.0);
                return Ok(former.clone());
            }
            (Err(problems), None) => return Err(problems),
        };
        let gone: Vec<_> =
            self.chatflows(upstream).filter(|chatflow| is_gone(chatflow, &flows)).map(Arc::clone).collect();
        for (chatflow, former) in gone.iter().zip(former.into_iter().cycle()) {
            let mut names = [Some(&chatflow.name), chatflow.id.as_ref()].into_iter().flatten();
            names.any(|name| flows.keep(name, former, no_flow(chatflow, &flows, self.config)));
        }
        self.hold(Part::Flows, flows.held().to_vec());
        let is_wanted =
            |name: &str| wanted.iter().any(|wanted| *wanted.name == *name || wanted.id.as_deref() == Some(name));
        // Those that chatflows name are the configuration's mistake, which is told with them.
        let others = flows.broken().filter(|(name, _)| self.previous.is_none() || !is_wanted(name));
        let others: Vec<_> = others.flat_map(|(_, problems)| problems.to_vec()).collect();
        if self.previous.is_none() {
            let mut problems = others;
            problems.extend(flows.held().to_vec());
            return if problems.is_empty() { Ok(flows) } else { Err(Problems(problems)) };
        }
        self.hold(Part::Flows, others);
        Ok(flows)
    }

    fn chatflows(&self, upstream: usize) -> impl Iterator<Item = &Arc<Chatflow>> {
        self.config.chatflows.iter().filter(move |chatflow| chatflow.upstream == upstream)
    }

    /// By the ids of chatflows too.
    fn with_ids(&self, flows: Flows, upstream: usize) -> Flows {
        let ids = self.chatflows(upstream).filter_map(|chatflow| {
            let flow = answers(chatflow, &flows)?;
            Some((chatflow.id.as_ref()?.to_string(), Arc::clone(flow)))
        });
        let ids: Vec<_> = ids.collect();
        flows.with_ids(ids)
    }

    pub(super) fn problem(&self, field: String, message: String) -> Problem {
        Problem { file: self.config.path.clone(), at: None, field, message }
    }
}

fn wanted(chatflow: &Arc<Chatflow>) -> Wanted {
    Wanted { name: Arc::clone(&chatflow.name), id: chatflow.id.clone() }
}

/// The flow whose file has the chatflow's name, or its id.
pub(super) fn answers<'a>(chatflow: &Chatflow, flows: &'a Flows) -> Option<&'a Arc<engine::Flow>> {
    if flows.problems_of(&chatflow.name).is_some() {
        return None;
    }
    flows.get(&chatflow.name).or_else(|| flows.get(chatflow.id.as_ref()?))
}

/// Why there is none.
pub(super) fn without_answer(chatflow: &Chatflow, flows: &Flows, config: &Config) -> Problems {
    let names = [Some(&chatflow.name), chatflow.id.as_ref()];
    let broken = names.into_iter().flatten().find_map(|name| flows.problems_of(name));
    broken.map_or_else(|| no_flow(chatflow, flows, config).into(), |problems| Problems(problems.to_vec()))
}

/// Whether there is no file for it, good or bad.
fn is_gone(chatflow: &Chatflow, flows: &Flows) -> bool {
    let mut names = [Some(&chatflow.name), chatflow.id.as_ref()].into_iter().flatten();
    names.all(|name| flows.get(name).is_none() && flows.problems_of(name).is_none())
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
