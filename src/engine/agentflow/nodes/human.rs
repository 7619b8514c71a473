//! The node that asks the user before it goes on.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::runtime::turn;
use super::super::values::text_of;
use super::speaker::{model, plain};
use crate::engine::agentflow::step::{NextStep, Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};

/// What Flowise has the model say, where the author says nothing else.
const PROMPT: &str = include_str!("human_input.txt");

/// The node `humanInputAgentflow`.
pub(super) struct HumanInput;

impl StepKind for HumanInput {
    fn name(&self) -> &'static str {
        "humanInputAgentflow"
    }

    fn decides(&self) -> bool {
        true
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let takes_feedback = inputs.flag("humanInputEnableFeedback").unwrap_or_default();
        let (is_dynamic, model) = match inputs.text("humanInputDescriptionType").as_deref() {
            // As Flowise, where nothing is said.
            None | Some("fixed") => (false, None),
            Some("dynamic") => (true, model("humanInputModel", inputs).map(|(model, _)| model)),
            Some(_) => {
                inputs.refuse("humanInputDescriptionType", "expected fixed or dynamic");
                (false, None)
            }
        };
        inputs.text("humanInputDescription");
        inputs.text("humanInputModelPrompt");
        inputs.ignore(&["humanInputModel", "humanInputModelConfig"]);
        if is_dynamic && model.is_none() {
            return None;
        }
        Some(Box::new(AsksUser { model, takes_feedback }))
    }
}

#[derive(Debug)]
struct AsksUser {
    /// Words the question; `None`: its author did.
    model: Option<Arc<dyn ChatModel>>,
    takes_feedback: bool,
}

impl Step for AsksUser {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move {
            match visit.answer {
                Some(answer) => Ok(self.answered(answer, visit)),
                None => self.ask(visit).await,
            }
        })
    }
}

impl AsksUser {
    async fn ask(&self, visit: &StepContext<'_>) -> Result<StepOutcome, Failure> {
        let past: Vec<Value> = visit.runtime.past.iter().chain(&visit.runtime.history).cloned().collect();
        let question = match &self.model {
            None => {
                let last = past.last().and_then(|turn| turn.get("content")).map(text_of).unwrap_or_default();
                let own = Some(visit.text("humanInputDescription")).filter(|own| !own.is_empty());
                let question = format!("{last}\n\n{}", own.as_deref().unwrap_or("Do you want to proceed?"));
                visit.run.sink.bare_token(&question);
                question
            }
            Some(model) => {
                let own = Some(visit.text("humanInputModelPrompt")).filter(|own| !own.is_empty());
                let mut messages: Vec<Message> = past.iter().map(plain).collect();
                messages.push(Message::user(own.as_deref().unwrap_or(PROMPT)));
                let ask = ModelRequest::of(&messages).telling_bare(Some(visit.run.sink));
                visit.run.ask(&**model, ask).await?.text
            }
        };
        let input = json!({ "messages": past, "humanInputEnableFeedback": self.takes_feedback });
        let outcome = StepOutcome::new(input, json!({ "content": question }));
        Ok(outcome
            .saying(vec![turn("assistant", &question)])
            .then(NextStep::Wait { pending: Value::Null, calls: Value::Null }))
    }

    fn answered(&self, answer: &Value, visit: &StepContext<'_>) -> StepOutcome {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, feedback) = (text("type"), text("feedback"));
        let outcomes: Vec<Value> = ["proceed", "reject"]
            .iter()
            .map(|way| {
                let mut outcome = Map::new();
                outcome.insert("type".to_owned(), (*way).into());
                outcome.insert("startNodeId".to_owned(), text("startNodeId").into());
                if self.takes_feedback && !feedback.is_empty() {
                    outcome.insert("feedback".to_owned(), feedback.into());
                }
                outcome.insert("isFulfilled".to_owned(), (*way == kind).into());
                Value::Object(outcome)
            })
            .collect();
        let said = if feedback.is_empty() { kind } else { feedback };
        let past = visit.runtime.past.iter().chain(&visit.runtime.history).cloned();
        let mut input = answer.as_object().cloned().unwrap_or_default();
        input.insert("messages".to_owned(), past.chain([turn("user", said)]).collect());
        let output = json!({ "content": said, "conditions": outcomes });
        let outcome = StepOutcome::new(Value::Object(input), output);
        let outcome = outcome.then(NextStep::Choose(vec![kind == "proceed", kind == "reject"]));
        if feedback.is_empty() { outcome } else { outcome.saying(vec![turn("user", feedback)]) }
    }
}
