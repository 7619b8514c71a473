//! The conversational agent: its model writes JSON that names a tool or has the answer.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::super::moderation::moderations;
use super::super::words::{rendered, words};
use super::super::{chains, memory, prompts};
use super::work::{Agent, AgentProgress, AvailableTools, STOPPED, told};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Content, Message};
use crate::engine::contract::model::ModelRequest;
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::prompt::with_images;
use crate::engine::contract::run::Run;
use crate::engine::text::javascript::shown;
use crate::engine::text::template::Template;
use crate::wire::json::read_str;

// The words of `LangChain` (`@langchain/classic`, `agents/chat_convo/prompt`).
static FORMAT: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/conversational-format.txt")));
static HUMAN: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/conversational-human.txt")));
static TOOL: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/conversational-tool.txt")));
const SYSTEM: &str = include_str!("words/conversational-system.txt");
const SYSTEM_END: &str = include_str!("words/conversational-end.txt");
/// Ends what a model would make up of a tool's answer.
const STOP: &[&str] = &["\nObservation"];

/// The node `conversationalAgent`.
pub(super) struct ConversationalAgent;

impl NodeKind for ConversationalAgent {
    fn names(&self) -> &'static [&'static str] {
        &["conversationalAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let agent = Agent::read(inputs);
        let memory = memory::required(inputs);
        let moderations = moderations(inputs);
        let system = prompts::system_words(inputs, ("systemMessage", SYSTEM.trim_end()), None);
        Some(moderations.before(Conversational { agent: agent?, memory: memory?, system: system? }))
    }
}

#[derive(Debug)]
struct Conversational {
    agent: Agent,
    memory: Arc<Memory>,
    system: Template,
}

/// What the model wants.
enum WrittenStep {
    Call { tool: String, input: Value },
    Answer(String),
}

impl Chain for Conversational {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, _: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let mut work = AgentProgress::default();
            let text = self.worked(question, &mut work, run).await?;
            self.memory.keep(question, &text, run).await?;
            Ok(work.reply(text))
        })
    }
}

impl Conversational {
    async fn worked(&self, question: &str, work: &mut AgentProgress, run: &Run<'_>) -> Result<String, Failure> {
        let tools = self.agent.tools.at_hand(run).await?;
        let mut messages = self.opening(question, &tools, run).await?;
        let mut opening = messages.len();
        for round in 0..self.agent.most {
            if round > 0 && self.memory.is_made_anew() {
                let anew = self.opening(question, &tools, run).await?;
                let before = std::mem::replace(&mut opening, anew.len());
                messages.splice(..before, anew);
            }
            let written = run.ask(&*self.agent.model, ModelRequest::of(&messages).ending_before(STOP)).await?.text;
            let (tool, input) = match self.read(&written, &tools, run).await? {
                WrittenStep::Answer(answer) => return Ok(answer),
                WrittenStep::Call { tool, input } => (tool, input),
            };
            let (called, result) = tools.called_in_words(&tool, &input, run).await?;
            if let Some(called) = called {
                work.note(called, &input, &result);
                if called.returns_directly() {
                    return Ok(told(&result).to_owned());
                }
            }
            messages.push(Message::assistant(written));
            messages.push(Message::user(rendered(&TOOL, &[("observation", told(&result))])?));
        }
        Ok(STOPPED.to_owned())
    }

    /// What the model is told before it does anything.
    async fn opening(&self, question: &str, tools: &AvailableTools, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let values = Map::from_iter([("input".to_owned(), question.into())]);
        let system = self.system.render_for(&values, run).map_err(Failure::flow)?;
        let mut messages = vec![Message::system(format!("{system}{}", SYSTEM_END.trim_end()))];
        messages.extend(self.memory.turns(run).await?);
        let format = format(tools)?.replace("{{", "{").replace("}}", "}");
        let tools = tools.described().join("\n");
        let values = [("tools", tools.as_str()), ("format_instructions", &format), ("input", question)];
        let images = if self.agent.model.sees_images() { run.request.images() } else { Vec::new() };
        let content = with_images(Content::Text(rendered(&HUMAN, &values)?), &images);
        messages.push(Message { content, ..Message::user("") });
        Ok(messages)
    }

    /// What cannot be read, the model is asked to mend, once.
    async fn read(&self, written: &str, tools: &AvailableTools, run: &Run<'_>) -> Result<WrittenStep, Failure> {
        if let Ok(step) = read(written) {
            return Ok(step);
        }
        // In place of what is wrong, the library tells what its error looks like as JSON.
        let error = r#"{"sendToLLM":false,"lc_error_code":"OUTPUT_PARSING_FAILURE"}"#;
        let prompt = [Message::user(chains::mending(&format(tools)?, written, error))];
        let mended = run.ask(&*self.agent.model, ModelRequest::of(&prompt)).await?.text;
        read(&mended).map_err(Failure::flow)
    }
}

/// How to answer, with doubled braces, which the model that mends an answer is told.
fn format(tools: &AvailableTools) -> Result<String, Failure> {
    rendered(&FORMAT, &[("tool_names", &tools.names())])
}

/// JSON by itself, or in a block of Markdown.
fn read(written: &str) -> Result<WrittenStep, String> {
    let mut json = written.trim();
    let fence = if json.contains("```json") { "```json" } else { "```" };
    if let (Some(begin), Some(action)) = (json.find(fence), json.find("action_input"))
        && action > begin
    {
        json = json.get(begin + fence.len()..).unwrap_or_default().trim_start();
        json = json.rfind("```").and_then(|end| json.get(..end)).unwrap_or(json).trim_end();
    }
    let value =
        read_str::<Value>(json).map_err(|error| format!("Failed to parse. Text: \"{written}\". Error: {error}"))?;
    let action = value.get("action").map_or_else(|| "undefined".to_owned(), shown);
    let input = value.get("action_input").cloned().unwrap_or_default();
    if action == "Final Answer" {
        return Ok(WrittenStep::Answer(match input {
            Value::String(text) => text,
            value => value.to_string(),
        }));
    }
    Ok(WrittenStep::Call { tool: action, input })
}

#[cfg(test)]
mod tests;
