//! Agents whose model knows how to call tools.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Map;

use super::super::moderation::moderations;
use super::super::retrieval::chains::{in_documents, retriever, told_lines};
use super::super::{memory, prompts};
use super::work::{Agent, AgentProgress, STOPPED, Steps, told};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Content, Message};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Chain, Reply, Retriever};
use crate::engine::contract::prompt::{Prompt, with_images};
use crate::engine::contract::run::Run;
use crate::engine::text::template::Template;

/// Of the tools that a model asks for in one answer, so many are at work at once.
const AT_ONCE: usize = 64;
/// What agents say that say nothing else.
const HELPFUL: &str = "You are a helpful AI assistant.";
const SEARCHING: &str = "Do your best to answer the questions. Feel free to use any tools available to look up relevant \
                         information, only if necessary";

pub(super) struct ToolAgent;

impl NodeKind for ToolAgent {
    fn names(&self) -> &'static [&'static str] {
        &["toolAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let prompt = prompts::of_chat(inputs);
        let system = prompts::system_words(inputs, ("systemMessage", ""), prompt.as_ref());
        agent(inputs, prompt, system, None)
    }
}

/// What the tool agent was before there was one for all models.
pub(super) struct EarlierToolAgent;

impl NodeKind for EarlierToolAgent {
    fn names(&self) -> &'static [&'static str] {
        &["openAIToolAgent", "openAIFunctionAgent", "mistralAIToolAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let system = prompts::system_words(inputs, ("systemMessage", HELPFUL), None);
        // Their first versions had no place for one, or could go without.
        let memory = memory::optional(inputs);
        agent_with(inputs, memory, None, system, None)
    }
}

/// The same, which was made for retrievers.
pub(super) struct RetrievalAgent;

impl NodeKind for RetrievalAgent {
    fn names(&self) -> &'static [&'static str] {
        &["conversationalRetrievalAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let system = prompts::system_words(inputs, ("systemMessage", SEARCHING), None);
        agent(inputs, None, system, None)
    }
}

/// A tool agent whose system is told what documents say.
pub(super) struct RetrievalToolAgent;

impl NodeKind for RetrievalToolAgent {
    fn names(&self) -> &'static [&'static str] {
        &["conversationalRetrievalToolAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let retriever = retriever(inputs);
        let system = inputs.text("systemMessage").unwrap_or_else(|| HELPFUL.to_owned());
        let system = prompts::known_places(inputs, "systemMessage", &system, &["context", "input"]);
        let rephrase = match inputs.text("rephrasePrompt") {
            Some(text) => {
                let template = prompts::known_places(inputs, "rephrasePrompt", &text, &["chat_history", "question"]);
                Some(template?)
            }
            None => None,
        };
        let model = inputs.part_as("rephraseModel", Part::into_model, "a chat model");
        let grounding = Grounding { retriever: retriever?, rephrase, model };
        agent(inputs, None, system, Some(grounding))
    }
}

fn agent(
    inputs: &mut Inputs<'_, '_, '_>,
    prompt: Option<Arc<Prompt>>,
    system: Option<Template>,
    grounding: Option<Grounding>,
) -> Option<Part> {
    let memory = memory::required(inputs);
    agent_with(inputs, memory, prompt, system, grounding)
}

fn agent_with(
    inputs: &mut Inputs<'_, '_, '_>,
    memory: Option<Arc<Memory>>,
    prompt: Option<Arc<Prompt>>,
    system: Option<Template>,
    grounding: Option<Grounding>,
) -> Option<Part> {
    let agent = Agent::read(inputs);
    let moderations = moderations(inputs);
    let tells_steps = inputs.flag("enableDetailedStreaming").unwrap_or(false);
    let (agent, memory, system) = (agent?, memory?, system?);
    Some(moderations.before(AgentChain { agent, memory, prompt, system, grounding, tells_steps }))
}

#[derive(Debug)]
struct AgentChain {
    agent: Agent,
    memory: Arc<Memory>,
    /// In place of the system's words: its last turn is the question's.
    prompt: Option<Arc<Prompt>>,
    system: Template,
    /// Documents that the system's words have a place for.
    grounding: Option<Grounding>,
    /// Whether a stream hears of each step.
    tells_steps: bool,
}

#[derive(Debug)]
struct Grounding {
    retriever: Arc<dyn Retriever>,
    /// Makes a question of its own of one that refers to what was said before.
    rephrase: Option<Template>,
    /// In place of the agent's.
    model: Option<Arc<dyn ChatModel>>,
}

impl Chain for AgentChain {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let mut work = AgentProgress::default();
            let text = self.worked(question, &mut work, run, is_last).await?;
            // Flowise's other agents show what it hides here.
            let text = if self.grounding.is_some() { text } else { without_broken_images(&text) };
            let text = without_thoughts(&text);
            self.memory.keep(question, &text, run).await?;
            Ok(work.reply(text))
        })
    }
}

impl AgentChain {
    /// What documents say about the question.
    async fn context(&self, question: &str, run: &Run<'_>) -> Result<Option<String>, Failure> {
        let Some(Grounding { retriever, rephrase, model }) = &self.grounding else { return Ok(None) };
        let mut asked = question.to_owned();
        if let Some(rephrase) = rephrase {
            let past = self.memory.spoken(run).await?;
            let values = [("chat_history", told_lines(&past).as_str()), ("question", question)]
                .map(|(name, value)| (name.to_owned(), value.into()));
            let prompt = rephrase.render_for(&Map::from_iter(values), run).map_err(Failure::flow)?;
            let model = model.as_ref().unwrap_or(&self.agent.model);
            match run.ask(&**model, ModelRequest::of(&[Message::user(prompt)])).await {
                Ok(answered) => asked = answered.text,
                Err(failure) if failure.ends_run() => return Err(failure),
                // As Flowise, which then looks for the question itself.
                Err(_) => {}
            }
        }
        let asked = if asked.is_empty() { question } else { &asked };
        Ok(Some(in_documents(&retriever.find(asked, run).await?)))
    }

    /// What the model is told before it does anything.
    async fn opening(&self, question: &str, context: Option<&str>, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let images = if self.agent.model.sees_images() { run.request.images() } else { Vec::new() };
        let mut past = self.memory.turns(run).await?;
        if let Some(prompt) = &self.prompt {
            let mut values = prompt.given(question, run).await?;
            values.entry("input").or_insert_with(|| question.into());
            let mut messages = prompt.messages(&values, &images, None, run).await?;
            let last = messages.pop();
            messages.append(&mut past);
            messages.extend(last);
            return Ok(messages);
        }
        let mut values = Map::from_iter([("input".to_owned(), question.into())]);
        values.extend(context.map(|context| ("context".to_owned(), context.into())));
        let mut messages = vec![Message::system(self.system.render_for(&values, run).map_err(Failure::flow)?)];
        messages.append(&mut past);
        messages
            .push(Message { content: with_images(Content::Text(question.to_owned()), &images), ..Message::user("") });
        Ok(messages)
    }

    /// Asks, calls tools and asks again, until there is an answer.
    async fn worked(
        &self,
        question: &str,
        work: &mut AgentProgress,
        run: &Run<'_>,
        is_last: bool,
    ) -> Result<String, Failure> {
        let sink = is_last.then_some(run.sink);
        let steps = Steps::new(run, is_last && self.tells_steps);
        let tools = self.agent.tools.at_hand(run).await?;
        let context = self.context(question, run).await?;
        let mut messages = self.opening(question, context.as_deref(), run).await?;
        let mut opening = messages.len();
        for round in 0..self.agent.most {
            if round > 0 && self.memory.is_made_anew() {
                let anew = self.opening(question, context.as_deref(), run).await?;
                let before = std::mem::replace(&mut opening, anew.len());
                messages.splice(..before, anew);
            }
            let ask = ModelRequest { tools: &tools.specs, ..ModelRequest::of(&messages).telling(sink) };
            let ModelAnswer { text, calls, .. } = run.ask(&*self.agent.model, ask).await?;
            if calls.is_empty() {
                return Ok(text);
            }
            run.budget().has_tool_calls(calls.len())?;
            if let Some(sink) = sink {
                sink.start("");
            }
            let calling = calls.iter().map(|call| tools.called(call, &steps, run));
            let results: Vec<_> = stream::iter(calling).buffered(AT_ONCE).collect().await;
            messages.push(Message { calls: calls.clone(), ..Message::assistant(text) });
            let mut direct = None;
            for (call, result) in calls.iter().zip(results) {
                let (tool, result) = result?;
                direct = tool.filter(|tool| tool.returns_directly()).map(|_| told(&result).to_owned());
                if let Some(tool) = tool {
                    work.note(tool, &call.arguments, &result);
                }
                messages.push(Message::tool(call, told(&result)));
            }
            if let Some(answer) = direct {
                if let Some(sink) = sink {
                    sink.token(&answer);
                }
                return Ok(answer);
            }
        }
        run.tell_whole(STOPPED, is_last);
        Ok(STOPPED.to_owned())
    }
}

/// Without `![name](address)` whose address is none of the web.
pub(crate) fn without_broken_images(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The next `]` is looked for once, however many images may begin before it.
    let (mut copied, mut from, mut close) = (0, 0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("![")).map(|at| from + at) {
        from = at + 2;
        if close < from {
            let Some(next) = text.get(from..).and_then(|rest| rest.find(']')) else { break };
            close = from + next;
        }
        let Some(address) = text.get(close + 1..).and_then(|rest| rest.strip_prefix('(')) else { continue };
        let Some((address, after)) = address.split_once(')') else { break };
        from = text.len() - after.len();
        if !address.starts_with("http://") && !address.starts_with("https://") {
            out.push_str(text.get(copied..at).unwrap_or_default());
            copied = from;
        }
    }
    out + text.get(copied..).unwrap_or_default()
}

/// Without the first `<thinking>...</thinking>`.
fn without_thoughts(text: &str) -> String {
    let parts =
        text.split_once("<thinking>").and_then(|(before, rest)| Some((before, rest.split_once("</thinking>")?)));
    parts.map_or_else(|| text.to_owned(), |(before, (_, after))| format!("{before}{after}"))
}

#[cfg(test)]
mod tests;
