//! The node `worker`: one of a supervisor's team.

use std::sync::Arc;

use serde_json::Value;

use super::agent::iterations;
use super::{NodeName, images};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::sequential::given::AgentValues;
use crate::engine::sequential::message::AgentMessage;
use crate::engine::sequential::prompt::{rendered, whole};
use crate::engine::sequential::state::Update;
use crate::engine::sequential::toolbox::{AgentResult, MOST_CALLS, Toolbox};
use crate::engine::sequential::visit::{AgentStep, Visit};
use crate::engine::text::template::Template;

/// Behind what the author tells a worker.
const TOGETHER: &str = "\nWork autonomously according to your specialty, using the tools available to you. Do not ask for \
clarification. Your other team members (and other teams) will collaborate with you with their own specialties. You are \
chosen for a reason! You are one of the following team members: {team_members}.";
const TEAM: &str = "team_members";

#[derive(Debug)]
pub(in crate::engine::sequential) struct TeamWorker {
    name: NodeName,
    model: Arc<dyn ChatModel>,
    /// The supervisor's, which says whether images are shown.
    supervisor: Arc<dyn ChatModel>,
    tools: Toolbox,
    prompt: Template,
    given: AgentValues,
    most: u64,
}

/// What a node becomes.
pub(in crate::engine::sequential) struct BuiltWorker {
    pub(in crate::engine::sequential) name: NodeName,
    pub(in crate::engine::sequential) step: TeamWorker,
    pub(in crate::engine::sequential) unready: Option<String>,
}

pub(in crate::engine::sequential) fn build(
    inputs: &mut Inputs<'_, '_, '_>,
    supervisor: &Arc<dyn ChatModel>,
) -> Option<BuiltWorker> {
    let name = NodeName::read(inputs, "workerName");
    inputs.references("supervisor");
    let tools = Toolbox::read(inputs, "tools");
    let given = AgentValues::read(inputs, "promptValues", &|_| false);
    let model = if inputs.has("model") {
        inputs.part_as("model", Part::into_model, "a chat model")
    } else {
        Some(Arc::clone(supervisor))
    };
    let most = inputs.number("maxIterations").map_or(MOST_CALLS, iterations);
    let text = inputs.required_text("workerPrompt");
    let prompt = inputs.prompt("workerPrompt", &(text? + TOGETHER))?;
    let is_missing = prompt.names().any(|name| name != TEAM && !given.has(name));
    let unready = is_missing.then(|| "Worker input variables values are not provided!".to_owned());
    let (name, model) = (name?, model?);
    let step = TeamWorker { name: name.clone(), model, supervisor: Arc::clone(supervisor), tools, prompt, given, most };
    Some(BuiltWorker { name, step, unready })
}

impl AgentStep for TeamWorker {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let mut values = self.given.fill(visit).await?;
            let team = visit.state.values.get(TEAM).cloned().unwrap_or_default();
            values.entry(TEAM).or_insert(team);
            let system =
                rendered(Some(&self.prompt), &values, visit)?.map(crate::engine::contract::message::Message::system);
            let told = visit.state.messages.iter().map(|said| said.told()).collect();
            let messages = whole(system, Vec::new(), images(&*self.supervisor, visit.run), told, None);
            let AgentResult { text, used, sources } = if self.tools.is_empty() {
                let text = visit.run.ask(&*self.model, ModelRequest::of(&messages)).await?.text;
                AgentResult { text, ..AgentResult::default() }
            } else {
                self.tools.work(&*self.model, messages, None, self.most, visit).await?
            };
            let some = |values: Vec<Value>| (!values.is_empty()).then_some(values);
            let said = AgentMessage {
                used_tools: some(used),
                sources: some(sources),
                is_worker: true,
                ..AgentMessage::human(text).by(&self.name.name, &self.name.id)
            };
            Ok(Update::saying(said))
        })
    }
}
