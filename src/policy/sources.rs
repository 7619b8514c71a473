//! Reads what a policy is put together from, part by part. From the start everything must be good; on a reload a part that
//! is not keeps what it was.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::build::{FlowiseUpstreams, PolicyParts, answers, collect, no_flow};
use super::{Engines, Policy};
use crate::config::{self, Chatflow, Config, ConfigPart, Flowise, Problem, Problems, UpstreamKind};
use crate::engine::{Flows, WantedFlow};
use crate::keys::{self, AllowedNames, KeyStore, Unusable};
use crate::state::endpoints::Endpoints;
use crate::tls::Identity;
use crate::upstream::target::FlowiseUpstream;

/// See the module.
pub(crate) struct Sources<'a> {
    config: &'a Arc<Config>,
    /// What is in force; `None` at the start.
    last: Option<&'a PolicyParts>,
    /// Only these are read; `None`: all.
    due: Option<&'a BTreeSet<ConfigPart>>,
    /// Where flows find the servers that they ask.
    endpoints: &'a Arc<Endpoints>,
    /// What keeps what it was, and why.
    held: Vec<Held>,
}

/// Why a part, or one file of it, is not as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) part: ConfigPart,
    pub(crate) problem: Problem,
}

impl<'a> Sources<'a> {
    /// All that a configuration names.
    pub(crate) fn new(config: &'a Arc<Config>, endpoints: &'a Arc<Endpoints>) -> Self {
        Self { config, last: None, due: None, endpoints, held: Vec::new() }
    }

    /// The parts that are `due`; each that is not, or not good, stays as in `last`. The configuration may be the one in
    /// force.
    pub(crate) fn again(self, last: &'a PolicyParts, due: &'a BTreeSet<ConfigPart>) -> Self {
        Self { last: Some(last), due: Some(due), ..self }
    }

    /// The policy, and what is not in it although it is on disk.
    ///
    /// # Errors
    /// Everything that is wrong. On a reload: the configuration cannot be taken over, since it does not fit the keys, or a
    /// chatflow of it has no flow.
    pub(crate) fn read(mut self) -> Result<(Policy, Vec<Held>), Problems> {
        let mut problems = Vec::new();
        let keys = collect(&mut problems, self.keys());
        let is_whole = keys.is_some();
        // What else is wrong shall be known as well.
        let keys = keys.unwrap_or_else(|| self.last.map_or_else(Arc::default, |last| Arc::clone(&last.keys)));
        let policy = collect(&mut problems, self.with_keys(keys));
        match policy {
            Some(policy) if is_whole && problems.is_empty() => Ok((policy, self.held)),
            _ => Err(Problems(problems)),
        }
    }

    /// The policy, with keys from elsewhere.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn with_keys(&mut self, keys: Arc<KeyStore>) -> Result<Policy, Problems> {
        let mut problems = Vec::new();
        let tls = collect(&mut problems, self.tls());
        let engines = collect(&mut problems, self.engines());
        let upstreams = collect(&mut problems, self.upstreams());
        let (Some(tls), Some(upstreams), Some(engines)) = (tls, upstreams, engines) else {
            return Err(Problems(problems));
        };
        let policy = Policy::new(PolicyParts { config: Arc::clone(self.config), keys, tls, upstreams, engines })?;
        if self.last.is_none() {
            // Only at first: a reload may take a key out of use, and a full disk must not stand in its way.
            policy.probe_state_dir()?;
        }
        Ok(policy)
    }

    fn hold(&mut self, part: ConfigPart, problems: impl IntoIterator<Item = Problem>) {
        self.held.extend(problems.into_iter().map(|problem| Held { part, problem }));
    }

    /// What a part can be taken from as it is.
    fn unless_due(&self, part: ConfigPart) -> Option<&'a PolicyParts> {
        let is_due = self.due.is_none_or(|due| due.contains(&part));
        self.last.filter(|last| !is_due && Arc::ptr_eq(&last.config, self.config))
    }

    /// # Errors
    /// The configuration does not fit the keys. Those come first: one of them may have been revoked.
    fn keys(&mut self) -> Result<Arc<KeyStore>, Problems> {
        if let Some(last) = self.unless_due(ConfigPart::Keys) {
            return Ok(Arc::clone(&last.keys));
        }
        let Unusable { mut problems, written } = match keys::load(self.config) {
            // There may be very many, and they were taken over before all else.
            Ok(keys) => {
                let same = self.last.map(|last| &last.keys).filter(|last| ***last == keys);
                return Ok(same.map_or_else(|| Arc::new(keys), Arc::clone));
            }
            Err(unusable) => unusable,
        };
        let Some(last) = self.last else { return Err(problems) };
        let is_other = !Arc::ptr_eq(&last.config, self.config);
        if is_other && keys::load(&last.config).is_ok() {
            return Err(problems);
        }
        // It may say at least which keys there are no longer.
        let mut kept = match &written {
            Some(written) => Arc::new(last.keys.without_revoked(written)),
            None => Arc::clone(&last.keys),
        };
        if is_other {
            match kept.under(AllowedNames::of(&last.config).plans(), &AllowedNames::of(self.config).names()) {
                Ok(moved) => kept = Arc::new(moved),
                Err(keys::Unknown { key, what, name }) => {
                    let message = format!("the key `{key}` needs it, and the keys file cannot be taken over");
                    problems.0.push(self.problem(format!("{what}s.{name}"), message));
                    return Err(problems);
                }
            }
        }
        self.hold(ConfigPart::Keys, problems.0);
        Ok(kept)
    }

    fn tls(&mut self) -> Result<Option<Identity>, Problems> {
        let former = self.last.and_then(|last| last.tls.clone());
        if self.unless_due(ConfigPart::Certificates).is_some() {
            return Ok(former);
        }
        match self.config.server.tls.as_ref().map(Identity::load).transpose() {
            // A listener that was taken out of the file serves until the restart, and needs its certificate.
            Ok(identity) => Ok(identity.or(former)),
            Err(problems) if self.last.is_some() => {
                self.hold(ConfigPart::Certificates, problems.0);
                Ok(former)
            }
            Err(problems) => Err(problems),
        }
    }

    fn upstreams(&mut self) -> Result<Arc<FlowiseUpstreams>, Problems> {
        let mut upstreams = HashMap::new();
        for upstream in &self.config.upstreams {
            if let UpstreamKind::Flowise(settings) = &upstream.kind {
                let flowise = self.flowise(&upstream.name, settings)?;
                upstreams.insert(Arc::clone(&upstream.name), Arc::new(flowise));
            }
        }
        Ok(Arc::new(upstreams))
    }

    fn flowise(&mut self, name: &Arc<str>, settings: &Flowise) -> Result<FlowiseUpstream, Problems> {
        FlowiseUpstream::new(name, settings).or_else(|problems| {
            let former = self.last.and_then(|last| last.upstreams.get(name));
            // The same file, as it was when it was good.
            let path = |settings: &Flowise| settings.ca.as_ref().map(|(path, _)| path.clone());
            let same = former.filter(|former| path(&former.settings).is_some_and(|file| path(settings) == Some(file)));
            let Some(same) = same.filter(|same| same.settings.ca != settings.ca) else { return Err(problems) };
            let settings = Flowise { ca: same.settings.ca.clone(), ..settings.clone() };
            let flowise = FlowiseUpstream::new(name, &settings)?;
            self.hold(ConfigPart::Secrets, problems.0);
            Ok(flowise)
        })
    }

    /// # Errors
    /// A folder that cannot be read; from the start, flows that are needed and cannot be run.
    fn engines(&mut self) -> Result<Arc<Engines>, Problems> {
        if let Some(last) = self.unless_due(ConfigPart::Flows) {
            return Ok(Arc::clone(&last.engines));
        }
        let mut engines = HashMap::new();
        let mut problems = Vec::new();
        for (index, upstream) in self.config.upstreams.iter().enumerate() {
            let flows = match &upstream.kind {
                UpstreamKind::Flowise(_) => continue,
                UpstreamKind::Engine(settings) => self.flows(index, &upstream.name, settings),
                UpstreamKind::Demo => Ok(Flows::demo(&upstream.name, self.endpoints)),
            };
            match flows {
                Ok(flows) => _ = engines.insert(Arc::clone(&upstream.name), self.with_ids(flows, index)),
                Err(found) => problems.extend(found.0),
            }
        }
        if problems.is_empty() { Ok(Arc::new(engines)) } else { Err(Problems(problems)) }
    }

    fn flows(&mut self, upstream: usize, name: &Arc<str>, settings: &config::Engine) -> Result<Flows, Problems> {
        let former = self.last.and_then(|last| last.engines.get(name));
        let wanted: Vec<_> = self.chatflows(upstream).map(wanted).collect();
        let loaded = Flows::load(name, settings, &wanted, former, self.endpoints);
        let mut flows = match (loaded, former.filter(|former| former.folder() == settings.flows_dir)) {
            (Ok(flows), _) => flows,
            (Err(problems), Some(former)) => {
                self.hold(ConfigPart::Flows, problems.0);
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
        self.hold(ConfigPart::Flows, flows.held().to_vec());
        let names: HashSet<&str> =
            wanted.iter().flat_map(|wanted| [Some(&*wanted.name), wanted.id.as_deref()]).flatten().collect();
        let is_wanted = |name: &str| names.contains(name);
        // Those that chatflows name are the configuration's mistake, which is told with them.
        let others = flows.broken().filter(|(name, _)| self.last.is_none() || !is_wanted(name));
        let others: Vec<_> = others.flat_map(|(_, problems)| problems.to_vec()).collect();
        if self.last.is_none() {
            let mut problems = others;
            problems.extend(flows.held().to_vec());
            return if problems.is_empty() { Ok(flows) } else { Err(Problems(problems)) };
        }
        self.hold(ConfigPart::Flows, others);
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

    fn problem(&self, field: String, message: String) -> Problem {
        Problem { file: self.config.path.clone(), at: None, field, message }
    }
}

fn wanted(chatflow: &Arc<Chatflow>) -> WantedFlow {
    WantedFlow { name: Arc::clone(&chatflow.name), id: chatflow.id.clone() }
}

/// Whether there is no file for it, good or bad.
fn is_gone(chatflow: &Chatflow, flows: &Flows) -> bool {
    let mut names = [Some(&chatflow.name), chatflow.id.as_ref()].into_iter().flatten();
    names.all(|name| flows.get(name).is_none() && flows.problems_of(name).is_none())
}
