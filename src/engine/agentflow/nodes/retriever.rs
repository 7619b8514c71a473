//! The node that searches document stores.

use std::sync::Arc;

use serde_json::json;

use super::super::changes::Changes;
use super::super::knowledge;
use super::super::transcript::shown_sources;
use super::speaker::pretty;
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::node::VectorStore;

/// The node `retrieverAgentflow`.
pub(super) struct RetrieverNode;

const STORES: &str = "retrieverKnowledgeDocumentStores";

impl StepKind for RetrieverNode {
    fn name(&self) -> &'static str {
        "retrieverAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let stores = knowledge::stores(STORES, inputs);
        if stores.as_ref().is_some_and(Vec::is_empty) {
            inputs.lacks(STORES);
        }
        inputs.text("retrieverQuery");
        let with_metadata = match inputs.text("outputFormat").as_deref() {
            None | Some("text") => false,
            Some("textWithMetadata") => true,
            Some(_) => {
                inputs.refuse("outputFormat", "expected text or textWithMetadata");
                false
            }
        };
        let changes = Changes::read(inputs, "retrieverUpdateState");
        let stores = stores?.into_iter().map(|(store, _)| store).collect();
        Some(Box::new(Searches { stores, with_metadata, changes }))
    }
}

#[derive(Debug)]
struct Searches {
    stores: Vec<Arc<dyn VectorStore>>,
    with_metadata: bool,
    changes: Changes,
}

impl Step for Searches {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let own = Some(visit.text("retrieverQuery")).filter(|query| !query.is_empty());
            let query = own.unwrap_or_else(|| visit.said.unwrap_or_default().to_owned());
            let mut found = Vec::new();
            for store in &self.stores {
                found.extend(store.find(&query, visit.run).await?);
            }
            let text = if self.with_metadata {
                pretty(&shown_sources(&found))
            } else {
                found.iter().map(|document| &*document.text).collect::<Vec<_>>().join("\n")
            };
            if visit.is_last {
                visit.run.sink.bare_token(&text);
            }
            let outcome = StepOutcome::new(json!({ "question": query }), json!({ "content": text }));
            Ok(outcome.with_state(self.changes.applied(visit, &text)))
        })
    }
}
