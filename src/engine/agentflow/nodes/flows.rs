//! The node that runs another flow of the same engine.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::runtime::turn;
use super::super::values::{updated, with_output};
use super::super::{Kind, Outcome, Step, Visit, lenient};
use super::{check_changes, refuse_if_set};
use crate::engine::Task;
use crate::engine::compile::Need;
use crate::engine::failure::Failure;
use crate::engine::flow::Flow;
use crate::engine::inputs::Inputs;
use crate::engine::part::{Reply, Said};
use crate::engine::request::Request;
use crate::engine::run::{Run, Sink};

/// The node `executeFlowAgentflow`.
pub(super) struct ExecuteFlow;

impl Kind for ExecuteFlow {
    fn name(&self) -> &'static str {
        "executeFlowAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let name = inputs.text("executeFlowSelectedFlow");
        if name.is_none() {
            inputs.refuse("executeFlowSelectedFlow", "a flow is required");
        }
        refuse_if_set(inputs, &["executeFlowBaseURL"], "the engine runs its own flows only");
        inputs.text("executeFlowInput");
        inputs.value("executeFlowOverrideConfig");
        inputs.text("executeFlowReturnResponseAs");
        check_changes(inputs, "executeFlowUpdateState");
        inputs.ignore(&["credential"]);
        let name = name?;
        inputs.compiler.miss(inputs.node, Need::Flow { name: name.clone() });
        Some(Box::new(Executes { name }))
    }
}

#[derive(Debug)]
struct Executes {
    /// Flowise's id of the flow, or its file's name without `.json`.
    name: String,
}

impl Step for Executes {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Outcome> {
        Box::pin(async move {
            let asked = visit.text("executeFlowInput");
            let reply = self.execute(&asked, visit).await.map_err(|failure| failure.within("Error"))?;
            let text = match reply.said {
                Said::Text(text) => text,
                Said::Json(json) => format!("```json\n{}", super::speaker::pretty(&json)),
            };
            let mut output = Map::new();
            output.insert("content".to_owned(), text.as_str().into());
            let sink = visit.run.sink;
            if visit.is_last {
                sink.bare_token(&text);
            }
            for name in ["sourceDocuments", "usedTools"] {
                if let Some(value) = reply.fields.get(name) {
                    output.insert(name.to_owned(), value.clone());
                    if visit.is_last {
                        sink.event(name, value);
                    }
                }
            }
            let changed = updated(&visit.runtime.state, visit.inputs.get("executeFlowUpdateState"));
            let mut turns = if visit.is_first() { vec![turn("user", &asked)] } else { Vec::new() };
            let mut own = visit.turn("executeFlowReturnResponseAs", &text);
            if let (Some(own), Some(used)) = (own.as_object_mut(), reply.fields.get("usedTools")) {
                own.insert("additional_kwargs".to_owned(), json!({ "usedTools": used }));
            }
            turns.push(own);
            let input = json!({ "messages": [turn("user", &asked)] });
            let outcome = Outcome::new(input, Value::Object(output));
            Ok(outcome.with_state(with_output(changed, &text)).saying(turns))
        })
    }
}

impl Executes {
    async fn execute(&self, asked: &str, visit: &Visit<'_>) -> Result<Reply, Failure> {
        let flow = self.flow(visit)?;
        let outer = visit.run.request;
        let _level = visit.run.budget().deeper()?;
        let mut overrides = overrides(visit.inputs.get("executeFlowOverrideConfig"))?;
        let session = overrides.remove("sessionId").and_then(|session| session.as_str().map(str::to_owned));
        let vars = overrides.remove("vars").and_then(|vars| vars.as_object().cloned());
        let request = Request {
            question: Some(asked.to_owned()),
            chat_id: outer.chat_id.clone(),
            session_id: session.unwrap_or_else(|| outer.chat_id.clone()),
            vars: vars.unwrap_or_else(|| outer.vars.clone()),
            overrides,
            flows: Arc::clone(&outer.flows),
            ..Request::default()
        };
        let sink = Sink::new(false);
        let outer = visit.run;
        let run =
            Run { services: outer.services, flow: &flow.name, request: &request, sink: &sink, watch: outer.watch };
        let answer: Task<'_, Reply> = Box::pin(flow.answer(&run));
        answer.await
    }

    fn flow(&self, visit: &Visit<'_>) -> Result<Arc<Flow>, Failure> {
        let found = visit.run.request.flows.get(&self.name);
        let found = found.ok_or_else(|| Failure::flow(format!("Chatflow {} not found", self.name)))?;
        if [&*self.name, &*found.name].contains(&visit.run.flow) {
            return Err(Failure::flow("Cannot call the same agentflow!"));
        }
        Ok(Arc::clone(found))
    }
}

/// What the node overrides in the other flow.
fn overrides(written: Option<&Value>) -> Result<Map<String, Value>, Failure> {
    match written {
        Some(Value::Object(overrides)) => Ok(overrides.clone()),
        Some(Value::String(text)) if text.starts_with('{') && text.ends_with('}') => match lenient::parse(text) {
            Ok(Value::Object(overrides)) => Ok(overrides),
            Ok(_) => Ok(Map::new()),
            Err(error) => Err(Failure::flow(format!("Invalid JSON in executeFlowOverrideConfig: {error}"))),
        },
        _ => Ok(Map::new()),
    }
}
