//! The tool agent: a model that calls tools until it has an answer.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::moderation::{Moderations, moderations};
use super::{memory, prompts};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::Memory;
use crate::engine::contract::message::{Content, Message, ToolCall, ToolSpec};
use crate::engine::contract::model::{ChatModel, ModelAnswer, ModelRequest};
use crate::engine::contract::node::{Chain, Reply, ReplyContent, Tool, ToolResult};
use crate::engine::contract::prompt::{Prompt, with_images};
use crate::engine::contract::run::Run;
use crate::engine::text::template::Template;
use crate::predict::answer::EventName;
use crate::predict::chat_id;

pub(super) const KINDS: &[&dyn NodeKind] = &[&ToolAgent];

/// Calls of the model, where the author says nothing.
const MOST_CALLS: u64 = 15;
/// Of the tools that a model asks for in one answer, so many are at work at once.
const AT_ONCE: usize = 64;
const STOPPED: &str = "Agent stopped due to max iterations.";

struct ToolAgent;

impl NodeKind for ToolAgent {
    fn names(&self) -> &'static [&'static str] {
        &["toolAgent"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let parts = inputs.parts("tools");
        let tools: Option<Vec<_>> = parts.into_iter().map(Part::into_tools).collect();
        if tools.is_none() {
            inputs.refuse("tools", "expected tools");
        }
        let tools: Vec<_> = tools.into_iter().flatten().flatten().collect();
        let memory = memory::required(inputs);
        let prompt = prompts::of_chat(inputs);
        let system = prompts::system_words(inputs, ("systemMessage", ""), prompt.as_ref());
        let moderations = moderations(inputs);
        let most = inputs.integer("maxIterations").unwrap_or(MOST_CALLS);
        let tells_steps = inputs.flag("enableDetailedStreaming").unwrap_or(false);
        let (model, memory, system) = (model?, memory?, system?);
        let specs = tools.iter().map(|tool| tool.spec().clone()).collect();
        Some(Part::Chain(Arc::new(AgentChain {
            model,
            tools,
            specs,
            memory,
            prompt,
            system,
            moderations,
            most,
            tells_steps,
        })))
    }
}

#[derive(Debug)]
struct AgentChain {
    model: Arc<dyn ChatModel>,
    tools: Vec<Arc<dyn Tool>>,
    specs: Vec<ToolSpec>,
    memory: Arc<Memory>,
    /// In place of the system's words: its last turn is the question's.
    prompt: Option<Arc<Prompt>>,
    system: Template,
    moderations: Moderations,
    most: u64,
    /// Whether a stream hears of each step.
    tells_steps: bool,
}

/// What came of the work so far.
#[derive(Debug, Default)]
struct AgentProgress {
    used: Vec<Value>,
    sources: Vec<Value>,
}

impl Chain for AgentChain {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            let question = match self.moderations.pass(question, run, is_last).await? {
                Ok(question) => question,
                Err(sentence) => return Ok(Reply::text(sentence)),
            };
            let mut messages = self.messages(&question, run).await?;
            let mut work = AgentProgress::default();
            let text = self.worked(&mut messages, &mut work, run, is_last).await?;
            let text = without_thoughts(&without_broken_images(&text));
            let mut fields = Map::new();
            for (name, values) in [("sourceDocuments", work.sources), ("usedTools", work.used)] {
                if !values.is_empty() {
                    fields.insert(name.to_owned(), values.into());
                }
            }
            Ok(Reply { said: ReplyContent::Text(text), fields, ..Reply::default() })
        })
    }
}

impl AgentChain {
    async fn messages(&self, question: &str, run: &Run<'_>) -> Result<Vec<Message>, Failure> {
        let images = if self.model.sees_images() { run.request.images() } else { Vec::new() };
        let mut past = self.memory.turns(run).await?;
        if let Some(prompt) = &self.prompt {
            let mut values = prompt.given(question, run).await?;
            values.entry("input").or_insert_with(|| question.into());
            let mut messages = prompt.messages(&values, &images, None, run)?;
            let last = messages.pop();
            messages.append(&mut past);
            messages.extend(last);
            return Ok(messages);
        }
        let values = Map::from_iter([("input".to_owned(), question.into())]);
        let mut messages = vec![Message::system(self.system.render_for(&values, run).map_err(Failure::flow)?)];
        messages.append(&mut past);
        messages
            .push(Message { content: with_images(Content::Text(question.to_owned()), &images), ..Message::user("") });
        Ok(messages)
    }

    /// Asks, calls tools and asks again, until there is an answer.
    async fn worked(
        &self,
        messages: &mut Vec<Message>,
        work: &mut AgentProgress,
        run: &Run<'_>,
        is_last: bool,
    ) -> Result<String, Failure> {
        let sink = is_last.then_some(run.sink);
        let steps = Steps::new(run, is_last && self.tells_steps);
        for _ in 0..self.most {
            let ask = ModelRequest { tools: &self.specs, ..ModelRequest::of(messages).telling(sink) };
            let ModelAnswer { text, calls, .. } = run.ask(&*self.model, ask).await?;
            if calls.is_empty() {
                return Ok(text);
            }
            run.budget().has_tool_calls(calls.len())?;
            if let Some(sink) = sink {
                sink.start("");
            }
            let calling = calls.iter().map(|call| self.called(call, &steps, run));
            let results: Vec<_> = stream::iter(calling).buffered(AT_ONCE).collect().await;
            messages.push(Message { calls: calls.clone(), ..Message::assistant(text) });
            let mut direct = None;
            for (call, result) in calls.iter().zip(results) {
                let (tool, result) = result?;
                direct = tool.filter(|tool| tool.returns_directly()).map(|_| told(&result).to_owned());
                if let Some(tool) = tool {
                    work.note(tool, call, &result);
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

    /// What a tool gives, or why it failed, which the model may make something of.
    async fn called<'a>(
        &'a self,
        call: &ToolCall,
        steps: &Steps<'_>,
        run: &Run<'_>,
    ) -> Result<(Option<&'a Arc<dyn Tool>>, Result<ToolResult, String>), Failure> {
        steps.tell("agent_action", None, &[("action", action(call).to_string().into())]);
        let tool = self.tools.iter().find(|tool| tool.spec().name.eq_ignore_ascii_case(&call.name));
        let Some(tool) = tool else {
            return Ok((None, Err(format!("{} is not a valid tool, try another one.", call.name))));
        };
        let id = chat_id::random().unwrap_or_default();
        steps.tell(
            "tool_start",
            Some(&id),
            &[("name", call.name.as_str().into()), ("input", call.arguments.to_string().into())],
        );
        match run.call(&**tool, &call.arguments).await {
            Ok(result) => {
                steps.tell("tool_end", Some(&id), &[("output", result.text.as_str().into())]);
                Ok((Some(tool), Ok(result)))
            }
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) => {
                let error = run.told(&failure);
                steps.tell("tool_error", Some(&id), &[("error", error.as_str().into())]);
                Ok((Some(tool), Err(error)))
            }
        }
    }
}

/// As the model reads it.
fn told(result: &Result<ToolResult, String>) -> &str {
    match result {
        Ok(result) => &result.text,
        Err(error) => error,
    }
}

impl AgentProgress {
    fn note(&mut self, tool: &Arc<dyn Tool>, call: &ToolCall, result: &Result<ToolResult, String>) {
        let output = result.as_ref().map(|result| result.text.as_str()).unwrap_or_default();
        let mut used = json!({ "tool": tool.spec().name, "toolInput": call.arguments, "toolOutput": output });
        match (result, &mut used) {
            (Ok(result), _) => {
                let source = |source: &crate::engine::contract::node::Document| json!({ "pageContent": source.text, "metadata": source.metadata });
                self.sources.extend(result.sources.iter().map(source));
            }
            (Err(error), Value::Object(used)) => {
                used.insert("error".to_owned(), error.as_str().into());
            }
            (Err(_), _) => {}
        }
        self.used.push(used);
    }
}

/// Tells a stream how the work goes on, if it wants to know.
struct Steps<'a> {
    run: &'a Run<'a>,
    tells: bool,
    /// Of the agent's work as a whole.
    id: String,
}

impl<'a> Steps<'a> {
    fn new(run: &'a Run<'a>, tells: bool) -> Self {
        let id = if tells { chat_id::random() } else { None };
        Self { run, tells, id: id.unwrap_or_default() }
    }

    /// `call`: the id of a tool's call, if it is one's.
    fn tell(&self, step: &str, call: Option<&str>, fields: &[(&str, Value)]) {
        if self.tells {
            let mut data = Map::from_iter([("step".to_owned(), step.into())]);
            data.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            data.insert("runId".to_owned(), call.unwrap_or(&self.id).into());
            data.insert("parentRunId".to_owned(), call.map_or(Value::Null, |_| self.id.as_str().into()));
            self.run.sink.event(EventName::AgentTrace, Value::Object(data));
        }
    }
}

/// A call as Flowise tells it, without what its library keeps of the model's message.
fn action(call: &ToolCall) -> Value {
    json!({
        "tool": call.name,
        "toolInput": call.arguments,
        "toolCallId": call.id,
        "log": format!("Invoking \"{}\" with {}\n", call.name, call.arguments),
    })
}

/// Without `![name](address)` whose address is none of the web.
fn without_broken_images(text: &str) -> String {
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
