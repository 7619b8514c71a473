//! For tests: a vector store of the family with two documents, whatever is asked.

use std::sync::Arc;

use serde_json::{Value, json};

use super::IndexRetriever;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::node::{Document, Retriever};
use crate::engine::contract::run::Run;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[&TwoDocuments];

/// The node `twoDocuments`.
struct TwoDocuments;

impl NodeKind for TwoDocuments {
    fn names(&self) -> &'static [&'static str] {
        &["twoDocuments"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model")?;
        Some(Part::Own(Arc::new(IndexRetriever { retriever: Arc::new(EitherDocument), model })))
    }
}

#[derive(Debug)]
struct EitherDocument;

impl Retriever for EitherDocument {
    fn find<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        let document = |text: &str, metadata: &Value| Document {
            text: text.to_owned(),
            metadata: metadata.as_object().cloned().unwrap(),
        };
        Box::pin(async move { Ok(vec![document("Doc {one}", &json!({ "s": 1 })), document("Doc two", &json!({}))]) })
    }
}
