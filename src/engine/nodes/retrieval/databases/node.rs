//! What the nodes of all databases have in common.

use std::sync::Arc;

use super::database::Database;
use super::store::{DatabaseStore, NoEmbeddings, SearchFilter, SearchOptions, Unconfigured};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::node::{DocumentSource, Embeddings};
use crate::engine::nodes::retrieval::records::{Cleanup, PassageRecords};
use crate::engine::nodes::retrieval::stores;

/// What is found where nothing is said, and the most that may be asked for.
const FOUND: usize = stores::MOST;
const MOST_FOUND: u64 = 1000;
/// Among which diversity is looked for, where nothing is said.
const FETCHED: u64 = 20;

/// See the module.
#[derive(Debug)]
pub(super) struct StoreInputs {
    pub(super) sources: Vec<Arc<dyn DocumentSource>>,
    pub(super) embeddings: Arc<dyn Embeddings>,
    pub(super) options: SearchOptions,
    pub(super) records: Option<Arc<PassageRecords>>,
    /// What Flowise calls the store in a record manager.
    pub(super) recorded_as: Option<String>,
}

/// What differs between nodes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DatabaseFeatures {
    /// The input with a filter in JSON; empty: none.
    pub(super) filter: &'static str,
    /// The same, as a text in the database's own language.
    pub(super) text_filter: &'static str,
    /// Whether results may be asked to differ from each other.
    pub(super) diversity: bool,
    /// Whether files of chats are kept apart.
    pub(super) chats: bool,
    /// The inputs that name the store where records of it are kept.
    pub(super) recorded_as: &'static [&'static str],
    /// The input that says how many are found; empty: `topK`.
    pub(super) most: &'static str,
    /// Whether the database makes its own vectors.
    pub(super) wordless: bool,
}

/// Reads what all nodes have.
pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, features: DatabaseFeatures) -> Option<StoreInputs> {
    let sources = sources(inputs);
    let embeddings =
        if features.wordless { Some(Arc::new(NoEmbeddings) as Arc<dyn Embeddings>) } else { embeddings(inputs) };
    let options = options(inputs, features);
    let records = if inputs.has("recordManager") {
        inputs.own::<PassageRecords>("recordManager", "a record manager")
    } else {
        None
    };
    let names: Vec<String> = features.recorded_as.iter().filter_map(|input| inputs.text(input)).collect();
    let recorded_as = (!names.is_empty()).then(|| names.join("_"));
    Some(StoreInputs { sources: sources?, embeddings: embeddings?, options, records, recorded_as })
}

fn embeddings(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn Embeddings>> {
    if !inputs.has("embeddings") {
        inputs.refuse("embeddings", "embeddings are required");
    }
    inputs.part_as("embeddings", Part::into_embeddings, "embeddings")
}

fn sources(inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<Arc<dyn DocumentSource>>> {
    let parts = inputs.parts("document");
    let count = parts.len();
    let sources: Vec<_> = parts.into_iter().filter_map(Part::into_documents).collect();
    if sources.len() < count {
        inputs.refuse("document", "expected documents");
        return None;
    }
    Some(sources)
}

pub(super) fn options(inputs: &mut Inputs<'_, '_, '_>, features: DatabaseFeatures) -> SearchOptions {
    let number = |inputs: &mut Inputs<'_, '_, '_>, input: &str| inputs.integer(input).filter(|number| *number > 0);
    let bounded = |number: u64| usize::try_from(number.min(MOST_FOUND)).unwrap_or(FOUND);
    let most = number(inputs, if features.most.is_empty() { "topK" } else { features.most }).map_or(FOUND, bounded);
    let filter = match (features.filter, features.text_filter) {
        ("", "") => None,
        ("", text) => words(inputs, text),
        (filter, _) => inputs.json_template(filter).map(SearchFilter::Json),
    };
    let diversity = if features.diversity {
        let fetched = number(inputs, "fetchK").unwrap_or(FETCHED);
        let lambda = inputs.number("lambda").unwrap_or(0.5);
        // Flowise's own nodes look for the choice among their outputs, where it never is.
        let wanted = inputs.text("searchType").is_some_and(|kind| kind == "mmr");
        wanted.then(|| (bounded(fetched), lambda))
    } else {
        None
    };
    let by_chat = features.chats && inputs.flag("fileUpload").unwrap_or(false);
    SearchOptions { most, filter, filters_in_json: !features.filter.is_empty(), diversity, by_chat }
}

/// A filter in a language of the database's own, in which values may stand, but no conditions.
fn words(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<SearchFilter> {
    if inputs.has(name) && inputs.refuse_settled(name) {
        return None;
    }
    let template = inputs.template(name)?;
    if template.mustache().is_some_and(|words| words.alone().is_some()) && !template.is_variable() {
        inputs.refuse(name, "the conditions must be written out; {{...}} may stand for values in them");
        return None;
    }
    Some(SearchFilter::Words(template))
}

/// The store of a database, or what stands for it where a credential is missing.
pub(super) fn part(
    inputs: &mut Inputs<'_, '_, '_>,
    common: StoreInputs,
    database: Result<Arc<dyn Database>, &'static str>,
) -> Part {
    let database = database.unwrap_or_else(|credential| Arc::new(Unconfigured(credential)));
    let StoreInputs { sources, embeddings, options, mut records, recorded_as } = common;
    if let Some(PassageRecords::Kept(manager)) = records.as_deref()
        && manager.cleanup != Cleanup::None
        && !database.deletes()
    {
        let words = "the engine takes no passages out of this database: set its cleanup to None";
        inputs.pass_over("recordManager", format!("{words}, else nothing can be put in"));
        records = Some(Arc::new(PassageRecords::Wrong(words.to_owned())));
    }
    let store = DatabaseStore { sources, embeddings, options, database, records, recorded_as };
    stores::output(inputs, Arc::new(store))
}
