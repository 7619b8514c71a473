//! Nodes that say something by themselves.

use serde_json::json;

use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;

/// The node `directReplyAgentflow`.
pub(super) struct DirectReply;

impl StepKind for DirectReply {
    fn name(&self) -> &'static str {
        "directReplyAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        inputs.text("directReplyMessage");
        Some(Box::new(Replies))
    }
}

#[derive(Debug)]
struct Replies;

impl Step for Replies {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let message = visit.text("directReplyMessage");
            if visit.is_last {
                visit.run.sink.bare_token(&message);
            }
            Ok(StepOutcome::new(json!({}), json!({ "content": message })))
        })
    }
}
