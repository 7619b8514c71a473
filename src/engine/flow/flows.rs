//! All flows of one engine, read from its folder.
//!
//! Each file is good or bad by itself. On a reload, one that has become bad keeps what it was; a new one that is bad, or
//! one from the start, matters if some chatflow needs it.

mod contained;
mod files;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::contained::{ContainedFlow, contained, is_whole_export};
use self::files::{digest_of, texts};
pub(crate) use self::files::{export_text, listed, watched};
use crate::config::{self, Problem, Problems};
use crate::engine::compile::context::{CompileContext, Missing, Need};
use crate::engine::compile::problem::printable;
use crate::engine::contract::flows::FlowIndex;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::CompiledFlow;
use crate::engine::flow::wants::wants;
use crate::engine::provider::Targets;
use crate::state::endpoints::Endpoints;

/// See the module. By file name without `.json`.
#[derive(Debug, Clone)]
pub(crate) struct Flows {
    folder: PathBuf,
    context: Arc<CompileContext>,
    by_name: HashMap<String, Loaded>,
    index: Arc<FlowIndex>,
    /// Files that chatflows need and that never were good.
    broken: HashMap<String, Vec<Problem>>,
    /// What is wrong with files that are needed and keep what they were.
    held: Vec<Problem>,
    /// What is wrong with files that no chatflow needs.
    unused: Vec<Problem>,
}

/// Two are equal if the same files are good and bad, and were made with the same settings.
impl PartialEq for Flows {
    fn eq(&self, other: &Self) -> bool {
        let of = |flows: &Self| {
            let files = flows.by_name.iter().map(|(name, loaded)| (name.clone(), loaded.path.clone(), loaded.digest));
            files.collect::<BTreeSet<_>>()
        };
        (&self.folder, &self.broken, &self.held, &self.unused)
            == (&other.folder, &other.broken, &other.held, &other.unused)
            && self.context.is_like(&other.context)
            && of(self) == of(other)
    }
}

#[derive(Debug, Clone)]
struct Loaded {
    flow: Arc<CompiledFlow>,
    path: PathBuf,
    digest: [u8; 32],
}

/// A chatflow that one of the flows answers: its name, and the id that Flowise gave it.
#[derive(Debug, Clone)]
pub(crate) struct WantedFlow {
    pub(crate) name: Arc<str>,
    pub(crate) id: Option<Arc<str>>,
}

impl Flows {
    /// Flows whose file, credentials and document stores are as in `previous`, the last good ones, are taken over, with
    /// whatever they have at hand; a file that has become bad keeps what it was there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn load(
        upstream: &Arc<str>,
        settings: &config::Engine,
        wanted: &[WantedFlow],
        previous: Option<&Self>,
        endpoints: &Arc<Endpoints>,
    ) -> Result<Self, Problems> {
        let folder = &settings.flows_dir;
        let same_folder = previous.filter(|previous| previous.folder == *folder);
        let stores_before = same_folder.map(|previous| &previous.context.stores);
        let (exports, whole) =
            texts(folder, stores_before.map(|stores| &**stores)).map_err(|error| problem(folder, error.to_string()))?;
        let stores = DocumentStores::read_again(&whole, stores_before);
        let contained = contained::all(&whole, &exports, same_folder);
        drop(whole);
        let same = same_folder.filter(|same| same.has(settings) && Arc::ptr_eq(&same.context.stores, &stores));
        let context = same.map_or_else(
            || {
                let targets = Targets::new(upstream, endpoints).allowing(&settings.allow_networks);
                let targets = targets.instead(&settings.addresses);
                let context = CompileContext::new(settings.credentials.clone(), targets);
                let context = context.with_limits(settings.limits).with_scripts(settings.scripts.clone());
                let context = context.with_mcp_servers(settings.mcp_servers.clone());
                Arc::new(context.with_stores(stores))
            },
            |same| Arc::clone(&same.context),
        );
        let mut flows = Self::empty(folder.clone(), context);
        flows.held = flows.context.stores.problems().map(|(file, message)| problem(file, message.to_owned())).collect();
        let mut failed = Vec::new();
        for (path, text) in exports {
            let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            match load(&name, path.with_extension(""), path, text, same, &flows.context) {
                Ok(loaded) => {
                    flows.by_name.insert(name, loaded);
                }
                Err(problems) => failed.push((name, problems)),
            }
        }
        for (path, ContainedFlow { name, title, text }) in contained.flows {
            match load(&name, folder.join(&name), path, Ok(text), same, &flows.context) {
                Ok(loaded) => {
                    flows.by_name.insert(name, loaded);
                }
                Err(problems) => {
                    failed.push((name, problems.into_iter().map(|found| of_flow(&title, found)).collect()));
                }
            }
        }
        failed.extend(contained.failed.into_iter().map(|(name, path, message)| (name, vec![problem(&path, message)])));
        flows.settle(failed, wanted, same_folder);
        Ok(flows)
    }

    fn empty(folder: PathBuf, context: Arc<CompileContext>) -> Self {
        let (by_name, index, broken, held, unused) = Default::default();
        Self { folder, context, by_name, index, broken, held, unused }
    }

    /// What becomes of files that cannot be run.
    fn settle(&mut self, failed: Vec<(String, Vec<Problem>)>, wanted: &[WantedFlow], former: Option<&Self>) {
        for (name, _) in &failed {
            if let Some(former) = former.and_then(|former| former.by_name.get(name)) {
                let kept = former.under(&self.context);
                self.by_name.insert(name.clone(), kept);
            }
        }
        let used = self.used(&failed.iter().map(|(name, _)| name.as_str()).collect(), wanted);
        for (name, problems) in failed {
            if !used.contains(&name) {
                self.unused.extend(problems);
            } else if self.by_name.contains_key(&name) {
                self.held.extend(problems);
            } else {
                self.broken.insert(name, problems);
            }
        }
    }

    /// The files that chatflows need, by themselves or because a flow that one needs runs them.
    fn used(&self, failed: &HashSet<&str>, wanted: &[WantedFlow]) -> HashSet<String> {
        let is_there = |name: &str| self.by_name.contains_key(name) || failed.contains(name);
        let file_of = |chatflow: &WantedFlow| {
            let names = [Some(&chatflow.name), chatflow.id.as_ref()];
            names.into_iter().flatten().find(|name| is_there(name)).map(ToString::to_string)
        };
        // In reverse: of several with one id the first counts.
        let ids = wanted.iter().rev().filter_map(|chatflow| Some((chatflow.id.as_deref()?, chatflow)));
        let by_id: HashMap<_, _> = ids.collect();
        let mut waiting: Vec<String> = wanted.iter().filter_map(file_of).collect();
        let mut used = HashSet::new();
        while let Some(name) = waiting.pop() {
            let flow = self.get(&name);
            if !used.insert(name) {
                continue;
            }
            for need in flow.into_iter().flat_map(|flow| &flow.missing).map(|missing| &missing.need) {
                if let Need::Flow { name } = need {
                    let by_id = by_id.get(&**name).copied().and_then(file_of);
                    waiting.push(by_id.unwrap_or_else(|| name.clone()));
                }
            }
        }
        used
    }

    /// Goes on with a flow whose file has gone, if `previous` has it; `why` says that it should not have.
    pub(crate) fn keep(&mut self, name: &str, previous: &Self, why: Problem) -> bool {
        let Some(former) = previous.by_name.get(name).filter(|_| previous.folder == self.folder) else { return false };
        let kept = former.under(&self.context);
        self.by_name.insert(name.to_owned(), kept);
        self.held.push(why);
        true
    }

    /// Whether flows were made with these settings.
    fn has(&self, settings: &config::Engine) -> bool {
        self.context.credentials == settings.credentials
            && self.context.targets.is_set(&settings.allow_networks, &settings.addresses)
            && self.context.limits == settings.limits
            && self.context.scripts == settings.scripts
            && self.context.mcp_servers == settings.mcp_servers
    }

    /// The flow of `flowgate demo` alone.
    pub(crate) fn demo(upstream: &Arc<str>, endpoints: &Arc<Endpoints>) -> Self {
        let targets = Targets::new(upstream, endpoints);
        let context = Arc::new(CompileContext::new(HashMap::new(), targets));
        let flow = Arc::new(CompiledFlow::demo(&context));
        let mut flows = Self::empty(PathBuf::new(), context);
        flows.by_name.insert(flow.name.to_string(), Loaded { flow, path: PathBuf::new(), digest: [0; 32] });
        flows
    }

    /// The same, found by `ids` as well, which are Flowise's, where flows run others.
    pub(crate) fn with_ids(self, ids: Vec<(String, Arc<CompiledFlow>)>) -> Self {
        let by_name = self.by_name.iter().map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.flow)));
        let index = Arc::new(ids.into_iter().chain(by_name).collect());
        Self { index, ..self }
    }

    pub(crate) fn index(&self) -> &Arc<FlowIndex> {
        &self.index
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<CompiledFlow>> {
        self.by_name.get(name).map(|loaded| &loaded.flow)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is wrong with a file that a chatflow needs and that never was good.
    pub(crate) fn broken(&self) -> impl Iterator<Item = (&str, &[Problem])> {
        self.broken.iter().map(|(name, problems)| (name.as_str(), problems.as_slice()))
    }

    /// The same for one file.
    pub(crate) fn problems_of(&self, name: &str) -> Option<&[Problem]> {
        self.broken.get(name).map(Vec::as_slice)
    }

    /// Whether these are the very same flows.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same = |(name, loaded): (&String, &Loaded)| {
            other.by_name.get(name).is_some_and(|other| Arc::ptr_eq(&loaded.flow, &other.flow))
        };
        self.by_name.len() == other.by_name.len() && self.by_name.iter().all(is_same)
    }

    /// What is wrong with files that are needed and keep what they were.
    pub(crate) fn held(&self) -> &[Problem] {
        &self.held
    }

    /// What is wrong with files that no chatflow needs.
    pub(crate) fn unused(&self) -> &[Problem] {
        &self.unused
    }

    /// Tells of document stores, and warns of what nodes ask for and do not get, unless `previous` did so before. To be
    /// called once the set is in force.
    pub(crate) fn announce(&self, previous: Option<&Self>) {
        let stores = &self.context.stores;
        if previous.is_none_or(|previous| !Arc::ptr_eq(&previous.context.stores, stores)) {
            for store in stores.iter() {
                let passages = store.documents.len();
                tracing::info!(file = %store.file.display(), store = store.name, passages, "a document store was loaded");
            }
        }
        let known: HashSet<_> = previous.into_iter().flat_map(Self::missing).collect();
        for want in wants(self.missing().filter(|missing| !known.contains(missing))) {
            let (flows, nodes, places, advice) = (want.flows(), want.nodes(), want.places(), want.advice(None));
            tracing::warn!(folder = %self.folder.display(), need = %want, flows, nodes, places, advice, "flows will fail for want of something");
        }
    }

    /// How many flows there are.
    pub(crate) fn count(&self) -> usize {
        self.by_name.len()
    }

    /// What nodes ask for and do not get, with the flow's name.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&str, &Missing)> {
        let all = self.by_name.values().flat_map(|loaded| {
            let flow = &loaded.flow;
            flow.missing.iter().map(|missing| (&*flow.name, missing))
        });
        all.filter(|(_, missing)| match &missing.need {
            Need::Flow { name } => self.index.get(name).is_none(),
            _ => true,
        })
    }
}

impl Loaded {
    /// The same flow, made with what is there now: with new credentials, for instance.
    fn under(&self, context: &Arc<CompileContext>) -> Self {
        let flow = self.flow.under(context).map_or_else(|| Arc::clone(&self.flow), Arc::new);
        Self { flow, ..self.clone() }
    }
}

/// The document stores that flows of a folder have.
///
/// # Errors
/// The folder cannot be read, or what is wrong with exports in it.
pub(crate) fn stores_in(folder: &Path) -> Result<Arc<DocumentStores>, Problems> {
    let (_, whole) = texts(folder, None).map_err(|error| problem(folder, error.to_string()))?;
    let stores = DocumentStores::read_again(&whole, None);
    let problems: Vec<_> = stores.problems().map(|(file, message)| problem(file, message.to_owned())).collect();
    if problems.is_empty() { Ok(stores) } else { Err(Problems(problems)) }
}

/// `folder`: of files that the flow names.
fn load(
    name: &str,
    folder: PathBuf,
    path: PathBuf,
    text: Result<String, String>,
    previous: Option<&Flows>,
    context: &Arc<CompileContext>,
) -> Result<Loaded, Vec<Problem>> {
    let text = text.map_err(|message| vec![problem(&path, message)])?;
    let digest = digest_of(&text, &folder).map_err(|error| vec![problem(&folder, error.to_string())])?;
    if let Some(same) = previous.and_then(|flows| flows.by_name.get(name)).filter(|before| before.digest == digest) {
        return Ok(Loaded { path, ..same.clone() });
    }
    let flow = CompiledFlow::load(Some(folder), name, &text, context)
        .map_err(|found| found.iter().map(|found| problem(&path, found.to_string())).collect::<Vec<_>>())?;
    let refused = |missing: &Missing| {
        Some(problem(&path, format!("node \"{}\": {}", printable(&missing.label), missing.need.refusal()?)))
    };
    let refused: Vec<_> = flow.missing.iter().filter_map(refused).collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok(Loaded { flow: Arc::new(flow), path, digest })
}

/// Of one of several flows in a file.
fn of_flow(title: &str, problem: Problem) -> Problem {
    Problem { message: format!("flow \"{title}\": {}", problem.message), ..problem }
}

fn problem(path: &Path, message: String) -> Problem {
    Problem { file: path.to_owned(), at: None, field: String::new(), message }
}

#[cfg(test)]
mod tests;
