//! The node `supervisor`: its model says which worker is next, and when all is done.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{NodeName, images};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, Message, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::sequential::prompt::{rendered, whole};
use crate::engine::sequential::state::Update;
use crate::engine::sequential::visit::{AgentStep, BranchDecision, Visit};
use crate::engine::text::template::Template;

pub(in crate::engine::sequential) const FINISH: &str = "FINISH";
const FINISHED: &str = "Conversation finished";
const PROMPT: &str = "You are a supervisor tasked with managing a conversation between the following workers: \
{team_members}.\nGiven the following user request, respond with the worker to act next.\nEach worker will perform a task \
and respond with their results and status.\nWhen finished, respond with FINISH.\nSelect strategically to minimize the \
number of steps taken.";
const ROUTE: &str = "route";

#[derive(Debug)]
pub(in crate::engine::sequential) struct Supervisor {
    model: Arc<dyn ChatModel>,
    prompt: Template,
    /// Who is next, the model is asked at the end.
    human: String,
    route: [ToolSpec; 1],
    /// Whether the provider is told that there is no other answer than a call.
    must_call: bool,
    team: String,
    summarizes: bool,
}

impl Supervisor {
    /// `workers`: their names.
    pub(in crate::engine::sequential) fn build(
        inputs: &mut Inputs<'_, '_, '_>,
        model: Arc<dyn ChatModel>,
        workers: &[NodeName],
    ) -> Option<Self> {
        let names: Vec<&str> = workers.iter().map(|worker| &*worker.name).collect();
        let team = names.join(", ");
        let text = inputs.text("supervisorPrompt").unwrap_or_else(|| PROMPT.to_owned());
        let prompt = inputs.prompt("supervisorPrompt", &text.replace("{team_members}", &team))?;
        let summarizes = inputs.flag("summarization").unwrap_or(false);
        let options: Vec<&str> = [FINISH].into_iter().chain(names).collect();
        let mut human = format!(
            "Given the conversation above, who should act next? Or should we FINISH? Select one of: {}",
            options.join(", ")
        );
        let provider = model.provider();
        human.push_str(match (provider == "anthropic", summarizes) {
            (true, false) => ". Use the route tool in your response.",
            (true, true) => {
                ". Remember to give reasonings, instructions and summarization. Use the route tool in your response."
            }
            (false, true) => "\n            Remember to give reasonings, instructions and summarization",
            (false, false) => "",
        });
        let must_call = match provider {
            "openai" | "litellm" | "mistral_ai" => true,
            provider => provider.starts_with("azure") && !summarizes,
        };
        let route = [ToolSpec {
            name: ROUTE.to_owned(),
            description: "Select the worker to act next".to_owned(),
            parameters: parameters(&options, summarizes),
        }];
        Some(Self { model, prompt, human, route, must_call, team, summarizes })
    }

    fn decided(&self, answer: &ModelAnswer) -> RouteChosen {
        let Some(call) = answer.calls.first() else {
            let instructions = Some(answer.text.as_str().into());
            return RouteChosen { next: Some(FINISH.into()), instructions, summary: Some(FINISHED.into()) };
        };
        let field = |name: &str| call.arguments.get(name).cloned();
        let is_empty = call.arguments.as_object().is_none_or(Map::is_empty);
        if is_empty && self.model.provider() == "mistral_ai" {
            return RouteChosen { next: Some(FINISH.into()), instructions: Some(FINISHED.into()), summary: None };
        }
        RouteChosen { next: field("next"), instructions: field("instructions"), summary: field("summarization") }
    }
}

fn parameters(options: &[&str], summarizes: bool) -> Value {
    let about = "The specific instructions of the sub-task the next role should accomplish.";
    let mut properties = json!({
        "reasoning": { "type": "string" },
        "next": { "type": "string", "enum": options },
        "instructions": { "type": "string", "description": about },
    });
    if let Some(properties) = properties.as_object_mut().filter(|_| summarizes) {
        let summary = json!({ "type": "string", "description": "Summarization of the conversation" });
        properties.insert("summarization".to_owned(), summary);
    }
    json!({
        "type": "object", "properties": properties, "required": ["reasoning", "next", "instructions"],
        "additionalProperties": false, "$schema": "http://json-schema.org/draft-07/schema#",
    })
}

struct RouteChosen {
    next: Option<Value>,
    instructions: Option<Value>,
    summary: Option<Value>,
}

impl AgentStep for Supervisor {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, Update> {
        Box::pin(async move {
            let system = rendered(Some(&self.prompt), &visit.state.values, visit)?.map(Message::system);
            let told = visit.state.messages.iter().map(|said| said.told());
            let human = Some(Message::user(self.human.as_str()));
            let images = images(&*self.model, visit.run);
            let messages = if self.model.provider() == "gcp.gemini" && !images.is_empty() {
                let images = Message { content: Content::Pieces(images), ..Message::user("") };
                whole(system, Vec::new(), Vec::new(), told.chain([images]).collect(), human)
            } else {
                whole(system, Vec::new(), images, told.collect(), human)
            };
            let ask = ModelRequest { tools: &self.route, must_call: self.must_call, ..ModelRequest::of(&messages) };
            let answered = visit.run.ask(&*self.model, ask).await?;
            let RouteChosen { next, instructions, summary } = self.decided(&answered);
            let mut values = vec![("next".to_owned(), next), ("instructions".to_owned(), instructions)];
            values.push(("team_members".to_owned(), Some(self.team.as_str().into())));
            if self.summarizes {
                values.push(("summarization".to_owned(), summary));
            }
            Ok(Update { values, messages: None })
        })
    }
}

/// Whom the supervisor has named.
#[derive(Debug)]
pub(in crate::engine::sequential) struct NextWorker;

impl BranchDecision for NextWorker {
    fn decide<'a>(&'a self, visit: &'a Visit<'a>) -> Task<'a, String> {
        Box::pin(async move {
            let next = visit.state.values.get("next").and_then(Value::as_str);
            next.map(str::to_owned)
                .ok_or_else(|| Failure::flow("Branch condition returned unknown or null destination"))
        })
    }
}
