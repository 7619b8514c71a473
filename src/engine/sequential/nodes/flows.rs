//! The node `seqExecuteFlow`: another flow answers, of the same engine or of another Flowise.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::NodeName;
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::remote_flow::{RemoteFlow, SubflowTarget};
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::flows::Subflow;
use crate::engine::contract::node::ReplyContent;
use crate::engine::contract::request::RunRequest;
use crate::engine::contract::run::Run;
use crate::engine::contract::sink::Sink;
use crate::engine::sequential::message::AgentMessage;
use crate::engine::sequential::state::Update;
use crate::engine::sequential::visit::{AgentStep, Visit};
use crate::engine::text::mustache::Mustache;
use crate::predict::chat_id;

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltExecute {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: SeqExecute,
}

pub(in crate::engine::sequential) fn build(inputs: &mut Inputs<'_, '_, '_>) -> Option<BuiltExecute> {
    let name = NodeName::read(inputs, "seqExecuteFlowName");
    let flow = inputs.required_text("selectedFlow");
    let elsewhere = RemoteFlow::read(inputs, "baseURL", flow.as_deref().unwrap_or_default(), false);
    let asked = match inputs.text("seqExecuteFlowInput").as_deref() {
        None | Some("userQuestion") => FlowQuestion::Question,
        Some(text) => match node(text) {
            Some(node) => FlowQuestion::Node(node.to_owned()),
            None => FlowQuestion::Text(inputs.mustache_in("seqExecuteFlowInput", text)),
        },
    };
    inputs.fills(&["seqExecuteFlowInput"]);
    let overrides = match inputs.json("overrideConfig") {
        None => Map::new(),
        Some(Value::Object(overrides)) => overrides,
        Some(_) => {
            inputs.refuse("overrideConfig", "expected a JSON object");
            Map::new()
        }
    };
    let begins_anew = inputs.flag("startNewSession").unwrap_or(false);
    let is_human = inputs.text("returnValueAs").as_deref() == Some("humanMessage");
    inputs.ignore(&["credential"]);
    let (name, flow, elsewhere) = (name?, flow?, elsewhere?);
    if elsewhere.is_none() {
        inputs.compiler.miss(inputs.node, Need::Flow { name: flow.clone() });
    }
    let step = SeqExecute { node: name.id.clone(), flow, elsewhere, asked, overrides, begins_anew, is_human };
    Some(BuiltExecute { name, step })
}

/// What the other flow is asked.
#[derive(Debug)]
enum FlowQuestion {
    Question,
    /// What a node said.
    Node(String),
    Text(Mustache),
}

/// The node in `{{ $seqAgent_0 }}`.
fn node(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let name = name.strip_suffix(".data.instance").unwrap_or(name);
    name.strip_prefix('$').or(Some(name)).filter(|name| name.starts_with("seq"))
}

#[derive(Debug)]
pub(in crate::engine::sequential) struct SeqExecute {
    node: String,
    /// Flowise's id of the flow, or its file's name without `.json`.
    flow: String,
    elsewhere: SubflowTarget,
    asked: FlowQuestion,
    /// As its author wrote them.
    overrides: Map<String, Value>,
    /// Each time in a session of its own.
    begins_anew: bool,
    is_human: bool,
}

impl AgentStep for SeqExecute {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let asked = match &self.asked {
                FlowQuestion::Question => visit.question.to_owned(),
                FlowQuestion::Node(node) => visit
                    .state
                    .said_by(node)
                    .map(|said| Value::from(said.content.as_str()).to_string())
                    .unwrap_or_default(),
                FlowQuestion::Text(text) => text.text(visit),
            };
            let flow = self.flow(visit)?;
            let text = match self.execute(&*flow, asked, visit).await {
                Ok(text) => text,
                Err(failure) if failure.ends_run() => return Err(failure),
                // As Flowise: what is no answer says nothing.
                Err(_) => String::new(),
            };
            let said = if self.is_human { AgentMessage::human(text) } else { AgentMessage::model(text) };
            Ok(Update::saying(AgentMessage { node: Some(self.node.clone()), ..said }))
        })
    }
}

impl SeqExecute {
    async fn execute(&self, flow: &dyn Subflow, asked: String, visit: &Visit<'_>) -> Result<String, Failure> {
        let outer = visit.run.request;
        let _level = visit.run.budget().deeper()?;
        let mut overrides = self.overrides.clone();
        let session = overrides.shift_remove("sessionId");
        let session = session.as_ref().and_then(Value::as_str).filter(|name| !name.is_empty());
        let vars = overrides.shift_remove("vars").and_then(|vars| vars.as_object().cloned());
        let anew = || chat_id::random().unwrap_or_default();
        let session_id = match session {
            Some(name) => outer.sessions.named(name),
            None if self.begins_anew => anew(),
            None => outer.session_id.clone(),
        };
        let request = RunRequest {
            question: Some(asked),
            chat_id: if self.begins_anew { anew() } else { outer.chat_id.clone() },
            session_id,
            vars: vars.unwrap_or_else(|| if flow.is_elsewhere() { Map::new() } else { outer.vars.clone() }),
            overrides: overrides.into(),
            is_inner: true,
            flows: Arc::clone(&outer.flows),
            sessions: outer.sessions.clone(),
            ..RunRequest::default()
        };
        let sink = Sink::default();
        // In the other flow, names stand for what is known there.
        let run = Run { flow: flow.name(), request: &request, sink: &sink, names: None, ..*visit.run };
        let reply = flow.answer(&run).await?;
        Ok(match reply.said {
            ReplyContent::Text(text) => text,
            ReplyContent::Json(json) => json.to_string(),
        })
    }

    fn flow(&self, visit: &Visit<'_>) -> Result<Arc<dyn Subflow>, Failure> {
        if let Some(flow) = &self.elsewhere {
            return Ok(Arc::clone(flow));
        }
        let found = visit.run.request.flows.get(&self.flow);
        let found = found.ok_or_else(|| Failure::flow(format!("Chatflow {} not found", self.flow)))?;
        if [&*self.flow, found.name()].contains(&visit.run.flow) {
            return Err(Failure::flow("Cannot call the same agentflow!"));
        }
        Ok(Arc::clone(found))
    }
}
