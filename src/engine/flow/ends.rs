//! The ends of a flow of the first generation, and the conditions under which a prediction comes to each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::compile::export::Export;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Chain, ValueSource};
use crate::engine::contract::run::Run;

/// One end.
#[derive(Debug, Clone)]
pub(crate) struct FlowEnd {
    pub(crate) last: Arc<dyn Chain>,
    /// Nodes that a flow branches at on the way there, and the branch that leads on.
    conditions: Vec<(Arc<dyn ValueSource>, bool)>,
}

impl FlowEnd {
    /// Of the node that ends it.
    pub(crate) fn to(id: &str, last: Arc<dyn Chain>, export: &Export, parts: &HashMap<&str, Part>) -> Self {
        let mut conditions = Vec::new();
        let mut seen = Vec::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            for edge in export.edges.iter().filter(|edge| edge.target == id) {
                let branch = match &edge.source_handle {
                    handle if handle.contains("-output-returnTrue-") => Some(true),
                    handle if handle.contains("-output-returnFalse-") => Some(false),
                    _ => None,
                };
                let source = parts.get(&*edge.source).cloned().and_then(Part::into_value);
                conditions.extend(branch.and_then(|branch| Some((source?, branch))));
                waiting.push(&edge.source);
            }
        }
        Self { last, conditions }
    }

    /// To the one end there is.
    pub(crate) fn only(last: Arc<dyn Chain>) -> Self {
        Self { last, conditions: Vec::new() }
    }

    async fn is_open(&self, question: &str, run: &Run<'_>) -> Result<bool, Failure> {
        for (source, branch) in &self.conditions {
            if source.decides(question, run).await? != *branch {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The end that this prediction comes to.
pub(crate) async fn taken<'a>(
    ends: &'a [FlowEnd],
    question: &str,
    run: &Run<'_>,
) -> Result<&'a Arc<dyn Chain>, Failure> {
    for end in ends {
        if end.is_open(question, run).await? {
            return Ok(&end.last);
        }
    }
    Err(Failure::flow(if ends.is_empty() {
        "The flow has no chain or agent that ends it."
    } else {
        "The flow's conditions lead to none of its ends."
    }))
}
