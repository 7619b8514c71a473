//! Retrievers that leave out of what another one found.

use std::sync::Arc;

use super::{base, count, output, said};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::ChatModel;
use crate::engine::contract::node::{Document, Embeddings, Retriever};
use crate::engine::contract::run::Run;

/// The node `embeddingsFilterRetriever`.
pub(super) struct EmbeddingsFilterNode;

impl NodeKind for EmbeddingsFilterNode {
    fn names(&self) -> &'static [&'static str] {
        &["embeddingsFilterRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let base = base(inputs);
        if !inputs.has("embeddings") {
            inputs.refuse("embeddings", "embeddings are required");
        }
        let embeddings = inputs.part_as("embeddings", Part::into_embeddings, "embeddings");
        let threshold = inputs.number("similarityThreshold").filter(|threshold| *threshold != 0.0).unwrap_or(0.8);
        let most = count(inputs, "k");
        let filter = EmbeddingsFilter { base: base?, embeddings: embeddings?, threshold, most };
        Some(output(inputs, Arc::new(filter)))
    }
}

#[derive(Debug)]
struct EmbeddingsFilter {
    base: Arc<dyn Retriever>,
    embeddings: Arc<dyn Embeddings>,
    threshold: f64,
    /// The nearest are kept, in that order; `None`: all that are near enough, as they were found.
    most: Option<usize>,
}

impl Retriever for EmbeddingsFilter {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let found = self.base.find(question, run).await?;
            if found.is_empty() {
                return Ok(found);
            }
            let texts: Vec<String> = found.iter().map(|document| document.text.clone()).collect();
            let vectors = self.embeddings.embed_all(&texts, run).await?;
            let asked = self.embeddings.embed_question(question, run).await?;
            let mut near: Vec<(f64, Document)> =
                vectors.iter().map(|vector| cosine(&asked, vector)).zip(found).collect();
            if let Some(most) = self.most {
                near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
                near.truncate(most);
            }
            near.retain(|(nearness, _)| *nearness > self.threshold);
            Ok(near.into_iter().map(|(_, document)| document).collect())
        })
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let product = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let length = (product(one, one) * product(other, other)).sqrt();
    if length > 0.0 { product(one, other) / length } else { 0.0 }
}

/// The node `llmFilterRetriever`.
pub(super) struct ModelFilterNode;

impl NodeKind for ModelFilterNode {
    fn names(&self) -> &'static [&'static str] {
        &["llmFilterRetriever"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (base, model) = (base(inputs), inputs.model("model"));
        let filter = ModelFilter { base: base?, model: model? };
        Some(output(inputs, Arc::new(filter)))
    }
}

#[derive(Debug)]
struct ModelFilter {
    base: Arc<dyn Retriever>,
    model: Arc<dyn ChatModel>,
}

/// What a model says where nothing is of use.
const NOTHING: &str = "NO_OUTPUT";

/// As `LangChain` asks.
fn extraction(question: &str, context: &str) -> String {
    format!(
        "Given the following question and context, extract any part of the context *AS IS* that is relevant to answer \
         the question. If none of the context is relevant return {NOTHING}.\n\nRemember, *DO NOT* edit the extracted \
         parts of the context.\n\n> Question: {question}\n> Context:\n>>>\n{context}\n>>>\nExtracted relevant parts:"
    )
}

impl Retriever for ModelFilter {
    fn find<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut kept = Vec::new();
            for document in self.base.find(question, run).await? {
                let messages = [Message::user(extraction(question, &document.text))];
                let said = said(&*self.model, &messages, run).await?;
                let text = said.trim();
                if !text.is_empty() && text != NOTHING {
                    kept.push(Document { text: text.to_owned(), ..document });
                }
            }
            Ok(kept)
        })
    }
}
