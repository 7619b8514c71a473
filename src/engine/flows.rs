//! All flows of one engine, read from its folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::compile::{Missing, Need, Workshop};
use super::document_stores::{DocumentStores, is_whole_export};
use super::flow::Flow;
use super::provider::Targets;
use crate::config::{self, Problem, Problems};
use crate::telemetry::metrics::Metrics;

/// Of one file. Exports of everything have the chats in them, if their author wants.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// See the module. By file name without `.json`.
#[derive(Debug)]
pub(crate) struct Flows {
    folder: PathBuf,
    workshop: Arc<Workshop>,
    by_name: HashMap<String, Loaded>,
    index: Arc<FlowIndex>,
}

/// All flows of one engine by their files' names and by the ids that Flowise gave them: some run others.
#[derive(Debug, Default)]
pub(crate) struct FlowIndex(HashMap<String, Arc<Flow>>);

impl FlowIndex {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Flow>> {
        self.0.get(name)
    }
}

impl FromIterator<(String, Arc<Flow>)> for FlowIndex {
    fn from_iter<T: IntoIterator<Item = (String, Arc<Flow>)>>(flows: T) -> Self {
        Self(flows.into_iter().collect())
    }
}

#[derive(Debug, Clone)]
struct Loaded {
    flow: Arc<Flow>,
    path: PathBuf,
    digest: [u8; 32],
}

impl Flows {
    /// Flows whose file, credentials and document stores are as in `previous` are taken over, with whatever they have at
    /// hand.
    ///
    /// # Errors
    /// The folder or a file cannot be read, or holds what the engine cannot run; everything that is wrong.
    pub(crate) fn load(
        upstream: &Arc<str>,
        settings: &config::Engine,
        previous: Option<&Self>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Problems> {
        let (exports, whole) = texts(&settings.flows_dir)?;
        let same = previous.filter(|previous| previous.has(settings));
        let stores = stores(&whole, same)?;
        drop(whole);
        let same = same.filter(|same| Arc::ptr_eq(&same.workshop.stores, &stores));
        let workshop = same.map_or_else(
            || {
                let targets = Targets::new(upstream, metrics).allowing(&settings.allow_networks);
                if let Some(previous) = previous {
                    targets.take_over(&previous.workshop.targets);
                }
                let workshop = Workshop::new(settings.credentials.clone(), targets);
                Arc::new(workshop.with_limits(settings.limits).with_stores(stores))
            },
            |same| Arc::clone(&same.workshop),
        );
        let mut by_name = HashMap::new();
        let mut problems = Vec::new();
        for (path, text) in exports {
            let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            match load(&name, path, &text, same, &workshop) {
                Ok(loaded) => {
                    by_name.insert(name, loaded);
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(Self { folder: settings.flows_dir.clone(), workshop, by_name, index: Arc::default() })
        } else {
            Err(Problems(problems))
        }
    }

    /// Whether flows were made with these settings.
    fn has(&self, settings: &config::Engine) -> bool {
        self.workshop.credentials == settings.credentials
            && self.workshop.targets.allows(&settings.allow_networks)
            && self.workshop.limits == settings.limits
    }

    /// The flow of `flowgate demo` alone.
    pub(crate) fn demo(upstream: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        let targets = Targets::new(upstream, metrics);
        let workshop = Arc::new(Workshop::new(HashMap::new(), targets));
        let flow = Arc::new(Flow::demo(&workshop));
        let name = flow.name.to_string();
        let loaded = Loaded { flow, path: PathBuf::new(), digest: [0; 32] };
        Self { folder: PathBuf::new(), workshop, by_name: HashMap::from([(name, loaded)]), index: Arc::default() }
    }

    /// The same, found by `ids` as well, which are Flowise's, where flows run others.
    pub(crate) fn with_ids(self, ids: Vec<(String, Arc<Flow>)>) -> Self {
        let by_name = self.by_name.iter().map(|(name, loaded)| (name.clone(), Arc::clone(&loaded.flow)));
        let index = Arc::new(ids.into_iter().chain(by_name).collect());
        Self { index, ..self }
    }

    pub(crate) fn index(&self) -> &Arc<FlowIndex> {
        &self.index
    }

    /// Warns of what nodes ask for and do not get, unless `previous` did so before. To be called once the set is in
    /// force.
    pub(crate) fn warn_of_missing(&self, previous: Option<&Self>) {
        let known: Vec<_> = previous.into_iter().flat_map(Self::missing).collect();
        for (file, Missing { label, need, .. }) in self.missing().filter(|missing| !known.contains(missing)) {
            tracing::warn!(file = %file.display(), node = label, %need, "a node will fail for want of something");
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Flow>> {
        self.by_name.get(name).map(|loaded| &loaded.flow)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What nodes ask for and do not get, with the flow's file.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&Path, &Missing)> {
        let all =
            self.by_name.values().flat_map(|loaded| loaded.flow.missing.iter().map(|missing| (&*loaded.path, missing)));
        all.filter(|(_, missing)| match &missing.need {
            Need::Flow { name } => self.index.get(name).is_none(),
            _ => true,
        })
    }
}

/// Files and what is in them.
type Texts = Vec<(PathBuf, String)>;

/// The flows, and beside them exports of everything.
fn texts(folder: &Path) -> Result<(Texts, Texts), Problem> {
    let mut texts = Vec::new();
    for path in files(folder).map_err(|error| problem(folder, error.to_string()))? {
        let size = std::fs::metadata(&path).map_err(|error| problem(&path, error.to_string()))?.len();
        if size > MOST_BYTES {
            return Err(problem(&path, format!("it is larger than {} MiB", MOST_BYTES / 1024 / 1024)));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| problem(&path, error.to_string()))?;
        texts.push((path, text));
    }
    Ok(texts.into_iter().partition(|(_, text)| !is_whole_export(text)))
}

fn stores(whole: &Texts, previous: Option<&Flows>) -> Result<Arc<DocumentStores>, Problems> {
    let before = previous.map(|previous| &previous.workshop.stores);
    let problems = |found: Vec<(PathBuf, String)>| {
        Problems(found.into_iter().map(|(path, message)| problem(&path, message)).collect())
    };
    let stores = DocumentStores::read(whole, before).map_err(problems)?;
    if before.is_none_or(|before| !Arc::ptr_eq(before, &stores)) {
        for store in stores.iter() {
            let passages = store.documents.len();
            tracing::info!(file = %store.file.display(), store = store.name, passages, "a document store was loaded");
        }
    }
    Ok(stores)
}

/// The document stores that flows of a folder have.
///
/// # Errors
/// As [`Flows::load`].
pub(crate) fn stores_in(folder: &Path) -> Result<Arc<DocumentStores>, Problems> {
    stores(&texts(folder)?.1, None)
}

fn load(
    name: &str,
    path: PathBuf,
    text: &str,
    previous: Option<&Flows>,
    workshop: &Arc<Workshop>,
) -> Result<Loaded, Vec<Problem>> {
    let folder = path.with_extension("");
    let digest = digest_of(text, &folder).map_err(|error| vec![problem(&folder, error.to_string())])?;
    if let Some(same) = previous.and_then(|flows| flows.by_name.get(name)).filter(|before| before.digest == digest) {
        return Ok(Loaded { path, ..same.clone() });
    }
    let flow = Flow::load(Some(folder), name, text, workshop)
        .map_err(|found| found.iter().map(|found| problem(&path, found.to_string())).collect::<Vec<_>>())?;
    Ok(Loaded { flow: Arc::new(flow), path, digest })
}

/// Of everything that a flow is made of: its export, and the files in its folder.
fn digest_of(text: &str, folder: &Path) -> std::io::Result<[u8; 32]> {
    let mut content = Context::new(&SHA256);
    content.update(text.as_bytes());
    let files = if folder.is_dir() { listed(folder)? } else { Vec::new() };
    for file in files.iter().filter(|file| file.is_file()) {
        content.update(file.as_os_str().as_encoded_bytes());
        content.update(digest(&SHA256, &std::fs::read(file)?).as_ref());
    }
    Ok(content.finish().as_ref().try_into().unwrap_or_default())
}

/// The flows' files, in order.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = listed(folder)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(files)
}

/// What is in a folder and not hidden, in order.
pub(crate) fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The flows' files, and the folders of those that have one, with what is in them.
pub(crate) fn watched(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut watched = files(folder)?;
    for folder in watched.clone().iter().map(|file| file.with_extension("")).filter(|folder| folder.is_dir()) {
        watched.extend(listed(&folder)?.into_iter().filter(|path| path.is_file()));
        watched.push(folder);
    }
    Ok(watched)
}

fn problem(path: &Path, message: String) -> Problem {
    Problem { file: path.to_owned(), at: None, field: String::new(), message }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Secret;

    fn export(name: &str) -> String {
        let text = fs::read_to_string(format!("{}/tests/flowise/flows/{name}.json", env!("CARGO_MANIFEST_DIR")));
        text.unwrap().replace("LLM_BASE_PATH_PLACEHOLDER", "127.0.0.1:1")
    }

    fn settings(folder: &Path, key: &str) -> config::Engine {
        let fields = HashMap::from([("openAIApiKey".to_owned(), Secret::new(key.to_owned()))]);
        let credentials = HashMap::from([("openAIApi".to_owned(), fields)]);
        let (threads, limits) = (std::num::NonZeroUsize::MIN, config::EngineLimits::default());
        config::Engine { flows_dir: folder.to_owned(), threads, credentials, allow_networks: Vec::new(), limits }
    }

    #[test]
    fn what_has_not_changed_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let load = |key: &str, previous: Option<&Flows>| {
            Flows::load(&"local".into(), &settings(folder.path(), key), previous, &metrics).unwrap()
        };
        fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
        fs::write(folder.path().join("b.json"), export("llm-chain")).unwrap();
        let first = load("key", None);
        fs::write(folder.path().join("b.json"), export("conversation-chain")).unwrap();
        let second = load("key", Some(&first));
        let same = |one: &Flows, other: &Flows, name| Arc::ptr_eq(one.get(name).unwrap(), other.get(name).unwrap());
        assert!(same(&first, &second, "a") && !same(&first, &second, "b"));
        // Files that a flow reads are part of it.
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/handbook.txt"), "one").unwrap();
        let with_file = load("key", Some(&second));
        assert!(!same(&second, &with_file, "a") && same(&second, &with_file, "b"));
        assert!(same(&with_file, &load("key", Some(&with_file)), "a"));
        fs::write(folder.path().join("a/handbook.txt"), "two").unwrap();
        assert!(!same(&with_file, &load("key", Some(&with_file)), "a"));
        // A flow holds its key.
        let third = load("other key", Some(&second));
        assert!(!same(&second, &third, "a"));
    }

    #[test]
    fn flows_are_found_by_name_and_by_id_and_a_later_set_changes_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let load = |previous: Option<&Flows>| {
            let flows = Flows::load(&"local".into(), &settings(folder.path(), "key"), previous, &metrics).unwrap();
            let a = Arc::clone(flows.get("a").unwrap());
            flows.with_ids(vec![("id-of-a".to_owned(), a)])
        };
        fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
        let first = load(None);
        fs::write(folder.path().join("a.json"), export("conversation-chain")).unwrap();
        let second = load(Some(&first));
        for flows in [&first, &second] {
            for name in ["a", "id-of-a"] {
                assert!(Arc::ptr_eq(flows.index().get(name).unwrap(), flows.get("a").unwrap()));
            }
        }
        assert!(!Arc::ptr_eq(first.get("a").unwrap(), second.get("a").unwrap()));
    }

    #[test]
    fn every_mistake_is_told_with_its_file_and_node() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let odd = export("llm-chain").replace("\"promptTemplate\"", "\"oddTemplate\"");
        fs::write(folder.path().join("odd.json"), odd).unwrap();
        fs::write(folder.path().join("broken.json"), "{").unwrap();
        fs::write(folder.path().join("notes.txt"), "no flow").unwrap();
        let problems = Flows::load(&"local".into(), &settings(folder.path(), "key"), None, &metrics).unwrap_err();
        let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        let folder = folder.path().display();
        assert!(told[0].starts_with(&format!("{folder}/broken.json: not an exported Flowise flow: ")), "{told:?}");
        let expected = format!(
            "{folder}/odd.json: node \"Prompt Template\" (oddTemplate): the engine does not know this kind of node"
        );
        assert!(told.contains(&expected), "{told:?}");
    }

    #[test]
    fn a_credential_that_is_missing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let flows = Flows::load(&"local".into(), &settings(folder.path(), ""), None, &metrics).unwrap();
        let missing: Vec<_> = flows.missing().map(|(_, missing)| (&*missing.node, missing.need.to_string())).collect();
        assert_eq!(missing, [("chatOpenAI_0", "credential openAIApi.openAIApiKey".to_owned())]);
    }

    #[test]
    fn a_flows_own_folder_is_watched_and_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "other", "a/deep"] {
            fs::create_dir(path(name)).unwrap();
        }
        for name in ["a.json", "b.json", ".hidden.json", "notes.txt", "a/x.txt", "a/.y", "other/z.txt"] {
            fs::write(path(name), "").unwrap();
        }
        assert_eq!(files(folder.path()).unwrap(), [path("a.json"), path("b.json")]);
        let expected = ["a.json", "b.json", "a/x.txt", "a"].map(path);
        assert_eq!(watched(folder.path()).unwrap(), expected);
    }
}
