//! The node `seqAgent`: a model with tools, which may be called with the user's leave only.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::approval::Approval;
use super::{AgentContext, NodeName, images};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::nodes::agents::without_broken_images;
use crate::engine::sequential::changes::StateChanges;
use crate::engine::sequential::message::{AgentMessage, Speaker};
use crate::engine::sequential::prompt::{AgentPrompt, HistorySelection, restructured, whole};
use crate::engine::sequential::state::{AgentState, Update};
use crate::engine::sequential::toolbox::{AgentResult, MOST_CALLS, Toolbox};
use crate::engine::sequential::visit::{AgentStep, Visit};

/// In Flowise's words.
const MISSING: &str = "Agent input variables values are not provided!";

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltAgent {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: SeqAgent,
    /// Its tools are called by a node of their own, before which the user is asked.
    pub(in crate::engine::sequential) approval: Option<Approval>,
    pub(in crate::engine::sequential) unready: Option<String>,
}

pub(in crate::engine::sequential) fn build(
    inputs: &mut Inputs<'_, '_, '_>,
    context: &AgentContext<'_>,
) -> Option<BuiltAgent> {
    let name = NodeName::read(inputs, "agentName");
    let model = context.model(inputs);
    let tools = Arc::new(Toolbox::read(inputs, "tools"));
    let prompt = AgentPrompt::with_messages(inputs, context.is_agent);
    let selection = HistorySelection::read(inputs);
    let approval = Approval::read(inputs);
    let most = inputs.number("maxIterations").map_or(MOST_CALLS, iterations);
    let changes = StateChanges::read(inputs);
    let unready = (!prompt.missing().is_empty()).then(|| MISSING.to_owned());
    let (name, model) = (name?, model?);
    let approval = approval.filter(|_| !tools.is_empty());
    let asks = approval.is_some();
    let step = SeqAgent { name: name.clone(), model, tools, prompt, selection, asks, most, changes };
    Some(BuiltAgent { name, step, approval, unready })
}

/// Rounds of an agent, begun ones counted.
pub(super) fn iterations(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within bounds")]
    let rounds = number.ceil().clamp(0.0, 1e6) as u64;
    if rounds == 0 { MOST_CALLS } else { rounds }
}

#[derive(Debug)]
pub(in crate::engine::sequential) struct SeqAgent {
    name: NodeName,
    model: Arc<dyn ChatModel>,
    pub(in crate::engine::sequential) tools: Arc<Toolbox>,
    prompt: AgentPrompt,
    selection: HistorySelection,
    asks: bool,
    most: u64,
    changes: StateChanges,
}

impl AgentStep for SeqAgent {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let (system, human) = self.prompt.around(visit).await?;
            let before = self.prompt.before(visit).await?;
            let state = self.selection.of(visit);
            let visit = visit.with_state(&state);
            let messages = restructured(&state, &*self.model);
            let images = images(&*self.model, visit.run);
            if self.asks {
                return self.ask_first(whole(system, before, images, messages, human), &visit).await;
            }
            if self.tools.is_empty() {
                let messages = whole(system, before, images, messages, human);
                let text = visit.run.ask(&*self.model, ModelRequest::of(&messages)).await?.text;
                return self.done(&text, AgentMessage::default(), &visit).await;
            }
            let messages = whole(system, before, images, messages, None);
            let worked = self.tools.work(&*self.model, messages, human, self.most, &visit).await?;
            let AgentResult { text, used, sources } = worked;
            let some = |values: Vec<Value>| (!values.is_empty()).then_some(values);
            let found = AgentMessage { used_tools: some(used), sources: some(sources), ..AgentMessage::default() };
            self.done(&text, found, &visit).await
        })
    }
}

impl SeqAgent {
    /// One call of the model. What it asks for is done by another node, once the user agrees, and told to it then.
    async fn ask_first(&self, messages: Vec<Message>, visit: &Visit<'_>) -> Result<Update, Failure> {
        let specs = self.tools.specs(visit).await?;
        let ask = ModelRequest { tools: &specs, ..ModelRequest::of(&messages) };
        let answered = visit.run.ask(&*self.model, ask).await?;
        let own = own_result(visit.state, &self.name.id);
        match own.filter(|_| answered.calls.is_empty()) {
            Some(result) => {
                let AgentMessage { used_tools, sources, artifacts, .. } = result.clone();
                let found = AgentMessage { used_tools, sources, artifacts, ..AgentMessage::default() };
                self.done(&answered.text, found, visit).await
            }
            None => Ok(Update::saying(AgentMessage::answered(answered).by(&self.name.name, &self.name.id))),
        }
    }

    /// Its work is done.
    async fn done(&self, text: &str, found: AgentMessage, visit: &Visit<'_>) -> Result<Update, Failure> {
        let content = without_broken_images(text);
        let mut output = Map::new();
        output.insert("content".to_owned(), content.as_str().into());
        let lists =
            [("usedTools", &found.used_tools), ("sourceDocuments", &found.sources), ("artifacts", &found.artifacts)];
        for (name, values) in lists {
            if let Some(values) = values {
                output.insert(name.to_owned(), values.clone().into());
            }
        }
        let values = self.changes.made(visit, &Value::Object(output)).await?;
        let said = AgentMessage { content, ..found.by(&self.name.name, &self.name.id) };
        Ok(Update { values, ..Update::saying(said) })
    }
}

/// The last message, if it is the result of a call that the agent made.
fn own_result<'s>(state: &'s AgentState, id: &str) -> Option<&'s AgentMessage> {
    state.last().filter(|last| last.speaker == Speaker::Tool && last.node.as_deref() == Some(id))
}
