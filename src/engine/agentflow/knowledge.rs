//! What nodes of agentflows search: document stores, which they name `id:name`, and databases, in lists.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::tools::Ready;
use crate::engine::compile::flowise;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::node::{Retriever, VectorStore};
use crate::engine::nodes::retrieval::{lookup, opened};

/// Longest name of a tool that providers take.
const LONGEST_NAME: usize = 64;

/// The stores of an input, with what else their entries say.
pub(super) fn stores(input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<(Arc<dyn VectorStore>, Value)>> {
    let entries = match inputs.value(input) {
        None => Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            inputs.refuse(input, "expected a list of document stores");
            return None;
        }
    };
    let stores: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let Some(chosen) = chosen(&entry) else {
                inputs.lacks(input);
                return None;
            };
            opened(chosen, input, inputs).map(|store| (store, entry))
        })
        .collect();
    stores.into_iter().collect()
}

/// A tool for each store.
pub(super) fn read(input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<Ready>> {
    let tool = |(store, entry): (Arc<dyn VectorStore>, Value)| {
        tool_of(name(chosen(&entry).unwrap_or_default()), "docStoreDescription", store, &entry)
    };
    Some(stores(input, inputs)?.into_iter().map(tool).collect())
}

fn tool_of(name: String, described: &str, retriever: Arc<dyn Retriever>, entry: &Value) -> Ready {
    let description = entry.get(described).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tells_sources = entry.get("returnSourceDocuments").is_some_and(|flag| *flag == true || *flag == "true");
    let tool = lookup(name, description, retriever, tells_sources);
    Ready { kind: "retrieverTool".to_owned(), asks_first: false, tool }
}

/// A tool for each database of an input, searched where it is, with the embeddings that stand beside it.
pub(super) fn read_databases(input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<Ready>> {
    let entries = match inputs.value(input) {
        None => Vec::new(),
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            inputs.refuse(input, "expected a list of databases");
            return None;
        }
    };
    let tools: Vec<Option<Ready>> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            let embeddings = inside(input, inputs, entry, "embeddingModel", "Embeddings", Vec::new());
            let embeddings = embeddings.and_then(Part::into_embeddings).map(Part::Embeddings)?;
            let given = vec![("embeddings", embeddings)];
            let found = inside(input, inputs, entry, "vectorStore", "Vector Stores", given)?;
            let retriever = found.into_retriever().or_else(|| {
                inputs.refuse(input, "expected a database");
                None
            })?;
            let own = entry.get("knowledgeName").and_then(Value::as_str).unwrap_or_default();
            Some(tool_of(named(own, &format!("knowledge_{at}")), "knowledgeDescription", retriever, entry))
        })
        .collect();
    tools.into_iter().collect()
}

/// The part of the kind that a field of an entry names, with the settings beside it.
fn inside(
    input: &str,
    inputs: &mut Inputs<'_, '_, '_>,
    entry: &Value,
    field: &str,
    category: &str,
    given: Vec<(&'static str, Part)>,
) -> Option<Part> {
    let Some(kind) = entry.get(field).and_then(Value::as_str).filter(|kind| !kind.is_empty()) else {
        inputs.lacks(input);
        return None;
    };
    let Some(known) = inputs.compiler.kinds.find(kind) else {
        inputs.refuse(input, format!("{kind}: {}", flowise::why_unknown(kind, category)));
        return None;
    };
    let config = entry.get(format!("{field}Config")).and_then(Value::as_object).cloned();
    let mut config: Map<String, Value> = config.unwrap_or_default();
    // Editors repeat the kind's name in it.
    config.retain(|key, value| !(key == field && value == kind));
    inputs.part_inside_with(known, kind, config, given)
}

fn chosen(entry: &Value) -> Option<&str> {
    entry.get("documentStore")?.as_str().filter(|chosen| !chosen.is_empty())
}

/// The name that a model calls a store by. One without letters that providers take is called by its id, where Flowise
/// makes up another name for each call.
fn name(chosen: &str) -> String {
    let mut parts = chosen.split(':');
    let (id, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    named(name, &format!("tool_{id}"))
}

fn named(name: &str, otherwise: &str) -> String {
    let plain = |text: &str| -> String {
        let letters = text.to_lowercase().replace(' ', "_");
        let is_plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        letters.chars().filter(is_plain).take(LONGEST_NAME).collect()
    };
    let name = plain(name);
    if name.is_empty() { plain(otherwise) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_have_names_that_providers_take() {
        assert_eq!(name("1:AI Paper (2024): more"), "ai_paper_2024");
        assert_eq!(name("1f-2e:纸"), "tool_1f-2e");
        assert_eq!(name(&format!("1:{}", "x".repeat(100))).len(), LONGEST_NAME);
    }
}
