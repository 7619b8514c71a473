//! The node that runs another flow: of the same engine, or of another Flowise.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::changes::Changes;
use super::super::runtime::turn;
use super::speaker::pretty;
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::{Inputs, Overriding};
use crate::engine::compile::remote_flow::{RemoteFlow, SubflowTarget};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::{InnerCall, InnerSession};
use crate::engine::contract::node::{Reply, ReplyContent};
use crate::predict::answer::EventName;

/// The node `executeFlowAgentflow`.
pub(super) struct ExecuteFlow;

impl StepKind for ExecuteFlow {
    fn name(&self) -> &'static str {
        "executeFlowAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let name = inputs.required_text("executeFlowSelectedFlow");
        let elsewhere = RemoteFlow::read(inputs, "executeFlowBaseURL", name.as_deref().unwrap_or_default(), true);
        inputs.text("executeFlowInput");
        let overrides = Overriding::read("executeFlowOverrideConfig", inputs);
        inputs.text("executeFlowReturnResponseAs");
        let changes = Changes::read(inputs, "executeFlowUpdateState");
        inputs.ignore(&["credential"]);
        let (name, elsewhere) = (name?, elsewhere?);
        if elsewhere.is_none() {
            inputs.compiler.miss(inputs.node, Need::Flow { name: name.clone() });
        }
        Some(Box::new(Executes { name, elsewhere, overrides, changes }))
    }
}

#[derive(Debug)]
struct Executes {
    /// Flowise's id of the flow, or its file's name without `.json`.
    name: String,
    elsewhere: SubflowTarget,
    overrides: Overriding,
    changes: Changes,
}

impl Step for Executes {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            let asked = visit.text("executeFlowInput");
            let call = InnerCall { flow: &self.name, kind: "agentflow", session: InnerSession::OfChat };
            let flow = match &self.elsewhere {
                Some(flow) => Arc::clone(flow),
                None => call.found(visit.run).map_err(|failure| failure.within("Error"))?,
            };
            let answered = match self.overrides.filled(visit.scope) {
                Ok(overrides) => call.answered(&*flow, &asked, overrides, visit.run).await,
                Err(failure) => Err(failure),
            };
            let reply = match answered {
                // What the author may not set is no answer of the other flow.
                Err(failure) if failure.ends_run() || matches!(failure, Failure::Override(_)) => {
                    return Err(failure.within("Error"));
                }
                Err(failure) if self.elsewhere.is_some() => return Err(failure.within("Error")),
                // As an answer of Flowise's API, which the flow goes on with.
                Err(failure) => Reply::text(refused(&failure, visit)),
                Ok(reply) => reply,
            };
            let text = match reply.said {
                ReplyContent::Text(text) => text,
                ReplyContent::Json(json) => format!("```json\n{}", pretty(&json)),
            };
            let mut output = Map::new();
            output.insert("content".to_owned(), text.as_str().into());
            let sink = visit.run.sink;
            if visit.is_last {
                sink.bare_token(&text);
            }
            for name in [EventName::SourceDocuments, EventName::UsedTools] {
                if let Some(value) = reply.fields.get(name.as_str()) {
                    output.insert(name.as_str().to_owned(), value.clone());
                    if visit.is_last {
                        sink.event(name, value);
                    }
                }
            }
            let mut turns = if visit.is_first() { vec![turn("user", &asked)] } else { Vec::new() };
            let mut own = visit.turn("executeFlowReturnResponseAs", &text);
            if let (Some(own), Some(used)) = (own.as_object_mut(), reply.fields.get("usedTools")) {
                own.insert("additional_kwargs".to_owned(), json!({ "usedTools": used }));
            }
            turns.push(own);
            let input = json!({ "messages": [turn("user", &asked)] });
            let outcome = StepOutcome::new(input, Value::Object(output));
            Ok(outcome.with_state(self.changes.applied(visit, &text)).saying(turns))
        })
    }
}

/// What Flowise's API says of a flow that fails.
fn refused(failure: &Failure, visit: &StepContext<'_>) -> String {
    let message = failure.sentence(&visit.run.watch.redactor).into_string();
    pretty(&json!({ "statusCode": 500, "success": false, "message": message, "stack": {} }))
}
