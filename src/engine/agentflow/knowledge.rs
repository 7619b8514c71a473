//! Document stores as nodes of agentflows name them, `id:name`, in a list.

use std::sync::Arc;

use serde_json::Value;

use super::tools::Ready;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::node::VectorStore;
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
                inputs.refuse(input, "a document store is required");
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
        let description = entry.get("docStoreDescription").and_then(Value::as_str).unwrap_or_default().to_owned();
        let tells_sources = entry.get("returnSourceDocuments").is_some_and(|flag| *flag == true || *flag == "true");
        let tool = lookup(name(chosen(&entry).unwrap_or_default()), description, store, tells_sources);
        Ready { kind: "retrieverTool".to_owned(), asks_first: false, tool }
    };
    Some(stores(input, inputs)?.into_iter().map(tool).collect())
}

fn chosen(entry: &Value) -> Option<&str> {
    entry.get("documentStore")?.as_str().filter(|chosen| !chosen.is_empty())
}

/// The name that a model calls a store by. One without letters that providers take is called by its id, where Flowise
/// makes up another name for each call.
fn name(chosen: &str) -> String {
    let mut parts = chosen.split(':');
    let (id, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let plain = |text: &str| -> String {
        let letters = text.to_lowercase().replace(' ', "_");
        let is_plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        letters.chars().filter(is_plain).take(LONGEST_NAME).collect()
    };
    let name = plain(name);
    if name.is_empty() { plain(&format!("tool_{id}")) } else { name }
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
