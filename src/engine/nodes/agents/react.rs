//! Agents that reason and act in turns, in lines of text (`ReAct`).

use std::sync::{Arc, LazyLock};

use fancy_regex::Regex;
use serde_json::Value;

use super::super::memory;
use super::super::moderation::moderations;
use super::super::words::{rendered, words};
use super::work::{Agent, AvailableTools, STOPPED, told};
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
use crate::engine::text::template::Template;

// As `LangChain`'s hub has them, where Flowise fetches them for each request: `hwchase17/react` and
// `hwchase17/react-chat`.
static PLAIN: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/react.txt")));
static CHAT: LazyLock<Template> = LazyLock::new(|| words(include_str!("words/react-chat.txt")));
/// Ends what a model would make up of a tool's answer.
const STOP: &[&str] = &["\nObservation:"];
const FINAL: &str = "Final Answer:";

/// An action and its input, as JavaScript would find them.
static ACTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let line = r"[^\n\r\u{2028}\u{2029}]";
    Regex::new(&format!(r"Action\s*[0-9]*\s*:\s*({line}*?)\s*Action\s*[0-9]*\s*Input\s*[0-9]*\s*:\s*({line}*)")).ok()
});

/// The node `reactAgentChat`.
pub(super) struct ReActAgentChat;

impl NodeKind for ReActAgentChat {
    fn names(&self) -> &'static [&'static str] {
        &["reactAgentChat"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let memory = memory::required(inputs);
        agent(inputs, Some(memory?))
    }
}

/// The node `reactAgentLLM`, which remembers nothing, and the MRKL agents that it came from, of which one may; Flowise's
/// first versions wrote them MRLK.
pub(super) struct ReActAgentLlm;

impl NodeKind for ReActAgentLlm {
    fn names(&self) -> &'static [&'static str] {
        &["reactAgentLLM", "mrklAgentLLM", "mrklAgentChat", "mrlkAgentLLM", "mrlkAgentChat"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        // Its last version had a place for one.
        if inputs.node.data.name == "mrklAgentChat" && inputs.has("memory") {
            let memory = memory::required(inputs);
            return agent(inputs, Some(memory?));
        }
        agent(inputs, None)
    }
}

fn agent(inputs: &mut Inputs<'_, '_, '_>, memory: Option<Arc<Memory>>) -> Option<Part> {
    let agent = Agent::read(inputs);
    let moderations = moderations(inputs);
    Some(moderations.before(ReAct { agent: agent?, memory }))
}

#[derive(Debug)]
struct ReAct {
    agent: Agent,
    /// Of the one that chats.
    memory: Option<Arc<Memory>>,
}

impl Chain for ReAct {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, _: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let text = self.worked(question, run).await?;
            if let Some(memory) = &self.memory {
                memory.keep(question, &text, run).await?;
            }
            Ok(Reply::text(text))
        })
    }
}

impl ReAct {
    async fn worked(&self, question: &str, run: &Run<'_>) -> Result<String, Failure> {
        let at_hand = self.agent.tools.at_hand(run).await?;
        if let Some(name) = at_hand.direct() {
            let message = format!("Tool with return direct {name} not supported for multi-action agent.");
            return Err(Failure::flow(message));
        }
        let past = match &self.memory {
            Some(memory) => memory.spoken(run).await?,
            None => Vec::new(),
        };
        // A backslash and a letter: Flowise's own.
        let past = past.iter().map(|turn| turn.content.plain()).collect::<Vec<_>>().join("\\n");
        let images =
            if self.memory.is_some() && self.agent.model.sees_images() { run.request.images() } else { Vec::new() };
        let mut pad = String::new();
        for _ in 0..self.agent.most {
            let content = with_images(Content::Text(self.prompt(question, &at_hand, &past, &pad)?), &images);
            let prompt = [Message { content, ..Message::user("") }];
            let written = run.ask(&*self.agent.model, ModelRequest::of(&prompt).ending_before(STOP)).await?.text;
            let Some((tool, input)) = action(&written)? else { return Ok(answer(&written)) };
            let (_, result) = at_hand.called_in_words(&tool, &Value::from(input), run).await?;
            pad.extend([&*written, "\n\nObservation: ", told(&result), "\nThought: "]);
            run.budget().has_room(pad.len())?;
        }
        Ok(STOPPED.to_owned())
    }

    fn prompt(&self, question: &str, tools: &AvailableTools, past: &str, pad: &str) -> Result<String, Failure> {
        let (tools, names) = (tools.described().join("\n"), tools.names());
        let values: [(&str, &str); 5] = [
            ("tools", &tools),
            ("tool_names", &names),
            ("input", question),
            ("chat_history", past),
            ("agent_scratchpad", pad),
        ];
        let template = if self.memory.is_some() { &CHAT } else { &PLAIN };
        rendered(template, &values)
    }
}

/// The tool that the model wants and what it is to be given.
fn action(written: &str) -> Result<Option<(String, String)>, Failure> {
    let found = ACTION.as_ref().and_then(|pattern| pattern.captures(written).ok().flatten());
    let Some(found) = found else { return Ok(None) };
    if written.contains(FINAL) {
        let both = "Parsing LLM output produced both a final answer and a parse-able action:";
        return Err(Failure::flow(format!("{both}: {written}")));
    }
    let group = |number: usize| found.get(number).map_or("", |group| group.as_str());
    Ok(Some((group(1).to_owned(), group(2).trim().replace('"', ""))))
}

/// What stands behind the words for it, or all.
fn answer(written: &str) -> String {
    let answer = written.split(FINAL).nth(1).map(str::trim);
    answer.unwrap_or(written).to_owned()
}

#[cfg(test)]
mod tests;
