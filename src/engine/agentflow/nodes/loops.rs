//! Loops, and iterations over lists.

use serde_json::{Value, json};

use super::super::changes::Changes;
use crate::engine::agentflow::step::{NextStep, Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::text::mustache::JsonTemplate;

/// The node `loopAgentflow`.
pub(super) struct Loop;

/// Rounds where the node says nothing about it.
const ROUNDS: u64 = 5;

impl StepKind for Loop {
    fn name(&self) -> &'static str {
        "loopAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let to = inputs.required_text("loopBackToNode");
        let most = inputs.integer("maxLoopCount").unwrap_or(ROUNDS);
        inputs.text("fallbackMessage");
        let changes = Changes::read(inputs, "loopUpdateState");
        let to = to?;
        let mut parts = to.split('-');
        let (id, label) = (parts.next()?.to_owned(), parts.next().unwrap_or("undefined").to_owned());
        Some(Box::new(Loops { id, label, most, changes }))
    }
}

#[derive(Debug)]
struct Loops {
    id: String,
    label: String,
    most: u64,
    changes: Changes,
}

impl Step for Loops {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let said = format!("Loop back to {} ({})", self.label, self.id);
            let state = self.changes.applied(visit, &said);
            let mut output = json!({ "content": said, "nodeID": self.id, "maxLoopCount": self.most });
            let fallback = visit.text("fallbackMessage");
            if let (Some(output), true) = (output.as_object_mut(), visit.inputs.contains_key("fallbackMessage")) {
                output.insert("fallbackMessage".to_owned(), fallback.as_str().into());
            }
            let input = json!({ "nodeID": self.id, "maxLoopCount": self.most });
            let then = NextStep::Back { to: self.id.clone(), most: self.most, fallback };
            Ok(StepOutcome::new(input, output).with_state(state).then(then))
        })
    }
}

/// The node `iterationAgentflow`.
pub(super) struct IterationNode;

impl StepKind for IterationNode {
    fn name(&self) -> &'static str {
        "iterationAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        if !inputs.has("iterationInput") {
            inputs.lacks("iterationInput");
        }
        Some(Box::new(Iterates(inputs.json_template("iterationInput")?)))
    }
}

#[derive(Debug)]
struct Iterates(JsonTemplate);

impl Step for Iterates {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            // Where it goes on, the items are those that it began with.
            let kept = visit.answer.and_then(|_| visit.runtime.pending(&visit.node.id)?.get("items"));
            let items =
                kept.map_or_else(|| self.0.value(visit.scope).map_err(Failure::flow), |kept| Ok(kept.clone()))?;
            let Value::Array(items) = items else { return Err(Failure::flow("Invalid input array")) };
            let input = json!({ "iterationInput": items });
            Ok(StepOutcome::new(input, json!({})).then(NextStep::Each(items)))
        })
    }
}
