//! Retrievers that look into others, and make more of what those find.

mod bedrock;
mod compressing;
mod extracting;
mod queries;
mod rerank;
mod stores;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::node::{Document, DocumentSource, Retriever, ValueSource, VectorStore};
use crate::engine::contract::run::Run;
use crate::engine::text::mustache::Mustache;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &bedrock::BedrockNode,
    &compressing::EmbeddingsFilterNode,
    &compressing::ModelFilterNode,
    &extracting::ExtractMetadataNode,
    &queries::FusionNode,
    &queries::HydeNode,
    &queries::MultiQueryNode,
    &rerank::AZURE,
    &rerank::COHERE,
    &rerank::JINA,
    &rerank::VOYAGE,
    &stores::CustomNode,
    &stores::ThresholdNode,
];

/// What the node's author wants of the retriever: itself, or what it finds for the node's query or the question.
fn output(inputs: &mut Inputs<'_, '_, '_>, retriever: Arc<dyn Retriever>) -> Part {
    let query = inputs.mustache("query");
    let asked = Arc::new(AskedRetriever { retriever: Arc::clone(&retriever), query });
    match inputs.output() {
        Some("document") => Part::Documents(asked),
        Some("text") => Part::Value(asked),
        _ => Part::Retriever(retriever),
    }
}

/// A retriever that is asked once.
#[derive(Debug)]
struct AskedRetriever {
    retriever: Arc<dyn Retriever>,
    /// In place of the question.
    query: Option<Mustache>,
}

impl AskedRetriever {
    async fn found(&self, question: &str, run: &Run<'_>) -> Result<Vec<Document>, Failure> {
        let query = self.query.as_ref().map(|query| query.text(run));
        self.retriever.find(query.as_deref().unwrap_or(question), run).await
    }
}

impl DocumentSource for AskedRetriever {
    fn documents<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async move { Ok(self.found(run.request.question.as_deref().unwrap_or_default(), run).await?.into()) })
    }
}

impl ValueSource for AskedRetriever {
    fn value<'a>(&'a self, question: &'a str, run: &'a Run<'a>) -> Task<'a, Value> {
        Box::pin(async move {
            let found = self.found(question, run).await?;
            Ok(found.into_iter().map(|document| document.text + "\n").collect::<String>().into())
        })
    }
}

fn base(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn Retriever>> {
    if !inputs.has("baseRetriever") {
        inputs.refuse("baseRetriever", "a retriever is required");
    }
    inputs.part_as("baseRetriever", Part::into_retriever, "a retriever")
}

fn vector_store(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<dyn VectorStore>> {
    if !inputs.has("vectorStore") {
        inputs.refuse("vectorStore", "a vector store is required");
    }
    inputs.part_as("vectorStore", Part::into_vector_store, "a vector store")
}

fn count(inputs: &mut Inputs<'_, '_, '_>, input: &str) -> Option<usize> {
    let count = inputs.integer(input).filter(|count| *count > 0)?;
    usize::try_from(count.min(1000)).ok()
}

/// What a model says to these messages, which nobody else hears.
async fn said(model: &dyn ChatModel, messages: &[Message], run: &Run<'_>) -> Result<String, Failure> {
    Ok(run.ask(model, ModelRequest::of(messages)).await?.text)
}
