//! Nodes that read or search a document store. Its passages are embedded and searched here, but where the engine has the
//! credential of the database that they are in: that is searched then, as it is where only the database can.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::stores::{IndexedStore, MOST};
use super::{databases, loaders, stores};
use crate::engine::compile::context::Need;
use crate::engine::compile::flowise;
use crate::engine::compile::inputs::{Inputs, is_empty};
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, DocumentSource, Embeddings, Retriever, VectorStore};
use crate::engine::contract::run::Run;
use crate::engine::documents::index::{PassageSources, Similarity};
use crate::engine::documents::stores::{Component, DocumentStore, LOADER};

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&StoreLoader, &StoreSearch];

const SELECTED: &str = "selectedStore";

/// The passages of a store as documents.
struct StoreLoader;

impl NodeKind for StoreLoader {
    fn names(&self) -> &'static [&'static str] {
        &["documentStore"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let Some(chosen) = inputs.text(SELECTED) else {
            inputs.compiler.miss(inputs.node, Need::Store { name: None });
            // Flowise finds nothing there either.
            return Some(loaders::output(inputs, Arc::new(StoredPassages(Arc::from([])))));
        };
        let source: Arc<dyn DocumentSource> = match found(&chosen, SELECTED, inputs)? {
            Ok(store) => Arc::new(StoredPassages(store.documents.iter().map(without_loader).collect())),
            Err(absent) => Arc::new(absent),
        };
        Some(loaders::output(inputs, source))
    }
}

/// A store as it is searched.
struct StoreSearch;

impl NodeKind for StoreSearch {
    fn names(&self) -> &'static [&'static str] {
        &["documentStoreVS"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let chosen = inputs.required_text(SELECTED)?;
        let store = opened(&chosen, SELECTED, inputs)?;
        Some(stores::output(inputs, store))
    }
}

/// The store that an input has chosen, to be searched. One that is not there is noted as missing, and fails when it is
/// searched; what is wrong with one that is there is told to the inputs.
pub(crate) fn opened(chosen: &str, input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn VectorStore>> {
    match found(chosen, input, inputs)? {
        Ok(store) => searched(&store, input, inputs),
        Err(absent) => {
            let absent = Arc::new(absent);
            let origin = PassageSources { sources: vec![Arc::clone(&absent) as _], embeddings: absent };
            Some(Arc::new(IndexedStore::new(origin, Arc::default(), Similarity::Cosine, MOST)))
        }
    }
}

fn found(chosen: &str, input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Result<Arc<DocumentStore>, Absent>> {
    match inputs.compiler.context.stores.find(chosen) {
        Ok(Some(store)) => Some(Ok(Arc::clone(store))),
        Ok(None) => {
            let name = chosen.split_once(':').map_or(chosen, |(_, name)| name).to_owned();
            inputs.compiler.miss(inputs.node, Need::Store { name: Some(name.clone()) });
            Some(Err(Absent(name)))
        }
        Err(problem) => {
            inputs.refuse(input, problem);
            None
        }
    }
}

fn searched(store: &Arc<DocumentStore>, input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn VectorStore>> {
    let name = &store.name;
    let Some(Component { name: kind, config }) = &store.embeddings else {
        inputs.refuse(input, format!("the document store \"{name}\" has no embeddings: nobody upserted it in Flowise"));
        return None;
    };
    let problems = inputs.compiler.problems.len();
    let embeddings = inputs.compiler.kinds.find(kind);
    let embeddings = embeddings.and_then(|known| inputs.part_inside(known, kind, config.clone()));
    let embeddings = embeddings.and_then(Part::into_embeddings);
    if embeddings.is_none() && !inputs.is_unset() && inputs.compiler.problems.len() == problems {
        inputs.refuse(
            input,
            format!("the document store \"{name}\": {kind}: {}", flowise::why_unknown(kind, "Embeddings")),
        );
    }
    let here = store.vector_store.as_ref().map_or(Ok((Similarity::Cosine, MOST)), way);
    if let Some(Component { name, config }) = &store.vector_store
        && let Some(kind) = databases::kind(name)
        && (narrowing(config).is_some() || databases::is_at_hand(name, config, inputs))
    {
        let given = vec![("embeddings", Part::Embeddings(embeddings?))];
        let part = inputs.part_inside_with(kind, name, config.clone(), given);
        return part.and_then(Part::into_retriever).and_then(Retriever::store);
    }
    let (nearness, most) = match here {
        Ok(way) => way,
        Err(problem) => {
            inputs.refuse(input, format!("the document store \"{name}\": {problem}"));
            return None;
        }
    };
    let origin = PassageSources { sources: vec![Arc::clone(store) as _], embeddings: embeddings? };
    Some(Arc::new(IndexedStore::new(origin, Arc::clone(&store.index), nearness, most)))
}

/// Databases that embed or search in a way of their own.
const OWN_WAYS: &[&str] = &["kendra", "meilisearch", "vectara", "vectaraUpload", "zepCloud"];
/// Databases that are asked for the distance if nothing else is said.
const BY_DISTANCE: &[&str] = &["chroma", "elasticsearch", "faiss", "openSearch"];
/// Inputs that say how near is told, by the database.
const MEASURES: &[&str] = &["distanceStrategy", "qdrantSimilarity", "similarity", "similarityMetric", "spaceType"];

/// The input by which a database would find others than the nearest.
fn narrowing(config: &Map<String, Value>) -> Option<&str> {
    let changes = |(input, value): &(&String, &Value)| {
        let narrows = input.to_lowercase().contains("filter") || input.as_str() == "alpha";
        let is_nothing = is_empty(value) || value.as_str().is_some_and(|text| text.trim() == "{}");
        narrows && !is_nothing
    };
    config.iter().find(changes).map(|(input, _)| input.as_str())
}

/// How a database was searched, and how much was found. Everything else about it, such as where it is, is of no matter
/// here, but for what would change what is found.
fn way(database: &Component) -> Result<(Similarity, usize), String> {
    let Component { name, config } = database;
    if OWN_WAYS.contains(&&**name) {
        return Err(format!("the engine cannot search as {name} does"));
    }
    if let Some(input) = narrowing(config) {
        return Err(format!("input {input} of {name}: the engine searches by similarity alone"));
    }
    let mut nearness = if BY_DISTANCE.contains(&&**name) { Similarity::Distance } else { Similarity::Cosine };
    for (input, measure) in MEASURES.iter().filter_map(|input| Some((input, config.get(*input)?.as_str()?))) {
        nearness = match measure.to_lowercase().as_str() {
            "" => nearness,
            "cosine" | "cosinesimil" => Similarity::Cosine,
            "euclid" | "euclidean" | "l2" | "l2_norm" => Similarity::Distance,
            "dot" | "dot_product" | "innerproduct" => Similarity::Product,
            _ => return Err(format!("input {input} of {name}: the engine does not know the measure {measure}")),
        };
    }
    let most = match config.get("topK") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().parse().ok(),
        Some(Value::Null | Value::String(_)) | None => return Ok((nearness, MOST)),
        Some(_) => None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at beside it")]
    let most = most.filter(|most| *most >= 1.0 && *most <= 1e6).map(|most| most as usize);
    let most = most.ok_or_else(|| format!("input topK of {name}: expected a number of passages"))?;
    Ok((nearness, most))
}

/// Passages as they are before they are upserted.
#[derive(Debug)]
struct StoredPassages(Arc<[Document]>);

fn without_loader(document: &Document) -> Document {
    let mut document = document.clone();
    document.metadata.shift_remove(LOADER);
    document
}

impl DocumentSource for StoredPassages {
    fn documents<'a>(&'a self, _run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }
}

/// Stands for a store that no file brings along, by its name.
#[derive(Debug)]
struct Absent(String);

impl Absent {
    fn failure(&self) -> Failure {
        Failure::flow(format!("The document store \"{}\" is not there.", self.0))
    }
}

impl DocumentSource for Absent {
    fn documents<'a>(&'a self, _run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Err(self.failure()) })
    }
}

impl Embeddings for Absent {
    fn embed_all<'a>(&'a self, _: &'a [String], _: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async { Err(self.failure()) })
    }

    fn embed_question<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async { Err(self.failure()) })
    }
}

#[cfg(test)]
mod tests;
