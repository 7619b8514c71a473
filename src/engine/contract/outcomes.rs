//! What nodes have made of one request: a node that several others refer to runs once.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

use super::budget::bytes_of;
use super::failure::Failure;
use super::part::Source;
use super::run::Run;

/// See the module. By the node's id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes(RefCell<HashMap<String, Value>>);

/// The value of a node, made at its first use.
pub(crate) async fn outcome(id: &str, source: &dyn Source, question: &str, run: &Run<'_>) -> Result<Value, Failure> {
    let known = run.request.outcomes.0.borrow().get(id).cloned();
    if let Some(value) = known {
        return Ok(value);
    }
    run.budget().step()?;
    let value = source.value(question, run).await?;
    run.budget().hold(bytes_of(&value))?;
    run.request.outcomes.0.borrow_mut().insert(id.to_owned(), value.clone());
    Ok(value)
}
