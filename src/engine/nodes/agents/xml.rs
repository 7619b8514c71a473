//! The agent whose model names tools and answers in tags.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::moderation::moderations;
use super::super::{memory, prompts};
use super::work::{Agent, AgentProgress, STOPPED, told};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::model::ModelRequest;
use crate::engine::contract::node::{Chain, Reply};
use crate::engine::contract::run::Run;
use crate::engine::text::template::Template;

/// Flowise's words, where the node says nothing (`nodes/agents/XMLAgent`).
const PROMPT: &str = include_str!("words/xml.txt");
const STOP: &[&str] = &["</tool_input>", "</final_answer>"];

/// The node `xmlAgent`.
pub(super) struct XmlAgent;

impl NodeKind for XmlAgent {
    fn names(&self) -> &'static [&'static str] {
        &["xmlAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let agent = Agent::read(inputs);
        let memory = memory::required(inputs);
        let moderations = moderations(inputs);
        let prompt = inputs.text("systemMessage").unwrap_or_else(|| PROMPT.trim_end().to_owned());
        let known = ["tools", "chat_history", "input", "agent_scratchpad"];
        let prompt = prompts::known_places(inputs, "systemMessage", &prompt, &known);
        if prompt.as_ref().is_some_and(|prompt| prompt.names().all(|name| name != "tools")) {
            inputs.refuse("systemMessage", "Provided prompt is missing required input variables: [\"tools\"]");
        }
        Some(moderations.before(InTags { agent: agent?, memory: memory?, prompt: prompt? }))
    }
}

#[derive(Debug)]
struct InTags {
    agent: Agent,
    memory: Arc<Memory>,
    prompt: Template,
}

impl Chain for InTags {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, _: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let mut work = AgentProgress::default();
            let text = self.worked(question, &mut work, run).await?;
            self.memory.keep(question, &text, run).await?;
            Ok(work.reply(text))
        })
    }
}

impl InTags {
    async fn worked(&self, question: &str, work: &mut AgentProgress, run: &Run<'_>) -> Result<String, Failure> {
        // A backslash and a letter: Flowise's own.
        let line = |turn: &Message| {
            let who = if turn.role == Role::User { "Human" } else { "AI" };
            format!("\\n{who}:{}", turn.content.plain())
        };
        let past: String = self.memory.spoken(run).await?.iter().map(line).collect();
        let at_hand = self.agent.tools.at_hand(run).await?;
        let tools = json!(at_hand.described()).to_string();
        let mut pad: Vec<Message> = Vec::new();
        for _ in 0..self.agent.most {
            let serialized = pad.iter().map(serialized).collect::<Value>().to_string();
            let values: [(&str, &str); 4] =
                [("tools", &tools), ("chat_history", &past), ("input", question), ("agent_scratchpad", &serialized)];
            let values: Map<String, Value> =
                values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            let mut messages = vec![Message::user(self.prompt.render_for(&values, run).map_err(Failure::flow)?)];
            messages.extend_from_slice(&pad);
            let written = run.ask(&*self.agent.model, ModelRequest::of(&messages).ending_before(STOP)).await?.text;
            let Some((tool, input)) = call(&written) else { return Ok(answer(&written)) };
            let (called, result) = at_hand.called_in_words(&tool, &input, run).await?;
            if let Some(called) = called {
                work.note(called, &input, &result);
                if called.returns_directly() {
                    return Ok(told(&result).to_owned());
                }
            }
            pad.push(Message::assistant(written));
            pad.push(Message::user(told(&result)));
        }
        Ok(STOPPED.to_owned())
    }
}

/// A message as the library writes one where a text is wanted.
fn serialized(message: &Message) -> Value {
    let text = message.content.plain();
    let (kind, kwargs) = if message.role == Role::User {
        ("HumanMessage", json!({ "content": text, "additional_kwargs": {}, "response_metadata": {} }))
    } else {
        let kwargs = json!({
            "content": text, "tool_calls": [], "invalid_tool_calls": [], "additional_kwargs": {},
            "response_metadata": {},
        });
        ("AIMessage", kwargs)
    };
    json!({ "lc": 1, "type": "constructor", "id": ["langchain_core", "messages", kind], "kwargs": kwargs })
}

/// The tool that the model wants and what it is to be given.
fn call(written: &str) -> Option<(String, Value)> {
    let (before, after) = written.split_once("</tool>")?;
    let after = after.split("</tool>").next().unwrap_or_default();
    let tool = before.split("<tool>").nth(1).unwrap_or("undefined");
    let input = after.split("<tool_input>").nth(1).map_or(Value::Null, Value::from);
    Some((tool.to_owned(), input))
}

/// What stands behind the tag for it, or all.
fn answer(written: &str) -> String {
    written.split("<final_answer>").nth(1).unwrap_or(written).to_owned()
}

#[cfg(test)]
mod tests;
