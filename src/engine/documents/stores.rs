//! Flowise's document stores. A flow's export names them and does not hold them; what *Settings ▸ Export* writes does, and
//! its custom tools likewise.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::index::{Index, MOST_PASSAGES};
use super::tools::{self, ToolRecord};
use crate::engine::contract::Task;
use crate::engine::contract::node::{Document, DocumentSource};
use crate::engine::contract::run::Run;
use crate::wire::json;

/// All that an engine has.
#[derive(Debug, Default)]
pub(crate) struct DocumentStores {
    all: Vec<Arc<DocumentStore>>,
    /// What the same files hold beside the stores.
    tools: Vec<Arc<ToolRecord>>,
    /// The files, by digest.
    read: BTreeMap<PathBuf, [u8; 32]>,
    /// Files that could not be read, and why; their stores are as they were before.
    problems: Vec<(PathBuf, String)>,
}

#[derive(Debug)]
pub(crate) struct DocumentStore {
    id: String,
    pub(crate) name: String,
    /// The file that brings it along.
    pub(crate) file: PathBuf,
    /// By loader, and in each in their order; as Flowise upserts them, with [`LOADER`] in the metadata.
    pub(crate) documents: Arc<[Document]>,
    /// `None`: nobody has chosen any.
    pub(crate) embeddings: Option<Component>,
    pub(crate) vector_store: Option<Component>,
    /// Made when it is first searched, whichever flow does.
    pub(crate) index: Arc<Index>,
}

/// Where metadata of a passage names the loader that it comes from.
pub(crate) const LOADER: &str = "docId";

/// A kind of node with its inputs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Component {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) config: Map<String, Value>,
}

impl DocumentStores {
    /// Whether they were read from the very same files.
    pub(crate) fn is_read_from(&self, other: &Self) -> bool {
        (&self.read, &self.problems) == (&other.read, &other.problems)
    }

    /// Of those exports.
    ///
    /// # Errors
    /// What is wrong, with the file.
    pub(crate) fn read(files: &[(PathBuf, String)]) -> Result<Arc<Self>, Vec<(PathBuf, String)>> {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.clone(), Ok(text.clone()))).collect();
        let stores = Self::read_again(&files, None);
        if stores.problems.is_empty() { Ok(stores) } else { Err(stores.problems.clone()) }
    }

    /// Of those exports, as far as they can be read; of others the stores are those of `previous`. Indexes of stores that
    /// are as they were there are taken over.
    pub(crate) fn read_again(files: &[(PathBuf, Result<String, String>)], previous: Option<&Arc<Self>>) -> Arc<Self> {
        let seen = |text: &Result<String, String>| digest_of(text.as_ref().unwrap_or_else(|error| error));
        let read: BTreeMap<_, _> = files.iter().map(|(path, text)| (path.clone(), seen(text))).collect();
        if let Some(same) = previous.filter(|previous| previous.read == read) {
            return Arc::clone(same);
        }
        let mut stores = Self { all: Vec::new(), tools: Vec::new(), read, problems: Vec::new() };
        let before = previous.map(|previous| previous.all.as_slice()).unwrap_or_default();
        let by_id: HashMap<&str, &DocumentStore> = before.iter().map(|store| (&*store.id, &**store)).collect();
        let mut files_of = HashMap::new();
        for (path, text) in files {
            let found = text.as_ref().map_err(Clone::clone).and_then(|text| stores_of(path, text));
            stores.tools.extend(text.iter().flat_map(|text| tools::of(text)).map(Arc::new));
            let found = found.map(|found| {
                let taken_over = found.into_iter().map(|store| {
                    let before = by_id.get(&*store.id).copied();
                    Arc::new(store.taking_over(before))
                });
                taken_over.collect()
            });
            if let Err(problem) = found.and_then(|found| stores.add(found, &mut files_of)) {
                stores.problems.push((path.clone(), problem));
                // What another file has by now is that file's.
                let of_file = before.iter().filter(|store| store.file == *path).map(Arc::clone).collect();
                let _ = stores.add(of_file, &mut files_of);
            }
        }
        Arc::new(stores)
    }

    /// Adds the stores of one file, all or none. `files`: where those are that were added, by id.
    fn add(&mut self, stores: Vec<Arc<DocumentStore>>, files: &mut HashMap<String, PathBuf>) -> Result<(), String> {
        let mut own = HashSet::new();
        for store in &stores {
            let other = files.get(&store.id).or_else(|| (!own.insert(&*store.id)).then_some(&store.file));
            if let Some(other) = other {
                return Err(format!("the document store \"{}\" is in {} as well", store.name, other.display()));
            }
        }
        files.extend(stores.iter().map(|store| (store.id.clone(), store.file.clone())));
        self.all.extend(stores);
        Ok(())
    }

    /// Files that could not be read, and why.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.problems.iter().map(|(file, problem)| (&**file, &**problem))
    }

    /// Whether that file is one of the exports.
    pub(crate) fn has_file(&self, path: &Path) -> bool {
        self.read.contains_key(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &DocumentStore> + Clone {
        self.all.iter().map(|store| &**store)
    }

    /// The custom tool with that id; of several the first.
    pub(crate) fn tool(&self, id: &str) -> Option<&Arc<ToolRecord>> {
        self.tools.iter().find(|tool| tool.id == id)
    }

    /// The one that a node has chosen as `id` or `id:name`. A Flowise that imports a store may give it another id, so
    /// the name decides where no id fits.
    ///
    /// # Errors
    /// It may be any of several.
    pub(crate) fn find(&self, chosen: &str) -> Result<Option<&Arc<DocumentStore>>, String> {
        let (id, name) = chosen.split_once(':').unwrap_or((chosen, ""));
        if let Some(found) = self.all.iter().find(|store| store.id == id) {
            return Ok(Some(found));
        }
        let mut named = self.all.iter().filter(|store| !name.is_empty() && store.name == name);
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(format!("there are several document stores \"{name}\", none with the id {id}")),
            (found, _) => Ok(found),
        }
    }
}

impl DocumentStore {
    fn taking_over(self, before: Option<&Self>) -> Self {
        match before.filter(|before| before.documents == self.documents && before.embeddings == self.embeddings) {
            Some(before) => Self { index: Arc::clone(&before.index), documents: Arc::clone(&before.documents), ..self },
            None => self,
        }
    }
}

impl DocumentSource for DocumentStore {
    fn documents<'a>(&'a self, _run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Ok(Arc::clone(&self.documents)) })
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or_default()
}

/// As far as the engine reads it. Flowise keeps JSON in texts.
#[derive(Deserialize)]
struct Exported {
    #[serde(rename = "DocumentStore")]
    stores: Option<Vec<Entity>>,
    #[serde(rename = "DocumentStoreFileChunk")]
    chunks: Option<Vec<StoreChunk>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    id: String,
    name: String,
    embedding_config: Option<String>,
    vector_store_config: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoreChunk {
    store_id: String,
    /// The loader that it comes from.
    #[serde(rename = "docId")]
    loader: String,
    #[serde(rename = "chunkNo")]
    number: i64,
    page_content: String,
    metadata: Option<String>,
}

fn stores_of(path: &Path, text: &str) -> Result<Vec<DocumentStore>, String> {
    // In a list of records none is a store, and as an object it would be misread.
    if text.trim_start().starts_with('[') {
        return Ok(Vec::new());
    }
    let Exported { stores, chunks } =
        json::read_str(text).map_err(|error| format!("its document stores cannot be read: {error}"))?;
    let (stores, chunks) = (stores.unwrap_or_default(), chunks.unwrap_or_default());
    let mut by_store: HashMap<String, Vec<StoreChunk>> = HashMap::new();
    for chunk in chunks {
        by_store.entry(chunk.store_id.clone()).or_default().push(chunk);
    }
    let stores = stores.into_iter().map(|entity| {
        let chunks = by_store.remove(&entity.id).unwrap_or_default();
        let name = entity.name.clone();
        store(path, entity, chunks).map_err(|problem| format!("document store \"{name}\": {problem}"))
    });
    let stores = stores.collect::<Result<Vec<_>, _>>()?;
    match by_store.into_keys().min() {
        Some(id) => Err(format!("it has passages of a document store {id}, but not the store")),
        None => Ok(stores),
    }
}

fn store(path: &Path, entity: Entity, mut chunks: Vec<StoreChunk>) -> Result<DocumentStore, String> {
    if chunks.len() > MOST_PASSAGES {
        return Err(format!("it has {} passages, more than {MOST_PASSAGES}", chunks.len()));
    }
    // Flowise's database gives them in any order.
    let mut places: HashMap<String, usize> = HashMap::new();
    for chunk in &chunks {
        let next = places.len();
        places.entry(chunk.loader.clone()).or_insert(next);
    }
    chunks.sort_by_key(|chunk| (places.get(&chunk.loader).copied(), chunk.number));
    let documents = chunks.into_iter().map(document).collect::<Result<_, _>>()?;
    Ok(DocumentStore {
        id: entity.id,
        name: entity.name,
        file: path.to_owned(),
        documents,
        embeddings: component("embeddingConfig", entity.embedding_config)?,
        vector_store: component("vectorStoreConfig", entity.vector_store_config)?,
        index: Arc::default(),
    })
}

fn document(chunk: StoreChunk) -> Result<Document, String> {
    let metadata = chunk.metadata.filter(|text| !text.is_empty());
    let metadata = metadata.map_or_else(|| Ok(Map::new()), |text| json::read_str(&text));
    let mut metadata: Map<String, Value> =
        metadata.map_err(|_| format!("metadata of passage {} is no JSON object", chunk.number))?;
    metadata.insert(LOADER.to_owned(), chunk.loader.into());
    Ok(Document { text: chunk.page_content, metadata })
}

fn component(field: &str, text: Option<String>) -> Result<Option<Component>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    json::read_str(&text).map_err(|_| format!("{field} has no name and config"))
}

#[cfg(test)]
mod tests;
