//! Variables of a flow that its answers show.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::compile::export::Export;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Reply, ValueSource};
use crate::engine::contract::run::Run;

/// Its name, the node that sets it, and what it is.
pub(super) type ShownVariable = (String, String, Arc<dyn ValueSource>);

/// Puts variables into an answer.
pub(super) async fn show(
    shown: &[ShownVariable],
    question: &str,
    reply: &mut Reply,
    run: &Run<'_>,
) -> Result<(), Failure> {
    for (name, id, source) in shown {
        reply.variables.insert(name.clone(), run.outcome(id, &**source, question).await?);
    }
    Ok(())
}

/// The variables that answers show.
pub(super) fn shown(export: &Export, parts: &HashMap<&str, Part>) -> Vec<ShownVariable> {
    let is_shown = |value: &Value| *value == true || *value == "true";
    let mut shown = Vec::new();
    for node in export.nodes.iter().filter(|node| node.data.name == "setVariable") {
        let inputs = &node.data.inputs;
        let name = inputs
            .get("variableName")
            .and_then(Value::as_str)
            .filter(|_| inputs.get("showOutput").is_some_and(is_shown));
        if let (Some(name), Some(source)) = (name, parts.get(&*node.id).cloned().and_then(Part::into_value)) {
            shown.push((name.to_owned(), node.id.clone(), source));
        }
    }
    shown
}
