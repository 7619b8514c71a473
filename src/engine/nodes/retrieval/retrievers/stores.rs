//! Retrievers that ask a vector store in a way of their own.

use std::sync::Arc;

use serde_json::Value;

use super::{count, output, vector_store};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::node::{Document, Retriever, VectorStore};
use crate::engine::contract::run::Run;

/// The node `similarityThresholdRetriever`.
pub(super) struct ThresholdNode;

impl NodeKind for ThresholdNode {
    fn names(&self) -> &'static [&'static str] {
        &["similarityThresholdRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let store = vector_store(inputs);
        let least =
            inputs.number("minSimilarityScore").filter(|least| *least != 0.0).map_or(0.9, |least| least / 100.0);
        let most = count(inputs, "maxK").unwrap_or(100);
        let step = count(inputs, "kIncrement").unwrap_or(2);
        Some(output(inputs, Arc::new(Threshold { store: store?, least, most, step })))
    }
}

#[derive(Debug)]
struct Threshold {
    store: Arc<dyn VectorStore>,
    least: f64,
    most: usize,
    step: usize,
}

impl Retriever for Threshold {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut asked = 0;
            loop {
                // Each time the question is embedded again, as Flowise does.
                run.budget().step()?;
                asked += self.step;
                let found = self.store.nearest_of(question, asked, run).await?;
                let near = found.into_iter().filter(|(_, nearness)| f64::from(*nearness) >= self.least);
                let near: Vec<Document> = near.map(|(document, _)| document).collect();
                if near.len() < asked || asked >= self.most {
                    return Ok(near.into_iter().take(self.most).collect());
                }
            }
        })
    }
}

/// The node `customRetriever`.
pub(super) struct CustomNode;

impl NodeKind for CustomNode {
    fn names(&self) -> &'static [&'static str] {
        &["customRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let store = vector_store(inputs);
        let most = count(inputs, "topK");
        let format = inputs.text("resultFormat").unwrap_or_else(|| "{{context}}".to_owned());
        // Its places are filled in with what is found.
        inputs.fills(&["resultFormat"]);
        let store = store?;
        let most = most.unwrap_or_else(|| store.most());
        Some(output(inputs, Arc::new(FormattedPassages { store, most, format })))
    }
}

#[derive(Debug)]
struct FormattedPassages {
    store: Arc<dyn VectorStore>,
    most: usize,
    /// With places for the text and metadata of a passage.
    format: String,
}

impl Retriever for FormattedPassages {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let found = self.store.nearest_of(question, self.most, run).await?;
            let formatted =
                |(document, _)| Document { text: formatted(&self.format, &document), metadata: document.metadata };
            Ok(found.into_iter().map(formatted).collect())
        })
    }
}

/// In one reading: what a passage holds is not looked at again.
fn formatted(format: &str, document: &Document) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, left)) = after.split_once("}}") else {
            text.push_str("{{");
            rest = after;
            continue;
        };
        match value(name, document) {
            Some(value) => text.push_str(&value),
            None => text.extend(["{{", name, "}}"]),
        }
        rest = left;
    }
    text + rest
}

fn value(name: &str, document: &Document) -> Option<String> {
    if name == "context" {
        return Some(document.text.clone());
    }
    let mut steps = name.strip_prefix("metadata.")?.split('.');
    let first = document.metadata.get(steps.next()?)?;
    let value = steps.try_fold(first, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_written_as_the_author_wants() {
        let metadata = json!({ "a": { "b": [1, "x"] } }).as_object().cloned().unwrap();
        let document = Document { text: "{{metadata.a}}".to_owned(), metadata };
        let text = formatted("<{{context}}> {{metadata.a.b.1}} {{metadata.none}} {{x", &document);
        assert_eq!(text, "<{{metadata.a}}> x {{metadata.none}} {{x");
    }
}
