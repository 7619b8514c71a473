//! Vector stores, and nodes that only look into one.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use crate::engine::compile::Compiler;
use crate::engine::compile::inputs::{Inputs, overridden, referred};
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{
    ChainRoute, Document, DocumentSource, PutDocuments, Retriever, RouteEnd, ValueSource, VectorStore,
};
use crate::engine::contract::run::Run;
use crate::engine::documents::index::{Index, PassageSources, Similarity};
use crate::engine::nodes::files;
use crate::engine::text::mustache::Mustache;
use crate::wire::json;

/// Passages that are found where nothing is said.
pub(super) const MOST: usize = 4;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&InMemory, &Faiss, &StoreRetriever, &StoreToDocument];

struct InMemory;

impl NodeKind for InMemory {
    fn names(&self) -> &'static [&'static str] {
        &["memoryVectorStore"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        store(inputs, Similarity::Cosine, None)
    }
}

/// An index in memory as well: what Flowise wrote into its folder is made again of the documents, or of the passages that
/// lie there.
struct Faiss;

/// What Flowise keeps its passages in, beside their vectors.
const SAVED: &str = "docstore.json";

impl NodeKind for Faiss {
    fn names(&self) -> &'static [&'static str] {
        &["faiss", "faissUpsert", "faissExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(&["basePath"]);
        if !inputs.references("document").is_empty() {
            return store(inputs, Similarity::Distance, None);
        }
        // Flowise reads it of its disk.
        let Some(saved) = files::beside(inputs, "basePath", SAVED) else {
            inputs.lacks_connection("document", "documents");
            let missing = "the index that Flowise wrote there is not in the export: connect the documents that it was \
                           made of, or put its docstore.json into the folder beside the export";
            inputs.pass_over("basePath", missing);
            return store(inputs, Similarity::Distance, None);
        };
        let Some(saved) = SavedPassages::read(&saved) else {
            inputs.refuse("basePath", "docstore.json beside the export holds no passages of a Faiss");
            return None;
        };
        store(inputs, Similarity::Distance, Some(Arc::new(saved)))
    }
}

/// Passages that Flowise has saved.
#[derive(Debug)]
struct SavedPassages(Arc<[Document]>);

impl SavedPassages {
    /// A list of ids and passages, and what else stands beside it.
    fn read(saved: &[u8]) -> Option<Self> {
        let saved: Value = json::read(saved).ok()?;
        let passage = |entry: &Value| {
            let passage = entry.get(1)?;
            let text = passage.get("pageContent")?.as_str()?.to_owned();
            let metadata = passage.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            Some(Document { text, metadata })
        };
        let passages: Option<Vec<Document>> = saved.get(0)?.as_array()?.iter().map(passage).collect();
        Some(Self(passages?.into()))
    }
}

impl DocumentSource for SavedPassages {
    fn documents<'a>(&'a self, _: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }
}

struct StoreRetriever;

impl NodeKind for StoreRetriever {
    fn names(&self) -> &'static [&'static str] {
        &["vectorStoreRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Told to a chain that chooses between several, and nothing to others.
        let (name, description) = (inputs.text("name"), inputs.text("description"));
        let end = RouteEnd::Documents(looked_into(inputs)?);
        let (name, description) = (name.unwrap_or_default(), description.unwrap_or_default());
        Some(Part::Route(Arc::new(ChainRoute { name, description, end })))
    }
}

/// What a store has to say to a question.
struct StoreToDocument;

impl NodeKind for StoreToDocument {
    fn names(&self) -> &'static [&'static str] {
        &["vectorStoreToDocument"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let store = looked_into(inputs);
        let query = inputs.mustache("query");
        let least = inputs.number("minScore").unwrap_or(0.0) / 100.0;
        let found = StoreQuery { store: store?, query, least };
        if inputs.output() == Some("text") {
            return Some(Part::Value(Arc::new(found)));
        }
        // Documents are found once, whoever asks: they must not be by one user's question.
        if found.query.as_ref().is_none_or(|query| query.fixed().is_none()) {
            inputs.refuse("query", "documents want a query of the author's own, without variables in it");
            return None;
        }
        Some(Part::Documents(Arc::new(found)))
    }
}

pub(super) fn looked_into(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn VectorStore>> {
    if !inputs.has("vectorStore") {
        inputs.refuse("vectorStore", "a vector store is required");
    }
    inputs.part_as("vectorStore", Part::into_vector_store, "a vector store")
}

fn store(
    inputs: &mut Inputs<'_, '_, '_>,
    nearness: Similarity,
    saved: Option<Arc<dyn DocumentSource>>,
) -> Option<Part> {
    let parts = inputs.parts("document");
    let count = parts.len() + saved.iter().count();
    let sources: Vec<_> = parts.into_iter().filter_map(Part::into_documents).chain(saved).collect();
    if sources.len() < count {
        inputs.refuse("document", "expected documents");
    }
    if !inputs.has("embeddings") {
        inputs.refuse("embeddings", "embeddings are required");
    }
    let embeddings = inputs.part_as("embeddings", Part::into_embeddings, "embeddings");
    let most = inputs.integer("topK").and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0);
    let index = index_of(inputs.compiler, &inputs.node.id);
    let origin = PassageSources { sources, embeddings: embeddings? };
    let store = IndexedStore::new(origin, index, nearness, most.unwrap_or(MOST));
    Some(output(inputs, Arc::new(store)))
}

/// The index of a node: of its inputs and those of every node that it refers to.
fn index_of(compiler: &Compiler<'_>, id: &str) -> Arc<Index> {
    let mut content = Context::new(&SHA256);
    let mut seen = HashSet::new();
    let mut left = vec![id.to_owned()];
    while let Some(id) = left.pop() {
        let Some(node) = compiler.export.node(&id).filter(|_| seen.insert(id.clone())) else { continue };
        let mut inputs = overridden(node, compiler.overrides);
        // Of any store: it changes what is found, not what there is.
        inputs.shift_remove("topK");
        for value in inputs.values() {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            left.extend(values.iter().filter_map(|value| referred(value.as_str()?)).map(str::to_owned));
        }
        let inputs = Value::Object(inputs).to_string();
        for part in [&id, &node.data.name, &inputs] {
            content.update(&part.len().to_le_bytes());
            content.update(part.as_bytes());
        }
    }
    let content = content.finish();
    compiler.indexes.of(content.as_ref().try_into().unwrap_or_default())
}

/// What the node's author wants of the store.
pub(super) fn output(inputs: &Inputs<'_, '_, '_>, store: Arc<dyn VectorStore>) -> Part {
    if inputs.output() == Some("vectorStore") { Part::VectorStore(store) } else { Part::Retriever(store) }
}

/// A store of passages.
#[derive(Debug)]
pub(super) struct IndexedStore {
    origin: PassageSources,
    index: Arc<Index>,
    nearness: Similarity,
    /// Passages that are found.
    most: usize,
}

impl IndexedStore {
    pub(super) fn new(origin: PassageSources, index: Arc<Index>, nearness: Similarity, most: usize) -> Self {
        Self { origin, index, nearness, most }
    }
}

impl VectorStore for IndexedStore {
    fn nearest<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        self.nearest_of(question, self.most, run)
    }

    fn nearest_of<'a>(&'a self, question: &'a str, most: usize, run: &'a Run<'a>) -> Task<'a, Vec<(Document, f32)>> {
        Box::pin(self.index.nearest(&self.origin, self.nearness, question, most, run))
    }

    fn most(&self) -> usize {
        self.most
    }

    fn upsert<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, PutDocuments> {
        Box::pin(async { Ok(PutDocuments { documents: self.index.made(&self.origin, run).await?, counts: None }) })
    }
}

impl Retriever for IndexedStore {
    fn store(self: Arc<Self>) -> Option<Arc<dyn VectorStore>> {
        Some(self)
    }

    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let found = self.nearest(question, run).await?;
            Ok(found.into_iter().map(|(document, _)| document).collect())
        })
    }
}

/// For a value in a prompt, or as documents of another store.
#[derive(Debug)]
struct StoreQuery {
    store: Arc<dyn VectorStore>,
    /// In place of the question.
    query: Option<Mustache>,
    least: f64,
}

impl StoreQuery {
    async fn found(&self, question: &str, run: &Run<'_>) -> Result<Vec<Document>, Failure> {
        let query = self.query.as_ref().map(|query| query.text(run));
        let found = self.store.nearest(query.as_deref().unwrap_or(question), run).await?;
        let found = found.into_iter().filter(|(_, nearness)| f64::from(*nearness) >= self.least);
        Ok(found.map(|(document, _)| document).collect())
    }
}

impl ValueSource for StoreQuery {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            let found = self.found(question, run).await?;
            Ok(found.into_iter().map(|document| document.text + "\n").collect::<String>().into())
        })
    }
}

impl DocumentSource for StoreQuery {
    fn documents<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async move { Ok(self.found(run.request.question(), run).await?.into()) })
    }
}

#[cfg(test)]
mod tests;
