//! The node `seqLLMNode`: one call of a model, whose answer may have a form.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AgentContext, NodeName, images};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::toolset::Toolset;
use crate::engine::sequential::changes::StateChanges;
use crate::engine::sequential::message::AgentMessage;
use crate::engine::sequential::prompt::{AgentPrompt, HistorySelection, restructured, whole};
use crate::engine::sequential::state::Update;
use crate::engine::sequential::structured;
use crate::engine::sequential::toolbox::Toolbox;
use crate::engine::sequential::visit::{AgentStep, Visit};

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltLlm {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: SeqLlm,
    pub(in crate::engine::sequential) unready: Option<String>,
}

/// `bound`: tools of the nodes of tools beside it.
pub(in crate::engine::sequential) fn build(
    inputs: &mut Inputs<'_, '_, '_>,
    bound: Toolset,
    context: &AgentContext<'_>,
) -> Option<BuiltLlm> {
    let name = NodeName::read(inputs, "llmNodeName");
    let model = context.model(inputs);
    let own = Toolbox::read(inputs, "tools");
    let tools = if bound.is_empty() { own } else { Toolbox::of(bound) };
    let prompt = AgentPrompt::with_messages(inputs, context.is_agent);
    let selection = HistorySelection::read(inputs);
    let schema = structured::read(inputs, "llmStructuredOutput");
    let changes = StateChanges::read(inputs);
    let missing = prompt.missing().join(" ");
    let unready = (!missing.is_empty()).then(|| {
        format!(
            "LLM Node input variables values are not provided! Required: {}, Provided: {}. Missing: {missing}",
            prompt.names().join(" "),
            prompt.given.names().join(" ")
        )
    });
    let (name, model) = (name?, model?);
    let step = SeqLlm { name: name.clone(), model, tools, prompt, selection, schema, changes };
    Some(BuiltLlm { name, step, unready })
}

#[derive(Debug)]
pub(in crate::engine::sequential) struct SeqLlm {
    name: NodeName,
    model: Arc<dyn ChatModel>,
    tools: Toolbox,
    prompt: AgentPrompt,
    selection: HistorySelection,
    schema: Option<Value>,
    changes: StateChanges,
}

impl AgentStep for SeqLlm {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let (system, human) = self.prompt.around(visit).await?;
            let before = self.prompt.before(visit).await?;
            let state = self.selection.of(visit);
            let visit = visit.with_state(&state);
            let messages = restructured(&state, &*self.model);
            let messages = whole(system, before, images(&*self.model, visit.run), messages, human);
            let (said, output) = self.ask(&messages, &visit).await?;
            let values = self.changes.made(&visit, &output).await?;
            Ok(Update { values, ..Update::saying(said.by(&self.name.name, &self.name.id)) })
        })
    }
}

impl SeqLlm {
    /// What the model said, and what others see of it.
    async fn ask(&self, messages: &[Message], visit: &Visit<'_>) -> Result<(AgentMessage, Value), Failure> {
        if let Some(schema) = self.schema.as_ref().filter(|_| self.tools.is_empty()) {
            let output = structured::ask(&*self.model, messages, schema, visit).await?;
            return Ok((formed(&output), output));
        }
        let specs = self.tools.specs(visit).await?;
        let ask = ModelRequest { tools: &specs, ..ModelRequest::of(messages) };
        let answered = visit.run.ask(&*self.model, ask).await?;
        if self.schema.is_some() && !answered.calls.is_empty() {
            // With tools, what it would call them with is the answer.
            let arguments = answered.calls.iter().filter_map(|call| call.arguments.as_object().cloned());
            let output = Value::Object(arguments.fold(Map::new(), |mut all, more| {
                all.extend(more);
                all
            }));
            return Ok((formed(&output), output));
        }
        let said = AgentMessage::answered(answered);
        let output = said.view();
        Ok((said, output))
    }
}

fn formed(output: &Value) -> AgentMessage {
    AgentMessage { has_form: true, ..AgentMessage::model(output.to_string()) }
}
